//! The four steps, their counts and their labels.

use fourstep::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};
use fourstep::{Effect, ErrorKind, Step, VersionId};
use fourstep_local::{NewRotation, PendingLabel};
use serde_json::json;

use super::with;
use crate::support::postgres::server;
use crate::support::stage::{FUNCTION, Stage, new_token};

#[tokio::test]
async fn a_healthy_rotation_stays_within_its_budget() {
    let Some(server) = server() else { return };
    let user = server.user("budget").await;
    let stage = Stage::new(&server.document(&user), &[]);
    for _ in 0..2 {
        let token = stage.begin();
        let (mut calls, mut connections) = (0, 0);
        for step in Step::ALL {
            let ended = stage.step(step, &token).await;
            assert_eq!(ended.result.as_ref().unwrap().effect, Effect::Done);
            assert_eq!(ended.stats.rejected_logins, 0, "{step}");
            assert!(ended.stats.warnings.is_empty(), "{:?}", ended.stats.warnings);
            calls += ended.stats.calls.values().sum::<u32>();
            connections += ended.stats.connections;
        }
        assert!(calls <= 14, "{calls} Secrets Manager calls");
        assert_eq!(connections, 2);
        // Both end states of AWSPENDING are legal; the next rotation starts from either.
        stage.store.finish_rotation(&stage.secret, &token, PendingLabel::Left).unwrap();
    }
    assert!(!server.log_about(&user.name).contains("FATAL"), "a login failed");
}

/// Every step, for a token, is refused with these words before anything is connected to.
async fn refused(stage: &Stage, token: &VersionId, words: &str) {
    for step in Step::ALL {
        let ended = stage.step(step, token).await;
        assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::NotStaged, "{step}");
        assert!(ended.error().contains(words), "{}", ended.error());
        assert_eq!(ended.stats.connections, 0);
        for call in ["PutSecretValue", "UpdateSecretVersionStage"] {
            assert!(!ended.stats.calls.contains_key(call), "{step}: {call}");
        }
    }
}

#[tokio::test]
async fn parity_03_05_07_a_step_out_of_turn_touches_nothing() {
    let Some(server) = server() else { return };
    let user = server.user("turn").await;
    let stage = Stage::new(&server.document(&user), &[]);
    let old = stage.labels()[0].clone().unwrap();
    stage.play(&Step::ALL).await;
    refused(&stage, &old, "is not labelled AWSPENDING").await;
    refused(&stage, &new_token(), "has no staging label").await;
    let token = stage.begin();
    stage.store.cancel_rotation(&stage.secret).unwrap();
    refused(&stage, &token, "rotation is not enabled").await;
    assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
}

#[tokio::test]
async fn parity_04_a_secret_whose_rotation_was_never_configured_rotates() {
    let Some(server) = server() else { return };
    let user = server.user("unconfigured").await;
    let stage = Stage::new(&server.document(&user), &[]);
    let token = new_token();
    stage.put_pending(&token, &with(&server.document(&user), "password", "canary-next"));
    assert_eq!(stage.store.describe(&stage.secret).unwrap().rotation_enabled, None);
    for step in Step::ALL {
        stage.step(step, &token).await.why();
    }
    assert!(server.logs_in(&user.name, "canary-next").await);
}

#[tokio::test]
async fn parity_10_only_the_password_is_replaced_and_stored_under_the_token() {
    let Some(server) = server() else { return };
    let user = server.user("create").await;
    let document = with(&server.document(&user), "extra", json!({"a": [1, null, "ü"]}));
    let stage = Stage::new(&document, &[]);
    let ended = {
        let token = stage.begin();
        let ended = stage.step(Step::Create, &token).await;
        assert_eq!(stage.labels()[1], Some(token));
        ended
    };
    assert_eq!(ended.stats.connections, 0, "createSecret does not touch the target");
    let pending = stage.document(AWSPENDING);
    assert_ne!(pending["password"], document["password"]);
    assert_eq!(with(&pending, "password", user.password.clone()), document);
    assert_eq!(stage.document(AWSCURRENT), document);
}

#[tokio::test]
async fn parity_14_a_document_that_cannot_be_read_is_refused_before_anything_is_stored() {
    let document =
        json!({"engine": "postgres", "host": "h", "username": "u", "password": "canary"});
    for (field, value, message) in [
        ("engine", json!("mysql"), "the secret's field \"engine\" must be \"postgres\" or"),
        ("host", json!(null), "the secret's field \"host\" is missing"),
        ("username", json!(""), "the secret's field \"username\" is missing"),
        ("password", json!(7), "the secret's field \"password\" is not a string"),
        ("port", json!("x"), "the secret's field \"port\""),
    ] {
        let stage = Stage::new(&with(&document, field, value), &[]);
        let token = stage.begin();
        let ended = stage.step(Step::Create, &token).await;
        let error = ended.error();
        assert!(
            error.starts_with("createSecret: AWSCURRENT: ") && error.contains(message),
            "{error}"
        );
        assert!(!error.contains("canary"), "{error}");
        assert!(!ended.stats.calls.contains_key("PutSecretValue"));
    }
    for text in ["canary", "[]", "{\"password\": canary}"] {
        let stage = Stage::of_text(text, &[]);
        let error = stage.step(Step::Create, &stage.begin()).await.error();
        assert!(error.contains("is not a JSON object") && !error.contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn parity_31_a_pending_password_that_does_not_work_leaves_current_untouched() {
    let Some(server) = server() else { return };
    let user = server.user("untested").await;
    let stage = Stage::new(&server.document(&user), &[]);
    let token = stage.play(&[Step::Create]).await;
    let labels = stage.labels();
    let ended = stage.step(Step::Test, &token).await;
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Rejected);
    assert!(
        ended.error().starts_with("testSecret: the pending secret does not log in"),
        "{}",
        ended.error()
    );
    assert_eq!(stage.labels(), labels);
    stage.step(Step::Set, &token).await.why();
    assert_eq!(stage.step(Step::Test, &token).await.why(), "the pending secret logs in");
}

#[tokio::test]
async fn parity_32_a_test_only_call_with_a_copy_of_current_succeeds_and_changes_nothing() {
    let Some(server) = server() else { return };
    let user = server.user("testonly").await;
    let stage = Stage::new(&server.document(&user), &[]);
    let token = new_token();
    let begin = NewRotation { immediately: false, ..NewRotation::now(&token, FUNCTION) };
    stage.store.rotate(&stage.secret, &begin).unwrap();
    let before = server.verifier(&user).await;
    let ended = stage.step(Step::Test, &token).await;
    assert_eq!(ended.why(), "the current secret logs in and a rotation would succeed");
    stage.store.end_test(&stage.secret, &token).unwrap();
    assert_eq!(server.verifier(&user).await, before);
    assert_eq!(stage.labels()[1], None);
}

#[tokio::test]
async fn parity_33_finish_moves_the_labels_and_a_second_one_changes_nothing() {
    let Some(server) = server() else { return };
    let user = server.user("labels").await;
    let stage = Stage::new(&server.document(&user), &[]);
    let old = stage.labels()[0].clone();
    let token = stage.begin();
    for step in Step::ALL {
        stage.step(step, &token).await.why();
    }
    let labels = stage.labels();
    assert_eq!(labels, [Some(token.clone()), Some(token.clone()), old]);
    assert_eq!(stage.step(Step::Finish, &token).await.why(), "this version is AWSCURRENT already");
    assert_eq!(stage.labels(), labels);
    assert_eq!(stage.document(AWSPREVIOUS)["password"], json!(user.password));
}
