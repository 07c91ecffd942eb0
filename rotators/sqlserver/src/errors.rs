//! What an error of the server means to an operator.
//!
//! Told apart by number: of what a server says nothing else leaves, because it was told a password in the
//! login. Sources: SQL Server documentation, "Database engine errors and events", "Changing Passwords
//! Programmatically", and `NetValidatePasswordPolicy` of Windows, whose order the numbers of the policy
//! have. No number was seen of a real server.

use fourstep::users::Change;
use fourstep::users::driver::{Refusal, unknown};
use fourstep::{Error, ErrorKind, Result};

/// What is added to an error from before the change.
pub(crate) const UNCHANGED: &str = "nothing was changed";

/// What a change is one of.
pub(crate) const PASSWORD: &str = "the password";

/// A login failed, of which the server does not say more.
const LOGIN_FAILED: i32 = 18456;

/// The password is right, and is to be changed before anything else.
const EXPIRED: i32 = 18487;
const MUST_CHANGE: i32 = 18488;

/// The account does not exist, or may not be altered; and so it is said where OLD_PASSWORD is wrong.
const CANNOT_ALTER: i32 = 15151;

/// A trigger undid the statement.
const UNDONE: i32 = 3609;

/// The first number of errors that somebody's own code raises, as a trigger does that runs behind the
/// change. Source: "RAISERROR".
const RAISED: i32 = 50_000;

/// An expired password may not be changed by its login.
const MAY_NOT_CHANGE: i32 = 18471;

/// An ERROR token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ServerError {
    /// 0 where the server said none.
    pub(crate) number: i32,
    pub(crate) state: u8,
}

impl ServerError {
    /// The one of several that says most: behind a database that cannot be entered comes a failed login,
    /// and a trigger's own error before that it undid the statement.
    pub(crate) fn decisive(errors: &[Self]) -> Option<Self> {
        let undone = errors.iter().find(|error| error.number == UNDONE);
        let other = || errors.iter().find(|error| error.number != LOGIN_FAILED);
        undone.or_else(other).or(errors.first()).copied()
    }

    /// Whether the password was right, and must be changed.
    pub(crate) fn is_expired(self) -> bool {
        [EXPIRED, MUST_CHANGE].contains(&self.number)
    }

    /// Number and state, as an administrator looks for them in the server's error log.
    fn cause(self) -> String {
        match self.number {
            0 => "the server gave no number".to_owned(),
            number => format!("error {number}, state {}", self.state),
        }
    }
}

impl Refusal for ServerError {
    fn of_statement(&self, what: &str) -> Error {
        match meaning(self.number) {
            Some((kind, meaning)) => Error::new(kind, meaning).while_doing(what.to_owned()),
            None => Error::new(ErrorKind::Unsupported, format!("{what} failed")),
        }
        .caused_by(self.cause())
    }
}

/// The numbers that mean one thing wherever they come up.
fn meaning(number: i32) -> Option<(ErrorKind, &'static str)> {
    Some(match number {
        229 | 230 | 262 | 297 | 300 | 15247 => (ErrorKind::Forbidden, "a permission is missing"),
        3906 => (
            ErrorKind::Unsupported,
            "the database is read-only; point the secret's \"host\" at the primary",
        ),
        1205 | 1222 => (ErrorKind::Conflict, "another session holds what the change needs; retry"),
        596 | 6005 | 17142 => {
            (ErrorKind::Unreachable, "the server is shutting down, or ended the session; retry")
        }
        921 | 922 | 927 | 976 | 983 => {
            (ErrorKind::Unreachable, "the database is recovering or failing over; retry")
        }
        15113 | 18486 => (
            ErrorKind::Rejected,
            "the login is locked out after refused passwords; look for whoever has an old one, then wait \
             until the policy lets it in, or have an administrator run ALTER LOGIN ... WITH PASSWORD = ... \
             UNLOCK and store that password",
        ),
        701 | 10928 | 10929 | 17809 | 17810 | 18458..=18460 => {
            (ErrorKind::Throttled, "the server has too many connections or too little memory")
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
        LOGIN_FAILED => {
            return Ok(
                "refused with error 18456 (a wrong password, no such login, no contained user of \
                       this name in the database, or a server that takes Windows logins only)"
                    .to_owned(),
            );
        }
        4060 | 4063 | 4064 => (
            ErrorKind::Forbidden,
            "the database that \"dbname\" names does not exist, or the user may not enter it, or it is not \
             available now: create a user for it there, or correct the name, or retry",
        ),
        18470 => (
            ErrorKind::Forbidden,
            "the login is disabled; have it enabled (ALTER LOGIN ... ENABLE)",
        ),
        EXPIRED | MUST_CHANGE => return Err(expired(*refusal)),
        MAY_NOT_CHANGE => (
            ErrorKind::Forbidden,
            "the login may not change its own password; have an administrator set one and store it",
        ),
        18452 => (
            ErrorKind::Unsupported,
            "the server takes this name for a Windows login, or takes no others; name a login of SQL \
             Server, and turn its authentication on (mixed mode)",
        ),
        17892 => (ErrorKind::Forbidden, "a logon trigger of the server refused the login"),
        18401 | 18451 | 18461 => (
            ErrorKind::Unreachable,
            "the server lets administrators in only, or one of them (single-user mode), or is being \
             upgraded; retry",
        ),
        _ => return Err(refusal.of_statement("the login")),
    };
    Err(Error::new(kind, what).caused_by(refusal.cause()))
}

/// The error of a password that is right, with which nobody can work.
pub(crate) fn expired(refusal: ServerError) -> Error {
    let what = match refusal.number {
        MUST_CHANGE => "the password must be changed before it is used (MUST_CHANGE)",
        _ => "the password has expired (CHECK_EXPIRATION)",
    };
    Error::new(ErrorKind::Forbidden, what)
        .caused_by("a rotation sets another")
        .caused_by(refusal.cause())
}

/// Which rule of its policy the server holds against this very password, by a statement and by a login.
fn rule(number: i32) -> Option<&'static str> {
    Some(match number {
        15115 | 18463 => "it was used before (password history); the next rotation draws another",
        15116 | 18464 => "it is too short; raise PASSWORD_LENGTH",
        15117 | 15156 | 18465 => "it is too long; lower PASSWORD_LENGTH",
        15118 | 18466 => {
            "it is not complex enough: characters of three of four kinds are needed; look at the \
             EXCLUDE_... variables"
        }
        15119 | 18467 => "the server's password filter does not take it",
        _ => return None,
    })
}

/// Sorts an error of a change, which was not made. `own` says that the user itself made it.
///
/// # Errors
/// All but that the server does not take this very password.
pub(crate) fn of_change(refusal: ServerError, own: bool) -> Result<Change> {
    if let Some(rule) = rule(refusal.number) {
        let what = format!("the server's policy refuses the new password: {rule}");
        let error = Error::new(ErrorKind::Unsupported, what);
        return Ok(Change::Refused(error.caused_by(refusal.cause())));
    }
    let (kind, what) = match refusal.number {
        CANNOT_ALTER if own => (
            ErrorKind::Conflict,
            "the password that logged in is not the present one any more, because another session has \
             changed it; retry",
        ),
        CANNOT_ALTER => (
            ErrorKind::Forbidden,
            "the admin may not set this password: of one with CONTROL SERVER only such another may",
        ),
        15114 | 18462 => (
            ErrorKind::Unsupported,
            "the policy lets nobody change a password again so soon (minimum password age); retry when \
             it is over, or have an administrator lower it",
        ),
        UNDONE => (ErrorKind::Forbidden, "a trigger of the server undid the change"),
        number => {
            let error = refusal.of_statement("the change");
            let raised = number == 0 || number >= RAISED;
            let lost = raised || error.kind() == ErrorKind::Unreachable;
            return Err(if lost { unknown(PASSWORD, error) } else { error.caused_by(UNCHANGED) });
        }
    };
    Err(Error::new(kind, what).caused_by(refusal.cause()).caused_by(UNCHANGED))
}

/// Sorts an error of a login that was to change an expired password.
///
/// # Errors
/// As [`of_change`]. What comes behind the password, such as the database, may come behind the change too.
pub(crate) fn of_change_at_login(refusal: ServerError) -> Result<Change> {
    match refusal.number {
        15114 | 18462 | CANNOT_ALTER => return of_change(refusal, true),
        number if rule(number).is_some() => return of_change(refusal, true),
        LOGIN_FAILED => return of_change(ServerError { number: CANNOT_ALTER, ..refusal }, true),
        _ => {}
    }
    let error = of_login(&refusal).err().unwrap_or_else(|| refusal.of_statement("the login"));
    let before = [EXPIRED, MUST_CHANGE, MAY_NOT_CHANGE, 15113, 18452, 18468, 18470, 18486];
    Err(if before.contains(&refusal.number) {
        error.caused_by(UNCHANGED)
    } else {
        unknown(PASSWORD, error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(number: i32) -> ServerError {
        ServerError { number, state: 1 }
    }

    #[test]
    fn parity_26_each_failed_login_has_a_meaning_of_its_own_and_one_leads_on() {
        assert!(of_login(&of(18456)).unwrap().contains("18456"));
        for (number, kind, word) in [
            (18486, ErrorKind::Rejected, "locked out"),
            (18487, ErrorKind::Forbidden, "expired"),
            (18488, ErrorKind::Forbidden, "MUST_CHANGE"),
            (18470, ErrorKind::Forbidden, "disabled"),
            (4060, ErrorKind::Forbidden, "\"dbname\""),
            (18452, ErrorKind::Unsupported, "Windows"),
            (17892, ErrorKind::Forbidden, "trigger"),
            (17809, ErrorKind::Throttled, "connections"),
            (18459, ErrorKind::Throttled, "connections"),
            (18401, ErrorKind::Unreachable, "upgraded"),
            (18471, ErrorKind::Forbidden, "may not change"),
            (922, ErrorKind::Unreachable, "recovering"),
            (4711, ErrorKind::Unsupported, "the login failed"),
            (0, ErrorKind::Unsupported, "no number"),
        ] {
            let error = of_login(&of(number)).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn the_error_that_says_most_decides() {
        for (numbers, decisive) in [
            (&[4060, 18456][..], Some(4060)),
            (&[18456], Some(18456)),
            (&[50000, 3609], Some(3609)),
            (&[15118, 15151], Some(15118)),
            (&[], None),
        ] {
            let errors: Vec<_> = numbers.iter().copied().map(of).collect();
            assert_eq!(ServerError::decisive(&errors).map(|one| one.number), decisive);
        }
    }

    #[test]
    fn parity_27_a_policy_s_rule_is_named_and_nothing_was_changed() {
        for (number, rule) in [
            (15115, "history"),
            (15116, "too short"),
            (15117, "too long"),
            (15156, "too long"),
            (15118, "complex"),
            (15119, "filter"),
        ] {
            let Ok(Change::Refused(error)) = of_change(of(number), true) else {
                panic!("{number}")
            };
            assert!(error.to_string().contains(rule), "{error}");
        }
        assert!(matches!(of_change_at_login(of(18466)), Ok(Change::Refused(_))));
        // Of the moment and not of the value.
        let error = of_change(of(15114), true).unwrap_err().to_string();
        assert!(error.contains("minimum password age") && error.contains(UNCHANGED), "{error}");
    }

    #[test]
    fn only_what_ends_before_a_change_says_that_nothing_was_changed() {
        let text = |error: Result<Change>| error.unwrap_err().to_string();
        for number in [15151, 15247, 3609, 1222, 3906, 15113, 4711] {
            let error = text(of_change(of(number), true));
            assert!(error.contains(UNCHANGED), "{error}");
        }
        for number in [0, 596, 6005, 50_000, 51_234] {
            let error = text(of_change(of(number), true));
            assert!(error.contains("may or may not") && !error.contains(UNCHANGED), "{error}");
        }
        for number in [18468, 18471, 18487] {
            assert!(text(of_change_at_login(of(number))).contains(UNCHANGED));
        }
        assert!(text(of_change_at_login(of(4060))).contains("may or may not"));
        let kind = |own| of_change(of(15151), own).unwrap_err().kind();
        assert_eq!((kind(true), kind(false)), (ErrorKind::Conflict, ErrorKind::Forbidden));
        assert_eq!(of_change_at_login(of(18456)).unwrap_err().kind(), ErrorKind::Conflict);
    }
}
