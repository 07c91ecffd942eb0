//! What the servers log, and what a step's error and tally say.

use std::time::Duration;

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::users::{Attempt, Database as _, Login, driver};
use fourstep::{Deadline, ErrorKind, Invocation, Secret, Step};
use rotate_mongodb::Mongodb;
use serde_json::json;

use super::with;
use crate::every_server::no_failure_shows_a_value;
use crate::leaks::Planted;
use crate::support::mongodb::{SET, servers};

/// The servers log each command at this level.
#[tokio::test]
async fn beyond_04_no_server_logs_a_password() {
    let _undisturbed = SET.read().await;
    for server in servers() {
        let mut planted = Planted::default();
        let logs_from_now = server.logs_from_now();
        let mut user = server.user("logged").await;
        user.password = planted.new_one("the first password");
        server.arrange(json!({"updateUser": user.name, "pwd": user.password})).await;
        let mut document = server.document(&user);
        document["note"] = json!(planted.new_one("another field"));
        let stage = server.stage(&document, &[]);
        for _ in 0..2 {
            stage.play(&Step::ALL).await;
            planted.add("a password", &stage.password(AWSCURRENT));
        }
        let document = with(&stage.document(AWSCURRENT), "password", "canary-wrong");
        let stage = server.stage(&document, &[]);
        let token = stage.play(&[Step::Create]).await;
        planted.add("a password", &stage.password(AWSPENDING));
        assert!(stage.step(Step::Set, &token).await.result.is_err());
        let log = logs_from_now.read();
        assert!(
            log.contains("updateUser") && log.contains(&user.name),
            "it would have been logged"
        );
        planted.assert_absent("the server's logs", &log);
    }
}

#[tokio::test]
async fn beyond_11_no_failure_shows_a_value() {
    let _undisturbed = SET.read().await;
    for server in servers() {
        let changes = [
            ("password", json!("canary-wrong")),
            ("host", json!("no-such-host.invalid")),
            ("host", json!("127.0.0.1")),
            ("port", json!(1)),
            ("dbname", json!("$external")),
            ("username", json!("nobody,r='")),
        ];
        let (kinds, _) = no_failure_shows_a_value(&server, changes).await;
        use ErrorKind::{Rejected, Tls, Unreachable, Unsupported};
        assert_eq!(kinds, [Rejected, Unreachable, Tls, Unreachable, Unsupported, Rejected]);
    }
}

#[tokio::test]
async fn rule_12_debug_of_a_session_of_mongodb_shows_no_password() {
    let _undisturbed = SET.read().await;
    for server in servers() {
        let mut planted = Planted::default();
        let user = server.user("session").await;
        planted.add("the password", &user.password);
        let secret = Secret::decode(&server.document(&user).to_string().into());
        let mongodb = Mongodb::read(&server.variables().into_iter().collect()).unwrap();
        let login = Login::read(&secret, mongodb.dialect()).unwrap();
        let cx = Invocation::new(Deadline::after(Duration::from_secs(30)));
        let Attempt::Accepted(session) = driver::log_in(&mongodb, &login, &cx).await.unwrap()
        else {
            panic!("the password is right")
        };
        planted.assert_absent("Session", &format!("{session:?} {session:#?} {mongodb:#?}"));
    }
}
