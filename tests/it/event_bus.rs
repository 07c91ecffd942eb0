//! An event of each rotation, where `ROTATION_EVENT_BUS` names a bus: what is in it, what it needs, and that
//! nothing about it makes a rotation fail. By the real function.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use fourstep::store::{AWSCURRENT, AWSPREVIOUS};
use serde_json::{Value, json};

use crate::doctor::states::versions;
use crate::support::host::{Host, days};
use crate::support::postgres;

const FUNCTION: &str = "fourstep-postgres";

/// EventBridge, as it answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mood {
    Takes,
    /// In an answer that is a success, as documented.
    FailsTheEntry,
    Refuses,
    Babbles,
    Silent,
}

type Asked = Arc<Mutex<Vec<Value>>>;

/// What was asked for, and the address.
async fn bus(mood: Mood) -> (Asked, String) {
    let asked = Asked::default();
    let of = Arc::clone(&asked);
    let router =
        Router::new().fallback(move |request: Request| answer(Arc::clone(&of), mood, request));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    (asked, url)
}

async fn answer(asked: Asked, mood: Mood, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let header = |name: &str| head.headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("x-amz-target"), "AWSEvents.PutEvents");
    assert!(header("authorization").contains("/us-east-1/events/aws4_request"));
    let body = to_bytes(body, 1 << 20).await.unwrap();
    asked.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    let said = |body: Value| ([("content-type", "application/x-amz-json-1.1")], body.to_string());
    match mood {
        Mood::Takes => {
            said(json!({"FailedEntryCount": 0, "Entries": [{"EventId": "e"}]})).into_response()
        }
        Mood::FailsTheEntry => said(json!({"FailedEntryCount": 1, "Entries": [
            {"ErrorCode": "InternalFailure", "ErrorMessage": "later"},
        ]}))
        .into_response(),
        Mood::Refuses => {
            let refusal = json!({"__type": "AccessDeniedException", "Message": "not authorized to perform: events:PutEvents"});
            (StatusCode::BAD_REQUEST, said(refusal)).into_response()
        }
        Mood::Babbles => said(json!(["canary"])).into_response(),
        Mood::Silent => std::future::pending().await,
    }
}

/// A rotation of a new secret with this bus; the line of its finishSecret.
async fn rotated(host: &Host, server: &postgres::Server, name: &str, url: &str) -> Value {
    let variables = [
        ("ROTATION_STRATEGY", "single-user,alternating-users"),
        ("ROTATION_EVENT_BUS", "rotations"),
        ("AWS_ENDPOINT_URL_EVENTBRIDGE", url),
    ];
    host.ours(FUNCTION, "rotate-postgres", &variables);
    let user = server.user("told").await;
    host.secret(name, &server.document(&user), Some((FUNCTION, days(30))));
    let before = versions(host.store(), name, AWSCURRENT);
    host.rotate(name).await;
    assert_ne!(versions(host.store(), name, AWSCURRENT), before, "{:#?}", host.lines(name));
    finished(host, name)
}

/// The calls of a finishSecret that tells a bus, and the name of the bus.
pub async fn recorded() -> Option<(BTreeSet<String>, String)> {
    let server = postgres::server()?;
    let _undisturbed = postgres::undisturbed().await;
    let (host, (asked, url)) = (Host::start().await, bus(Mood::Takes).await);
    let line = rotated(&host, &server, "recorded", &url).await;
    let calls = line["calls"].as_object().unwrap().keys().cloned().collect();
    let bus = asked.lock().unwrap()[0]["Entries"][0]["EventBusName"].as_str().unwrap().to_owned();
    Some((calls, bus))
}

/// The line of the last finishSecret.
fn finished(host: &Host, name: &str) -> Value {
    let lines = host.lines(name);
    let last = lines.iter().rfind(|line| line["step"] == "finishSecret").unwrap();
    assert_eq!(last["outcome"], "done", "{last:#}");
    last.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_is_told_once_with_its_versions_and_logins_and_no_value() {
    let Some(server) = postgres::server() else { return };
    let _undisturbed = postgres::undisturbed().await;
    let (host, (asked, url)) = (Host::start().await, bus(Mood::Takes).await);
    let line = rotated(&host, &server, "told", &url).await;
    assert_eq!(line["warnings"], json!([]), "{line:#}");
    assert_eq!(line["calls"]["PutEvents"], 1, "{line:#}");
    let asked = std::mem::take(&mut *asked.lock().unwrap());
    let [question] = &asked[..] else { panic!("{asked:#?}") };
    assert!(!question.to_string().contains("canary"), "{question:#}");
    let [entry] = &question["Entries"].as_array().unwrap()[..] else { panic!("{question:#}") };
    let arn = host.lines("told")[0]["secret"].clone();
    let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
    let version = |label| versions(host.store(), "told", label).unwrap().as_str().to_owned();
    let document: Value = serde_json::from_str(&host.value("told")).unwrap();
    assert_eq!(
        detail,
        json!({
            "arn": arn, "version": version(AWSCURRENT), "login": document["username"],
            "replaced_version": version(AWSPREVIOUS), "replaced_login": document["username"],
        })
    );
    let mut rest = entry.clone();
    rest.as_object_mut().unwrap().remove("Detail");
    let expected = json!({
        "Source": "fourstep", "DetailType": "Secret Rotated", "Resources": [arn], "EventBusName": "rotations",
    });
    assert_eq!(rest, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_fails_is_a_warning_and_no_rotation_fails_or_waits_for_it() {
    let Some(server) = postgres::server() else { return };
    let _undisturbed = postgres::undisturbed().await;
    let host = Host::start().await;
    let moods = [
        (Mood::FailsTheEntry, "did not take it for the bus \"rotations\": InternalFailure: later"),
        (Mood::Refuses, "let the function's role call events:PutEvents"),
        (Mood::Babbles, "the answer (HTTP 200) is not one that AWS gives"),
        (Mood::Silent, "no answer to the event of this rotation: gave up after 3.0 s"),
    ];
    for (number, (mood, words)) in moods.into_iter().enumerate() {
        let (_, url) = bus(mood).await;
        let begun = Instant::now();
        let line = rotated(&host, &server, &format!("fails/{number}"), &url).await;
        assert!(begun.elapsed() < Duration::from_secs(40), "{mood:?}: {:?}", begun.elapsed());
        let warnings = line["warnings"].to_string();
        assert!(warnings.contains("AWSCURRENT was moved, and no event tells of it: "), "{line:#}");
        assert!(warnings.replace("\\\"", "\"").contains(words), "{mood:?}: {line:#}");
        assert!(!warnings.contains("canary"), "{warnings}");
    }
    // Nobody listens.
    let line = rotated(&host, &server, "fails/closed", "http://127.0.0.1:1").await;
    assert!(line["warnings"].to_string().contains("no event tells of it"), "{line:#}");
}
