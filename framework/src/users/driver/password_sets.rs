//! What a backend adds whose users may have any number of passwords, at one server or at several.

use async_trait::async_trait;
use secrecy::SecretString;

use super::traits::Administered;
use crate::error::Result;
use crate::users::{LoggedIn, Login};

/// A server whose users may have any number of passwords, each of which logs in: for the strategies
/// dual-password and single-user-by-admin there. What [`Administered::prepare_reset`] makes ready *adds*
/// the password and takes none away; twice is as once.
///
/// Each method is about one server. Where several have the same users, each by itself, the driver finds
/// them by [`peers`](Self::peers), and has everything added at all of them before anything is taken away.
#[async_trait]
pub trait PasswordSets: Administered {
    /// What this server knows of the others whose users are changed with its own. The default knows of
    /// none.
    ///
    /// # Errors
    /// A server of which it is not known whether there are others.
    async fn peers(&self, _admin: &mut LoggedIn<'_, Self::Session>) -> Result<Peers> {
        Ok(Peers::default())
    }

    /// Whether the password of `user` is among those that it has. False where there is no such user.
    async fn has(&self, admin: &mut LoggedIn<'_, Self::Session>, user: &Login) -> Result<bool>;

    /// Makes ready to take these away from `user`, those of them that it has. [`Database::set`](super::Database::set) changes
    /// nothing where one of them is gone by then. None, and nothing is to be taken away, where the
    /// password of `user` itself is not among those that it has.
    ///
    /// # Errors
    /// Nothing was changed.
    async fn prepare_removal(
        &self,
        admin: &mut LoggedIn<'_, Self::Session>,
        user: &Login,
        passwords: &[SecretString],
    ) -> Result<Option<Self::Prepared>>;
}

/// A server, and the others of which it knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peers {
    /// What the server calls itself, so that it is known under another address; empty where it has no such
    /// name.
    pub id: String,
    /// The others.
    pub others: Vec<Peer>,
}

/// A server of which another one has told. That is no reason to trust it: an admin logs in there only
/// where the address is private, below the secret's host, or listed in `SAME_DATABASE_HOSTS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// What it calls itself, where the one that told knows that; else empty.
    pub id: String,
    /// A name or an address.
    pub host: String,
    /// Where it listens, for connections such as the one on which this was told.
    pub port: u16,
    /// Whether the one that told follows it, as a replica follows its primary. Such a peer is gone to only
    /// from the server that the secret names and those that it follows: the others were told of by it.
    pub leads: bool,
}
