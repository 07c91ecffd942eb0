//! What the server is told, and what a step's error and tally say.

use std::time::Duration;

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::users::{Attempt, Database as _, Login, driver};
use fourstep::{Deadline, ErrorKind, Invocation, Secret, Step};
use rotate_sqlserver::Sqlserver;
use serde_json::json;

use super::with;
use crate::every_server::no_failure_shows_a_value;
use crate::leaks::Planted;
use crate::support::sqlserver::{User, sqlserver};

/// A server is told passwords in the login and in the statement that changes one, which a real server
/// masks where it traces statements; in nothing else.
#[tokio::test]
async fn beyond_04_a_password_is_in_the_one_statement_that_sets_it() {
    let Some(server) = sqlserver().await else { return };
    let mut planted = Planted::default();
    let (user, inside, admin) =
        (server.user("told").await, server.contained_user("inside").await, server.admin().await);
    for user in [&user, &inside, &admin] {
        planted.add("a first password", &user.password);
    }
    let by_admin = server.by_admin(&server.document(&user), &server.document(&admin), &[]);
    by_admin.play(&Step::ALL).await;
    let password = by_admin.password(AWSCURRENT);
    planted.add("the admin's", &password);
    let own = server.stage(&server.document(&User { password, ..user }), &[]);
    let contained = server.stage(&server.contained_document(&inside), &[]);
    for stage in [own, contained] {
        stage.play(&Step::ALL).await;
        planted.add("a password", &stage.password(AWSCURRENT));
        let stage =
            server.stage(&with(&stage.document(AWSCURRENT), "password", "canary-wrong"), &[]);
        let token = stage.play(&[Step::Create]).await;
        planted.add("a pending one", &stage.password(AWSPENDING));
        assert!(stage.step(Step::Set, &token).await.result.is_err());
    }
    let heard = server.heard().await;
    let (changes, others): (Vec<_>, Vec<_>) =
        heard.lines().partition(|line| line.starts_with("ALTER "));
    assert_eq!(changes.len(), 3, "{changes:?}");
    assert!(changes.iter().all(|change| !planted.found_in(change).is_empty()));
    assert!(others.len() > 20, "{heard}");
    planted.assert_absent("what the server was told besides", &others.join("\n"));
}

#[tokio::test]
async fn beyond_11_no_failure_shows_a_value() {
    let Some(server) = sqlserver().await else { return };
    let changes = [
        ("password", json!("canary-wrong")),
        ("host", json!("no-such-host.invalid")),
        ("host", json!("127.0.0.1")),
        ("port", json!(1)),
        ("dbname", json!("nowhere")),
        ("username", json!("nobody];--'")),
    ];
    let (kinds, printed) = no_failure_shows_a_value(&server, changes).await;
    // What the server itself says of a failure is not passed on.
    assert!(!printed.contains("Login failed for user"), "{printed}");
    use ErrorKind::{Forbidden, Rejected, Tls, Unreachable};
    assert_eq!(kinds, [Rejected, Unreachable, Tls, Unreachable, Forbidden, Rejected]);
}

/// An error at the change itself, whose statement the server could quote.
#[tokio::test]
async fn beyond_11_no_failed_change_shows_its_statement() {
    let Some(server) = sqlserver().await else { return };
    for number in [102, 1222, 3609, 15114, 15118, 15151, 50000] {
        let mut planted = Planted::default();
        let user = server.user("failures").await;
        planted.add("the user's password", &user.password);
        let stage = server.stage(&server.document(&user), &[]);
        let token = stage.play(&[Step::Create]).await;
        planted.add("the pending one", &stage.password(AWSPENDING));
        server.trap("ALTER LOGIN", "fail", json!({"number": number, "once": true})).await;
        let ended = stage.step(Step::Set, &token).await;
        let error = ended.result.as_ref().unwrap_err();
        planted.assert_absent("the change", &format!("{error} {error:?} {:?}", ended.stats));
        assert!(!error.to_string().contains("As the test wants it"), "{error}");
    }
}

#[tokio::test]
async fn rule_12_debug_of_a_session_of_sql_server_shows_no_password() {
    let Some(server) = sqlserver().await else { return };
    let mut planted = Planted::default();
    let user = server.user("session").await;
    planted.add("the password", &user.password);
    let secret = Secret::decode(&server.document(&user).to_string().into());
    let sqlserver = Sqlserver::read(&server.variables().into_iter().collect()).unwrap();
    let login = Login::read(&secret, sqlserver.dialect()).unwrap();
    let cx = Invocation::new(Deadline::after(Duration::from_secs(30)));
    let Attempt::Accepted(session) = driver::log_in(&sqlserver, &login, &cx).await.unwrap() else {
        panic!("the password is right")
    };
    planted.assert_absent("Session", &format!("{session:?} {session:#?} {sqlserver:#?}"));
}
