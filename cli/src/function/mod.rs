//! A rotation function on this machine, and two ways to invoke it: its binary as Lambda runs it, or
//! `sam local invoke`, which runs what `sam build` made in the image that Lambda has.

mod kill;
mod process;
mod sam;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncReadExt;

pub use kill::{KillSwitch, Killable, kill_switch};
use process::Process;
pub use sam::Sam;

/// The variable by which a function gets its access key id.
pub(crate) const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";

/// How much of a function's output is kept, in bytes.
const MOST_OUTPUT: u64 = 4 * 1024 * 1024;

/// The error type of an invocation whose [`KillSwitch`] was pulled.
pub const KILLED: &str = "Killed";

/// The error type of an invocation that was stopped because its time was over.
pub const TIMED_OUT: &str = "Sandbox.Timedout";

/// The error type of a process that ended without an answer.
pub const EXITED: &str = "Runtime.ExitError";

/// A rotation function on this machine.
#[derive(Debug, Clone)]
pub struct Function(Way);

#[derive(Debug, Clone)]
enum Way {
    Process(Process),
    Sam(Sam),
}

/// How one invocation ended.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The function's answer, or the error it reported (type, message).
    pub answer: Answer,
    /// What it wrote to standard output, as JSON where a line is JSON.
    pub lines: Vec<Value>,
    /// From the start of the function's process to its answer: a cold start.
    pub duration: Duration,
}

/// A function's answer, or the error it reported (type, message).
pub type Answer = Result<Value, (String, String)>;

impl Invocation {
    /// The log line of the invocation: the last one that names a step.
    pub fn line(&self) -> Option<&Value> {
        self.lines.iter().rev().find(|line| line.get("step").is_some())
    }
}

impl Function {
    /// A function binary whose Secrets Manager is at `endpoint`. `environment` is added last, so it
    /// can override any variable. `timeout` is what Lambda would allow one invocation.
    pub fn new(
        binary: &Path,
        endpoint: &str,
        environment: &[(String, String)],
        timeout: Duration,
    ) -> Self {
        Self(Way::Process(Process::new(binary, endpoint, environment, timeout)))
    }

    /// A function of a SAM template.
    pub fn of_sam(sam: Sam) -> Self {
        Self(Way::Sam(sam))
    }

    /// The program that is started for an invocation.
    pub fn program(&self) -> PathBuf {
        match &self.0 {
            Way::Process(process) => process.binary.clone(),
            Way::Sam(_) => sam::PROGRAM.into(),
        }
    }

    /// Hands one event to a fresh start of the function.
    ///
    /// # Errors
    /// Only if it cannot be started; what the function itself reports, its death included, is the
    /// invocation's answer.
    pub async fn invoke(&self, event: &Value) -> std::io::Result<Invocation> {
        match &self.0 {
            Way::Process(process) => process.invoke(event, Killable::never()).await,
            Way::Sam(sam) => sam.invoke(event).await,
        }
    }

    /// As [`invoke`](Self::invoke), until the switch that `killable` belongs to is pulled. Only a
    /// binary can be killed so; a container goes on to its end.
    ///
    /// # Errors
    /// Only if it cannot be started. A killed process has [`KILLED`] for an error type.
    pub async fn invoke_killable(
        &self,
        event: &Value,
        killable: Killable,
    ) -> std::io::Result<Invocation> {
        match &self.0 {
            Way::Process(process) => process.invoke(event, killable).await,
            Way::Sam(sam) => sam.invoke(event).await,
        }
    }
}

/// A function's variables as `Debug` shows them: by name alone, since a value may be a credential.
pub(crate) struct Names<'a>(pub(crate) &'a [(String, String)]);

impl fmt::Debug for Names<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Reads a pipe to its end and keeps its beginning: a function that writes without end must not
/// fill this process's memory.
async fn read_all(pipe: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let mut kept = Vec::new();
    if let Some(mut pipe) = pipe {
        // What was read before a failure is still worth showing.
        let _ = (&mut pipe).take(MOST_OUTPUT).read_to_end(&mut kept).await;
        let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&kept).into_owned()
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| line.into())).collect()
}
