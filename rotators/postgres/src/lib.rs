//! PostgreSQL for Fourstep: RDS, Aurora and self-managed servers, version 10 and later; and Amazon
//! Redshift, which speaks the same protocol (`redshift`).
//!
//! [`Postgres`] is the [`Database`] behind the strategies. A login counts only if the server asked
//! for the password and checked it; a new password reaches the server as a SCRAM-SHA-256 verifier
//! that is computed here, unless another form is asked for; and the change is one transaction, behind an advisory lock named after
//! the account, the framework's fence, and limits that the server itself enforces.

mod accounts;
mod admin;
mod alternate;
mod blue_green;
mod change;
mod errors;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod lock;
mod password;
mod preflight;
mod redshift;
mod session;
mod sql;
mod verifier;
mod who_answers;
mod wire;

use std::time::Duration;

use async_trait::async_trait;
use fourstep::net::{TlsSettings, TransportPolicy};
use fourstep::users::{Attempt, Change, Database, Dialect, Driver, End, Login, Strategies};
use fourstep::{
    Environment, Error, ErrorKind, Fence, Finding, Invocation, PasswordPolicy, Result,
    SecretString, Seen,
};
use sqlx::Connection;

use blue_green::BlueGreen;
use change::{Prepared, UNCHANGED};
use password::PasswordFormat;
use session::{At, Kind};

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
    besides: &[redshift::DIALECT],
};

/// The least time that must be left to send COMMIT: below it the change is rolled back, because
/// its outcome might not be heard.
const COMMIT_TIME: Duration = Duration::from_secs(1);

/// What a generated password leaves out unless `EXCLUDE_CHARACTERS` says otherwise. As AWS's
/// PostgreSQL template: `:` stands between the fields of a .pgpass file.
pub const EXCLUDED_CHARACTERS: &str = ":/@\"'\\";

/// The function's rotator, as its environment variables describe it.
///
/// # Errors
/// [`ErrorKind::Malformed`], naming the variable.
pub fn strategies(environment: &Environment) -> Result<Strategies> {
    let policy = PasswordPolicy::read(environment, EXCLUDED_CHARACTERS)?;
    let driver = Driver::read(environment, Postgres::read(environment)?)?;
    Strategies::of_pairs(environment, driver, policy)
}

/// A PostgreSQL server, as far as rotating passwords on it needs.
#[derive(Debug)]
pub struct Postgres {
    tls: TlsSettings,
    transport: TransportPolicy,
    format: PasswordFormat,
    blue_green: BlueGreen,
}

impl Postgres {
    /// Reads `TLS_CA_BUNDLE`, `TLS_SERVER_NAME`, `ALLOW_PLAINTEXT_FALLBACK`,
    /// `ALLOW_WEAK_AUTHENTICATION`, `POSTGRES_PASSWORD_FORMAT`, `ALLOW_BLUE_GREEN`,
    /// `SAME_DATABASE_HOSTS` and `AWS_ENDPOINT_URL_RDS`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub fn read(environment: &Environment) -> Result<Self> {
        Ok(Self {
            tls: TlsSettings::read(environment)?,
            transport: TransportPolicy::read(environment)?,
            format: PasswordFormat::read(environment)?,
            blue_green: BlueGreen::read(environment)?,
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

    fn policy(&self, login: &Login, policy: PasswordPolicy) -> Result<PasswordPolicy> {
        match Kind::of(login) {
            Kind::Postgres => Ok(policy),
            Kind::Redshift => redshift::policy(policy),
        }
    }

    /// IAM and directories let users in at RDS only, and deployments are there.
    fn may_log_in_otherwise(&self, login: &Login) -> bool {
        Kind::of(login) == Kind::Postgres && self.blue_green.knows(login)
    }

    async fn log_in(&self, login: &Login, cx: &Invocation) -> Result<Attempt<Session>> {
        let mut entered = self.enter(login, cx).await?;
        if let Attempt::Accepted(session) = &mut entered {
            match session.kind {
                Kind::Postgres => self.answered_by_server(session, login, cx).await?,
                Kind::Redshift => redshift::identify(session, cx).await?,
            }
        }
        Ok(entered)
    }

    async fn log_in_at_proxy(&self, login: &Login, cx: &Invocation) -> Result<Attempt<Session>> {
        let mut entered = self.enter(login, cx).await?;
        if let Attempt::Accepted(session) = &mut entered {
            who_answers::serving(session, cx).await?;
        }
        Ok(entered)
    }

    async fn close(&self, session: Session) {
        let Session { connection, passing, .. } = session;
        let _ = wire::without_panic(connection.close()).await;
        let _ = passing.await;
    }

    async fn prepare_own(&self, at: &mut At<'_>, password: &SecretString) -> Result<Prepared> {
        change::own_account(at).await?;
        if let Some(refused) = accounts::own_other_login(&at.session, &at.login) {
            return Err(refused.caused_by(UNCHANGED));
        }
        self.prepare(&at.session, (&at.login.username, false), password, at.cx)
    }

    fn locks(&self, prepared: &Prepared) -> Vec<String> {
        prepared.locks.clone()
    }

    fn age(&self, session: &Session) -> Option<Duration> {
        // A clock that went back makes it as old as can be.
        let age = || session.opened.elapsed().unwrap_or(Duration::MAX);
        (session.kind == Kind::Redshift).then(age)
    }

    async fn begin(&self, at: &mut At<'_>, locks: &[String]) -> Result<()> {
        let [left, wait] = at.cx.time_for_a_change()?;
        if at.session.kind == Kind::Redshift {
            return redshift::begin(&mut at.session, left, at.cx).await;
        }
        let what = "the beginning of a transaction";
        let begun = at.session.run(what, sql::begin(left, wait), at.cx).await;
        begun.map_err(|failure| failure.of(what).caused_by(UNCHANGED))?;
        at.session.unlocked = false;
        for user in locks {
            lock::take(&mut at.session, user, at.cx)
                .await
                .map_err(|error| error.caused_by(UNCHANGED))?;
        }
        Ok(())
    }

    /// Where a stranger holds the account's lock, the role's row, which the statement locks, stands for
    /// it: so the fence is passed again behind it.
    async fn set(&self, at: &mut At<'_>, prepared: &Prepared, fence: &dyn Fence) -> Result<Change> {
        let made = change::alter(&mut at.session, prepared, at.cx).await?;
        if made == Change::Made && at.session.unlocked {
            fence.pass().await?;
        }
        Ok(made)
    }

    /// Commits, or rolls back if no time is left to hear how that ended.
    async fn end(&self, at: &mut At<'_>, end: End) -> Result<()> {
        let left = at.cx.deadline().remaining();
        match end {
            // The statement stood for itself.
            End::Commit { .. } if at.session.kind == Kind::Redshift => Ok(()),
            End::Commit { unknown } if left >= COMMIT_TIME => {
                let committed = at.session.run("COMMIT", "COMMIT", at.cx).await;
                committed.map_err(|failure| errors::of_commit(failure, unknown))
            }
            end => {
                // Where this fails, the end of the connection does the same.
                let _ = at.session.run("ROLLBACK", "ROLLBACK", at.cx).await;
                if end == End::Abandon {
                    return Ok(());
                }
                let why = format!("{:.1} s are left, too little to commit", left.as_secs_f64());
                Err(Error::new(ErrorKind::OutOfTime, "rolled back; nothing was changed")
                    .caused_by(why))
            }
        }
    }

    async fn seen(&self, at: &mut At<'_>) -> Result<Seen> {
        match at.session.kind {
            Kind::Redshift => Ok(redshift::seen(at).await),
            Kind::Postgres => preflight::seen(&mut at.session, at.cx).await,
        }
    }

    async fn outlook(&self, at: &mut At<'_>) -> Result<Vec<Finding>> {
        if at.session.kind == Kind::Redshift {
            return Ok(Vec::new());
        }
        let found = self.blue_green.look(at).await;
        found.map_err(|error| error.caused_by(UNCHANGED))
    }

    async fn preflight(&self, at: &mut At<'_>) -> Result<Vec<Finding>> {
        if at.session.kind == Kind::Redshift {
            return redshift::preflight(at).await;
        }
        let days = at.cx.days_to_next_rotation();
        let facts = at.session.ask("a look at the account", preflight::facts(days), at.cx).await?;
        let mut findings = preflight::judge(&at.login, facts, days);
        findings.extend(accounts::own_other_login(&at.session, &at.login).map(Finding::Fails));
        findings.extend(preflight::banned_early(at).await?);
        Ok(findings)
    }

    async fn rehearse(&self, at: &mut At<'_>, password: &SecretString) -> Result<()> {
        // What its transactions undo was not seen.
        if at.session.kind == Kind::Redshift {
            return Ok(());
        }
        let prepared = self.prepare_own(at, password).await?;
        self.begin(at, &[]).await?;
        let what = "the beginning of a rehearsal";
        let made = match at.session.run(what, sql::BRIEFLY, at.cx).await {
            Ok(()) => change::alter(&mut at.session, &prepared, at.cx).await,
            Err(failure) => Err(failure.of(what)),
        };
        self.end(at, End::Abandon).await?;
        match made? {
            Change::Made => Ok(()),
            Change::Refused(why) => Err(why),
        }
    }

    async fn ask_probe(&self, at: &mut At<'_>, query: &str, limit: Duration) -> Result<()> {
        let statement = match at.session.kind {
            Kind::Postgres => sql::begin_probe(limit),
            Kind::Redshift => redshift::begin_probe(limit),
        };
        let begin = at.session.run("the probe's beginning", statement, at.cx).await;
        begin.map_err(|failure| failure.of("the probe"))?;
        let asked = at.session.run("PROBE_QUERY", query, at.cx).await;
        asked.map_err(|failure| failure.sorted(errors::of_probe))
    }
}
