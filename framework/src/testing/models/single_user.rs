//! One user with one password, and the single-user strategy over it.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{Account, Server, Session};
use crate::error::Error;
use crate::password::PasswordPolicy;
use crate::rotator::{Fence, Finding, Rotator};
use crate::secret::Secret;
use crate::testing::{Overlap, Remote, Testbed, Wire};
use crate::turn::Turn;
use crate::users::{Attempt, Change, Database, Dialect, Login, SingleUser};

/// A server whose users have one password each, and the single-user strategy over it.
///
/// ```
/// use fourstep::testing::models::SinglePassword;
/// use fourstep::testing::{Effort, sweep};
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

/// One user of a [`Server`] of its own.
pub struct OneUser {
    server: Server,
    user: String,
    password: String,
}

impl OneUser {
    /// A server with this one user.
    pub fn new(wire: &Wire, user: &str, password: &str) -> Self {
        let accounts = [(user.to_owned(), Account::with_password(password))].into();
        let server = Server::new(wire, accounts);
        Self { server, user: user.to_owned(), password: password.to_owned() }
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }
}

#[async_trait]
impl Remote for OneUser {
    fn rotator(&self) -> Box<dyn Rotator> {
        Box::new(SingleUser::new(
            Arc::new(ModelDatabase(self.server.clone())),
            PasswordPolicy::default(),
        ))
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

/// A [`Server`] as the strategies see a database: transactions, as PostgreSQL has them.
pub(in crate::testing) struct ModelDatabase(pub(in crate::testing) Server);

const DIALECT: Dialect =
    Dialect { engines: &["model"], default_port: 1, default_dbname: None, most_older_logins: 8 };

#[async_trait]
impl Database for ModelDatabase {
    type Session = Session;

    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    async fn log_in(&self, login: &Login, turn: &Turn) -> Result<Attempt<Session>, Error> {
        turn.count_connection();
        match self.0.log_in(&login.username, login.password.expose_secret()).await? {
            Some(session) => Ok(Attempt::Accepted(session)),
            None => {
                turn.count_rejected_login();
                Ok(Attempt::Refused("wrong password".to_owned()))
            }
        }
    }

    async fn change_own_password(
        &self,
        mut session: Session,
        login: &Login,
        password: &SecretString,
        fence: &dyn Fence,
        _: &Turn,
    ) -> Result<Change, Error> {
        session.limit().await?;
        session.begin().await?;
        session.lock(&login.username).await?;
        fence.pass().await?;
        let (user, password) = (session.user().to_owned(), password.expose_secret().to_owned());
        let change = session.change("ALTER USER", move |accounts| {
            if let Some(account) = accounts.get_mut(&user) {
                account.password = password;
            }
        });
        change.await?;
        session.commit().await?;
        Ok(Change::Made)
    }

    async fn preflight(&self, _: Session, _: &Login, _: &Turn) -> Result<Vec<Finding>, Error> {
        Ok(Vec::new())
    }
}
