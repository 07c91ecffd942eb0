//! Servers that have the same users, each by itself, and each with a set of passwords for a user. They know
//! each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use fourstep::users::{
    Administered, Attempt, Change, Database, Dialect, LoggedIn, Login, PasswordSets, Peer, Peers,
};
use fourstep::{Error, ErrorKind, ExposeSecret, Fence, Invocation, SecretString};

use crate::Wire;

const DIALECT: Dialect = Dialect {
    engines: &["model"],
    default_port: 1,
    default_dbname: None,
    longest_name: 63,
    most_older_logins: 8,
    besides: &[],
};

/// Every user's passwords.
pub(super) type Sets = BTreeMap<String, BTreeSet<String>>;

/// What may be wrong with the servers, or with what is made of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    /// What is set takes the place of all there is, as ElastiCache's API does.
    Replaces,
    /// Passwords are taken away although the promoted one is not there.
    TakesBlindly,
    /// Nothing is ever taken away.
    Keeps,
    /// Nobody asks which other servers there are.
    SeesOne,
    /// Nobody looks for the servers once more before the promotion.
    Unconfirmed,
}

#[derive(Clone)]
pub(super) struct Server {
    pub(super) port: u16,
    pub(super) now: Sets,
    pub(super) kept: Sets,
    /// It came, or came back, and nobody has changed anything there since.
    pub(super) stale: bool,
    /// For how many calls nobody answers there.
    pub(super) away: u32,
}

#[derive(Clone)]
pub(super) struct Model {
    pub(super) wire: Wire,
    pub(super) servers: Arc<Mutex<Vec<Server>>>,
    pub(super) defect: Option<Defect>,
    /// A server was left as it came although the promotion was confirmed behind that.
    pub(super) left: Arc<AtomicBool>,
}

/// What is added, and what is taken away; nothing of it where what is demanded is not there.
pub(super) struct Prepared {
    user: String,
    add: Option<String>,
    demand: Option<String>,
    remove: Vec<String>,
}

impl Model {
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<Server>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a password works at every server that was not lost sight of.
    pub(super) fn accepts(&self, user: &str, password: &str) -> bool {
        let servers = self.lock();
        let mut asked = servers.iter().filter(|one| !one.stale);
        asked.all(|one| one.now.get(user).is_some_and(|set| set.contains(password)))
    }

    /// A call of the server at this port.
    async fn at<T>(
        &self,
        port: u16,
        what: &str,
        work: impl FnOnce(&mut Server) -> T,
    ) -> Result<T, Error> {
        let name = format!("{what}, at {port}");
        let answer = self.wire.call(&name, || {
            let mut servers = self.lock();
            let one = servers.iter_mut().find(|one| one.port == port)?;
            let answers = one.away == 0;
            one.away = one.away.saturating_sub(1);
            answers.then(|| work(one))
        });
        answer.await?.ok_or_else(|| Error::new(ErrorKind::Unreachable, "nobody answers"))
    }
}

#[async_trait]
impl Database for Model {
    type Session = u16;
    type Prepared = Prepared;

    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    async fn log_in(&self, login: &Login, cx: &Invocation) -> Result<Attempt<u16>, Error> {
        cx.count_connection();
        let password = login.password.expose_secret();
        let name = format!("log in as {}", login.username);
        let accepted = self.at(login.port, &name, |server| {
            server.now.get(&login.username).is_some_and(|set| set.contains(password))
        });
        match accepted.await? {
            true => Ok(Attempt::Accepted(login.port)),
            false => Ok(Attempt::Refused("wrong password".to_owned())),
        }
    }

    async fn prepare_own(
        &self,
        _: &mut LoggedIn<'_, u16>,
        _: &SecretString,
    ) -> Result<Prepared, Error> {
        Err(Error::new(ErrorKind::Unsupported, "an admin does that"))
    }

    async fn set(
        &self,
        at: &mut LoggedIn<'_, u16>,
        change: &Prepared,
        _: &dyn Fence,
    ) -> Result<Change, Error> {
        let made = self.at(at.session, "change the set", |server| {
            server.stale &= change.add.is_none();
            let set = server.now.entry(change.user.clone()).or_default();
            let mut demanded = change.demand.iter().chain(&change.remove);
            let twice = change.remove.iter().collect::<BTreeSet<_>>().len() < change.remove.len();
            if twice || demanded.any(|one| !set.contains(one)) {
                return false;
            }
            set.retain(|one| !change.remove.contains(one));
            if self.defect == Some(Defect::Replaces) && change.add.is_some() {
                set.clear();
            }
            set.extend(change.add.clone());
            true
        });
        match made.await? {
            true => Ok(Change::Made),
            false => Err(Error::new(ErrorKind::Conflict, "one of them is gone")),
        }
    }
}

#[async_trait]
impl Administered for Model {
    async fn prepare_reset(
        &self,
        _admin: &mut LoggedIn<'_, u16>,
        target: &Login,
    ) -> Result<Prepared, Error> {
        let add = Some(target.password.expose_secret().to_owned());
        Ok(Prepared { user: target.username.clone(), add, demand: None, remove: Vec::new() })
    }

    async fn objections(
        &self,
        admin: &mut LoggedIn<'_, u16>,
        user: &str,
    ) -> Result<Vec<Error>, Error> {
        let protected = user == admin.login.username;
        let protected = self.at(admin.session, "ask for the user", |_| protected).await?;
        let error = Error::new(ErrorKind::Unsupported, "it is the admin");
        Ok(protected.then_some(error).into_iter().collect())
    }
}

#[async_trait]
impl PasswordSets for Model {
    async fn peers(&self, admin: &mut LoggedIn<'_, u16>) -> Result<Peers, Error> {
        // As part of the call before: what is read is swept there.
        let id = |port: u16| format!("server {port}");
        let others = self.lock().iter().map(|one| one.port).collect::<Vec<_>>();
        let others = others.into_iter().filter(|port| *port != admin.session);
        let others = others.filter(|_| self.defect != Some(Defect::SeesOne));
        let peer = |port| Peer { id: id(port), host: "model".to_owned(), port, leads: false };
        Ok(Peers { id: id(admin.session), others: others.map(peer).collect() })
    }

    async fn has(&self, admin: &mut LoggedIn<'_, u16>, user: &Login) -> Result<bool, Error> {
        let password = user.password.expose_secret();
        let asked = self.at(admin.session, "ask for a password", |server| {
            server.now.get(&user.username).is_some_and(|set| set.contains(password))
        });
        asked.await
    }

    async fn prepare_removal(
        &self,
        admin: &mut LoggedIn<'_, u16>,
        user: &Login,
        passwords: &[SecretString],
    ) -> Result<Option<Prepared>, Error> {
        let set = self
            .at(admin.session, "ask for the set", |server| server.now.get(&user.username).cloned());
        let set = set.await?.unwrap_or_default();
        let stays = Some(user.password.expose_secret().to_owned());
        let demand = stays.filter(|_| self.defect != Some(Defect::TakesBlindly));
        if demand.as_ref().is_some_and(|one| !set.contains(one)) {
            return Ok(None);
        }
        let passwords = passwords.iter().map(|one| one.expose_secret().to_owned());
        let remove = passwords.filter(|one| set.contains(one)).collect();
        let remove = if self.defect == Some(Defect::Keeps) { Vec::new() } else { remove };
        Ok(Some(Prepared { user: user.username.clone(), add: None, demand, remove }))
    }
}
