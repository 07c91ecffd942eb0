//! A rotation function on this machine, and two ways to invoke it: its binary as Lambda runs it, or
//! `sam local invoke`, which runs what `sam build` made in the image that Lambda has.

mod kill;
mod process;
mod sam;

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncReadExt;

pub use kill::{KillSwitch, Killable, kill_switch};
use process::Process;
pub use sam::Sam;

/// The variable by which a function gets its access key id.
pub(crate) const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";

/// How much of a function's output is kept, in bytes.
const MOST_OUTPUT: usize = 4 * 1024 * 1024;

/// How many lines, and how much of each in characters, are shown of a function that died.
const MOST_LAST_LINES: usize = 8;
const LONGEST_LINE: usize = 400;

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
    /// All that it wrote, to standard output and to standard error.
    pub output: String,
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

    /// The same, whose output goes to this process's standard error as it comes, if `shown`. A
    /// container's is SAM's to show.
    #[must_use]
    pub fn with_output(mut self, shown: bool) -> Self {
        if let Way::Process(process) = &mut self.0 {
            process.shown = shown;
        }
        self
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
/// fill this process's memory. Writes all of it to standard error, if it is `shown`.
async fn read_all(pipe: Option<impl tokio::io::AsyncRead + Unpin>, shown: bool) -> String {
    let heard = Heard::default();
    heard.clone().all_of(pipe, shown).await;
    heard.text()
}

/// What was read of a pipe so far.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    fn text(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }

    async fn all_of(self, pipe: Option<impl tokio::io::AsyncRead + Unpin>, shown: bool) {
        let mut part = [0; 8192];
        let Some(mut pipe) = pipe else { return };
        // What was read before a failure is still worth showing.
        while let Ok(read) = pipe.read(&mut part).await
            && let Some(bytes) = part.get(..read).filter(|bytes| !bytes.is_empty())
        {
            if shown {
                let _ = std::io::stderr().lock().write_all(bytes);
            }
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let room = MOST_OUTPUT.saturating_sub(kept.len());
            kept.extend(bytes.iter().take(room));
        }
    }
}

/// The last lines of a text, shortened: what a process said before it died.
fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.len().saturating_sub(MOST_LAST_LINES);
    let shown = lines.iter().skip(last).map(|line| {
        let harmless = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        line.chars().take(LONGEST_LINE).map(harmless).collect::<String>()
    });
    shown.collect::<Vec<_>>().join("\n    ")
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| line.into())).collect()
}
