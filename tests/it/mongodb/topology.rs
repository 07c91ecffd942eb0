//! Members of a replica set: the primary is found, fails over, waits for a majority, and loses it.

use std::time::Duration;

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{ErrorKind, Step};
use serde_json::{Value, json};

use super::{CREATE_AND_SET, with};
use crate::support::mongodb::{SET, Server, replica_set, secondary};

async fn is_primary(server: &Server) -> bool {
    let answer = server.ask(&server.arranger, "admin", "admin", json!({"isMaster": 1})).await;
    answer["ok"]["ismaster"] == json!(true)
}

/// Waits until this member is the primary again, and the other one follows.
pub async fn settle(server: &Server) {
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
    let _set = SET.write().await;
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
    let _set = SET.write().await;
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
    let _set = SET.write().await;
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
    assert!(retried.why().contains("logged in with AWSPENDING"), "{}", retried.why());
    stage.step(Step::Test, &token).await.why();
}

/// The primary steps down while each step runs, and the step, or its retry, follows the new one.
#[tokio::test]
async fn a_fail_over_in_any_step_loses_nothing() {
    let (Some(primary), Some(other)) = (replica_set(), secondary()) else { return };
    let _set = SET.write().await;
    settle(&primary).await;
    let user = primary.user("stepdown").await;
    let stage = primary.stage(&primary.document(&user), &[]);
    let token = stage.begin();
    for step in Step::ALL {
        settle(&primary).await;
        let down = json!({"replSetStepDown": 4, "force": true});
        let down = primary.ask(&primary.arranger, "admin", "admin", down);
        let (ended, _) = tokio::join!(stage.step(step, &token), down);
        let mut result = ended.result.map(drop);
        // An election takes a moment, in which there is no primary: that is said, and a retry goes on.
        for _ in 0..400 {
            let Err(error) = result else { break };
            assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
            result = stage.step(step, &token).await.result.map(drop);
        }
        result.unwrap();
    }
    settle(&primary).await;
    for server in [&primary, &other] {
        assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
        assert!(!server.logs_in(&user.name, &user.password).await);
    }
}

/// A member that copies nothing: what the primary knows counts, and the change waits for a majority.
#[tokio::test]
async fn a_member_that_lags_is_asked_nothing_but_where_the_primary_is() {
    let (Some(primary), Some(other)) = (replica_set(), secondary()) else { return };
    let _set = SET.write().await;
    settle(&primary).await;
    let user = primary.user("lags").await;
    let stage = primary.stage(&at(&primary.document(&user), &other), &[]);
    let token = stage.play(&[Step::Create]).await;
    let fsync = |command| other.ask(&other.arranger, "admin", "admin", command);
    let locked = fsync(json!({"fsync": 1, "lock": true})).await;
    let ended = stage.step(Step::Set, &token).await;
    let alone = primary.logs_in(&user.name, &stage.password(AWSPENDING)).await;
    let retried = stage.step(Step::Set, &token).await;
    let unlocked = fsync(json!({"fsyncUnlock": 1})).await;
    assert_eq!([&locked, &unlocked].map(|answer| &answer["ok"]["ok"]), [&json!(1.0); 2]);
    // The password logs in at the primary, which may still lose it: the retry waits as well.
    assert!(alone, "the primary made the change");
    for ended in [ended, retried] {
        let error = ended.result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        assert!(error.to_string().contains("majority"), "{error}");
    }
    stage.step(Step::Set, &token).await.why();
    stage.step(Step::Test, &token).await.why();
    stage.step(Step::Finish, &token).await.why();
    settle(&primary).await;
    assert!(other.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
}

/// The primary makes the change alone, and loses it when the others have chosen another one.
#[tokio::test]
async fn a_change_that_a_partition_took_back_is_made_again() {
    let (Some(primary), Some(other)) = (replica_set(), secondary()) else { return };
    let _set = SET.write().await;
    settle(&primary).await;
    let user = primary.user("partition").await;
    let stage = primary.stage(&primary.document(&user), &[]);
    let token = stage.play(&[Step::Create]).await;
    primary.signal("other", "-STOP").await;
    let ended = stage.step(Step::Set, &token).await;
    let alone = primary.logs_in(&user.name, &stage.password(AWSPENDING)).await;
    primary.signal("set", "-STOP").await;
    primary.signal("other", "-CONT").await;
    let mut chosen = false;
    for _ in 0..300 {
        chosen = is_primary(&other).await;
        if chosen {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    primary.signal("set", "-CONT").await;
    assert_eq!(ended.result.unwrap_err().kind(), ErrorKind::Unreachable);
    assert!(alone && chosen, "the primary made it: {alone}, another was chosen: {chosen}");
    settle(&primary).await;
    assert!(primary.logs_in(&user.name, &user.password).await, "the change was not taken back");
    let refused = stage.step(Step::Test, &token).await.result.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rejected, "{refused}");
    for step in [Step::Set, Step::Test, Step::Finish] {
        stage.step(step, &token).await.why();
    }
    assert!(primary.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
}

#[tokio::test]
async fn a_lost_change_is_made_again() {
    let Some(server) = replica_set() else { return };
    let _set = SET.write().await;
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
