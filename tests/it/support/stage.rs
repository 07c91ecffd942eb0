//! A rotation in this process: the real engine, strategy and database over the memory store.

use std::sync::Arc;
use std::time::Duration;

use fourstep::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, Select};
use fourstep::users::Strategies;
use fourstep::{
    Deadline, Engine, Environment, Error, ExposeSecret, Invocation, InvocationStats, Outcome,
    Question, Request, SecretId, SecretValue, Step, VersionId,
};
use fourstep_local::{MemoryStore, NewRotation, NewSecret, NewValue, PendingLabel};
use serde_json::Value;

/// A function's ARN, as RotateSecret wants one.
pub const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:test";

/// A secret, its store, and the rotator under test.
pub struct Stage {
    pub store: Arc<MemoryStore>,
    pub secret: SecretId,
    pub rotator: Strategies,
    pub timeout: Duration,
    /// What another container makes its rotator of.
    pub function: Function,
    pub environment: Environment,
}

/// What a function's `main` hands to [`fourstep::run`].
pub type Function = fn(&Environment) -> Result<Strategies, Error>;

/// How a step ended: what it reported, and what it did on the way.
pub struct Ended {
    pub result: Result<Outcome, Error>,
    pub stats: InvocationStats,
}

impl Ended {
    /// The outcome's explanation.
    pub fn why(&self) -> &str {
        &self.result.as_ref().unwrap_or_else(|error| panic!("{error}")).why
    }

    /// The error's text.
    pub fn error(&self) -> String {
        self.result.as_ref().expect_err("the step should have failed").to_string()
    }
}

impl Stage {
    /// A secret that holds `document`, and a rotator with these variables.
    pub fn new(document: &Value, variables: &[(&str, &str)]) -> Self {
        Self::of_text(&document.to_string(), variables)
    }

    /// A secret that holds this text.
    pub fn of_text(text: &str, variables: &[(&str, &str)]) -> Self {
        Self::of(rotate_postgres::strategies, text, variables.iter().copied().collect())
    }

    /// A secret that holds this text, and the rotator of this function with these variables.
    pub fn of(function: Function, text: &str, environment: Environment) -> Self {
        let rotator = function(&environment).unwrap();
        let store = Arc::new(MemoryStore::new());
        let value = Some(text.into());
        store.create("stage", NewSecret { value, ..NewSecret::default() }).unwrap();
        let secret = SecretId::parse("stage").unwrap();
        Self { store, secret, rotator, timeout: Duration::from_secs(30), function, environment }
    }

    /// Another container: the same secret and store, another process.
    pub fn beside(&self) -> Self {
        let other = Self::of(self.function, "unused", self.environment.clone());
        Self { store: Arc::clone(&self.store), secret: self.secret.clone(), ..other }
    }

    /// RotateSecret: the empty pending version.
    pub fn begin(&self) -> VersionId {
        let token = new_token();
        self.store.rotate(&self.secret, &NewRotation::now(&token, FUNCTION)).unwrap();
        token
    }

    /// One step for this token.
    pub async fn step(&self, step: Step, token: &VersionId) -> Ended {
        let event = serde_json::json!({
            "Step": step.name(), "SecretId": self.secret.as_str(), "ClientRequestToken": token.as_str(),
        });
        self.deliver(&event).await
    }

    /// One rotation event, whatever is in it.
    pub async fn deliver(&self, event: &Value) -> Ended {
        let cx = Invocation::new(Deadline::after(self.timeout));
        let result = match Request::decode(event) {
            Ok(Request::Rotate(event)) => {
                Engine::new(&*self.store, &self.rotator).step(&event, &cx).await
            }
            Ok(_) => panic!("not a rotation event"),
            Err(error) => Err(error),
        };
        Ended { result, stats: cx.stats() }
    }

    /// The answer to a question about the secret.
    pub async fn ask(&self, question: Question) -> Value {
        let cx = Invocation::new(Deadline::after(self.timeout));
        let engine = Engine::new(&*self.store, &self.rotator);
        let answer = engine.answer(question, &self.secret, &cx).await;
        answer.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Begins a rotation and does these steps, all of which must succeed.
    pub async fn play(&self, steps: &[Step]) -> VersionId {
        let token = self.begin();
        for &step in steps {
            self.step(step, &token).await.why();
        }
        if steps.contains(&Step::Finish) {
            self.end(&token);
        }
        token
    }

    /// The service's last act in a rotation.
    pub fn end(&self, token: &VersionId) {
        self.store.finish_rotation(&self.secret, token, PendingLabel::Removed).unwrap();
    }

    /// What an operator does to give a rotation up: CancelRotateSecret, and AWSPENDING is taken off.
    pub fn cancel(&self) {
        self.store.cancel_rotation(&self.secret).unwrap();
        let [_, pending, _] = self.labels();
        self.store.update_stage(&self.secret, AWSPENDING, None, pending.as_ref()).unwrap();
    }

    /// Stores a value as AWSCURRENT, as a person does.
    pub fn put_current(&self, document: &Value) -> VersionId {
        let token = new_token();
        self.store
            .put(&self.secret, NewValue::current(&token, document.to_string().as_str()))
            .unwrap();
        token
    }

    /// TagResource.
    pub fn set_tag(&self, name: &str, value: &str) {
        let tags = [(name.to_owned(), value.to_owned())].into();
        self.store.tag(&self.secret, tags).unwrap();
    }

    /// Fills the pending version of a rotation by hand.
    pub fn put_pending(&self, token: &VersionId, document: &Value) {
        let value = NewValue::labelled(token, document.to_string().as_str(), &[AWSPENDING]);
        self.store.put(&self.secret, value).unwrap();
    }

    /// The document under a label.
    pub fn document(&self, label: &str) -> Value {
        serde_json::from_str(&self.text(label)).unwrap()
    }

    /// The text under a label.
    pub fn text(&self, label: &str) -> String {
        read(&self.store, &self.secret, label)
    }

    /// The text under a label, if there is one.
    pub fn try_text(&self, label: &str) -> Option<String> {
        match self.store.get(&self.secret, Select::Label(label)).ok()?.value {
            SecretValue::Text(text) => Some(text.expose_secret().to_owned()),
            SecretValue::Binary(_) => None,
        }
    }

    /// The password under a label.
    pub fn password(&self, label: &str) -> String {
        self.document(label)["password"].as_str().unwrap().to_owned()
    }

    /// Which version holds each of the three labels.
    pub fn labels(&self) -> [Option<VersionId>; 3] {
        let labels = self.store.describe(&self.secret).unwrap().labels;
        [AWSCURRENT, AWSPENDING, AWSPREVIOUS].map(|label| {
            labels
                .iter()
                .find(|(_, on)| on.iter().any(|one| one == label))
                .map(|(id, _)| id.clone())
        })
    }
}

/// A token nobody used before.
pub fn new_token() -> VersionId {
    VersionId::from_store(uuid::Uuid::new_v4().to_string())
}

/// The text under a label of a secret.
pub fn read(store: &MemoryStore, secret: &SecretId, label: &str) -> String {
    match store.get(secret, Select::Label(label)).unwrap().value {
        SecretValue::Text(text) => text.expose_secret().to_owned(),
        SecretValue::Binary(_) => panic!("a binary value"),
    }
}
