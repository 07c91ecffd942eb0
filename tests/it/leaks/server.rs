//! What the server logs and keeps, and what a step's error and tally say.

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{ErrorKind, Step};
use serde_json::json;
use sqlx::Row;

use super::Planted;
use crate::support::postgres::server;
use crate::support::stage::Stage;

/// With log_statement = all, log_min_duration_statement = 0 and pg_stat_statements.
#[tokio::test]
async fn beyond_04_the_server_gets_a_verifier_and_keeps_no_password() {
    let Some(server) = server() else { return };
    for (setting, value) in [
        ("log_statement", "all"),
        ("log_min_duration_statement", "0"),
        ("pg_stat_statements.track_utility", "on"),
    ] {
        assert_eq!(server.setting(setting).await, value, "{setting}");
    }
    let start = server.log_length();
    let mut planted = Planted::default();
    let user = server.user_with("verifier", &planted.new_one("the first password")).await;
    let mut document = server.document(&user);
    document["ssl"] = json!(true);
    document["note"] = json!(planted.new_one("another field"));
    let stage = Stage::new(&document, &[("TLS_CA_BUNDLE", &server.ca)]);
    for _ in 0..2 {
        planted.add("a whole secret", &stage.text(AWSCURRENT));
        stage.play(&Step::ALL).await;
        planted.add("a password", &stage.password(AWSCURRENT));
    }
    // A rotation that fails: both passwords are wrong by now.
    let elsewhere = planted.new_one("a password from elsewhere");
    let change = format!("ALTER ROLE \"{}\" PASSWORD '{elsewhere}'", user.name);
    server.arrange_quietly(&change).await;
    let token = stage.play(&[Step::Create]).await;
    planted.add("a password", &stage.password(AWSPENDING));
    assert_eq!(stage.step(Step::Set, &token).await.result.unwrap_err().kind(), ErrorKind::Rejected);

    let log = server.log_since(start);
    let changed = format!("ALTER ROLE \"{}\" PASSWORD 'SCRAM-SHA-256$4096:", user.name);
    assert_eq!(log.matches(&changed).count(), 2, "the log would have shown a password");
    let kept = server.kept_statements().await;
    assert!(kept.contains(&user.name), "it would have been kept");
    planted.assert_absent("the server's log", &log);
    planted.assert_absent("pg_stat_statements", &kept);

    // The same statement with the password itself is found in both.
    server.arrange(&change).await;
    assert!(!planted.found_in(&server.log_since(start)).is_empty());
    assert!(!planted.found_in(&server.kept_statements().await).is_empty());

    let mut connection = server.superuser().await;
    let stored: String = sqlx::query("SELECT rolpassword FROM pg_authid WHERE rolname = $1")
        .bind(&user.name)
        .fetch_one(&mut connection)
        .await
        .unwrap()
        .get(0);
    assert!(stored.starts_with("SCRAM-SHA-256$4096:"));
}

#[tokio::test]
async fn beyond_11_no_failure_shows_a_value() {
    let Some(server) = server() else { return };
    let user = server.user("failures").await;
    let good = server.document(&user);
    let mut kinds = Vec::new();
    for (field, value) in [
        ("password", json!("canary-wrong")),
        ("host", json!("no-such-host.invalid")),
        ("port", json!(1)),
        ("dbname", json!("nohba")),
        ("dbname", json!("missing")),
        ("ssl", json!(true)),
        ("username", json!("nobody'; --")),
    ] {
        let mut planted = Planted::default();
        planted.add("the user's password", &user.password);
        let mut document = good.clone();
        document[field] = value;
        planted.add("the secret's password", document["password"].as_str().unwrap());
        let stage = Stage::new(&document, &[]);
        let token = stage.play(&[Step::Create]).await;
        let ended = stage.step(Step::Set, &token).await;
        let error = ended.result.as_ref().unwrap_err();
        kinds.push(error.kind());
        let printed = format!("{error} {error:?} {error:#?} {:?}", ended.stats);
        planted.add("the pending password", &stage.password(AWSPENDING));
        planted.add("the whole secret", &document.to_string());
        planted.assert_absent(field, &printed);
    }
    for kind in [
        ErrorKind::Rejected,
        ErrorKind::Unreachable,
        ErrorKind::Forbidden,
        ErrorKind::NotFound,
        ErrorKind::Tls,
    ] {
        assert!(kinds.contains(&kind), "{kind} did not come up: {kinds:?}");
    }
}
