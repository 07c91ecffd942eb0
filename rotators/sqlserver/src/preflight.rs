//! What would make a change of one's own password fail, found out without changing anything.

use fourstep::{Error, ErrorKind, Finding, Result};

use crate::change::Prepared;
use crate::session::{At, Identity, flag};
use crate::sql::{self, Kind};

impl Identity {
    /// What keeps the account's password from being changed here.
    pub(crate) fn obstacle(&self) -> Option<Error> {
        let kept_here = self.account.kind == Kind::ContainedUser;
        (kept_here && self.read_only).then(read_only)
    }

    /// What is to be known of a login on a server that is one of several: a contained user is in the
    /// database, and goes with it.
    pub(crate) fn replication(&self, kind: Kind) -> Option<Finding> {
        (kind == Kind::Login && self.replicated).then(|| {
            Finding::Warns(
                "the server can be in an availability group, and a login is this server's own: unless \
                 somebody copies it to the others, as Amazon RDS does, the old password is back after a \
                 failover; a contained user goes with its database"
                    .to_owned(),
            )
        })
    }
}

/// The error of a contained user whose database takes no change.
pub(crate) fn read_only() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the contained user's database is read-only; point the secret's \"host\" at the primary; nothing \
         was changed",
    )
}

/// All that is found of the session's own account.
pub(crate) async fn look(at: &mut At<'_>) -> Result<Vec<Finding>> {
    let Ok(identity) = at.session.identity() else {
        return Ok(vec![Finding::Warns(format!(
            "the password of {} has expired or must be changed, and the rotation sets another in the login \
             itself",
            at.login.account()
        ))]);
    };
    let kind = identity.account.kind;
    let mut findings: Vec<_> = identity.replication(kind).into_iter().collect();
    // The same password would do: nothing is sent.
    let ready = Prepared::own(&at.session, &at.login.password);
    findings.extend(ready.err().map(Finding::Fails));
    if kind == Kind::Login {
        let what = "a look at the password's age";
        let row = at.session.ask(what, sql::EXPIRATION, at.cx).await?;
        findings.extend(expiration(row, i64::from(at.cx.days_to_next_rotation())));
    }
    Ok(findings)
}

/// Whether a password expires before it is replaced: the answer to [`sql::EXPIRATION`], and how many days lie
/// between two rotations.
fn expiration([checked, left, age]: [Option<String>; 3], days: i64) -> Option<Finding> {
    let number = |column: Option<String>| column?.parse::<i64>().ok();
    // -1 where no password expires.
    let left = number(left).filter(|left| *left >= 0)?;
    let lifetime = left.saturating_add(number(age)?);
    (flag(checked.as_deref()) && lifetime < days).then(|| {
        Finding::Warns(format!(
            "a password expires after {lifetime} days (CHECK_EXPIRATION), and the next rotation is due \
             after {days}: rotate more often"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_expires_before_the_next_rotation_is_warned_of() {
        let warns = |row: [&str; 3]| {
            let row = row.map(|text| (!text.is_empty()).then(|| text.to_owned()));
            expiration(row, 30).is_some()
        };
        assert!(warns(["1", "1", "12"]));
        for fine in [["1", "30", "12"], ["0", "1", "12"], ["1", "", ""], ["1", "-1", "12"]] {
            assert!(!warns(fine));
        }
    }
}
