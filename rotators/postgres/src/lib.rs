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
mod who_answers;
mod wire;

use std::time::Duration;

use async_trait::async_trait;
use fourstep::net::{TlsSettings, TransportPolicy};
use fourstep::users::{Attempt, Change, Database, Dialect, Driver, End, Login, Strategies};
use fourstep::{Environment, Error, Fence, Finding, Invocation, PasswordPolicy, SecretString};

use change::Prepared;
use password::PasswordFormat;
use session::ChannelSecurity;
use wire::LoggedIn;

pub use session::Session;

/// How AWS's secrets name PostgreSQL. Source: AWS Secrets Manager User Guide, "JSON structure of
/// database secrets".
const DIALECT: Dialect = Dialect {
    engines: &["postgres", "aurora-postgresql"],
    default_port: 5432,
    default_dbname: Some("postgres"),
    longest_name: sql::LONGEST_NAME,
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
    Strategies::of_pairs(
        environment,
        Driver::read(environment, Postgres::read(environment)?)?,
        policy,
    )
}

/// A PostgreSQL server, as far as rotating passwords on it needs.
#[derive(Debug)]
pub struct Postgres {
    tls: TlsSettings,
    transport: TransportPolicy,
    format: PasswordFormat,
}

impl Postgres {
    /// Reads `TLS_CA_BUNDLE`, `TLS_SERVER_NAME`, `ALLOW_PLAINTEXT_FALLBACK`,
    /// `ALLOW_WEAK_AUTHENTICATION` and `POSTGRES_PASSWORD_FORMAT`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](fourstep::ErrorKind::Malformed), naming the variable.
    pub fn read(environment: &Environment) -> Result<Self, Error> {
        Ok(Self {
            tls: TlsSettings::read(environment)?,
            transport: TransportPolicy::read(environment)?,
            format: PasswordFormat::read(environment)?,
        })
    }
}

#[async_trait]
impl Database for Postgres {
    type Session = Session;
    type Prepared = Prepared;

    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    async fn log_in(&self, login: &Login, cx: &Invocation) -> Result<Attempt<Session>, Error> {
        sql::check_name("username", &login.username)?;
        sql::check_name("dbname", login.dbname.as_deref().unwrap_or_default())?;
        let connect = |transport| self.connect(login, transport, cx);
        let mut wire = login.ssl.connect(self.transport, cx, connect).await?;
        Ok(match wire::log_in(&mut wire, login).await? {
            Attempt::Accepted(LoggedIn { method, salt, process, messages }) => {
                let channel =
                    ChannelSecurity { method, weak_authentication: wire.weak_authentication };
                let spliced = wire::driver_bridge(wire.stream, &messages).await?;
                let mut session = Session::new(spliced, channel);
                let said = (process, salt.as_deref());
                self.answered_by_server(&mut session, login, said, cx).await?;
                Attempt::Accepted(session)
            }
            Attempt::Refused(why) => Attempt::Refused(why),
        })
    }

    async fn close(&self, session: Session) {
        session.close().await;
    }

    async fn prepare_own(
        &self,
        session: &mut Session,
        login: &Login,
        password: &SecretString,
        cx: &Invocation,
    ) -> Result<Prepared, Error> {
        change::own_account(session, login, cx).await?;
        change::prepare(session, (&login.username, false), (password, self.format), cx)
    }

    fn locks(&self, prepared: &Prepared) -> Vec<String> {
        vec![prepared.user.clone()]
    }

    async fn begin(
        &self,
        session: &mut Session,
        locks: &[String],
        cx: &Invocation,
    ) -> Result<(), Error> {
        transaction::begin(session, locks, cx).await
    }

    async fn set(
        &self,
        session: &mut Session,
        prepared: &Prepared,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Change, Error> {
        change::set(session, prepared, fence, cx).await
    }

    async fn end(&self, session: &mut Session, end: End, cx: &Invocation) -> Result<(), Error> {
        match end {
            End::Commit { unknown } => transaction::commit(session, unknown, cx).await,
            End::Abandon => {
                transaction::roll_back(session, cx).await;
                Ok(())
            }
        }
    }

    async fn preflight(
        &self,
        session: &mut Session,
        login: &Login,
        cx: &Invocation,
    ) -> Result<Vec<Finding>, Error> {
        preflight::preflight(session, login, cx).await
    }

    async fn rehearse(
        &self,
        session: &mut Session,
        login: &Login,
        password: &SecretString,
        cx: &Invocation,
    ) -> Result<(), Error> {
        let prepared = self.prepare_own(session, login, password, cx).await?;
        change::rehearse(session, &prepared, cx).await
    }

    async fn ask_probe(
        &self,
        session: &mut Session,
        query: &str,
        limit: Duration,
        cx: &Invocation,
    ) -> Result<(), Error> {
        probe::ask(session, query, limit, cx).await
    }
}

#[cfg(test)]
mod live_tests;
