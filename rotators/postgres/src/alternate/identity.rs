//! Who a user of a pair is once it is logged in.

use fourstep::users::{Attempt, Login, driver};
use fourstep::{Error, ErrorKind, Turn};

use crate::change::own_account;
use crate::sql::quote;
use crate::{Postgres, transaction};

use super::{Names, settings};

/// What is wrong with `pending` as one of the two logins of one identity, as its own session sees it.
pub(crate) async fn differences(
    postgres: &Postgres,
    pending: &Login,
    partner: &str,
    turn: &Turn,
) -> Result<Vec<String>, Error> {
    let mut session = match driver::log_in(postgres, pending, turn).await? {
        Attempt::Accepted(session) => session,
        Attempt::Refused(why) => {
            let what = format!("{} does not log in", pending.account());
            return Err(Error::new(ErrorKind::Rejected, what).caused_by(why));
        }
    };
    let user = pending.username.as_str();
    let asked = async {
        own_account(&mut session, pending, turn).await?;
        let version = session.version;
        // As an application begins: a transaction of ours would act as the login.
        let who =
            "SELECT current_user::pg_catalog.text, pg_catalog.current_database()::pg_catalog.text";
        let [acting, database] = session.ask("the question who this is", who, turn).await?;
        transaction::begin(&mut session, &[], turn).await?;
        let members = format!(
            "SELECT COALESCE(bool_or(pg_has_role({0}, rolname, 'MEMBER')), false)::text, \
             COALESCE(bool_or(pg_has_role(rolname, {0}, 'MEMBER')), false)::text \
             FROM pg_roles WHERE rolname = {1}",
            quote(user),
            quote(partner)
        );
        let [second, first] = session.ask("a look at the two roles", &members, turn).await?;
        let names = match (second.as_deref(), first.as_deref()) {
            (Some("true"), _) => Names { first: partner, second: user },
            (_, Some("true")) => Names { first: user, second: partner },
            _ => {
                return Ok(vec![format!(
                    "neither {user:?} nor {partner:?} is a member of the other"
                )]);
            }
        };
        let settings = settings::read(&mut session, &names, version, turn).await?;
        let (acting, expected) =
            (acting.unwrap_or_default(), settings.identity(database.as_deref()));
        Ok(match acting == expected {
            true => Vec::new(),
            false => vec![format!("{user:?} acts as {acting:?} and not as {expected:?}")],
        })
    }
    .await;
    driver::close(postgres, session, turn).await;
    asked
}
