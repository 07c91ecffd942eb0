//! What others on the same server do, by mistake or not, and what a rotation makes of it.

use std::time::{Duration, Instant};

use fourstep::Question;
use fourstep::store::AWSCURRENT;
use serde_json::json;
use sqlx::{Connection, Executor};

use super::Shop;
use super::ownership::{plan, psql_status, scripts};
use super::rights::{has, portrait, rotate_and_compare};
use crate::support::postgres::both_versions;

/// AWS's template flips too: half of its pairs are taken over while the second user is the one in use,
/// which has everything by being a member of the first.
#[tokio::test]
async fn a_pair_that_awss_template_made_loses_nothing_if_the_second_user_is_current() {
    for server in both_versions() {
        let mut shop = Shop::open(&server, &[]).await;
        let clone = shop.clone_name();
        let make = format!("CREATE ROLE \"{clone}\" LOGIN PASSWORD 'canary-aws'");
        server.arrange_quietly(&make).await;
        shop.arrange("GRANT $app TO $clone").await;
        if server.version().await >= 16 {
            shop.arrange("GRANT $clone TO $admin WITH ADMIN OPTION").await;
        }
        let before = portrait(&shop, &shop.app.name).await;
        let mut document = shop.stage.document(AWSCURRENT);
        document["username"] = json!(clone);
        document["password"] = json!("canary-aws");
        shop.stage.put_current(&document);
        shop.configure(&[("ADOPT_USERS", &clone)]);
        assert_eq!(shop.rotate().await["username"], json!(shop.app.name));
        let lasting = |lines: &[String]| {
            let lines = lines.iter().filter(|line| !line.contains("attributes"));
            lines.cloned().collect::<Vec<_>>()
        };
        assert_eq!(lasting(&portrait(&shop, &shop.app.name).await), lasting(&before));
        shop.configure(&[]);
        let after = rotate_and_compare(&shop, "the other way").await;
        assert_eq!(lasting(&after), lasting(&before));
        shop.close().await;
    }
}

/// Anybody who can log in can give default privileges and large objects to whom they like.
#[tokio::test]
async fn what_strangers_give_to_a_user_does_not_stop_its_rotations() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        let eve = server.user("eve").await;
        let [first, _] = &shop.databases;
        let gift = format!(
            "SET ROLE \"{}\"; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO $app;
             SELECT lo_create(666); GRANT SELECT ON LARGE OBJECT 666 TO $app",
            eve.name
        );
        shop.in_database(first, &gift).await;
        let answer = shop.stage.ask(Question::Preflight).await.to_string();
        assert!(
            answer.contains("LARGE OBJECT 666") && answer.contains("DEFAULT PRIVILEGES"),
            "{answer}"
        );
        for round in 0..2 {
            shop.rotate().await;
            assert!(shop.logs_in(&shop.stage.document(AWSCURRENT)).await, "{round}");
        }
        shop.close().await;
    }
}

/// An admin that could act as a superuser would be one.
#[tokio::test]
async fn rule_08_no_way_out_makes_the_admin_a_superuser() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        let [first, _] = &shop.databases;
        shop.in_database(
            first,
            "CREATE TABLE \"Sales %\".theirs (a int); GRANT SELECT ON \"Sales %\".theirs TO $app;
             CREATE AGGREGATE \"Sales %\".pick(float8 ORDER BY anyelement) (SFUNC = ordered_set_transition,
             STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA);
             ALTER ROUTINE \"Sales %\".pick(float8, anyelement) OWNER TO $owner;
             GRANT EXECUTE ON ROUTINE \"Sales %\".pick(float8, anyelement) TO $app;
             GRANT USAGE ON SCHEMA public TO $app; REVOKE $owner FROM $admin",
        )
        .await;
        let error = shop.refusal().await;
        let admin = &shop.admin.name;
        let table = "GRANT SELECT ON TABLE \"Sales %\".theirs TO";
        let way_out = format!("{table} \"{admin}\" WITH GRANT OPTION");
        assert!(error.contains(&way_out), "{error}");
        assert!(error.contains(&format!("GRANT \"{}\" TO \"{admin}\"", shop.owner)), "{error}");
        assert!(!error.contains("\"arranger\"") && !error.contains("pg_database_owner"), "{error}");
        shop.in_database(first, &format!("{way_out}; GRANT $owner TO $admin")).await;
        let both = rotate_and_compare(&shop, "helped").await;
        assert!(has(&both, "theirs SELECT") && has(&both, "pick("), "{both:#?}");
        // What is too much is taken by whom it takes: never by way of a superuser's role.
        shop.in_database(
            first,
            "CREATE TABLE \"Sales %\".late (a int); GRANT SELECT ON \"Sales %\".late TO $app",
        )
        .await;
        let error = shop.refusal().await;
        let way_out = format!("REVOKE SELECT ON TABLE \"Sales %\".late FROM \"{}\"", shop.app.name);
        assert!(error.contains(&way_out) && !error.contains("\"arranger\""), "{error}");
        shop.in_database(first, &way_out).await;
        rotate_and_compare(&shop, "revoked").await;
        shop.close().await;
    }
}

#[tokio::test]
async fn many_databases_are_looked_at_with_few_sessions() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        let more = ["c", "d", "e"].map(|name| format!("{name}{}", shop.owner));
        for name in &more {
            shop.arrange(&format!("CREATE DATABASE \"{name}\" OWNER $owner")).await;
            shop.arrange(&format!("GRANT TEMPORARY ON DATABASE \"{name}\" TO $app")).await;
        }
        shop.arrange("ALTER ROLE $admin CONNECTION LIMIT 3").await;
        rotate_and_compare(&shop, "with three").await;
        for name in &more {
            shop.arrange(&format!("DROP DATABASE \"{name}\" WITH (FORCE)")).await;
        }
        shop.close().await;
    }
}

/// Everybody who comes after an ALTER POLICY that waits for a table waits behind it.
#[tokio::test]
async fn a_table_in_use_is_not_held_up_for_the_sake_of_a_policy() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        let [first, _] = &shop.databases;
        shop.in_database(
            first,
            "SET ROLE $owner; ALTER TABLE \"Sales %\".audit ENABLE ROW LEVEL SECURITY;
             CREATE POLICY own ON \"Sales %\".audit TO $app USING (true)",
        )
        .await;
        let mut reader = server.superuser_in(first).await;
        reader.execute("BEGIN").await.unwrap();
        reader.execute("SELECT * FROM \"Sales %\".audit").await.unwrap();
        let began = Instant::now();
        let error = shop.refusal().await;
        assert!(error.contains("ALTER POLICY") && error.contains("lock"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        reader.close().await.unwrap();
        let both = rotate_and_compare(&shop, "free again").await;
        assert!(has(&both, "policy own"), "{both:#?}");
        shop.close().await;
    }
}

/// A maker of roles writes the mark of a pair's second user on a role of its own.
#[tokio::test]
async fn beyond_02_a_mark_on_a_role_that_others_can_act_as_is_not_believed() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        shop.rotate().await;
        shop.rotate().await;
        let mallory = server.user("mallory").await;
        let decoy = format!("aaa{}", shop.app.name);
        let arn = shop.stage.store.describe(&shop.stage.secret).unwrap().arn;
        let mark = json!({"partner": shop.app.name, "secret": arn});
        shop.arrange(&format!(
            "CREATE ROLE \"{decoy}\" NOLOGIN; COMMENT ON ROLE \"{decoy}\" IS 'fourstep: {mark}';
             GRANT \"{decoy}\" TO $admin WITH ADMIN OPTION; GRANT \"{decoy}\" TO \"{}\"",
            mallory.name
        ))
        .await;
        assert_eq!(shop.rotate().await["username"], json!(shop.clone_name()));
        assert!(!has(&portrait(&shop, &decoy).await, "SELECT"));
        shop.close().await;
    }
}

/// To set a password again takes no right in any other database.
#[tokio::test]
async fn current_is_made_to_work_again_though_a_right_elsewhere_is_missing() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        shop.rotate().await;
        shop.arrange("REVOKE CONNECT ON DATABASE $second FROM PUBLIC").await;
        shop.arrange("REVOKE $owner FROM $admin").await;
        let current = shop.stage.document(AWSCURRENT);
        let lose = format!("ALTER ROLE \"{}\" PASSWORD 'lost'", shop.clone_name());
        server.arrange_quietly(&lose).await;
        assert!(!shop.logs_in(&current).await);
        let error = shop.refusal().await;
        assert!(error.contains("GRANT CONNECT ON DATABASE"), "{error}");
        assert!(shop.logs_in(&current).await);
        shop.close().await;
    }
}

#[tokio::test]
async fn a_move_to_a_shared_owner_stops_at_the_first_database_that_fails() {
    for server in both_versions() {
        let mut shop = Shop::open(&server, &[]).await;
        for database in &shop.databases {
            let sql = "SET ROLE $app; CREATE SCHEMA mine; CREATE TABLE mine.things (a int)";
            shop.in_database(database, sql).await;
        }
        let setting = format!("{0}={0} shared", shop.app.name);
        shop.configure(&[("SHARED_OWNER", &setting)]);
        let [first, second] = shop.databases.clone();
        let printed = plan(&shop).await;
        let next = printed.iter().filter(|line| line.contains("CREATE ROLE"));
        let next: Vec<_> = next.filter(|line| line.contains(&shop.clone_name())).collect();
        assert!(!next.is_empty() && next.iter().all(|line| line.starts_with("-- ")), "{next:?}");
        // What the script hands over in the second database is not there when it runs.
        shop.in_database(&second, "ALTER SCHEMA mine RENAME TO renamed").await;
        let [there, _] = scripts(&printed);
        assert!(!psql_status(&server, &shop.admin, &first, &there).await, "{there}");
        let settings = portrait(&shop, &shop.app.name).await;
        assert!(!has(&settings, "role="), "{settings:#?}");
        // A name that psql would read as another line.
        let sql = "CREATE SCHEMA \"a\n\\! false\" AUTHORIZATION $app";
        shop.in_database(&second, sql).await;
        let printed = plan(&shop).await;
        assert!(printed.iter().any(|line| line.contains("control character")), "{printed:#?}");
        assert!(!printed.iter().any(|line| line.starts_with("\\") || line.contains('\n')));
        shop.close().await;
    }
}
