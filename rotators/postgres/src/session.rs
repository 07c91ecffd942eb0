//! An open session: statements bounded by the deadline, each failure in its own class.

use std::io::ErrorKind as ErrorKindOfIo;
use std::time::Duration;

use fourstep::users::driver;
use fourstep::{Error, ErrorKind, Invocation};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection, Row};
use tokio::task::JoinHandle;

use crate::errors::ServerError;
use crate::wire::{Method, without_panic};

/// An open session of one user, whose password the server has checked.
///
/// Dropping it closes the connection; an open transaction is rolled back by that.
pub struct Session {
    connection: PgConnection,
    passing: JoinHandle<()>,
    channel: ChannelSecurity,
    /// As `server_version_num` has it; 0 until it was asked.
    pub(crate) version: u32,
    /// Whether an account's lock was not taken, because a stranger holds it.
    pub(crate) unlocked: bool,
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

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Session")
    }
}

/// How a statement failed.
pub(crate) type Failure = driver::Failure<ServerError>;

impl Session {
    pub(crate) fn new(
        (connection, passing): (PgConnection, JoinHandle<()>),
        channel: ChannelSecurity,
    ) -> Self {
        Self { connection, passing, channel, version: 0, unlocked: false }
    }

    pub(crate) fn channel(&self) -> ChannelSecurity {
        self.channel
    }

    /// Runs one query message in the simple protocol, which leaves no prepared statement behind
    /// and passes through poolers. `what` describes it in errors.
    pub(crate) async fn run(
        &mut self,
        what: &str,
        statement: String,
        cx: &Invocation,
    ) -> Result<Vec<PgRow>, Failure> {
        // Asserted safe: statements are put together in `sql`, out of quoted parts.
        let query = sqlx::raw_sql(AssertSqlSafe(statement)).fetch_all(&mut self.connection);
        let lost = |cause: &str| {
            Failure::Lost(
                Error::new(ErrorKind::Unreachable, format!("the connection was lost at {what}"))
                    .caused_by(cause),
            )
        };
        let answer = cx
            .deadline()
            .bound(what, Duration::MAX, without_panic(query))
            .await
            .map_err(Failure::Late)?;
        match answer {
            Some(Ok(rows)) => Ok(rows),
            Some(Err(error)) => Err(match (ServerError::of_driver(&error), error) {
                (Some(refusal), _) => Failure::Refused(refusal),
                (None, sqlx::Error::Io(cause)) if cause.kind() == ErrorKindOfIo::UnexpectedEof => {
                    lost("the server closed it")
                }
                (None, sqlx::Error::Io(cause)) => lost(&cause.to_string()),
                // The driver's other texts can quote what it was given.
                (None, _) => lost("the driver cannot read the server's answer"),
            }),
            None => Err(lost("the driver cannot read the server's answer")),
        }
    }

    /// Runs a query of one row of text columns.
    pub(crate) async fn ask<const N: usize>(
        &mut self,
        what: &str,
        query: &str,
        cx: &Invocation,
    ) -> Result<[Option<String>; N], Error> {
        let rows = self.run(what, query.to_owned(), cx).await.map_err(|fail| fail.of(what))?;
        let mut answer = [const { None }; N];
        for (column, value) in answer.iter_mut().enumerate() {
            *value = rows.first().and_then(|row| row.try_get(column).ok()).ok_or_else(|| {
                Error::new(ErrorKind::Unreachable, format!("{what} got no usable answer"))
            })?;
        }
        Ok(answer)
    }

    /// Runs a query whose rows are of text columns.
    pub(crate) async fn rows<const N: usize>(
        &mut self,
        what: &str,
        query: String,
        cx: &Invocation,
    ) -> Result<Vec<[Option<String>; N]>, Error> {
        let rows = self.run(what, query, cx).await.map_err(|fail| fail.of(what))?;
        let text = |row: &PgRow| {
            let mut answer = [const { None }; N];
            for (column, value) in answer.iter_mut().enumerate() {
                *value = row.try_get(column).map_err(|_| {
                    Error::new(ErrorKind::Unreachable, format!("{what} got no usable answer"))
                })?;
            }
            Ok(answer)
        };
        rows.iter().map(text).collect()
    }

    /// Says goodbye, and waits until the server has closed the connection.
    pub(crate) async fn close(self) {
        let _ = without_panic(self.connection.close()).await;
        let _ = self.passing.await;
    }
}
