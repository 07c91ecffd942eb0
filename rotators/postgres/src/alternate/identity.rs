//! Who a user of a pair is once it is logged in.

use fourstep::users::{Attempt, Login, driver};
use fourstep::{Error, ErrorKind, Invocation};

use crate::change::own_account;
use crate::sql::quote;
use crate::{Postgres, transaction};

use super::{Names, settings};

/// What is wrong with `pending` as one of the two logins of one identity, as its own session sees it.
pub(crate) async fn differences(
    postgres: &Postgres,
    pending: &Login,
    partner: &str,
    cx: &Invocation,
) -> Result<Vec<String>, Error> {
    let mut session = match driver::log_in(postgres, pending, cx).await? {
        Attempt::Accepted(session) => session,
        Attempt::Refused(why) => {
            let what = format!("{} does not log in", pending.account());
            return Err(Error::new(ErrorKind::Rejected, what).caused_by(why));
        }
    };
    let user = pending.username.as_str();
    let asked = async {
        own_account(&mut session, pending, cx).await?;
        let version = session.version;
        // As an application begins: a transaction of ours would act as the login.
        let who =
            "SELECT current_user::pg_catalog.text, pg_catalog.current_database()::pg_catalog.text";
        let [acting, database] = session.ask("the question who this is", who, cx).await?;
        transaction::begin(&mut session, &[], cx).await?;
        let members = format!(
            "SELECT COALESCE(bool_or(pg_has_role({0}, rolname, 'MEMBER')), false)::text, \
             COALESCE(bool_or(pg_has_role(rolname, {0}, 'MEMBER')), false)::text \
             FROM pg_roles WHERE rolname = {1}",
            quote(user),
            quote(partner)
        );
        let [second, first] = session.ask("a look at the two roles", &members, cx).await?;
        let names = match (second.as_deref(), first.as_deref()) {
            (Some("true"), _) => Names { first: partner, second: user },
            (_, Some("true")) => Names { first: user, second: partner },
            _ => {
                return Ok(vec![format!(
                    "neither {user:?} nor {partner:?} is a member of the other"
                )]);
            }
        };
        let settings = settings::read(&mut session, &names, version, cx).await?;
        let (acting, expected) =
            (acting.unwrap_or_default(), settings.identity(database.as_deref()));
        Ok(match acting == expected {
            true => Vec::new(),
            false => vec![format!("{user:?} acts as {acting:?} and not as {expected:?}")],
        })
    }
    .await;
    driver::close(postgres, session, cx).await;
    asked
}

/// The minor versions from which on a session keeps acting after DISCARD ALL, where the first ones of
/// the major version do not. In the one before, ALTER ROLE ... SET role has no effect. Source: the
/// release notes' CVE-2024-10978, and what mends its fix. Seen at 10.3 and 14.2, and gone at 15.18.
const KEPT_SINCE: [[u32; 2]; 6] = [[12, 22], [13, 18], [14, 15], [15, 10], [16, 6], [17, 2]];

/// What this version makes of the setting that says as which role a session acts.
pub(crate) fn forgets(version: u32) -> Option<&'static str> {
    let (major, minor) = (version / 10_000, version % 10_000);
    let since = KEPT_SINCE.iter().find(|[one, _]| *one == major).map(|[_, since]| *since);
    match since {
        Some(since) if minor + 1 == since => Some(
            "this minor version is known to ignore ALTER ROLE ... SET role at a login, which testSecret \
             would find; upgrade to the newest minor version",
        ),
        Some(since) if minor >= since => None,
        None if major > 11 => None,
        _ => Some(
            "on this minor version DISCARD ALL, which poolers send, ends the second user's acting as the \
             first until the session's end: what it makes then belongs to itself until the next \
             rotation; upgrade to the newest minor version, or have the pooler send RESET ALL",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::forgets;

    #[test]
    fn each_minor_version_has_its_fault() {
        let ignores = |version| forgets(version).is_some_and(|it| it.contains("ignore"));
        for version in [100_003, 110_022, 140_002, 140_013, 170_000] {
            assert!(forgets(version).is_some() && !ignores(version), "{version}");
        }
        assert!([120_021, 140_014, 150_009, 170_001].into_iter().all(ignores));
        for version in [120_022, 140_015, 150_018, 160_006, 170_002, 180_000] {
            assert!(forgets(version).is_none(), "{version}");
        }
    }
}
