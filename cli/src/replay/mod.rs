//! `fourstep replay`: a whole rotation on this machine, against the real target.

mod arn;
mod ask;
pub mod crash;
mod keep;
mod local;
mod report;
mod said;
mod table;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use fourstep::{Question, Step, VersionId};
use fourstep_local::PendingLabel;
use fourstep_local::serve::AccessKey;
use serde_json::Value;

use crate::events;
use crate::function::{ACCESS_KEY_ID, Function, Invocation, Names, Sam};

pub use arn::SecretArn;
pub use ask::{ask, ask_there, show};
use keep::named;
pub use keep::{SecretFile, beside, letters};
use local::{Access, LocalSecret};
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

/// Which function is tried, and with which secret.
#[derive(Clone)]
pub struct Stage {
    /// The function.
    pub rotator: Rotator,
    /// Where the local Secrets Manager listens. A container cannot reach the loopback address.
    pub listen: SocketAddr,
    /// The file with the secret value. It is kept up to date: the target really gets a new
    /// password.
    pub secret: PathBuf,
    /// Whether that file holds a SecretBinary.
    pub binary: bool,
    /// The secret's ARN in AWS. Without one it is made of the file's path.
    pub arn: Option<SecretArn>,
    /// A file with the value of the admin's secret, which the secret names as `masterarn`. It is
    /// read and never changed.
    pub admin: Option<PathBuf>,
    /// Variables for the function.
    pub environment: Vec<(String, String)>,
    /// How long the function may take for one step.
    pub timeout: Duration,
    /// Whether what a function binary writes goes to standard error.
    pub verbose: bool,
}

/// What to replay, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The function and the secret.
    pub stage: Stage,
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
}

/// Plays the rotations and reports each step as it ends. True if every step succeeded.
///
/// # Errors
/// If the secret file, the local Secrets Manager or the function binary cannot be used. What a
/// step reports is no error here but in the report.
pub async fn replay(options: &Options, report: &mut Report<'_>) -> io::Result<bool> {
    let access = if options.test_only { Access::Reads } else { Access::Writes };
    let secret = LocalSecret::open(&options.stage, access, |_| Ok(()), report).await?;
    let function = options.stage.function(&secret);
    let replay = Replay { options, secret: &secret, function: &function };
    let succeeded = replay.all(report).await?;
    secret.close().await?;
    Ok(succeeded)
}

impl fmt::Debug for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Stage")
            .field("rotator", &self.rotator)
            .field("secret", &self.secret)
            .field("arn", &self.arn)
            .field("admin", &self.admin)
            .field("environment", &Names(&self.environment))
            .finish_non_exhaustive()
    }
}

impl Stage {
    /// Whether a vendor's key may be what is rotated: a function binary is told so by a variable, and
    /// what a template tells its function is not known.
    fn may_rotate_a_vendors(&self) -> bool {
        let told = self.environment.iter().any(|(name, _)| name == "ROTATION_SPEC");
        told || matches!(self.rotator, Rotator::Sam { .. })
    }

    /// The access key id that the function signs with: a new one, unless its variables name one,
    /// as for a function that asks AWS something as well.
    fn access_key(&self) -> AccessKey {
        let given = self.environment.iter().rev().find(|(name, _)| name == ACCESS_KEY_ID);
        match (&self.rotator, given) {
            (Rotator::Binary(_), Some((_, id))) if !id.is_empty() => AccessKey::given(id),
            _ => AccessKey::random(),
        }
    }

    /// The function's variables.
    fn variables(&self, key: &AccessKey) -> Vec<(String, String)> {
        let key = (ACCESS_KEY_ID.to_owned(), key.expose().to_owned());
        std::iter::once(key).chain(self.environment.iter().cloned()).collect()
    }

    /// The function, with the local Secrets Manager of this secret.
    fn function(&self, secret: &LocalSecret) -> Function {
        let (server, key) = (secret.server(), secret.key());
        match &self.rotator {
            Rotator::Binary(binary) => {
                Function::new(binary, &server.url(), &self.variables(key), self.timeout)
                    .with_output(self.verbose)
            }
            Rotator::Sam { function, arguments } => Function::of_sam(Sam {
                function: function.clone(),
                endpoint: in_container(server.address()),
                access_key_id: key.expose().to_owned(),
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
    secret: &'a LocalSecret,
    function: &'a Function,
}

impl Replay<'_> {
    /// Plays everything and says the last words.
    async fn all(&self, report: &mut Report<'_>) -> io::Result<bool> {
        let (played, journal) = (self.rotations(report).await?, self.secret.journal());
        match played {
            Some(settled) => report.finished(self.options, settled, journal)?,
            None => report.stopped(journal, self.options.test_only, &self.options.stage)?,
        }
        Ok(played.is_some() && !report.has_said())
    }

    /// Plays the rotations. None if one stopped or could not begin; else what [`one`](Self::one)
    /// says of the last.
    async fn rotations(&self, report: &mut Report<'_>) -> io::Result<Option<bool>> {
        let before = inspect(self.function, self.secret).await?;
        // Who delivers steps one by one means to see what they do, and what an interrupted replay may
        // have set is found by going on.
        let pressed = self.options.steps != Step::ALL || self.secret.journal().exists();
        self.secret.listen(&before, report)?;
        if !report.before(&before, pressed)? {
            return Ok(None);
        }
        self.secret.offer_live_value(&before)?;
        let mut settled = Some(false);
        for rotation in 1..=self.options.rotations {
            let token = match self.secret.begin(!self.options.test_only) {
                Ok(token) => token,
                Err(error) => {
                    report.refused(&error.to_string())?;
                    return Ok(None);
                }
            };
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
                    self.secret.note_proposed(token)?;
                }
                let event = events::step(step, self.secret.arn(), token.as_str());
                let invocation = invoke(self.function, &event).await?;
                let succeeded = invocation.answer.is_ok();
                let finished = step == Step::Finish && succeeded;
                if finished {
                    let ended = self.secret.finish(token, self.options.pending_label);
                    ended.map_err(io::Error::other)?;
                }
                let inspection = inspect(self.function, self.secret).await?;
                if finished {
                    settled = self.secret.settle(&inspection)?;
                }
                report.step(step, &invocation, &inspection)?;
                let said = [&invocation, &inspection].map(|one| self.secret.said(one));
                if let Some(what) = said.into_iter().flatten().next() {
                    report.said(&what)?;
                }
                if !succeeded {
                    return Ok(None);
                }
            }
        }
        if self.options.test_only {
            self.secret.end_test(token)?;
        }
        Ok(Some(settled))
    }
}

async fn invoke(function: &Function, event: &Value) -> io::Result<Invocation> {
    function.invoke(event).await.map_err(|error| named(&function.program(), &error))
}

/// Asks which labelled versions log in.
async fn inspect(function: &Function, secret: &LocalSecret) -> io::Result<Invocation> {
    invoke(function, &events::question(Question::Inspect, secret.arn())).await
}
