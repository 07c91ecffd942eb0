//! What the two users may do, compared after each rotation.

use fourstep::Step;
use fourstep::store::{AWSCURRENT, AWSPENDING};
use sqlx::{ConnectOptions, Connection, Executor, Row};

use super::Shop;
use crate::support::postgres::{Server, both_versions};

/// Everything the catalogues say of a user in one database, but for what it and its partner ($2) say of
/// each other: written for the tests, and shares nothing with the rotator.
const PORTRAIT: &str = "
    WITH me AS (SELECT * FROM pg_roles WHERE rolname = $1),
    lists AS (
        SELECT 'relation ' || oid::regclass AS what, relacl AS acl FROM pg_class
        UNION ALL SELECT 'column ' || attrelid::regclass || '.' || attname, attacl FROM pg_attribute
        UNION ALL SELECT 'routine ' || oid::regprocedure, proacl FROM pg_proc
        UNION ALL SELECT 'type ' || oid::regtype, typacl FROM pg_type
        UNION ALL SELECT 'schema ' || nspname, nspacl FROM pg_namespace
        UNION ALL SELECT 'language ' || lanname, lanacl FROM pg_language
        UNION ALL SELECT 'wrapper ' || fdwname, fdwacl FROM pg_foreign_data_wrapper
        UNION ALL SELECT 'server ' || srvname, srvacl FROM pg_foreign_server
        UNION ALL SELECT 'blob ' || oid, lomacl FROM pg_largeobject_metadata
        UNION ALL SELECT 'tablespace ' || spcname, spcacl FROM pg_tablespace
        UNION ALL SELECT 'parameter ' || parname, paracl FROM pg_parameter_acl
        UNION ALL SELECT 'database ' || datname, datacl FROM pg_database
        UNION ALL SELECT concat_ws(' ', 'default', defaclrole::regrole, defaclnamespace, defaclobjtype), defaclacl
            FROM pg_default_acl WHERE pg_get_userbyid(defaclrole) <> ALL ($2))
    SELECT concat_ws(' ', what, privilege_type, is_grantable) AS line FROM lists, aclexplode(acl), me
        WHERE grantee = me.oid
    UNION SELECT concat_ws(' ', 'attributes', rolinherit, rolconnlimit,
        NULLIF(rolvaliduntil, 'infinity'), rolcreatedb,
        rolbypassrls, rolcanlogin, rolreplication, rolsuper, rolcreaterole) FROM me
    UNION SELECT concat_ws(' ', 'setting', setdatabase, one) FROM pg_db_role_setting, me,
        unnest(setconfig) AS one WHERE setrole = me.oid
    UNION SELECT concat_ws(' ', 'memberof', pg_get_userbyid(roleid), bool_or(admin_option),
        bool_or((to_jsonb(m) ->> 'inherit_option')::bool), bool_or((to_jsonb(m) ->> 'set_option')::bool))
        FROM pg_auth_members m, me WHERE member = me.oid AND pg_get_userbyid(roleid) <> ALL ($2)
        GROUP BY roleid
    UNION SELECT concat_ws(' ', 'makes', defaclnamespace, defaclobjtype, x.grantee, x.privilege_type)
        FROM pg_default_acl, aclexplode(defaclacl) x, me
        WHERE defaclrole = me.oid AND pg_get_userbyid(x.grantee) <> ALL ($2)
    UNION SELECT concat_ws(' ', 'policy', polname) FROM pg_policy, me WHERE me.oid = ANY (polroles)
    ORDER BY 1";

/// What a user may do in both databases.
pub async fn portrait(shop: &Shop, user: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let pair = vec![shop.app.name.clone(), shop.clone_name()];
    for database in &shop.databases {
        let mut connection = shop.server.superuser_in(database).await;
        let query = sqlx::query(PORTRAIT).bind(user).bind(&pair);
        let rows = query.fetch_all(&mut connection).await.unwrap();
        lines.extend(rows.iter().map(|row| format!("{database}: {}", row.get::<String, _>(0))));
        connection.close().await.unwrap();
    }
    lines
}

/// Rotates, compares, and returns what both have.
pub async fn rotate_and_compare(shop: &Shop, about: &str) -> Vec<String> {
    shop.rotate().await;
    let [one, other] =
        [portrait(shop, &shop.app.name).await, portrait(shop, &shop.clone_name()).await];
    assert_eq!(one, other, "{about}");
    one
}

pub fn has(portrait: &[String], words: &str) -> bool {
    portrait.iter().any(|line| line.contains(words))
}

#[tokio::test]
async fn what_is_granted_and_revoked_between_rotations_reaches_both_users() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        let first = rotate_and_compare(&shop, "made").await;
        for words in [
            "DELETE t",
            "column ",
            "routine ",
            "type ",
            "schema ",
            "default ",
            "database ",
            "memberof ",
            "search_path=\"Sales %\", public",
            "work_mem=5MB",
            "2099-01-01",
        ] {
            assert!(has(&first, words), "{words}: {first:#?}");
        }
        change_much(&shop).await;
        let second = rotate_and_compare(&shop, "changed").await;
        for gone in ["DELETE", "tax(", "memberof", "statement_timeout", "2099"] {
            assert!(!has(&second, gone), "{gone}: {second:#?}");
        }
        for words in ["newer TRUNCATE", "audit SELECT", "German", "my.Own=a, 'b'", "USAGE t"] {
            assert!(has(&second, words), "{words}: {second:#?}");
        }
        let third = rotate_and_compare(&shop, "again").await;
        assert_eq!(second, third);
        shop.close().await;
    }
}

/// The second user is in use: what changes, changes there.
async fn change_much(shop: &Shop) {
    for database in &shop.databases {
        shop.in_database(
            database,
            "SET ROLE $owner;
             REVOKE DELETE ON \"Sales %\".\"Or\"\"ders\" FROM $clone;
             REVOKE SELECT (id) ON \"Sales %\".audit FROM $clone;
             GRANT SELECT ON \"Sales %\".audit TO $clone;
             REVOKE EXECUTE ON FUNCTION \"Sales %\".tax(int) FROM $clone;
             CREATE TABLE \"Sales %\".newer (a int, b int);
             GRANT TRUNCATE, TRIGGER, REFERENCES ON \"Sales %\".newer TO $clone;
             ALTER DEFAULT PRIVILEGES IN SCHEMA \"Sales %\" REVOKE SELECT ON TABLES FROM $clone;
             ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO $clone WITH GRANT OPTION",
        )
        .await;
    }
    shop.arrange(
        "ALTER ROLE $clone CONNECTION LIMIT 30 VALID UNTIL 'infinity' NOINHERIT;
         ALTER ROLE $clone RESET statement_timeout;
         ALTER ROLE $clone SET datestyle = 'German';
         ALTER ROLE $clone IN DATABASE $second SET \"my.Own\" = 'a, ''b'''",
    )
    .await;
    let old = shop.server.version().await < 16;
    let by = if old { "" } else { " GRANTED BY $admin" };
    shop.arrange(&format!("REVOKE $readers FROM $clone{by}")).await;
    let error = shop.refusal().await;
    // PostgreSQL 16 and later keep who granted a role. The superuser did that for the first user, so
    // nobody else can take it back.
    let [role, user] = [&shop.readers, &shop.app.name];
    let revoke = format!("REVOKE \"{role}\" FROM \"{user}\" GRANTED BY \"arranger\"");
    assert_eq!(error.contains(&revoke), !old, "{error}");
    // A setting that the server does not know.
    let set = format!("GRANT SET ON PARAMETER \"my\".\"Own\" TO \"{}\"", shop.admin.name);
    assert!(error.contains(&set), "{error}");
    shop.server.arrange(&set).await;
    if !old {
        shop.server.arrange(&revoke).await;
    }
}

#[tokio::test]
async fn a_right_on_columns_survives_the_loss_of_the_right_on_their_table() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        let first = &shop.databases[0];
        shop.in_database(first, "SET ROLE $owner; GRANT SELECT ON \"Sales %\".audit TO $app").await;
        rotate_and_compare(&shop, "both").await;
        // REVOKE on a table takes the columns' too.
        shop.in_database(
            first,
            "SET ROLE $owner; REVOKE SELECT ON \"Sales %\".audit FROM $clone;
             GRANT SELECT (id) ON \"Sales %\".audit TO $clone",
        )
        .await;
        let portrait = rotate_and_compare(&shop, "columns").await;
        assert!(has(&portrait, "audit.id SELECT"), "{portrait:#?}");
        assert!(!has(&portrait, "audit SELECT"), "{portrait:#?}");
        shop.close().await;
    }
}

/// Rights that few use, and of which each has a statement of its own.
#[tokio::test]
async fn rights_of_rare_kinds_are_made_equal_too() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        // What a superuser owns is granted through a role that the admin can act as.
        shop.in_database(
            &shop.databases[0],
            "CREATE EXTENSION IF NOT EXISTS plpgsql;
             CREATE FOREIGN DATA WRAPPER files;
             GRANT USAGE ON FOREIGN DATA WRAPPER files TO $owner WITH GRANT OPTION;
             SET ROLE $owner;
             GRANT USAGE ON FOREIGN DATA WRAPPER files TO $app;
             CREATE SERVER \"far away\" FOREIGN DATA WRAPPER files;
             GRANT USAGE ON FOREIGN SERVER \"far away\" TO $app;
             SELECT lo_create(424242);
             GRANT SELECT ON LARGE OBJECT 424242 TO $app;
             CREATE DOMAIN \"Sales %\".positive AS int;
             GRANT USAGE ON DOMAIN \"Sales %\".positive TO $app;
             ALTER TABLE \"Sales %\".audit ENABLE ROW LEVEL SECURITY;
             CREATE POLICY \"own rows\" ON \"Sales %\".audit TO $app USING (who = 'app');
             RESET ROLE;
             GRANT SET ON PARAMETER log_statement TO $owner WITH GRANT OPTION;
             SET ROLE $owner;
             GRANT SET ON PARAMETER log_statement TO $app;
             RESET ROLE;
             GRANT USAGE ON LANGUAGE plpgsql TO $owner WITH GRANT OPTION;
             SET ROLE $owner;
             GRANT USAGE ON LANGUAGE plpgsql TO $app;
             RESET ROLE;
             ALTER DEFAULT PRIVILEGES FOR ROLE $app REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
             ALTER DEFAULT PRIVILEGES FOR ROLE $app GRANT SELECT ON TABLES TO $readers",
        )
        .await;
        let first = rotate_and_compare(&shop, "made").await;
        for words in ["wrapper ", "server ", "blob ", "positive", "policy ", "language ", "makes "]
        {
            assert!(has(&first, words), "{words}: {first:#?}");
        }
        shop.in_database(
            &shop.databases[0],
            "SET ROLE $owner;
             REVOKE USAGE ON FOREIGN DATA WRAPPER files FROM $clone;
             REVOKE SELECT ON LARGE OBJECT 424242 FROM $clone;
             ALTER POLICY \"own rows\" ON \"Sales %\".audit TO $app, $readers;
             RESET ROLE;
             ALTER DEFAULT PRIVILEGES FOR ROLE $clone GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
             ALTER DEFAULT PRIVILEGES FOR ROLE $clone REVOKE SELECT ON TABLES FROM $readers",
        )
        .await;
        let second = rotate_and_compare(&shop, "taken").await;
        for gone in ["wrapper ", "blob ", "policy ", "makes "] {
            assert!(!has(&second, gone), "{gone}: {second:#?}");
        }
        shop.close().await;
    }
}

/// F12, and the powerless clone: pending logs in already, and the rights are made equal all the same.
#[tokio::test]
async fn beyond_01_a_retry_makes_the_rights_equal_although_pending_logs_in_already() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        let token = shop.stage.play(&[Step::Create, Step::Set]).await;
        assert!(shop.logs_in(&shop.stage.document(AWSPENDING)).await);
        shop.in_database(
            &shop.databases[1],
            "SET ROLE $owner; GRANT REFERENCES ON \"Sales %\".audit TO $app;
             REVOKE INSERT ON \"Sales %\".\"Or\"\"ders\" FROM $clone",
        )
        .await;
        let ended = shop.stage.step(Step::Test, &token).await;
        let error = ended.error();
        assert!(error.contains("REFERENCES") && error.contains("INSERT"), "{error}");
        for step in [Step::Set, Step::Test, Step::Finish] {
            shop.stage.step(step, &token).await.why();
        }
        let [one, other] =
            [portrait(&shop, &shop.app.name).await, portrait(&shop, &shop.clone_name()).await];
        assert_eq!(one, other);
        shop.close().await;
    }
}

#[tokio::test]
async fn beyond_03_what_the_users_may_do_is_compared_and_the_owners_question_is_asked() {
    for server in both_versions() {
        for (query, refused) in [
            ("SELECT total FROM \"Or\"\"ders\"", None),
            ("SELECT who FROM audit", Some("the user may not do what it asks")),
            ("INSERT INTO \"Or\"\"ders\" (total) VALUES (1)", Some("it may only read")),
        ] {
            let shop = Shop::open(&server, &[("PROBE_QUERY", query)]).await;
            let token = shop.stage.play(&[Step::Create, Step::Set]).await;
            let ended = shop.stage.step(Step::Test, &token).await;
            match refused {
                None => assert!(!ended.why().is_empty()),
                Some(words) => assert!(ended.error().contains(words), "{}", ended.error()),
            }
            shop.close().await;
        }
    }
}

#[tokio::test]
async fn sessions_of_the_idle_user_are_reported_or_stop_the_rotation() {
    for server in both_versions() {
        for refuse in [false, true] {
            let variables = [("REFUSE_OPEN_SESSIONS", if refuse { "true" } else { "false" })];
            let shop = Shop::open(&server, &variables).await;
            let old = shop.stage.document(AWSCURRENT);
            shop.rotate().await;
            let text = |field: &str| old[field].as_str().unwrap().to_owned();
            let options = server.options(&text("username"), &text("password"), &shop.databases[1]);
            let mut slow = options.connect().await.unwrap();
            slow.execute("SELECT 1").await.unwrap();
            if refuse {
                let error = shop.refusal().await;
                assert!(error.contains("REFUSE_OPEN_SESSIONS"), "{error}");
                assert!(shop.logs_in(&old).await, "nothing was changed");
                slow.close().await.unwrap();
                wait_until_gone(&server, &text("username")).await;
                shop.rotate().await;
            } else {
                let token = shop.stage.begin();
                shop.stage.step(Step::Create, &token).await.why();
                let ended = shop.stage.step(Step::Set, &token).await;
                assert!(!ended.why().is_empty());
                let warned = ended.tally.warnings.iter().any(|one| one.contains("open session"));
                assert!(warned, "{:?}", ended.tally.warnings);
                slow.close().await.unwrap();
            }
            shop.close().await;
        }
    }
}

async fn wait_until_gone(server: &Server, user: &str) {
    let mut connection = server.superuser().await;
    for _ in 0..200 {
        let query = sqlx::query("SELECT FROM pg_stat_activity WHERE usename = $1").bind(user);
        if query.fetch_optional(&mut connection).await.unwrap().is_none() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{user} is still there");
}
