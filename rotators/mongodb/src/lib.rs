//! Amazon DocumentDB and MongoDB for Fourstep: replica sets, servers by themselves, and mongos; MongoDB
//! 3.6 and later.
//!
//! [`Mongodb`] is the [`Database`] behind the strategies. A login counts only if the server showed that
//! it knows the password. These servers have no lock that is named, and no change that compares: so no
//! session is older than a moment when it changes something, the server itself ends what takes too
//! long, and the framework's fence comes last. What cannot be prevented by that is in docs/safety.md.

mod admin;
mod alternate;
mod change;
mod errors;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod session;
mod user;
mod wire;

use std::time::Duration;

use async_trait::async_trait;
use fourstep::net::{TlsSettings, TransportPolicy};
use fourstep::users::{Attempt, Change, Database, Dialect, Driver, Login, Strategies};
use fourstep::{
    Environment, Error, ErrorKind, Fence, Finding, Invocation, PasswordPolicy, Result,
    SecretString, Seen,
};

pub use change::Prepared;
use session::At;

pub use session::Session;

/// How secrets name these servers: AWS's word first (AWS Secrets Manager User Guide, "JSON structure of
/// database secrets"); the last is the RDS API's, for an admin's secret that RDS manages.
const DIALECT: Dialect = Dialect {
    engines: &["mongo", "documentdb", "mongodb", "docdb"],
    default_port: 27017,
    // The database in which the user is, and not one that it works in.
    default_dbname: Some("admin"),
    // It has no limit of its own.
    longest_name: 512,
    most_older_logins: 8,
    besides: &[],
};

/// What a generated password leaves out unless `EXCLUDE_CHARACTERS` says otherwise. As AWS's MongoDB
/// template.
pub const EXCLUDED_CHARACTERS: &str = "/@\"'\\";

/// The database of users that log in by a certificate, LDAP, Kerberos or IAM.
const EXTERNAL: &str = "$external";

/// What preflight says of every user that has no partner.
const LATE_CHANGE: &str = "these servers have no lock and no change that compares, so that a function \
    which was frozen may set an older password over a newer one, until the next rotation; with \
    alternating-users that takes a rotation that was cancelled besides, or two that ended since";

/// What preflight says behind a mongos. Source: MongoDB manual, `userCacheInvalidationIntervalSecs`.
pub(crate) const CACHED: &str = "this is a mongos; others of its cluster keep what they know of a user for \
    up to 30 s, and refuse a new password that long: set userCacheInvalidationIntervalSecs to 1 on each";

/// The function's rotator, as its environment variables describe it.
///
/// # Errors
/// [`ErrorKind::Malformed`], naming the variable.
pub fn strategies(environment: &Environment) -> Result<Strategies> {
    let policy = PasswordPolicy::read(environment, EXCLUDED_CHARACTERS)?;
    let driver = Driver::read(environment, Mongodb::read(environment)?)?;
    Strategies::of_pairs(environment, driver, policy)
}

/// A DocumentDB cluster or MongoDB deployment, as far as rotating passwords on it needs.
#[derive(Debug)]
pub struct Mongodb {
    tls: TlsSettings,
    transport: TransportPolicy,
}

impl Mongodb {
    /// Reads `TLS_CA_BUNDLE`, `TLS_SERVER_NAME`, `ALLOW_PLAINTEXT_FALLBACK` and
    /// `ALLOW_WEAK_AUTHENTICATION`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub fn read(environment: &Environment) -> Result<Self> {
        let (tls, transport) =
            (TlsSettings::read(environment)?, TransportPolicy::read(environment)?);
        Ok(Self { tls, transport })
    }
}

#[async_trait]
impl Database for Mongodb {
    const NOT_HERE: &[(&str, &str)] = &[
        ("PROBE_QUERY", "these servers take no queries in a language"),
        ("REFUSE_OPEN_SESSIONS", "MongoDB 3.6 does not say whose the sessions are that do nothing"),
    ];

    type Session = Session;
    type Prepared = Prepared;

    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    fn asks_before_proposing(&self, _: &Login) -> bool {
        true
    }

    async fn log_in(&self, login: &Login, cx: &Invocation) -> Result<Attempt<Session>> {
        if session::database(login) == EXTERNAL {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "users in the database $external have no password here; correct \"dbname\"",
            ));
        }
        let connect = |transport| self.connect(login, transport, cx);
        let wire = login.ssl.connect(self.transport, cx, connect).await?;
        wire::log_in(wire, login).await
    }

    async fn close(&self, mut session: Session) {
        session.channel.shut_down().await;
    }

    async fn seen(&self, at: &mut At<'_>) -> Result<Seen> {
        at.session.seen(at.cx).await
    }

    async fn prepare_own(&self, at: &mut At<'_>, password: &SecretString) -> Result<Prepared> {
        let obstacles = self.obstacles(&mut at.session, at.cx).await?;
        obstacles.into_iter().next().map_or(Ok(()), Err)?;
        let prepared = Prepared::new(session::database(&at.login), &at.login.username, password);
        Ok(prepared.proven_as_now(&mut at.session, at.cx).await)
    }

    fn may_lose_a_change(&self) -> bool {
        true
    }

    fn age(&self, session: &Session) -> Option<Duration> {
        Some(session.age())
    }

    async fn set(&self, at: &mut At<'_>, prepared: &Prepared, _: &dyn Fence) -> Result<Change> {
        prepared.send(&mut at.session, at.cx).await
    }

    async fn preflight(&self, at: &mut At<'_>) -> Result<Vec<Finding>> {
        let obstacles = self.obstacles(&mut at.session, at.cx).await?;
        let findings = obstacles.into_iter().map(Finding::Fails);
        let router = at.session.router.then(|| Finding::Warns(CACHED.to_owned()));
        let late = Finding::Warns(LATE_CHANGE.to_owned());
        Ok(findings.chain([late]).chain(router).collect())
    }
}
