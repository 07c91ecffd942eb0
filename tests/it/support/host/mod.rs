//! An account on this machine: Secrets Manager as `fourstep serve` has it, Lambda that runs the real
//! functions and stands in for AWS's templates, or runs them too, and the functions' logs.

mod lambda;
mod template;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use fourstep::store::AWSCURRENT;
use fourstep::{SecretId, Step, VersionId};
use fourstep_cli::events;
use fourstep_cli::function::{Answer, Invocation, Killable, kill_switch};
use fourstep_local::serve;
use fourstep_local::{MemoryStore, NewRotation, NewSecret, RotationRules};
use serde_json::Value;
use tokio::process::Command;

use crate::support::program::binary;
use crate::support::stage::{new_token, read};
pub use lambda::Old;
use lambda::{Kind, Lambda};

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

pub struct Host {
    lambda: Arc<Lambda>,
    url: String,
}

impl Host {
    pub async fn start() -> Self {
        let lambda = Arc::new(Lambda::new());
        let of = Arc::clone(&lambda);
        let layer = from_fn(move |request, next| manager(Arc::clone(&of), request, next));
        let manager = listening(serve::endpoint(&lambda.store).layer(layer)).await;
        lambda.endpoint.set(manager).unwrap();
        let router = Router::new().fallback(lambda::answer).with_state(Arc::clone(&lambda));
        Self { lambda, url: listening(router).await }
    }

    pub fn store(&self) -> &Arc<MemoryStore> {
        &self.lambda.store
    }

    /// Has the function of a secret do one step, by way of another endpoint if one is given.
    pub async fn step(
        &self,
        name: &str,
        (step, token): (Step, &VersionId),
        endpoint: Option<&str>,
        killable: Killable,
    ) -> Answer {
        let detail = self.store().describe(&SecretId::parse(name).unwrap()).unwrap();
        let function = self.lambda.kind(&detail.rotation_lambda_arn.unwrap());
        let Some(Kind::Ours(program, own)) = function else { panic!("not ours") };
        let event = events::step(step, &detail.arn, token.as_str());
        self.lambda.run((program, &own), &event, endpoint, killable).await
    }

    /// Has one of our functions answer an event, with a Secrets Manager elsewhere; this log does not have it.
    pub async fn run(&self, function: &str, event: &Value, endpoint: &str) -> Invocation {
        let Some(Kind::Ours(program, own)) = self.lambda.kind(function) else { panic!("not ours") };
        self.lambda.invoked((program, &own), event, endpoint, kill_switch().1).await
    }

    /// What Lambda says of each function.
    pub fn functions(&self) -> Vec<Value> {
        let functions = self.lambda.functions.lock().unwrap();
        functions.iter().map(|(name, kind)| self.lambda.configuration(name, kind)).collect()
    }

    pub fn value(&self, name: &str) -> String {
        read(self.store(), &SecretId::parse(name).unwrap(), AWSCURRENT)
    }

    pub fn rotations(&self) -> u32 {
        *self.lambda.rotations.lock().unwrap()
    }

    /// How many rotations have begun and not ended.
    pub fn under_way(&self) -> usize {
        self.lambda.under_way.load(Ordering::SeqCst)
    }

    /// Whether our functions may read secrets that do not name them.
    pub fn reads_everything(&self, whether: bool) {
        *self.lambda.reads_everything.lock().unwrap() = whether;
    }

    pub fn template(&self, name: &str, server: Old) {
        self.lambda.functions.lock().unwrap().insert(name.to_owned(), Kind::Template(server));
    }

    /// A function is not there any more.
    pub fn remove(&self, name: &str) {
        self.lambda.functions.lock().unwrap().remove(name);
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
        self.lambda.play(&started.arn, &started.version, false).await;
    }

    /// What the functions wrote about a secret.
    pub fn lines(&self, name: &str) -> Vec<Value> {
        let part = format!(":secret:{name}-");
        let log = self.lambda.log.lock().unwrap();
        let about = |line: &Value| line["secret"].as_str().unwrap_or_default().contains(&part);
        log.iter().map(|(_, line)| line.clone()).filter(about).collect()
    }

    /// Where Lambda and the logs are, and Secrets Manager.
    pub fn endpoints(&self) -> [&str; 2] {
        [&self.url, self.lambda.endpoint.get().unwrap()]
    }

    /// Runs the command in this account; its lines of JSON and its status. No canary is in them.
    pub async fn fourstep(&self, arguments: &[String]) -> (Vec<Value>, Option<i32>) {
        self.fourstep_at(self.endpoints(), arguments).await
    }

    /// The same in an account at these endpoints.
    pub async fn fourstep_at(
        &self,
        [all, secrets]: [&str; 2],
        arguments: &[String],
    ) -> (Vec<Value>, Option<i32>) {
        let output = Command::new(binary("fourstep"))
            .args(arguments)
            .env_clear()
            .env("AWS_ENDPOINT_URL", all)
            .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", secrets)
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

/// Secrets Manager: the rotations that it begins, or takes up again, are played.
async fn manager(lambda: Arc<Lambda>, request: Request, next: Next) -> Response {
    let rotates = request.headers()["x-amz-target"].to_str().unwrap().ends_with("RotateSecret");
    if !rotates || request.headers()["x-amz-target"] == "secretsmanager.CancelRotateSecret" {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let body = to_bytes(body, serve::LARGEST_BODY).await.unwrap();
    let asked: Value = serde_json::from_slice(&body).unwrap();
    let answer = next.run(Request::from_parts(head, Body::from(body))).await;
    let (head, body) = answer.into_parts();
    let body = to_bytes(body, serve::LARGEST_BODY).await.unwrap();
    let said: Value = serde_json::from_slice(&body).unwrap();
    let id = SecretId::parse(asked["SecretId"].as_str().unwrap()).unwrap();
    let again = said["Message"].as_str().is_some_and(|why| why.contains("will be reattempted"));
    if let (Some(version), true) = (lambda.pending(&id), head.status.is_success() || again) {
        let (arn, test) = (id.as_str().to_owned(), asked["RotateImmediately"] == false);
        lambda.under_way.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            lambda.play(&arn, &version, test).await;
            lambda.under_way.fetch_sub(1, Ordering::SeqCst);
        });
    }
    Response::from_parts(head, Body::from(body))
}

async fn listening(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    url
}
