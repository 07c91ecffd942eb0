//! What a user does in a session of its own: logs in, changes its password, looks, and asks.

use std::time::Duration;

use secrecy::SecretString;

use super::{Database, Driver, DualPasswords, PASSWORD_UNKNOWN, close, is_made, log_in, named};
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::rotator::{Fence, Finding};
use crate::users::{Attempt, Change, Dialect, LoggedIn, Login};

/// The most that `PROBE_QUERY` may take, if the deadline leaves more.
const PROBE_TIME: Duration = Duration::from_secs(10);

/// How much longer than its limit the question is waited for.
const PROBE_GRACE: Duration = Duration::from_millis(500);

/// What is kept of the deadline for the report of what the question met.
const REPORT_TIME: Duration = Duration::from_secs(1);

impl<S: Database> Driver<S> {
    /// What is to be known of this kind of server.
    pub fn dialect(&self) -> &Dialect {
        self.server.dialect()
    }

    /// As [`log_in`].
    ///
    /// # Errors
    /// Those of [`Database::log_in`].
    pub async fn log_in<'a>(
        &self,
        login: &Login,
        cx: &'a Invocation,
    ) -> Result<Attempt<LoggedIn<'a, S::Session>>> {
        log_in(&self.server, login, cx).await
    }

    pub(crate) async fn close(&self, at: LoggedIn<'_, S::Session>) {
        close(&self.server, at).await;
    }

    /// Sets the password of the very user that is logged in, behind the account's lock and `fence`.
    /// Twice with the same password has the effect of once.
    ///
    /// # Errors
    /// With any error but a lost connection nothing was changed. That the server refuses this very
    /// password is no error but [`Change::Refused`].
    pub async fn change_own_password(
        &self,
        mut at: LoggedIn<'_, S::Session>,
        password: &SecretString,
        fence: &dyn Fence,
    ) -> Result<Change> {
        let server = &self.server;
        let outcome = async {
            self.outlasts(&mut at).await?;
            let prepared = server.prepare_own(&mut at, password).await?;
            let made = async {
                self.begin_own(&mut at, &server.locks(&prepared)).await?;
                fence.pass().await?;
                server.set(&mut at, &prepared, fence).await
            }
            .await;
            self.end(&mut at, made, (PASSWORD_UNKNOWN, is_made)).await
        }
        .await;
        let what = format!("cannot change the password of {}", at.login.account());
        self.close(at).await;
        named(outcome, &what)
    }

    /// Finds what would make a change of the session user's own password fail. The change is rehearsed
    /// with `sample`, where there is one and nothing is known to speak against it.
    ///
    /// # Errors
    /// Whatever kept it from being found.
    pub async fn preflight(
        &self,
        mut at: LoggedIn<'_, S::Session>,
        sample: Option<&SecretString>,
    ) -> Result<Vec<Finding>> {
        let found = async {
            let mut findings = self.server.outlook(&mut at).await?;
            findings.extend(self.server.preflight(&mut at).await?);
            if let (Some(sample), false) = (sample, findings.iter().any(Finding::fails)) {
                let rehearsed = self.server.rehearse(&mut at, sample).await;
                findings.extend(rehearsed.err().map(Finding::of_rehearsal));
            }
            Ok(findings)
        }
        .await;
        let what = format!("cannot look at {}", at.login.account());
        self.close(at).await;
        found.map_err(|error: Error| error.while_doing(what))
    }

    /// Asks as this user what the function's owner wants asked before the user is promoted. The
    /// user's own settings hold: this is what an application would meet.
    pub(crate) async fn probe(&self, login: &Login, cx: &Invocation) -> Result<()> {
        let Some(query) = &self.probe else { return Ok(()) };
        let named = |error: Error| error.while_doing(format!("PROBE_QUERY as {}", login.account()));
        let attempt = self.log_in(login, cx).await.map_err(named)?;
        let accepted = attempt.accepted(ErrorKind::Rejected, "the login was refused");
        let mut at = accepted.map_err(named)?;
        let left = cx.deadline().remaining().saturating_sub(REPORT_TIME);
        let limit = left.min(PROBE_TIME);
        let asked = self.server.ask_probe(&mut at, query, limit);
        // The server's own limit ends first, where it has one.
        let asked = tokio::time::timeout(limit + PROBE_GRACE, asked).await;
        let asked = asked.unwrap_or_else(|_| Err(too_slow(limit)));
        self.abandon(&mut at).await;
        self.close(at).await;
        asked.map_err(named)
    }
}

fn too_slow(limit: Duration) -> Error {
    let why = if limit < PROBE_TIME { "all that the function's time left" } else { "its limit" };
    let what = format!("no answer in {:.1} s, {why}; make it cheaper", limit.as_secs_f64());
    Error::new(ErrorKind::OutOfTime, what)
}

impl<S: DualPasswords> Driver<S> {
    /// As [`preflight`](Self::preflight), of a change that retains the old password.
    pub(crate) async fn preflight_two(
        &self,
        mut at: LoggedIn<'_, S::Session>,
    ) -> Result<Vec<Finding>> {
        match self.server.preflight_two(&mut at).await {
            Ok(mut findings) => {
                findings.extend(self.preflight(at, None).await?);
                Ok(findings)
            }
            Err(error) => {
                self.close(at).await;
                Err(error)
            }
        }
    }
}
