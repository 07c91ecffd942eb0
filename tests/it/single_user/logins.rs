//! The order of logins: which password is tried when, and what leads to the next.

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{Effect, ErrorKind, Step};
use serde_json::json;

use crate::support::postgres::{both_versions, server};
use crate::support::stage::Stage;

use super::{CREATE_AND_SET, with};

#[tokio::test]
async fn parity_17_a_pending_password_that_works_already_is_left_alone() {
    let Some(server) = server() else { return };
    let user = server.user("again").await;
    let stage = Stage::new(&server.document(&user), &[]);
    let token = stage.play(&CREATE_AND_SET).await;
    let before = server.verifier(&user).await;
    let ended = stage.step(Step::Set, &token).await;
    assert_eq!(ended.result.as_ref().unwrap().effect, Effect::Nothing);
    assert!(ended.why().contains("has the pending password already"), "{}", ended.why());
    assert_eq!(server.verifier(&user).await, before);
    assert_eq!(
        (ended.stats.connections, ended.stats.rejected_logins),
        (2, 1),
        "current, then pending"
    );
}

#[tokio::test]
async fn parity_18_the_pending_password_works_afterwards_and_the_current_one_does_not() {
    let Some(server) = server() else { return };
    let user = server.user("change").await;
    let stage = Stage::new(&server.document(&user), &[]);
    stage.play(&CREATE_AND_SET).await;
    assert!(server.logs_in(&user.name, &stage.password(AWSPENDING)).await);
    assert!(!server.logs_in(&user.name, &user.password).await);
}

#[tokio::test]
async fn parity_19_the_previous_password_is_used_when_current_is_wrong() {
    let Some(server) = server() else { return };
    let user = server.user("previous").await;
    // Previous says TLS, which would fail without its CA: current's `ssl` counts.
    let stage = Stage::new(&with(&server.document(&user), "ssl", true), &[]);
    stage.put_current(&with(&server.document(&user), "password", "canary-wrong"));
    let token = stage.play(&[Step::Create]).await;
    let ended = stage.step(Step::Set, &token).await;
    assert!(ended.why().contains("logged in with AWSPREVIOUS"), "{}", ended.why());
    assert_eq!(ended.stats.rejected_logins, 2, "current and pending, once each");
    assert!(server.logs_in(&user.name, &stage.password(AWSPENDING)).await);
}

#[tokio::test]
async fn parity_20_a_previous_version_that_cannot_be_read_is_ignored() {
    let Some(server) = server() else { return };
    for previous in ["not json", "{}", "[1]", r#"{"engine":"postgres"}"#] {
        let user = server.user("ignored").await;
        let stage = Stage::of_text(previous, &[]);
        stage.put_current(&server.document(&user));
        // A healthy rotation does not even read it.
        stage.play(&CREATE_AND_SET).await;
        // One that needs it says that nothing was left to try.
        let stage = Stage::of_text(previous, &[]);
        stage.put_current(&with(&server.document(&user), "password", "canary-wrong"));
        let token = stage.play(&[Step::Create]).await;
        let ended = stage.step(Step::Set, &token).await;
        assert_eq!(
            ended.result.as_ref().unwrap_err().kind(),
            ErrorKind::Rejected,
            "{}",
            ended.error()
        );
        assert!(!ended.error().contains("AWSPREVIOUS"), "{}", ended.error());
    }
}

#[tokio::test]
async fn parity_21_when_every_password_is_wrong_each_attempt_is_listed_and_nothing_changes() {
    let Some(server) = server() else { return };
    let user = server.user("locked").await;
    let stage = Stage::new(&with(&server.document(&user), "password", "canary-oldest"), &[]);
    stage.put_current(&with(&server.document(&user), "password", "canary-wrong"));
    let token = stage.play(&[Step::Create]).await;
    let before = server.verifier(&user).await;
    let ended = stage.step(Step::Set, &token).await;
    let error = ended.error();
    assert_eq!(ended.result.unwrap_err().kind(), ErrorKind::Rejected);
    for label in ["AWSCURRENT: ", "AWSPENDING: ", "AWSPREVIOUS ", "nothing was changed", "28P01"] {
        assert!(error.contains(label), "{label}: {error}");
    }
    assert!(!error.contains("canary"), "{error}");
    assert_eq!(ended.stats.rejected_logins, 3);
    assert_eq!(server.verifier(&user).await, before);
}

#[tokio::test]
async fn parity_22_23_another_user_or_host_in_pending_is_refused_before_any_connection() {
    let Some(server) = server() else { return };
    for (field, value) in
        [("username", json!("somebody")), ("host", json!("elsewhere.example")), ("port", json!(1))]
    {
        let user = server.user("deputy").await;
        let document = server.document(&user);
        let stage = Stage::new(&document, &[]);
        let token = stage.begin();
        let pending = with(&with(&document, "password", "canary-next"), field, value);
        stage.put_pending(&token, &pending);
        let ended = stage.step(Step::Set, &token).await;
        let error = ended.error();
        assert_eq!(ended.result.unwrap_err().kind(), ErrorKind::Mismatch, "{error}");
        assert!(
            error.contains("--remove-from-version-id") && error.contains(token.as_str()),
            "{error}"
        );
        assert_eq!(ended.stats.connections, 0);
        assert!(server.logs_in(&user.name, &user.password).await);
    }
}

#[tokio::test]
async fn parity_24_a_previous_version_of_another_account_is_not_tried() {
    let Some(server) = server() else { return };
    for (field, value) in [("username", json!("postgres")), ("host", json!("elsewhere.example"))] {
        let user = server.user("stranger").await;
        let stage = Stage::new(&with(&server.document(&user), field, value), &[]);
        stage.put_current(&with(&server.document(&user), "password", "canary-wrong"));
        let token = stage.play(&[Step::Create]).await;
        let ended = stage.step(Step::Set, &token).await;
        assert!(!ended.error().contains("AWSPREVIOUS"), "{}", ended.error());
        assert_eq!(ended.stats.connections, 2, "current and pending only");
        assert!(server.logs_in(&user.name, &user.password).await);
    }
}

#[tokio::test]
async fn a_password_is_tried_once_wherever_it_stands() {
    let Some(server) = server() else { return };
    let user = server.user("once").await;
    let wrong = with(&server.document(&user), "password", "canary-wrong");
    let stage = Stage::new(&wrong, &[]);
    stage.put_current(&wrong);
    let token = stage.begin();
    stage.put_pending(&token, &wrong);
    let ended = stage.step(Step::Set, &token).await;
    assert_eq!((ended.stats.connections, ended.stats.rejected_logins), (1, 1), "{}", ended.error());
}

#[tokio::test]
async fn parity_30_every_step_delivered_twice_has_the_effect_of_once() {
    let Some(server) = server() else { return };
    let user = server.user("twice").await;
    let stage = Stage::new(&server.document(&user), &[]);
    let token = stage.begin();
    for step in Step::ALL {
        stage.step(step, &token).await.why();
        let second = stage.step(step, &token).await;
        second.why();
        // The service retries from createSecret.
        stage.step(Step::Create, &token).await.why();
    }
    assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
}

#[tokio::test]
async fn a_user_whose_role_setting_makes_it_somebody_else_still_changes_itself() {
    for server in both_versions() {
        let user = server.user("setrole").await;
        let name = &user.name;
        server
            .arrange(&format!(
                "CREATE ROLE {name}_owner NOLOGIN; GRANT {name}_owner TO {name}; ALTER ROLE {name} SET role = {name}_owner; \
                 ALTER ROLE {name} SET default_transaction_read_only = on; ALTER ROLE {name} SET statement_timeout = '2s'"
            ))
            .await;
        let stage = Stage::new(&server.document(&user), &[]);
        stage.play(&Step::ALL).await;
        assert!(server.logs_in(name, &stage.password(AWSCURRENT)).await);
    }
}
