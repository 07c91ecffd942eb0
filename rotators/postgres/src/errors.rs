//! What an error of the server means to an operator.
//!
//! Told apart by SQLSTATE and by the name of the server's own routine, never by the message, which
//! comes in the server's language. Source: PostgreSQL 18 documentation, appendix A, "PostgreSQL
//! Error Codes", section 54.8, "Error and Notice Message Fields", and the server's source where a
//! routine is named.

use fourstep::users::driver::{Refusal, ServerMessage, sqlstate};
use fourstep::{Error, ErrorKind, Result};

use crate::session::Failure;

/// An ErrorResponse, reduced to what is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServerError {
    pub(crate) code: String,
    pub(crate) routine: String,
    pub(crate) message: ServerMessage,
}

impl ServerError {
    /// Reads the body of an ErrorResponse; a field that is not there is empty.
    pub(crate) fn parse(body: &[u8]) -> Self {
        let mut error = Self::default();
        for field in body.split(|&byte| byte == 0) {
            let Some((kind, text)) = field.split_first() else { continue };
            let text = String::from_utf8_lossy(text).into_owned();
            match kind {
                b'C' => error.code = text,
                b'M' => error.message = ServerMessage::new(text),
                b'R' => error.routine = text,
                _ => {}
            }
        }
        error
    }

    /// The same, of an error that the driver met.
    pub(crate) fn of_driver(error: &sqlx::Error) -> Option<Self> {
        let error =
            error.as_database_error()?.try_downcast_ref::<sqlx::postgres::PgDatabaseError>()?;
        Some(Self {
            code: error.code().to_owned(),
            routine: error.routine().unwrap_or_default().to_owned(),
            message: ServerMessage::new(error.message()),
        })
    }

    /// What the server said, shortened and with control characters escaped. Not for a statement
    /// that carries a verifier.
    pub(crate) fn quote(&self) -> String {
        self.message.quote(&self.state())
    }

    /// The code alone.
    pub(crate) fn state(&self) -> String {
        let real = sqlstate(&self.code);
        real.map_or("no readable SQLSTATE".to_owned(), |code| format!("SQLSTATE {code}"))
    }
}

/// When an error came: a code means one thing before a login is through and another behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Nothing was asked yet.
    Before,
    /// The server had asked for the password, and got an answer.
    Answered,
    /// It had found the password right: no code says anything about it any more.
    LetIn,
}

/// Sorts an error that ended a login.
///
/// # Errors
/// Everything but a refused password, for which the reason is returned.
pub(crate) fn of_login(refusal: &ServerError, moment: Moment) -> Result<String> {
    let code = refusal.code.as_str();
    let (kind, what) = match code {
        "28P01" if moment == Moment::Answered => {
            return Ok(
                "refused with SQLSTATE 28P01 (a wrong password, one past VALID UNTIL, or no \
                       such user)"
                    .to_owned(),
            );
        }
        "28000" if refusal.routine == "ClientAuthentication" => (
            ErrorKind::Forbidden,
            "pg_hba.conf does not let this user connect from here to this database in this way \
             (look at the address, and whether TLS is demanded)",
        ),
        "28000" if refusal.routine == "InitializeSessionUserId" => (
            ErrorKind::Forbidden,
            "the role is not permitted to log in (NOLOGIN) or is gone; ALTER ROLE ... LOGIN allows it",
        ),
        "28000" if refusal.routine == "auth_failed" => (
            ErrorKind::Forbidden,
            "the server does not check this user's password itself (LDAP, PAM or IAM); stop rotating it, \
             or, if it is IAM, take it out of rds_iam and of each role that is a member of that",
        ),
        "28P01" if moment == Moment::Before => {
            (ErrorKind::Forbidden, "the server refused the login without asking for the password")
        }
        "3D000" => (
            ErrorKind::NotFound,
            "the database that \"dbname\" names does not exist; create it or correct the name",
        ),
        "42501" if moment != Moment::LetIn || refusal.routine == "CheckMyDatabase" => {
            (ErrorKind::Forbidden, "the user may not CONNECT to this database; grant it")
        }
        "53300" => (
            ErrorKind::Throttled,
            "too many connections, to the server, database or role; close some or raise the limit",
        ),
        "57P03" => (ErrorKind::Unreachable, "the server is starting up or shutting down; retry"),
        "55000" => {
            (ErrorKind::Unreachable, "the database does not accept connections (ALLOW_CONNECTIONS)")
        }
        "08P01" => (
            ErrorKind::Unreachable,
            "the login was broken off, as by a pooler that does not reach its server",
        ),
        "0A000" | "25006" => (ErrorKind::Unsupported, "the server cannot do what was asked"),
        _ if moment == Moment::LetIn => (
            classify(code),
            "the server found the password right and ended the session all the same, as by an event \
             trigger on logins; look at what it says",
        ),
        _ => (classify(code), "the server refused the login"),
    };
    Err(Error::new(kind, what).caused_by(refusal.quote()))
}

/// What the first two characters of a code, its class, say where nothing is said of the code.
fn classify(code: &str) -> ErrorKind {
    match code.get(..2) {
        Some("28" | "42") => ErrorKind::Forbidden,
        Some("53") => ErrorKind::Throttled,
        Some("08" | "57" | "58" | "XX") => ErrorKind::Unreachable,
        _ => ErrorKind::Unsupported,
    }
}

impl Refusal for ServerError {
    /// Sorts an error of a statement. A server that was given the password in cleartext may repeat it
    /// in any message, so only the code and words of our own leave.
    fn of_statement(&self, what: &str) -> Error {
        match of_change(self) {
            Some((kind, meaning)) => Error::new(kind, meaning),
            None => Error::new(classify(&self.code), format!("{what} failed")),
        }
        .caused_by(self.state())
    }
}

/// Sorts an error of PROBE_QUERY.
pub(crate) fn of_probe(refusal: &ServerError) -> Error {
    let (kind, meaning) = match refusal.code.as_str() {
        "42501" => (ErrorKind::Forbidden, "the user may not do what it asks; grant it"),
        "57014" => (ErrorKind::OutOfTime, "it took too long; make it cheaper"),
        "25006" => (ErrorKind::Unsupported, "it would change something; it may only read"),
        code => (classify(code), "the server refused it"),
    };
    Error::new(kind, meaning).caused_by(refusal.state())
}

/// Sorts an error of a statement of the admin's that carries no secret and is quoted.
pub(crate) fn of_admin(statement: &str, refusal: &ServerError) -> Error {
    let (kind, meaning) = match refusal.code.as_str() {
        "42501" if statement.starts_with("REASSIGN") => (
            ErrorKind::Forbidden,
            "and it was rolled back: where schemas change their owner the admin needs CREATE on the \
             database, and where routines, types and the like do, the new owner needs CREATE on \
             their schemas; grant it, for one rotation at least",
        ),
        "42501" => (ErrorKind::Forbidden, "the admin may not do this, and it was rolled back"),
        "53200" => (
            ErrorKind::Unsupported,
            "it concerns more objects than the server locks at once; raise \
             max_locks_per_transaction, or change the owner of some of them by hand, then retry",
        ),
        // Objects that somebody dropped, changed or made meanwhile.
        "42704" | "42P01" | "42883" | "42703" | "3F000" | "3D000" | "42710" => {
            (ErrorKind::Conflict, "something was dropped or made meanwhile; retry")
        }
        // Another change of the same catalogue rows, or each of two waits for the other.
        "23505" | "40001" | "40P01" => {
            (ErrorKind::Conflict, "another session changed the same at the same moment; retry")
        }
        "2BP01" => (
            ErrorKind::Unsupported,
            "others hold what the user gave on; revoke that from them, or run this with CASCADE",
        ),
        "55P03" => (
            ErrorKind::Conflict,
            "another session uses what this changes, and nobody is kept waiting behind it; retry once \
             its transaction has ended",
        ),
        _ => match of_change(refusal) {
            Some(known) => known,
            None => (classify(&refusal.code), "the server refused a statement"),
        },
    };
    Error::new(kind, meaning).caused_by(format!("{statement}: {}", refusal.state()))
}

/// Sorts an error of the ALTER ROLE, which carries the verifier: only the code and words of our
/// own may leave.
///
/// # Errors
/// Everything but a refusal of the password itself, which is returned.
pub(crate) fn of_alter(refusal: &ServerError) -> Result<Error> {
    let error = |kind, meaning| Error::new(kind, meaning).caused_by(refusal.state());
    // The account's own lock is held by then, so it is not another rotation that is in the way.
    if refusal.code == "55P03" {
        return Err(error(
            ErrorKind::Conflict,
            "another session is altering this role and has not committed; end it, or retry later",
        ));
    }
    if let Some((kind, meaning)) = of_change(refusal) {
        return Err(error(kind, meaning));
    }
    // Only what a check of passwords answers: a passing trouble must not give a password up.
    match refusal.code.get(..2) {
        Some("22" | "23" | "28" | "P0") => Ok(error(
            ErrorKind::Unsupported,
            "the server refused the new password: look at its password policy and extensions, at \
             PASSWORD_LENGTH and the EXCLUDE_... variables, and, if the server wants to see \
             passwords, at POSTGRES_PASSWORD_FORMAT",
        )),
        Some("25" | "40") => Err(error(
            ErrorKind::Conflict,
            "the server gave the change up; nothing was changed, retry",
        )),
        _ => Err(error(classify(&refusal.code), "the server failed at the change")),
    }
}

/// The codes that mean one thing wherever they come up in a change.
fn of_change(refusal: &ServerError) -> Option<(ErrorKind, &'static str)> {
    // simple_heap_update and its kin: two sessions changed one catalog row at the same moment. These
    // messages are internal and so in English in every locale.
    if refusal.code == "XX000" && refusal.message.text().starts_with("tuple concurrently") {
        return Some((
            ErrorKind::Conflict,
            "another session changed the account at the same moment; retry",
        ));
    }
    Some(match refusal.code.as_str() {
        "42501" => (
            ErrorKind::Forbidden,
            "the user may not change its password (on RDS, rds.restrict_password_commands \
             reserves that for members of rds_password)",
        ),
        "25006" | "0A000" => (
            ErrorKind::Unsupported,
            "the server is a read-only replica; point the secret's \"host\" at the writer",
        ),
        "55P03" => (ErrorKind::Conflict, "another rotation of this account holds the lock; retry"),
        "57014" => (
            ErrorKind::OutOfTime,
            "the server cancelled the change: its time was used up, or somebody cancelled it; retry",
        ),
        "25P03" => (ErrorKind::OutOfTime, "the server ended the change when its time was used up"),
        "57P01" | "57P02" | "57P03" => (
            ErrorKind::Unreachable,
            "the server is shutting down or failing over, or somebody ended the session; retry",
        ),
        _ => return None,
    })
}

/// The error of a COMMIT. `unknown` says what is not known where its outcome is open.
pub(crate) fn of_commit(failure: Failure, unknown: &str) -> Error {
    match failure {
        Failure::Refused(refusal) if !leaves_commit_open(&refusal) => {
            refusal.of_statement("COMMIT")
        }
        failure => Error::new(ErrorKind::Unreachable, format!("{unknown}, and a retry finds out"))
            .caused_by(failure.of("COMMIT")),
    }
}

/// Whether an error in answer to COMMIT leaves open what became of the transaction: the server can
/// be told to stop while it waits for its standbys, after the commit was made.
fn leaves_commit_open(refusal: &ServerError) -> bool {
    refusal.code.starts_with("57P0") || refusal.code.starts_with("08")
}

#[cfg(test)]
mod tests;
