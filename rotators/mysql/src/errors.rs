//! What an error of the server means to an operator.
//!
//! Told apart by number, never by the message, which comes in the server's language. Sources: MySQL
//! 9.7 error reference; MariaDB documentation, "Error Codes". Numbers up to 1880 are common to both,
//! higher ones are not: those of MariaDB begin at 1900 and 4000.

use fourstep::users::Swap;
use fourstep::users::driver::{Refusal, ServerMessage, sqlstate};
use fourstep::{Error, ErrorKind, Result};

use crate::wire::Parts;

/// ER_MUST_CHANGE_PASSWORD: the password was right.
pub(crate) const MUST_CHANGE: u16 = 1820;

/// ER_CANNOT_USER.
pub(crate) const CANNOT_USER: u16 = 1396;

/// ER_CANT_CREATE_USER_WITH_GRANT, which MariaDB says of an account that is not there.
pub(crate) const NO_SUCH_USER: u16 = 1410;

const EXPIRED: &str = "the password has expired (PASSWORD EXPIRE), and the server lets nobody work \
                       with it; an administrator must set one";

/// The error of a password that is right, with which nobody can work.
pub(crate) fn expired() -> Error {
    Error::new(ErrorKind::Forbidden, EXPIRED)
}

/// An ERR packet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServerError {
    pub(crate) number: u16,
    /// SQLSTATE; empty before the login.
    pub(crate) state: String,
    pub(crate) message: ServerMessage,
}

impl ServerError {
    /// Reads a payload that begins with 0xff; a part that is not there is empty.
    pub(crate) fn parse(payload: &[u8]) -> Self {
        let mut parts = Parts::of(payload);
        parts.byte();
        let number = parts.number(2).and_then(|number| u16::try_from(number).ok());
        let rest = parts.rest();
        let (state, message) =
            match rest.strip_prefix(b"#").and_then(|rest| rest.split_at_checked(5)) {
                Some(parts) => parts,
                None => (&[][..], rest),
            };
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Self {
            number: number.unwrap_or_default(),
            state: text(state),
            message: ServerMessage::new(text(message)),
        }
    }

    /// An error of which only the number is known.
    pub(crate) fn of_number(number: u16) -> Self {
        Self { number, ..Self::default() }
    }

    /// What the server said, shortened and with control characters escaped. Only of the login:
    /// the server's later messages can quote statements that carry passwords.
    pub(crate) fn quote(&self) -> String {
        self.message.quote(&self.code())
    }

    /// Number and SQLSTATE alone.
    pub(crate) fn code(&self) -> String {
        match sqlstate(&self.state) {
            Some(state) => format!("error {}, SQLSTATE {state}", self.number),
            None => format!("error {}", self.number),
        }
    }
}

/// Sorts an error that came in place of a greeting.
pub(crate) fn of_greeting(refusal: &ServerError) -> Error {
    let (kind, what) = before_login(refusal.number)
        .unwrap_or((ErrorKind::Unreachable, "the server refused the connection"));
    Error::new(kind, what).caused_by(refusal.quote())
}

/// What the server may say before it knows who is there, or about whoever it is.
fn before_login(number: u16) -> Option<(ErrorKind, &'static str)> {
    Some(match number {
        1040 | 1203 | 1226 => (
            ErrorKind::Throttled,
            "too many connections, to the server or of this user; close some or raise the limit",
        ),
        1129 => (
            ErrorKind::Forbidden,
            "the server blocks this address after broken connections; run TRUNCATE TABLE \
             performance_schema.host_cache, on MariaDB FLUSH HOSTS",
        ),
        1130 => (ErrorKind::Forbidden, "no account of the server covers this address"),
        1053 | 1079 | 3032 => {
            (ErrorKind::Unreachable, "the server is shutting down or in offline mode; retry")
        }
        _ => return None,
    })
}

/// Sorts an error that ended a login.
///
/// # Errors
/// Everything but a refused password, for which the reason is returned.
pub(crate) fn of_login(refusal: &ServerError) -> Result<String> {
    let (kind, what) = match refusal.number {
        1045 => {
            return Ok("refused with error 1045 (a wrong password, no such user, an account for \
                       other addresses, an anonymous one for this address, or one that demands TLS)"
                .to_owned());
        }
        1044 => (ErrorKind::Forbidden, "the user may not use the database that \"dbname\" names"),
        1049 => (
            ErrorKind::NotFound,
            "the database that \"dbname\" names does not exist; create it or correct the name",
        ),
        1698 => (
            ErrorKind::Forbidden,
            "the account does not log in by a password; look at its authentication plugin",
        ),
        // MariaDB has the second number.
        3118 | 4151 => {
            (ErrorKind::Forbidden, "the account is locked; ALTER USER ... ACCOUNT UNLOCK")
        }
        3955 => (
            ErrorKind::Rejected,
            "the account is blocked after refused logins (FAILED_LOGIN_ATTEMPTS); wait until \
             PASSWORD_LOCK_TIME is over, or ALTER USER ... ACCOUNT UNLOCK",
        ),
        4150 => (
            ErrorKind::Rejected,
            "the account is blocked after refused logins (max_password_errors); FLUSH PRIVILEGES \
             unblocks it",
        ),
        1820 | 1862 => (ErrorKind::Forbidden, EXPIRED),
        3159 => (
            ErrorKind::Forbidden,
            "the server demands TLS (require_secure_transport); set the secret's field \"ssl\" to \
             true",
        ),
        number => before_login(number)
            .unwrap_or((classify(&refusal.state), "the server refused the login")),
    };
    Err(Error::new(kind, what).caused_by(refusal.quote()))
}

/// What SQLSTATE's first two characters say where nothing is said of the number.
fn classify(state: &str) -> ErrorKind {
    match state.get(..2) {
        Some("28" | "42") => ErrorKind::Forbidden,
        Some("08" | "70") => ErrorKind::Unreachable,
        Some("40") => ErrorKind::Conflict,
        _ => ErrorKind::Unsupported,
    }
}

impl Refusal for ServerError {
    /// Sorts an error of a statement: of what the server says only the number leaves.
    fn of_statement(&self, what: &str) -> Error {
        match of_change(self) {
            Some((kind, meaning)) => Error::new(kind, meaning),
            None => Error::new(classify(&self.state), format!("{what} failed")),
        }
        .caused_by(self.code())
    }
}

/// Sorts an error of a statement of an admin's that holds no password, and may be shown.
pub(crate) fn of_step(statement: &str, refusal: &ServerError) -> Error {
    let kind = match refusal.number {
        1044 | 1142 | 1143 | 1227 | 1370 | 1410 | 1698 => ErrorKind::Forbidden,
        _ => of_change(refusal).map_or(classify(&refusal.state), |(kind, _)| kind),
    };
    Error::new(kind, format!("the server refused {statement}")).caused_by(refusal.code())
}

/// Sorts an error of the question that the function's owner wants asked.
pub(crate) fn of_probe(refusal: &ServerError) -> Error {
    let kind = classify(&refusal.state);
    Error::new(kind, "the server refused it; the user may lack a right").caused_by(refusal.code())
}

/// Sorts an error of the statement that changes the password.
pub(crate) fn of_password_change(refusal: &ServerError) -> Result<Swap> {
    let error = |kind, meaning| Error::new(kind, meaning).caused_by(refusal.code());
    if let Some((kind, meaning)) = of_change(refusal) {
        return Err(error(kind, meaning));
    }
    match refusal.number {
        3891 => Ok(Swap::NotPrimary),
        3892 => Ok(Swap::CurrentRequired),
        4165 => Ok(Swap::Refused(error(
            ErrorKind::Unsupported,
            "the new password has too many characters of the old one \
             (validate_password.changed_characters_percentage); the next rotation draws another",
        ))),
        1819 => Ok(Swap::Refused(error(
            ErrorKind::Unsupported,
            "the server refused the new password by its password policy (validate_password, or \
             MariaDB's simple_password_check or cracklib_password_check): look at \
             PASSWORD_LENGTH and the EXCLUDE_... variables",
        ))),
        3638 => Ok(Swap::Refused(error(
            ErrorKind::Unsupported,
            "the server refused the new password by its password history (PASSWORD HISTORY, \
             PASSWORD REUSE INTERVAL)",
        ))),
        1290 => Err(error(
            ErrorKind::Unsupported,
            "the server takes no hash of a password (strict_password_validation) or has become \
             read-only; set MARIADB_PASSWORD_FORMAT to plaintext, or look at read_only",
        )),
        // What it does not like about an account, of which it does not say more.
        CANNOT_USER => Err(error(
            ErrorKind::Conflict,
            "the server could not change the account, which may have been dropped or changed \
             meanwhile; nothing was changed, retry",
        )),
        // Seen on MariaDB 10.11: it says so of the first of two plugins, and changes the second's.
        1699 => Err(error(
            ErrorKind::Unsupported,
            "the account has an authentication plugin that keeps no password; the password may have \
             been changed all the same, and a retry finds out",
        )),
        _ => Err(error(classify(&refusal.state), "the server failed at the change")),
    }
}

/// The numbers that mean one thing wherever they come up in a change.
fn of_change(refusal: &ServerError) -> Option<(ErrorKind, &'static str)> {
    Some(match refusal.number {
        1227 => (
            ErrorKind::Forbidden,
            "a privilege is missing: to keep the old password beside the new one the user needs \
             APPLICATION_PASSWORD_ADMIN",
        ),
        1044 | 1142 | 1143 | 1370 | 1410 => {
            (ErrorKind::Forbidden, "the user may not change its password")
        }
        1792 | 1836 | 3100 => (
            ErrorKind::Unsupported,
            "the server is read-only; point the secret's \"host\" at the writer",
        ),
        // MariaDB lets such a user in, to do nothing but change it.
        MUST_CHANGE => (ErrorKind::Forbidden, EXPIRED),
        // It follows the login, and says nothing about the password.
        1184 => (
            ErrorKind::Forbidden,
            "the server ends the sessions of this user at once, as it does where init_connect fails \
             for it; correct init_connect, or grant what it needs",
        ),
        1205 => (
            ErrorKind::Conflict,
            "another session holds a lock on the server's accounts (a backup, FLUSH TABLES WITH \
             READ LOCK); nothing was changed, retry",
        ),
        1213 | 1637 => (
            ErrorKind::Conflict,
            "another session changed the account at the same moment; nothing was changed, retry",
        ),
        1317 | 1927 | 1969 | 3024 => (
            ErrorKind::OutOfTime,
            "the server cancelled the statement: its time was used up, or somebody cancelled it; \
             retry",
        ),
        1053 | 1079 => {
            (ErrorKind::Unreachable, "the server is shutting down or failing over; retry")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
