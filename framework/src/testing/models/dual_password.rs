//! One user with two passwords, and the dual-password strategy over it.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::single_user::accepts;
use super::{Account, Identified, PasswordRules, Refusal, Server, Session, Trouble};
use crate::error::{Error, ErrorKind};
use crate::password::PasswordPolicy;
use crate::rotator::{Fence, Finding, Rotator};
use crate::secret::Secret;
use crate::testing::{Overlap, Remote, Testbed, Wire};
use crate::turn::Turn;
use crate::users::{
    Attempt, Change, Database, Dialect, DualPassword, DualPasswords, Login, NewPrimary, Swap,
};

/// A server whose users may have two passwords, and the dual-password strategy over it.
///
/// ```
/// use fourstep::testing::models::TwoPasswords;
/// use fourstep::testing::{Effort, sweep};
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
        let database = Arc::new(DualDatabase(self.server.clone()));
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

/// A [`Server`] as the strategies see a MySQL: statements that commit by themselves.
struct DualDatabase(Server);

const DIALECT: Dialect =
    Dialect { engines: &["model"], default_port: 1, default_dbname: None, most_older_logins: 2 };

#[async_trait]
impl Database for DualDatabase {
    type Session = Session;

    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    async fn log_in(&self, login: &Login, turn: &Turn) -> Result<Attempt<Session>, Error> {
        turn.count_connection();
        match self.0.log_in(&login.username, login.password.expose_secret()).await {
            Ok(Some(session)) => Ok(Attempt::Accepted(session)),
            Ok(None) => {
                turn.count_rejected_login();
                Ok(Attempt::Refused("wrong password".to_owned()))
            }
            Err(Trouble::Refused(why)) => Err(Error::new(ErrorKind::Rejected, why)),
            Err(lost) => Err(lost.into()),
        }
    }

    async fn change_own_password(
        &self,
        mut session: Session,
        login: &Login,
        password: &SecretString,
        fence: &dyn Fence,
        turn: &Turn,
    ) -> Result<Change, Error> {
        self.begin(&mut session, login, turn).await?;
        let new = NewPrimary { password, replace: None, retain: false };
        match self.set_primary(&mut session, &new, fence, turn).await? {
            Swap::Made => Ok(Change::Made),
            Swap::Refused(why) => Ok(Change::Refused(why)),
            Swap::NotPrimary | Swap::CurrentRequired => {
                Err(Error::new(ErrorKind::Unsupported, "the server requires the current password"))
            }
        }
    }

    async fn preflight(&self, _: Session, _: &Login, _: &Turn) -> Result<Vec<Finding>, Error> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl DualPasswords for DualDatabase {
    async fn begin(&self, session: &mut Session, login: &Login, _: &Turn) -> Result<(), Error> {
        session.limit().await?;
        Ok(session.lock(&login.username).await?)
    }

    async fn set_primary(
        &self,
        session: &mut Session,
        new: &NewPrimary<'_>,
        fence: &dyn Fence,
        _: &Turn,
    ) -> Result<Swap, Error> {
        fence.pass().await?;
        let mut statement = Identified::by(new.password.expose_secret());
        if let Some(replace) = new.replace {
            statement = statement.replace(replace.expose_secret());
        }
        if new.retain {
            statement = statement.retain();
        }
        Ok(match session.identify(statement).await? {
            Ok(()) => Swap::Made,
            Err(Refusal::IncorrectCurrent) => Swap::NotPrimary,
            Err(Refusal::MissingCurrent) => Swap::CurrentRequired,
            Err(Refusal::History) => Swap::Refused(Error::new(
                ErrorKind::Unsupported,
                "the server refused the new password by its history",
            )),
        })
    }

    async fn preflight_dual(&self, _: Session, _: &Login, _: &Turn) -> Result<Vec<Finding>, Error> {
        Ok(Vec::new())
    }
}
