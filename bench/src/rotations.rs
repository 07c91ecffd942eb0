//! Whole rotations of one secret, by one function or another in turn.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use fourstep::store::{AWSCURRENT, Select};
use fourstep::{ExposeSecret, SecretId, SecretValue, Step, VersionId};
use fourstep_cli::events;
use fourstep_local::{MemoryStore, NewRotation, NewSecret, NewValue, PendingLabel};
use serde_json::Value;

use crate::host::{Program, Running};
use crate::manager::{Call, Manager, longest_sequence};

const FUNCTION_ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:bench";

/// A secret in a local Secrets Manager.
pub struct Scene {
    /// The Secrets Manager that functions call.
    pub manager: Manager,
    store: Arc<MemoryStore>,
    secret: SecretId,
    arn: String,
}

/// One rotation with a process of its own for each step.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// From the start of each step's process to its answer, added up.
    pub time: Duration,
    /// The processor time of the four processes.
    pub cpu: Duration,
    /// The most resident memory that one of them had, in bytes.
    pub peak_memory: u64,
    /// From the start of each process to its first poll.
    pub start_ups: Vec<Duration>,
    /// The calls of each step, by the step's name.
    pub calls: Vec<(&'static str, Vec<Call>)>,
}

impl Rotation {
    /// How many calls it made.
    pub fn total_calls(&self) -> usize {
        self.calls.iter().map(|(_, calls)| calls.len()).sum()
    }

    /// How many calls of each step came one after the other.
    pub fn sequences(&self) -> Vec<(&'static str, usize)> {
        self.calls.iter().map(|(step, calls)| (*step, longest_sequence(calls))).collect()
    }
}

impl Scene {
    /// A secret that holds this document.
    ///
    /// # Errors
    /// If the Secrets Manager cannot be started.
    pub async fn new(document: &Value) -> io::Result<Self> {
        let store = Arc::new(MemoryStore::new());
        let value = Some(document.to_string().as_str().into());
        let new = NewSecret { value, ..NewSecret::default() };
        let arn = store.create("bench/secret", new).map_err(io::Error::other)?.arn;
        let secret = SecretId::parse(&arn).map_err(io::Error::other)?;
        let manager = Manager::start(&store).await?;
        Ok(Self { manager, store, secret, arn })
    }

    /// Says in the secret whether connections have verified TLS or none.
    ///
    /// # Errors
    /// If the secret cannot be read or written.
    pub fn set_tls(&self, tls: bool) -> io::Result<()> {
        let read = self.store.get(&self.secret, Select::Label(AWSCURRENT));
        let SecretValue::Text(text) = read.map_err(io::Error::other)?.value else {
            return Err(io::Error::other("a function stored a binary value"));
        };
        let mut document: Value = serde_json::from_str(text.expose_secret())
            // The parser's own words may quote the document.
            .map_err(|_| io::Error::other("a function stored what is no JSON"))?;
        if let Some(fields) = document.as_object_mut() {
            fields.insert("ssl".to_owned(), tls.into());
        }
        let value = NewValue::current(&new_token(), document.to_string().as_str());
        self.store.put(&self.secret, value).map(drop).map_err(io::Error::other)
    }

    /// A rotation with a process of its own for each step: Lambda starts one on nearly every step.
    ///
    /// # Errors
    /// If a step fails.
    pub async fn cold(&self, program: &Program) -> io::Result<Rotation> {
        let token = self.begin()?;
        let mut rotation = Rotation {
            time: Duration::ZERO,
            cpu: Duration::ZERO,
            peak_memory: 0,
            start_ups: Vec::new(),
            calls: Vec::new(),
        };
        for step in Step::ALL {
            let mut running = program.start(&self.manager.url()).await?;
            let start_up = running.ready().await?;
            let event = events::step(step, &self.arn, token.as_str());
            let handling = running.invoke(&event).await.map_err(|error| at(step, error))?;
            let usage = running.end().await?;
            rotation.time += start_up + handling;
            rotation.cpu += usage.cpu;
            rotation.peak_memory = rotation.peak_memory.max(usage.peak_memory);
            rotation.start_ups.push(start_up);
            rotation.calls.push((step.name(), self.manager.take_calls()));
        }
        self.finish(&token)?;
        Ok(rotation)
    }

    /// A rotation in a process that runs already; from each event to its answer, added up.
    ///
    /// # Errors
    /// If a step fails.
    pub async fn warm(&self, running: &mut Running) -> io::Result<Duration> {
        let token = self.begin()?;
        let mut time = Duration::ZERO;
        for step in Step::ALL {
            let event = events::step(step, &self.arn, token.as_str());
            time += running.invoke(&event).await.map_err(|error| at(step, error))?;
        }
        self.manager.take_calls();
        self.finish(&token)?;
        Ok(time)
    }

    /// The secret's ARN.
    pub(crate) fn arn(&self) -> &str {
        &self.arn
    }

    pub(crate) fn begin(&self) -> io::Result<VersionId> {
        let token = new_token();
        let rotation = NewRotation::now(&token, FUNCTION_ARN);
        self.store.rotate(&self.secret, &rotation).map_err(io::Error::other)?;
        Ok(token)
    }

    pub(crate) fn finish(&self, token: &VersionId) -> io::Result<()> {
        let finished = self.store.finish_rotation(&self.secret, token, PendingLabel::Removed);
        finished.map_err(io::Error::other)
    }
}

fn new_token() -> VersionId {
    VersionId::from_store(uuid::Uuid::new_v4().to_string())
}

fn at(step: Step, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", step.name()))
}
