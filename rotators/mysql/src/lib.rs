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
mod probe;
mod server;
mod session;
mod sql;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fourstep::net::{TlsSettings, TransportPolicy, within};
use fourstep::users::{
    Alternating, Attempt, ByAdmin, Change, Database, Dialect, DualPassword, Login, SingleUser,
    Strategies, Strategy,
};
use fourstep::{Environment, Error, Fence, Finding, PasswordPolicy, Rotator, SecretString, Turn};

use password::PasswordFormat;

pub use session::Session;

/// The most that one login may take, from the look-up of the name to the open session.
const LOGIN_TIME: Duration = Duration::from_secs(10);

/// How AWS's secrets name MySQL. Source: AWS Secrets Manager User Guide, "JSON structure of
/// database secrets".
const DIALECT: Dialect = Dialect {
    engines: &["mysql", "aurora-mysql", "mariadb"],
    default_port: 3306,
    default_dbname: None,
    // FAILED_LOGIN_ATTEMPTS locks accounts: with current, pending and previous these are five
    // refused logins at most in one delivery.
    most_older_logins: 2,
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
pub fn strategies(environment: &Environment) -> Result<Strategies, Error> {
    let policy = PasswordPolicy::read(environment, EXCLUDED_CHARACTERS)?;
    let database = Arc::new(Mysql::read(environment)?);
    Strategies::read(environment, |strategy| {
        let (database, policy) = (database.clone(), policy.clone());
        let rotator: Box<dyn Rotator> = match strategy {
            Strategy::SingleUser => Box::new(SingleUser::new(database, policy)),
            Strategy::SingleUserByAdmin => Box::new(ByAdmin::read(environment, database, policy)?),
            Strategy::AlternatingUsers => {
                Box::new(Alternating::read(environment, database, policy)?)
            }
            Strategy::DualPassword => Box::new(DualPassword::new(database, policy)),
        };
        Ok(Some(rotator))
    })
}

/// A MySQL or MariaDB server, as far as rotating passwords on it needs.
#[derive(Debug)]
pub struct Mysql {
    tls: TlsSettings,
    transport: TransportPolicy,
    format: PasswordFormat,
    username_limit: usize,
    probe: Option<String>,
}

impl Mysql {
    /// Reads `TLS_CA_BUNDLE`, `TLS_SERVER_NAME`, `ALLOW_PLAINTEXT_FALLBACK`,
    /// `ALLOW_WEAK_AUTHENTICATION`, `MARIADB_PASSWORD_FORMAT`, `USERNAME_CHARACTER_LIMIT` and
    /// `PROBE_QUERY`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](fourstep::ErrorKind::Malformed), naming the variable.
    pub fn read(environment: &Environment) -> Result<Self, Error> {
        Ok(Self {
            tls: TlsSettings::read(environment)?,
            transport: TransportPolicy::read(environment)?,
            format: PasswordFormat::read(environment)?,
            username_limit: environment
                .number("USERNAME_CHARACTER_LIMIT")?
                .unwrap_or(LONGEST_USERNAME),
            probe: probe::read(environment)?,
        })
    }

    async fn open(&self, login: &Login, turn: &Turn) -> Result<Attempt<Session>, Error> {
        let connect = |transport| self.connect(login, transport, turn);
        let mut wire = login.ssl.connect(self.transport, turn, connect).await?;
        match wire::log_in(&mut wire, login).await? {
            Attempt::Accepted(plugin) => {
                Ok(Attempt::Accepted(Session::open(wire, plugin, login, turn).await?))
            }
            Attempt::Refused(why) => {
                turn.count_rejected_login();
                Ok(Attempt::Refused(why))
            }
        }
    }
}

#[async_trait]
impl Database for Mysql {
    type Session = Session;

    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    async fn log_in(&self, login: &Login, turn: &Turn) -> Result<Attempt<Session>, Error> {
        within(turn, "the login", LOGIN_TIME, self.open(login, turn))
            .await
            .flatten()
            .map_err(|error| error.while_doing(format!("cannot log in as {}", login.account())))
    }

    async fn change_own_password(
        &self,
        session: Session,
        login: &Login,
        password: &SecretString,
        fence: &Fence<'_>,
        turn: &Turn,
    ) -> Result<Change, Error> {
        self.change(session, login, password, &|| Box::pin(fence.pass()), turn).await
    }

    async fn preflight(
        &self,
        session: Session,
        login: &Login,
        turn: &Turn,
    ) -> Result<Vec<Finding>, Error> {
        self.look(session, login, turn).await
    }

    async fn probe(&self, login: &Login, turn: &Turn) -> Result<(), Error> {
        match &self.probe {
            Some(query) => probe::ask(self, query, login, turn).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod try_out;
