//! 5,000 secrets of a Region: the memory of the command does not grow with them, no more than eight are
//! asked about at the same time, and what is refused as too much is asked again, later and no more often.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use super::front::{CANARY, FUNCTION, answered, started};

/// Every so many of the secrets rotates, and every so many of these is stuck.
const ROTATES: usize = 25;
const STUCK: usize = 250;

#[derive(Default)]
struct Region {
    size: usize,
    /// Questions that are being answered, and the most that were at once.
    open: AtomicUsize,
    most: AtomicUsize,
    calls: AtomicUsize,
    described: AtomicUsize,
    refused: Mutex<Vec<Instant>>,
    /// How long after the refusals of a question it was asked again, in milliseconds.
    pauses: Mutex<Vec<u128>>,
}

fn arn(number: usize) -> String {
    format!("arn:aws:secretsmanager:us-east-1:000000000000:secret:many/{number}-abcdef")
}

impl Region {
    fn listed(&self, asked: &Value) -> Value {
        let first: usize = asked["NextToken"].as_str().map_or(0, |one| one.parse().unwrap());
        let next = (first + 100).min(self.size);
        let one = |number| json!({"ARN": arn(number), "Description": CANARY.repeat(20)});
        let mut page = json!({"SecretList": (first..next).map(one).collect::<Vec<_>>()});
        if next < self.size {
            page["NextToken"] = next.to_string().into();
        }
        page
    }

    fn described(&self, secret: &str) -> Value {
        let number = secret.split("many/").nth(1).unwrap().trim_end_matches("-abcdef");
        let number: usize = number.parse().unwrap();
        let mut said = json!({
            "ARN": secret, "Name": format!("many/{number}"), "Description": CANARY.repeat(20),
            "VersionIdsToStages": {"v1": ["AWSCURRENT"]},
        });
        if number.is_multiple_of(ROTATES) {
            said["RotationEnabled"] = true.into();
            said["RotationLambdaARN"] = FUNCTION.into();
        }
        if number.is_multiple_of(STUCK) {
            said["VersionIdsToStages"]["v2"] = json!(["AWSPENDING"]);
        }
        said
    }
}

async fn answer(State(region): State<Arc<Region>>, request: Request) -> Response {
    let now = region.open.fetch_add(1, Ordering::SeqCst) + 1;
    region.most.fetch_max(now, Ordering::SeqCst);
    let answer = said(&region, request).await;
    region.open.fetch_sub(1, Ordering::SeqCst);
    answer
}

async fn said(region: &Region, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let target = head.headers.get("x-amz-target").map(|one| one.to_str().unwrap().to_owned());
    let asked: Value =
        serde_json::from_slice(&to_bytes(body, 1 << 20).await.unwrap()).unwrap_or_default();
    region.calls.fetch_add(1, Ordering::SeqCst);
    let secret = asked["SecretId"].as_str().unwrap_or_default();
    match target.as_deref().map(|target| target.rsplit('.').next().unwrap()) {
        // One in a thousand is refused, whatever else is asked between them.
        Some("DescribeSecret")
            if region.described.fetch_add(1, Ordering::SeqCst) % 1_000 == 500 =>
        {
            region.refused.lock().unwrap().push(Instant::now());
            let refusal = json!({"__type": "ThrottlingException", "message": "Rate exceeded"});
            (StatusCode::BAD_REQUEST, refusal.to_string()).into_response()
        }
        Some("ListSecrets") => answered(region.listed(&asked)),
        Some("DescribeSecret") => {
            // Together they would end before the next comes.
            tokio::task::yield_now().await;
            if let Some(at) = region.refused.lock().unwrap().pop() {
                region.pauses.lock().unwrap().push(at.elapsed().as_millis());
            }
            answered(region.described(secret))
        }
        Some("ListSecretVersionIds") => {
            answered(json!({"Versions": [{"VersionId": "v2", "CreatedDate": 1}]}))
        }
        Some("FilterLogEvents") => answered(json!({"events": []})),
        Some(other) => panic!("{other}"),
        None if head.uri.path().ends_with("/configuration") => answered(json!({
            "FunctionName": "fourstep-postgres", "FunctionArn": FUNCTION,
            "Runtime": "provided.al2023", "Handler": "bootstrap",
        })),
        None => {
            let row = |version, label, verdict| json!({"version": version, "labels": [label], "verdict": verdict});
            answered(json!({"secret": asked["SecretId"], "versions": [
                row("v1", "AWSCURRENT", "accepted"), row("v2", "AWSPENDING", "rejected"),
            ]}))
        }
    }
}

/// Looks at a Region of this size; its double, and the command's peak of memory in KiB.
async fn looked(size: usize) -> (Arc<Region>, u64) {
    let region = Arc::new(Region { size, ..Region::default() });
    let router = Router::new().fallback(answer).with_state(Arc::clone(&region));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    let mut child = started(&url, &["doctor", "--json"]);
    let status = format!("/proc/{}/status", child.id().unwrap());
    let (mut output, mut piece, mut peak) = (Vec::new(), [0; 4096], 0);
    let mut stdout = child.stdout.take().unwrap();
    // Each secret is a line, so that the peak is read all along.
    loop {
        let length = stdout.read(&mut piece).await.unwrap();
        if length == 0 {
            break;
        }
        output.extend(&piece[..length]);
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let seen = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(seen.unwrap_or_default());
    }
    let status = child.wait().await.unwrap();
    let said = String::from_utf8(output).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(!said.contains(CANARY), "{said}");
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), size);
    let stuck = lines.iter().filter(|line| line["advice"] == "discard").count();
    assert_eq!(stuck, size.div_ceil(STUCK));
    (region, peak)
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_secrets_are_looked_at_in_bounded_memory() {
    let (_, little) = looked(500).await;
    let (region, much) = looked(5_000).await;
    eprintln!("peak: {little} KiB for 500, {much} KiB for 5,000");
    assert!(much < little + 6 * 1024, "{little} KiB for 500 secrets, {much} KiB for 5,000");
    let most = region.most.load(Ordering::SeqCst);
    assert!((2..=8).contains(&most), "{most} questions at once");
    let (pages, rotating, stuck) = (50, 5_000 / ROTATES, 5_000 / STUCK);
    let pauses = region.pauses.lock().unwrap();
    let refused = pauses.len() + region.refused.lock().unwrap().len();
    assert!(refused >= 2, "{refused}");
    // DescribeSecret, what a rotating one costs besides, and what a stuck one does: since when it is, three
    // parts of its log, and its function.
    let needed = pages + 5_000 + rotating + 5 * stuck;
    assert_eq!(region.calls.load(Ordering::SeqCst), needed + refused);
}

/// On a terminal, which `script` of Debian's essential bsdutils makes.
#[tokio::test(flavor = "multi_thread")]
async fn how_far_it_is_is_shown_on_a_terminal() {
    let region = Arc::new(Region { size: 250, ..Region::default() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(region);
    tokio::spawn(axum::serve(listener, router).into_future());
    let command = format!("{} doctor", env!("CARGO_BIN_EXE_fourstep"));
    let output = tokio::process::Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .envs([("AWS_ENDPOINT_URL", url.as_str()), ("AWS_REGION", "us-east-1")])
        .envs([("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "key")])
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let far: Vec<_> = said.lines().filter(|line| line.contains(" looked at ...")).collect();
    assert_eq!(far, ["100 secrets looked at ...", "200 secrets looked at ..."], "{said}");
}
