//! Two containers, one that is late, and a connection that ends: what the lock and the comparison are for.

use std::time::Duration;

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{ErrorKind, Step};
use serde_json::json;

use super::CREATE_AND_SET;
use crate::support::sqlserver::{Server, User, sqlserver};
use crate::support::stage::Stage;

/// A stage for each way in which a password is changed, with its database.
async fn stages(server: &Server) -> Vec<(User, &'static str, Stage)> {
    let (own, set) = (server.user("own").await, server.user("set").await);
    let (inside, admin) = (server.contained_user("inside").await, server.admin().await);
    let by_admin = server.by_admin(&server.document(&set), &server.document(&admin), &[]);
    let (single, contained) = (
        server.stage(&server.document(&own), &[]),
        server.stage(&server.contained_document(&inside), &[]),
    );
    vec![(own, "master", single), (inside, "own", contained), (set, "master", by_admin)]
}

#[tokio::test]
async fn two_containers_make_one_change() {
    let Some(server) = sqlserver().await else { return };
    for (user, database, stage) in stages(&server).await {
        let token = stage.play(&[Step::Create]).await;
        let other = stage.beside();
        server.trap("WITH PASSWORD", "wait", json!({"seconds": 0.4, "once": true})).await;
        let (one, two) = tokio::join!(stage.step(Step::Set, &token), other.step(Step::Set, &token));
        for ended in [one, two] {
            if let Err(error) = ended.result {
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
            }
        }
        stage.step(Step::Set, &token).await.why();
        stage.step(Step::Test, &token).await.why();
        assert!(server.logs_in_at(database, &user.name, &stage.password(AWSPENDING)).await);
    }
}

#[tokio::test]
async fn a_lock_that_another_session_has_is_a_conflict() {
    let Some(server) = sqlserver().await else { return };
    for (user, database, mut stage) in stages(&server).await {
        let token = stage.play(&[Step::Create]).await;
        let kind = if database == "own" { "user" } else { "login" };
        let name = format!("fourstep:{kind}:{}", user.name);
        let hold = json!({"do": "hold", "name": name, "database": database});
        server.tell(hold.clone()).await;
        stage.timeout = Duration::from_secs(9);
        let error = stage.step(Step::Set, &token).await.result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert!(error.to_string().contains("nothing was changed"), "{error}");
        assert!(server.logs_in_at(database, &user.name, &user.password).await);
        let mut release = hold;
        release["release"] = json!(true);
        server.tell(release).await;
        stage.timeout = Duration::from_secs(30);
        stage.step(Step::Set, &token).await.why();
    }
}

/// A statement that comes late finds another password than the one that it names: it changes nothing.
#[tokio::test]
async fn rule_03_a_late_change_of_one_s_own_password_is_compared() {
    let Some(server) = sqlserver().await else { return };
    let user = server.user("late").await;
    let stage = server.stage(&server.document(&user), &[]);
    let token = stage.play(&[Step::Create]).await;
    server.trap("ALTER LOGIN", "wait", json!({"seconds": 3, "once": true})).await;
    let meanwhile = async {
        // Once it is logged in, and before its statement is done.
        for _ in 0..1500 {
            if server.heard().await.contains("sp_getapplock") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server.set_login(&user.name, "password", "Somebody's-Canary-1").await;
    };
    let (ended, ()) = tokio::join!(stage.step(Step::Set, &token), meanwhile);
    let error = ended.result.as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.to_string().contains("15151"), "{error}");
    assert!(server.logs_in(&user.name, "Somebody's-Canary-1").await);
}

/// A container that stands still behind the fence has the lock: the next rotation waits or gives up.
#[tokio::test]
async fn rule_03_no_rotation_passes_one_that_is_frozen_in_its_change() {
    let Some(server) = sqlserver().await else { return };
    for (user, database, stage) in stages(&server).await {
        let first = stage.play(&[Step::Create]).await;
        server.trap("WITH PASSWORD", "wait", json!({"seconds": 1.5, "once": true})).await;
        let mut other = stage.beside();
        other.timeout = Duration::from_secs(20);
        let next = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            stage.cancel();
            let token = other.begin();
            other.step(Step::Create, &token).await.why();
            let ended = other.step(Step::Set, &token).await;
            (token, ended)
        };
        let (frozen, (token, ended)) = tokio::join!(stage.step(Step::Set, &first), next);
        drop(frozen);
        if let Err(error) = ended.result {
            // The frozen one has set what a cancelled version holds, which is recorded and found by a retry.
            assert!(matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Rejected), "{error}");
        }
        for step in [Step::Set, Step::Test, Step::Finish] {
            other.step(step, &token).await.why();
        }
        assert!(server.logs_in_at(database, &user.name, &other.password(AWSCURRENT)).await);
    }
}

/// The answer to the change is lost, or the change itself: the error does not know, and the retry does.
#[tokio::test]
async fn a_lost_answer_is_found_out_by_the_retry() {
    let Some(server) = sqlserver().await else { return };
    for act in ["cut before", "cut after"] {
        for (user, database, stage) in stages(&server).await {
            let token = stage.play(&[Step::Create]).await;
            server.trap("WITH PASSWORD", act, json!({"once": true})).await;
            let error = stage.step(Step::Set, &token).await.result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
            assert!(error.to_string().contains("may or may not"), "{error}");
            let retried = stage.step(Step::Set, &token).await;
            assert_eq!(retried.why().contains("already"), act == "cut after", "{}", retried.why());
            stage.step(Step::Test, &token).await.why();
            assert!(server.logs_in_at(database, &user.name, &stage.password(AWSPENDING)).await);
        }
    }
}

/// A server that is silent takes no more than the step has.
#[tokio::test]
async fn rule_10_a_server_that_hangs_is_given_up_within_the_deadline() {
    let Some(server) = sqlserver().await else { return };
    let user = server.user("hangs").await;
    let mut stage = server.stage(&server.document(&user), &[]);
    let token = stage.play(&[Step::Create]).await;
    // A change is not begun where less than four seconds are left.
    for (text, seconds) in [("sys.dm_exec_sessions", 2), ("WITH PASSWORD", 5)] {
        server.trap(text, "wait", json!({"seconds": seconds + 6, "once": true})).await;
        stage.timeout = Duration::from_secs(seconds);
        let started = std::time::Instant::now();
        let ended = stage.step(Step::Set, &token).await;
        assert!(ended.result.is_err(), "{text}");
        assert!(
            started.elapsed() < Duration::from_secs(seconds + 5),
            "{text}: {:?}",
            started.elapsed()
        );
        server.no_traps().await;
    }
    // What hung has run by then, or never does.
    tokio::time::sleep(Duration::from_secs(8)).await;
    stage.timeout = Duration::from_secs(30);
    stage.step(Step::Set, &token).await.why();
    stage.step(Step::Test, &token).await.why();
}

#[tokio::test]
async fn nothing_is_left_behind_by_a_step() {
    let Some(server) = sqlserver().await else { return };
    for (_, _, stage) in stages(&server).await {
        let token = stage.play(&CREATE_AND_SET).await;
        // The lock went with its session: the next change takes it at once.
        stage.step(Step::Test, &token).await.why();
        stage.step(Step::Finish, &token).await.why();
        stage.end(&token);
        stage.play(&Step::ALL).await;
    }
}
