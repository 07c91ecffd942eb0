//! The very binary that Lambda runs, through the Runtime API, a fresh process for each event.

mod authorities;
mod clearing;
mod demands;
mod failures;
mod rotation;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fourstep::{SecretId, Step, VersionId};
use fourstep_cli::events;
use fourstep_cli::function::{Function, Invocation};
use fourstep_local::serve;
use fourstep_local::{MemoryStore, NewRotation, NewSecret};
use serde_json::{Value, json};

use crate::support::program::binary;
use crate::support::stage::{FUNCTION, new_token, read};

/// The function, and the local Secrets Manager it calls.
pub struct Scene {
    pub server: serve::Server,
    pub function: Function,
    pub secret: SecretId,
    pub arn: String,
}

impl Scene {
    async fn new(document: &Value, variables: &[(&str, &str)]) -> Self {
        Self::with_timeout(document, variables, 30).await
    }

    async fn with_timeout(document: &Value, variables: &[(&str, &str)], seconds: u64) -> Self {
        let text = document.to_string();
        Self::of(&binary("rotate-postgres"), &text, variables, seconds).await
    }

    /// With another binary, and any text for a secret.
    pub async fn of(program: &Path, text: &str, variables: &[(&str, &str)], seconds: u64) -> Self {
        let store = Arc::new(MemoryStore::new());
        let new = NewSecret { value: Some(text.into()), ..NewSecret::default() };
        let arn = store.create("function/secret", new).unwrap().arn;
        let server = serve::start(([127, 0, 0, 1], 0).into(), store, None).await.unwrap();
        let function = function_of(program, &server.url(), variables, seconds);
        let secret = SecretId::parse(&arn).unwrap();
        Self { server, function, secret, arn }
    }

    pub fn begin(&self) -> VersionId {
        let token = new_token();
        self.server.store().rotate(&self.secret, &NewRotation::now(&token, FUNCTION)).unwrap();
        token
    }

    pub async fn step(&self, step: Step, token: &VersionId) -> Invocation {
        self.function.invoke(&events::step(step, &self.arn, token.as_str())).await.unwrap()
    }

    pub fn document(&self, label: &str) -> Value {
        serde_json::from_str(&read(self.server.store(), &self.secret, label)).unwrap()
    }
}

pub fn function(endpoint: &str, variables: &[(&str, &str)], seconds: u64) -> Function {
    function_of(&binary("rotate-postgres"), endpoint, variables, seconds)
}

fn function_of(
    program: &Path,
    endpoint: &str,
    variables: &[(&str, &str)],
    seconds: u64,
) -> Function {
    let variables: Vec<(String, String)> =
        variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    Function::new(program, endpoint, &variables, Duration::from_secs(seconds))
}

/// A document that no test connects with.
pub fn unused() -> Value {
    json!({"engine": "postgres", "host": "localhost", "port": 1, "username": "canary-user", "password": "canary"})
}

pub fn error(invocation: &Invocation) -> (&str, &str) {
    let (kind, message) = invocation.answer.as_ref().unwrap_err();
    (kind, message)
}
