//! Lambda and CloudWatch Logs of the account: what they answer, and the steps that functions play.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use fourstep::store::AWSPENDING;
use fourstep::{SecretId, Step, VersionId};
use fourstep_cli::events;
use fourstep_cli::function::{Answer, Function, Invocation, Killable, kill_switch};
use fourstep_local::{MemoryStore, PendingLabel, serve};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::arn;
use crate::support::program::binary;
use crate::support::stage::read;
use crate::support::{mongodb, mysql, postgres};

/// A server that a template of AWS's logs in at.
#[derive(Clone)]
pub enum Old {
    Postgres(postgres::Server),
    Mysql(mysql::Server),
    Mongodb(mongodb::Server),
}

impl Old {
    pub async fn logs_in(&self, user: &str, password: &str) -> bool {
        match self {
            Self::Postgres(server) => server.logs_in(user, password).await,
            Self::Mysql(server) => server.logs_in(user, password).await,
            Self::Mongodb(server) => server.logs_in(user, password).await,
        }
    }
}

/// What a function is.
#[derive(Clone)]
pub(super) enum Kind {
    /// One of AWS's templates, stood in for.
    Template(Old),
    /// AWS's own code, with the file of the authorities that it is to trust.
    Awss(String),
    Ours(&'static str, Vec<(String, String)>),
}

/// How many functions run at the same time.
const AT_ONCE: usize = 4;

pub(super) struct Lambda {
    pub(super) store: Arc<MemoryStore>,
    pub(super) functions: Mutex<BTreeMap<String, Kind>>,
    /// Lines of our functions' logs, with their time in milliseconds.
    pub(super) log: Mutex<Vec<(u64, Value)>>,
    pub(super) reads_everything: Mutex<bool>,
    pub(super) rotations: Mutex<u32>,
    pub(super) under_way: AtomicUsize,
    /// The steps that AWS's own templates did: `TEMPLATE STEP`.
    pub(super) templates: Mutex<Vec<String>>,
    pub(super) endpoint: OnceLock<String>,
    pub(super) turns: Semaphore,
}

impl Lambda {
    pub(super) fn new() -> Self {
        Self {
            store: Arc::default(),
            functions: Mutex::default(),
            log: Mutex::default(),
            reads_everything: Mutex::default(),
            rotations: Mutex::default(),
            under_way: AtomicUsize::default(),
            templates: Mutex::default(),
            endpoint: OnceLock::new(),
            turns: Semaphore::new(AT_ONCE),
        }
    }

    /// The version with AWSPENDING.
    pub(super) fn pending(&self, id: &SecretId) -> Option<VersionId> {
        let labels = self.store.describe(id).ok()?.labels.into_iter();
        let mut pending = labels.filter(|(_, on)| on.iter().any(|one| one == AWSPENDING));
        pending.next().map(|(version, _)| version)
    }

    pub(super) fn kind(&self, function: &str) -> Option<Kind> {
        self.functions.lock().unwrap().get(function.rsplit(':').next()?).cloned()
    }

    /// Runs one of our functions; its line goes to the log.
    pub(super) async fn run(
        &self,
        function: (&str, &[(String, String)]),
        event: &Value,
        endpoint: Option<&str>,
        killable: Killable,
    ) -> Answer {
        let endpoint = endpoint.unwrap_or_else(|| self.endpoint.get().unwrap());
        let invocation = self.invoked(function, event, endpoint, killable).await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        let lines = invocation.lines.iter().map(|line| (now, line.clone()));
        self.log.lock().unwrap().extend(lines);
        invocation.answer
    }

    pub(super) async fn invoked(
        &self,
        (name, own): (&str, &[(String, String)]),
        event: &Value,
        endpoint: &str,
        killable: Killable,
    ) -> Invocation {
        let _turn = self.turns.acquire().await.unwrap();
        let function = Function::new(&binary(name), endpoint, own, Duration::from_secs(60));
        function.invoke_killable(event, killable).await.unwrap()
    }

    pub(super) fn configuration(&self, name: &str, kind: &Kind) -> Value {
        let (runtime, handler, variables) = match kind {
            Kind::Template(_) | Kind::Awss(_) => {
                let endpoint = "https://secretsmanager.us-east-1.amazonaws.com";
                (
                    "python3.9",
                    "lambda_function.lambda_handler",
                    json!({"SECRETS_MANAGER_ENDPOINT": endpoint}),
                )
            }
            Kind::Ours(_, own) => (
                "provided.al2023",
                "bootstrap",
                json!(own.iter().cloned().collect::<BTreeMap<_, _>>()),
            ),
        };
        json!({
            "FunctionName": name, "FunctionArn": arn(name), "Runtime": runtime, "Handler": handler,
            "Environment": {"Variables": variables},
        })
    }

    /// What a function answers to a question; one that may not read the secret yet says so.
    async fn asked(
        &self,
        function: &str,
        own: (&str, &[(String, String)]),
        event: &Value,
    ) -> Response {
        let id = SecretId::parse(event["SecretId"].as_str().unwrap()).unwrap();
        let names = self.store.describe(&id).unwrap().rotation_lambda_arn == Some(arn(function));
        let may = names || *self.reads_everything.lock().unwrap();
        let answer = match may {
            true => self.run(own, event, None, kill_switch().1).await,
            false => Err(("Forbidden".to_owned(), "not allowed".to_owned())),
        };
        match answer {
            Ok(answer) => answer.to_string().into_response(),
            Err((kind, why)) => {
                let body = json!({"errorType": kind, "errorMessage": why}).to_string();
                ([("x-amz-function-error", "Unhandled")], body).into_response()
            }
        }
    }
}

pub(super) async fn answer(State(lambda): State<Arc<Lambda>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, serve::LARGEST_BODY).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if head.headers.contains_key("x-amz-target") {
        let log = lambda.log.lock().unwrap();
        let pattern = body["filterPattern"].as_str().unwrap();
        let from = body["startTime"].as_u64().unwrap();
        let about = |(at, line): &&(u64, Value)| {
            *at >= from && pattern.contains(&line["secret"].to_string())
        };
        let event =
            |(at, line): &(u64, Value)| json!({"timestamp": at, "message": line.to_string()});
        return json!({"events": log.iter().filter(about).map(event).collect::<Vec<_>>()})
            .to_string()
            .into_response();
    }
    let path = head.uri.path();
    let name = path.split('/').nth(3).unwrap().replace("%3A", ":");
    let name = name.rsplit(':').next().unwrap();
    match lambda.kind(name) {
        Some(_) if path.starts_with("/2017-03-31/tags/") => "{\"Tags\": {}}".into_response(),
        Some(kind) if path.ends_with("/configuration") => {
            lambda.configuration(name, &kind).to_string().into_response()
        }
        Some(Kind::Ours(program, own)) => lambda.asked(name, (program, &own), &body).await,
        _ => {
            let kind = [("x-amzn-errortype", "ResourceNotFoundException")];
            (StatusCode::NOT_FOUND, kind, "{}").into_response()
        }
    }
}

/// Secrets Manager's part.
impl Lambda {
    /// The function does the steps, or the test alone.
    pub(super) async fn play(&self, arn: &str, version: &VersionId, test_only: bool) {
        let id = SecretId::parse(arn).unwrap();
        let function = self.store.describe(&id).unwrap().rotation_lambda_arn.unwrap();
        if !test_only {
            *self.rotations.lock().unwrap() += 1;
        }
        let steps: &[Step] = if test_only { &[Step::Test] } else { &Step::ALL };
        for step in steps {
            let event = events::step(*step, arn, version.as_str());
            let fine = match self.kind(&function).unwrap() {
                Kind::Ours(program, own) => {
                    self.run((program, &own), &event, None, kill_switch().1).await.is_ok()
                }
                Kind::Awss(ca) => self.run_template(&function, &ca, &event).await,
                Kind::Template(server) => {
                    let value: Value =
                        serde_json::from_str(&read(&self.store, &id, AWSPENDING)).unwrap();
                    let [user, password] =
                        ["username", "password"].map(|field| value[field].as_str().unwrap());
                    server.logs_in(user, password).await
                }
            };
            // A test that failed leaves its version, as AWS's documentation has it.
            if !fine {
                return;
            }
        }
        if test_only {
            self.store.end_test(&id, version).unwrap();
        } else {
            self.store.finish_rotation(&id, version, PendingLabel::Removed).unwrap();
        }
    }
}
