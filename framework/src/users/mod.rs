//! Strategies for targets that have users with passwords.
//!
//! A backend implements [`Database`] for its kind of server and, where that has such,
//! [`Administered`], [`Alternates`], [`DualPasswords`] and [`PasswordSets`]: the parts of a change.
//! [`Driver`] makes whole changes of them, and the strategies decide which credential is tried when.

mod admin;
mod alternating;
mod by_admin;
mod common;
mod copies;
pub mod driver;
mod dual_password;
mod fields;
mod install;
mod login;
mod login_attempts;
mod managed;
mod mark;
mod pair;
mod password_set;
mod proxy_secrets;
pub mod scram;
mod single_user;
mod ssl;
mod strategies;

use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;

pub use admin::SameHosts;
pub use alternating::Alternating;
pub use by_admin::ByAdmin;
pub use driver::{
    Administered, Alternates, Assessment, Database, Driver, DualPasswords, End, OpenSessions, Part,
    PasswordSets, Peer, Peers, Step,
};
pub use dual_password::{DualPassword, NewPrimary, Swap};
pub use install::{Install, Proof};
pub use login::{Dialect, Login};
pub use managed::{ManagedPasswords, ManagedUser, ManagedUsers, UserState, UserStatus};
pub use mark::Mark;
pub(crate) use pair::PairSettings;
pub use pair::{Account, Accounts, Ownership, Pair};
pub use password_set::PasswordSet;
pub use single_user::SingleUser;
pub use ssl::SslMode;
pub use strategies::{Strategies, Strategy};

/// A user who has logged in, in one invocation. One of an admin's serves a whole step.
#[derive(Debug)]
pub struct LoggedIn<'a, Session> {
    /// What opened the session. An admin's names the user's database, whether or not it was entered.
    pub login: Login,
    /// The open session.
    pub session: Session,
    /// What the session is used in: its deadline holds for each statement.
    pub cx: &'a Invocation,
}

/// How a change of password ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The password is changed.
    Made,
    /// The server refused this very password, by its policy or its history, and changed nothing.
    /// The error is [`ErrorKind::Unsupported`] and says what to look
    /// at.
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

impl<Session> Attempt<Session> {
    /// The session. Where the password was refused, the error of this kind, caused by the reason.
    ///
    /// # Errors
    /// That one.
    pub fn accepted(self, kind: ErrorKind, what: impl Into<String>) -> Result<Session> {
        match self {
            Self::Accepted(session) => Ok(session),
            Self::Refused(why) => Err(Error::new(kind, what).caused_by(why)),
        }
    }
}
