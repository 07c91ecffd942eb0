//! Who owns what the two users make.

use std::process::Stdio;

use fourstep::Question;
use fourstep::store::AWSCURRENT;
use sqlx::{ConnectOptions, Connection, Executor};
use tokio::io::AsyncWriteExt;

use super::Shop;
use super::rights::{has, portrait, rotate_and_compare};
use crate::support::postgres::{Server, User, both_versions};

/// Runs a script by psql, as this user.
async fn psql(server: &Server, user: &User, database: &str, script: &str) {
    assert!(psql_status(server, user, database, script).await, "{script}");
}

/// Runs a script by psql, which is not told to stop at errors. Returns whether psql was content.
pub async fn psql_status(server: &Server, user: &User, database: &str, script: &str) -> bool {
    let mut child = tokio::process::Command::new("psql")
        .args(["--no-psqlrc", "--no-password", "--quiet", database])
        .env("PGHOST", &server.host)
        .env("PGPORT", server.port.to_string())
        .env("PGUSER", &user.name)
        .env("PGPASSWORD", &user.password)
        .env("PGSSLMODE", "disable")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(script.as_bytes()).await;
    let output = child.wait_with_output().await.unwrap();
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    output.status.success()
}

/// What the function's plan prints.
pub async fn plan(shop: &Shop) -> Vec<String> {
    let answer = shop.stage.ask(Question::Plan).await;
    let lines = answer["plan"].as_array().unwrap().iter();
    lines.map(|line| line.as_str().unwrap().to_owned()).collect()
}

/// The statements of one part of a plan, or of the part in comments behind it.
pub fn scripts(plan: &[String]) -> [String; 2] {
    let begins = |words: &str| plan.iter().position(|line| line.contains(words)).unwrap();
    let (there, back) = (begins("to its shared owner"), begins(" back; leave"));
    let behind = plan[back + 1..].iter().map_while(|line| line.strip_prefix("--   "));
    [plan[there..back].join("\n"), behind.collect::<Vec<_>>().join("\n")]
}

async fn as_user(shop: &Shop, database: &str, sql: &str) {
    let current = shop.stage.document(AWSCURRENT);
    let text = |field: &str| current[field].as_str().unwrap().to_owned();
    let options = shop.server.options(&text("username"), &text("password"), database);
    let mut connection = options.connect().await.unwrap();
    let run = connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))).await;
    run.unwrap_or_else(|error| panic!("{}: {error}: {sql}", text("username")));
    connection.close().await.unwrap();
}

/// Everything an application does with what it owns, by whoever is in use.
const USE: &str = "INSERT INTO mine.things VALUES (1); SELECT mine.count(); \
    ALTER TABLE mine.things ADD COLUMN IF NOT EXISTS more int; \
    CREATE TABLE IF NOT EXISTS mine.first (a int); ALTER TABLE mine.first ADD COLUMN IF NOT EXISTS b int";

#[tokio::test]
async fn beyond_09_objects_that_either_user_makes_belong_to_both() {
    for server in both_versions() {
        let mut shop = Shop::open(&server, &[]).await;
        for database in &shop.databases {
            shop.in_database(
                database,
                "SET ROLE $app; CREATE SCHEMA mine; CREATE TABLE mine.things (a serial);
                 CREATE FUNCTION mine.count() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM mine.things'",
            )
            .await;
        }
        // Without a shared owner nothing is changed: the second user could do nothing with all that.
        let error = shop.refusal().await;
        assert!(error.contains("owns objects") && error.contains("SHARED_OWNER"), "{error}");
        let shared = format!("{} shared", shop.app.name);
        let setting = format!("{}={shared}", shop.app.name);
        shop.configure(&[("SHARED_OWNER", &setting)]);
        assert!(shop.refusal().await.contains("plan"));
        // What the admin needs to move objects: as docs/shared-owner.md says.
        if server.version().await < 15 {
            panic!("these scripts were tried from version 15 on");
        }
        for database in &shop.databases {
            shop.in_database(database, "GRANT CREATE ON DATABASE $database TO $admin").await;
        }
        let [there, back] = scripts(&plan(&shop).await);
        let first = shop.databases[0].clone();
        psql(&server, &shop.admin, &first, &there).await;
        // The application works as before, then rotates four times.
        for database in &shop.databases {
            as_user(&shop, database, USE).await;
        }
        for round in 1..=4 {
            rotate_and_compare(&shop, &format!("round {round}")).await;
            for database in &shop.databases {
                as_user(&shop, database, USE).await;
                let made = format!("CREATE TABLE mine.round{round} (a int)");
                as_user(&shop, database, &made).await;
                for earlier in 1..=round {
                    let alter = format!("ALTER TABLE mine.round{earlier} ADD COLUMN r{round} int");
                    as_user(&shop, database, &alter).await;
                }
                as_user(
                    &shop,
                    database,
                    "INSERT INTO \"Sales %\".\"Or\"\"ders\" (total) VALUES (1)",
                )
                .await;
            }
        }
        // And back. After four rotations the first user is in use again.
        psql(&server, &shop.admin, &first, &back).await;
        // The second user, which the plan knew before it was made, acts as itself again too.
        for user in [shop.app.name.clone(), shop.clone_name()] {
            assert!(!has(&portrait(&shop, &user).await, "role="), "{user}");
        }
        shop.configure(&[("ROTATION_STRATEGY", "single-user")]);
        shop.rotate().await;
        for database in &shop.databases {
            as_user(&shop, database, USE).await;
            as_user(&shop, database, "ALTER TABLE mine.round3 ADD COLUMN back int").await;
        }
        shop.close().await;
    }
}
