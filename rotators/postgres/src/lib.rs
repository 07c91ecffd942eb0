//! PostgreSQL for Fourstep: RDS, Aurora and self-managed servers, version 10 and later.
//!
//! [`Postgres`] is the [`Database`] behind the strategies. A login counts only if the server asked
//! for the password and checked it; a new password reaches the server as a SCRAM-SHA-256 verifier
//! that is computed here, unless another form is asked for; and the change is one transaction, behind an advisory lock named after
//! the account, the framework's fence, and limits that the server itself enforces.

mod accounts;
mod admin;
mod alternate;
mod change;
mod errors;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod password;
mod preflight;
mod probe;
mod session;
mod sql;
mod transaction;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fourstep::net::{TlsSettings, TransportPolicy, within};
use fourstep::users::{
    Alternating, Attempt, ByAdmin, Change, Database, Dialect, Login, SingleUser, Strategies,
    Strategy,
};
use fourstep::{Environment, Error, Fence, Finding, PasswordPolicy, Rotator, SecretString, Turn};

use change::NewPassword;
use password::PasswordFormat;
use session::Terms;
use wire::Greeting;

pub use session::Session;

/// The most that one login may take, from the look-up of the name to the open session.
const LOGIN_TIME: Duration = Duration::from_secs(10);

/// How AWS's secrets name PostgreSQL. Source: AWS Secrets Manager User Guide, "JSON structure of
/// database secrets".
const DIALECT: Dialect = Dialect {
    engines: &["postgres", "aurora-postgresql"],
    default_port: 5432,
    default_dbname: Some("postgres"),
    // PostgreSQL locks no account for refused logins.
    most_older_logins: 8,
};

/// What a generated password leaves out unless `EXCLUDE_CHARACTERS` says otherwise. As AWS's
/// PostgreSQL template: `:` stands between the fields of a .pgpass file.
pub const EXCLUDED_CHARACTERS: &str = ":/@\"'\\";

/// The function's rotator, as its environment variables describe it.
///
/// # Errors
/// [`ErrorKind::Malformed`](fourstep::ErrorKind::Malformed), naming the variable.
pub fn strategies(environment: &Environment) -> Result<Strategies, Error> {
    let policy = PasswordPolicy::read(environment, EXCLUDED_CHARACTERS)?;
    let database = Arc::new(Postgres::read(environment)?);
    Strategies::read(environment, |strategy| {
        let (database, policy) = (database.clone(), policy.clone());
        let rotator: Box<dyn Rotator> = match strategy {
            Strategy::SingleUser => Box::new(SingleUser::new(database, policy)),
            Strategy::SingleUserByAdmin => Box::new(ByAdmin::read(environment, database, policy)?),
            Strategy::AlternatingUsers => {
                Box::new(Alternating::read(environment, database, policy)?)
            }
            Strategy::DualPassword => return Ok(None),
        };
        Ok(Some(rotator))
    })
}

/// A PostgreSQL server, as far as rotating passwords on it needs.
#[derive(Debug)]
pub struct Postgres {
    tls: TlsSettings,
    transport: TransportPolicy,
    format: PasswordFormat,
    probe: Option<String>,
}

impl Postgres {
    /// Reads `TLS_CA_BUNDLE`, `TLS_SERVER_NAME`, `ALLOW_PLAINTEXT_FALLBACK`,
    /// `ALLOW_WEAK_AUTHENTICATION`, `POSTGRES_PASSWORD_FORMAT` and
    /// `PROBE_QUERY`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](fourstep::ErrorKind::Malformed), naming the variable.
    pub fn read(environment: &Environment) -> Result<Self, Error> {
        Ok(Self {
            tls: TlsSettings::read(environment)?,
            transport: TransportPolicy::read(environment)?,
            format: PasswordFormat::read(environment)?,
            probe: probe::read(environment)?,
        })
    }

    async fn open(&self, login: &Login, turn: &Turn) -> Result<Attempt<Session>, Error> {
        let connect = |transport| self.connect(login, transport, turn);
        let mut wire = login.ssl.connect(self.transport, turn, connect).await?;
        Ok(match wire::log_in(&mut wire, login).await? {
            Attempt::Accepted(Greeting { method, messages }) => {
                let terms = Terms { method, weak_authentication: wire.weak_authentication };
                let spliced = wire::splice(wire.stream, &messages).await?;
                Attempt::Accepted(Session::new(spliced, terms))
            }
            Attempt::Refused(why) => {
                turn.count_rejected_login();
                Attempt::Refused(why)
            }
        })
    }
}

#[async_trait]
impl Database for Postgres {
    type Session = Session;

    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    async fn log_in(&self, login: &Login, turn: &Turn) -> Result<Attempt<Session>, Error> {
        sql::check_name("username", &login.username)?;
        sql::check_name("dbname", login.dbname.as_deref().unwrap_or_default())?;
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
        let new = NewPassword { password, format: self.format };
        change::change_own_password(session, login, new, fence.pass(), turn).await
    }

    async fn preflight(
        &self,
        session: Session,
        login: &Login,
        turn: &Turn,
    ) -> Result<Vec<Finding>, Error> {
        preflight::preflight(session, login, turn).await
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
