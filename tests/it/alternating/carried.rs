//! Pairs that there were before the second user acted as the first: made by copying, by AWS's template,
//! by hand. Each is carried over by the next rotations, and no session has less on the way.

use fourstep::Question;
use fourstep::store::{AWSCURRENT, AWSPREVIOUS};
use serde_json::json;
use sqlx::Executor;
use sqlx::postgres::PgConnection;

use super::rights::{assert_one, has, portrait, rotate_and_compare};
use super::{ADMIN_ONLY, Shop};
use crate::support::postgres::{Server, both_versions};

/// The second's own rights, equal to the first's, as they were granted one by one.
const COPIED: &str = "SET ROLE $owner;
    GRANT USAGE, CREATE ON SCHEMA \"Sales %\" TO $clone;
    GRANT SELECT, INSERT, UPDATE ON \"Sales %\".\"Or\"\"ders\" TO $clone;
    GRANT DELETE ON \"Sales %\".\"Or\"\"ders\" TO $clone WITH GRANT OPTION;
    GRANT SELECT (id), UPDATE (who) ON \"Sales %\".audit TO $clone;
    GRANT USAGE ON SEQUENCE \"Sales %\".\"Or\"\"ders_id_seq\" TO $clone;
    GRANT EXECUTE ON FUNCTION \"Sales %\".tax(int) TO $clone;
    ALTER DEFAULT PRIVILEGES IN SCHEMA \"Sales %\" GRANT SELECT ON TABLES TO $clone;
    RESET ROLE; GRANT CREATE, TEMPORARY ON DATABASE $database TO $clone";

/// What an application does all the time, in sessions that stay open.
const WORK: &str = "UPDATE \"Sales %\".\"Or\"\"ders\" SET total = 1; INSERT INTO \"Sales %\".\"Or\"\"ders\" \
    (total) VALUES (1); SELECT id FROM \"Sales %\".audit";

/// A session of the second in each database, from before.
async fn sessions(server: &Server, shop: &Shop, password: &str) -> Vec<PgConnection> {
    let mut sessions = Vec::new();
    for database in &shop.databases {
        let options = server.options(&shop.clone_name(), password, database);
        sessions.push(sqlx::ConnectOptions::connect(&options).await.unwrap());
    }
    sessions
}

async fn work(sessions: &mut [PgConnection], more: &str) {
    for session in sessions {
        let sql = format!("{WORK}; {more}");
        session.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.unwrap();
    }
}

/// Both logins do everything with what the second had made.
async fn both_work(shop: &Shop, more: &str) {
    for label in [AWSCURRENT, AWSPREVIOUS] {
        for database in &shop.databases {
            shop.as_user(label, database, &format!("{WORK}; {more}")).await;
        }
    }
}

/// Made by copying: a second user with every right of its own, marked. Either is in use.
#[tokio::test]
async fn a_pair_whose_rights_were_copied_is_carried_over_whichever_is_in_use() {
    for server in both_versions() {
        for second_in_use in [false, true] {
            let shop = Shop::open(&server, &[]).await;
            let quiet =
                format!("CREATE ROLE \"{}\" LOGIN PASSWORD 'canary-copied'", shop.clone_name());
            server.arrange_quietly(&quiet).await;
            let arn = shop.stage.store.describe(&shop.stage.secret).unwrap().arn;
            let mark = json!({"partner": shop.app.name, "secret": arn});
            shop.arrange(&format!(
                "COMMENT ON ROLE $clone IS 'fourstep: {mark}'; GRANT $readers TO $clone"
            ))
            .await;
            // As the copying admin had it: a member of the owner.
            shop.arrange("GRANT $owner TO $admin").await;
            if server.version().await >= 16 {
                shop.arrange(&format!("GRANT $clone, $readers TO $admin {ADMIN_ONLY}")).await;
                shop.arrange(
                    "REVOKE $readers FROM $clone; GRANT $readers TO $clone GRANTED BY $admin",
                )
                .await;
            }
            for database in &shop.databases {
                shop.in_database(database, COPIED).await;
            }
            if second_in_use {
                shop.name_the_second("canary-copied");
            }
            let mut open = sessions(&server, &shop, "canary-copied").await;
            for round in 0..4 {
                shop.rotate().await;
                work(&mut open, "").await;
                both_work(&shop, "").await;
                if round > 0 {
                    assert_one(&shop, "carried over").await;
                }
            }
            shop.close().await;
        }
    }
}

/// AWS flips too: half of its pairs are taken over while the second user is the one in use. It is a
/// member of the first and owns what it made.
#[tokio::test]
async fn a_pair_that_awss_template_made_is_carried_over_whichever_is_in_use() {
    for server in both_versions() {
        for second_in_use in [false, true] {
            let mut shop = Shop::open(&server, &[]).await;
            shop.as_awss_template("canary-aws").await;
            if second_in_use {
                shop.name_the_second("canary-aws");
            }
            for database in &shop.databases {
                let make = "SET ROLE $clone; CREATE SCHEMA own; CREATE TABLE own.t (a serial);
                    CREATE TABLE \"Sales %\".made (a int);
                    CREATE FUNCTION own.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT lo_create(99)";
                shop.in_database(database, make).await;
            }
            shop.configure(&[("ADOPT_USERS", &shop.clone_name())]);
            let mut open = sessions(&server, &shop, "canary-aws").await;
            let before = portrait(&shop, &shop.app.name).await;
            let alter =
                "ALTER TABLE own.t ADD COLUMN IF NOT EXISTS more int; SELECT own.f(), lo_get(99);
                ALTER TABLE \"Sales %\".made ADD COLUMN IF NOT EXISTS more int";
            for round in 0..4 {
                shop.rotate().await;
                // The sessions from before have all of it throughout, and nobody broke them off.
                work(&mut open, alter).await;
                both_work(&shop, alter).await;
                if round > 0 {
                    let after = assert_one(&shop, "carried over").await;
                    assert!(before.iter().all(|line| after.contains(line)), "{after:#?}");
                    shop.configure(&[]);
                }
            }
            // The memberships that it took are gone.
            let admin = "SELECT count(*) FROM pg_auth_members WHERE member = $1::regrole \
                 AND COALESCE((to_jsonb(pg_auth_members) ->> 'inherit_option')::bool, true)";
            let count: i64 = sqlx::query_scalar(admin)
                .bind(format!("\"{}\"", shop.admin.name))
                .fetch_one(&mut server.superuser().await)
                .await
                .unwrap();
            assert_eq!(count, 0);
            shop.close().await;
        }
    }
}

/// AWS's users' own mending: `SET role` by hand. Nothing is undone.
#[tokio::test]
async fn a_second_user_that_acts_as_the_first_by_hand_stays_so() {
    for server in both_versions() {
        let mut shop = Shop::open(&server, &[]).await;
        shop.as_awss_template("canary-aws").await;
        shop.arrange("ALTER ROLE $clone SET role = $app").await;
        shop.configure(&[("ADOPT_USERS", &shop.clone_name())]);
        let plan = shop.plan().await;
        assert!(
            !plan.iter().any(|line| line.contains("role\" ") || line.contains("SET role")),
            "{plan:#?}"
        );
        rotate_and_compare(&shop, "carried over").await;
        shop.close().await;
    }
}

/// By hand, with rights that differ: nothing is taken unless the configuration says so.
#[tokio::test]
async fn what_the_second_has_beside_the_first_stops_the_rotation_unless_it_may_be_dropped() {
    for server in both_versions() {
        for second_in_use in [false, true] {
            let mut shop = Shop::open(&server, &[]).await;
            let [first, second] = shop.databases.clone();
            shop.as_awss_template("canary-hand").await;
            if second_in_use {
                shop.name_the_second("canary-hand");
            }
            shop.in_database(
                &first,
                "CREATE FOREIGN DATA WRAPPER files; CREATE SERVER far FOREIGN DATA WRAPPER files;
                 CREATE USER MAPPING FOR $clone SERVER far;
                 CREATE POLICY theirs ON \"Sales %\".audit TO $clone USING (true);
                 SELECT lo_create(5); GRANT UPDATE ON LARGE OBJECT 5 TO $clone;
                 GRANT INSERT (note) ON \"Sales %\".\"Or\"\"ders\" TO $clone",
            )
            .await;
            shop.in_database(
                &second,
                "GRANT DELETE ON \"Sales %\".audit TO $clone; GRANT SELECT ON \"Sales %\".audit TO PUBLIC, $clone;
                 ALTER DEFAULT PRIVILEGES FOR ROLE $clone GRANT SELECT ON TABLES TO $readers",
            )
            .await;
            shop.arrange("ALTER ROLE $clone CREATEDB; GRANT $owner TO $clone").await;
            let adopt = shop.clone_name();
            shop.configure(&[("ADOPT_USERS", &adopt)]);
            let before = portrait(&shop, &adopt).await;
            let error = shop.refusal().await;
            // A column's INSERT is the table's INSERT, which the first has.
            assert!(
                error.contains("has not: in database") && error.contains("DROP_EXTRA_RIGHTS"),
                "{error}"
            );
            assert!(error.contains("5 (CREATEDB, UPDATE on large object 5"), "{error}");
            assert!(error.contains("2 (DELETE on table") && !error.contains("INSERT"), "{error}");
            assert_eq!(portrait(&shop, &adopt).await, before);
            let answer = shop.stage.ask(Question::Preflight).await;
            assert_eq!(answer["ready"], json!(false));
            assert!(answer["findings"].to_string().contains("DROP_EXTRA_RIGHTS"), "{answer}");
            assert!(shop.plan().await.iter().any(|line| line.contains("in the way: user")));
            shop.configure(&[("ADOPT_USERS", &adopt), ("DROP_EXTRA_RIGHTS", &adopt)]);
            // On 16 and later nobody but who gave it takes it back.
            if !second_in_use && server.version().await >= 16 {
                let error = shop.refusal().await;
                let way_out =
                    format!("REVOKE \"{}\" FROM \"{adopt}\" GRANTED BY \"arranger\"", shop.owner);
                assert!(error.contains(&way_out) && error.contains("NOCREATEDB"), "{error}");
                shop.arrange(error.split_once("have this run: ").unwrap().1).await;
            }
            let mut open = sessions(&server, &shop, "canary-hand").await;
            shop.rotate().await;
            if second_in_use {
                // It is in use: nothing is taken from it yet.
                let held = portrait(&shop, &adopt).await;
                assert!(has(&held, "mapping") && has(&held, "audit DELETE"), "{held:#?}");
                work(&mut open, "").await;
            }
            shop.close().await;
        }
    }
}
