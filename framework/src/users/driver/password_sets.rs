//! What a backend adds whose users may have any number of passwords.

use async_trait::async_trait;
use secrecy::SecretString;

use super::traits::Administered;
use crate::error::Error;
use crate::invocation::Invocation;
use crate::users::{AdminSession, Login};

/// A server whose users may have any number of passwords, each of which logs in: for the strategies
/// dual-password and single-user-by-admin there. What [`Administered::prepare_reset`] makes ready *adds*
/// the password and takes none away; twice is as once.
#[async_trait]
pub trait PasswordSets: Administered {
    /// Makes ready to take these away from `user`, those of them that it has. [`Database::set`](super::Database::set) changes
    /// nothing where one of them is gone by then. None, and nothing is to be taken away, where the
    /// password of `user` itself is not among those that it has.
    ///
    /// # Errors
    /// Nothing was changed.
    async fn prepare_removal(
        &self,
        admin: &mut AdminSession<Self::Session>,
        user: &Login,
        passwords: &[SecretString],
        cx: &Invocation,
    ) -> Result<Option<Self::Prepared>, Error>;
}
