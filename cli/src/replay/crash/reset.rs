//! The command that puts the target back before each rotation.

use std::fmt;
use std::io;
use std::process::Stdio;

use tokio::process::Command;

/// A command for `sh -c` that brings the target into the state in which a rotation is to begin, for
/// example without the second of two users, so that every rotation makes it.
#[derive(Clone)]
pub struct Reset(String);

impl Reset {
    /// A command, as it would be typed.
    pub fn new(command: impl Into<String>) -> Self {
        Self(command.into())
    }

    /// Runs it to its end. What it prints goes to standard error.
    pub(super) async fn run(&self) -> io::Result<()> {
        let mut command = Command::new("sh");
        command.args(["-c", &self.0]).stdin(Stdio::null()).stdout(io::stderr()).kill_on_drop(true);
        let status = command.status().await;
        let status =
            status.map_err(|error| io::Error::new(error.kind(), format!("--reset: {error}")))?;
        if status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "the command of --reset failed ({status}), so no rotation was begun after it"
        )))
    }
}

impl fmt::Debug for Reset {
    /// A command may hold a password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Reset")
    }
}
