//! What every single-user and paired rotator of AWS's does, at MongoDB. `parity_NN` are here the cases
//! that all engines share, as in `tests/it/single_user/` and `tests/it/mysql/`; the ones that need no
//! server (1 to 16, 38, 39) are in `tests/it/engine/` and the framework. 29 and 42 do not apply: there
//! is one statement for all versions, and names have no limit.

use fourstep::store::{AWSCURRENT, AWSPREVIOUS};
use fourstep::{Effect, ErrorKind, Step};
use serde_json::json;

use super::alternating::Shop;
use super::{CREATE_AND_SET, with};
use crate::support::mongodb::{SET, mongodb, servers};
use crate::support::stage::{FUNCTION, new_token};
use fourstep_local::NewRotation;

#[tokio::test]
async fn parity_17_30_a_pending_password_that_works_already_is_left_alone() {
    let _undisturbed = SET.read().await;
    for server in servers() {
        let user = server.user("again").await;
        let stage = server.stage(&server.document(&user), &[]);
        let token = stage.play(&CREATE_AND_SET).await;
        let before = server.kept(&user.name).await;
        let ended = stage.step(Step::Set, &token).await;
        assert_eq!(ended.result.as_ref().unwrap().effect, Effect::Nothing);
        assert!(ended.why().contains("has the pending password already"), "{}", ended.why());
        assert_eq!(server.kept(&user.name).await, before);
        assert_eq!(ended.stats.rejected_logins, 1, "current, then pending");
    }
}

#[tokio::test]
async fn parity_20_21_24_a_previous_version_of_no_use_is_not_tried_and_every_attempt_is_listed() {
    let Some(server) = mongodb() else { return };
    let (user, other) = (server.user("ignored").await, server.user("other").await);
    let wrong = with(&server.document(&user), "password", "canary-wrong");
    let tried = with(&server.document(&user), "password", "canary-old").to_string();
    let elsewhere = server.document(&other).to_string();
    for previous in ["not json", "{}", r#"{"engine":"mongo"}"#, &elsewhere, &tried] {
        let stage = server.stage_of_text(previous, &[]);
        stage.put_current(&wrong);
        let token = stage.play(&[Step::Create]).await;
        let kept = server.kept(&user.name).await;
        let ended = stage.step(Step::Set, &token).await;
        let error = ended.error();
        assert_eq!(ended.result.unwrap_err().kind(), ErrorKind::Rejected);
        for part in ["AWSCURRENT: ", "AWSPENDING: ", "nothing was changed", "error 18"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert_eq!(error.contains("AWSPREVIOUS "), previous == tried, "{error}");
        assert!(!error.contains("canary"), "{error}");
        assert_eq!(server.kept(&user.name).await, kept);
    }
}

#[tokio::test]
async fn parity_22_23_another_user_or_host_in_pending_is_refused_before_any_connection() {
    let Some(server) = mongodb() else { return };
    for (field, value) in [
        ("username", json!("somebody")),
        ("host", json!("elsewhere.example")),
        ("port", json!(1)),
        ("dbname", json!("elsewhere")),
    ] {
        let user = server.user("other").await;
        let document = server.document(&user);
        let stage = server.stage(&document, &[]);
        let token = stage.begin();
        stage.put_pending(&token, &with(&document, field, value));
        let ended = stage.step(Step::Set, &token).await;
        assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Mismatch, "{field}");
        assert_eq!(ended.stats.connections, 0);
        assert!(server.logs_in(&user.name, &user.password).await);
    }
}

#[tokio::test]
async fn parity_25_a_strange_name_is_changed_and_no_other() {
    let Some(server) = mongodb() else { return };
    let stems =
        ["Q\"uo'te", "b\\ack%;s", "Upper", "a b@c", "Größe", "$dollar.dot", "a=b,c", "{$ne: 1}"];
    for stem in stems {
        let (user, bystander) = (server.user(stem).await, server.user(stem).await);
        let stage = server.stage(&server.document(&user), &[]);
        stage.play(&Step::ALL).await;
        assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await, "{stem}");
        assert!(!server.logs_in(&user.name, &user.password).await, "{stem}");
        assert!(server.logs_in(&bystander.name, &bystander.password).await, "{stem}");
    }
}

/// The server takes both modes, and its certificate is not trusted where no bundle is named.
#[tokio::test]
async fn parity_27_28_only_the_mode_that_ssl_names_is_tried_and_fields_have_their_defaults() {
    let Some(server) = mongodb() else { return };
    let user = server.user("mode").await;
    let document = with(&server.document(&user), "port", server.port.to_string());
    for ssl in [json!(true), json!("TRUE")] {
        let stage = server.stage(&with(&document, "ssl", ssl), &[]);
        let token = stage.play(&[Step::Create]).await;
        stage.step(Step::Set, &token).await.why();
        let back = json!({"updateUser": user.name, "pwd": user.password});
        server.arrange(back).await;
    }
    for ssl in [json!(false), json!("False")] {
        let plain = [("TLS_CA_BUNDLE", ""), ("ALLOW_WEAK_AUTHENTICATION", "true")];
        let stage = server.stage(&with(&document, "ssl", ssl), &plain);
        stage.step(Step::Create, &stage.begin()).await.why();
        let stage = server.stage(&document, &plain);
        let error = stage.step(Step::Create, &stage.begin()).await.result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    }
    // 27017, at which nothing listens here.
    let mut without = document.clone();
    without.as_object_mut().unwrap().remove("port");
    let stage = server.stage(&without, &[]);
    let error = stage.step(Step::Create, &stage.begin()).await.error();
    assert!(error.contains(":27017"), "{error}");
}

#[tokio::test]
async fn parity_31_33_what_does_not_log_in_is_not_promoted_and_a_second_finish_changes_nothing() {
    let Some(server) = mongodb() else { return };
    let user = server.user("labels").await;
    let stage = server.stage(&server.document(&user), &[]);
    let old = stage.labels()[0].clone();
    let token = stage.play(&[Step::Create]).await;
    let labels = stage.labels();
    let ended = stage.step(Step::Test, &token).await;
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Rejected);
    assert_eq!(stage.labels(), labels);
    for step in [Step::Set, Step::Test, Step::Finish] {
        stage.step(step, &token).await.why();
    }
    let labels = stage.labels();
    assert_eq!(labels, [Some(token.clone()), Some(token.clone()), old]);
    assert_eq!(stage.step(Step::Finish, &token).await.why(), "this version is AWSCURRENT already");
    assert_eq!(stage.labels(), labels);
    assert_eq!(stage.document(AWSPREVIOUS)["password"], json!(user.password));
}

#[tokio::test]
async fn parity_32_a_test_only_call_with_a_copy_of_current_succeeds_and_changes_nothing() {
    let Some(server) = mongodb() else { return };
    let user = server.user("testonly").await;
    let stage = server.stage(&server.document(&user), &[]);
    let token = new_token();
    let begin = NewRotation { immediately: false, ..NewRotation::now(&token, FUNCTION) };
    stage.store.rotate(&stage.secret, &begin).unwrap();
    let before = server.kept(&user.name).await;
    let ended = stage.step(Step::Test, &token).await;
    assert_eq!(ended.why(), "the current secret logs in and a rotation would succeed");
    stage.store.end_test(&stage.secret, &token).unwrap();
    assert_eq!(server.kept(&user.name).await, before);
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
