//! A user that changes its own password.

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{ErrorKind, Question, Step};
use serde_json::json;

use super::with;
use crate::support::mongodb::{OWN, SET, mongodb, secantus, servers};

#[tokio::test]
async fn parity_01_a_user_that_lacks_the_privilege_is_refused_before_anything_is_stored() {
    let _undisturbed = SET.read().await;
    for server in servers() {
        let user = server.user_with("ordinary", "admin", json!(["readAnyDatabase"])).await;
        let stage = server.stage(&server.document(&user), &[]);
        let kept = server.kept(&user.name).await;
        let error = stage.step(Step::Create, &stage.begin()).await.result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        let error = error.to_string();
        for words in
            ["changeOwnPassword", "alternating-users", "single-user-by-admin", "getSiblingDB"]
        {
            assert!(error.contains(words), "{error}");
        }
        assert_eq!(stage.try_text(AWSPENDING), None);
        assert_eq!(server.kept(&user.name).await, kept);
    }
}

/// The advice is followed, and the same rotation goes on.
#[tokio::test]
async fn a_user_that_was_given_the_privilege_as_advised_rotates() {
    let Some(server) = mongodb() else { return };
    let user = server.user_with("advised", "admin", json!([])).await;
    let stage = server.stage(&server.document(&user), &[]);
    let token = stage.begin();
    assert!(stage.step(Step::Create, &token).await.error().contains("createRole({role"));
    let own =
        json!([{"resource": {"db": "admin", "collection": ""}, "actions": ["changeOwnPassword"]}]);
    let role = format!("changeOwnPassword of {}", user.name);
    assert!(stage.step(Step::Create, &token).await.error().contains(&role));
    server.role("admin", &role, own).await;
    let grant = json!({"grantRolesToUser": user.name, "roles": [role]});
    server.arrange(grant).await;
    for step in Step::ALL {
        stage.step(step, &token).await.why();
    }
    assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
}

#[tokio::test]
async fn parity_02_18_34_the_password_is_changed_and_the_old_one_refused() {
    let _undisturbed = SET.read().await;
    for server in servers().into_iter().chain(secantus()) {
        let user = server.user("single").await;
        let stage = server.stage(&with(&server.document(&user), "note", "kept"), &[]);
        for _ in 0..2 {
            let old = stage.password(AWSCURRENT);
            let token = stage.begin();
            let mut connections = 0;
            for step in Step::ALL {
                let ended = stage.step(step, &token).await;
                ended.why();
                connections += ended.stats.connections;
                assert_eq!(ended.stats.rejected_logins, 0);
            }
            stage.end(&token);
            assert!(connections <= 3, "{connections}");
            let new = stage.password(AWSCURRENT);
            assert!(server.logs_in(&user.name, &new).await);
            assert!(!server.logs_in(&user.name, &old).await);
            assert_eq!(stage.document(AWSCURRENT)["note"], "kept");
        }
    }
}

#[tokio::test]
async fn parity_03_dbname_is_the_authentication_database() {
    let _undisturbed = SET.read().await;
    for server in servers() {
        let own = json!([{"resource": {"db": "shop", "collection": ""}, "actions": ["changeOwnPassword"]}]);
        server.role("shop", OWN, own).await;
        let user = server.user_with("elsewhere", "shop", json!([OWN])).await;
        let stage = server.stage(&with(&server.document(&user), "dbname", "shop"), &[]);
        stage.play(&Step::ALL).await;
        assert!(server.logs_in_at("shop", &user.name, &stage.password(AWSCURRENT)).await);

        let stage = server.stage(&server.document(&user), &[]);
        let token = stage.begin();
        stage.put_pending(&token, &with(&server.document(&user), "password", "canary-next"));
        let ended = stage.step(Step::Set, &token).await;
        assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Rejected);
        assert!(ended.error().contains("authentication database \"admin\""), "{}", ended.error());
    }
}

#[tokio::test]
async fn parity_06_nothing_but_the_password_changes() {
    let _undisturbed = SET.read().await;
    for server in servers() {
        let user = server.user("unchanged").await;
        let set = json!({"updateUser": user.name, "customData": {"team": "blue"}});
        server.arrange(set).await;
        let before = server.info("admin", &user.name).await;
        server.stage(&server.document(&user), &[]).play(&Step::ALL).await;
        assert_eq!(server.info("admin", &user.name).await, before);
    }
}

#[tokio::test]
async fn parity_10_every_word_for_the_engine_is_taken() {
    let Some(server) = mongodb() else { return };
    for engine in ["mongo", "documentdb", "mongodb", "docdb"] {
        let user = server.user("engine").await;
        server.stage(&with(&server.document(&user), "engine", engine), &[]).play(&Step::ALL).await;
    }
    let user = server.user("engine").await;
    let stage = server.stage(&with(&server.document(&user), "engine", "mysql"), &[]);
    let error = stage.step(Step::Create, &stage.begin()).await.error();
    assert!(error.contains("rotate-mysql"), "{error}");
}

#[tokio::test]
async fn parity_11_26_any_password_arrives_as_it_is() {
    let _undisturbed = SET.read().await;
    for server in servers().into_iter().chain(secantus()) {
        for password in
            ["quote'\"$\\`{}", "\u{e4}\u{f6}\u{fc}\u{20ac} \u{65e5}\u{672c}", "a\u{a0}\u{fb01}b"]
        {
            let user = server.user("password").await;
            let document = server.document(&user);
            let stage = server.stage(&document, &[]);
            let token = stage.begin();
            stage.put_pending(&token, &with(&document, "password", password));
            stage.step(Step::Set, &token).await.why();
            stage.step(Step::Test, &token).await.why();
            assert!(server.logs_in(&user.name, password).await, "{password}");
        }
    }
}

#[tokio::test]
async fn parity_19_21_what_is_recorded_is_tried_in_turn() {
    let Some(server) = mongodb() else { return };
    crate::every_server::what_is_recorded_is_tried_in_turn(&server).await;
}

#[tokio::test]
async fn rule_09_no_new_password_is_shown_without_tls() {
    let Some(server) = mongodb() else { return };
    let user = server.user("shown").await;
    let document = with(&server.document(&user), "ssl", false);
    let stage = server.stage(&document, &[]);
    let error = stage.step(Step::Create, &stage.begin()).await.result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("ALLOW_WEAK_AUTHENTICATION"), "{error}");
    server.stage(&document, &[("ALLOW_WEAK_AUTHENTICATION", "true")]).play(&Step::ALL).await;
}

#[tokio::test]
async fn preflight_finds_what_would_fail_and_recommends_two_users() {
    let Some(server) = mongodb() else { return };
    let good = server.user("ready").await;
    let answer = server.stage(&server.document(&good), &[]).ask(Question::Preflight).await;
    let text = answer.to_string();
    assert!(text.contains("alternating-users") && !text.contains("changeOwnPassword"), "{text}");
    let bad = server.user_with("unready", "admin", json!(["readAnyDatabase"])).await;
    let answer = server.stage(&server.document(&bad), &[]).ask(Question::Preflight).await;
    assert!(answer.to_string().contains("changeOwnPassword"), "{answer}");
    let answer = server.stage(&server.document(&good), &[]).ask(Question::Inspect).await;
    assert!(answer.to_string().to_lowercase().contains("accepted"), "{answer}");
}

/// What cannot be prevented: a function that was frozen between the fence and its command, past another
/// rotation. The next rotation repairs it.
#[tokio::test]
async fn rule_24_a_late_change_is_repaired_by_the_next_rotation() {
    let Some(server) = mongodb() else { return };
    let user = server.user("late").await;
    let stage = server.stage(&server.document(&user), &[]);
    stage.play(&[Step::Create]).await;
    let late = stage.password(AWSPENDING);
    stage.cancel();
    stage.play(&Step::ALL).await;
    // The frozen one wakes up: it sets its own value on a session that was opened before.
    let frozen = json!({"updateUser": user.name, "pwd": late});
    server.arrange(frozen).await;
    assert!(!server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
    stage.play(&Step::ALL).await;
    assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
}
