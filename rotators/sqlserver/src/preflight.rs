//! What would make a change of one's own password fail, found out without changing anything.

use fourstep::users::Login;
use fourstep::{Error, ErrorKind, Finding, Invocation};

use crate::change::Prepared;
use crate::session::{Identity, Session, flag};
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
pub(crate) async fn look(
    session: &mut Session,
    login: &Login,
    cx: &Invocation,
) -> Result<Vec<Finding>, Error> {
    let Ok(identity) = session.identity() else {
        return Ok(vec![Finding::Warns(format!(
            "the password of {} has expired or must be changed, and the rotation sets another in the login \
             itself",
            login.account()
        ))]);
    };
    let kind = identity.account.kind;
    let mut findings: Vec<_> = identity.replication(kind).into_iter().collect();
    // The same password would do: nothing is sent.
    let ready = Prepared::own(session, &login.password);
    findings.extend(ready.err().map(Finding::Fails));
    if kind == Kind::Login {
        let what = "a look at the password policy";
        let rows = session.rows(what, sql::POLICY, cx).await?;
        findings.extend(rows.into_iter().next().into_iter().flat_map(|row| policy(&row, cx)));
    }
    Ok(findings)
}

/// What the policy may hold against the rotations to come: the answer to [`sql::POLICY`].
fn policy(row: &[Option<String>], cx: &Invocation) -> Vec<Finding> {
    let number = |column: usize| row.get(column)?.as_deref()?.parse::<i64>().ok();
    let is = |column: usize| flag(row.get(column).and_then(Option::as_deref));
    let refused = number(2).filter(|refused| is(0) && *refused > 0).map(|refused| {
        format!(
            "the server counts {refused} refused passwords of this login, and its policy may lock it out: \
             look for whoever has an old one"
        )
    });
    let lifetime = number(3).zip(number(4)).map(|(left, since)| left.saturating_add(since));
    let days = i64::from(cx.days_to_next_rotation());
    let short = lifetime.filter(|lifetime| is(1) && *lifetime < days).map(|lifetime| {
        format!(
            "a password expires after {lifetime} days (CHECK_EXPIRATION), and the next rotation is due \
             after {days}: rotate more often"
        )
    });
    refused.into_iter().chain(short).map(Finding::Warns).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fourstep::Deadline;
    use std::time::Duration;

    #[test]
    fn the_policy_s_numbers_are_held_against_the_schedule() {
        let cx = Invocation::new(Deadline::after(Duration::from_secs(9)));
        let count = |row: [&str; 5]| {
            policy(&row.map(|text| (!text.is_empty()).then(|| text.to_owned())), &cx).len()
        };
        // Thirty days between rotations.
        assert_eq!(count(["1", "1", "0", "30", "12"]), 0);
        assert_eq!(count(["1", "1", "2", "1", "12"]), 2);
        assert_eq!(count(["0", "0", "2", "1", "12"]), 0);
        assert_eq!(count(["1", "1", "", "", ""]), 0);
        assert_eq!(policy(&[], &cx), []);
    }
}
