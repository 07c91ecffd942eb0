//! Whole rotations, and what surrounds them.

use fourstep::Step;
use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep_cli::events;
use fourstep_local::PendingLabel;
use serde_json::json;

use super::{Scene, function, unused};
use crate::support::postgres::server;
use crate::support::proxy::Proxy;

#[tokio::test]
async fn parity_34_two_whole_rotations_keep_every_other_key() {
    let Some(server) = server() else { return };
    let user = server.user("whole").await;
    let mut document = server.document(&user);
    document["ssl"] = json!(true);
    document["dbInstanceIdentifier"] = json!("db-1");
    document["ünïcode"] = json!({"deep": [1, 2.5, null, "☃"]});
    let scene = Scene::new(&document, &[("TLS_CA_BUNDLE", &server.ca)]).await;
    for pending in [PendingLabel::Left, PendingLabel::Removed] {
        let token = scene.begin();
        let (mut calls, mut connections) = (0, 0);
        for step in Step::ALL {
            let invocation = scene.step(step, &token).await;
            let answer =
                invocation.answer.as_ref().unwrap_or_else(|error| panic!("{step}: {error:?}"));
            assert_eq!(answer["outcome"], "done");
            let line = invocation.line().unwrap();
            assert_eq!((&line["step"], &line["outcome"]), (&json!(step.name()), &json!("done")));
            assert_eq!(
                (&line["secret"], &line["version"]),
                (&json!(scene.arn), &json!(token.as_str()))
            );
            assert_eq!((&line["RejectedLogins"], &line["Failures"]), (&json!(0), &json!(0)));
            assert_eq!(invocation.lines.len(), 1, "one line per step: {:?}", invocation.lines);
            calls += line["SecretsManagerCalls"].as_u64().unwrap();
            connections += line["Connections"].as_u64().unwrap();
        }
        assert!(calls <= 14 && connections == 2, "{calls} calls, {connections} connections");
        scene.server.store().finish_rotation(&scene.secret, &token, pending).unwrap();
        let mut current = scene.document(AWSCURRENT);
        let password = current["password"].as_str().unwrap().to_owned();
        assert!(server.logs_in(&user.name, &password).await);
        current["password"] = document["password"].clone();
        assert_eq!(current, document);
    }
    let counted: u64 = scene.server.calls().values().sum();
    assert_eq!(counted, 28, "the SDK sent nothing that the function did not count");
}

#[tokio::test]
async fn parity_09_every_call_goes_to_the_configured_endpoint() {
    let scene = Scene::new(&unused(), &[]).await;
    let token = scene.begin();
    scene.step(Step::Create, &token).await.answer.unwrap();
    assert_eq!(scene.server.calls().get("PutSecretValue"), Some(&1));
    // AWS_ENDPOINT_URL, which every SDK knows, does as well; AWS's own variable comes first.
    let url = scene.server.url();
    for variables in [
        [("SECRETS_MANAGER_ENDPOINT", ""), ("AWS_ENDPOINT_URL", url.as_str())],
        [("SECRETS_MANAGER_ENDPOINT", url.as_str()), ("AWS_ENDPOINT_URL", "http://127.0.0.1:1")],
    ] {
        let event = events::step(Step::Create, &scene.arn, token.as_str());
        function("", &variables, 30).invoke(&event).await.unwrap().answer.unwrap();
    }
}

#[tokio::test]
async fn parity_15_settings_reach_the_password() {
    let variables =
        [("PASSWORD_LENGTH", "50"), ("EXCLUDE_PUNCTUATION", "y"), ("EXCLUDE_CHARACTERS", "abc")];
    let scene = Scene::new(&unused(), &variables).await;
    let token = scene.begin();
    scene.step(Step::Create, &token).await.answer.unwrap();
    let pending = scene.document(AWSPENDING);
    let password = pending["password"].as_str().unwrap();
    assert_eq!(password.len(), 50);
    assert!(password.chars().all(|c| c.is_ascii_alphanumeric() && !"abc".contains(c)));
}

#[tokio::test]
async fn parity_30_a_process_killed_after_its_commit_is_made_good_by_the_retry() {
    let Some(server) = server() else { return };
    let user = server.user("killed").await;
    let mut proxy = Proxy::start(server.port).await;
    let mut document = server.document(&user);
    document["port"] = json!(proxy.port);
    let scene = Scene::new(&document, &[]).await;
    let token = scene.begin();
    scene.step(Step::Create, &token).await.answer.unwrap();
    tokio::select! {
        // Dropping the invocation kills its process.
        ended = scene.step(Step::Set, &token) => panic!("it ended: {:?}", ended.answer),
        () = proxy.committed() => {}
    }
    let pending = scene.document(AWSPENDING)["password"].as_str().unwrap().to_owned();
    assert!(server.logs_in(&user.name, &pending).await);
    assert!(!server.logs_in(&user.name, &user.password).await);
    // The service retries from createSecret with the same token.
    for (step, outcome) in [
        (Step::Create, "nothing to do"),
        (Step::Set, "nothing to do"),
        (Step::Test, "done"),
        (Step::Finish, "done"),
    ] {
        assert_eq!(scene.step(step, &token).await.answer.unwrap()["outcome"], outcome, "{step}");
    }
    assert_eq!(scene.document(AWSCURRENT)["password"], pending);
}

#[tokio::test]
async fn beyond_14_the_rotation_token_is_forwarded_and_in_no_line() {
    let scene =
        Scene::new(&unused(), &[("AWS_LAMBDA_LOG_LEVEL", "TRACE"), ("RUST_LOG", "trace")]).await;
    let token = scene.begin();
    let mut event = events::step(Step::Create, &scene.arn, token.as_str());
    let rotation_token = "canary-0123456789-0123456789-0123456789";
    event["RotationToken"] = json!(rotation_token);
    let invocation = scene.function.invoke(&event).await.unwrap();
    invocation.answer.as_ref().unwrap();
    let forwarded = scene.server.store().forwarded_token(&scene.secret, &token).unwrap();
    assert_eq!(forwarded.expose(), rotation_token);
    assert!(!format!("{:?}", invocation.lines).contains(rotation_token));
}

#[tokio::test]
async fn inspect_tells_which_labelled_version_logs_in_and_shows_no_value() {
    let Some(server) = server() else { return };
    let user = server.user("inspect").await;
    let scene = Scene::new(&server.document(&user), &[]).await;
    let token = scene.begin();
    let verdicts = async || {
        let invocation = scene
            .function
            .invoke(&events::question(fourstep::Question::Inspect, &scene.arn))
            .await
            .unwrap();
        let answer = invocation.answer.clone().unwrap();
        let printed = format!("{answer} {:?}", invocation.lines);
        assert!(!printed.contains(&user.password), "{printed}");
        let mut rows: Vec<(String, String)> = answer["versions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                (
                    row["labels"][0].as_str().unwrap().to_owned(),
                    row["verdict"].as_str().unwrap().to_owned(),
                )
            })
            .collect();
        rows.sort();
        rows.into_iter().map(|(label, verdict)| format!("{label} {verdict}")).collect::<Vec<_>>()
    };
    assert_eq!(verdicts().await, ["AWSCURRENT accepted", "AWSPENDING empty"]);
    scene.step(Step::Create, &token).await.answer.unwrap();
    assert_eq!(verdicts().await, ["AWSCURRENT accepted", "AWSPENDING rejected"]);
    scene.step(Step::Set, &token).await.answer.unwrap();
    assert_eq!(verdicts().await, ["AWSCURRENT rejected", "AWSPENDING accepted"]);
    server.arrange(&format!("ALTER ROLE \"{}\" NOLOGIN", user.name)).await;
    assert_eq!(verdicts().await, ["AWSCURRENT rejected", "AWSPENDING unknown"]);
}
