//! What a backend adds whose users can have two passwords.

use async_trait::async_trait;

use super::Database;
use crate::error::Result;
use crate::rotator::{Fence, Finding};
use crate::users::{LoggedIn, NewPrimary, Swap};

/// A server whose users can have two passwords: the *primary* one and, beside it, one that was
/// *retained* when the primary one was changed. Both log in. For the strategy dual-password.
#[async_trait]
pub trait DualPasswords: Database {
    /// Prepares a session for changes of its user's password: refuses a server or an account that
    /// cannot have two, sets limits by the invocation's deadline, and takes the account's lock, which the
    /// end of the session gives back.
    ///
    /// # Errors
    /// Nothing was changed.
    async fn begin_two(&self, at: &mut LoggedIn<'_, Self::Session>) -> Result<()>;

    /// Passes `fence` and changes the password of the session's user.
    ///
    /// # Errors
    /// With any error but a lost connection nothing was changed.
    async fn set_primary(
        &self,
        at: &mut LoggedIn<'_, Self::Session>,
        new: &NewPrimary<'_>,
        fence: &dyn Fence,
    ) -> Result<Swap>;

    /// What keeps this user from having two passwords.
    async fn preflight_two(&self, at: &mut LoggedIn<'_, Self::Session>) -> Result<Vec<Finding>>;
}
