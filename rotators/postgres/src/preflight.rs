//! What would make a change of one's own password fail, found out without changing anything.

use fourstep::users::Login;
use fourstep::{Error, ErrorKind, Finding, Invocation};

use crate::DIALECT;
use crate::change::{on_replica, other_user, too_old};
use crate::session::Session;

/// One row, readable by every role, on replicas as well. `rds_password` and its setting exist on
/// Amazon RDS only (RDS User Guide, "Restricting password management").
const FACTS: &str = "\
    SELECT session_user::pg_catalog.text, \
    pg_catalog.pg_is_in_recovery()::pg_catalog.text, \
    pg_catalog.current_setting('server_version_num'), \
    pg_catalog.current_setting('rds.restrict_password_commands', true), \
    (SELECT pg_catalog.bool_or(pg_catalog.pg_has_role(session_user, oid, 'MEMBER')) \
     FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) 'rds_password')::pg_catalog.text, \
    CASE WHEN own.rolvaliduntil OPERATOR(pg_catalog.<) pg_catalog.now() THEN 'past' \
    WHEN own.rolvaliduntil OPERATOR(pg_catalog.<) \
    (pg_catalog.now() OPERATOR(pg_catalog.+) '24 hours'::pg_catalog.interval) THEN 'soon' \
    END::pg_catalog.text \
    FROM (SELECT 1) AS one LEFT JOIN pg_catalog.pg_roles AS own ON own.rolname OPERATOR(pg_catalog.=) session_user";

pub(crate) async fn preflight(
    session: &mut Session,
    login: &Login,
    cx: &Invocation,
) -> Result<Vec<Finding>, Error> {
    let facts = session.ask("a look at the account", FACTS, cx).await?;
    let mut findings = judge(login, &facts);
    let [most] = session.ask("a look at the limit of refused logins", MOST_FAILURES, cx).await?;
    findings.extend(banned_early(&login.account(), most.as_deref()));
    Ok(findings)
}

/// After how many refused logins the extension credcheck bans a user; absent where it is not there.
const MOST_FAILURES: &str = "SELECT pg_catalog.current_setting('credcheck.max_auth_failure', true)";

/// The most logins that one delivery of setSecret can have refused: AWSCURRENT, AWSPENDING, AWSPREVIOUS
/// and the older versions. A healthy rotation has none refused.
const MOST_REFUSED: usize = 3 + DIALECT.most_older_logins;

fn banned_early(account: &str, most: Option<&str>) -> Option<Finding> {
    let most: usize = most?.parse().ok()?;
    (1..=MOST_REFUSED).contains(&most).then(|| {
        Finding::Warns(format!(
            "credcheck.max_auth_failure is {most}: a step that has to try older passwords may have \
             {MOST_REFUSED} refused and have {account} banned; more than {MOST_REFUSED} for each retry \
             is safe"
        ))
    })
}

/// What the facts mean, in the order of [`FACTS`].
fn judge(login: &Login, facts: &[Option<String>; 6]) -> Vec<Finding> {
    let [user, replica, version, restricted, member, expiry] =
        facts.each_ref().map(Option::as_deref);
    let obstacles = [other_user(login, user), on_replica(replica), too_old(version)];
    let mut findings: Vec<_> = obstacles.into_iter().flatten().map(Finding::Fails).collect();
    findings.extend(password_restricted(restricted, member));
    findings.extend(expires(&login.account(), expiry));
    findings
}

fn password_restricted(setting: Option<&str>, member: Option<&str>) -> Option<Finding> {
    let on = setting.is_some_and(|setting| matches!(setting, "on" | "1" | "true"));
    (on && member != Some("true")).then(|| {
        Finding::Fails(Error::new(
            ErrorKind::Forbidden,
            "rds.restrict_password_commands is on and the user is not a member of rds_password; \
             grant that role, or turn the setting off",
        ))
    })
}

fn expires(account: &str, expiry: Option<&str>) -> Option<Finding> {
    Some(Finding::Warns(match expiry? {
        "past" => format!(
            "VALID UNTIL of {account} has passed: the server refuses every password of it, and a \
             rotation does not change that"
        ),
        _ => format!(
            "VALID UNTIL of {account} is less than 24 hours away, and a rotation does not move it"
        ),
    }))
}

/// What an admin sees that would make a change of a user's password fail, or of little use. Inside
/// a transaction.
pub(crate) async fn of_role(
    session: &mut Session,
    user: &str,
    cx: &Invocation,
) -> Result<Vec<Finding>, Error> {
    let query = format!(
        "SELECT current_setting('rds.restrict_password_commands', true), \
         (SELECT bool_or(pg_has_role(session_user, oid, 'MEMBER')) FROM pg_roles \
         WHERE rolname = 'rds_password')::text, rolcanlogin::text, \
         CASE WHEN rolvaliduntil < now() THEN 'past' \
         WHEN rolvaliduntil < now() + interval '24 hours' THEN 'soon' END, \
         (rolconnlimit >= 0 AND rolconnlimit <= (SELECT count(*) FROM pg_stat_activity \
         WHERE usename = rolname))::text FROM pg_roles WHERE rolname = {}",
        crate::sql::quote(user)
    );
    let rows = session.rows::<5>("a look at the account", query, cx).await?;
    let Some([restricted, member, usable, expiry, full]) = rows.into_iter().next() else {
        return Ok(Vec::new());
    };
    let mut findings = Vec::new();
    findings.extend(password_restricted(restricted.as_deref(), member.as_deref()));
    findings.extend(expires(&format!("user {user:?}"), expiry.as_deref()));
    if usable.as_deref() == Some("false") {
        findings.push(Finding::Warns(format!("user {user:?} is NOLOGIN")));
    }
    if full.as_deref() == Some("true") {
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
    use fourstep::users::SslMode;

    #[test]
    fn each_fact_has_its_finding() {
        let login = Login {
            host: "db.example".into(),
            port: 5432,
            username: "app".into(),
            password: "canary".into(),
            dbname: None,
            ssl: SslMode::Absent,
        };
        let judged = |facts: [Option<&str>; 6]| {
            let findings = judge(&login, &facts.map(|fact| fact.map(str::to_owned)));
            findings
                .into_iter()
                .map(|finding| match finding {
                    Finding::Fails(error) => error.kind().name(),
                    Finding::Warns(_) => "warns",
                })
                .collect::<Vec<_>>()
        };
        let healthy = [Some("app"), Some("false"), Some("150018"), None, None, None];
        assert!(judged(healthy).is_empty());
        let with = |place: usize, fact| {
            let mut facts = healthy;
            facts[place] = Some(fact);
            facts
        };
        assert_eq!(judged(with(0, "other")), ["Mismatch"]);
        assert_eq!(judged(with(1, "true")), ["Unsupported"]);
        assert_eq!(judged(with(2, "90624")), ["Unsupported"]);
        assert_eq!(judged(with(3, "on")), ["Forbidden"]);
        assert!(judged(with(3, "off")).is_empty());
        let mut member = with(3, "on");
        member[4] = Some("true");
        assert!(judged(member).is_empty());
        assert_eq!(judged(with(5, "past")), ["warns"]);
        assert_eq!(judged(with(5, "soon")), ["warns"]);
    }
}
