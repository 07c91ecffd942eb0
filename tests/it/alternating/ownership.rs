//! Who owns what the two users make.

use fourstep::Step;
use fourstep::store::{AWSCURRENT, AWSPREVIOUS};
use sqlx::{Connection, Executor};

use super::Shop;
use super::rights::{assert_one, has, portrait, rotate_and_compare};
use crate::support::postgres::both_versions;

/// Everything an application does with what it owns, by whoever is in use.
const USE: &str = "INSERT INTO mine.things VALUES (1); SELECT mine.count(); \
    ALTER TABLE mine.things ADD COLUMN IF NOT EXISTS more int; \
    CREATE TABLE IF NOT EXISTS mine.first (a int); ALTER TABLE mine.first ADD COLUMN IF NOT EXISTS b int";

const MINE: &str = "SET ROLE $who; CREATE SCHEMA mine; CREATE TABLE mine.things (a serial);
    CREATE FUNCTION mine.count() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM mine.things'";

/// Four rounds in which either login makes things and alters what was made before; every third question
/// resets the session, as a pool does.
async fn work_for_four_rounds(shop: &Shop) {
    for round in 1..=4 {
        rotate_and_compare(shop, &format!("round {round}")).await;
        for database in &shop.databases {
            for (label, suffix) in [(AWSCURRENT, "a"), (AWSPREVIOUS, "b")] {
                shop.as_user(label, database, USE).await;
                let mut pooled = shop.session(label, database).await;
                let make = format!("CREATE TABLE mine.r{round}{suffix} (a int)");
                for sql in ["DISCARD ALL", "RESET ROLE", make.as_str()] {
                    pooled
                        .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())))
                        .await
                        .unwrap();
                }
                pooled.close().await.unwrap();
                for earlier in 1..=round {
                    let alter =
                        format!("ALTER TABLE mine.r{earlier}a ADD COLUMN r{round}{suffix} int");
                    shop.as_user(label, database, &alter).await;
                }
                let order = "INSERT INTO \"Sales %\".\"Or\"\"ders\" (total) VALUES (1)";
                shop.as_user(label, database, order).await;
            }
        }
    }
}

/// The common case: a migration tool logs in as the application. Nothing is configured.
#[tokio::test]
async fn beyond_09_objects_that_either_user_makes_belong_to_both() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        for database in &shop.databases {
            shop.in_database(database, &MINE.replace("$who", "$app")).await;
        }
        work_for_four_rounds(&shop).await;
        let second = portrait(&shop, &shop.clone_name()).await;
        assert!(!has(&second, "owns"), "{second:#?}");
        shop.close().await;
    }
}

/// What `SHARED_OWNER` made, and what AWS's users do by hand: the first acts as another role, so the
/// second does too. In one database it is another, which is followed as well.
#[tokio::test]
async fn beyond_09_a_role_that_the_first_user_acts_as_is_found_and_followed() {
    for server in both_versions() {
        let mut shop = Shop::open(&server, &[]).await;
        let shared = format!("{} shared", shop.app.name);
        shop.arrange(&format!(
            "CREATE ROLE \"{shared}\"; GRANT \"{shared}\", $owner TO $app;
             ALTER ROLE $app SET role = \"{shared}\";
             ALTER ROLE $app IN DATABASE $second SET role = $owner"
        ))
        .await;
        // As before: a function that has the setting still goes on.
        shop.configure(&[("SHARED_OWNER", &format!("{}={shared}", shop.app.name))]);
        let [first, second] = &shop.databases;
        for (database, who) in [(first, shared.as_str()), (second, shop.owner.as_str())] {
            let sales = "GRANT USAGE, CREATE ON SCHEMA \"Sales %\" TO $who;
                GRANT ALL ON ALL TABLES IN SCHEMA \"Sales %\" TO $who;
                GRANT ALL ON ALL SEQUENCES IN SCHEMA \"Sales %\" TO $who;
                GRANT CREATE ON DATABASE $database TO $who; ";
            let sql = format!("{sales}{MINE}").replace("$who", &format!("\"{who}\""));
            shop.in_database(database, &sql).await;
        }
        work_for_four_rounds(&shop).await;
        for label in [AWSCURRENT, AWSPREVIOUS] {
            let who = "SELECT current_user::text";
            assert_eq!(shop.asks(label, first, who).await, shared);
            assert_eq!(shop.asks(label, second, who).await, shop.owner);
        }
        shop.close().await;
    }
}

/// A session of the second from before it acted as the first goes on as itself. What it makes is handed
/// over by the next rotation, without a moment in which it has less.
#[tokio::test]
async fn what_the_second_makes_as_itself_is_handed_over_at_either_turn() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        rotate_and_compare(&shop, "made").await;
        let [first, second] = &shop.databases;
        for turn in ["first", "second"] {
            let mut open = Vec::new();
            for database in [first, second] {
                let label = if turn == "first" { AWSCURRENT } else { AWSPREVIOUS };
                let mut session = shop.session(label, database).await;
                // As before the rotation that made the pair one.
                session.execute("SET ROLE NONE; SET search_path = \"Sales %\"").await.unwrap();
                let make = format!(
                    "CREATE TABLE late_{turn} (a int); CREATE TYPE kind_{turn} AS ENUM ('a');
                     CREATE FUNCTION f_{turn}() RETURNS int LANGUAGE sql AS 'SELECT 1';
                     SELECT lo_create(7{}); CREATE TEMPORARY TABLE passing (a int)",
                    turn.len()
                );
                session.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(make))).await.unwrap();
                open.push(session);
            }
            let owned = portrait(&shop, &shop.clone_name()).await;
            assert!(has(&owned, "owns"), "{owned:#?}");
            shop.rotate().await;
            assert_one(&shop, turn).await;
            for (mut session, database) in open.into_iter().zip([first, second]) {
                let goes_on = format!(
                    "INSERT INTO late_{turn} VALUES (1); SELECT f_{turn}(); INSERT INTO passing VALUES (1)"
                );
                session.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(goes_on))).await.unwrap();
                session.close().await.unwrap();
                for label in [AWSCURRENT, AWSPREVIOUS] {
                    let alter = format!(
                        "ALTER TABLE \"Sales %\".late_{turn} ADD COLUMN IF NOT EXISTS b int"
                    );
                    shop.as_user(label, database, &alter).await;
                }
            }
        }
        shop.close().await;
    }
}

/// REASSIGN OWNED may wait for a table. What the second makes meanwhile would be dropped by DROP OWNED.
#[tokio::test]
async fn what_is_made_while_things_are_handed_over_is_not_lost() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        shop.rotate().await;
        shop.rotate().await;
        let [first, _] = &shop.databases;
        let mut maker = shop.session(AWSPREVIOUS, first).await;
        maker
            .execute("SET ROLE NONE; SET search_path = \"Sales %\"; CREATE TABLE early (a int)")
            .await
            .unwrap();
        let mut reader = server.superuser_in(first).await;
        reader.execute("BEGIN; SELECT * FROM \"Sales %\".early").await.unwrap();
        let token = shop.stage.play(&[Step::Create]).await;
        let mut error = String::new();
        // The hand-over waits for less than a second, in which a busy machine may not get this far.
        for _ in 0..5 {
            let over = std::cell::Cell::new(false);
            let step = async {
                let ended = shop.stage.step(Step::Set, &token).await;
                over.set(true);
                ended
            };
            let meanwhile = async {
                let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'early'::regclass";
                let mut count: i64 = 0;
                while count == 0 && !over.get() {
                    count = sqlx::query_scalar(waits).fetch_one(&mut maker).await.unwrap();
                }
                let make = "CREATE TABLE meanwhile (a int); INSERT INTO meanwhile VALUES (1)";
                maker.execute(make).await.unwrap();
                reader.execute("COMMIT").await.unwrap();
            };
            let (ended, ()) = tokio::join!(step, meanwhile);
            error = ended.error();
            if error.contains("made something meanwhile") {
                break;
            }
            maker.execute("DROP TABLE meanwhile").await.unwrap();
            reader.execute("BEGIN; SELECT * FROM \"Sales %\".early").await.unwrap();
        }
        assert!(error.contains("made something meanwhile") && error.contains("retry"), "{error}");
        maker.execute("SELECT * FROM meanwhile").await.unwrap();
        for step in [Step::Set, Step::Test, Step::Finish] {
            shop.stage.step(step, &token).await.why();
        }
        shop.as_user(AWSCURRENT, first, "ALTER TABLE \"Sales %\".meanwhile ADD COLUMN b int").await;
        shop.close().await;
    }
}
