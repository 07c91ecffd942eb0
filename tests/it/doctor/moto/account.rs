//! An account at moto: its Secrets Manager, its Lambda, its logs and its IAM answer, and nothing of ours does, but
//! where moto cannot. In front of it stands what
//!
//! - runs the functions, for moto needs Docker to do that. What they write goes to moto's logs;
//! - plays the steps of a rotation, and answers RotateSecret itself where a rotation is under way: moto would begin
//!   another, and forget the version of the first. To moto's own call it adds the function, without which moto makes
//!   an empty version AWSCURRENT, and before it takes AWSPENDING off AWSCURRENT, where moto sees a rotation;
//! - dates versions, which moto says to be made at the moment in which they are listed.
//!
//! moto filters logs by no pattern of this kind: it answers every line, and doctor reads those that it asked for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_sdk_secretsmanager::Client;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use fourstep::Step;
use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep_cli::account::text::now;
use fourstep_cli::events;
use fourstep_cli::function::{Answer, Invocation};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::support::host::Host;
use crate::support::stage::new_token;

/// moto's account.
const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function:";

/// How old versions are that were not made in the time of this account, in seconds.
const OLD: i64 = 600;

pub struct Account {
    pub host: Arc<Host>,
    pub secrets: Client,
    /// Host and port of moto.
    moto: String,
    /// When it began, and when the versions of rotations did.
    began: i64,
    begun: Mutex<BTreeMap<String, i64>>,
    under_way: AtomicUsize,
    url: std::sync::OnceLock<String>,
}

impl Account {
    pub async fn start(moto: &str, secrets: Client, host: Arc<Host>) -> Arc<Self> {
        let account = Arc::new(Self {
            host,
            secrets,
            moto: moto.strip_prefix("http://").unwrap().trim_end_matches('/').to_owned(),
            began: now(),
            begun: Mutex::default(),
            under_way: AtomicUsize::default(),
            url: std::sync::OnceLock::new(),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&account));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        account.url.set(url).unwrap();
        tokio::spawn(axum::serve(listener, router).into_future());
        account
    }

    pub fn url(&self) -> &str {
        self.url.get().unwrap()
    }

    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }

    /// The functions of the host, at moto.
    pub async fn functions(&self, role: &str) {
        // With its other Lambda moto does nothing at an invocation, of which it makes some at RotateSecret.
        let simple = json!({"lambda": {"use_docker": false}});
        self.asked("moto", "/moto-api/config", None, simple).await;
        for mut function in self.host.functions() {
            let name = function["FunctionName"].as_str().unwrap().to_owned();
            let path = format!("/2015-03-31/functions/{name}");
            let old = self.request("DELETE", "lambda", &path, None, "");
            self.passed(old).await;
            function["Role"] = role.into();
            let code = base64::engine::general_purpose::STANDARD.encode("code");
            function["Code"] = json!({"ZipFile": code});
            let made = self.asked("lambda", "/2015-03-31/functions", None, function).await;
            assert_eq!(made["FunctionArn"], format!("{ARN}{name}"), "{made:#}");
            let stream = json!({"logGroupName": group(&name), "logStreamName": "all"});
            // There already, perhaps.
            for operation in ["CreateLogGroup", "CreateLogStream"] {
                self.asked("logs", "/", Some(operation), stream.clone()).await;
            }
        }
    }

    fn request(
        &self,
        method: &str,
        service: &str,
        path: &str,
        operation: Option<&str>,
        body: &str,
    ) -> Request {
        // moto finds the service by this, and checks no signature.
        let scope = format!("Credential=local/20260101/us-east-1/{service}/aws4_request");
        let kind = match operation {
            Some(_) => "application/x-amz-json-1.1",
            None => "application/json",
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.moto)
            .header("content-type", kind)
            .header("authorization", format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host"));
        if let Some(operation) = operation {
            request = request.header("x-amz-target", format!("Logs_20140328.{operation}"));
        }
        request.body(Body::from(body.to_owned())).unwrap()
    }

    async fn asked(
        &self,
        service: &str,
        path: &str,
        operation: Option<&str>,
        body: Value,
    ) -> Value {
        let request = self.request("POST", service, path, operation, &body.to_string());
        let answer = self.passed(request).await;
        let body = to_bytes(answer.into_body(), 1 << 24).await.unwrap();
        serde_json::from_slice(&body).unwrap_or_default()
    }

    /// moto's answer.
    async fn passed(&self, request: Request) -> Response {
        let stream = TcpStream::connect(&self.moto).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap().map(Body::new)
    }

    /// The same, in one piece, of a request that was read.
    async fn forwarded(&self, head: Parts, body: impl Into<Body>) -> (StatusCode, Bytes) {
        let mut head = head;
        head.headers.remove("content-length");
        let answer = self.passed(Request::from_parts(head, body.into())).await;
        let status = answer.status();
        (status, to_bytes(answer.into_body(), 1 << 24).await.unwrap())
    }

    /// Runs a function, and hands its lines to moto.
    async fn run(&self, function: &str, event: &Value) -> Answer {
        let Invocation { answer, lines, .. } = self.host.run(function, event, self.url()).await;
        let group = group(function.rsplit(':').next().unwrap());
        for line in lines {
            let events = json!([{"timestamp": now() * 1_000, "message": line.to_string()}]);
            let put = json!({"logGroupName": group, "logStreamName": "all", "logEvents": events});
            let said = self.asked("logs", "/", Some("PutLogEvents"), put).await;
            assert!(said["nextSequenceToken"].is_string(), "{said:#}");
        }
        answer
    }

    /// RotateSecret, as Secrets Manager has it.
    async fn rotate(self: &Arc<Self>, head: Parts, mut asked: Value) -> Response {
        let secret = asked["SecretId"].as_str().unwrap().to_owned();
        let found = self.secrets.describe_secret().secret_id(&secret).send().await.unwrap();
        let function = found.rotation_lambda_arn().unwrap().to_owned();
        let labels = found.version_ids_to_stages().unwrap().iter();
        let mut pending = labels.filter(|(_, on)| on.iter().any(|one| one == AWSPENDING));
        let answer = match pending.next() {
            Some((version, on)) if !on.iter().any(|one| one == AWSCURRENT) => {
                asked["ClientRequestToken"] = version.as_str().into();
                let why = "A previous rotation isn't complete. That rotation will be reattempted.";
                let refusal = json!({"__type": "InvalidRequestException", "Message": why});
                (StatusCode::BAD_REQUEST, Bytes::from(refusal.to_string()))
            }
            ended => {
                if let Some((version, _)) = ended {
                    self.unstage(&secret, version).await;
                }
                asked["RotationLambdaARN"] = function.as_str().into();
                if asked["ClientRequestToken"].is_null() {
                    asked["ClientRequestToken"] = new_token().as_str().into();
                }
                let version = asked["ClientRequestToken"].as_str().unwrap().to_owned();
                self.begun.lock().unwrap().insert(version, now());
                self.forwarded(head, asked.to_string()).await
            }
        };
        let version = asked["ClientRequestToken"].as_str().unwrap().to_owned();
        let account = Arc::clone(self);
        account.under_way.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            account.play(&function, &secret, &version).await;
            account.under_way.fetch_sub(1, Ordering::SeqCst);
        });
        answer.into_response()
    }

    async fn play(&self, function: &str, secret: &str, version: &str) {
        for step in Step::ALL {
            if self.run(function, &events::step(step, secret, version)).await.is_err() {
                return;
            }
        }
        self.unstage(secret, version).await;
    }

    async fn unstage(&self, secret: &str, version: &str) {
        let update = self.secrets.update_secret_version_stage().secret_id(secret);
        let update = update.version_stage(AWSPENDING).remove_from_version_id(version);
        update.send().await.unwrap();
    }

    fn dated(&self, body: &Bytes) -> Bytes {
        let mut said: Value = serde_json::from_slice(body).unwrap();
        let begun = self.begun.lock().unwrap();
        for version in said["Versions"].as_array_mut().into_iter().flatten() {
            let made = begun.get(version["VersionId"].as_str().unwrap());
            version["CreatedDate"] = json!(made.copied().unwrap_or(self.began - OLD));
        }
        said.to_string().into()
    }
}

fn group(function: &str) -> String {
    format!("/aws/lambda/{function}")
}

pub fn arn(function: &str) -> String {
    format!("{ARN}{}", function.rsplit(':').next().unwrap())
}

async fn answer(State(account): State<Arc<Account>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 24).await.unwrap();
    let fields = || serde_json::from_slice::<Value>(&body).unwrap();
    let path = head.uri.path();
    if path.ends_with("/invocations") {
        let function = path.split('/').nth(3).unwrap().replace("%3A", ":");
        return match account.run(&function, &fields()).await {
            Ok(answer) => answer.to_string().into_response(),
            Err((kind, why)) => {
                let body = json!({"errorType": kind, "errorMessage": why}).to_string();
                ([("x-amz-function-error", "Unhandled")], body).into_response()
            }
        };
    }
    let target = head.headers.get("x-amz-target").map(|one| one.to_str().unwrap().to_owned());
    match target.as_deref().and_then(|target| target.rsplit('.').next()) {
        Some("RotateSecret") => account.rotate(head, fields()).await,
        Some("ListSecretVersionIds") => match account.forwarded(head, body).await {
            (StatusCode::OK, said) => account.dated(&said).into_response(),
            refused => refused.into_response(),
        },
        _ => account.passed(Request::from_parts(head, Body::from(body))).await,
    }
}
