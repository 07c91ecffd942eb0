//! What the servers log and keep, and what a step's error and tally say.

use std::time::Duration;

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::users::{Attempt, Database as _, Login, driver};
use fourstep::{Deadline, ErrorKind, Invocation, Secret, Step};
use rotate_mysql::Mysql;
use serde_json::json;

use super::{DUAL, with};
use crate::leaks::Planted;
use crate::support::mysql::servers;

/// With the general log, the slow log at 0 seconds and what performance_schema keeps.
#[tokio::test]
async fn beyond_04_no_server_logs_or_keeps_a_password() {
    for server in servers() {
        let mut planted = Planted::default();
        let logs_from_now = server.logs_from_now();
        let user = server.user_with("logged", &planted.new_one("the first password")).await;
        let mut strategies = vec![&[][..]];
        if server.is_mysql() {
            server.alter(&user, "").await;
            strategies.push(&DUAL);
        }
        let mut document = server.document(&user);
        document["note"] = json!(planted.new_one("another field"));
        for strategy in strategies {
            let stage = server.stage(&document, strategy);
            for _ in 0..2 {
                stage.play(&Step::ALL).await;
                planted.add("a password", &stage.password(AWSCURRENT));
                document = stage.document(AWSCURRENT);
            }
            // A rotation that fails: every password is wrong.
            let stage = server.stage(&with(&document, "password", "canary-wrong"), strategy);
            let token = stage.play(&[Step::Create]).await;
            planted.add("a password", &stage.password(AWSPENDING));
            let ended = stage.step(Step::Set, &token).await;
            assert_eq!(ended.result.unwrap_err().kind(), ErrorKind::Rejected);
        }
        let log = logs_from_now.read();
        let change = if server.is_mysql() { "IDENTIFIED BY <secret>" } else { "SET PASSWORD = '*" };
        let changed = log.matches(change).count();
        assert!(changed >= 2, "the log would have shown a password");
        planted.assert_absent("the server's logs", &log);
        if server.is_mysql() {
            let kept = server
                .arrange(
                    "SELECT SQL_TEXT FROM performance_schema.events_statements_history; \
                     SELECT DIGEST_TEXT, QUERY_SAMPLE_TEXT FROM \
                     performance_schema.events_statements_summary_by_digest",
                )
                .await;
            planted.assert_absent("what performance_schema keeps", &kept);
            assert!(kept.contains("ALTER USER"), "it would have been kept");
        }

        // A password that is there is found: MariaDB logs what it is told.
        if !server.is_mysql() {
            let shown = planted.new_one("a password that is shown");
            server
                .arrange(&format!("SET SESSION sql_log_off = 0; SELECT PASSWORD('{shown}')"))
                .await;
            assert!(!planted.found_in(&logs_from_now.read()).is_empty());
        }
    }
}

#[tokio::test]
async fn beyond_11_no_failure_shows_a_value() {
    for server in servers() {
        let user = server.user("failures").await;
        let good = server.document(&user);
        let mut kinds = Vec::new();
        for (field, value) in [
            ("password", json!("canary-wrong")),
            ("host", json!("no-such-host.invalid")),
            ("host", json!("127.0.0.1")),
            ("port", json!(1)),
            ("dbname", json!("missing")),
            ("username", json!("nobody'; --")),
        ] {
            let mut planted = Planted::default();
            planted.add("the user's password", &user.password);
            let document = with(&good, field, value);
            planted.add("the secret's password", document["password"].as_str().unwrap());
            let stage = server.stage(&document, &[]);
            let token = stage.play(&[Step::Create]).await;
            let ended = stage.step(Step::Set, &token).await;
            let error = ended.result.as_ref().unwrap_err();
            kinds.push(error.kind());
            let printed = format!("{error} {error:?} {error:#?} {:?}", ended.stats);
            planted.add("the pending password", &stage.password(AWSPENDING));
            planted.add("the whole secret", &document.to_string());
            planted.assert_absent(field, &printed);
        }
        for kind in
            [ErrorKind::Rejected, ErrorKind::Unreachable, ErrorKind::Forbidden, ErrorKind::Tls]
        {
            assert!(kinds.contains(&kind), "{kind} did not come up: {kinds:?}");
        }
    }
}

#[tokio::test]
async fn rule_12_debug_of_a_session_of_mysql_shows_no_password() {
    for server in servers() {
        let mut planted = Planted::default();
        let user = server.user_with("session", &planted.new_one("the password")).await;
        let secret = Secret::decode(&server.document(&user).to_string().into());
        let mysql = Mysql::read(&server.variables().into_iter().collect()).unwrap();
        let login = Login::read(&secret, mysql.dialect()).unwrap();
        let cx = Invocation::new(Deadline::after(Duration::from_secs(30)));
        let Attempt::Accepted(session) = driver::log_in(&mysql, &login, &cx).await.unwrap() else {
            panic!("the password is right")
        };
        planted.assert_absent("Session", &format!("{session:?} {session:#?} {mysql:#?}"));
    }
}
