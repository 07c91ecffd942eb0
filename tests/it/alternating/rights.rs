//! What the two users may do: compared after each rotation, and seen by their own sessions.

use std::fmt::Write as _;

use fourstep::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};
use fourstep::{Question, Step};
use sqlx::{ConnectOptions, Connection, Executor, Row};

use super::Shop;
use crate::support::postgres::{Server, both_versions};

/// Everything the catalogues say of a user in one database, but that it acts as its partner ($2):
/// written for the tests, and shares nothing with the rotator.
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
            FROM pg_default_acl)
    SELECT concat_ws(' ', what, privilege_type, is_grantable) AS line FROM lists, aclexplode(acl), me
        WHERE grantee = me.oid
    UNION SELECT concat_ws(' ', 'login', rolconnlimit, NULLIF(rolvaliduntil, 'infinity'), rolcanlogin) FROM me
    UNION SELECT concat_ws(' ', 'attributes', rolcreatedb, rolbypassrls, rolreplication, rolsuper, rolcreaterole)
        FROM me
    UNION SELECT concat_ws(' ', 'setting', setdatabase, one) FROM pg_db_role_setting, me,
        unnest(setconfig) AS one WHERE setrole = me.oid AND NOT (setdatabase = 0 AND one = 'role=' || $2)
    UNION SELECT concat_ws(' ', 'memberof', pg_get_userbyid(roleid)) FROM pg_auth_members m, me
        WHERE member = me.oid AND pg_get_userbyid(roleid) <> $2
    UNION SELECT concat_ws(' ', 'makes', defaclnamespace, defaclobjtype, x.grantee, x.privilege_type)
        FROM pg_default_acl, aclexplode(defaclacl) x, me WHERE defaclrole = me.oid
    UNION SELECT concat_ws(' ', 'policy', polname) FROM pg_policy, me WHERE me.oid = ANY (polroles)
    UNION SELECT concat_ws(' ', 'mapping', srvname) FROM pg_user_mappings, me WHERE umuser = me.oid
    UNION SELECT concat_ws(' ', 'owns', pg_describe_object(classid, objid, 0)) FROM pg_shdepend, me
        WHERE refclassid = 'pg_authid'::regclass AND refobjid = me.oid AND deptype = 'o'
        AND classid NOT IN ('pg_user_mapping'::regclass, 'pg_default_acl'::regclass)
        AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
    ORDER BY 1";

/// What a user has in both databases.
pub async fn portrait(shop: &Shop, user: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let partner = if user == shop.app.name { shop.clone_name() } else { shop.app.name.clone() };
    for database in &shop.databases {
        let mut connection = shop.server.superuser_in(database).await;
        let query = sqlx::query(PORTRAIT).bind(user).bind(&partner);
        let rows = query.fetch_all(&mut connection).await.unwrap();
        lines.extend(rows.iter().map(|row| format!("{database}: {}", row.get::<String, _>(0))));
        connection.close().await.unwrap();
    }
    lines
}

/// Two logins of one identity: the second has nothing of its own but what belongs to a login, which is
/// as the first's; and both act as the same role in each database. Returns what the first has.
pub async fn assert_one(shop: &Shop, about: &str) -> Vec<String> {
    let first = portrait(shop, &shop.app.name).await;
    let of_a_login = |line: &String| line.contains(": login ") || line.contains(": setting ");
    let expected: Vec<_> = first.iter().filter(|line| of_a_login(line)).cloned().collect();
    let second = portrait(shop, &shop.clone_name()).await;
    let second: Vec<_> = second.into_iter().filter(|line| !line.contains(": attributes")).collect();
    assert_eq!(second, expected, "{about}");
    for database in &shop.databases {
        let who = "SELECT current_user::text";
        let [one, other] = [
            shop.asks(AWSCURRENT, database, who).await,
            shop.asks(AWSPREVIOUS, database, who).await,
        ];
        assert_eq!(one, other, "{about}");
        assert!(one != shop.clone_name(), "{about}");
    }
    first
}

/// Rotates, compares, and returns what both have.
pub async fn rotate_and_compare(shop: &Shop, about: &str) -> Vec<String> {
    shop.rotate().await;
    assert_one(shop, about).await
}

pub fn has(portrait: &[String], words: &str) -> bool {
    portrait.iter().any(|line| line.contains(words))
}

#[tokio::test]
async fn what_is_granted_and_revoked_between_rotations_reaches_both_users() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        let before = rotate_and_compare(&shop, "made").await;
        // The second is in use, and has its session open all the time.
        let [first, _] = &shop.databases;
        let mut open = shop.session(AWSCURRENT, first).await;
        open.execute("SELECT id FROM audit").await.unwrap();
        for database in &shop.databases {
            shop.in_database(
                database,
                "SET ROLE $owner; REVOKE SELECT (id) ON \"Sales %\".audit FROM $app;
                 GRANT INSERT ON \"Sales %\".audit TO $app",
            )
            .await;
        }
        assert!(open.execute("SELECT id FROM audit").await.is_err());
        open.execute("INSERT INTO audit VALUES (1)").await.unwrap();
        open.close().await.unwrap();
        // What belongs to a login reaches the second when its turn comes.
        shop.arrange(
            "REVOKE $readers FROM $app; ALTER ROLE $app CONNECTION LIMIT 30 VALID UNTIL 'infinity';
             ALTER ROLE $app RESET statement_timeout; ALTER ROLE $app SET datestyle = 'German'",
        )
        .await;
        shop.rotate().await;
        let after = rotate_and_compare(&shop, "changed").await;
        for words in ["=German", "audit INSERT", "login 30"] {
            assert!(has(&after, words), "{words}: {after:#?}");
        }
        for words in ["memberof", "statement_timeout", "audit.id SELECT"] {
            assert!(has(&before, words) && !has(&after, words), "{words}: {after:#?}");
        }
        shop.close().await;
    }
}

/// It was the way until both became one: it neither reaches the first nor stops a rotation, and is said.
#[tokio::test]
async fn a_grant_to_the_second_alone_is_reported_and_does_not_count() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        rotate_and_compare(&shop, "made").await;
        let [first, _] = &shop.databases;
        shop.in_database(
            first,
            "GRANT TRUNCATE ON \"Sales %\".audit TO $clone; GRANT $readers TO $clone",
        )
        .await;
        shop.in_database(first, "CREATE TABLE mine (a int); GRANT SELECT ON mine TO $clone").await;
        let answer = shop.stage.ask(Question::Preflight).await;
        assert_eq!(answer["ready"], serde_json::json!(true), "{answer}");
        let text = answer["findings"].to_string();
        assert!(text.contains("TRUNCATE on table") && text.contains("does not count"), "{text}");
        assert!(!text.contains("readers"), "the first is a member as well: {text}");
        shop.rotate().await;
        shop.rotate().await;
        let second = portrait(&shop, &shop.clone_name()).await;
        // What somebody gave of whose rights the admin has none, it cannot take.
        assert!(has(&second, "mine SELECT"), "{second:#?}");
        assert_eq!(has(&second, "memberof"), server.version().await >= 16, "{second:#?}");
        shop.in_database(
            first,
            "REVOKE ALL ON mine, \"Sales %\".audit FROM $clone; REVOKE $readers FROM $clone",
        )
        .await;
        assert_one(&shop, "taken").await;
        shop.close().await;
    }
}

/// What few use, and what hangs on the user's name.
const RARE: &str = "
    CREATE FOREIGN DATA WRAPPER files;
    CREATE SERVER \"far away\" FOREIGN DATA WRAPPER files;
    GRANT USAGE ON FOREIGN SERVER \"far away\" TO $app;
    CREATE USER MAPPING FOR $app SERVER \"far away\" OPTIONS (user 'them');
    GRANT SET ON PARAMETER log_statement TO $app;
    SELECT lo_create(424242); GRANT SELECT ON LARGE OBJECT 424242 TO $app;
    CREATE DOMAIN \"Sales %\".positive AS int; REVOKE USAGE ON DOMAIN \"Sales %\".positive FROM PUBLIC;
    GRANT USAGE ON DOMAIN \"Sales %\".positive TO $app;
    INSERT INTO \"Sales %\".audit VALUES (1, '$app'), (2, 'another');
    GRANT SELECT ON \"Sales %\".audit TO $app;
    ALTER TABLE \"Sales %\".audit ENABLE ROW LEVEL SECURITY;
    CREATE POLICY \"own rows\" ON \"Sales %\".audit USING (who = current_user);
    ALTER DEFAULT PRIVILEGES FOR ROLE $app REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC";

/// What hangs on the user's name, and what no admin could have granted.
#[tokio::test]
async fn rights_of_every_kind_and_what_hangs_on_the_name_are_one_for_both() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        let [first, _] = &shop.databases;
        shop.in_database(first, &RARE.replace("'$app'", &format!("'{}'", shop.app.name))).await;
        for round in 1..=4 {
            rotate_and_compare(&shop, &format!("round {round}")).await;
            for label in [AWSCURRENT, AWSPREVIOUS] {
                let mut seen = String::new();
                for question in [
                    "SELECT string_agg(id::text, ',') FROM audit",
                    "SELECT usename::text FROM pg_user_mappings WHERE umoptions IS NOT NULL",
                    "SELECT length(lo_get(424242))::text",
                    "SELECT '7'::positive::text",
                    "SELECT has_server_privilege('far away', 'USAGE')::text",
                    "SELECT has_parameter_privilege('log_statement', 'SET')::text",
                    "SELECT current_setting('search_path')",
                ] {
                    write!(seen, "{}; ", shop.asks(label, first, question).await).unwrap();
                }
                let name = &shop.app.name;
                let expected = format!("1; {name}; 0; 7; true; true; \"Sales %\", public; ");
                assert_eq!(seen, expected, "round {round}, {label}");
                // A function that either makes is nobody else's, as the first had it set.
                let make = format!(
                    "CREATE FUNCTION \"Sales %\".f{round}() RETURNS int LANGUAGE sql AS 'SELECT 1'"
                );
                if label == AWSCURRENT {
                    shop.as_user(label, first, &make).await;
                }
                let acl = format!("SELECT proacl::text FROM pg_proc WHERE proname = 'f{round}'");
                let acl = shop.asks(label, first, &acl).await;
                assert!(acl.starts_with('{') && !acl.contains("{="), "{acl}");
            }
        }
        shop.close().await;
    }
}

/// F12, and the powerless clone: pending logs in already, and the pair is mended all the same.
#[tokio::test]
async fn beyond_01_a_retry_mends_the_pair_although_pending_logs_in_already() {
    for server in both_versions() {
        for damage in [
            "REVOKE $app FROM $clone BY",
            "ALTER ROLE $clone RESET role",
            "ALTER ROLE $clone SET role = $clone",
        ] {
            let shop = Shop::open(&server, &[]).await;
            let token = shop.stage.play(&[Step::Create, Step::Set]).await;
            assert!(shop.logs_in(&shop.stage.document(AWSPENDING)).await);
            let by = if server.version().await < 16 { "" } else { "GRANTED BY $admin" };
            shop.arrange(&damage.replace("BY", by)).await;
            // The login goes on, as itself: with less than the first has.
            let ended = shop.stage.step(Step::Test, &token).await;
            let error = ended.error();
            let said = ["is a member of the other", "and not as"];
            assert!(
                said.iter().any(|words| error.contains(words)) && error.contains("retry"),
                "{error}"
            );
            for step in [Step::Set, Step::Test, Step::Finish] {
                shop.stage.step(step, &token).await.why();
            }
            assert_one(&shop, damage).await;
            shop.close().await;
        }
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

/// They see two names; everything else asks for current_user.
#[tokio::test]
async fn what_asks_who_is_logged_in_is_named_by_a_preflight() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        shop.in_database(
            &shop.databases[0],
            "SET ROLE $app; CREATE TABLE \"Sales %\".log (a int, who text DEFAULT session_user);
             CREATE VIEW \"Sales %\".mine AS SELECT a FROM \"Sales %\".log WHERE who = session_user;
             CREATE POLICY own ON \"Sales %\".log USING (who = session_user);
             CREATE FUNCTION \"Sales %\".me() RETURNS text LANGUAGE sql AS 'SELECT session_user::text'",
        )
        .await;
        for _ in 0..2 {
            let answer = shop.stage.ask(Question::Preflight).await;
            assert_eq!(answer["ready"], serde_json::json!(true), "{answer}");
            let text = answer["findings"].to_string();
            assert!(text.contains("two names") && text.contains("4 (default of"), "{text}");
            shop.rotate().await;
        }
        shop.close().await;
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
                let warned = ended.stats.warnings.iter().any(|one| one.contains("open session"));
                assert!(warned, "{:?}", ended.stats.warnings);
                slow.close().await.unwrap();
            }
            shop.close().await;
        }
    }
}

async fn wait_until_gone(server: &Server, user: &str) {
    let mut connection = server.superuser().await;
    for _ in 0..3000 {
        let query = sqlx::query("SELECT FROM pg_stat_activity WHERE usename = $1").bind(user);
        if query.fetch_optional(&mut connection).await.unwrap().is_none() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{user} is still there");
}
