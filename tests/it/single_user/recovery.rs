//! After cancelled rotations and edits: the live password is found, and an edit is kept.

use fourstep::store::{AWSCURRENT, AWSPENDING, StoreError, StoreErrorCode};
use fourstep::{ErrorKind, Step, VersionId};
use fourstep_local::{Fault, NewValue};

use super::{CREATE_AND_SET, with};
use crate::support::postgres::server;
use crate::support::proxy::Proxy;
use crate::support::stage::{Stage, new_token};

/// F2: a cancelled rotation leaves its applied value without a label.
#[tokio::test]
async fn rule_04_the_value_of_a_cancelled_rotation_is_found() {
    let Some(server) = server() else { return };
    let user = server.user("cancelled").await;
    let stage = Stage::new(&server.document(&user), &[]);
    let cancelled = stage.play(&CREATE_AND_SET).await;
    stage.store.cancel_rotation(&stage.secret).unwrap();
    stage.store.update_stage(&stage.secret, AWSPENDING, None, Some(&cancelled)).unwrap();
    // A decoy that names another account must be neither tried nor counted.
    let decoy = new_token();
    let other = with(&server.document(&user), "username", "postgres").to_string();
    stage.store.put(&stage.secret, NewValue::labelled(&decoy, other.as_str(), &["decoy"])).unwrap();
    stage.store.update_stage(&stage.secret, "decoy", None, Some(&decoy)).unwrap();
    let token = stage.play(&[Step::Create]).await;
    let ended = stage.step(Step::Set, &token).await;
    let expected = format!("logged in with older version {cancelled}");
    assert!(ended.why().contains(&expected), "{}", ended.why());
    assert_eq!(ended.stats.calls.get("ListSecretVersionIds"), Some(&1));
    for step in [Step::Test, Step::Finish] {
        stage.step(step, &token).await.why();
    }
    assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
}

/// A role made for AWS's template has no ListSecretVersionIds.
#[tokio::test]
async fn rule_04_a_role_that_may_not_list_versions_is_told_what_was_refused() {
    let Some(server) = server() else { return };
    let user = server.user("unlisted").await;
    let stage = Stage::new(&with(&server.document(&user), "password", "canary-wrong"), &[]);
    let token = stage.play(&[Step::Create]).await;
    stage.store.set_faults(|_, call| match call.operation {
        "ListSecretVersionIds" => {
            Fault::Fail(StoreError::new(StoreErrorCode::AccessDenied, "not authorized"))
        }
        _ => Fault::Proceed,
    });
    let ended = stage.step(Step::Set, &token).await;
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Rejected);
    for words in [
        "the passwords of 2 versions",
        "AWSCURRENT: ",
        "AWSPENDING: ",
        "ListSecretVersionIds failed: not authorized",
    ] {
        assert!(ended.error().contains(words), "{words}: {}", ended.error());
    }
}

/// Leaves the value of a rotation applied and its version without a label.
async fn cancelled_after_set(stage: &Stage) -> VersionId {
    let token = stage.play(&CREATE_AND_SET).await;
    stage.store.update_stage(&stage.secret, AWSPENDING, None, Some(&token)).unwrap();
    token
}

/// Two unlabelled versions, as the first draft of rule 4 had it, are not enough: rotations that
/// end before setSecret leave versions whose value was never applied.
#[tokio::test]
async fn rule_04_values_that_were_never_applied_do_not_hide_the_live_one() {
    let Some(server) = server() else { return };
    let user = server.user("hidden").await;
    let stage = Stage::new(&server.document(&user), &[]);
    let live = cancelled_after_set(&stage).await;
    for _ in 0..5 {
        let token = stage.play(&[Step::Create]).await;
        stage.store.update_stage(&stage.secret, AWSPENDING, None, Some(&token)).unwrap();
    }
    let token = stage.play(&[Step::Create]).await;
    let ended = stage.step(Step::Set, &token).await;
    assert!(ended.why().contains(live.as_str()), "{}", ended.why());
    assert!(server.logs_in(&user.name, &stage.password(AWSPENDING)).await);
}

#[tokio::test]
async fn rule_04_older_passwords_are_tried_newest_first_and_not_without_end() {
    let Some(server) = server() else { return };
    let user = server.user("many").await;
    let stage = Stage::new(&server.document(&user), &[]);
    let cancel = async |steps: &[Step]| {
        let token = stage.play(steps).await;
        stage.store.update_stage(&stage.secret, AWSPENDING, None, Some(&token)).unwrap();
    };
    for _ in 0..9 {
        cancel(&[Step::Create]).await;
    }
    cancel(&CREATE_AND_SET).await;
    let token = stage.play(&[Step::Create]).await;
    let ended = stage.step(Step::Set, &token).await;
    ended.why();
    assert_eq!(ended.stats.rejected_logins, 2, "current, pending, and then the newest logs in");
    // Nine newer ones that were never applied: eight are tried, and the live one stays untried.
    stage.store.update_stage(&stage.secret, AWSPENDING, None, Some(&token)).unwrap();
    for _ in 0..9 {
        cancel(&[Step::Create]).await;
    }
    let token = stage.play(&[Step::Create]).await;
    let ended = stage.step(Step::Set, &token).await;
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Rejected);
    assert_eq!(ended.stats.rejected_logins, 10, "current, pending and eight older ones");
    for words in ["the passwords of 10 versions", "more older passwords were not tried"] {
        assert!(ended.error().contains(words), "{}", ended.error());
    }
}

/// An operator kept the version of a cancelled rotation under a label of their own.
#[tokio::test]
async fn rule_04_a_live_value_under_a_custom_label_is_found() {
    let Some(server) = server() else { return };
    let user = server.user("custom").await;
    let stage = Stage::new(&server.document(&user), &[]);
    let live = cancelled_after_set(&stage).await;
    stage.store.update_stage(&stage.secret, "mine", Some(&live), None).unwrap();
    let token = stage.play(&[Step::Create]).await;
    let ended = stage.step(Step::Set, &token).await;
    assert!(ended.why().contains(live.as_str()), "{}", ended.why());
}

/// The operator moved the server behind another port meanwhile: the account is the same.
#[tokio::test]
async fn rule_04_a_live_value_recorded_with_another_port_is_found() {
    let Some(server) = server() else { return };
    let user = server.user("moved").await;
    let proxy = Proxy::start(server.port).await;
    let stage = Stage::new(&server.document(&user), &[]);
    let live = cancelled_after_set(&stage).await;
    stage.put_current(&with(&server.document(&user), "port", proxy.port));
    stage.put_current(&with(&server.document(&user), "port", proxy.port));
    let token = stage.play(&[Step::Create]).await;
    // The proxy keeps its first answer to COMMIT back, so the step ends without one.
    let mut hurried = stage.beside();
    hurried.timeout = std::time::Duration::from_secs(12);
    let ended = hurried.step(Step::Set, &token).await;
    assert!(ended.error().contains("may or may not have been changed"), "{}", ended.error());
    let ended = stage.step(Step::Set, &token).await;
    assert!(ended.why().contains("has the pending password already"), "{}", ended.why());
    assert!(!server.logs_in(&user.name, &user.password).await, "{live}");
}

/// KMS does not decrypt the newest of the older versions any more.
#[tokio::test]
async fn rule_04_a_version_that_may_not_be_read_does_not_hide_the_rest() {
    let Some(server) = server() else { return };
    let user = server.user("undecrypted").await;
    let stage = Stage::new(&server.document(&user), &[]);
    let live = cancelled_after_set(&stage).await;
    let newer = stage.play(&[Step::Create]).await;
    stage.store.update_stage(&stage.secret, AWSPENDING, None, Some(&newer)).unwrap();
    let token = stage.play(&[Step::Create]).await;
    stage.store.set_faults(move |_, call| match call.version {
        Some(version) if *version == newer => {
            Fault::Fail(StoreError::new(StoreErrorCode::DecryptionFailure, "no key"))
        }
        _ => Fault::Proceed,
    });
    let ended = stage.step(Step::Set, &token).await;
    assert!(ended.why().contains(live.as_str()), "{}", ended.why());
    assert_eq!(ended.stats.warnings.len(), 1, "{:?}", ended.stats.warnings);
}

/// An operator stored another dbname while a rotation was under way.
#[tokio::test]
async fn rule_02_an_edit_of_current_is_not_reverted_by_an_older_pending() {
    let Some(server) = server() else { return };
    let user = server.user("edited").await;
    let stage = Stage::new(&server.document(&user), &[]);
    let token = stage.play(&[Step::Create]).await;
    let edited = with(&server.document(&user), "dbname", "other").to_string();
    let value = NewValue::labelled(&new_token(), edited.as_str(), &[AWSCURRENT]);
    stage.store.put(&stage.secret, value).unwrap();
    let ended = stage.step(Step::Set, &token).await;
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Mismatch);
    for words in ["\"dbname\"", "was edited", "--remove-from-version-id"] {
        assert!(ended.error().contains(words), "{}", ended.error());
    }
    assert_eq!(ended.stats.connections, 0);
    // What the message says, done: the next rotation starts from the edit.
    stage.store.update_stage(&stage.secret, AWSPENDING, None, Some(&token)).unwrap();
    stage.play(&Step::ALL).await;
    assert_eq!(stage.document(AWSCURRENT)["dbname"], "other");
}
