//! A function that is sent an event by `aws lambda invoke` at `fourstep serve`, and a question about a secret
//! in it.

use serde_json::{Value, json};

use super::serving::{Reply, Serving, unreachable};
use crate::support::program::{binary, fourstep};

fn function_error(reply: &Reply) -> bool {
    reply.head.contains("x-amz-function-error: unhandled\r\n")
}

#[tokio::test]
async fn without_a_rotator_there_is_no_function_and_the_answer_says_why() {
    let serving = Serving::start(&[]).await;
    let reply = serving.invoke("RequestResponse", "{}").await;
    assert_eq!(reply.status, 404);
    assert!(reply.head.contains("x-amzn-errortype: resourcenotfoundexception"), "{}", reply.head);
    let said = reply.json();
    assert_eq!(said["Type"], "User");
    let message = said["Message"].as_str().unwrap();
    assert!(message.starts_with("Function not found: anything."), "{message}");
    assert!(message.contains("--rotator"), "{message}");
}

#[tokio::test]
async fn an_event_runs_the_rotator_and_is_answered_as_lambda_does() {
    let rotator = binary("rotate-postgres");
    let serving = Serving::start(&["--rotator", rotator.to_str().unwrap()]).await;
    let document = unreachable().to_string();
    serving.ok("CreateSecret", json!({"Name": "app/db", "SecretString": document})).await;
    let inspect = json!({"Fourstep": "inspect", "SecretId": "app/db"}).to_string();
    let reply = serving.invoke("RequestResponse", &inspect).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(reply.head.contains("x-amz-executed-version: $latest"), "{}", reply.head);
    assert!(!function_error(&reply), "{}", reply.head);
    let versions: Value = reply.json()["versions"].clone();
    assert_eq!(versions[0]["verdict"], "unknown", "{versions}");
    assert!(!reply.body.contains("canary"), "{}", reply.body);

    // The default kind, and an ARN for a name, as the CLI writes it.
    let path = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af/invocations";
    let reply = serving.ask(path, "", &inspect).await.unwrap();
    assert!(reply.status == 200 && reply.json()["versions"].is_array(), "{}", reply.body);

    let reply = serving.invoke("RequestResponse", r#"{"Step": "canary"}"#).await;
    assert_eq!(reply.status, 200);
    assert!(function_error(&reply), "{}", reply.head);
    assert_eq!(reply.json()["errorType"], "Malformed", "{}", reply.body);
    assert!(reply.json()["errorMessage"].is_string(), "{}", reply.body);

    let reply = serving.invoke("Event", r#"{"Step": "nothing"}"#).await;
    assert_eq!((reply.status, reply.body.as_str()), (202, ""));
    serving.says("invoked: failed: Malformed").await;
    assert_eq!(serving.invoke("DryRun", "{}").await.status, 204);
    for (kind, event, name) in [
        ("RequestResponse", "{canary", "invalidrequestcontentexception"),
        ("Canary", "{}", "invalidparametervalueexception"),
    ] {
        let reply = serving.invoke(kind, event).await;
        assert_eq!(reply.status, 400, "{}", reply.body);
        assert!(reply.head.contains(&format!("x-amzn-errortype: {name}")), "{}", reply.head);
        assert!(!reply.body.to_lowercase().contains("canary"), "{}", reply.body);
    }
}

#[tokio::test]
async fn a_question_is_asked_of_a_secret_at_an_endpoint() {
    let rotator = binary("rotate-postgres");
    let rotator = rotator.to_str().unwrap();
    let serving = Serving::start(&[]).await;
    let document = unreachable().to_string();
    serving.ok("CreateSecret", json!({"Name": "app/db", "SecretString": document})).await;
    let url = format!("http://{}", serving.address);
    let at = ["--rotator", rotator, "--endpoint", &url, "--secret-id"];
    // A plan of one user asks nobody.
    for (question, words, status) in [
        ("inspect", "AWSCURRENT", 1),
        ("preflight", "fails", 1),
        ("plan", "Nothing but a new password", 0),
    ] {
        let output = fourstep(&[&[question][..], &at, &["app/db"]].concat()).await;
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(status), "{question}: {said}");
        assert!(said.contains(words), "{question}: {said}");
        assert!(!said.contains("canary"), "{question}: {said}");
    }
    let output = fourstep(&[&["inspect"][..], &at, &["app/none", "--json"]].concat()).await;
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["error_type"], "NotFound", "{answer}");
    for wrong in [
        &["inspect", "--endpoint", &url, "--secret-id", "app/db"][..],
        &["inspect", "--rotator", rotator, "--endpoint", &url],
        &["inspect", "--rotator", rotator, "--secret-id", "app/db"],
        &["inspect", "--rotator", rotator, "--endpoint", &url, "--secret-id", "a", "--secret", "f"],
        &["replay", "--rotator", rotator, "--endpoint", &url, "--secret-id", "a"],
    ] {
        assert_eq!(fourstep(wrong).await.status.code(), Some(2), "{wrong:?}");
    }
}
