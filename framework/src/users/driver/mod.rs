//! What a change of a password consists of on every server, done once: open, make ready, lock, ask
//! again, pass the fence, change, end, close, and name the error.
//!
//! A backend writes the traits of [`server`]; [`Driver`] makes of them what the strategies ask for.

mod assessment;
mod pair;
mod server;

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::config::Environment;
use crate::error::{Error, ErrorKind};
use crate::net::within;
use crate::rotator::{Fence, Finding};
use crate::turn::Turn;
use crate::users::{
    AdminSession, Administered, Attempt, Change, Database, Dialect, DualPasswords, Login,
    NewPrimary, Swap,
};

pub use assessment::{Assessment, OpenSessions, Part, Step, lacks_rights, listed};
pub use server::{Directory, End, Pairs, Server, TwoPasswords};

/// The most that one login may take, from the look-up of the name to the open session.
const LOGIN_TIME: Duration = Duration::from_secs(10);

/// How long the end of a session may hold up a step.
const CLOSING_TIME: Duration = Duration::from_secs(1);

/// How long what is rolled back may hold up a step. The end of the connection has the same effect.
const ABANDON_TIME: Duration = Duration::from_secs(1);

/// The most that `PROBE_QUERY` may take, if the deadline leaves more.
const PROBE_TIME: Duration = Duration::from_secs(10);

/// How much longer than its limit the question is waited for.
const PROBE_GRACE: Duration = Duration::from_millis(500);

/// What is kept of the deadline for the report of what the question met.
const REPORT_TIME: Duration = Duration::from_secs(1);

/// What is not known where the answer to the last statement is lost.
pub(super) const PASSWORD_UNKNOWN: End =
    End::Commit { unknown: "the password may or may not have been changed" };

/// What the strategies ask of a database, for every [`Server`].
#[derive(Debug)]
pub struct Driver<S> {
    server: S,
    probe: Option<String>,
}

impl<S: Server> Driver<S> {
    /// Drives this server. Reads `PROBE_QUERY`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub fn read(environment: &Environment, server: S) -> Result<Self, Error> {
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
/// Those of [`Server::log_in`].
pub async fn log_in<S: Server>(
    server: &S,
    login: &Login,
    turn: &Turn,
) -> Result<Attempt<S::Session>, Error> {
    let attempt = within(turn, "the login", LOGIN_TIME, server.log_in(login, turn)).await.flatten();
    if let Ok(Attempt::Refused(_)) = attempt {
        turn.count_rejected_login();
    }
    attempt.map_err(|error| error.while_doing(format!("cannot log in as {}", login.account())))
}

/// Opens a session of an admin's.
///
/// # Errors
/// [`ErrorKind::Rejected`] where its password is refused, those of a login, and those of a server
/// on which nothing can be changed.
pub async fn open_admin<S: Directory>(
    server: &S,
    admin: &Login,
    turn: &Turn,
) -> Result<AdminSession<S::Session>, Error> {
    let mut admin = admin.clone();
    if !S::ADMIN_ENTERS_DATABASE {
        admin.dbname = None;
    }
    let mut session = match log_in(server, &admin, turn).await {
        Ok(Attempt::Accepted(session)) => session,
        Ok(Attempt::Refused(why)) => {
            let what = format!("the admin, {}, does not log in", admin.account());
            return Err(Error::new(ErrorKind::Rejected, what).caused_by(why));
        }
        Err(error) => return Err(error.while_doing("the admin")),
    };
    match server.prepare_admin(&mut session, &admin, turn).await {
        Ok(()) => Ok(AdminSession { login: admin, session }),
        Err(error) => {
            close(server, session, turn).await;
            Err(error.while_doing(format!("the admin, {}", admin.account())))
        }
    }
}

/// Closes a session, so that its locks are free before the step ends. The step's outcome does not
/// depend on it.
pub async fn close<S: Server>(server: &S, session: S::Session, turn: &Turn) {
    // Where no time is left, what remains belongs to the report: dropping it closes it too.
    if !turn.deadline().remaining().is_zero() {
        let closing = server.close(session);
        let _ = turn.deadline().bound("the end of the session", CLOSING_TIME, closing).await;
    }
}

impl<S: Server> Driver<S> {
    /// Ends what was begun: by a commit where the change was made, otherwise by giving it up.
    async fn end<T>(
        &self,
        session: &mut S::Session,
        made: Result<T, Error>,
        (commit, stays): (End, impl FnOnce(&T) -> bool),
        turn: &Turn,
    ) -> Result<T, Error> {
        if made.as_ref().is_ok_and(stays) {
            return self.server.end(session, commit, turn).await.and(made);
        }
        self.abandon(session, turn).await;
        made
    }

    /// Gives up what was begun, so that locks are free before an error is reported.
    async fn abandon(&self, session: &mut S::Session, turn: &Turn) {
        if !turn.deadline().remaining().is_zero() {
            let end = self.server.end(session, End::Abandon, turn);
            let _ = tokio::time::timeout(ABANDON_TIME, end).await;
        }
    }

    async fn change_own(
        &self,
        session: &mut S::Session,
        login: &Login,
        password: &SecretString,
        fence: &dyn Fence,
        turn: &Turn,
    ) -> Result<Change, Error> {
        let prepared = self.server.prepare_own(session, login, password, turn).await?;
        let made = async {
            self.server.begin(session, &self.server.locks(&prepared), turn).await?;
            fence.pass().await?;
            self.server.set(session, &prepared, fence, turn).await
        }
        .await;
        self.end(session, made, (PASSWORD_UNKNOWN, is_made), turn).await
    }
}

fn too_slow(limit: Duration) -> Error {
    let why = if limit < PROBE_TIME { "all that the function's time left" } else { "its limit" };
    let what = format!("no answer in {:.1} s, {why}; make it cheaper", limit.as_secs_f64());
    Error::new(ErrorKind::OutOfTime, what)
}

fn is_made(change: &Change) -> bool {
    *change == Change::Made
}

/// Says what was under way, of an error and of a refusal.
fn named(outcome: Result<Change, Error>, what: &str) -> Result<Change, Error> {
    match outcome {
        Ok(Change::Refused(why)) => Ok(Change::Refused(why.while_doing(what))),
        outcome => outcome.map_err(|error| error.while_doing(what)),
    }
}

#[async_trait]
impl<S: Server> Database for Driver<S> {
    type Session = S::Session;

    fn dialect(&self) -> &Dialect {
        self.server.dialect()
    }

    async fn log_in(&self, login: &Login, turn: &Turn) -> Result<Attempt<S::Session>, Error> {
        log_in(&self.server, login, turn).await
    }

    async fn close(&self, session: S::Session, turn: &Turn) {
        close(&self.server, session, turn).await;
    }

    async fn change_own_password(
        &self,
        mut session: S::Session,
        login: &Login,
        password: &SecretString,
        fence: &dyn Fence,
        turn: &Turn,
    ) -> Result<Change, Error> {
        let outcome = self.change_own(&mut session, login, password, fence, turn).await;
        self.close(session, turn).await;
        named(outcome, &format!("cannot change the password of {}", login.account()))
    }

    async fn preflight(
        &self,
        mut session: S::Session,
        login: &Login,
        turn: &Turn,
    ) -> Result<Vec<Finding>, Error> {
        let found = self.server.preflight(&mut session, login, turn).await;
        self.close(session, turn).await;
        found.map_err(|error| error.while_doing(format!("cannot look at {}", login.account())))
    }

    /// The user's own settings hold: this is what an application would meet.
    async fn probe(&self, login: &Login, turn: &Turn) -> Result<(), Error> {
        let Some(query) = &self.probe else { return Ok(()) };
        let named = |error: Error| error.while_doing(format!("PROBE_QUERY as {}", login.account()));
        match self.log_in(login, turn).await.map_err(named)? {
            Attempt::Accepted(mut session) => {
                let left = turn.deadline().remaining().saturating_sub(REPORT_TIME);
                let limit = left.min(PROBE_TIME);
                let asked = self.server.ask_probe(&mut session, query, limit, turn);
                // The server's own limit ends first, where it has one.
                let asked = tokio::time::timeout(limit + PROBE_GRACE, asked).await;
                let asked = asked.unwrap_or_else(|_| Err(too_slow(limit)));
                self.abandon(&mut session, turn).await;
                self.close(session, turn).await;
                asked.map_err(named)
            }
            Attempt::Refused(why) => {
                Err(named(Error::new(ErrorKind::Rejected, "the login was refused").caused_by(why)))
            }
        }
    }
}

#[async_trait]
impl<S: Directory> Administered for Driver<S> {
    async fn log_in_as_admin(
        &self,
        admin: &Login,
        turn: &Turn,
    ) -> Result<AdminSession<S::Session>, Error> {
        open_admin(&self.server, admin, turn).await
    }

    async fn reset_password(
        &self,
        admin: &mut AdminSession<S::Session>,
        target: &Login,
        fence: &dyn Fence,
        turn: &Turn,
    ) -> Result<Change, Error> {
        let server = &self.server;
        let outcome = async {
            let prepared = server.prepare_reset(admin, target, turn).await?;
            let made = async {
                server.begin(&mut admin.session, &server.locks(&prepared), turn).await?;
                let objections = server.objections(admin, &target.username, turn).await?;
                objections.into_iter().next().map_or(Ok(()), Err)?;
                fence.pass().await?;
                server.set(&mut admin.session, &prepared, fence, turn).await
            }
            .await;
            self.end(&mut admin.session, made, (PASSWORD_UNKNOWN, is_made), turn).await
        }
        .await;
        named(outcome, &format!("cannot set the password of {}", target.account()))
    }

    async fn preflight_reset(
        &self,
        admin: &mut AdminSession<S::Session>,
        target: &Login,
        turn: &Turn,
    ) -> Result<Vec<Finding>, Error> {
        let server = &self.server;
        let found = async {
            let mut findings = Vec::new();
            let prepared = server.prepare_reset(admin, target, turn).await;
            findings.extend(prepared.err().map(Finding::Fails));
            server.begin(&mut admin.session, &[], turn).await?;
            let objections = server.objections(admin, &target.username, turn).await?;
            findings.extend(objections.into_iter().map(Finding::Fails));
            findings.extend(server.remarks(admin, &target.username, None, turn).await?);
            Ok(findings)
        }
        .await;
        self.abandon(&mut admin.session, turn).await;
        found
    }
}

#[async_trait]
impl<S: TwoPasswords> DualPasswords for Driver<S> {
    async fn begin(
        &self,
        session: &mut S::Session,
        login: &Login,
        turn: &Turn,
    ) -> Result<(), Error> {
        self.server.begin_two(session, login, turn).await
    }

    async fn set_primary(
        &self,
        session: &mut S::Session,
        new: &NewPrimary<'_>,
        fence: &dyn Fence,
        turn: &Turn,
    ) -> Result<Swap, Error> {
        self.server.set_primary(session, new, fence, turn).await
    }

    async fn preflight_dual(
        &self,
        mut session: S::Session,
        login: &Login,
        turn: &Turn,
    ) -> Result<Vec<Finding>, Error> {
        let found = self.server.preflight_two(&mut session, turn).await;
        match found {
            Ok(mut findings) => {
                findings.extend(self.preflight(session, login, turn).await?);
                Ok(findings)
            }
            Err(error) => {
                self.close(session, turn).await;
                Err(error)
            }
        }
    }
}
