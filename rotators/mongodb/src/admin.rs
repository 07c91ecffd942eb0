//! What an admin does to another user: sets its password. And what it must have the right to.

use std::collections::BTreeSet;

use async_trait::async_trait;
use fourstep::users::driver::{lacks_rights, never_changed};
use fourstep::users::{Administered, LoggedIn, Login};
use fourstep::{Error, ErrorKind, Invocation, Result};

use crate::Mongodb;
use crate::change::{Prepared, quoted};
use crate::session::{At, Session, database};
use crate::user::{self, Privileges, Role, User};

/// What an admin needs in the database of a user whose password it sets.
pub(crate) const TO_RESET: [&str; 2] = ["viewUser", "changePassword"];

/// The statements that give the admin what it lacks: these rights in this database.
pub(crate) fn lacks(own: &Privileges, admin: &str, needs: &[(&str, &str)]) -> BTreeSet<String> {
    let lacking = needs.iter().filter(|(action, here)| own.allow(action, here) == Some(false));
    let give = |here: &str| {
        let role = Role { database: here.to_owned(), name: "userAdmin".to_owned() };
        let (admin, role) = (quoted(admin), role.shown());
        // An admin logs in to the database admin.
        format!("db.getSiblingDB(\"admin\").grantRolesToUser({admin}, [{role}])")
    };
    lacking.map(|(_, here)| give(here)).collect()
}

/// One user, who must be there.
pub(crate) async fn find(
    session: &mut Session,
    here: &str,
    name: &str,
    cx: &Invocation,
) -> Result<User> {
    user::named(session, here, [name], cx).await?.remove(name).ok_or_else(|| {
        let what = format!("user {name:?} does not exist in the database {here:?}");
        Error::new(ErrorKind::NotFound, what)
            .caused_by("nothing was changed; create it, or correct \"username\" or \"dbname\"")
    })
}

#[async_trait]
impl Administered for Mongodb {
    // An admin's login is in the database admin; the user's database is where the user is.
    const ADMIN_ENTERS_DATABASE: bool = false;

    async fn prepare_admin(&self, at: &mut At<'_>) -> Result<()> {
        at.session.channel.listen_longer();
        self.transport.shown(at.session.transport).map_or(Ok(()), Err)
    }

    async fn prepare_reset(&self, admin: &mut At<'_>, target: &Login) -> Result<Prepared> {
        let prepared = Prepared::new(database(target), &target.username, &target.password);
        Ok(prepared.proven_as_now(&mut admin.session, admin.cx).await)
    }

    async fn objections(&self, admin: &mut At<'_>, user: &str) -> Result<Vec<Error>> {
        let LoggedIn { login, session, cx } = admin;
        let here = database(login);
        let own = Privileges::own(session, cx).await?;
        let lacks = lacks(&own, &login.username, &TO_RESET.map(|action| (action, here)));
        if !lacks.is_empty() {
            return Ok(vec![lacks_rights(lacks.iter().map(String::as_str))]);
        }
        let power = find(session, here, user, cx).await?.power();
        Ok(power.iter().map(|why| never_changed(format!("user {user:?}"), why)).collect())
    }
}
