//! An account on this machine: Secrets Manager as `fourstep serve` has it, Lambda that runs the real
//! functions and stands in for AWS's templates, and the functions' logs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{SecretId, Step};
use fourstep_cli::events;
use fourstep_cli::function::Function;
use fourstep_local::serve::{self, OnRotate, Server};
use fourstep_local::{
    MemoryStore, NewRotation, NewSecret, PendingLabel, RotationRules, StartedRotation,
};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::program::binary;
use crate::support::stage::{new_token, read};
use crate::support::{mysql, postgres};

pub fn arn(name: &str) -> String {
    format!("arn:aws:lambda:us-east-1:000000000000:function:{name}")
}

pub fn days(days: u32) -> RotationRules {
    RotationRules { automatically_after_days: Some(days), ..RotationRules::default() }
}

pub fn cron() -> RotationRules {
    RotationRules {
        automatically_after_days: None,
        schedule_expression: Some("cron(0 3 ? * SUN *)".to_owned()),
        duration: Some("3h".to_owned()),
    }
}

/// A server that a template of AWS's logs in at.
#[derive(Clone)]
pub enum Old {
    Postgres(postgres::Server),
    Mysql(mysql::Server),
}

/// What a function is.
#[derive(Clone)]
enum Kind {
    Template(Old),
    Ours(&'static str, Vec<(String, String)>),
}

#[derive(Default)]
struct Lambda {
    store: Arc<MemoryStore>,
    functions: Mutex<BTreeMap<String, Kind>>,
    /// Lines of our functions' logs, with their time in milliseconds.
    log: Mutex<Vec<(u64, Value)>>,
    reads_everything: Mutex<bool>,
    rotations: Mutex<u32>,
    /// Which of AWS's own templates ran, and how each ended.
    templates: Mutex<Vec<(String, bool)>>,
    endpoint: OnceLock<String>,
}

pub struct Host {
    lambda: Arc<Lambda>,
    url: String,
    _server: Server,
}

impl Host {
    pub async fn start() -> Self {
        let lambda = Arc::new(Lambda::default());
        let listener = serve::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let on_rotate = Arc::clone(&lambda) as Arc<dyn OnRotate>;
        let server = serve::serve_on(listener, Arc::clone(&lambda.store), Some(on_rotate)).unwrap();
        lambda.endpoint.set(server.url()).unwrap();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&lambda));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { lambda, url, _server: server }
    }

    pub fn store(&self) -> &MemoryStore {
        &self.lambda.store
    }

    pub fn value(&self, name: &str) -> String {
        read(self.store(), &SecretId::parse(name).unwrap(), AWSCURRENT)
    }

    pub fn rotations(&self) -> u32 {
        *self.lambda.rotations.lock().unwrap()
    }

    /// How often AWS's own templates ran, all without an error.
    pub fn templates(&self) -> usize {
        self.lambda.templates.lock().unwrap().iter().filter(|(_, fine)| *fine).count()
    }

    /// Whether our functions may read secrets that do not name them.
    pub fn reads_everything(&self, whether: bool) {
        *self.lambda.reads_everything.lock().unwrap() = whether;
    }

    pub fn template(&self, name: &str, server: Old) {
        self.lambda.functions.lock().unwrap().insert(name.to_owned(), Kind::Template(server));
    }

    pub fn ours(&self, name: &str, binary: &'static str, variables: &[(&str, &str)]) {
        let own = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let kind = Kind::Ours(binary, own.collect());
        self.lambda.functions.lock().unwrap().insert(name.to_owned(), kind);
    }

    /// A secret, and the function that rotates it by these rules.
    pub fn secret(&self, name: &str, document: &Value, rotation: Option<(&str, RotationRules)>) {
        let value = Some(document.to_string().as_str().into());
        self.store().create(name, NewSecret { value, ..NewSecret::default() }).unwrap();
        let Some((function, rules)) = rotation else { return };
        let (id, token) = (SecretId::parse(name).unwrap(), new_token());
        let (lambda_arn, rules) = (Some(arn(function)), Some(rules));
        let new = NewRotation { token: token.clone(), lambda_arn, rules, immediately: false };
        self.store().rotate(&id, &new).unwrap();
        self.store().end_test(&id, &token).unwrap();
    }

    pub fn tag(&self, name: &str, key: &str, value: &str) {
        let tags = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        self.store().tag(&SecretId::parse(name).unwrap(), tags).unwrap();
    }

    /// A rotation, as the schedule begins one.
    pub async fn rotate(&self, name: &str) {
        let new =
            NewRotation { token: new_token(), lambda_arn: None, rules: None, immediately: true };
        let started = self.store().rotate(&SecretId::parse(name).unwrap(), &new).unwrap();
        self.lambda.rotation_started(&self.lambda.store, started).await;
    }

    /// Runs the command in this account; its lines of JSON and its status. No canary is in them.
    pub async fn fourstep(&self, arguments: &[String]) -> (Vec<Value>, Option<i32>) {
        let output = Command::new(binary("fourstep"))
            .args(arguments)
            .env_clear()
            .env("AWS_ENDPOINT_URL", &self.url)
            .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", self.lambda.endpoint.get().unwrap())
            .envs([("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "local")])
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .output()
            .await
            .unwrap();
        let said =
            [&output.stdout, &output.stderr].map(|one| String::from_utf8_lossy(one).into_owned());
        assert!(!said.concat().contains("canary"), "{said:?}");
        assert_eq!(said[1], "");
        let lines = said[0].lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (lines, output.status.code())
    }
}

impl Lambda {
    fn kind(&self, function: &str) -> Option<Kind> {
        self.functions.lock().unwrap().get(function.rsplit(':').next()?).cloned()
    }

    /// Runs one of our functions; its line goes to the log.
    async fn run(
        &self,
        (name, own): (&str, &[(String, String)]),
        event: &Value,
    ) -> Result<Value, (String, String)> {
        let endpoint = self.endpoint.get().unwrap();
        let function = Function::new(&binary(name), endpoint, own, Duration::from_secs(60));
        let invocation = function.invoke(event).await.unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        let lines = invocation.lines.iter().map(|line| (now, line.clone()));
        self.log.lock().unwrap().extend(lines);
        invocation.answer
    }

    /// Runs AWS's template by the interpreter that FOURSTEP_TEST_AWS_PYTHON names.
    async fn run_template(&self, function: &str, event: &Value) -> bool {
        let python = std::env::var("FOURSTEP_TEST_AWS_PYTHON").unwrap();
        let script = "import json, sys; sys.path.insert(0, sys.argv[1]); import lambda_function; \
                      lambda_function.lambda_handler(json.loads(sys.argv[2]), None)";
        let output = Command::new(python)
            .args(["-c", script, &template(function).unwrap(), &event.to_string()])
            .env("SECRETS_MANAGER_ENDPOINT", self.endpoint.get().unwrap())
            .envs([("AWS_DEFAULT_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "local")])
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .output()
            .await
            .unwrap();
        self.templates.lock().unwrap().push((function.to_owned(), output.status.success()));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        true
    }

    fn configuration(&self, name: &str, kind: &Kind) -> Value {
        let (runtime, handler, variables) = match kind {
            Kind::Template(_) => {
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
            true => self.run(own, event).await,
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

/// The folder with the `lambda_function.py` of a template, which is AWS's and not part of this
/// repository: one of this name in FOURSTEP_TEST_AWS_TEMPLATES. Without, the template is stood in for.
fn template(function: &str) -> Option<String> {
    let folder = std::env::var("FOURSTEP_TEST_AWS_TEMPLATES").ok()?;
    let folder = format!("{folder}/{}", function.rsplit(':').next()?);
    std::path::Path::new(&folder).join("lambda_function.py").exists().then_some(folder)
}

async fn answer(State(lambda): State<Arc<Lambda>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, serve::LARGEST_BODY).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if head.headers.contains_key("x-amz-target") {
        let log = lambda.log.lock().unwrap();
        let event =
            |(at, line): &(u64, Value)| json!({"timestamp": at, "message": line.to_string()});
        return json!({"events": log.iter().map(event).collect::<Vec<_>>()})
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

/// Secrets Manager's part: it has the function do the steps, or the test alone.
#[async_trait]
impl OnRotate for Lambda {
    async fn rotation_started(&self, store: &Arc<MemoryStore>, rotation: StartedRotation) {
        let id = SecretId::parse(&rotation.arn).unwrap();
        if !rotation.test_only {
            *self.rotations.lock().unwrap() += 1;
        }
        let steps: &[Step] = if rotation.test_only { &[Step::Test] } else { &Step::ALL };
        for step in steps {
            let event = events::step(*step, &rotation.arn, rotation.version.as_str());
            let fine = match self.kind(&rotation.lambda_arn).unwrap() {
                Kind::Ours(program, own) => self.run((program, &own), &event).await.is_ok(),
                Kind::Template(_) if template(&rotation.lambda_arn).is_some() => {
                    self.run_template(&rotation.lambda_arn, &event).await
                }
                Kind::Template(server) => {
                    let value: Value = serde_json::from_str(&read(store, &id, AWSPENDING)).unwrap();
                    let [user, password] =
                        ["username", "password"].map(|field| value[field].as_str().unwrap());
                    match server {
                        Old::Postgres(server) => server.logs_in(user, password).await,
                        Old::Mysql(server) => server.logs_in(user, password).await,
                    }
                }
            };
            // A test that failed leaves its version, as AWS's documentation has it.
            if !fine {
                return;
            }
        }
        if rotation.test_only {
            store.end_test(&id, &rotation.version).unwrap();
        } else {
            store.finish_rotation(&id, &rotation.version, PendingLabel::Removed).unwrap();
        }
    }
}
