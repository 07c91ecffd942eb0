//! `fourstep replay`: a whole rotation on this machine, against the real target.

mod keep;
mod report;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fourstep::store::memory::{
    MemoryStore, NewRotation, NewSecret, NewValue, PendingLabel, SecretValue,
};
use fourstep::store::{AWSCURRENT, AWSPREVIOUS, Select};
use fourstep::{SecretId, SecretString, Step, VersionId};
use serde_json::Value;

use crate::events;
use crate::function::{Function, Invocation, Names, Sam};
use crate::serve;

pub use keep::SecretFile;
use keep::named;
pub use report::{Format, Report};

/// The function to replay with.
#[derive(Debug, Clone)]
pub enum Rotator {
    /// A function binary on this machine.
    Binary(PathBuf),
    /// A function of a SAM template, in a container.
    Sam {
        /// Its logical id, unless it is the only one.
        function: Option<String>,
        /// Further arguments of `sam local invoke`.
        arguments: Vec<String>,
    },
}

/// What to replay, and how.
#[derive(Clone)]
pub struct Options {
    /// The function.
    pub rotator: Rotator,
    /// Where the local Secrets Manager listens. A container cannot reach the loopback address.
    pub listen: SocketAddr,
    /// The file with the secret value. It is kept up to date: the target really gets a new
    /// password.
    pub secret: PathBuf,
    /// Variables for the function.
    pub environment: Vec<(String, String)>,
    /// The steps to deliver, in this order.
    pub steps: Vec<Step>,
    /// Deliver every step twice.
    pub twice: bool,
    /// How many rotations to play, one after the other.
    pub rotations: u32,
    /// Play what RotateSecret does with RotateImmediately=false: testSecret only.
    pub test_only: bool,
    /// What becomes of AWSPENDING after a rotation that succeeded.
    pub pending_label: PendingLabel,
    /// How long the function may take for one step.
    pub timeout: Duration,
}

const NAME: &str = "replay";
/// The label, with a number behind it, of a value that an earlier replay left.
const PROPOSED: &str = "proposed-";
const FUNCTION_ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:replayed";

/// Plays the rotations and reports each step as it ends. True if every step succeeded.
///
/// # Errors
/// If the secret file, the local Secrets Manager or the function binary cannot be used. What a
/// step reports is no error here but in the report.
pub async fn replay(options: &Options, report: &mut Report<'_>) -> io::Result<bool> {
    let file = SecretFile::open(&options.secret)?;
    let store = Arc::new(MemoryStore::new());
    let secret = seed(&store, &file, report)?;
    let server = serve::bind(options.listen).await?;
    let server = serve::serve_on(server, Arc::clone(&store), None)?;
    let function = options.function(&server);
    let arn = store.describe(&secret).map_err(io::Error::other)?.arn;
    let replay = Replay {
        options,
        store: &store,
        secret: &secret,
        arn: &arn,
        function: &function,
        file: &file,
    };
    let succeeded = replay.all(report).await?;
    server.stop().await?;
    Ok(succeeded)
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("rotator", &self.rotator)
            .field("secret", &self.secret)
            .field("environment", &Names(&self.environment))
            .field("steps", &self.steps)
            .field("rotations", &self.rotations)
            .finish_non_exhaustive()
    }
}

impl Options {
    fn function(&self, server: &serve::Server) -> Function {
        match &self.rotator {
            Rotator::Binary(binary) => {
                Function::new(binary, &server.url(), &self.environment, self.timeout)
            }
            Rotator::Sam { function, arguments } => Function::of_sam(Sam {
                function: function.clone(),
                endpoint: in_container(server.address()),
                environment: self.environment.clone(),
                arguments: arguments.clone(),
            }),
        }
    }
}

/// How a container reaches this machine. Docker Desktop leads this name to the loopback address;
/// elsewhere the server must listen on the address of Docker's bridge.
fn in_container(address: SocketAddr) -> String {
    if address.ip().is_loopback() || address.ip().is_unspecified() {
        format!("http://host.docker.internal:{}", address.port())
    } else {
        format!("http://{address}")
    }
}

struct Replay<'a> {
    options: &'a Options,
    store: &'a MemoryStore,
    secret: &'a SecretId,
    arn: &'a str,
    function: &'a Function,
    file: &'a SecretFile,
}

impl Replay<'_> {
    /// Plays everything and says the last words.
    async fn all(&self, report: &mut Report<'_>) -> io::Result<bool> {
        let (played, journal) = (self.rotations(report).await?, self.file.journal());
        match played {
            Some(settled) => report.finished(self.options, settled, journal)?,
            None => report.stopped(journal)?,
        }
        Ok(played.is_some())
    }

    /// Plays the rotations. None if one stopped or could not begin; else what [`one`](Self::one)
    /// says of the last.
    async fn rotations(&self, report: &mut Report<'_>) -> io::Result<Option<bool>> {
        let before = self.inspect().await?;
        if !report.before(&before)? {
            return Ok(None);
        }
        self.offer_live_value(&before)?;
        let mut settled = Some(false);
        for rotation in 1..=self.options.rotations {
            let token = VersionId::from_store(uuid::Uuid::new_v4().to_string());
            let begin = NewRotation {
                immediately: !self.options.test_only,
                ..NewRotation::now(&token, FUNCTION_ARN)
            };
            if let Err(error) = self.store.rotate(self.secret, &begin) {
                report.refused(&error.to_string())?;
                return Ok(None);
            }
            report.rotation(rotation, self.options.rotations, token.as_str())?;
            settled = self.one(&token, report).await?;
            if settled.is_none() {
                break;
            }
        }
        Ok(settled)
    }

    /// Plays one rotation. None if a step failed; else whether finishSecret was the last to have
    /// an effect and AWSCURRENT logs in.
    async fn one(&self, token: &VersionId, report: &mut Report<'_>) -> io::Result<Option<bool>> {
        let mut settled = false;
        let steps: &[Step] =
            if self.options.test_only { &[Step::Test] } else { &self.options.steps };
        for &step in steps {
            for _ in 0..if self.options.twice { 2 } else { 1 } {
                // Before the step that makes it live.
                if step == Step::Set {
                    self.note_proposed(token)?;
                }
                let event = events::step(step, self.arn, token.as_str());
                let invocation = self.invoke(&event).await?;
                let succeeded = invocation.answer.is_ok();
                let finished = step == Step::Finish && succeeded;
                if finished {
                    let label = self.options.pending_label;
                    let ended = self.store.finish_rotation(self.secret, token, label);
                    ended.map_err(io::Error::other)?;
                }
                let inspection = self.inspect().await?;
                if finished {
                    settled = self.settle(&inspection)?;
                }
                report.step(step, &invocation, &inspection)?;
                if !succeeded {
                    return Ok(None);
                }
            }
        }
        if self.options.test_only {
            self.store.end_test(self.secret, token).map_err(io::Error::other)?;
        }
        Ok(Some(settled))
    }

    /// Of the values that an earlier replay left, the one that logs in becomes AWSPREVIOUS, where
    /// every rotator looks, and keeps the label that shows it; the labels of the others go.
    fn offer_live_value(&self, before: &Invocation) -> io::Result<()> {
        for version in versions(before) {
            let Some(label) = version.labels.iter().find(|label| label.starts_with(PROPOSED))
            else {
                continue;
            };
            if version.accepted {
                self.move_label(AWSPREVIOUS, Some(&version.id), None)?;
            } else {
                self.move_label(label, None, Some(&version.id))?;
            }
        }
        Ok(())
    }

    /// After finishSecret: the new current value goes into the file if it logs in, and only then
    /// the journal goes. What logs in besides, another account's password for one, stays in it.
    fn settle(&self, after: &Invocation) -> io::Result<bool> {
        let read = self.store.get(self.secret, Select::Label(AWSCURRENT));
        let current = text(read.map_err(io::Error::other)?.value)?;
        let (mut current_accepted, mut kept) = (false, Vec::new());
        for version in versions(after).into_iter().filter(|version| version.accepted) {
            if version.labels.iter().any(|label| label == AWSCURRENT) {
                current_accepted = true;
            } else if version.labels.iter().any(|label| label.starts_with(PROPOSED)) {
                let read = self.store.get(self.secret, Select::Version(&version.id));
                kept.push(text(read.map_err(io::Error::other)?.value)?);
            }
        }
        if current_accepted {
            self.file.replace(&current, &kept)?;
        } else {
            self.file.note(&current)?;
        }
        Ok(current_accepted)
    }

    fn move_label(
        &self,
        label: &str,
        to: Option<&VersionId>,
        from: Option<&VersionId>,
    ) -> io::Result<()> {
        let moved = self.store.update_stage(self.secret, label, to, from);
        moved.map(drop).map_err(io::Error::other)
    }

    async fn invoke(&self, event: &Value) -> io::Result<Invocation> {
        let invocation = self.function.invoke(event).await;
        invocation.map_err(|error| named(&self.function.program(), &error))
    }

    async fn inspect(&self) -> io::Result<Invocation> {
        self.invoke(&events::inspect(self.arn)).await
    }

    fn note_proposed(&self, token: &VersionId) -> io::Result<()> {
        match self.store.get(self.secret, Select::Version(token)) {
            Ok(read) => self.file.note(&text(read.value)?),
            // createSecret stored nothing.
            Err(_) => Ok(()),
        }
    }
}

/// A row of an inspection.
struct Version {
    id: VersionId,
    labels: Vec<String>,
    accepted: bool,
}

fn versions(inspection: &Invocation) -> Vec<Version> {
    let rows = inspection.answer.as_ref().ok().and_then(|answer| answer.get("versions"));
    let rows = rows.and_then(Value::as_array).into_iter().flatten();
    let version = |row: &Value| Version {
        id: VersionId::from_store(events::text(row, "version")),
        labels: events::labels(row).into_iter().map(str::to_owned).collect(),
        accepted: events::text(row, "verdict") == "accepted",
    };
    rows.map(version).collect()
}

/// A secret with the file's value as AWSCURRENT. What an earlier replay proposed and did not see
/// promoted stands beside it under labels of its own: the target may have one of those.
fn seed(store: &MemoryStore, file: &SecretFile, report: &mut Report<'_>) -> io::Result<SecretId> {
    let (current, proposed) = (file.read()?, file.proposed()?);
    if !proposed.is_empty() {
        report.resumed(file.journal(), proposed.len())?;
    }
    store.create(NAME, NewSecret::default()).map_err(io::Error::other)?;
    let secret = SecretId::parse(NAME).map_err(io::Error::other)?;
    let new = |value| {
        let token = VersionId::from_store(uuid::Uuid::new_v4().to_string());
        NewValue::current(&token, SecretValue::Text(value))
    };
    store.put(&secret, new(current)).map_err(io::Error::other)?;
    for (number, value) in (1..).zip(proposed) {
        let value = NewValue { labels: vec![format!("{PROPOSED}{number}")], ..new(value) };
        store.put(&secret, value).map_err(io::Error::other)?;
    }
    Ok(secret)
}

fn text(value: SecretValue) -> io::Result<SecretString> {
    match value {
        SecretValue::Text(text) => Ok(text),
        SecretValue::Binary(_) => Err(io::Error::other("the rotator stored a binary value")),
    }
}
