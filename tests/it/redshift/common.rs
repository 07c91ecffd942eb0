//! What every single-user rotator of AWS's does, at the front of Redshift: `parity_NN` are here the cases that all
//! engines share, whose bodies are in `tests/it/every_server.rs`.

use fourstep::Step;
use fourstep::store::AWSCURRENT;
use serde_json::json;

use crate::every_server::{self as every, with};
use crate::support::redshift::front;

#[tokio::test]
async fn parity_10_34_nothing_but_the_password_is_replaced_and_another_engine_s_word_is_refused() {
    let Some(front) = front().await else { return };
    let document = with(&front.document(&front.user("engine").await), "more", json!({"keys": [1]}));
    let stage = front.stage(&document, &[]);
    for _ in 0..2 {
        stage.play(&Step::ALL).await;
        let now = stage.document(AWSCURRENT);
        assert_ne!(now["password"], document["password"]);
        assert_eq!(with(&now, "password", document["password"].clone()), document);
    }
    let stage = front.stage(&with(&document, "engine", "mysql"), &[]);
    let error = stage.step(Step::Create, &stage.begin()).await.error();
    assert!(error.contains("rotate-mysql"), "{error}");
}

#[tokio::test]
async fn parity_17_30_a_pending_password_that_works_already_is_left_alone() {
    let Some(front) = front().await else { return };
    every::a_pending_password_that_works_already_is_left_alone(&front).await;
}

#[tokio::test]
async fn parity_19_21_what_is_recorded_is_tried_in_turn() {
    let Some(front) = front().await else { return };
    every::what_is_recorded_is_tried_in_turn(&front).await;
}

#[tokio::test]
async fn parity_20_21_24_a_previous_version_of_no_use_is_not_tried_and_every_attempt_is_listed() {
    let Some(front) = front().await else { return };
    every::a_previous_version_of_no_use_is_not_tried(&front).await;
}

#[tokio::test]
async fn parity_22_23_another_user_or_host_in_pending_is_refused_before_any_connection() {
    let Some(front) = front().await else { return };
    every::another_user_or_host_in_pending_is_refused(&front).await;
}

/// Without capital letters and backslashes, which are refused by name.
#[tokio::test]
async fn parity_25_a_strange_name_is_changed_and_no_other() {
    let Some(front) = front().await else { return };
    let stems = ["q\"uo'te", "--", "[a]b", "a b@c", "größe", "$dollar.dot", "a;b,c", "%s{}"];
    every::a_strange_name_is_changed_and_no_other(&front, &stems).await;
}

/// Whatever it is made of: only generated ones are held to Redshift's rules.
#[tokio::test]
async fn parity_26_any_password_arrives_as_it_is() {
    let Some(front) = front().await else { return };
    for password in
        ["Quote'\"$`\\{}1", "Aa1\u{f6}\u{fc}\u{20ac} \u{65e5}", "';--|sha256|", "\u{1f511}Aa1"]
    {
        let user = front.user("password").await;
        let document = front.document(&user);
        let stage = front.stage(&document, &[]);
        let token = stage.begin();
        stage.put_pending(&token, &with(&document, "password", password));
        for step in [Step::Set, Step::Test] {
            stage.step(step, &token).await.why();
        }
        assert!(front.logs_in(&user.name, password).await, "{password}");
        assert!(!front.logs_in(&user.name, &user.password).await, "{password}");
    }
}

#[tokio::test]
async fn parity_27_28_only_the_mode_that_ssl_names_is_tried_and_fields_have_their_defaults() {
    let Some(front) = front().await else { return };
    every::only_the_mode_that_ssl_names_is_tried(&front).await;
}

#[tokio::test]
async fn parity_18_31_33_what_does_not_log_in_is_not_promoted_and_a_second_finish_changes_nothing()
{
    let Some(front) = front().await else { return };
    every::what_does_not_log_in_is_not_promoted(&front).await;
}

#[tokio::test]
async fn parity_32_a_test_only_call_with_a_copy_of_current_succeeds_and_changes_nothing() {
    let Some(front) = front().await else { return };
    every::a_test_only_call_changes_nothing(&front).await;
}
