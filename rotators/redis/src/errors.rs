//! What an error of the server means to an operator.
//!
//! Told apart by its first word, which is meant for that, and alone repeated; what follows is for people and
//! changes. Source: the servers' sources, `server.c`
//! (`createSharedObjects`), tried on Redis 7 and 8 and Valkey 9.

use fourstep::users::driver::Refusal;
use fourstep::{Error, ErrorKind, Result};

use crate::resp::ServerError;

/// Whether this is said of a connection, whatever was asked on it.
pub(crate) fn is_of_greeting(refusal: &ServerError) -> bool {
    refusal.code == "DENIED" || is_full(refusal) || of_code(&refusal.code).is_some()
}

fn is_full(refusal: &ServerError) -> bool {
    refusal.message.text().contains("max number of clients")
}

/// Sorts what the server says before the login. It may have been told the password on an earlier connection of the same
/// step, or another of its user's, so no more than its first word is repeated here either.
pub(crate) fn of_greeting(refusal: &ServerError) -> Error {
    let (kind, what) = match refusal.code.as_str() {
        "DENIED" => (
            ErrorKind::Forbidden,
            "the server is in protected mode and takes connections from its own machine only; bind \
             it to an address, or set protected-mode to no",
        ),
        _ if is_full(refusal) => (
            ErrorKind::Throttled,
            "too many connections to the server; close some or raise maxclients",
        ),
        code => of_code(code).unwrap_or((ErrorKind::Unreachable, "the server refused a PING")),
    };
    Error::new(kind, what).caused_by(refusal.code())
}

/// Sorts an error that ended a login.
///
/// # Errors
/// Everything but a refused password, for which the reason is returned.
pub(crate) fn of_login(refusal: &ServerError) -> Result<String> {
    if refusal.code == "WRONGPASS" {
        return Ok("refused with WRONGPASS (a wrong password, no such user, or one that is off)"
            .to_owned());
    }
    let old = (
        ErrorKind::Unsupported,
        "the server takes no user name in AUTH; Redis 7 or Valkey is the least",
    );
    let (kind, what) = of_code(&refusal.code).unwrap_or(old);
    Err(Error::new(kind, what).caused_by(refusal.code()))
}

impl Refusal for ServerError {
    fn of_statement(&self, what: &str) -> Error {
        let (kind, meaning) = of_code(&self.code).map_or(
            (ErrorKind::Unsupported, format!("the server refused {what}")),
            |(kind, one)| (kind, format!("{what}: {one}")),
        );
        Error::new(kind, meaning).caused_by(self.code())
    }
}

/// The words that mean one thing wherever they come up.
fn of_code(code: &str) -> Option<(ErrorKind, &'static str)> {
    Some(match code {
        "NOPERM" => (ErrorKind::Forbidden, "the user that is logged in may not do that"),
        "NOAUTH" => (
            ErrorKind::Conflict,
            "the session was logged out: its user was changed meanwhile; retry",
        ),
        "LOADING" => (ErrorKind::Unreachable, "the server is still loading its data; retry"),
        "BUSY" => (
            ErrorKind::Unreachable,
            "a script keeps the server busy; wait until it ends, then retry",
        ),
        "MASTERDOWN" => (
            ErrorKind::Unreachable,
            "the server is a replica that has lost its primary; retry once it has one",
        ),
        "READONLY" => (
            ErrorKind::Unsupported,
            "the server is a replica; point the secret's \"host\" at the primary",
        ),
        "CLUSTERDOWN" | "TRYAGAIN" => {
            (ErrorKind::Unreachable, "the cluster is not whole at the moment; retry")
        }
        "MISCONF" => (
            ErrorKind::Unreachable,
            "the server cannot write its data to the disk and takes no changes; see to its disk, \
             then retry",
        ),
        "OOM" => (ErrorKind::Throttled, "the server has no memory left; free some, then retry"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::{Reply, parse};

    fn error(line: &str) -> ServerError {
        match parse(format!("-{line}\r\n").as_bytes()) {
            Ok(Some((Reply::Refused(error), _))) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rule_05_only_a_wrong_password_leads_to_another() {
        assert!(of_login(&error("WRONGPASS invalid username-password pair")).is_ok());
        for (line, kind) in [
            ("LOADING Redis is loading the dataset in memory", ErrorKind::Unreachable),
            ("NOAUTH Authentication required.", ErrorKind::Conflict),
            ("ERR wrong number of arguments for 'auth' command", ErrorKind::Unsupported),
            ("BUSY Redis is busy running a script.", ErrorKind::Unreachable),
            ("NOPERM this user has no permissions", ErrorKind::Forbidden),
        ] {
            assert_eq!(of_login(&error(line)).unwrap_err().kind(), kind, "{line}");
        }
    }

    #[test]
    fn rule_12_what_follows_the_code_is_never_repeated() {
        let full = of_greeting(&error("ERR max number of clients reached canary"));
        assert_eq!(full.kind(), ErrorKind::Throttled);
        assert!(full.to_string().ends_with(": ERR"), "{full}");
        let denied = of_greeting(&error("DENIED canary"));
        assert_eq!(denied.kind(), ErrorKind::Forbidden);
        assert!(!denied.to_string().contains("canary"), "{denied}");
        let later = error("ERR canary").of_statement("ACL SAVE");
        assert_eq!(later.to_string(), "the server refused ACL SAVE: ERR");
        let moved = error("MOVED 1 canary:1").of_statement("x");
        assert!(!moved.to_string().contains("canary"), "{moved}");
    }
}
