//! Bodies of the cases that all servers share, each called by its name from the folder of a server.

use fourstep::store::{AWSCURRENT, AWSPREVIOUS};
use fourstep::{Effect, Error, ErrorKind, Step};
use fourstep_local::NewRotation;
use serde_json::{Value, json};

use crate::leaks::Planted;
use crate::support::accounts::Accounts;
use crate::support::stage::{FUNCTION, Stage, new_token};

pub fn with(document: &Value, field: &str, value: impl Into<Value>) -> Value {
    let mut changed = document.clone();
    changed[field] = value.into();
    changed
}

/// What failures of setSecret say shows no value, with each of these fields changed: their kinds, and what
/// was printed.
pub async fn no_failure_shows_a_value(
    server: &impl Accounts,
    changes: [(&str, Value); 6],
) -> (Vec<ErrorKind>, String) {
    let user = server.user("failures").await;
    let good = server.document(&user);
    let (mut kinds, mut all) = (Vec::new(), String::new());
    for (field, value) in changes {
        let mut planted = Planted::default();
        planted.add("the user's password", &user.password);
        let document = with(&good, field, value);
        planted.add("the secret's password", document["password"].as_str().unwrap());
        let stage = server.stage(&document, &[]);
        let token = stage.begin();
        let pending = with(&document, "password", planted.new_one("pending").as_str());
        stage.put_pending(&token, &pending);
        let ended = stage.step(Step::Set, &token).await;
        let error = ended.result.as_ref().unwrap_err();
        kinds.push(error.kind());
        let printed = format!("{error} {error:?} {error:#?} {:?}", ended.stats);
        planted.add("the whole secret", &document.to_string());
        planted.assert_absent(field, &printed);
        all += &printed;
    }
    (kinds, all)
}

pub async fn a_pending_password_that_works_already_is_left_alone(server: &impl Accounts) {
    let user = server.user("again").await;
    let stage = server.stage(&server.document(&user), &[]);
    let token = stage.play(&[Step::Create, Step::Set]).await;
    let before = server.kept(&user.name).await;
    let ended = stage.step(Step::Set, &token).await;
    assert_eq!(ended.result.as_ref().unwrap().effect, Effect::Nothing);
    assert!(ended.why().contains("has the pending password already"), "{}", ended.why());
    assert_eq!(server.kept(&user.name).await, before);
    assert_eq!(ended.stats.rejected_logins, 1, "current, then pending");
}

pub async fn a_previous_version_of_no_use_is_not_tried(server: &impl Accounts) {
    let (user, other) = (server.user("ignored").await, server.user("other").await);
    let wrong = with(&server.document(&user), "password", "canary-wrong");
    let tried = with(&server.document(&user), "password", "canary-old").to_string();
    let elsewhere = server.document(&other).to_string();
    let engine = json!({"engine": wrong["engine"]}).to_string();
    for previous in ["not json", "{}", &engine, &elsewhere, &tried] {
        let stage = server.stage_of_text(previous, &[]);
        stage.put_current(&wrong);
        let token = stage.play(&[Step::Create]).await;
        let kept = server.kept(&user.name).await;
        let ended = stage.step(Step::Set, &token).await;
        let error = ended.error();
        assert_eq!(ended.result.unwrap_err().kind(), ErrorKind::Rejected);
        for part in ["AWSCURRENT: ", "AWSPENDING: ", "nothing was changed"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert!(error.contains(server_says(server)), "{error}");
        assert_eq!(error.contains("AWSPREVIOUS "), previous == tried, "{error}");
        assert!(!error.contains("canary"), "{error}");
        assert_eq!(server.kept(&user.name).await, kept);
    }
}

fn server_says<S: Accounts>(_: &S) -> &'static str {
    S::REFUSED
}

pub async fn another_user_or_host_in_pending_is_refused(server: &impl Accounts) {
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

pub async fn a_strange_name_is_changed_and_no_other(server: &impl Accounts, stems: &[&str]) {
    for stem in stems {
        let (user, bystander) = (server.user(stem).await, server.user(stem).await);
        let stage = server.stage(&server.document(&user), &[]);
        stage.play(&Step::ALL).await;
        assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await, "{stem}");
        assert!(!server.logs_in(&user.name, &user.password).await, "{stem}");
        assert!(server.logs_in(&bystander.name, &bystander.password).await, "{stem}");
    }
}

/// How a rotation fails, at whichever step connects first.
async fn fails(stage: &Stage) -> Error {
    let token = stage.begin();
    match stage.step(Step::Create, &token).await.result {
        Ok(_) => stage.step(Step::Set, &token).await.result.unwrap_err(),
        Err(error) => error,
    }
}

/// The server's certificate is not trusted where no bundle is named.
pub async fn only_the_mode_that_ssl_names_is_tried<S: Accounts>(server: &S) {
    let user = server.user("mode").await;
    let document =
        with(&server.document(&user), "port", server.document(&user)["port"].to_string());
    for ssl in [json!(true), json!("TRUE")] {
        let stage = server.stage(&with(&document, "ssl", ssl), &[]);
        let token = stage.play(&[Step::Create]).await;
        stage.step(Step::Set, &token).await.why();
        server.set_password(&user.name, &user.password).await;
    }
    let stage = server.stage(&document, &[("TLS_CA_BUNDLE", "")]);
    let error = fails(&stage).await;
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    // The default port, at which nothing listens here.
    let mut without = document.clone();
    without.as_object_mut().unwrap().remove("port");
    let stage = server.stage(&without, &[]);
    let error = fails(&stage).await.to_string();
    assert!(error.contains(&format!(":{}", S::DEFAULT_PORT)), "{error}");
}

pub async fn what_does_not_log_in_is_not_promoted(server: &impl Accounts) {
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

pub async fn a_test_only_call_changes_nothing(server: &impl Accounts) {
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

/// What is recorded is tried in turn, and what is recorded nowhere is not guessed.
pub async fn what_is_recorded_is_tried_in_turn(server: &impl Accounts) {
    let user = server.user("recovered").await;
    let stage = server.stage(&server.document(&user), &[]);
    stage.play(&Step::ALL).await;
    // Somebody set it back to what AWSPREVIOUS has.
    server.set_password(&user.name, &user.password).await;
    let token = stage.play(&[Step::Create, Step::Set]).await;
    stage.step(Step::Test, &token).await.why();
    stage.cancel();
    server.set_password(&user.name, "canary-nobody's").await;
    let token = stage.play(&[Step::Create]).await;
    let ended = stage.step(Step::Set, &token).await;
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Rejected);
    assert!(ended.error().contains("AWSPREVIOUS"), "{}", ended.error());
}
