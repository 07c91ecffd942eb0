//! What a function says of events, settings, servers and binaries that are no good.

use std::path::Path;
use std::time::Duration;

use fourstep::Step;
use fourstep::store::AWSPENDING;
use fourstep_cli::events;
use fourstep_cli::function::Function;
use serde_json::json;

use crate::support::hostile::echoing_server;
use crate::support::postgres::server;
use crate::support::program::{binary, fourstep, secret_file};
use crate::support::proxy::Proxy;

use super::{Scene, error, unused};

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
async fn a_refused_configuration_answers_every_event_and_calls_nothing() {
    for (name, value) in [
        ("EXCLUDE_NUMBERS", "perhaps"),
        ("PASSWORD_LENGTH", "canary"),
        ("ROTATION_STRATEGY", "dual-password"),
        ("TLS_CA_BUNDLE", "/no/such/file"),
        ("AWS_CA_BUNDLE", "/no/such/file"),
        // A folder, which cannot be read, and nothing.
        ("AWS_CA_BUNDLE", "/"),
        ("AWS_CA_BUNDLE", "/dev/null"),
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
    let scene = Scene::with_timeout(&document, &[], 15).await;
    let token = scene.begin();
    scene.step(Step::Create, &token).await.answer.unwrap();
    let invocation = scene.step(Step::Set, &token).await;
    let (kind, message) = error(&invocation);
    assert_eq!(kind, "Unreachable", "{message}");
    assert!(message.contains("may or may not have been changed"), "{message}");
    assert!(invocation.duration < Duration::from_secs(15), "it reports before it is stopped");
    assert_eq!(scene.step(Step::Set, &token).await.answer.unwrap()["outcome"], "nothing to do");
}

#[tokio::test]
async fn beyond_12_a_short_timeout_is_reported_by_the_function_itself() {
    let Some(server) = server() else { return };
    let user = server.user("short").await;
    let scene = Scene::with_timeout(&server.document(&user), &[], 4).await;
    let token = scene.begin();
    scene.step(Step::Create, &token).await.answer.unwrap();
    let invocation = scene.step(Step::Set, &token).await;
    let (kind, message) = error(&invocation);
    assert_eq!(kind, "OutOfTime");
    assert!(
        message.contains("did not begin the change") && message.contains("timeout"),
        "{message}"
    );
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
        let scene = Scene::with_timeout(&document, &[], 12).await;
        let token = scene.begin();
        scene.step(Step::Create, &token).await.answer.unwrap();
        let invocation = scene.step(Step::Set, &token).await;
        let (kind, message) = error(&invocation);
        assert!(["Unreachable", "OutOfTime"].contains(&kind), "{kind}: {message}");
        assert!(invocation.duration < Duration::from_secs(12));
        assert_eq!(invocation.line().unwrap()["error_type"], kind);
    }
}

#[tokio::test]
async fn a_binary_that_is_no_function_is_reported() {
    let scene = Scene::new(&unused(), &[]).await;
    let event = events::question(fourstep::Question::Inspect, &scene.arn);
    let endpoint = scene.server.url();
    let run = async |path: &str, seconds| {
        let function = Function::new(Path::new(path), &endpoint, &[], Duration::from_secs(seconds));
        function.invoke(&event).await
    };
    assert!(run("/no/such/binary", 2).await.is_err());
    let (kind, _) = run("/bin/false", 30).await.unwrap().answer.unwrap_err();
    assert_eq!(kind, "Runtime.ExitError");
    let (kind, _) = run("/usr/bin/yes", 2).await.unwrap().answer.unwrap_err();
    assert_eq!(kind, "Sandbox.Timedout");
}

/// A wrong path, or an author's own output: what a process writes is what explains it.
#[tokio::test]
async fn what_a_process_wrote_is_shown_where_it_died_and_where_it_is_asked_for() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("talkative");
    let text = "#!/bin/sh\necho 'to standard output'\necho 'usage: something else' >&2\nexit 2\n";
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let secret = secret_file(r#"{"host": "db"}"#);
    let paths = [&script, &secret.path].map(|path| path.to_str().unwrap());
    for more in [&[][..], &["--verbose"], &["-v"]] {
        let asked = ["inspect", "--rotator", paths[0], "--secret", paths[1]];
        let output = fourstep(&[&asked, more].concat()).await;
        assert!(!output.status.success());
        let [said, errors] =
            [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        let all = format!("{said}{errors}");
        for words in ["ended without an answer", "usage: something else", "to standard output"] {
            assert!(all.contains(words), "{words}: {output:?}");
        }
        let passed_on = errors.starts_with("to standard output\nusage: something else\n")
            || errors.starts_with("usage: something else\nto standard output\n");
        assert_eq!(passed_on, !more.is_empty(), "{output:?}");
    }
}
