//! Members of a replica set: the primary is found, fails over, and waits for a majority.

use std::time::Duration;

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{ErrorKind, Step};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{CREATE_AND_SET, with};
use crate::support::mongodb::{Server, replica_set, secondary};

/// Held by whoever disturbs the set, or counts on it.
static SET: Mutex<()> = Mutex::const_new(());

async fn is_primary(server: &Server) -> bool {
    let answer = server.ask(&server.arranger, "admin", "admin", json!({"isMaster": 1})).await;
    answer["ok"]["ismaster"] == json!(true)
}

/// Waits until this member is the primary again, and the other one follows.
async fn settle(server: &Server) {
    for _ in 0..600 {
        let status = json!({"replSetGetStatus": 1});
        let answer = server.ask(&server.arranger, "admin", "admin", status).await;
        let members = answer["ok"]["members"].as_array().cloned().unwrap_or_default();
        let all =
            members.iter().filter(|one| [1, 2, 7].contains(&one["state"].as_i64().unwrap_or(0)));
        if all.count() == 3 && is_primary(server).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the set does not settle");
}

fn at(document: &Value, server: &Server) -> Value {
    with(document, "port", server.port)
}

#[tokio::test]
async fn parity_07_the_primary_is_followed_from_a_secondary() {
    let (Some(primary), Some(other)) = (replica_set(), secondary()) else { return };
    let _set = SET.lock().await;
    settle(&primary).await;
    let user = primary.user("seed").await;
    let stage = primary.stage(&at(&primary.document(&user), &other), &[]);
    stage.play(&Step::ALL).await;
    assert!(primary.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
}

/// The name in a secondary's mouth has to be the certificate's, as the secret's has.
#[tokio::test]
async fn parity_07_no_change_is_made_where_the_primary_is_out_of_reach() {
    let (Some(primary), Some(other)) = (replica_set(), secondary()) else { return };
    let _set = SET.lock().await;
    settle(&primary).await;
    let user = primary.user("unreached").await;
    let document = at(&primary.document(&user), &other);
    let stage = primary.stage(&document, &[]);
    let token = stage.play(&[Step::Create]).await;
    primary.signal("set", "-STOP").await;
    let ended = stage.step(Step::Set, &token).await;
    primary.signal("set", "-CONT").await;
    let error = ended.result.as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    settle(&primary).await;
    assert!(primary.logs_in(&user.name, &user.password).await);
    stage.step(Step::Set, &token).await.why();
}

#[tokio::test]
async fn parity_08_where_no_majority_confirms_the_change_may_be_made_and_the_retry_finds_out() {
    let Some(server) = replica_set() else { return };
    let _set = SET.lock().await;
    settle(&server).await;
    let user = server.user("majority").await;
    let stage = server.stage(&server.document(&user), &[]);
    let token = stage.play(&[Step::Create]).await;
    server.signal("other", "-STOP").await;
    let ended = stage.step(Step::Set, &token).await;
    let error = ended.result.as_ref().unwrap_err();
    server.signal("other", "-CONT").await;
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains("majority"), "{error}");
    assert!(!error.to_string().contains("nothing was changed"), "{error}");
    settle(&server).await;
    let retried = stage.step(Step::Set, &token).await;
    assert!(retried.why().contains("already"), "{}", retried.why());
    stage.step(Step::Test, &token).await.why();
}

/// The primary steps down before each step, and the step follows the new one.
#[tokio::test]
async fn a_fail_over_before_any_step_loses_nothing() {
    let (Some(primary), Some(other)) = (replica_set(), secondary()) else { return };
    let _set = SET.lock().await;
    settle(&primary).await;
    let user = primary.user("stepdown").await;
    let stage = primary.stage(&primary.document(&user), &[]);
    let token = stage.begin();
    for step in Step::ALL {
        if step == Step::Set || step == Step::Test {
            let down = json!({"replSetStepDown": 4, "force": true});
            primary.ask(&primary.arranger, "admin", "admin", down).await;
        }
        // An election takes a moment, in which there is no primary: that is said, and a retry goes on.
        for _ in 0..100 {
            match stage.step(step, &token).await.result {
                Ok(_) => break,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    assert!(other.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
    settle(&primary).await;
    assert!(primary.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
}

#[tokio::test]
async fn a_lost_change_is_made_again() {
    let Some(server) = replica_set() else { return };
    let _set = SET.lock().await;
    settle(&server).await;
    let user = server.user("lost").await;
    let stage = server.stage(&server.document(&user), &[]);
    let token = stage.play(&CREATE_AND_SET).await;
    // As after a fail-over that lost it.
    server.arrange(json!({"updateUser": user.name, "pwd": user.password})).await;
    let ended = stage.step(Step::Test, &token).await;
    assert_eq!(ended.result.unwrap_err().kind(), ErrorKind::Rejected);
    stage.step(Step::Set, &token).await.why();
    stage.step(Step::Test, &token).await.why();
    assert!(server.logs_in(&user.name, &stage.password(AWSPENDING)).await);
}
