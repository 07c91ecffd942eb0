//! Redis and Valkey for Fourstep: self-managed servers, Redis 7 and later, Valkey 7.2 and later, one by
//! itself, with replicas, behind Sentinels, or in a cluster.
//!
//! A user may have any number of passwords there. An admin adds the new one, by its hash, and takes
//! the old ones away once a newer is current; the password itself never leaves the function but in a
//! login. There are no locks: what adds harms nobody however late it comes, and what takes away names
//! what must be there, or changes nothing.

mod account;
mod errors;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod managed;
mod nodes;
mod resp;
mod server;
mod session;

use async_trait::async_trait;
use fourstep::net::{TlsSettings, TransportPolicy};
use fourstep::users::{
    Administered, Attempt, Change, Database, Dialect, Driver, End, Login, ManagedPasswords,
    PasswordSets, Peers, SameHosts, Strategies, Strategy,
};
use fourstep::{
    Environment, Error, ErrorKind, Fence, Invocation, PasswordPolicy, Result, SecretString, Seen,
};

use account::{Prepared, absent, hash};

use session::At;

pub use session::Session;

const DIALECT: Dialect = Dialect {
    engines: &["redis", "valkey"],
    default_port: 6379,
    default_dbname: None,
    // It has no limit of its own.
    longest_name: 512,
    // Refused logins lock nothing.
    most_older_logins: 8,
    besides: &[],
};

/// What a generated password leaves out unless `EXCLUDE_CHARACTERS` says otherwise: what would need
/// quoting in a connection URL or on a command line.
pub const EXCLUDED_CHARACTERS: &str = "/@\"'\\";

/// The function's rotator, as its environment variables describe it.
///
/// # Errors
/// [`ErrorKind::Malformed`], naming the variable.
pub fn strategies(environment: &Environment) -> Result<Strategies> {
    let policy = PasswordPolicy::read(environment, EXCLUDED_CHARACTERS)?;
    let driver = Driver::read(environment, Redis::read(environment)?)?;
    let servers = Strategies::of_password_sets(environment, driver, policy.clone())?;
    let users = managed::Aws::of(environment)?;
    let users = ManagedPasswords::read(environment, users, policy)?;
    Ok(servers.with_form(managed::is_managed, Strategy::DualPassword, Box::new(users)))
}

/// A Redis or Valkey server, as far as rotating passwords on it needs.
#[derive(Debug)]
pub struct Redis {
    tls: TlsSettings,
    transport: TransportPolicy,
    hosts: SameHosts,
}

impl Redis {
    /// Reads `TLS_CA_BUNDLE`, `TLS_SERVER_NAME`, `ALLOW_PLAINTEXT_FALLBACK`,
    /// `ALLOW_WEAK_AUTHENTICATION` and `SAME_DATABASE_HOSTS`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub fn read(environment: &Environment) -> Result<Self> {
        let (tls, transport) =
            (TlsSettings::read(environment)?, TransportPolicy::read(environment)?);
        Ok(Self { tls, transport, hosts: SameHosts::read(environment)? })
    }
}

#[async_trait]
impl Database for Redis {
    const NOT_HERE: &[(&str, &str)] =
        &[("PROBE_QUERY", "Redis has no transaction that may only read")];

    type Session = Session;
    type Prepared = Prepared;

    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    async fn log_in(&self, login: &Login, cx: &Invocation) -> Result<Attempt<Session>> {
        let login = &self.place(login, cx).await?;
        let connect = |transport| self.connect(login, transport, cx);
        login.ssl.connect(self.transport, cx, connect).await?.log_in(login, cx).await
    }

    async fn seen(&self, at: &mut At<'_>) -> Result<Seen> {
        at.session.seen(&at.login.username, at.cx).await
    }

    /// Whoever may run ACL SETUSER may give itself everything, so no application's user can.
    async fn prepare_own(&self, _at: &mut At<'_>, _: &SecretString) -> Result<Prepared> {
        let what = "a user of Redis does not change its own password; an admin does";
        Err(Error::new(ErrorKind::Unsupported, what))
    }

    async fn set(&self, at: &mut At<'_>, prepared: &Prepared, _: &dyn Fence) -> Result<Change> {
        at.session.change(prepared, at.cx).await
    }

    async fn end(&self, at: &mut At<'_>, end: End) -> Result<()> {
        match end {
            End::Commit { .. } => at.session.save(at.cx).await,
            End::Abandon => Ok(()),
        }
    }
}

#[async_trait]
impl Administered for Redis {
    async fn prepare_admin(&self, at: &mut At<'_>) -> Result<()> {
        at.session.ask_server(at.cx).await
    }

    async fn prepare_reset(&self, _admin: &mut At<'_>, target: &Login) -> Result<Prepared> {
        let add = Some(hash(&target.password));
        Ok(Prepared { user: target.username.clone(), add, demand: None, remove: Vec::new() })
    }

    async fn objections(&self, admin: &mut At<'_>, user: &str) -> Result<Vec<Error>> {
        admin.session.objections(&admin.login.username, user, admin.cx).await
    }
}

#[async_trait]
impl PasswordSets for Redis {
    async fn peers(&self, admin: &mut At<'_>) -> Result<Peers> {
        Ok(std::mem::take(&mut admin.session.peers))
    }

    async fn has(&self, admin: &mut At<'_>, user: &Login) -> Result<bool> {
        let account = admin.session.account(&user.username, admin.cx).await?;
        Ok(account.is_some_and(|account| account.has(&hash(&user.password))))
    }

    async fn prepare_removal(
        &self,
        admin: &mut At<'_>,
        user: &Login,
        passwords: &[SecretString],
    ) -> Result<Option<Prepared>> {
        let account = admin.session.account(&user.username, admin.cx).await?;
        let account = account.ok_or_else(|| absent(&user.username))?;
        let stays = hash(&user.password);
        if !account.has(&stays) {
            return Ok(None);
        }
        let goes = passwords.iter().map(hash).filter(|one| account.has(one) && one != &stays);
        let remove = goes.collect();
        Ok(Some(Prepared { user: user.username.clone(), add: None, demand: Some(stays), remove }))
    }
}
