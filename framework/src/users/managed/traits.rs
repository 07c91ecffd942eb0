//! What a rotation needs of a service that manages users: to look at one, to replace its passwords, to log in.

use std::fmt;
use std::ops::RangeInclusive;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::error::Result;
use crate::invocation::Invocation;
use crate::secret::Secret;
use crate::users::{Attempt, Change, Login};

/// A service that manages users by an API of its own, which is asynchronous and replaces all passwords of a user
/// whatever they are.
#[async_trait]
pub trait ManagedUsers: Send + Sync {
    /// How many characters a password may have.
    fn lengths(&self) -> RangeInclusive<usize>;

    /// The user that a secret names.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Malformed`], naming the field.
    fn read(&self, secret: &Secret) -> Result<ManagedUser>;

    /// The action that [`set_passwords`](Self::set_passwords) needs, for people.
    fn action(&self, user: &ManagedUser) -> String;

    /// The user as it stands.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] if there is no such user; those of the call.
    async fn describe(&self, user: &ManagedUser, cx: &Invocation) -> Result<UserState>;

    /// Takes all passwords of the user away and gives it these, one or two. The service answers before it has
    /// done so. The request must be sent once: whoever called passed the fence.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Conflict`] if the user is being changed; those of the call.
    async fn set_passwords(
        &self,
        user: &ManagedUser,
        passwords: &[SecretString],
        cx: &Invocation,
    ) -> Result<Change>;

    /// A login where the secret says; the session is closed.
    ///
    /// # Errors
    /// Everything but a refused password.
    async fn log_in(&self, login: &Login, cx: &Invocation) -> Result<Attempt<()>>;
}

/// What a secret says of its user.
#[derive(Clone)]
pub struct ManagedUser {
    /// Its ARN.
    pub arn: String,
    /// The name that it logs in by.
    pub name: String,
    /// Its password, if the secret holds one.
    pub password: Option<SecretString>,
    /// What logs in, where the secret names a host and a password.
    pub login: Option<Login>,
}

impl ManagedUser {
    /// The password of an older version, if that names the same user.
    pub(super) fn older(&self, other: Self) -> Option<SecretString> {
        ((&other.arn, &other.name) == (&self.arn, &self.name)).then_some(other.password)?
    }
}

impl fmt::Debug for ManagedUser {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ManagedUser({})", self.arn)
    }
}

/// A user, as the service shows it. It shows no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserState {
    /// Its ARN.
    pub arn: String,
    /// The name that it logs in by.
    pub name: String,
    /// Whether something is under way.
    pub status: UserStatus,
    /// How it logs in: `password`, or something else.
    pub authentication: String,
    /// How many passwords it has.
    pub passwords: i32,
    /// How many groups of users have it.
    pub groups: usize,
}

/// Whether something is under way with a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserStatus {
    /// Nothing is. Only such a user can be changed.
    Active,
    /// It is being deleted.
    Deleting,
    /// It is being changed.
    Changing,
}
