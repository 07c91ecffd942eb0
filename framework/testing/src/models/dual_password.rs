//! One user with two passwords, and the dual-password strategy over it.

use std::sync::Arc;

use async_trait::async_trait;
use fourstep::users::{Driver, DualPassword};
use fourstep::{PasswordPolicy, Rotator, Secret};
use serde_json::json;

use super::single_user::accepts;
use super::{Account, ModelDatabase, PasswordRules, Server};
use crate::{Overlap, Remote, Testbed, Wire};

/// A server whose users may have two passwords, and the dual-password strategy over it.
///
/// ```
/// use fourstep_testing::models::TwoPasswords;
/// use fourstep_testing::{Effort, sweep};
///
/// sweep(&TwoPasswords::default(), Effort::Short).assert_safe();
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct TwoPasswords {
    /// How its users were made.
    pub rules: PasswordRules,
}

#[async_trait]
impl Testbed for TwoPasswords {
    fn overlap(&self) -> Overlap {
        Overlap::Full
    }

    async fn fresh(&self, wire: &Wire) -> Box<dyn Remote> {
        Box::new(OneUser::new(wire, "app", "first-password", self.rules))
    }

    async fn named(&self, wire: &Wire, user: &str, password: &str) -> Option<Box<dyn Remote>> {
        Some(Box::new(OneUser::new(wire, user, password, self.rules)))
    }
}

struct OneUser {
    server: Server,
    user: String,
    password: String,
}

impl OneUser {
    fn new(wire: &Wire, user: &str, password: &str, rules: PasswordRules) -> Self {
        let account = Account::with_password(password).with_rules(rules);
        let server = Server::new(wire, [(user.to_owned(), account)].into());
        Self { server, user: user.to_owned(), password: password.to_owned() }
    }
}

#[async_trait]
impl Remote for OneUser {
    fn rotator(&self) -> Box<dyn Rotator> {
        let database = Arc::new(Driver::new(ModelDatabase::new(&self.server, 2)));
        Box::new(DualPassword::new(database, PasswordPolicy::default()))
    }

    fn secret(&self) -> String {
        let Self { user, password, .. } = self;
        json!({ "engine": "model", "host": "model", "username": user, "password": password })
            .to_string()
    }

    async fn accepts(&self, secret: &Secret) -> bool {
        accepts(&self.server, secret)
    }

    async fn credentials(&self) -> Option<usize> {
        self.server.arrange(|accounts| accounts.get(&self.user).map(Account::passwords))
    }

    fn replaces(&self) -> bool {
        true
    }

    fn hour_passes(&self) {
        self.server.hour_passes();
        self.server.arrange(|accounts| accounts.values_mut().for_each(Account::catch_up));
    }

    fn remember(&self) {
        self.server.remember();
    }

    fn forget(&self) -> bool {
        self.server.forget();
        true
    }
}
