//! The modelled server as the strategies that need an admin see it: right but for one defect at a
//! time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fourstep::users::{
    self, Account, Accounts, Attempt, Change, Dialect, Driver, End, LoggedIn, Login, Mark,
};
use fourstep::{Error, ErrorKind, ExposeSecret, Fence, Finding, Invocation, SecretString};

use super::proxy::Front;
use crate::models::{self, ModelDatabase, Prepared, Rights, Session, SharedServer};

/// How a server keeps what it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Commit {
    /// A transaction holds everything that is done in one database, as in PostgreSQL.
    PerDatabase,
    /// Every statement stands for itself, as in MySQL.
    PerStatement,
    /// The same, without locks, as in MongoDB.
    Unlocked,
}

/// What may be wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    /// All rights are taken away before any is given.
    RevokeAll,
    /// A user is taken to be marked because of its name.
    NameProves,
    /// What a user wrote on itself is taken for a mark.
    ClaimProves,
    /// A user that is made is not marked.
    NoMark,
    /// A container that stands still keeps its lock.
    NoLimits,
    /// A user that was made again but for its rights is taken to have them all.
    HalfMade,
}

/// Which passwords the server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// Any.
    Any,
    /// None.
    None,
    /// None that the account ever had, the present one included.
    History,
}

/// What a statement does.
pub(super) type Intervention = Arc<dyn Fn(&mut models::Accounts) + Send + Sync>;

/// A server with an admin.
pub(super) struct Model {
    base: ModelDatabase,
    pub(super) server: models::Server,
    pub(super) commit: Commit,
    defect: Option<Defect>,
    policy: Policy,
    /// What stands in front of it.
    front: Option<Front>,
    /// What the statements of its assessments do.
    pub(super) deeds: Mutex<BTreeMap<String, Intervention>>,
}

impl Model {
    pub(super) fn new(
        server: &models::Server,
        commit: Commit,
        defect: Option<Defect>,
    ) -> Arc<Driver<Self>> {
        Arc::new(Self::undriven(server, commit, defect))
    }

    pub(super) fn undriven(
        server: &models::Server,
        commit: Commit,
        defect: Option<Defect>,
    ) -> Driver<Self> {
        Driver::new(Self { defect, ..Self::at(server, commit) })
    }

    /// A model without a defect whose server has this policy.
    pub(super) fn with_policy(
        server: &models::Server,
        commit: Commit,
        policy: Policy,
    ) -> Arc<Driver<Self>> {
        Arc::new(Driver::new(Self { policy, ..Self::at(server, commit) }))
    }

    /// A model without a defect behind this proxy.
    pub(super) fn behind(
        front: Front,
        server: &models::Server,
        commit: Commit,
    ) -> Arc<Driver<Self>> {
        Arc::new(Driver::new(Self { front: Some(front), ..Self::at(server, commit) }))
    }

    fn at(server: &models::Server, commit: Commit) -> Self {
        let (base, server) = (ModelDatabase::new(server, 8), server.clone());
        let (defect, policy, front) = (None, Policy::Any, None);
        Self { base, server, commit, defect, policy, front, deeds: Mutex::default() }
    }

    /// Whether the policy refuses the password.
    async fn refuses(&self, session: &Session, new: &Prepared) -> Result<bool, Error> {
        if self.policy != Policy::History {
            return Ok(self.policy == Policy::None);
        }
        let had = session.ask("does the policy allow the password?", |accounts| {
            let password = new.password.expose_secret();
            let had = |one: &models::Account| {
                one.password == password || one.dual.former.iter().any(|former| former == password)
            };
            accounts.get(&new.user).is_some_and(had)
        });
        Ok(had.await?)
    }

    pub(super) fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// What these users, and those that are marked with this secret, look like to the strategies.
    pub(super) fn seen(
        &self,
        accounts: &models::Accounts,
        users: &[&str],
        admin: &str,
        secret: &str,
    ) -> Accounts {
        let seen = accounts.iter().filter_map(|(name, account)| {
            let rights = &account.rights;
            let account = Account {
                mark: self.mark(name, rights, secret),
                claim: rights
                    .claim
                    .as_ref()
                    .filter(|_| !self.has(Defect::ClaimProves))
                    .map(of_model),
                protected: protected(name, rights, admin),
                usable: !rights.locked || self.has(Defect::HalfMade),
                ..Account::default()
            };
            let named = account.mark.as_ref().or(account.claim.as_ref());
            let marked = named.is_some_and(|mark| mark.secret == secret);
            (marked || users.contains(&name.as_str())).then(|| (name.clone(), account))
        });
        seen.collect()
    }

    fn mark(&self, name: &str, rights: &Rights, secret: &str) -> Option<Mark> {
        let base = name.strip_suffix("_clone").filter(|_| self.has(Defect::NameProves));
        let believed = base.map(|base| (base, secret));
        let claimed = rights.claim.as_ref().filter(|_| self.has(Defect::ClaimProves));
        let written = rights.mark.as_ref().or(claimed);
        let written = written.map(|mark| (mark.partner.as_str(), &*mark.secret));
        let (partner, secret) = believed.or(written)?;
        Some(Mark { partner: partner.to_owned(), secret: secret.to_owned() })
    }
}

fn of_model(mark: &models::Mark) -> Mark {
    Mark { partner: mark.partner.clone(), secret: mark.secret.clone() }
}

/// Why this account is never touched: whoever may write the secret could otherwise have it reset to
/// a password of their own.
fn protected(name: &str, rights: &Rights, admin: &str) -> Option<String> {
    let powerful = name == admin || rights.superuser || rights.creates_roles;
    powerful.then(|| "it is the admin, a superuser or may create roles".to_owned())
}

#[async_trait]
impl users::Database for Model {
    type Session = Session;
    type Prepared = Prepared;

    fn dialect(&self) -> &Dialect {
        self.base.dialect()
    }

    async fn log_in(&self, login: &Login, cx: &Invocation) -> Result<Attempt<Session>, Error> {
        let [first, ..] = SharedServer::DATABASES;
        Ok(match self.base.log_in(login, cx).await? {
            Attempt::Accepted(session) if self.commit == Commit::PerDatabase => {
                let database = login.dbname.as_deref().unwrap_or(first);
                Attempt::Accepted(session.in_database(database))
            }
            attempt => attempt,
        })
    }

    async fn log_in_at_proxy(
        &self,
        login: &Login,
        cx: &Invocation,
    ) -> Result<Attempt<Session>, Error> {
        match &self.front {
            Some(front) if login.host == Front::HOST && !front.lets_in(login).await? => {
                Ok(Attempt::Refused("the proxy knows another password".to_owned()))
            }
            _ => self.log_in(login, cx).await,
        }
    }

    async fn prepare_own(
        &self,
        at: &mut LoggedIn<'_, Session>,
        password: &SecretString,
    ) -> Result<Prepared, Error> {
        self.base.prepare_own(at, password).await
    }

    fn locks(&self, prepared: &Prepared) -> Vec<String> {
        if self.commit == Commit::Unlocked { Vec::new() } else { self.base.locks(prepared) }
    }

    fn may_lose_a_change(&self) -> bool {
        self.commit == Commit::Unlocked
    }

    fn age(&self, session: &Session) -> Option<Duration> {
        (self.commit == Commit::Unlocked).then(|| session.age())
    }

    async fn begin(&self, at: &mut LoggedIn<'_, Session>, locks: &[String]) -> Result<(), Error> {
        let unlimited = self.has(Defect::NoLimits) || self.commit == Commit::Unlocked;
        if !locks.is_empty() && !unlimited {
            at.session.limit().await?;
        }
        if self.commit == Commit::PerDatabase {
            at.session.begin();
        }
        // Of a pair they are named by the driver.
        for lock in locks.iter().filter(|_| self.commit != Commit::Unlocked) {
            at.session.lock(lock).await?;
        }
        Ok(())
    }

    /// The password, and what lets its user in: one statement, if the policy allows it.
    async fn set(
        &self,
        at: &mut LoggedIn<'_, Session>,
        new: &Prepared,
        _: &dyn Fence,
    ) -> Result<Change, Error> {
        if self.refuses(&at.session, new).await? {
            let what = "the server's policy refuses the password";
            return Ok(Change::Refused(Error::new(ErrorKind::Unsupported, what)));
        }
        let keeps = self.policy == Policy::History;
        let (user, password) = (new.user.clone(), new.password.expose_secret().to_owned());
        let name = format!("set the password of {user}");
        let change = at.session.change(&name, move |accounts| {
            let Some(account) = accounts.get_mut(&user) else { return };
            let former = std::mem::replace(&mut account.password, password);
            account.dual.former.extend(keeps.then_some(former));
            account.rights.locked = false;
        });
        change.await?;
        Ok(Change::Made)
    }

    async fn end(&self, at: &mut LoggedIn<'_, Session>, end: End) -> Result<(), Error> {
        if self.commit == Commit::PerDatabase { self.base.end(at, end).await } else { Ok(()) }
    }

    async fn preflight(&self, _at: &mut LoggedIn<'_, Session>) -> Result<Vec<Finding>, Error> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl users::Administered for Model {
    async fn prepare_admin(&self, _at: &mut LoggedIn<'_, Session>) -> Result<(), Error> {
        Ok(())
    }

    async fn prepare_reset(
        &self,
        _admin: &mut LoggedIn<'_, Session>,
        target: &Login,
    ) -> Result<Prepared, Error> {
        Ok(Prepared { user: target.username.clone(), password: target.password.clone() })
    }

    async fn objections(
        &self,
        admin: &mut LoggedIn<'_, Session>,
        user: &str,
    ) -> Result<Vec<Error>, Error> {
        let why = admin.session.ask("is the user an application's?", |accounts| {
            protected(user, &accounts.get(user)?.rights, &admin.login.username)
        });
        let objection = |why| {
            let what = format!("user {user:?} is never reset");
            Error::new(ErrorKind::Unsupported, what).caused_by(why)
        };
        Ok(why.await?.map(objection).into_iter().collect())
    }
}
