//! What would make a change of one's own password fail, found out without changing anything.

use fourstep::users::Login;
use fourstep::{Error, ErrorKind, Finding, Invocation, Result, Seen};

use crate::DIALECT;
use crate::change::obstacles;
use crate::session::{At, Session};

/// One row, readable by every role, on replicas as well. `rds_password` and its setting exist on
/// Amazon RDS only (RDS User Guide, "Restricting password management"). An end is soon that comes within
/// so many days.
pub(crate) fn facts(days: u32) -> String {
    format!(
        "SELECT session_user::pg_catalog.text, pg_catalog.pg_is_in_recovery(), \
    pg_catalog.current_setting('server_version_num')::pg_catalog.int4, \
    pg_catalog.current_setting('rds.restrict_password_commands', true), \
    (SELECT pg_catalog.bool_or(pg_catalog.pg_has_role(session_user, oid, 'MEMBER')) \
     FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) 'rds_password'), \
    CASE WHEN own.rolvaliduntil OPERATOR(pg_catalog.<) pg_catalog.now() THEN 'past' \
    WHEN own.rolvaliduntil OPERATOR(pg_catalog.<) \
    (pg_catalog.now() OPERATOR(pg_catalog.+) '{days} days'::pg_catalog.interval) THEN 'soon' \
    END::pg_catalog.text \
    FROM (SELECT 1) AS one LEFT JOIN pg_catalog.pg_roles AS own ON own.rolname OPERATOR(pg_catalog.=) session_user"
    )
}

/// The sessions of the session's user, of which every role may see that they are there (PostgreSQL 18
/// documentation, section 27.2), and in how many seconds VALID UNTIL comes.
const SEEN: &str = "SELECT CAST(pg_catalog.pg_backend_pid() AS bigint), CAST(one.pid AS bigint), \
    CASE WHEN pg_catalog.isfinite(own.rolvaliduntil) THEN CAST(pg_catalog.date_part('epoch', \
    own.rolvaliduntil OPERATOR(pg_catalog.-) pg_catalog.now()) AS bigint) END \
    FROM pg_catalog.pg_stat_activity AS one JOIN pg_catalog.pg_roles AS own \
    ON own.rolname OPERATOR(pg_catalog.=) one.usename \
    WHERE one.usename OPERATOR(pg_catalog.=) session_user LIMIT 10000";

/// What the session tells of its user.
pub(crate) async fn seen(session: &mut Session, cx: &Invocation) -> Result<Seen> {
    let rows: Vec<(i64, i64, Option<i64>)> =
        session.rows("a look at the sessions", SEEN, cx).await?;
    let own = rows.first().map(|(own, ..)| own.unsigned_abs());
    let all = rows.iter().map(|(_, one, _)| one.unsigned_abs()).collect();
    let ends_in = rows.first().and_then(|(.., ends)| *ends);
    Ok(Seen { sessions: own.map(|own| (own, all)), ends_in, ..Seen::default() })
}

/// After how many refused logins the extension credcheck bans a user; absent where it is not there.
const MOST_FAILURES: &str = "SELECT pg_catalog.current_setting('credcheck.max_auth_failure', true)";

/// The most logins that one delivery of setSecret can have refused: AWSCURRENT, AWSPENDING, AWSPREVIOUS
/// and the older versions. A healthy rotation has none refused.
const MOST_REFUSED: usize = 3 + DIALECT.most_older_logins;

/// Whether the server bans a user after fewer refused logins than one step may have.
pub(crate) async fn banned_early(at: &mut At<'_>) -> Result<Option<Finding>> {
    let what = "a look at the limit of refused logins";
    let (most,): (Option<String>,) = at.session.ask(what, MOST_FAILURES, at.cx).await?;
    let most = most.and_then(|most| most.parse::<usize>().ok());
    Ok(most.filter(|most| (1..=MOST_REFUSED).contains(most)).map(|most| {
        Finding::Warns(format!(
            "credcheck.max_auth_failure is {most}: a step that has to try older passwords may have \
             {MOST_REFUSED} refused and have {} banned; more than {MOST_REFUSED} for each retry is safe",
            at.login.account()
        ))
    }))
}

/// The columns of [`facts`].
pub(crate) type Facts = (String, bool, i32, Option<String>, Option<bool>, Option<String>);

/// What the facts mean.
pub(crate) fn judge(
    login: &Login,
    (user, replica, version, restricted, member, expiry): Facts,
    days: u32,
) -> Vec<Finding> {
    let obstacles = obstacles(login, (&user, replica, version));
    let mut findings: Vec<_> = obstacles.into_iter().map(Finding::Fails).collect();
    findings.extend(password_restricted(restricted, member));
    findings.extend(expires(&login.account(), expiry, days));
    findings
}

fn password_restricted(setting: Option<String>, member: Option<bool>) -> Option<Finding> {
    let on = matches!(setting.as_deref(), Some("on" | "1" | "true"));
    (on && member != Some(true)).then(|| {
        Finding::Fails(Error::new(
            ErrorKind::Forbidden,
            "rds.restrict_password_commands is on and the user is not a member of rds_password; \
             grant that role, or turn the setting off",
        ))
    })
}

fn expires(account: &str, expiry: Option<String>, days: u32) -> Option<Finding> {
    Some(Finding::Warns(match expiry?.as_str() {
        "past" => format!(
            "VALID UNTIL of {account} has passed: the server refuses every password of it, and a \
             rotation does not change that"
        ),
        _ => format!(
            "VALID UNTIL of {account} comes within the {days} days to the next rotation, and a rotation \
             does not move it: the server will refuse every password of it; set a time to come"
        ),
    }))
}

/// What an admin sees that would make a change of a user's password fail, or of little use. Inside
/// a transaction.
pub(crate) async fn of_role(
    session: &mut Session,
    user: &str,
    cx: &Invocation,
) -> Result<Vec<Finding>> {
    let days = cx.days_to_next_rotation();
    let query = format!(
        "SELECT current_setting('rds.restrict_password_commands', true), \
         (SELECT bool_or(pg_has_role(session_user, oid, 'MEMBER')) FROM pg_roles \
         WHERE rolname = 'rds_password'), rolcanlogin, \
         CASE WHEN rolvaliduntil < now() THEN 'past' \
         WHEN rolvaliduntil < now() + interval '{days} days' THEN 'soon' END, \
         rolconnlimit >= 0 AND rolconnlimit <= (SELECT count(*) FROM pg_stat_activity \
         WHERE usename = rolname) FROM pg_roles WHERE rolname = {}",
        crate::sql::quote(user)
    );
    type Role = (Option<String>, Option<bool>, bool, Option<String>, bool);
    let rows: Vec<Role> = session.rows("a look at the account", query, cx).await?;
    let Some((restricted, member, usable, expiry, full)) = rows.into_iter().next() else {
        return Ok(Vec::new());
    };
    let mut findings = Vec::new();
    findings.extend(password_restricted(restricted, member));
    findings.extend(expires(&format!("user {user:?}"), expiry, days));
    if !usable {
        findings.push(Finding::Warns(format!("user {user:?} is NOLOGIN")));
    }
    if full {
        findings.push(Finding::Fails(Error::new(
            ErrorKind::Throttled,
            format!("user {user:?} has as many sessions as its CONNECTION LIMIT allows"),
        )));
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fact_has_its_finding() {
        let login = Login::new("db.example", 5432, "app", "canary");
        let judged = |facts: Facts| {
            let findings = judge(&login, facts, 30);
            findings
                .into_iter()
                .map(|finding| match finding {
                    Finding::Fails(error) => error.kind().name(),
                    Finding::Warns(_) => "warns",
                })
                .collect::<Vec<_>>()
        };
        let with = |change: fn(&mut Facts)| {
            let mut facts = ("app".to_owned(), false, 150_018, None, None, None);
            change(&mut facts);
            judged(facts)
        };
        assert!(with(|_| ()).is_empty());
        assert_eq!(with(|facts| facts.0 = "other".into()), ["Mismatch"]);
        assert_eq!(with(|facts| facts.1 = true), ["Unsupported"]);
        assert_eq!(with(|facts| facts.2 = 90_624), ["Unsupported"]);
        assert_eq!(with(|facts| facts.3 = Some("on".into())), ["Forbidden"]);
        assert!(with(|facts| facts.3 = Some("off".into())).is_empty());
        assert!(with(|facts| (facts.3, facts.4) = (Some("on".into()), Some(true))).is_empty());
        assert_eq!(with(|facts| facts.5 = Some("past".into())), ["warns"]);
        assert_eq!(with(|facts| facts.5 = Some("soon".into())), ["warns"]);
    }
}
