//! What an admin does to one user.

use std::fmt::Display;

use super::{Administered, Driver, PASSWORD_UNKNOWN, close, is_made, is_old, log_in, named};
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::rotator::{Fence, Finding};
use crate::users::{Change, LoggedIn, Login};

/// What is left to a user that no admin may change.
pub(crate) const OWN_PASSWORD: &str =
    "let it change its own password (ROTATION_STRATEGY=single-user)";

/// The error of an account that is more than an application's, for the reason `why`.
#[must_use]
pub fn never_changed(account: impl Display, why: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{account} is never changed by an admin"))
        .caused_by(format!("{why}; {OWN_PASSWORD}"))
}

/// Opens a session of an admin's.
///
/// # Errors
/// [`ErrorKind::Rejected`] where its password is refused, those of a login, and those of a server
/// on which nothing can be changed.
pub async fn open_admin<'a, S: Administered>(
    server: &S,
    admin: &Login,
    cx: &'a Invocation,
) -> Result<LoggedIn<'a, S::Session>> {
    let dbname = admin.dbname.clone().filter(|_| S::ADMIN_ENTERS_DATABASE);
    let entered = Login { dbname, ..admin.clone() };
    let what = format!("the admin, {}, does not log in", admin.account());
    let attempt =
        log_in(server, &entered, cx).await.map_err(|error| error.while_doing("the admin"));
    let accepted = attempt?.accepted(ErrorKind::Rejected, what)?;
    let mut opened = LoggedIn { login: admin.clone(), ..accepted };
    match server.prepare_admin(&mut opened).await {
        Ok(()) => Ok(opened),
        Err(error) => {
            close(server, opened).await;
            Err(error.while_doing(format!("the admin, {}", admin.account())))
        }
    }
}

impl<S: Administered> Driver<S> {
    /// Begins a change or a question, on a session that proves the admin's present password.
    pub(super) async fn begin(
        &self,
        admin: &mut LoggedIn<'_, S::Session>,
        locks: &[String],
    ) -> Result<()> {
        if is_old(&self.server, &admin.session) {
            *admin = open_admin(&self.server, &admin.login, admin.cx).await?;
        }
        self.server.begin(admin, locks).await
    }

    /// Sets the password of `target`'s user to `target`'s, behind the account's lock, all that
    /// speaks against it and `fence`. Twice with the same password has the effect of once. `proven` is what
    /// [`Administered::proven`] said of the session that proved the account.
    ///
    /// # Errors
    /// As [`Driver::change_own_password`].
    pub(crate) async fn reset_password(
        &self,
        admin: &mut LoggedIn<'_, S::Session>,
        (target, proven): (&Login, Option<&String>),
        fence: &dyn Fence,
    ) -> Result<Change> {
        let server = &self.server;
        let outcome = async {
            self.outlasts(admin).await?;
            let prepared = server.prepare_reset(admin, target).await?;
            if proven.is_some_and(|lock| !server.locks(&prepared).contains(lock)) {
                let what = "the user's name leads to another account by now than to the one that was proven";
                return Err(Error::new(ErrorKind::Conflict, what)
                    .caused_by("nothing was changed; look who made or dropped one of the two, then retry"));
            }
            let made = async {
                self.begin(admin, &server.locks(&prepared)).await?;
                let objections = server.objections(admin, &target.username).await?;
                objections.into_iter().next().map_or(Ok(()), Err)?;
                fence.pass().await?;
                server.set(admin, &prepared, fence).await
            }
            .await;
            self.end(admin, made, (PASSWORD_UNKNOWN, is_made)).await
        }
        .await;
        named(outcome, &format!("cannot set the password of {}", target.account()))
    }

    /// What an operator should know beside. That it cannot be asked stops no change.
    pub(super) async fn remarks(
        &self,
        admin: &mut LoggedIn<'_, S::Session>,
        user: &str,
        partner: Option<&str>,
    ) -> Vec<Finding> {
        let found = self.server.remarks(admin, user, partner).await;
        found.unwrap_or_else(|error| {
            vec![Finding::Warns(format!(
                "what else is to be known of user {user:?} was not looked for: {error}"
            ))]
        })
    }

    /// Finds everything that would make [`reset_password`](Self::reset_password) fail.
    pub(crate) async fn preflight_reset(
        &self,
        admin: &mut LoggedIn<'_, S::Session>,
        target: &Login,
    ) -> Result<Vec<Finding>> {
        let server = &self.server;
        let found = async {
            let mut findings = server.outlook(admin).await?;
            let prepared = server.prepare_reset(admin, target).await;
            findings.extend(prepared.err().map(Finding::Fails));
            self.begin(admin, &[]).await?;
            let objections = server.objections(admin, &target.username).await?;
            findings.extend(objections.into_iter().map(Finding::Fails));
            findings.extend(self.remarks(admin, &target.username, None).await);
            Ok(findings)
        }
        .await;
        self.abandon(admin).await;
        found
    }
}
