//! Answers that nobody should get from AWS: wrong types, numbers and dates out of every range, texts that a
//! terminal acts upon, lists without end. Whatever is said, the command ends by itself with one of its
//! statuses, and prints no value and nothing that a terminal acts upon.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::front::{CANARY, ESCAPE, FUNCTION, fourstep};

/// How many secrets a Region lists here.
const SECRETS: u64 = 30;

/// Numbers that follow from a seed. Source of the constants: Steele, Lea, Flood, "Fast Splittable
/// Pseudorandom Number Generators", OOPSLA 2014.
struct Dice(u64);

impl Dice {
    fn next(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.next(all.len() as u64) as usize].clone()
    }

    /// What nobody expects.
    fn odd(&mut self) -> Value {
        let big = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        match self.next(16) {
            0 => Value::Null,
            1 => json!(true),
            2 => self.of(&[json!(i64::MIN), json!(i64::MAX), json!(u64::MAX), json!(0), json!(-1)]),
            3 => self.of(&["1e308", "-1e308", "1e18", "-9.3e18", "0.1", "4e15"].map(big)),
            4 => json!(""),
            5 => json!(format!("a{ESCAPE}\r\n\u{0}b")),
            6 => json!("x".repeat(5_000)),
            7 => json!([]),
            8 => json!({}),
            9 => json!([[[{"a": [null, ESCAPE]}]]]),
            10 => json!({"AWSCURRENT": ["AWSPENDING"], ESCAPE: ESCAPE}),
            11 => json!(["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS", 7]),
            12 => json!("arn:aws:lambda:us-east-1:000000000000:function"),
            13 => json!("$(touch /tmp/x) ' \" \\"),
            14 => json!("accepted"),
            _ => json!((0..2_000).map(|number| format!("v{number}")).collect::<Vec<_>>()),
        }
    }

    /// An answer in which some of the fields, at any depth, are odd, missing or more than they should be.
    fn spoilt(&mut self, answer: Value, sides: u64) -> Value {
        if self.next(sides) == 0 {
            return self.odd();
        }
        match answer {
            Value::Object(fields) => {
                let kept = fields.into_iter().filter_map(|(name, one)| {
                    (self.next(3 * sides) != 0).then(|| (name, self.spoilt(one, sides)))
                });
                Value::Object(kept.collect())
            }
            Value::Array(items) => {
                Value::Array(items.into_iter().map(|one| self.spoilt(one, sides)).collect())
            }
            other => other,
        }
    }

    /// The body of an answer; now and then no JSON at all.
    fn body(&mut self, answer: Value) -> Vec<u8> {
        let spoilt = self.spoilt(answer, 24).to_string().into_bytes();
        match self.next(40) {
            0 => Vec::new(),
            1 => spoilt[..spoilt.len() / 2].to_vec(),
            2 => [b"{\"a\":".repeat(3_000), spoilt].concat(),
            3 => b"\xff\xfe{}".to_vec(),
            4 => b"{\"NextToken\": \"x\", \"events\": {}, \"Name\": 1e999}".to_vec(),
            _ => spoilt,
        }
    }
}

fn arn(number: u64) -> String {
    format!("arn:aws:secretsmanager:us-east-1:000000000000:secret:odd/{number}-abcdef")
}

/// What an honest account would answer.
fn honest(operation: &str, asked: &Value, dice: &mut Dice) -> Value {
    let secret = asked["SecretId"].as_str().unwrap_or_default();
    let now = 1_790_000_000;
    // Attach takes a secret without a rotation under way.
    let mut labels = json!({"v1": ["AWSCURRENT"], "v3": ["AWSPREVIOUS"]});
    if secret != arn(SECRETS) {
        labels["v2"] = json!(["AWSPENDING"]);
    }
    match operation {
        "ListSecrets" => {
            let list: Vec<_> = (0..SECRETS).map(|number| json!({"ARN": arn(number)})).collect();
            json!({"SecretList": list, "NextToken": null})
        }
        "RotateSecret" => json!({"ARN": secret, "Name": "odd", "VersionId": "v2"}),
        "DescribeSecret" => json!({
            "ARN": secret, "Name": "odd", "Description": CANARY, "RotationEnabled": true,
            "RotationLambdaARN": FUNCTION, "LastRotatedDate": now, "NextRotationDate": now + 9,
            "RotationRules": {"AutomaticallyAfterDays": 30, "ScheduleExpression": "rate(3 days)"},
            "Tags": [{"Key": "fourstep:strategy", "Value": "single-user"}, {"Key": CANARY, "Value": CANARY}],
            "VersionIdsToStages": labels,
            "ReplicationStatus": [{"Region": "eu-west-1", "Status": "Failed", "StatusMessage": "no"}],
        }),
        "ListSecretVersionIds" => json!({"Versions": [
            {"VersionId": "v1", "CreatedDate": 1}, {"VersionId": "v2", "CreatedDate": 2},
        ]}),
        "FilterLogEvents" => {
            let pattern = asked["filterPattern"].as_str().unwrap_or_default();
            let about = pattern.split("$.secret = ").nth(1).unwrap_or_default();
            let about = about.trim_end_matches(" }").trim_end_matches(')').trim_matches('"');
            let line = json!({
                "outcome": "failed", "secret": about, "step": "testSecret", "error_type": "Tls",
                "why": "w", "value": CANARY, "version": "v2", "warnings": ["w"],
            });
            let line = dice.spoilt(line, 12).to_string();
            json!({"events": [{"timestamp": 7_000, "message": line}, {"timestamp": 8, "message": CANARY}]})
        }
        "configuration" => {
            let (runtime, handler) = dice.of(&[
                ("provided.al2023", "bootstrap"),
                ("python3.9", "lambda_function.lambda_handler"),
            ]);
            json!({
                "FunctionName": "fourstep-postgres", "FunctionArn": FUNCTION, "Runtime": runtime,
                "Handler": handler, "Description": "d",
                "Environment": {"Variables": {"ROTATION_STRATEGY": "single-user", "PASSWORD": CANARY}},
            })
        }
        "tags" => json!({"Tags": {"a": CANARY}}),
        _ => {
            let of = asked["SecretId"].as_str().unwrap_or_default();
            json!({"secret": of, "ready": true, "plan": [], "findings": [], "value": CANARY, "versions": [
                {"version": "v1", "labels": ["AWSCURRENT"], "verdict": "rejected", "why": "w", "value": CANARY},
                {"version": "v2", "labels": ["AWSPENDING"], "verdict": "accepted", "why": null},
                {"version": "v3", "labels": ["AWSPREVIOUS"], "verdict": "rejected", "age_seconds": 7},
            ]})
        }
    }
}

/// What an account with a seed was asked, and how often.
type Questions = Arc<Mutex<HashMap<String, u64>>>;

/// A command asks several questions at once, in an order of their own. The answer follows from the seed, from
/// the question, and from how often it was asked before, so that each seed is one story all the same.
fn dice(seed: u64, questions: &Questions, question: String) -> Dice {
    let number =
        question.bytes().fold(seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut questions = questions.lock().unwrap();
    let before = questions.entry(question).or_default();
    *before += 1;
    Dice(number.wrapping_mul(31).wrapping_add(*before))
}

async fn answer(State((seed, questions)): State<(u64, Questions)>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let asked: Value =
        serde_json::from_slice(&to_bytes(body, 1 << 20).await.unwrap()).unwrap_or_default();
    let target = head.headers.get("x-amz-target").map(|one| one.to_str().unwrap().to_owned());
    let operation = match (&target, head.uri.path()) {
        (Some(target), _) => target.rsplit('.').next().unwrap(),
        (None, path) if path.ends_with("/configuration") => "configuration",
        (None, path) if path.contains("/tags/") => "tags",
        (None, _) => "invocation",
    };
    // Times are left out, as they differ in every run.
    let about = ["SecretId", "filterPattern", "nextToken", "NextToken"].map(|name| &asked[name]);
    let mut dice = dice(seed, &questions, format!("{operation} {} {about:?}", head.uri.path()));
    let honest = honest(operation, &asked, &mut dice);
    let body = dice.body(honest);
    match dice.next(30) {
        0 => {
            let code = dice.of(&["AccessDeniedException", "a#b:c", "", "\u{7f}x"]);
            let refusal = json!({"__type": code, "message": dice.odd(), "Message": CANARY.len()});
            (StatusCode::BAD_REQUEST, refusal.to_string()).into_response()
        }
        1 if operation == "invocation" => ([("x-amz-function-error", "?")], body).into_response(),
        _ => ([("content-type", "application/x-amz-json-1.1")], body).into_response(),
    }
}

async fn listening(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    url
}

/// An account that follows from a seed.
async fn account(seed: u64) -> String {
    listening(Router::new().fallback(answer).with_state((seed, Questions::default()))).await
}

/// `FOURSTEP_TEST_SEEDS` plays so many accounts instead of a few.
fn seeds(few: u64) -> std::ops::Range<u64> {
    let seeds = std::env::var("FOURSTEP_TEST_SEEDS").ok().and_then(|one| one.parse().ok());
    0..seeds.unwrap_or(few)
}

/// What a command says that ends as it should.
async fn said(url: &str, arguments: &[&str], seed: u64) -> String {
    // The command's own limit is longer than a test may take.
    let ended = fourstep(url, arguments, "");
    let ended = tokio::time::timeout(Duration::from_secs(100), ended).await;
    let (said, output) = ended.unwrap_or_else(|_| panic!("{seed} {arguments:?}: no end"));
    let code = output.status.code();
    assert!(matches!(code, Some(0..=2)), "{seed} {arguments:?}: {code:?} {said}");
    assert!(!said.contains("panicked"), "{seed} {arguments:?}: {said}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_an_account_answers_the_command_ends_and_prints_no_value() {
    let mut decided = 0;
    for seed in seeds(6) {
        let url = account(seed).await;
        for arguments in [
            &["doctor", "--all", "--ask", "--stuck-after", "0"][..],
            &["doctor", "--json", "--stuck-after", "0"],
            &["doctor", "--fix", "--yes", "--stuck-after", "0", "--wait", "0"],
            &["migrate", "--json"],
            &["migrate", "--function", "postgres=fourstep-postgres"],
            &["inspect", "odd"],
        ] {
            let said = said(&url, arguments, seed).await;
            decided += said.matches("advice (AWS").count();
        }
    }
    assert!(decided > 0, "they reach nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_an_account_answers_attach_ends_and_prints_no_value() {
    let secret = arn(SECRETS);
    let attach = ["attach", &secret, "--function", FUNCTION, "--schedule", "rate(1 day)"];
    let attach = [&attach[..], &["--wait", "0"]].concat();
    let mut attached = 0;
    for seed in seeds(60) {
        let said = said(&account(seed).await, &attach, seed).await;
        attached +=
            usize::from(said.contains("not attached: ") || said.contains(" is attached, and "));
    }
    assert!(attached > 0, "they reach nothing");
}

/// A page after which the same one comes, or another one for ever.
#[tokio::test]
async fn a_list_that_goes_round_ends() {
    for lists in ["ListSecrets", "ListSecretVersionIds", "FilterLogEvents"] {
        let round = move |request: Request| async move {
            let target = request.headers().get("x-amz-target").cloned();
            let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
            let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
            let operation = match &target {
                Some(target) => target.to_str().unwrap().rsplit('.').next().unwrap(),
                None => "configuration",
            };
            let mut answer = honest(operation, &asked, &mut Dice(1));
            if operation == lists {
                answer = json!({"SecretList": [], "Versions": [], "events": [], "NextToken": "a", "nextToken": "a"});
            }
            if operation == "ListSecrets" && lists != operation {
                answer["SecretList"] = json!([{"ARN": arn(1)}]);
            }
            answer.to_string()
        };
        let url = listening(Router::new().fallback(round)).await;
        for arguments in [&["doctor", "--stuck-after", "0"][..], &["migrate"]] {
            let ended = fourstep(&url, arguments, "");
            let ended = tokio::time::timeout(Duration::from_secs(60), ended).await;
            let (said, output) = ended.unwrap_or_else(|_| panic!("{lists} {arguments:?}: no end"));
            if lists == "ListSecrets" {
                assert_eq!(output.status.code(), Some(2), "{said}");
                assert!(said.contains("the same page"), "{said}");
            }
        }
    }
}
