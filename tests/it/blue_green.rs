//! Blue/green deployments, on real PostgreSQL 15 and 18. RDS is not here: its slots, subscriptions, users and
//! Aurora's function are made by hand in a database of the test's own, and the RDS API is moto's.

use std::process::Stdio;

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{ErrorKind, Question, Step};
use tokio::process::Command;

use crate::alternating::Shop;
use crate::rds::Account;
use crate::support::postgres::{Server, both_versions, server};

const STRATEGIES: [&str; 3] = ["single-user", "single-user-by-admin", "alternating-users"];

/// A shop whose database has a slot that no deployment made, as for change data capture.
pub async fn captured(server: &Server) -> Shop {
    let shop = Shop::bare(server, "app", &[]).await;
    slot(&shop, "cdc").await;
    shop
}

/// The name of something that is for one shop, beginning so.
fn called(shop: &Shop, stem: &str) -> String {
    format!("{stem}_{}", shop.app.name)
}

async fn run(shop: &Shop, sql: &str) {
    shop.server.arrange_in(&shop.databases[0], sql).await;
}

pub async fn slot(shop: &Shop, stem: &str) {
    let name = called(shop, stem);
    run(shop, &format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')")).await;
}

pub async fn drop_slot(shop: &Shop, stem: &str) {
    run(shop, &format!("SELECT pg_drop_replication_slot('{}')", called(shop, stem))).await;
}

/// Has the function follow this strategy, with these variables.
pub fn follow(shop: &mut Shop, strategy: &str, variables: &[(&str, &str)]) {
    let all = [&[("ROTATION_STRATEGY", strategy)], variables].concat();
    shop.stage.rotator = rotate_postgres::strategies(&all.into_iter().collect()).unwrap();
}

/// A rotation that is refused in this step with these words, and nothing changed, nor stored where that is
/// createSecret; and preflight says the same.
async fn refused(shop: &Shop, step: Step, words: &[&str]) {
    let answer = shop.stage.ask(Question::Preflight).await;
    assert_eq!(answer["ready"], false, "{answer}");
    let token = shop.stage.begin();
    let mut ended = shop.stage.step(Step::Create, &token).await;
    if step == Step::Create {
        assert_eq!(shop.stage.try_text(AWSPENDING), None, "nothing may be stored");
    } else {
        ended.why();
        ended = shop.stage.step(step, &token).await;
    }
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Unsupported);
    for word in words {
        assert!(ended.error().contains(word), "{step:?}: {word}: {}", ended.error());
        assert!(answer["findings"].to_string().contains(word), "{step:?}: {word}: {answer}");
    }
    assert!(shop.logs_in(&shop.stage.document(AWSCURRENT)).await);
    shop.stage.cancel();
}

#[tokio::test]
async fn nothing_is_changed_on_blue_until_the_deployment_is_over() {
    for server in both_versions() {
        let mut shop = captured(&server).await;
        for strategy in STRATEGIES {
            follow(&mut shop, strategy, &[]);
            // Somebody's own slot is in nobody's way, and is told.
            let answer = shop.stage.ask(Question::Preflight).await;
            assert_eq!(answer["ready"], true, "{strategy}: {answer}");
            assert!(
                answer["findings"].to_string().contains("logical replication slot"),
                "{answer}"
            );
            assert!(shop.logs_in(&shop.rotate().await).await, "{strategy}");

            slot(&shop, "rds").await;
            let words = ["blue side", "until the deployment is switched over or deleted"];
            // With two users the admin is asked beforehand.
            let first = strategy == "alternating-users";
            let step = if first { Step::Create } else { Step::Set };
            refused(&shop, step, &[&words[..], &["set ALLOW_BLUE_GREEN"]].concat()).await;

            follow(&mut shop, strategy, &[("ALLOW_BLUE_GREEN", "true")]);
            let token = shop.stage.play(&[Step::Create]).await;
            let ended = shop.stage.step(Step::Set, &token).await;
            ended.why();
            let warned =
                |one: &String| one.contains("blue side") && one.contains("ALLOW_BLUE_GREEN is set");
            assert!(ended.stats.warnings.iter().any(warned), "{:?}", ended.stats.warnings);
            for step in [Step::Test, Step::Finish] {
                shop.stage.step(step, &token).await.why();
            }
            shop.stage.end(&token);

            follow(&mut shop, strategy, &[]);
            drop_slot(&shop, "rds").await;
            assert!(shop.logs_in(&shop.rotate().await).await, "{strategy}");
        }
        drop_slot(&shop, "cdc").await;
        shop.close().await;
    }
}

#[tokio::test]
async fn green_is_told_by_name() {
    for server in both_versions() {
        let mut shop = Shop::bare(&server, "app", &[]).await;
        follow(&mut shop, "single-user", &[]);
        let subscribe = |stem: &str| {
            let name = called(&shop, stem);
            format!(
                "CREATE SUBSCRIPTION {name} CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false)"
            )
        };
        run(&shop, &subscribe("copy")).await;
        shop.rotate().await;
        run(&shop, &subscribe("rds")).await;
        refused(&shop, Step::Set, &["green side", "name the blue side"]).await;
        for stem in ["copy", "rds"] {
            let name = called(&shop, stem);
            run(&shop, &format!("ALTER SUBSCRIPTION {name} SET (slot_name = NONE)")).await;
            run(&shop, &format!("DROP SUBSCRIPTION {name}")).await;
        }
        shop.close().await;
    }
}

/// Whatever the slot is called, if it is RDS that reads it.
#[tokio::test]
async fn a_slot_that_rds_reads_is_a_deployments() {
    let Some(server) = server() else { return };
    let mut shop = captured(&server).await;
    follow(&mut shop, "single-user", &[]);
    server
        .arrange("DO $$ BEGIN CREATE ROLE rdsrepladmin; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$")
        .await;
    server
        .arrange_quietly("ALTER ROLE rdsrepladmin LOGIN REPLICATION PASSWORD 'canary-reader'")
        .await;
    let mut reader = Command::new("pg_recvlogical")
        .args(["--start", "--file=-", "--option=proto_version=1", "--option=publication_names=p"])
        .arg(format!("--slot={}", called(&shop, "cdc")))
        .arg(format!("--dbname={}", shop.databases[0]))
        .args([format!("--host={}", server.host), format!("--port={}", server.port)])
        .args(["--username=rdsrepladmin", "--no-password"])
        .env("PGPASSWORD", "canary-reader")
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let user =
        crate::support::postgres::User { name: "rdsrepladmin".to_owned(), password: String::new() };
    server.wait_for_session(&user, "backend_type = 'walsender'").await;
    // A session comes before the slot that it takes.
    slot_becomes(&shop, true).await;
    refused(&shop, Step::Set, &["blue side"]).await;
    reader.kill().await.unwrap();
    server.arrange("ALTER ROLE rdsrepladmin NOLOGIN").await;
    slot_becomes(&shop, false).await;
    shop.rotate().await;
    drop_slot(&shop, "cdc").await;
    shop.close().await;
}

/// Waits until the slot is read, or until it no longer is.
async fn slot_becomes(shop: &Shop, active: bool) {
    let wait = format!(
        "DO $$ BEGIN FOR i IN 1..600 LOOP
           EXIT WHEN EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '{}' AND active = {active});
           PERFORM pg_sleep(0.1);
         END LOOP; END $$",
        called(shop, "cdc")
    );
    run(shop, &wait).await;
}

/// What Aurora's own function says of it goes before everything else.
#[tokio::test]
async fn aurora_tells_of_its_deployment_itself() {
    for server in both_versions() {
        let mut shop = captured(&server).await;
        let name = "blue.cluster-abc.us-east-1.rds.amazonaws.com";
        let alias = format!("{}:{}={name}:5432", server.host, server.port);
        // Nobody listens there, and nobody is asked.
        let variables =
            [("AWS_ENDPOINT_URL_RDS", "http://127.0.0.1:1"), ("SAME_DATABASE_HOSTS", &alias)];
        follow(&mut shop, "single-user", &variables);
        let answers = |status: &str, [source, target]: [&str; 2]| {
            format!(
                "SET allow_system_table_mods = on; \
                 CREATE OR REPLACE FUNCTION pg_catalog.get_blue_green_fast_switchover_metadata(text) \
                 RETURNS TABLE (role text, status text, endpoint text) LANGUAGE sql AS \
                 $$ VALUES ('BLUE_GREEN_DEPLOYMENT_SOURCE', '{status}', '{source}'), \
                 ('BLUE_GREEN_DEPLOYMENT_TARGET', '{status}', '{target}') $$"
            )
        };
        run(&shop, &answers("AVAILABLE", [name, "green.example"])).await;
        refused(&shop, Step::Create, &["blue side", "AVAILABLE", "Aurora"]).await;
        run(&shop, &answers("SWITCHOVER_IN_PROGRESS", ["other.example", name])).await;
        refused(&shop, Step::Create, &["green side", "SWITCHOVER_IN_PROGRESS"]).await;
        // What RDS has named is still there for a while.
        slot(&shop, "rds").await;
        run(&shop, &answers("SWITCHOVER_COMPLETED", [name, "green.example"])).await;
        shop.rotate().await;
        for stem in ["rds", "cdc"] {
            drop_slot(&shop, stem).await;
        }
        shop.close().await;
    }
}

/// The API knows whose a slot is.
#[tokio::test]
async fn the_rds_api_tells_a_deployment_from_somebody_elses_slot() {
    let Some(account) = Account::new().await else { return };
    let Some(server) = server() else { return };
    let mut shop = captured(&server).await;
    let (host, arn) = account.instance("one", None).await;
    let alias = format!("{}:{}={host}:5432", server.host, server.port);
    let known = ("SAME_DATABASE_HOSTS", alias.as_str());
    follow(&mut shop, "single-user", &[("AWS_ENDPOINT_URL_RDS", &account.url), known]);
    // Named as RDS's, but the API knows of no deployment.
    slot(&shop, "rds").await;
    shop.rotate().await;
    drop_slot(&shop, "rds").await;

    let create = account.client.create_blue_green_deployment();
    let create = create.blue_green_deployment_name(format!("{}-bg", account.name)).source(&arn);
    let made = create.send().await.unwrap().blue_green_deployment.unwrap();
    let id = made.blue_green_deployment_identifier.unwrap();
    refused(&shop, Step::Create, &["blue side", &id, "is AVAILABLE", "the RDS API says"]).await;

    // Where it cannot be asked, the names decide, and why it was not asked is told.
    follow(&mut shop, "single-user", &[("AWS_ENDPOINT_URL_RDS", "http://127.0.0.1:1"), known]);
    let answer = shop.stage.ask(Question::Preflight).await;
    assert_eq!(answer["ready"], true, "{answer}");
    assert!(answer["findings"].to_string().contains("the RDS API does not tell"), "{answer}");
    shop.rotate().await;
    slot(&shop, "rds").await;
    refused(&shop, Step::Create, &["blue side", "the RDS API does not tell"]).await;
    drop_slot(&shop, "rds").await;

    follow(&mut shop, "single-user", &[("AWS_ENDPOINT_URL_RDS", &account.url), known]);
    let switch = account.client.switchover_blue_green_deployment();
    switch.blue_green_deployment_identifier(&id).send().await.unwrap();
    shop.rotate().await;
    drop_slot(&shop, "cdc").await;
    shop.close().await;
}
