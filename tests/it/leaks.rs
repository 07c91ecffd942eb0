//! No secret value and no token in anything that is printed, logged or kept by the server.

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{ErrorKind, Step};
use serde_json::json;
use sqlx::Row;

use crate::support::postgres::server;
use crate::support::stage::Stage;

/// With log_statement = all, log_min_duration_statement = 0 and pg_stat_statements.
#[tokio::test]
async fn beyond_04_the_server_gets_a_verifier_and_keeps_no_password() {
    let Some(server) = server() else { return };
    let user = server.user("verifier").await;
    let mut document = server.document(&user);
    document["ssl"] = json!(true);
    let stage = Stage::new(&document, &[("TLS_CA_BUNDLE", &server.ca)]);
    let mut passwords = vec![user.password.clone()];
    for _ in 0..2 {
        stage.play(&Step::ALL).await;
        passwords.push(stage.password(AWSCURRENT));
    }
    let log = server.whole_log();
    let changed = format!("ALTER ROLE \"{}\" PASSWORD 'SCRAM-SHA-256$4096:", user.name);
    assert_eq!(log.matches(&changed).count(), 2, "the log would have shown a password");
    let mut connection = server.superuser().await;
    let rows = sqlx::query("SELECT query FROM pg_stat_statements")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let statements: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert!(
        statements.iter().any(|statement| statement.contains(&user.name)),
        "it would have been kept"
    );
    for password in &passwords {
        assert!(!log.contains(password.as_str()));
        assert!(!statements.iter().any(|statement| statement.contains(password.as_str())));
    }
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
        let mut document = good.clone();
        document[field] = value;
        let stage = Stage::new(&document, &[]);
        let token = stage.play(&[Step::Create]).await;
        let ended = stage.step(Step::Set, &token).await;
        let error = ended.result.as_ref().unwrap_err();
        kinds.push(error.kind());
        let printed = format!("{error} {error:?} {error:#?} {:?}", ended.tally);
        for value in ["canary", &user.password, &stage.password(AWSPENDING)] {
            assert!(!printed.contains(value), "{field}: {printed}");
        }
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
