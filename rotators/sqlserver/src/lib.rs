//! Microsoft SQL Server for Fourstep: Amazon RDS and servers of one's own, SQL Server 2012 and later.
//!
//! [`Sqlserver`] is the [`Database`] behind the strategies. The login is never sent bare unless that is
//! allowed; a session says itself whether a login or a contained user opened it. A user changes its own
//! password by a statement that compares the old one, behind a lock named after the account and the
//! framework's fence; one that has expired is changed in the login itself. docs/sqlserver.md says what of it
//! was tested, and against what.

mod admin;
mod change;
mod errors;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod preflight;
mod session;
mod sql;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use fourstep::net::{TlsSettings, TransportPolicy};
use fourstep::users::driver::Failure;
use fourstep::users::{
    Attempt, ByAdmin, Change, Database, Dialect, Driver, Login, SingleUser, Strategies, Strategy,
};
use fourstep::{
    Environment, Error, ErrorKind, Fence, Finding, Invocation, PasswordPolicy, Result, Rotator,
    SecretString, Seen,
};

pub use change::Prepared;
use session::At;

pub use session::Session;

use change::How;
use errors::UNCHANGED;
use wire::Channel;

/// How secrets name SQL Server: AWS's word first (AWS Secrets Manager User Guide, "JSON structure of
/// database secrets"); the others are the RDS API's, for an admin's secret that RDS manages.
const DIALECT: Dialect = Dialect {
    engines: &["sqlserver", "sqlserver-ee", "sqlserver-se", "sqlserver-ex", "sqlserver-web"],
    default_port: 1433,
    default_dbname: Some("master"),
    // 128 units of UTF-16, which are counted before a login is sent.
    longest_name: 384,
    // The policy of Windows locks logins after a few refused passwords. One finds what a rotation
    // set that was cancelled behind its change; without that nobody would know the password.
    most_older_logins: 1,
    besides: &[],
};

/// What a generated password leaves out unless `EXCLUDE_CHARACTERS` says otherwise. As AWS's SQL Server
/// template.
pub const EXCLUDED_CHARACTERS: &str = "/@\"'\\";

/// The function's rotator, as its environment variables describe it.
///
/// # Errors
/// [`ErrorKind::Malformed`], naming the variable.
pub fn strategies(environment: &Environment) -> Result<Strategies> {
    let policy = PasswordPolicy::read(environment, EXCLUDED_CHARACTERS)?;
    let policy = policy.no_longer_than(sql::LONGEST_PASSWORD)?;
    let database = Arc::new(Driver::read(environment, Sqlserver::read(environment)?)?);
    Strategies::read(environment, |strategy| {
        let (database, policy) = (database.clone(), policy.clone());
        let rotator: Box<dyn Rotator> = match strategy {
            Strategy::SingleUser => Box::new(SingleUser::new(database, policy)),
            Strategy::SingleUserByAdmin => Box::new(ByAdmin::read(environment, database, policy)?),
            Strategy::AlternatingUsers => return Err(no_pairs()),
            Strategy::DualPassword => return Ok(None),
        };
        Ok(Some(rotator))
    })
}

/// The refusal of two users in turn.
fn no_pairs() -> Error {
    Error::new(
        ErrorKind::Malformed,
        "the environment variable ROTATION_STRATEGY lists alternating-users, which SQL Server has not here",
    )
    .caused_by(
        "roles of the server and of each database, rights, owned schemas and default schemas are not carried \
         over; choose single-user or single-user-by-admin",
    )
}

/// A SQL Server, as far as rotating passwords on it needs.
#[derive(Debug)]
pub struct Sqlserver {
    tls: TlsSettings,
    transport: TransportPolicy,
}

impl Sqlserver {
    /// Reads `TLS_CA_BUNDLE`, `TLS_SERVER_NAME`, `ALLOW_ANY_SERVER_NAME`, `ALLOW_PLAINTEXT_FALLBACK` and
    /// `ALLOW_WEAK_AUTHENTICATION`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub fn read(environment: &Environment) -> Result<Self> {
        let (tls, transport) =
            (TlsSettings::read(environment)?, TransportPolicy::read(environment)?);
        Ok(Self { tls, transport })
    }

    /// Logs in on a connection, and asks whose session that is.
    async fn begin_session(
        mut channel: Channel,
        login: &Login,
        cx: &Invocation,
    ) -> Result<Attempt<Session>> {
        match wire::log_in(&mut channel, login, None).await {
            Ok(()) => Ok(Attempt::Accepted(Session::open(channel, login, cx).await?)),
            Err(Failure::Refused(refusal)) if refusal.is_expired() => {
                Ok(Attempt::Accepted(Session::expired(login, refusal)))
            }
            Err(failure) => failure
                .while_doing("during the login")
                .decided(|refusal| errors::of_login(&refusal).map(Attempt::Refused)),
        }
    }
}

#[async_trait]
impl Database for Sqlserver {
    const NOT_HERE: &[(&str, &str)] = &[
        ("PROBE_QUERY", "SQL Server has no transaction that may only read"),
        ("REFUSE_OPEN_SESSIONS", "it is for two users in turn, which this function has not"),
    ];

    type Session = Session;
    type Prepared = Prepared;

    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    fn asks_before_proposing(&self, _: &Login) -> bool {
        true
    }

    /// What the policy of Windows demands, which a login may be held to and a contained user is. Source: SQL
    /// Server documentation, "Password Policy".
    fn policy(&self, _: &Login, policy: PasswordPolicy) -> Result<PasswordPolicy> {
        policy.mixed(8..=sql::LONGEST_PASSWORD, "")
    }

    async fn log_in(&self, login: &Login, cx: &Invocation) -> Result<Attempt<Session>> {
        let connect = |transport| self.connect(login, transport, cx);
        let channel = login.ssl.connect(self.transport, cx, connect).await?;
        Self::begin_session(channel, login, cx).await
    }

    async fn close(&self, session: Session) {
        session.close().await;
    }

    fn usable(&self, session: &Session) -> Result<()> {
        session.identity().map(drop)
    }

    async fn seen(&self, at: &mut At<'_>) -> Result<Seen> {
        at.session.seen(at.cx).await
    }

    async fn prepare_own(&self, at: &mut At<'_>, password: &SecretString) -> Result<Prepared> {
        Prepared::own(&at.session, password)
    }

    fn locks(&self, prepared: &Prepared) -> Vec<String> {
        prepared.lock.iter().cloned().collect()
    }

    async fn begin(&self, at: &mut At<'_>, locks: &[String]) -> Result<()> {
        let [_, wait] = at.cx.time_for_a_change()?;
        if at.session.identity().is_err() {
            // There is no session to hold a lock: the login itself compares the password.
            return Ok(());
        }
        let unchanged = |error: Error| error.caused_by(UNCHANGED);
        at.session
            .rows("the session's limits", &sql::limits(wait), at.cx)
            .await
            .map_err(unchanged)?;
        for lock in locks {
            let asked = at.session.ask("the account's lock", &sql::lock(lock, wait)?, at.cx).await;
            let [taken]: [Option<String>; 1] = asked.map_err(unchanged)?;
            if !matches!(taken.as_deref(), Some("0" | "1")) {
                return Err(change::held(taken.as_deref()));
            }
        }
        Ok(())
    }

    async fn set(&self, at: &mut At<'_>, prepared: &Prepared, fence: &dyn Fence) -> Result<Change> {
        match &prepared.how {
            How::Statement { statement, own } => {
                change::exchange(&mut at.session, statement, *own, at.cx).await
            }
            How::AtLogin(password) => {
                self.at_login(&at.session.login, password, fence, at.cx).await
            }
            How::TooLong => Ok(change::refused_length()),
        }
    }

    async fn preflight(&self, at: &mut At<'_>) -> Result<Vec<Finding>> {
        preflight::look(at).await
    }
}
