//! Strategies for targets that have users with passwords, over the small [`Database`] trait.

mod login;
mod single_user;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::error::Error;
use crate::rotator::{Fence, Finding};
use crate::turn::Turn;

pub use login::{Dialect, Login, SslMode};
pub use single_user::SingleUser;

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
    /// ([`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported)).
    async fn log_in(&self, login: &Login, turn: &Turn) -> Result<Attempt<Self::Session>, Error>;

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
        fence: &Fence<'_>,
        turn: &Turn,
    ) -> Result<Change, Error>;

    /// Finds what would make a change of the session user's own password fail.
    async fn preflight(
        &self,
        session: Self::Session,
        login: &Login,
        turn: &Turn,
    ) -> Result<Vec<Finding>, Error>;
}

/// How a change of password ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The password is changed.
    Made,
    /// The server refused this very password, by its policy or its history, and changed nothing.
    /// The error is [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) and says what to
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
