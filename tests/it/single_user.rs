//! Single user on a real PostgreSQL: the four steps, and the order of logins.

use fourstep::store::memory::{Fault, NewRotation, NewValue, PendingLabel};
use fourstep::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, StoreError, StoreErrorCode};
use fourstep::{Effect, ErrorKind, Step};
use serde_json::{Value, json};
use sqlx::Row;

use crate::support::postgres::{Server, User, server};
use crate::support::stage::{FUNCTION, Stage, new_token};

const CREATE_AND_SET: [Step; 2] = [Step::Create, Step::Set];

fn with(document: &Value, field: &str, value: impl Into<Value>) -> Value {
    let mut changed = document.clone();
    changed[field] = value.into();
    changed
}

/// The stored verifier of a user: changes with every ALTER ROLE ... PASSWORD.
async fn verifier(server: &Server, user: &User) -> String {
    let mut connection = server.superuser().await;
    let query =
        sqlx::query("SELECT rolpassword FROM pg_authid WHERE rolname = $1").bind(&user.name);
    query.fetch_one(&mut connection).await.unwrap().get(0)
}

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
            assert_eq!(ended.tally.rejected_logins, 0, "{step}");
            assert!(ended.tally.warnings.is_empty(), "{:?}", ended.tally.warnings);
            calls += ended.tally.calls.values().sum::<u32>();
            connections += ended.tally.connections;
        }
        assert!(calls <= 13, "{calls} Secrets Manager calls");
        assert_eq!(connections, 2);
        // Both end states of AWSPENDING are legal; the next rotation starts from either.
        stage.store.finish_rotation(&stage.secret, &token, PendingLabel::Left).unwrap();
    }
    assert!(!server.log_about(&user.name).contains("FATAL"), "a login failed");
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
    assert_eq!(ended.tally.connections, 0, "createSecret does not touch the target");
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
        assert!(!ended.tally.calls.contains_key("PutSecretValue"));
    }
    for text in ["canary", "[]", "{\"password\": canary}"] {
        let stage = Stage::of_text(text, &[]);
        let error = stage.step(Step::Create, &stage.begin()).await.error();
        assert!(error.contains("is not a JSON object") && !error.contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn parity_17_a_pending_password_that_works_already_is_left_alone() {
    let Some(server) = server() else { return };
    let user = server.user("again").await;
    let stage = Stage::new(&server.document(&user), &[]);
    let token = stage.play(&CREATE_AND_SET).await;
    let before = verifier(&server, &user).await;
    let ended = stage.step(Step::Set, &token).await;
    assert_eq!(ended.result.as_ref().unwrap().effect, Effect::Nothing);
    assert!(ended.why().contains("has the pending password already"), "{}", ended.why());
    assert_eq!(verifier(&server, &user).await, before);
    assert_eq!(
        (ended.tally.connections, ended.tally.rejected_logins),
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
    assert_eq!(ended.tally.rejected_logins, 2, "current and pending, once each");
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
    let before = verifier(&server, &user).await;
    let ended = stage.step(Step::Set, &token).await;
    let error = ended.error();
    assert_eq!(ended.result.unwrap_err().kind(), ErrorKind::Rejected);
    for label in ["AWSCURRENT: ", "AWSPENDING: ", "AWSPREVIOUS ", "nothing was changed", "28P01"] {
        assert!(error.contains(label), "{label}: {error}");
    }
    assert!(!error.contains("canary"), "{error}");
    assert_eq!(ended.tally.rejected_logins, 3);
    assert_eq!(verifier(&server, &user).await, before);
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
        assert_eq!(ended.tally.connections, 0);
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
        assert_eq!(ended.tally.connections, 2, "current and pending only");
        assert!(server.logs_in(&user.name, &user.password).await);
    }
}

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
    let expected = format!("logged in with unlabelled version {cancelled}");
    assert!(ended.why().contains(&expected), "{}", ended.why());
    assert_eq!(ended.tally.calls.get("ListSecretVersionIds"), Some(&1));
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
    for words in ["AWSCURRENT: ", "AWSPENDING: ", "ListSecretVersionIds failed: not authorized"] {
        assert!(ended.error().contains(words), "{words}: {}", ended.error());
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
    assert_eq!((ended.tally.connections, ended.tally.rejected_logins), (1, 1), "{}", ended.error());
}

#[tokio::test]
async fn parity_25_hostile_user_names_change_only_that_user_twice() {
    let Some(server) = server() else { return };
    let bystander = server.user("bystander").await;
    for stem in [
        "quote\"d",
        "apo'strophe",
        "back\\slash",
        "per%cent%s",
        "with space",
        "semi;colon; DROP ROLE x; --",
        "UPPER",
        "ünï☃",
        "comma,equals=",
        "$dollar$1",
        "tab\there",
        "{brace}",
        "a@b:c/d",
        "new\nline",
        "\u{a0}nbsp",
        "-- comment",
        "/* c",
        "E'\\x41'",
    ] {
        let user = server.user(stem).await;
        let stage = Stage::new(&server.document(&user), &[]);
        let mut last = user.password.clone();
        for _ in 0..2 {
            stage.play(&Step::ALL).await;
            let now = stage.password(AWSCURRENT);
            assert!(server.logs_in_somehow(&user.name, &now).await, "{stem:?}");
            assert!(!server.logs_in_somehow(&user.name, &last).await, "{stem:?}");
            last = now;
        }
    }
    assert!(server.logs_in(&bystander.name, &bystander.password).await);
}

#[tokio::test]
async fn parity_26_hostile_passwords_work_exactly_twice() {
    let Some(server) = server() else { return };
    for password in [
        "per%cent%s",
        "quo'te",
        "dou\"ble",
        "back\\slash\\",
        "$dollar$$tag$",
        "with space ",
        ";semi--",
        "ünï☃",
        "{}[]()",
        "`tick`",
        "a:b@c/d?e#f&g=h",
        "E'\\x41'",
        "SCRAM-SHA-256$4096:x",
        "md5abc",
    ] {
        let user = server.user_with("password", password).await;
        let stage = Stage::new(&server.document(&user), &[]);
        stage.play(&Step::ALL).await;
        // And as the value that is rotated in.
        let token = stage.begin();
        stage.put_pending(&token, &with(&server.document(&user), "password", password));
        for step in [Step::Set, Step::Test, Step::Finish] {
            stage.step(step, &token).await.why();
        }
        assert!(server.logs_in(&user.name, password).await, "{password:?}");
    }
}

#[tokio::test]
async fn parity_26_passwords_made_of_every_printable_character_work() {
    let Some(server) = server() else { return };
    let user = server.user("printable").await;
    let variables = [("EXCLUDE_CHARACTERS", "\u{7f}"), ("PASSWORD_LENGTH", "400")];
    let stage = Stage::new(&server.document(&user), &variables);
    for _ in 0..3 {
        stage.play(&Step::ALL).await;
        assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
    }
}

#[tokio::test]
async fn parity_28_a_port_written_as_text_and_an_absent_database_name_work() {
    let Some(server) = server() else { return };
    let user = server.user("defaults").await;
    let mut document = with(&server.document(&user), "port", server.port.to_string());
    document.as_object_mut().unwrap().remove("dbname");
    let stage = Stage::new(&document, &[]);
    stage.play(&Step::ALL).await;
    assert_eq!(stage.document(AWSCURRENT)["port"], json!(server.port.to_string()), "kept as text");
    let stage = Stage::new(&with(&stage.document(AWSCURRENT), "dbname", json!(null)), &[]);
    stage.play(&Step::ALL).await;
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
    let before = verifier(&server, &user).await;
    let ended = stage.step(Step::Test, &token).await;
    assert_eq!(ended.why(), "the current secret logs in and a rotation would succeed");
    stage.store.end_test(&stage.secret, &token).unwrap();
    assert_eq!(verifier(&server, &user).await, before);
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

#[tokio::test]
async fn a_user_whose_role_setting_makes_it_somebody_else_still_changes_itself() {
    let Some(server) = server() else { return };
    let user = server.user("setrole").await;
    let name = &user.name;
    server
        .arrange(&format!(
            "CREATE ROLE {name}_owner NOLOGIN; GRANT {name}_owner TO {name}; ALTER ROLE {name} SET role = {name}_owner; \
             ALTER ROLE {name} SET default_transaction_read_only = on; ALTER ROLE {name} SET statement_timeout = '1ms'"
        ))
        .await;
    let stage = Stage::new(&server.document(&user), &[]);
    stage.play(&Step::ALL).await;
    assert!(server.logs_in(name, &stage.password(AWSCURRENT)).await);
}
