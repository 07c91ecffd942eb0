//! A modelled server as the strategies see it.

use std::time::Duration;

use async_trait::async_trait;
use fourstep::users::{self, Attempt, Change, Dialect, End, LoggedIn, Login, NewPrimary, Swap};
use fourstep::{Error, ErrorKind, ExposeSecret, Fence, Finding, Invocation, SecretString};

use super::{Identified, Refusal, Server, Session, Trouble};

/// A [`Server`] as the strategies see it. A user's only password is changed in a transaction, as in
/// PostgreSQL; one of two by a statement that commits by itself, as in MySQL.
pub(crate) struct ModelDatabase {
    server: Server,
    dialect: Dialect,
    /// Whether there are locks, and transactions.
    locks: bool,
    /// Whether an hour passes while a change is made ready.
    slow: bool,
}

impl ModelDatabase {
    pub(crate) fn new(server: &Server, most_older_logins: usize) -> Self {
        let dialect = Dialect {
            engines: &["model"],
            default_port: 1,
            default_dbname: None,
            longest_name: 63,
            most_older_logins,
            besides: &[],
        };
        Self { server: server.clone(), dialect, locks: true, slow: false }
    }

    /// A server without locks and transactions, where a statement takes effect whenever it comes.
    pub(crate) fn without_locks(server: &Server) -> Self {
        Self { locks: false, ..Self::new(server, 8) }
    }

    /// The same, where each change is made ready for so long that its session is too old for it.
    #[cfg(test)]
    pub(crate) fn slow(server: &Server) -> Self {
        Self { slow: true, ..Self::without_locks(server) }
    }
}

/// The password that a user is to have.
pub(crate) struct Prepared {
    pub(crate) user: String,
    pub(crate) password: SecretString,
}

#[async_trait]
impl users::Database for ModelDatabase {
    type Session = Session;
    type Prepared = Prepared;

    fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    async fn log_in(&self, login: &Login, cx: &Invocation) -> Result<Attempt<Session>, Error> {
        cx.count_connection();
        match self.server.log_in(&login.username, login.password.expose_secret()).await {
            Ok(Some(session)) => Ok(Attempt::Accepted(session)),
            Ok(None) => Ok(Attempt::Refused("wrong password".to_owned())),
            Err(Trouble::Refused(why)) => Err(Error::new(ErrorKind::Rejected, why)),
            Err(lost) => Err(lost.into()),
        }
    }

    async fn prepare_own(
        &self,
        at: &mut LoggedIn<'_, Session>,
        password: &SecretString,
    ) -> Result<Prepared, Error> {
        if self.slow {
            self.server.hour_passes();
        }
        Ok(Prepared { user: at.session.user().to_owned(), password: password.clone() })
    }

    fn may_lose_a_change(&self) -> bool {
        !self.locks
    }

    fn locks(&self, prepared: &Prepared) -> Vec<String> {
        if self.locks { vec![prepared.user.clone()] } else { Vec::new() }
    }

    fn age(&self, session: &Session) -> Option<Duration> {
        (!self.locks).then(|| session.age())
    }

    /// A question needs no limits: it holds nothing.
    async fn begin(&self, at: &mut LoggedIn<'_, Session>, locks: &[String]) -> Result<(), Error> {
        if !locks.is_empty() {
            at.session.limit().await?;
        }
        if self.locks {
            at.session.begin();
        }
        for lock in locks {
            at.session.lock(lock).await?;
        }
        Ok(())
    }

    async fn set(
        &self,
        at: &mut LoggedIn<'_, Session>,
        prepared: &Prepared,
        _: &dyn Fence,
    ) -> Result<Change, Error> {
        let user = prepared.user.clone();
        let password = prepared.password.expose_secret().to_owned();
        let change = at.session.change("ALTER USER", move |accounts| {
            if let Some(account) = accounts.get_mut(&user) {
                account.password = password;
            }
        });
        change.await?;
        Ok(Change::Made)
    }

    async fn end(&self, at: &mut LoggedIn<'_, Session>, end: End) -> Result<(), Error> {
        match end {
            _ if !self.locks => {}
            End::Commit { .. } => at.session.commit().await?,
            End::Abandon => at.session.roll_back().await?,
        }
        Ok(())
    }

    async fn preflight(&self, _at: &mut LoggedIn<'_, Session>) -> Result<Vec<Finding>, Error> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl users::DualPasswords for ModelDatabase {
    async fn begin_two(&self, at: &mut LoggedIn<'_, Session>) -> Result<(), Error> {
        at.session.limit().await?;
        Ok(at.session.lock(&at.login.username).await?)
    }

    async fn set_primary(
        &self,
        at: &mut LoggedIn<'_, Session>,
        new: &NewPrimary<'_>,
        fence: &dyn Fence,
    ) -> Result<Swap, Error> {
        fence.pass().await?;
        let mut statement = Identified::by(new.password.expose_secret());
        if let Some(replace) = new.replace {
            statement = statement.replace(replace.expose_secret());
        }
        if new.retain {
            statement = statement.retain();
        }
        Ok(match at.session.identify(statement).await? {
            Ok(()) => Swap::Made,
            Err(Refusal::IncorrectCurrent) => Swap::NotPrimary,
            Err(Refusal::MissingCurrent) => Swap::CurrentRequired,
            Err(Refusal::History) => Swap::Refused(Error::new(
                ErrorKind::Unsupported,
                "the server refused the new password by its history",
            )),
        })
    }

    async fn preflight_two(&self, _at: &mut LoggedIn<'_, Session>) -> Result<Vec<Finding>, Error> {
        Ok(Vec::new())
    }
}
