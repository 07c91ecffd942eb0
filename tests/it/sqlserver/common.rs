//! What every single-user rotator of AWS's does, at SQL Server: `parity_NN` are here the cases that all
//! engines share, whose bodies are in `tests/it/every_server.rs`. Names of users have no limit of ours.

use serde_json::json;

use super::with;
use crate::every_server as every;
use crate::support::sqlserver::sqlserver;

#[tokio::test]
async fn parity_17_30_a_pending_password_that_works_already_is_left_alone() {
    let Some(server) = sqlserver().await else { return };
    every::a_pending_password_that_works_already_is_left_alone(&server).await;
}

#[tokio::test]
async fn parity_19_21_what_is_recorded_is_tried_in_turn() {
    let Some(server) = sqlserver().await else { return };
    every::what_is_recorded_is_tried_in_turn(&server).await;
}

#[tokio::test]
async fn parity_20_21_24_a_previous_version_of_no_use_is_not_tried_and_every_attempt_is_listed() {
    let Some(server) = sqlserver().await else { return };
    every::a_previous_version_of_no_use_is_not_tried(&server).await;
}

#[tokio::test]
async fn parity_22_23_another_user_or_host_in_pending_is_refused_before_any_connection() {
    let Some(server) = sqlserver().await else { return };
    every::another_user_or_host_in_pending_is_refused(&server).await;
}

#[tokio::test]
async fn parity_25_a_strange_name_is_changed_and_no_other() {
    let Some(server) = sqlserver().await else { return };
    let stems = ["Q\"uo'te", "]--", "[a]b", "Upper", "a b@c", "Größe", "$dollar.dot", "a;b,c"];
    every::a_strange_name_is_changed_and_no_other(&server, &stems).await;
}

#[tokio::test]
async fn parity_26_any_password_arrives_as_it_is() {
    let Some(server) = sqlserver().await else { return };
    for password in [
        "Quote'\"$]`{}1",
        "Aa1\u{f6}\u{fc}\u{20ac} \u{65e5}\u{672c}",
        "';--Aa1 N'x",
        "\u{1f511}Aa1-----",
    ] {
        let user = server.user("password").await;
        let document = server.document(&user);
        let stage = server.stage(&document, &[]);
        let token = stage.begin();
        stage.put_pending(&token, &with(&document, "password", password));
        stage.step(fourstep::Step::Set, &token).await.why();
        stage.step(fourstep::Step::Test, &token).await.why();
        assert_eq!(server.login(&user.name).await["password"], json!(password));
        assert!(server.logs_in(&user.name, password).await, "{password}");
    }
}

#[tokio::test]
async fn parity_10_the_words_of_rds_for_the_engine_are_taken() {
    let Some(server) = sqlserver().await else { return };
    for engine in ["sqlserver-ee", "sqlserver-se", "sqlserver-ex", "sqlserver-web"] {
        let document = with(&server.document(&server.user("engine").await), "engine", engine);
        server.stage(&document, &[]).play(&fourstep::Step::ALL).await;
    }
    let document = with(&server.document(&server.user("engine").await), "engine", "mysql");
    let stage = server.stage(&document, &[]);
    let error = stage.step(fourstep::Step::Create, &stage.begin()).await.error();
    assert!(error.contains("rotate-mysql"), "{error}");
}

#[tokio::test]
async fn parity_27_28_only_the_mode_that_ssl_names_is_tried_and_fields_have_their_defaults() {
    let Some(server) = sqlserver().await else { return };
    every::only_the_mode_that_ssl_names_is_tried(&server).await;
}

#[tokio::test]
async fn parity_31_33_what_does_not_log_in_is_not_promoted_and_a_second_finish_changes_nothing() {
    let Some(server) = sqlserver().await else { return };
    every::what_does_not_log_in_is_not_promoted(&server).await;
}

#[tokio::test]
async fn parity_32_a_test_only_call_with_a_copy_of_current_succeeds_and_changes_nothing() {
    let Some(server) = sqlserver().await else { return };
    every::a_test_only_call_changes_nothing(&server).await;
}
