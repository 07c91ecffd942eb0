//! Strategies for targets that have users with passwords, over the small [`Database`] trait and, where
//! an admin is needed, [`Administered`] and [`Alternates`].

mod admin;
mod alternating;
mod by_admin;
mod common;
pub mod driver;
mod dual_password;
mod fields;
mod install;
mod login;
mod mark;
mod pair;
mod single_user;
mod ssl;
mod strategies;
mod tries;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::error::{Error, ErrorKind};
use crate::rotator::{Fence, Finding};
use crate::turn::Turn;

pub use alternating::Alternating;
pub use by_admin::ByAdmin;
pub use driver::{
    Assessment, Directory, Driver, End, OpenSessions, Pairs, Part, Server, Step, TwoPasswords,
};
pub use dual_password::{DualPassword, DualPasswords, NewPrimary, Swap};
pub use install::{Install, Proof};
pub use login::{Dialect, Login};
pub use mark::Mark;
#[cfg(test)]
pub(crate) use pair::PairSettings;
pub use pair::{Account, Accounts, Pair, Standing};
pub use single_user::SingleUser;
pub use ssl::SslMode;
pub use strategies::{Strategies, Strategy};

/// A target that has users who log in with a password.
///
/// The strategies decide which credential is tried when; an implementation connects, asks and
/// changes, and classifies what went wrong.
#[async_trait]
pub trait Database: Send + Sync {
    /// An open session of one user. Dropping it closes the connection.
    type Session: Send;

    /// How this database reads a secret document.
    fn dialect(&self) -> &Dialect;

    /// Opens a session. One call is at most one login at the server.
    ///
    /// [`Attempt::Refused`] only for a wrong password; a name, network, TLS or permission failure
    /// is an error, and so is a login for which the server did not check the password
    /// ([`ErrorKind::Unsupported`]).
    async fn log_in(&self, login: &Login, turn: &Turn) -> Result<Attempt<Self::Session>, Error>;

    /// Closes a session, so that its locks are free before the step ends. The default drops it.
    async fn close(&self, session: Self::Session, _turn: &Turn) {
        drop(session);
    }

    /// Sets the password of the very user that is logged in. Takes the account's lock, passes
    /// `fence`, changes. Running twice with the same password has the effect of once.
    ///
    /// # Errors
    /// With any error but a lost connection nothing was changed. That the server refuses this very
    /// password is no error but [`Change::Refused`].
    async fn change_own_password(
        &self,
        session: Self::Session,
        login: &Login,
        password: &SecretString,
        fence: &dyn Fence,
        turn: &Turn,
    ) -> Result<Change, Error>;

    /// Finds what would make a change of the session user's own password fail.
    async fn preflight(
        &self,
        session: Self::Session,
        login: &Login,
        turn: &Turn,
    ) -> Result<Vec<Finding>, Error>;

    /// Asks as this user what the function's owner wants asked before the user is promoted
    /// (`PROBE_QUERY`). The default asks nothing and does not log in.
    ///
    /// # Errors
    /// Whatever kept the question from being answered.
    async fn probe(&self, _login: &Login, _turn: &Turn) -> Result<(), Error> {
        Ok(())
    }
}

/// An open session of an admin's. One serves a whole step.
#[derive(Debug)]
pub struct AdminSession<Session> {
    /// What opened it.
    pub login: Login,
    /// The session.
    pub session: Session,
}

/// A database in which an admin can set another user's password.
///
/// `admin` is a session by a login that was proven to be of the same database as the user's.
#[async_trait]
pub trait Administered: Database {
    /// Opens a session of the admin's.
    ///
    /// # Errors
    /// Those of [`Database::log_in`], and [`ErrorKind::Rejected`] if
    /// the server refuses the admin's password.
    async fn log_in_as_admin(
        &self,
        admin: &Login,
        turn: &Turn,
    ) -> Result<AdminSession<Self::Session>, Error> {
        let attempt = self.log_in(admin, turn).await;
        match attempt.map_err(|error| error.while_doing("the admin"))? {
            Attempt::Accepted(session) => Ok(AdminSession { login: admin.clone(), session }),
            Attempt::Refused(why) => {
                let what = format!("the admin, {}, does not log in", admin.account());
                Err(Error::new(ErrorKind::Rejected, what).caused_by(why))
            }
        }
    }

    /// Sets the password of `target`'s user to `target`'s, in a session of the admin's. Takes the
    /// account's lock, refuses an account that is more than an application's (the admin itself, a
    /// superuser, one that may make roles), passes `fence`, changes. Running twice with the same
    /// password has the effect of once.
    ///
    /// # Errors
    /// As [`Database::change_own_password`].
    async fn reset_password(
        &self,
        admin: &mut AdminSession<Self::Session>,
        target: &Login,
        fence: &dyn Fence,
        turn: &Turn,
    ) -> Result<Change, Error>;

    /// Finds everything that would make [`reset_password`](Self::reset_password) fail.
    async fn preflight_reset(
        &self,
        admin: &mut AdminSession<Self::Session>,
        target: &Login,
        turn: &Turn,
    ) -> Result<Vec<Finding>, Error>;
}

/// A database in which an admin keeps two users equal, so that one is always at rest.
#[async_trait]
pub trait Alternates: Administered {
    /// Refuses a user name that the server would refuse or cut off.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`], naming the limit and the way
    /// out.
    fn check_username(&self, username: &str) -> Result<(), Error>;

    /// What the server knows of these users, and of every user whose mark names this secret.
    async fn accounts(
        &self,
        admin: &mut AdminSession<Self::Session>,
        usernames: &[&str],
        secret: &str,
        turn: &Turn,
    ) -> Result<Accounts, Error>;

    /// Makes the target as the source is, then gives it its password and lets it in: whoever can
    /// log in can also work. Takes the lock, asks [`Install::judge`] about what it finds behind it,
    /// passes `fence`, and only then changes; creates the target if it is absent, marked and
    /// unable to log in; grants before it revokes. Every part may run twice.
    ///
    /// # Errors
    /// With any error the target cannot log in with `password` unless it is as the source is.
    async fn install(
        &self,
        admin: &mut AdminSession<Self::Session>,
        install: &Install<'_>,
        password: &SecretString,
        fence: &dyn Fence,
        turn: &Turn,
    ) -> Result<Change, Error>;

    /// What `pending`, which was just installed, may do or is set to differently from `partner`, the
    /// other user of the pair: one line for each difference.
    async fn differences(
        &self,
        admin: &Login,
        pending: &Login,
        partner: &str,
        turn: &Turn,
    ) -> Result<Vec<String>, Error>;

    /// Finds everything that would make [`install`](Self::install) fail.
    async fn preflight_install(
        &self,
        admin: &mut AdminSession<Self::Session>,
        install: &Install<'_>,
        turn: &Turn,
    ) -> Result<Vec<Finding>, Error>;

    /// The statements of [`install`](Self::install), without the password's, and what an operator
    /// should run before it.
    async fn plan_install(
        &self,
        admin: &mut AdminSession<Self::Session>,
        install: &Install<'_>,
        turn: &Turn,
    ) -> Result<Vec<String>, Error>;
}

/// How a change of password ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The password is changed.
    Made,
    /// The server refused this very password, by its policy or its history, and changed nothing.
    /// The error is [`ErrorKind::Unsupported`] and says what to
    /// look at.
    Refused(Error),
}

/// How a login ended.
#[derive(Debug)]
pub enum Attempt<Session> {
    /// The server checked the password and opened a session.
    Accepted(Session),
    /// The server refused the password; its reason, without the password.
    Refused(String),
}
