//! The very binary that Lambda runs, through the Runtime API, a fresh process for each event.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fourstep::store::memory::{MemoryStore, NewRotation, NewSecret, PendingLabel};
use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{SecretId, Step, VersionId};
use fourstep_cli::function::{Function, Invocation};
use fourstep_cli::{events, serve};
use serde_json::{Value, json};

use crate::support::hostile::echoing_server;
use crate::support::postgres::server;
use crate::support::program::binary;
use crate::support::proxy::Proxy;
use crate::support::stage::{FUNCTION, new_token, read};

/// The function, and the local Secrets Manager it calls.
struct Scene {
    server: serve::Server,
    function: Function,
    secret: SecretId,
    arn: String,
}

impl Scene {
    async fn new(document: &Value, variables: &[(&str, &str)]) -> Self {
        Self::with_timeout(document, variables, 30).await
    }

    async fn with_timeout(document: &Value, variables: &[(&str, &str)], seconds: u64) -> Self {
        let store = Arc::new(MemoryStore::new());
        let text = document.to_string();
        let new = NewSecret { value: Some(text.as_str().into()), ..NewSecret::default() };
        let arn = store.create("function/secret", new).unwrap().arn;
        let server = serve::start(([127, 0, 0, 1], 0).into(), store, None).await.unwrap();
        let function = function(&server.url(), variables, seconds);
        let secret = SecretId::parse(&arn).unwrap();
        Self { server, function, secret, arn }
    }

    fn begin(&self) -> VersionId {
        let token = new_token();
        self.server.store().rotate(&self.secret, &NewRotation::now(&token, FUNCTION)).unwrap();
        token
    }

    async fn step(&self, step: Step, token: &VersionId) -> Invocation {
        self.function.invoke(&events::step(step, &self.arn, token.as_str())).await.unwrap()
    }

    fn document(&self, label: &str) -> Value {
        serde_json::from_str(&read(self.server.store(), &self.secret, label)).unwrap()
    }
}

fn function(endpoint: &str, variables: &[(&str, &str)], seconds: u64) -> Function {
    let variables: Vec<(String, String)> =
        variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    Function::new(&binary("rotate-postgres"), endpoint, &variables, Duration::from_secs(seconds))
}

/// A document that no test connects with.
fn unused() -> Value {
    json!({"engine": "postgres", "host": "localhost", "port": 1, "username": "canary-user", "password": "canary"})
}

fn error(invocation: &Invocation) -> (&str, &str) {
    let (kind, message) = invocation.answer.as_ref().unwrap_err();
    (kind, message)
}

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
        assert!(calls <= 13 && connections == 2, "{calls} calls, {connections} connections");
        scene.server.store().finish_rotation(&scene.secret, &token, pending).unwrap();
        let mut current = scene.document(AWSCURRENT);
        let password = current["password"].as_str().unwrap().to_owned();
        assert!(server.logs_in(&user.name, &password).await);
        current["password"] = document["password"].clone();
        assert_eq!(current, document);
    }
    let counted: u64 = scene.server.calls().values().sum();
    assert_eq!(counted, 26, "the SDK sent nothing that the function did not count");
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
async fn parity_01_02_08_a_malformed_event_is_named_and_nothing_is_called() {
    let scene = Scene::new(&unused(), &[("AWS_LAMBDA_LOG_LEVEL", "TRACE")]).await;
    let token = scene.begin();
    let good = events::step(Step::Set, &scene.arn, token.as_str());
    for (field, value) in [
        ("Step", json!(null)),
        ("Step", json!("canarySecret")),
        ("SecretId", json!("canary\n")),
        ("ClientRequestToken", json!("canary-0123456789-0123456789-0123456789é")),
        ("ClientRequestToken", json!("")),
        ("RotationToken", json!("canary canary canary canary canary canary")),
    ] {
        let mut event = good.clone();
        event[field] = value;
        let invocation = scene.function.invoke(&event).await.unwrap();
        let (kind, message) = error(&invocation);
        assert_eq!(kind, "Malformed");
        assert!(message.contains(field), "{message}");
        let printed = format!("{:?} {message}", invocation.lines);
        assert!(!printed.contains("canary"), "{printed}");
    }
    assert!(scene.server.calls().is_empty(), "{:?}", scene.server.calls());
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
async fn a_refused_configuration_answers_every_event_and_calls_nothing() {
    for (name, value) in [
        ("EXCLUDE_NUMBERS", "perhaps"),
        ("PASSWORD_LENGTH", "canary"),
        ("ROTATION_STRATEGY", "alternating-users"),
        ("TLS_CA_BUNDLE", "/no/such/file"),
        ("ALLOW_PLAINTEXT_FALLBACK", "canary"),
        ("ALLOW_WEAK_AUTHENTICATION", "canary"),
        ("TLS_SERVER_NAME", "not a name"),
    ] {
        let scene = Scene::new(&unused(), &[(name, value)]).await;
        let token = scene.begin();
        let invocation = scene.step(Step::Create, &token).await;
        let (kind, message) = error(&invocation);
        assert_eq!(kind, "Malformed", "{name}");
        assert!(message.contains(name) && !message.contains("canary"), "{message}");
        let first = &invocation.lines[0];
        assert!(first["why"].as_str().unwrap().contains(name), "said at start already: {first}");
        assert!(scene.server.calls().is_empty());
    }
}

#[tokio::test]
async fn away_from_lambda_it_says_what_to_run_instead() {
    let output = tokio::process::Command::new(binary("rotate-postgres"))
        .env_remove("AWS_LAMBDA_RUNTIME_API")
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("fourstep replay --rotator"), "{text}");
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

/// It asks for the password in cleartext, which was allowed, and repeats it in every notice and
/// error; the log level is the most that can be asked for.
#[tokio::test]
async fn beyond_11_a_server_that_repeats_the_password_is_not_quoted() {
    let mut document = unused();
    document["port"] = json!(echoing_server().await);
    document["ssl"] = json!(false);
    document["password"] = json!("echoed-back");
    let variables = [
        ("ALLOW_WEAK_AUTHENTICATION", "true"),
        ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
        ("RUST_LOG", "trace"),
    ];
    let scene = Scene::with_timeout(&document, &variables, 10).await;
    let token = scene.begin();
    for step in [Step::Create, Step::Set, Step::Test] {
        let invocation = scene.step(step, &token).await;
        let printed = format!("{:?} {:?}", invocation.answer, invocation.lines);
        let pending = scene.document(AWSPENDING)["password"].as_str().unwrap().to_owned();
        for value in ["echoed-back", pending.as_str(), "SCRAM-SHA-256$"] {
            assert!(!printed.contains(value), "{step}: {value}: {printed}");
        }
        if step == Step::Set {
            assert!(invocation.answer.is_err(), "it answers every query with an error");
        }
    }
}

#[tokio::test]
async fn beyond_12_silence_at_commit_says_that_the_change_may_have_been_made() {
    let Some(server) = server() else { return };
    let user = server.user("silence").await;
    let proxy = Proxy::start(server.port).await;
    let mut document = server.document(&user);
    document["port"] = json!(proxy.port);
    let scene = Scene::with_timeout(&document, &[], 7).await;
    let token = scene.begin();
    scene.step(Step::Create, &token).await.answer.unwrap();
    let invocation = scene.step(Step::Set, &token).await;
    let (kind, message) = error(&invocation);
    assert_eq!(kind, "Unreachable", "{message}");
    assert!(message.contains("may or may not have been changed"), "{message}");
    assert!(invocation.duration < Duration::from_secs(7), "it reports before it is stopped");
    assert_eq!(scene.step(Step::Set, &token).await.answer.unwrap()["outcome"], "nothing to do");
}

#[tokio::test]
async fn beyond_12_a_short_timeout_is_reported_by_the_function_itself() {
    let Some(server) = server() else { return };
    let user = server.user("short").await;
    let scene = Scene::with_timeout(&server.document(&user), &[], 3).await;
    let token = scene.begin();
    scene.step(Step::Create, &token).await.answer.unwrap();
    let invocation = scene.step(Step::Set, &token).await;
    let (kind, message) = error(&invocation);
    assert_eq!(kind, "OutOfTime");
    assert!(message.contains("nothing was changed") && message.contains("timeout"), "{message}");
    assert!(server.logs_in(&user.name, &user.password).await);
}

#[tokio::test]
async fn a_server_that_never_answers_is_reported_before_lambda_stops_the_function() {
    // It accepts connections and says nothing.
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let mut document = unused();
    document["port"] = json!(silent.local_addr().unwrap().port());
    for ssl in [true, false] {
        document["ssl"] = json!(ssl);
        let scene = Scene::with_timeout(&document, &[], 8).await;
        let token = scene.begin();
        scene.step(Step::Create, &token).await.answer.unwrap();
        let invocation = scene.step(Step::Set, &token).await;
        let (kind, message) = error(&invocation);
        assert!(["Unreachable", "OutOfTime"].contains(&kind), "{kind}: {message}");
        assert!(invocation.duration < Duration::from_secs(8));
        assert_eq!(invocation.line().unwrap()["error_type"], kind);
    }
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
        let invocation = scene.function.invoke(&events::inspect(&scene.arn)).await.unwrap();
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

#[tokio::test]
async fn a_binary_that_is_no_function_is_reported() {
    let scene = Scene::new(&unused(), &[]).await;
    let event = events::inspect(&scene.arn);
    let endpoint = scene.server.url();
    let run = async |path: &str| {
        let function = Function::new(Path::new(path), &endpoint, &[], Duration::from_secs(2));
        function.invoke(&event).await
    };
    assert!(run("/no/such/binary").await.is_err());
    let (kind, _) = run("/bin/false").await.unwrap().answer.unwrap_err();
    assert_eq!(kind, "Runtime.ExitError");
    let (kind, _) = run("/usr/bin/yes").await.unwrap().answer.unwrap_err();
    assert_eq!(kind, "Sandbox.Timedout");
}
