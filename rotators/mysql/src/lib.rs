//! MySQL and MariaDB for Fourstep: RDS, Aurora and self-managed servers; MySQL 8.0.14 and later,
//! MariaDB 10.11 and later.
//!
//! [`Mysql`] is the [`Database`] behind the strategies. A login counts only if the server asked for
//! the password and checked it, and let in the very user. The change happens behind a lock named
//! after the account, the framework's fence, and limits that the server itself enforces. MySQL keeps
//! passwords out of its logs by itself; MariaDB gets a hash that is computed here.

mod admin;
mod alternate;
mod change;
mod dual;
mod errors;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod hosts;
mod password;
mod preflight;
mod server;
mod session;
mod sql;
mod wire;

use std::time::Duration;

use async_trait::async_trait;
use fourstep::net::{TlsSettings, TransportPolicy};
use fourstep::users::{
    Attempt, Change, Database, Dialect, Driver, Login, SameHosts, Strategies, Swap,
};
use fourstep::{
    Environment, Error, Fence, Finding, Invocation, PasswordPolicy, Result, SecretString, Seen,
};

use change::{How, Prepared, UNCHANGED};
use password::PasswordFormat;
use server::{Flavour, not_the_server};

use session::At;

pub use session::Session;

/// How AWS's secrets name MySQL. Source: AWS Secrets Manager User Guide, "JSON structure of
/// database secrets".
const DIALECT: Dialect = Dialect {
    engines: &["mysql", "aurora-mysql", "mariadb"],
    default_port: 3306,
    default_dbname: None,
    // 128 characters of MariaDB's users; a server's own limit is its own to say.
    longest_name: 512,
    // FAILED_LOGIN_ATTEMPTS locks accounts: with current, pending and previous these are five
    // refused logins at most in one delivery.
    most_older_logins: 2,
    besides: &[],
};

/// What a generated password leaves out unless `EXCLUDE_CHARACTERS` says otherwise. As AWS's MySQL
/// template.
pub const EXCLUDED_CHARACTERS: &str = "/@\"'\\";

/// The longest user name that any of these servers takes, MariaDB's, in characters. A server's own
/// limit is known when it is asked about the user.
const LONGEST_USERNAME: usize = 128;

/// The function's rotator, as its environment variables describe it.
///
/// # Errors
/// [`ErrorKind::Malformed`](fourstep::ErrorKind::Malformed), naming the variable.
pub fn strategies(environment: &Environment) -> Result<Strategies> {
    let policy = PasswordPolicy::read(environment, EXCLUDED_CHARACTERS)?;
    let policy = policy.no_longer_than(sql::LONGEST_PASSWORD)?;
    let driver = Driver::read(environment, Mysql::read(environment)?)?;
    Strategies::of_two_passwords(environment, driver, policy)
}

/// A MySQL or MariaDB server, as far as rotating passwords on it needs.
#[derive(Debug)]
pub struct Mysql {
    tls: TlsSettings,
    transport: TransportPolicy,
    format: PasswordFormat,
    username_limit: usize,
    hosts: SameHosts,
}

impl Mysql {
    /// Reads `TLS_CA_BUNDLE`, `TLS_SERVER_NAME`, `ALLOW_PLAINTEXT_FALLBACK`,
    /// `ALLOW_WEAK_AUTHENTICATION`, `MARIADB_PASSWORD_FORMAT`, `USERNAME_CHARACTER_LIMIT` and
    /// `SAME_DATABASE_HOSTS`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](fourstep::ErrorKind::Malformed), naming the variable.
    pub fn read(environment: &Environment) -> Result<Self> {
        Ok(Self {
            tls: TlsSettings::read(environment)?,
            transport: TransportPolicy::read(environment)?,
            format: PasswordFormat::read(environment)?,
            username_limit: environment
                .number("USERNAME_CHARACTER_LIMIT")?
                .unwrap_or(LONGEST_USERNAME),
            hosts: SameHosts::read(environment)?,
        })
    }
}

#[async_trait]
impl Database for Mysql {
    type Session = Session;
    type Prepared = Prepared;

    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    /// IAM lets users in at RDS only.
    fn may_log_in_otherwise(&self, login: &Login) -> bool {
        self.hosts.name_at_rds(login).is_some()
    }

    async fn log_in(&self, login: &Login, cx: &Invocation) -> Result<Attempt<Session>> {
        match self.log_in_at_proxy(login, cx).await? {
            Attempt::Accepted(session) if !session.itself => Err(not_the_server()),
            attempt => Ok(attempt),
        }
    }

    async fn log_in_at_proxy(&self, login: &Login, cx: &Invocation) -> Result<Attempt<Session>> {
        let connect = |transport| self.connect(login, transport, cx);
        let mut wire = login.ssl.connect(self.transport, cx, connect).await?;
        Ok(match wire::log_in(&mut wire, login).await? {
            Attempt::Accepted(plugin) => {
                Attempt::Accepted(Session::open(wire, plugin, login, cx).await?)
            }
            Attempt::Refused(why) => Attempt::Refused(why),
        })
    }

    async fn close(&self, session: Session) {
        session.close().await;
    }

    fn usable(&self, session: &Session) -> Result<()> {
        session.server.usable()
    }

    async fn seen(&self, at: &mut At<'_>) -> Result<Seen> {
        alternate::read::seen(&mut at.session, &at.login.username, at.cx).await
    }

    async fn prepare_own(&self, at: &mut At<'_>, password: &SecretString) -> Result<Prepared> {
        self.changeable(&mut at.session, at.cx).await?;
        let locks = vec![at.session.server.account(&at.login)];
        Ok(Prepared { locks, how: How::Own(password.clone()) })
    }

    fn locks(&self, prepared: &Prepared) -> Vec<String> {
        prepared.locks.clone()
    }

    async fn begin(&self, at: &mut At<'_>, locks: &[String]) -> Result<()> {
        let [left, wait] = at.cx.time_for_a_change()?;
        let unchanged = |error: Error| error.caused_by(UNCHANGED);
        let expired = at.session.server.expired;
        if expired && at.session.server.flavour == Flavour::Mysql {
            // It allows no statement but the change, for which REPLACE stands for the lock: it is compared
            // with the password that logged in.
            return Ok(());
        }
        let what = "the session's limits";
        let limits = sql::limits(at.session.server.flavour, left, wait);
        at.session
            .run(what, &limits, at.cx)
            .await
            .map_err(|failure| unchanged(failure.of(what)))?;
        if expired && !locks.is_empty() {
            return change::lock_unasked(&mut at.session, wait, at.cx).await;
        }
        for account in locks {
            let lock = sql::lock(account, wait);
            let asked = at.session.ask("the account's lock", &lock, at.cx).await;
            let [taken] = asked.map_err(unchanged)?;
            if taken.as_deref() != Some("1") {
                return Err(change::held(&mut at.session, account, at.cx).await);
            }
        }
        Ok(())
    }

    async fn set(&self, at: &mut At<'_>, prepared: &Prepared, fence: &dyn Fence) -> Result<Change> {
        let sent = match &prepared.how {
            How::Own(password) => self.set_own(&mut at.session, password, fence, at.cx).await,
            How::Others { statement, discard } => {
                let sent = change::exchange(&mut at.session, statement, at.cx).await;
                if let (Ok(Swap::Made), Some(discard)) = (&sent, discard)
                    && at.session.run("DISCARD OLD PASSWORD", discard, at.cx).await.is_err()
                {
                    at.cx.warn("the password was changed, but an older one may still be valid");
                }
                sent
            }
        };
        match sent? {
            Swap::Made => Ok(Change::Made),
            Swap::Refused(why) => Ok(Change::Refused(why)),
            Swap::NotPrimary | Swap::CurrentRequired => Err(change::current_required()),
        }
    }

    async fn preflight(&self, at: &mut At<'_>) -> Result<Vec<Finding>> {
        self.look(at).await
    }

    async fn ask_probe(&self, at: &mut At<'_>, query: &str, _: Duration) -> Result<()> {
        let what = "the probe's beginning";
        let begin = at.session.run(what, "START TRANSACTION READ ONLY", at.cx).await;
        begin.map_err(|failure| failure.of(what))?;
        let asked = at.session.run("PROBE_QUERY", query, at.cx).await;
        asked.map(drop).map_err(|failure| failure.sorted(errors::of_probe))
    }
}

#[cfg(test)]
mod live_tests;
