//! What a change of a password consists of on every server, done once: open, make ready, lock, ask
//! again, pass the fence, change, end, close, and name the error.
//!
//! A backend writes the traits of `traits.rs` and `alternates.rs`; the strategies call [`Driver`].

mod admin;
mod alternates;
mod assessment;
mod dual_passwords;
mod everywhere;
mod failure;
mod own;
mod pair;
mod password_sets;
mod places;
mod traits;

use std::time::Duration;

use crate::config::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::net::{LEAST_PATIENCE, within};
use crate::users::common::no_failure;
use crate::users::{Attempt, Change, LoggedIn, Login};

pub(crate) use admin::OWN_PASSWORD;
pub use admin::{never_changed, open_admin};
pub use alternates::Alternates;
pub(crate) use assessment::MOST_LISTED;
pub use assessment::{Assessment, OpenSessions, Part, Step, check_length, lacks_rights, listed};
pub use dual_passwords::DualPasswords;
pub(crate) use everywhere::Addition;
pub use failure::{Failure, Refusal, ServerMessage, answer, sqlstate, unknown};
pub use password_sets::{PasswordSets, Peer, Peers};
pub(crate) use places::Place;
pub use traits::{Administered, Database};

/// How long the end of a session may hold up a step, and how long what is rolled back in one: the end of
/// the connection has the same effect.
const CLOSING_TIME: Duration = Duration::from_secs(1);

/// How old a session may be when a change begins on it, where [`Database::age`] is said. A session that
/// was opened with a password goes on after that password was changed, so that an old one proves nothing
/// any more.
const OLDEST_SESSION: Duration = Duration::from_secs(2);

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// What was done stays.
    Commit {
        /// What is not known if the server's answer is lost, as a sentence without an end.
        unknown: &'static str,
    },
    /// What was done is undone, and the locks are given back. Nothing depends on its success: the end
    /// of the session has the same effect.
    Abandon,
}

/// What is not known where the answer to the last statement is lost.
const PASSWORD_UNKNOWN: End =
    End::Commit { unknown: "the password may or may not have been changed" };

/// What the strategies ask of a database, in terms of what a backend implements for its kind of
/// server.
#[derive(Debug)]
pub struct Driver<S> {
    server: S,
    probe: Option<String>,
}

impl<S: Database> Driver<S> {
    /// Drives this server, and asks nothing before a promotion.
    pub fn new(server: S) -> Self {
        Self { server, probe: None }
    }

    /// Drives this server. Reads `PROBE_QUERY`, and refuses what [`Database::NOT_HERE`] names.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub fn read(environment: &Environment, server: S) -> Result<Self> {
        for (name, why) in S::NOT_HERE {
            // A template sets what is for other functions to "" or "false".
            if environment.text(name)?.is_some_and(|set| !set.eq_ignore_ascii_case("false")) {
                let what =
                    format!("the environment variable {name} is not for this function: {why}");
                return Err(Error::new(ErrorKind::Malformed, what));
            }
        }
        let probe = environment.text("PROBE_QUERY")?.map(str::trim);
        Ok(Self { server, probe: probe.filter(|query| !query.is_empty()).map(str::to_owned) })
    }

    /// The server.
    pub fn server(&self) -> &S {
        &self.server
    }
}

/// Logs in once: bounded in time, counted and named.
///
/// # Errors
/// Those of [`Database::log_in`].
pub async fn log_in<'a, S: Database>(
    server: &S,
    login: &Login,
    cx: &'a Invocation,
) -> Result<Attempt<LoggedIn<'a, S::Session>>> {
    Ok(match bounded(server.log_in(login, cx), login, cx).await? {
        Attempt::Accepted(session) => {
            Attempt::Accepted(LoggedIn { login: login.clone(), session, cx })
        }
        Attempt::Refused(why) => {
            cx.count_rejected_login();
            Attempt::Refused(why)
        }
    })
}

/// Bounds a login in time, and names it in errors.
async fn bounded<T>(
    work: impl Future<Output = Result<T>>,
    login: &Login,
    cx: &Invocation,
) -> Result<T> {
    // A little more than any part of it may take, so that the part is named.
    let most = cx.deadline().remaining() * 7 / 10;
    let most = most.max(LEAST_PATIENCE + Duration::from_secs(1));
    let attempt = within(cx, "the login", most, work).await;
    let paused = "if the database was paused, a longer timeout of the function lets it resume";
    let attempt = attempt.map_err(|error| error.caused_by(paused)).flatten();
    attempt.map_err(|error| error.while_doing(format!("cannot log in as {}", login.account())))
}

/// Closes a session, so that its locks are free before the step ends. The step's outcome does not
/// depend on it.
pub async fn close<S: Database>(server: &S, at: LoggedIn<'_, S::Session>) {
    let deadline = at.cx.deadline();
    // Where no time is left, what remains belongs to the report: dropping it closes it too.
    if !deadline.remaining().is_zero() {
        let closing = server.close(at.session);
        let _ = deadline.bound("the end of the session", CLOSING_TIME, closing).await;
    }
}

fn is_old<S: Database>(server: &S, session: &S::Session) -> bool {
    server.age(session).is_some_and(|age| age > OLDEST_SESSION)
}

impl<S: Database> Driver<S> {
    /// Whether the proxy at this login's host lets the user in; why not, where it refuses the password. It
    /// is no login that the server refused, and is not counted as one.
    ///
    /// # Errors
    /// Those of [`Database::log_in_at_proxy`].
    pub(crate) async fn refused_by_proxy(
        &self,
        login: &Login,
        cx: &Invocation,
    ) -> Result<Option<String>> {
        match bounded(self.server.log_in_at_proxy(login, cx), login, cx).await? {
            Attempt::Accepted(session) => {
                self.close(LoggedIn { login: login.clone(), session, cx }).await;
                Ok(None)
            }
            Attempt::Refused(why) => Ok(Some(why)),
        }
    }

    /// Begins a change of the session user's own password, on a session that proves the present one.
    async fn begin_own(&self, at: &mut LoggedIn<'_, S::Session>, locks: &[String]) -> Result<()> {
        if is_old(&self.server, &at.session) {
            let what =
                "the password was changed by somebody else meanwhile; nothing was changed, retry";
            *at = self.log_in(&at.login, at.cx).await?.accepted(ErrorKind::Conflict, what)?;
        }
        self.server.begin(at, locks).await
    }

    /// Refuses a change that would be undone afterwards.
    pub(crate) async fn outlasts(&self, at: &mut LoggedIn<'_, S::Session>) -> Result<()> {
        no_failure(self.server.outlook(at).await?)
    }

    /// Ends what was begun: by a commit where the change was made, otherwise by giving it up.
    async fn end<T>(
        &self,
        at: &mut LoggedIn<'_, S::Session>,
        made: Result<T>,
        (commit, stays): (End, impl FnOnce(&T) -> bool),
    ) -> Result<T> {
        if made.as_ref().is_ok_and(stays) {
            return self.server.end(at, commit).await.and(made);
        }
        self.abandon(at).await;
        made
    }

    /// Gives up what was begun, so that locks are free before an error is reported.
    async fn abandon(&self, at: &mut LoggedIn<'_, S::Session>) {
        if !at.cx.deadline().remaining().is_zero() {
            let end = self.server.end(at, End::Abandon);
            let _ = tokio::time::timeout(CLOSING_TIME, end).await;
        }
    }
}

fn is_made(change: &Change) -> bool {
    *change == Change::Made
}

/// Says what was under way, of an error and of a refusal.
fn named(outcome: Result<Change>, what: &str) -> Result<Change> {
    match outcome {
        Ok(Change::Refused(why)) => Ok(Change::Refused(why.while_doing(what))),
        outcome => outcome.map_err(|error| error.while_doing(what)),
    }
}
