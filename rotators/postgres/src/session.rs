//! An open session: statements bounded by the deadline, each failure in its own class.

use std::io::ErrorKind as ErrorKindOfIo;
use std::time::{Duration, SystemTime};

use fourstep::users::{LoggedIn, Login, driver};
use fourstep::{Error, ErrorKind, Invocation, Result};
use futures_util::TryStreamExt;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, FromRow};
use tokio::task::JoinHandle;

use crate::errors::ServerError;
use crate::redshift;
use crate::wire::{Method, without_panic};

/// The most that is kept of an answer's rows, in bytes beside their texts, which the session's own limit
/// bounds: a hostile server must not fill the memory with very many empty ones.
const MOST_KEPT: usize = 2 * 1024 * 1024;

/// Which of the servers that speak this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    Redshift,
}

impl Kind {
    /// As the secret's `engine` says.
    pub(crate) fn of(login: &Login) -> Self {
        match login.engine {
            Some(redshift::ENGINE) => Self::Redshift,
            _ => Self::Postgres,
        }
    }
}

/// An open session of one user, whose password the server has checked.
///
/// Dropping it closes the connection; an open transaction is rolled back by that.
pub struct Session {
    pub(crate) connection: PgConnection,
    /// Passes its bytes to the server.
    pub(crate) passing: JoinHandle<()>,
    pub(crate) channel: ChannelSecurity,
    pub(crate) kind: Kind,
    /// When it was opened, by the clock on the wall: a container may have been frozen since.
    pub(crate) opened: SystemTime,
    /// As `server_version_num` has it; 0 until it was asked.
    pub(crate) version: i32,
    /// How many rounds a verifier gets that is made for this session's statements.
    pub(crate) rounds: u32,
    /// Whether an account's lock was not taken, because a stranger holds it.
    pub(crate) unlocked: bool,
    /// The role by which its user logs in with something else than its password, once that was asked.
    pub(crate) other_login: Option<String>,
    /// What was said at the login: by which process, and with which salt of SCRAM.
    pub(crate) process: Option<i32>,
    pub(crate) salt: Option<String>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Session")
    }
}

/// On which terms the session was opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChannelSecurity {
    /// How the server checked the password.
    pub(crate) method: Method,
    /// Whether what shows a password may be sent: inside verified TLS, or where the function's
    /// owner allowed it.
    pub(crate) weak_authentication: bool,
}

/// A user who has logged in, or the admin.
pub(crate) type At<'a> = LoggedIn<'a, Session>;

/// How a statement failed.
pub(crate) type Failure = driver::Failure<ServerError>;

/// What a row is read as: a tuple of its columns.
pub(crate) trait Columns: for<'r> FromRow<'r, PgRow> + Send {}

impl<T: for<'r> FromRow<'r, PgRow> + Send> Columns for T {}

impl Session {
    /// Runs one query message, whose rows are dropped as they come. `what` describes it in errors.
    pub(crate) async fn run(
        &mut self,
        what: &str,
        statement: impl Into<String>,
        cx: &Invocation,
    ) -> Result<(), Failure> {
        self.each(what, statement.into(), &mut |_| Ok(()), cx).await
    }

    /// Runs a query of one row.
    pub(crate) async fn ask<T: Columns>(
        &mut self,
        what: &str,
        query: impl Into<String>,
        cx: &Invocation,
    ) -> Result<T> {
        self.rows(what, query, cx).await?.into_iter().next().ok_or_else(|| {
            Error::new(ErrorKind::Unreachable, format!("{what} got no usable answer"))
        })
    }

    /// Runs a query that some users may not ask (SQLSTATE 42501), or some servers not answer (0A000):
    /// nothing there.
    pub(crate) async fn rows_if_allowed<T: Columns>(
        &mut self,
        what: &str,
        query: impl Into<String>,
        cx: &Invocation,
    ) -> Result<Option<Vec<T>>> {
        match self.read(what, query.into(), cx).await {
            Ok(rows) => Ok(Some(rows)),
            Err(Failure::Refused(refusal))
                if ["42501", "0A000"].contains(&refusal.code.as_str()) =>
            {
                Ok(None)
            }
            Err(failure) => Err(failure.of(what)),
        }
    }

    /// Runs a query.
    pub(crate) async fn rows<T: Columns>(
        &mut self,
        what: &str,
        query: impl Into<String>,
        cx: &Invocation,
    ) -> Result<Vec<T>> {
        self.read(what, query.into(), cx).await.map_err(|failure| failure.of(what))
    }

    /// Runs one query message; each row is read as it comes.
    async fn read<T: Columns>(
        &mut self,
        what: &str,
        statement: String,
        cx: &Invocation,
    ) -> Result<Vec<T>, Failure> {
        let mut read = Vec::new();
        let mut keep = |row: &PgRow| {
            if read.len() * size_of::<T>() > MOST_KEPT {
                return Err(std::io::Error::other("it sends more rows than there can be").into());
            }
            read.push(T::from_row(row)?);
            Ok(())
        };
        self.each(what, statement, &mut keep, cx).await?;
        Ok(read)
    }

    /// Sends one query message in the simple protocol, which leaves no prepared statement behind and
    /// passes through poolers. Compiled once, and not for each kind of row.
    async fn each(
        &mut self,
        what: &str,
        statement: String,
        keep: &mut (dyn FnMut(&PgRow) -> sqlx::Result<()> + Send),
        cx: &Invocation,
    ) -> Result<(), Failure> {
        // Asserted safe: statements are put together out of quoted parts.
        let mut rows = sqlx::raw_sql(AssertSqlSafe(statement)).fetch(&mut self.connection);
        let answer = async {
            while let Some(row) = rows.try_next().await? {
                keep(&row)?;
            }
            Ok(())
        };
        let answer = cx.deadline().bound(what, Duration::MAX, without_panic(answer)).await;
        let cause = match answer.map_err(Failure::Lost)? {
            Some(Ok(())) => return Ok(()),
            Some(Err(error)) => match (ServerError::of_driver(&error), error) {
                (Some(refusal), _) => return Err(Failure::Refused(refusal)),
                (None, sqlx::Error::Io(cause)) if cause.kind() == ErrorKindOfIo::UnexpectedEof => {
                    "the server closed it".to_owned()
                }
                (None, sqlx::Error::Io(cause)) => cause.to_string(),
                // The driver's other texts can quote what it was given.
                (None, _) => "the driver cannot read the server's answer".to_owned(),
            },
            None => "the driver cannot read the server's answer".to_owned(),
        };
        let lost = Error::new(ErrorKind::Unreachable, format!("the connection was lost at {what}"));
        Err(Failure::Lost(lost.caused_by(cause)))
    }
}
