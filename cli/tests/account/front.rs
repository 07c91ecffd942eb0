//! An account as a test says: what Lambda and CloudWatch Logs answer, in front of Secrets Manager.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{SecretId, VersionId};
use fourstep_cli::account::text::now;
use fourstep_local::{MemoryStore, NewRotation, NewSecret, NewValue, PendingLabel, serve};
use serde_json::{Value, json};

use super::fleet::refused;
pub use super::run::{answered_late, fourstep, started};

pub const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:fourstep-postgres";

/// In every value; nothing that is printed may hold it.
pub const CANARY: &str = "canary-of-the-account";

/// What a terminal would act upon, in what logs and functions say.
pub const ESCAPE: &str = "\u{1b}[2J\u{9b}31m\u{202e}";

/// What AWS is to the command, as a test says.
#[derive(Default)]
pub struct Scene {
    pub store: Arc<MemoryStore>,
    /// What inspect says of a version; of others, that they are accepted.
    pub verdicts: Mutex<BTreeMap<String, String>>,
    /// Besides, what its row says of a version.
    pub rows: Mutex<BTreeMap<String, Value>>,
    /// Lines of the function's log; a field `age` says how many seconds old one is each time, or `at` when it was
    /// written.
    pub log: Mutex<Vec<String>>,
    /// How many lines a page of the log has; all without.
    pub paged: Mutex<usize>,
    /// By how many seconds the log's clock is behind.
    pub behind: Mutex<i64>,
    /// How a rotation ends: it succeeds, is `refused` by a policy, `fails` or `hangs`; RotateSecret itself is `denied`;
    /// or it hangs and the secret is shown no more, `unseen`.
    pub rotation: Mutex<&'static str>,
    /// Whether Secrets Manager takes AWSPENDING off itself just before it is asked to.
    pub races: Mutex<bool>,
    /// Every action, as IAM names it.
    pub calls: Mutex<BTreeSet<String>>,
    /// The strategy that the function's variable has, or `form: ` and the form that its answers have.
    pub strategy: Mutex<String>,
    /// Functions that do not exist, and what else Lambda says of one.
    pub runtime: Mutex<Option<String>>,
    /// How many calls to Lambda are to be refused as too many.
    pub busy: Mutex<u32>,
    /// What preflight answers; none for a function that may not read the secret yet.
    pub preflight: Mutex<Option<Value>>,
    /// What the function's test of a schedule says; none if it says nothing.
    pub test: Mutex<Option<(bool, &'static str)>>,
    /// What Lambda says of other functions, by their names.
    pub functions: Mutex<BTreeMap<String, Value>>,
    /// The tags of functions, by their names.
    pub tags: Mutex<BTreeMap<String, Value>>,
    /// What Secrets Manager says of secrets besides, by their names.
    pub besides: Mutex<BTreeMap<String, Value>>,
    /// Where the next RotateSecret ends, without an answer.
    pub stop: Mutex<Option<Stop>>,
    /// That it was reached.
    pub stopped: tokio::sync::Notify,
    /// How many rotations began.
    pub rotations: Mutex<u32>,
    /// Whether RotateSecret without rules loses those that a secret has.
    pub forgets: Mutex<bool>,
    /// How many answers of DescribeSecret still show the function before the last RotateSecret.
    pub late: Mutex<u32>,
    /// Whether the log may not be read.
    pub sealed: Mutex<bool>,
    /// How many questions the functions got.
    pub questions: Mutex<u32>,
    /// What RotateSecret was asked for.
    pub asked: Mutex<Vec<Value>>,
}

/// Where a call gets no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    Before,
    After,
    /// After the call, with an answer that says nothing.
    Lost,
}

pub fn answered(body: Value) -> Response {
    ([("content-type", "application/x-amz-json-1.1")], body.to_string()).into_response()
}

impl Scene {
    /// A secret whose rotation is stuck: its versions log in as these say.
    pub fn stuck(&self, name: &str, current: &str, pending: &str, previous: &str) -> [String; 2] {
        let id = SecretId::parse(name).unwrap();
        let value =
            |text: &str| Some(format!("{{\"password\": \"{CANARY}-{text}\"}}").as_str().into());
        let old =
            self.store.create(name, NewSecret { value: value("old"), ..NewSecret::default() });
        let old = old.unwrap().version.unwrap();
        let new = |labels: &[&str], text: &str| NewValue {
            token: VersionId::from_store(uuid::Uuid::new_v4().to_string()),
            value: value(text).unwrap(),
            labels: labels.iter().map(|one| (*one).to_owned()).collect(),
            rotation_token: None,
        };
        let now = self.store.put(&id, new(&[AWSCURRENT], "now")).unwrap().version.unwrap();
        let token = VersionId::from_store(uuid::Uuid::new_v4().to_string());
        let rotation = NewRotation {
            token: token.clone(),
            lambda_arn: Some(FUNCTION.to_owned()),
            rules: None,
            immediately: true,
        };
        self.store.rotate(&id, &rotation).unwrap();
        if pending != "empty" {
            let value = NewValue { token: token.clone(), ..new(&[AWSPENDING], "next") };
            self.store.put(&id, value).unwrap();
        }
        let mut verdicts = self.verdicts.lock().unwrap();
        for (version, verdict) in [(&now, current), (&token, pending), (&old, previous)] {
            verdicts.insert(version.as_str().to_owned(), verdict.to_owned());
        }
        [now.as_str().to_owned(), token.as_str().to_owned()]
    }

    pub fn labels(&self, name: &str) -> BTreeMap<String, String> {
        let detail = self.store.describe(&SecretId::parse(name).unwrap()).unwrap();
        let labels = detail.labels.into_iter();
        let each = labels.flat_map(|(version, labels)| {
            labels.into_iter().map(move |label| (label, version.as_str().to_owned()))
        });
        each.collect()
    }

    fn inspection(&self, secret: &str) -> Value {
        let detail = self.store.describe(&SecretId::parse(secret).unwrap()).unwrap();
        let verdicts = self.verdicts.lock().unwrap();
        let rows = detail.labels.iter().map(|(version, labels)| {
            let verdict = verdicts.get(version.as_str()).map_or("accepted", String::as_str);
            let why = format!("because{ESCAPE}");
            let mut row = json!({"version": version.as_str(), "labels": labels, "verdict": verdict, "why": why});
            if let Some(Value::Object(more)) = self.rows.lock().unwrap().get(version.as_str()) {
                row.as_object_mut().unwrap().extend(more.clone());
            }
            row
        });
        let mut said = json!({"secret": detail.arn, "versions": rows.collect::<Vec<_>>()});
        if let Some(form) = self.strategy.lock().unwrap().strip_prefix("form: ") {
            said["form"] = form.into();
        }
        said
    }

    fn lambda(&self, path: &str, body: &Value) -> Response {
        let action = match path {
            _ if path.starts_with("/2017-03-31/tags/") => "lambda:ListTags",
            _ if path.ends_with("/configuration") => "lambda:GetFunctionConfiguration",
            _ => "lambda:InvokeFunction",
        };
        self.calls.lock().unwrap().insert(action.to_owned());
        let mut busy = self.busy.lock().unwrap();
        if *busy > 0 {
            *busy -= 1;
            let headers = [("x-amzn-errortype", "TooManyRequestsException:http://x")];
            return (StatusCode::TOO_MANY_REQUESTS, headers, "{}").into_response();
        }
        if let Some(described) = self.described(path) {
            return described;
        }
        let runtime = self.runtime.lock().unwrap().clone();
        let runtime = runtime.as_deref().unwrap_or("provided.al2023");
        if runtime == "none" && action == "lambda:GetFunctionConfiguration" {
            let headers = [("x-amzn-errortype", "ResourceNotFoundException")];
            return (StatusCode::NOT_FOUND, headers, "{\"Message\": \"no\"}").into_response();
        }
        if action == "lambda:GetFunctionConfiguration" {
            let strategy = self.strategy.lock().unwrap().clone();
            return answered(json!({
                "FunctionName": "fourstep-postgres", "FunctionArn": FUNCTION, "Runtime": runtime, "Handler": "bootstrap",
                "Environment": {"Variables": {"ROTATION_STRATEGY": strategy}},
            }));
        }
        *self.questions.lock().unwrap() += 1;
        match body["Fourstep"].as_str().unwrap() {
            "inspect" => answered(self.inspection(body["SecretId"].as_str().unwrap())),
            "preflight" => match self.preflight.lock().unwrap().clone() {
                Some(mut answer) => {
                    if answer.is_object() && answer["secret"].is_null() {
                        answer["secret"] = body["SecretId"].clone();
                    }
                    answered(answer)
                }
                None => {
                    let refusal = json!({"errorType": "Forbidden", "errorMessage": "no"});
                    ([("x-amz-function-error", "Unhandled")], answered(refusal)).into_response()
                }
            },
            _ => answered(json!({"secret": body["SecretId"], "plan": []})),
        }
    }

    /// What the service and the function do with a rotation that is asked for.
    fn rotated(&self, secret: &str) {
        *self.rotations.lock().unwrap() += 1;
        let id = SecretId::parse(secret).unwrap();
        let labels = self.labels(secret);
        let (current, pending) = (&labels[AWSCURRENT], &labels[AWSPENDING]);
        let version = |id: &String| VersionId::from_store(id.clone());
        match *self.rotation.lock().unwrap() {
            "hangs" | "unseen" => return,
            "fails" => {
                let line = json!({"step": "setSecret", "secret": self.store.describe(&id).unwrap().arn, "version": pending, "outcome": "failed", "error_type": "Rejected", "why": "setSecret: 3 versions were tried", "at": now()});
                self.verdicts.lock().unwrap().insert(pending.clone(), "rejected".to_owned());
                return self.log.lock().unwrap().push(line.to_string());
            }
            "refused" => {
                let from = version(pending);
                return drop(self.store.update_stage(&id, AWSPENDING, None, Some(&from)).unwrap());
            }
            _ => {}
        }
        let value = NewValue {
            token: version(pending),
            value: format!("{CANARY}-rotated").as_str().into(),
            labels: vec![AWSPENDING.to_owned()],
            rotation_token: None,
        };
        let _ = self.store.put(&id, value);
        let (to, from) = (version(pending), version(current));
        self.store.update_stage(&id, AWSCURRENT, Some(&to), Some(&from)).unwrap();
        self.store.finish_rotation(&id, &to, PendingLabel::Removed).unwrap();
        self.verdicts.lock().unwrap().insert(pending.clone(), "accepted".to_owned());
    }
}

impl Scene {
    /// What the service and the function do with a schedule that is set without a rotation.
    fn tested(&self, secret: &str, function: &str) {
        let id = SecretId::parse(secret).unwrap();
        let labels = self.labels(secret);
        let pending = VersionId::from_store(labels[AWSPENDING].clone());
        if !function.contains(":fourstep-") {
            // AWS's, which writes no line that is read.
            return self.store.end_test(&id, &pending).unwrap();
        }
        let Some((fine, why)) = *self.test.lock().unwrap() else { return };
        // A test that failed leaves its version, as AWS's documentation has it.
        if fine {
            self.store.end_test(&id, &pending).unwrap();
        }
        let arn = self.store.describe(&id).unwrap().arn;
        let outcome = if fine { "done" } else { "failed" };
        let version = pending.as_str();
        let age = *self.behind.lock().unwrap();
        let line = json!({"step": "testSecret", "secret": arn, "version": version, "outcome": outcome, "why": why, "warnings": ["be warned"], "age": age});
        self.log.lock().unwrap().push(line.to_string());
    }
}

async fn front(
    scene: Arc<Scene>,
    secrets: &'static [&'static str],
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let fields: Value = serde_json::from_slice(&body).unwrap_or_default();
    let authorization = parts.headers["authorization"].to_str().unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKID/"), "{authorization}");
    let target = parts.headers.get("x-amz-target").map(|one| one.to_str().unwrap().to_owned());
    let Some(target) = target else {
        assert!(authorization.contains("-1/lambda/aws4_request"), "{authorization}");
        return scene.lambda(parts.uri.path(), &fields);
    };
    let operation = target.rsplit('.').next().unwrap();
    match operation {
        "FilterLogEvents" => return scene.logs(&fields),
        // Another Region lacks the first.
        "ListSecrets" if authorization.contains("/eu-west-1/") => {
            return scene.listed(secrets.get(1..).unwrap_or_default());
        }
        "ListSecrets" => return scene.listed(secrets),
        _ => scene.calls.lock().unwrap().insert(format!("secretsmanager:{operation}")),
    };
    let rotates = operation == "RotateSecret";
    let begun = *scene.rotations.lock().unwrap() > 0;
    match *scene.rotation.lock().unwrap() {
        "denied" if rotates => return refused(),
        "unseen" if begun && operation == "DescribeSecret" => return refused(),
        _ => {}
    }
    let stop = if rotates { scene.stop.lock().unwrap().take() } else { None };
    if rotates {
        // Whoever asks must be allowed to invoke the function (API reference, RotateSecret).
        scene.calls.lock().unwrap().insert("lambda:InvokeFunction".to_owned());
        scene.asked.lock().unwrap().push(fields.clone());
    }
    if stop == Some(Stop::Before) {
        scene.stopped.notify_one();
        std::future::pending::<()>().await;
    }
    if operation == "UpdateSecretVersionStage" && *scene.races.lock().unwrap() {
        let id = SecretId::parse(fields["SecretId"].as_str().unwrap()).unwrap();
        let from = fields["RemoveFromVersionId"].as_str().unwrap().to_owned();
        scene.store.end_test(&id, &VersionId::from_store(from)).unwrap();
    }
    let answer = next.run(Request::from_parts(parts, Body::from(body))).await;
    if fields["RotateImmediately"] == false && !answer.status().is_success() {
        return answer;
    }
    let secret = fields["SecretId"].as_str().unwrap_or_default();
    match operation {
        "RotateSecret" if fields["RotateImmediately"] == false => {
            let function = fields["RotationLambdaARN"].as_str().unwrap();
            scene.tested(secret, function);
            scene.schedule(secret, &fields["RotationRules"]);
        }
        "RotateSecret" => scene.rotated(secret),
        "DescribeSecret" => return scene.besides(secret, answer).await,
        _ => {}
    }
    if stop == Some(Stop::Lost) {
        return "lost".into_response();
    }
    if stop == Some(Stop::After) {
        scene.stopped.notify_one();
        std::future::pending::<()>().await;
    }
    answer
}

/// The scene behind an address.
pub async fn served(scene: &Arc<Scene>, secrets: &'static [&'static str]) -> String {
    let of = Arc::clone(scene);
    let layer = middleware::from_fn(move |request: Request, next: Next| {
        front(Arc::clone(&of), secrets, request, next)
    });
    let router = serve::endpoint(&scene.store).layer(layer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
