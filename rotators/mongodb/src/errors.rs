//! What an error of the server means to an operator.
//!
//! Told apart by number: of what a server says nothing else leaves, because from the first change on
//! it was told a password. Source: MongoDB source code, `error_codes.yml`; numbers up to 11602 are the
//! same in every version, and Amazon DocumentDB uses them too.

use bson::raw::{RawBsonRef, RawDocument};
use fourstep::users::Change;
use fourstep::users::driver::{Refusal, unknown};
use fourstep::{Error, ErrorKind, Result};

const UNCHANGED: &str = "nothing was changed";

/// What ends a change before anything was changed.
const BEFORE_A_CHANGE: [i32; 16] =
    [2, 9, 11, 13, 14, 31, 40, 46, 59, 72, 112, 115, 10107, 11000, 13435, 51003];

/// What a change is one of.
pub(crate) const USER: &str = "the user";

/// An answer that is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServerError {
    pub(crate) code: i32,
}

impl ServerError {
    /// The error that this answer is, if it is one.
    pub(crate) fn of(answer: &RawDocument) -> Option<Self> {
        use RawBsonRef::{Double, Int32, Int64};
        let fine = matches!(answer.get("ok"), Ok(Some(Double(1.0) | Int32(1) | Int64(1))));
        (!fine).then(|| Self { code: answer.get_i32("code").unwrap_or_default() })
    }

    /// The error of a write that a majority of the members has not confirmed, in an answer that is none
    /// otherwise.
    pub(crate) fn of_majority(answer: &RawDocument) -> Option<Self> {
        let error = answer.get_document("writeConcernError").ok()?;
        Some(Self { code: error.get_i32("code").unwrap_or_default() })
    }

    fn cause(self) -> String {
        match self.code {
            0 => "the server gave no code".to_owned(),
            code => format!("error {code}"),
        }
    }
}

impl Refusal for ServerError {
    fn of_statement(&self, what: &str) -> Error {
        match meaning(self.code) {
            Some((kind, meaning)) => Error::new(kind, meaning).while_doing(what.to_owned()),
            None => Error::new(ErrorKind::Unsupported, format!("{what} failed")),
        }
        .caused_by(self.cause())
    }
}

/// The numbers that mean one thing wherever they come up.
fn meaning(code: i32) -> Option<(ErrorKind, &'static str)> {
    Some(match code {
        11 => (
            ErrorKind::NotFound,
            "the user does not exist; create it, or correct \"username\" or \"dbname\"",
        ),
        31 => (
            ErrorKind::NotFound,
            "a role of the user does not exist any more; make it anew, or revoke it",
        ),
        13 => (ErrorKind::Forbidden, "a privilege is missing"),
        59 | 115 => (ErrorKind::Unsupported, "the server does not know this command"),
        10107 | 13435 | 13436 => {
            (ErrorKind::Unreachable, "the server is not the primary any more; retry")
        }
        91 | 189 | 11600 | 11602 => {
            (ErrorKind::Unreachable, "the server is shutting down or failing over; retry")
        }
        6 | 7 | 89 | 133 | 202 | 9001 => {
            (ErrorKind::Unreachable, "the server does not reach another of its cluster; retry")
        }
        50 | 262 | 11601 => (
            ErrorKind::OutOfTime,
            "the server cancelled the command: its time was used up, or somebody cancelled it; retry",
        ),
        // 11000 (3.6) and 51003: the user that is to be made is there.
        46 | 112 | 117 | 11000 | 51003 => {
            (ErrorKind::Conflict, "another session changed the user at the same moment; retry")
        }
        _ => return None,
    })
}

/// Sorts an error that ended a login.
///
/// # Errors
/// Everything but a refused password, for which the reason is returned.
pub(crate) fn of_login(refusal: ServerError, database: &str) -> Result<String> {
    match refusal.code {
        18 | 11 => Ok(format!(
            "refused with error {} (a wrong password, no such user in the authentication database \
             {database:?}, one that may not log in from this address, or a mongos that does not reach \
             its config servers)",
            refusal.code
        )),
        2 | 334 => Err(Error::new(
            ErrorKind::Unsupported,
            "the server does not let this user log in by SCRAM",
        )
        .caused_by(refusal.cause())),
        _ => Err(refusal.of_statement("the login")),
    }
}

/// Sorts an error of the command that changes a password.
///
/// # Errors
/// All but that the server does not take this very password.
pub(crate) fn of_password_change(refusal: ServerError) -> Result<Change> {
    match refusal.code {
        2 | 9 => Ok(Change::Refused(
            Error::new(
                ErrorKind::Unsupported,
                "the server refused the new password: Amazon DocumentDB takes 8 to 100 characters \
                 without / @ and \"; look at PASSWORD_LENGTH and the EXCLUDE_... variables",
            )
            .caused_by(refusal.cause()),
        )),
        _ => Err(of_change(refusal)),
    }
}

/// The code of an answer that says the same as a writeConcernError: `WriteConcernFailed`.
const NO_MAJORITY: i32 = 64;

/// An error of a command that changes a user.
pub(crate) fn of_change(refusal: ServerError) -> Error {
    if refusal.code == NO_MAJORITY {
        return no_majority(refusal);
    }
    let error = refusal.of_statement("the change");
    if BEFORE_A_CHANGE.contains(&refusal.code) {
        return error.caused_by(UNCHANGED);
    }
    unknown(USER, error)
}

/// The error of a change that the primary made, and a majority of the members has not confirmed.
pub(crate) fn no_majority(refusal: ServerError) -> Error {
    let what = "a majority of the members did not confirm the change in time; it may be lost where \
                another becomes the primary, and a retry finds out";
    Error::new(ErrorKind::Unreachable, what).caused_by(refusal.cause())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::rawdoc;

    #[test]
    fn an_answer_is_an_error_unless_it_says_that_it_is_none() {
        for fine in [rawdoc! { "ok": 1 }, rawdoc! { "ok": 1.0 }, rawdoc! { "ok": 1_i64 }] {
            assert_eq!(ServerError::of(&fine), None);
        }
        assert_eq!(ServerError::of(&rawdoc! { "ok": 0.0, "code": 13 }).unwrap().code, 13);
        for strange in [rawdoc! {}, rawdoc! { "ok": true }, rawdoc! { "ok": "1" }] {
            assert_eq!(ServerError::of(&strange).unwrap().code, 0);
        }
    }

    #[test]
    fn causes_of_a_failed_login_are_told_apart() {
        let kind = |code| of_login(ServerError { code }, "admin").map_err(|error| error.kind());
        assert!(kind(18).unwrap().contains("\"admin\""));
        assert_eq!(kind(334), Err(ErrorKind::Unsupported));
        assert_eq!(kind(91), Err(ErrorKind::Unreachable));
        assert_eq!(kind(11602), Err(ErrorKind::Unreachable));
        assert_eq!(kind(50), Err(ErrorKind::OutOfTime));
        assert_eq!(kind(0), Err(ErrorKind::Unsupported));
    }

    #[test]
    fn only_what_ends_before_a_change_says_that_nothing_was_changed() {
        for code in [13, 11, 10107, 31] {
            let error = of_change(ServerError { code }).to_string();
            assert!(error.contains(UNCHANGED), "{error}");
        }
        for code in [0, 50, 91, 189, 11602, 4711] {
            let error = of_change(ServerError { code }).to_string();
            assert!(error.contains("may or may not"), "{error}");
            assert!(!error.contains(UNCHANGED), "{error}");
        }
        let error = of_change(ServerError { code: NO_MAJORITY }).to_string();
        assert!(error.contains("majority") && !error.contains(UNCHANGED), "{error}");
    }
}
