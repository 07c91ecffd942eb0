//! The modelled server as the strategies that need an admin see it: right but for one defect at a
//! time.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

use super::install::Work;
use crate::error::{Error, ErrorKind};
use crate::rotator::{Fence, Finding};
use crate::testing::models::{self, ModelDatabase, Rights, Server, Session};
use crate::turn::Turn;
use crate::users::{
    Account, Accounts, AdminSession, Administered, Alternates, Attempt, Change, Database, Dialect,
    Install, Login, Mark,
};

/// The longest name, in bytes, as in PostgreSQL.
const LONGEST_NAME: usize = 63;

/// How a server keeps what it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Commit {
    /// A transaction holds everything that is done in one database, as in PostgreSQL.
    PerDatabase,
    /// Every statement stands for itself, as in MySQL.
    PerStatement,
}

/// What may be wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    /// The password is set before the rights.
    PasswordFirst,
    /// All rights are taken away before any is given.
    RevokeAll,
    /// A user is taken to be marked because of its name.
    NameProves,
    /// A user that is made is not marked.
    NoMark,
    /// The fence is not passed.
    NoFence,
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

/// A [`Server`] with an admin.
pub(super) struct Model {
    base: ModelDatabase,
    pub(super) commit: Commit,
    pub(super) defect: Option<Defect>,
    policy: Policy,
}

impl Model {
    pub(super) fn new(server: &Server, commit: Commit, defect: Option<Defect>) -> Arc<Self> {
        let base = ModelDatabase(server.clone());
        Arc::new(Self { base, commit, defect, policy: Policy::Any })
    }

    /// A model without a defect whose server has this policy.
    pub(super) fn with_policy(server: &Server, commit: Commit, policy: Policy) -> Arc<Self> {
        Arc::new(Self { base: ModelDatabase(server.clone()), commit, defect: None, policy })
    }

    /// Sets a password, and lets its user in, in one statement, if the policy allows it.
    pub(super) async fn set_password(
        &self,
        session: &mut Session,
        user: &str,
        password: &SecretString,
    ) -> Result<Change, Error> {
        let (user, password) = (user.to_owned(), password.expose_secret().to_owned());
        let refused = session.ask("does the policy allow the password?", |accounts| {
            let account = accounts.get(&user);
            let had = account
                .is_some_and(|one| one.password == password || one.dual.former.contains(&password));
            self.policy == Policy::None || (self.policy == Policy::History && had)
        });
        if refused.await? {
            let what = "the server's policy refuses the password";
            return Ok(Change::Refused(Error::new(ErrorKind::Unsupported, what)));
        }
        let keeps = self.policy == Policy::History;
        let name = format!("set the password of {user}");
        let change = session.change(&name, move |accounts| {
            let Some(account) = accounts.get_mut(&user) else { return };
            let former = std::mem::replace(&mut account.password, password);
            account.dual.former.extend(keeps.then_some(former));
            account.rights.locked = false;
        });
        change.await?;
        Ok(Change::Made)
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
                barred: barred(name, rights, admin),
                usable: !rights.locked || self.has(Defect::HalfMade),
                ..Account::default()
            };
            let marked = account.mark.as_ref().is_some_and(|mark| mark.secret == secret);
            (marked || users.contains(&name.as_str())).then(|| (name.clone(), account))
        });
        seen.collect()
    }

    fn mark(&self, name: &str, rights: &Rights, secret: &str) -> Option<Mark> {
        let base = name.strip_suffix("_clone").filter(|_| self.has(Defect::NameProves));
        let believed = base.map(|base| (base, secret));
        let written = rights.mark.as_ref().map(|mark| (mark.partner.as_str(), &*mark.secret));
        let (partner, secret) = believed.or(written)?;
        Some(Mark { partner: partner.to_owned(), secret: secret.to_owned() })
    }

    pub(super) async fn pass(&self, fence: &dyn Fence) -> Result<(), Error> {
        match self.has(Defect::NoFence) {
            true => Ok(()),
            false => fence.pass().await,
        }
    }

    pub(super) async fn limit(&self, session: &Session) -> Result<(), Error> {
        match self.has(Defect::NoLimits) {
            true => Ok(()),
            false => Ok(session.limit().await?),
        }
    }
}

/// Why this account is never touched: whoever may write the secret could otherwise have it reset to
/// a password of their own.
fn barred(name: &str, rights: &Rights, admin: &str) -> Option<String> {
    let powerful = name == admin || rights.superuser || rights.creates_roles;
    powerful.then(|| "it is the admin, a superuser or may create roles".to_owned())
}

#[async_trait]
impl Database for Model {
    type Session = Session;

    fn dialect(&self) -> &Dialect {
        self.base.dialect()
    }

    async fn log_in(&self, login: &Login, turn: &Turn) -> Result<Attempt<Session>, Error> {
        self.base.log_in(login, turn).await
    }

    async fn change_own_password(
        &self,
        session: Session,
        login: &Login,
        password: &SecretString,
        fence: &dyn Fence,
        turn: &Turn,
    ) -> Result<Change, Error> {
        self.base.change_own_password(session, login, password, fence, turn).await
    }

    async fn preflight(
        &self,
        session: Session,
        login: &Login,
        turn: &Turn,
    ) -> Result<Vec<Finding>, Error> {
        self.base.preflight(session, login, turn).await
    }
}

#[async_trait]
impl Administered for Model {
    async fn reset_password(
        &self,
        admin: &mut AdminSession<Session>,
        target: &Login,
        fence: &dyn Fence,
        _: &Turn,
    ) -> Result<Change, Error> {
        let session = &mut admin.session;
        let user = target.username.clone();
        self.limit(session).await?;
        session.begin().await?;
        session.lock(&user).await?;
        judge_reset(session, &admin.login, &user).await?;
        self.pass(fence).await?;
        let change = self.set_password(session, &user, &target.password).await?;
        session.commit().await?;
        Ok(change)
    }

    async fn preflight_reset(
        &self,
        admin: &mut AdminSession<Session>,
        target: &Login,
        _: &Turn,
    ) -> Result<Vec<Finding>, Error> {
        let session = &mut admin.session;
        let judged = judge_reset(session, &admin.login, &target.username).await;
        Ok(judged.err().map(Finding::Fails).into_iter().collect())
    }
}

async fn judge_reset(session: &Session, admin: &Login, user: &str) -> Result<(), Error> {
    let why = session.ask("is the user an application's?", |accounts| {
        barred(user, &accounts.get(user)?.rights, &admin.username)
    });
    match why.await? {
        None => Ok(()),
        Some(why) => {
            let what = format!("user {user:?} is never reset");
            Err(Error::new(ErrorKind::Unsupported, what).caused_by(why))
        }
    }
}

#[async_trait]
impl Alternates for Model {
    fn check_username(&self, username: &str) -> Result<(), Error> {
        if username.len() <= LONGEST_NAME {
            return Ok(());
        }
        let what = format!("the name of user {username:?} is longer than {LONGEST_NAME} bytes");
        Err(Error::new(ErrorKind::Unsupported, what).caused_by("name another in USER_PAIRS"))
    }

    async fn accounts(
        &self,
        admin: &mut AdminSession<Session>,
        usernames: &[&str],
        secret: &str,
        _: &Turn,
    ) -> Result<Accounts, Error> {
        let seen = |accounts: &_| self.seen(accounts, usernames, &admin.login.username, secret);
        Ok(admin.session.ask("whose are the users?", seen).await?)
    }

    async fn install(
        &self,
        admin: &mut AdminSession<Session>,
        install: &Install<'_>,
        password: &SecretString,
        fence: &dyn Fence,
        turn: &Turn,
    ) -> Result<Change, Error> {
        let work = Work { model: self, admin: &admin.login, install, password, fence, turn };
        match self.commit {
            Commit::PerDatabase => work.in_transactions().await,
            Commit::PerStatement => work.in_statements().await,
        }
    }

    async fn differences(
        &self,
        admin: &Login,
        pending: &Login,
        one: &str,
        turn: &Turn,
    ) -> Result<Vec<String>, Error> {
        let session = self.log_in_as_admin(admin, turn).await?.session;
        let other = pending.username.as_str();
        let differ = session.ask("compare the rights", |accounts| {
            let grants = |user| accounts.get(user).map(|account| &account.rights.grants);
            match (grants(one), grants(other)) {
                (Some(one), Some(other)) => one.symmetric_difference(other).cloned().collect(),
                _ => Vec::new(),
            }
        });
        let differ = differ.await?.into_iter();
        Ok(differ.map(|grant| format!("{:?} in {}", grant.privilege, grant.database)).collect())
    }

    async fn preflight_install(
        &self,
        admin: &mut AdminSession<Session>,
        install: &Install<'_>,
        turn: &Turn,
    ) -> Result<Vec<Finding>, Error> {
        let users = [install.target, install.source];
        let accounts = self.accounts(admin, &users, install.pair.secret(), turn).await?;
        Ok(install.judge(&accounts).err().map(Finding::Fails).into_iter().collect())
    }

    async fn plan_install(
        &self,
        admin: &mut AdminSession<Session>,
        install: &Install<'_>,
        turn: &Turn,
    ) -> Result<Vec<String>, Error> {
        let users = [install.target, install.source];
        let accounts = self.accounts(admin, &users, install.pair.secret(), turn).await?;
        let mut lines = vec![format!("{}: {:?}", install.target, install.judge(&accounts)?)];
        lines.extend(install.refuse_open_sessions.then(|| "end its sessions first".to_owned()));
        Ok(lines)
    }
}
