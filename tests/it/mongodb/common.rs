//! What every single-user and paired rotator of AWS's does, at MongoDB. `parity_NN` are here the cases
//! that all engines share, as in `tests/it/single_user/` and `tests/it/mysql/`; the ones that need no
//! server (1 to 16, 38, 39) are in `tests/it/engine/` and the framework. 29 and 42 do not apply: there
//! is one statement for all versions, and names have no limit.

use fourstep::Step;
use fourstep::store::{AWSCURRENT, AWSPENDING};
use serde_json::json;

use super::alternating::Shop;
use super::with;
use crate::every_server as every;
use crate::support::mongodb::{SET, mongodb, servers};

/// No majority may have confirmed it: it is set once more, and stays what it is.
#[tokio::test]
async fn parity_17_30_a_pending_password_that_works_already_is_confirmed() {
    let _undisturbed = SET.read().await;
    for server in servers() {
        let user = server.user("again").await;
        let stage = server.stage(&server.document(&user), &[]);
        let token = stage.play(&[Step::Create, Step::Set]).await;
        let ended = stage.step(Step::Set, &token).await;
        assert!(ended.why().contains("logged in with AWSPENDING"), "{}", ended.why());
        assert_eq!(ended.stats.rejected_logins, 1, "current, then pending");
        assert!(server.logs_in(&user.name, &stage.password(AWSPENDING)).await);
        assert!(!server.logs_in(&user.name, &user.password).await);
    }
}

#[tokio::test]
async fn parity_20_21_24_a_previous_version_of_no_use_is_not_tried_and_every_attempt_is_listed() {
    let Some(server) = mongodb() else { return };
    every::a_previous_version_of_no_use_is_not_tried(&server).await;
}

#[tokio::test]
async fn parity_22_23_another_user_or_host_in_pending_is_refused_before_any_connection() {
    let Some(server) = mongodb() else { return };
    every::another_user_or_host_in_pending_is_refused(&server).await;
}

#[tokio::test]
async fn parity_25_a_strange_name_is_changed_and_no_other() {
    let Some(server) = mongodb() else { return };
    let stems =
        ["Q\"uo'te", "b\\ack%;s", "Upper", "a b@c", "Größe", "$dollar.dot", "a=b,c", "{$ne: 1}"];
    every::a_strange_name_is_changed_and_no_other(&server, &stems).await;
}

/// The server takes both modes.
#[tokio::test]
async fn parity_27_28_only_the_mode_that_ssl_names_is_tried_and_fields_have_their_defaults() {
    let Some(server) = mongodb() else { return };
    every::only_the_mode_that_ssl_names_is_tried(&server).await;
    let document = server.document(&server.user("mode").await);
    for ssl in [json!(false), json!("False")] {
        let plain = [("TLS_CA_BUNDLE", ""), ("ALLOW_WEAK_AUTHENTICATION", "true")];
        let stage = server.stage(&with(&document, "ssl", ssl), &plain);
        stage.step(Step::Create, &stage.begin()).await.why();
    }
}

#[tokio::test]
async fn parity_31_33_what_does_not_log_in_is_not_promoted_and_a_second_finish_changes_nothing() {
    let Some(server) = mongodb() else { return };
    every::what_does_not_log_in_is_not_promoted(&server).await;
}

#[tokio::test]
async fn parity_32_a_test_only_call_with_a_copy_of_current_succeeds_and_changes_nothing() {
    let Some(server) = mongodb() else { return };
    every::a_test_only_call_changes_nothing(&server).await;
}

#[tokio::test]
async fn parity_36_37_what_is_wrong_with_the_admin_or_with_current_is_told_apart() {
    let Some(server) = mongodb() else { return };
    let shop = Shop::open(&server, &[]).await;
    let good = shop.stage.document(AWSCURRENT);
    let refusal = async || shop.stage.step(Step::Create, &shop.stage.begin()).await.error();
    let mut without = good.clone();
    without.as_object_mut().unwrap().remove("masterarn");
    shop.stage.put_current(&without);
    assert!(refusal().await.contains("\"masterarn\""));
    shop.stage.cancel();
    shop.stage.put_current(&with(&good, "masterarn", "absent"));
    let error = refusal().await;
    assert!(error.contains("absent") && error.contains("no AWSCURRENT value"), "{error}");
    shop.stage.cancel();
    shop.stage.put_current(&good);
    shop.set_password(&shop.admin.name, "canary-another").await;
    let error = refusal().await;
    assert!(error.contains("the admin, user") && error.contains("error 18"), "{error}");
    shop.stage.cancel();
    shop.set_password(&shop.admin.name, &shop.admin.password).await;
    // Current does not log in: nothing of the admin's is done.
    shop.set_password(&shop.app.name, "canary-recorded-nowhere").await;
    let token = shop.stage.play(&[Step::Create]).await;
    let error = shop.stage.step(Step::Set, &token).await.error();
    assert!(error.contains("logs in with what is recorded"), "{error}");
    assert_eq!(server.info("admin", &shop.second()).await, json!(null));
}
