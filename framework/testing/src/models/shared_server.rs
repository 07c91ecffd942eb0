//! A server that an application shares with others: it has an admin, strangers, and rights.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use fourstep::{Rotator, Secret};
use serde_json::json;

use super::single_user::accepts;
use super::{Account, Accounts, Grant, Server};
use crate::{Effort, Overlap, Remote, Testbed, Wire};

/// The application's user, which the secret names at first.
const USER: &str = "app";
const PASSWORD: &str = "first-password";

/// A server where an admin makes accounts and resets their passwords. The secret is that of the
/// user `app`; every other account that is there at first is somebody else's. Its field `masterarn`
/// names a second secret, the admin's.
///
/// At every moment the strangers' accounts and the admin's are as they were, and whoever of the
/// application's users can log in has the rights that the application needs. After a rotation all
/// of them have the same rights, those that somebody granted or revoked meanwhile included.
///
/// ```
/// use fourstep_testing::models::{Server, SharedServer};
/// use fourstep_testing::{Effort, Overlap, sweep};
/// use fourstep::Rotator;
///
/// fn assert_safe(rotator: fn(&Server) -> Box<dyn Rotator>) {
///     let testbed = SharedServer::new(Overlap::Full, rotator);
///     sweep(&testbed, Effort::Short).assert_safe();
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct SharedServer<F> {
    overlap: Overlap,
    rotator: F,
    applies_late: bool,
}

impl SharedServer<()> {
    /// The databases in which the application's user has rights.
    pub const DATABASES: [&str; 2] = ["orders", "reports"];
    /// The user that may do everything.
    pub const ADMIN: &str = "admin";
    /// The admin's password.
    pub const ADMIN_PASSWORD: &str = "of the admin";

    /// The secret that holds the admin's login, and that `masterarn` names.
    pub const ADMIN_SECRET: &str = "admin";

    /// A server in its first state: the application's user, its admin, and strangers.
    pub fn server(wire: &Wire) -> Server {
        let mut admin = Account::with_password(Self::ADMIN_PASSWORD);
        admin.rights.superuser = true;
        let mut deputy = Account::with_password("of the deputy");
        deputy.rights.creates_roles = true;
        let legacy = Grant::new("orders", "write");
        let app = Account::with_password(PASSWORD).with_grants(needed()).with_grants([legacy]);
        let stranger = Account::with_password("of somebody").with_grants(needed());
        let accounts =
            [(Self::ADMIN, admin), ("deputy", deputy), (USER, app), ("somebody", stranger)];
        Server::new(wire, accounts.map(|(name, account)| (name.to_owned(), account)).into())
    }
}

/// What the application cannot do without: a right in each database.
fn needed() -> BTreeSet<Grant> {
    SharedServer::DATABASES.iter().map(|database| Grant::new(database, "read")).collect()
}

impl<F> SharedServer<F>
where
    F: Fn(&Server) -> Box<dyn Rotator> + Clone + Send + Sync + 'static,
{
    /// This server with a rotator that is made anew for every step.
    pub fn new(overlap: Overlap, rotator: F) -> Self {
        Self { overlap, rotator, applies_late: false }
    }

    /// The same for a rotator that uses neither locks nor transactions, because its kind of server has
    /// none: see [`Remote::applies_late`].
    #[must_use]
    pub fn without_locks(self) -> Self {
        Self { applies_late: true, ..self }
    }

    /// The remote at a server that was arranged otherwise: all but the application's user are
    /// strangers there from now on.
    pub fn remote(&self, server: &Server) -> Box<dyn Remote> {
        let mut strangers = server.arrange(|accounts| accounts.clone());
        strangers.remove(USER);
        Box::new(Shared {
            server: server.clone(),
            strangers,
            changes: AtomicU32::new(0),
            rotator: self.rotator.clone(),
            applies_late: self.applies_late,
        })
    }
}

#[async_trait]
impl<F> Testbed for SharedServer<F>
where
    F: Fn(&Server) -> Box<dyn Rotator> + Clone + Send + Sync + 'static,
{
    fn overlap(&self) -> Overlap {
        self.overlap
    }

    fn turns(&self, effort: Effort) -> u32 {
        if effort == Effort::Short { 2 } else { 4 }
    }

    async fn fresh(&self, wire: &Wire) -> Box<dyn Remote> {
        self.remote(&SharedServer::server(wire))
    }
}

struct Shared<F> {
    server: Server,
    /// Every account that is nobody's business, as it was.
    strangers: Accounts,
    /// How often somebody changed the application's rights.
    changes: AtomicU32,
    rotator: F,
    applies_late: bool,
}

impl<F> Shared<F> {
    /// The application's users that can log in.
    fn live(&self) -> Vec<Account> {
        self.server.arrange(|accounts| {
            let ours = accounts.iter().filter(|(name, _)| !self.strangers.contains_key(*name));
            ours.filter(|(_, account)| account.is_live()).map(|(_, one)| one.clone()).collect()
        })
    }
}

#[async_trait]
impl<F: Fn(&Server) -> Box<dyn Rotator> + Send + Sync> Remote for Shared<F> {
    fn rotator(&self) -> Box<dyn Rotator> {
        (self.rotator)(&self.server)
    }

    fn secret(&self) -> String {
        let admin = SharedServer::ADMIN_SECRET;
        json!({
            "engine": "model", "host": "model", "username": USER, "password": PASSWORD,
            "masterarn": admin,
        })
        .to_string()
    }

    fn other_secrets(&self) -> Vec<(&'static str, String)> {
        let (user, password) = (SharedServer::ADMIN, SharedServer::ADMIN_PASSWORD);
        let document =
            json!({"engine": "model", "host": "model", "username": user, "password": password});
        vec![(SharedServer::ADMIN_SECRET, document.to_string())]
    }

    async fn accepts(&self, secret: &Secret) -> bool {
        accepts(&self.server, secret)
    }

    fn credential(&self) -> &'static [&'static str] {
        &["username", "password"]
    }

    async fn credentials(&self) -> Option<usize> {
        Some(self.live().len())
    }

    fn complaint(&self) -> Option<String> {
        let touched = self.server.arrange(|accounts| {
            let mut strangers = self.strangers.iter();
            let touched = strangers.find(|(name, as_was)| accounts.get(*name) != Some(*as_was));
            touched.map(|(name, _)| name.clone())
        });
        if let Some(name) = touched {
            return Some(match name.as_str() {
                SharedServer::ADMIN => "the admin was reset".to_owned(),
                _ => "a stranger's account was touched".to_owned(),
            });
        }
        let needed = needed();
        let powerless =
            self.live().into_iter().any(|user| !user.rights.grants.is_superset(&needed));
        powerless.then(|| "a live user lacks its rights".to_owned())
    }

    fn unsettled(&self) -> Option<String> {
        let live = self.live();
        let mut pairs = live.iter().zip(live.iter().skip(1));
        let differ = pairs.any(|(one, other)| one.rights.grants != other.rights.grants);
        differ.then(|| "the users' rights differ after a rotation".to_owned())
    }

    /// Grants one more right to the user in use, in one database, and revokes one that it can do
    /// without, in another.
    fn administer(&self, current: &Secret) -> bool {
        let user = current.document().and_then(|document| document.required("username"));
        let number = self.changes.fetch_add(1, Ordering::Relaxed);
        self.server.arrange(|accounts| {
            let Ok(Some(account)) = user.map(|user| accounts.get_mut(user)) else { return };
            let grants = &mut account.rights.grants;
            let spare = grants.difference(&needed()).next().cloned();
            spare.map(|grant| grants.remove(&grant));
            grants.insert(Grant::new("reports", &format!("write to table {number}")));
        });
        true
    }

    fn replaces(&self) -> bool {
        true
    }

    fn applies_late(&self) -> bool {
        self.applies_late
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
