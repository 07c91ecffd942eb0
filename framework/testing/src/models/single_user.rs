//! One user with one password, and the single-user strategy over it.

use std::sync::Arc;

use async_trait::async_trait;
use fourstep::users::{Driver, SingleUser};
use fourstep::{PasswordPolicy, Rotator, Secret};
use serde_json::json;

use super::{Account, ModelDatabase, Server};
use crate::{Overlap, Remote, Testbed, Wire};

/// A server whose users have one password each, and the single-user strategy over it.
///
/// ```
/// use fourstep_testing::models::SinglePassword;
/// use fourstep_testing::{Effort, sweep};
///
/// sweep(&SinglePassword, Effort::Short).assert_safe();
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct SinglePassword;

#[async_trait]
impl Testbed for SinglePassword {
    fn overlap(&self) -> Overlap {
        Overlap::None
    }

    async fn fresh(&self, wire: &Wire) -> Box<dyn Remote> {
        Box::new(OneUser::new(wire, "app", "first-password"))
    }

    async fn named(&self, wire: &Wire, user: &str, password: &str) -> Option<Box<dyn Remote>> {
        Some(Box::new(OneUser::new(wire, user, password)))
    }
}

/// The same at a server that has neither locks nor a change that compares, as MongoDB.
#[derive(Debug, Clone, Copy, Default)]
pub struct WithoutLocks;

#[async_trait]
impl Testbed for WithoutLocks {
    fn overlap(&self) -> Overlap {
        Overlap::None
    }

    async fn fresh(&self, wire: &Wire) -> Box<dyn Remote> {
        Box::new(OneUser { locks: false, ..OneUser::new(wire, "app", "first-password") })
    }
}

/// One user of a [`Server`] of its own.
pub struct OneUser {
    locks: bool,
    server: Server,
    user: String,
    password: String,
}

impl OneUser {
    /// A server with this one user.
    pub fn new(wire: &Wire, user: &str, password: &str) -> Self {
        let accounts = [(user.to_owned(), Account::with_password(password))].into();
        let server = Server::new(wire, accounts);
        Self { locks: true, server, user: user.to_owned(), password: password.to_owned() }
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }
}

#[async_trait]
impl Remote for OneUser {
    fn rotator(&self) -> Box<dyn Rotator> {
        let database = match self.locks {
            true => ModelDatabase::new(&self.server, 8),
            false => ModelDatabase::without_locks(&self.server),
        };
        let database = Arc::new(Driver::new(database));
        Box::new(SingleUser::new(database, PasswordPolicy::default()))
    }

    fn applies_late(&self) -> bool {
        !self.locks
    }

    fn secret(&self) -> String {
        let Self { user, password, .. } = self;
        json!({ "engine": "model", "host": "model", "username": user, "password": password })
            .to_string()
    }

    async fn accepts(&self, secret: &Secret) -> bool {
        accepts(&self.server, secret)
    }

    fn hour_passes(&self) {
        self.server.hour_passes();
    }

    fn remember(&self) {
        self.server.remember();
    }

    fn forget(&self) -> bool {
        self.server.forget();
        true
    }
}

/// Whether the user and password of this document log in, past the wire.
pub(super) fn accepts(server: &Server, secret: &Secret) -> bool {
    let Ok(document) = secret.document() else { return false };
    match (document.required("username"), document.required("password")) {
        (Ok(user), Ok(password)) => server.accepts(user, password),
        _ => false,
    }
}
