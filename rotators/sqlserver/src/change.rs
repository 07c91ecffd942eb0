//! The change of a password: behind a lock, the fence, and a comparison with the password that logged in.
//!
//! A failed statement changes nothing, and one that succeeded stands by itself: there is nothing to commit.

use std::time::Duration;

use fourstep::users::{Change, Login};
use fourstep::{Error, ErrorKind, ExposeSecret, Fence, Invocation, Result, SecretString};

use crate::Sqlserver;
use crate::errors::{self, PASSWORD, UNCHANGED};
use crate::session::{Failure, Session};
use crate::sql::{LONGEST_PASSWORD, Statement};
use crate::wire;

/// A change of one password, made ready.
pub struct Prepared {
    /// The name of the account's lock.
    pub(crate) lock: Option<String>,
    pub(crate) how: How,
}

/// How it is made.
pub(crate) enum How {
    /// By a statement of the user itself, or of an admin's.
    Statement { statement: Statement, own: bool },
    /// In a login, because the password has expired.
    AtLogin(SecretString),
    /// Not at all: no password of this server is that long.
    TooLong,
}

impl Prepared {
    /// The change of the session's own password.
    ///
    /// # Errors
    /// Those of [`Statement::set_password`]; of a database that takes no change.
    pub(crate) fn own(session: &Session, password: &SecretString) -> Result<Self> {
        if too_long(password) {
            return Ok(Self { lock: None, how: How::TooLong });
        }
        let Ok(identity) = session.identity() else {
            return Ok(Self { lock: None, how: How::AtLogin(password.clone()) });
        };
        identity.obstacle().map_or(Ok(()), Err)?;
        let opened_with = Some(&session.login.password);
        let statement = Statement::set_password(&identity.account, password, opened_with)?;
        let how = How::Statement { statement, own: true };
        Ok(Self { lock: Some(identity.account.lock()), how })
    }
}

/// Whether a password is longer than the server takes.
pub(crate) fn too_long(password: &SecretString) -> bool {
    password.expose_secret().encode_utf16().count() > LONGEST_PASSWORD
}

pub(crate) fn refused_length() -> Change {
    let what = format!(
        "the new password has more than {LONGEST_PASSWORD} characters, the most that SQL Server takes; \
         nothing was changed"
    );
    Change::Refused(Error::new(ErrorKind::Unsupported, what))
}

/// The error of a lock that was not taken, with the number that sp_getapplock returned.
pub(crate) fn held(returned: Option<&str>) -> Error {
    let number: i32 = returned.and_then(|number| number.parse().ok()).unwrap_or_default();
    let what = "another rotation of this account holds the lock; nothing was changed, retry";
    let why = format!("sp_getapplock returned {number}");
    Error::new(ErrorKind::Conflict, what).caused_by(why)
}

impl Sqlserver {
    /// Logs in with a password that has expired, and has it changed by that.
    pub(crate) async fn at_login(
        &self,
        login: &Login,
        password: &SecretString,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Change> {
        let connect = |transport| self.connect(login, transport, cx);
        let connected = login.ssl.connect(self.transport, cx, connect).await;
        let mut channel = connected.map_err(|error| error.caused_by(UNCHANGED))?;
        // The connection took its time.
        fence.pass().await?;
        let what = "the change of the password";
        let sent = wire::log_in(&mut channel, login, Some(password));
        let sent = cx.deadline().bound(what, Duration::MAX, sent).await;
        match sent.map_err(Failure::Lost).flatten() {
            // Nothing waits for the end of this session, which has no lock.
            Ok(()) => Ok(Change::Made),
            Err(failure) => failure.of_change(PASSWORD).decided(errors::of_change_at_login),
        }
    }
}

/// Sends the statement that changes a password: the only place that does.
pub(crate) async fn exchange(
    session: &mut Session,
    statement: &Statement,
    own: bool,
    cx: &Invocation,
) -> Result<Change> {
    match session.run("the change of the password", statement.expose(), cx).await {
        Ok(_) => Ok(Change::Made),
        Err(failure) => {
            failure.of_change(PASSWORD).decided(|refusal| errors::of_change(refusal, own))
        }
    }
}
