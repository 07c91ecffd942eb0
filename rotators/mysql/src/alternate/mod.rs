//! Two users that an admin keeps equal, on MySQL and MariaDB.
//!
//! On MySQL the second user has the first one as its role ([`role`]). MariaDB takes no user for a role:
//! there what one may do is copied to the other ([`copy`]). No statement of either can be rolled back,
//! and each leaves something that the next run goes on from. A user is made locked, and let in by the
//! last statement.

mod accounts;
mod compose;
mod copy;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod install;
mod own;
mod pattern;
mod read;
mod role;
mod settings;
mod text;

use async_trait::async_trait;
use fourstep::users::{Account, Accounts, Alternates, Attempt, Change, Database, Install, Login};
use fourstep::{Error, ErrorKind, Fence, Finding, SecretString, Turn};

use crate::server::Flavour;
use crate::session::Session;
use crate::{Mysql, change, sql};

pub(crate) use accounts::power;
pub(crate) use compose::plugin;
pub(crate) use own::gives_everywhere;
pub(crate) use pattern::is_like;
pub(crate) use read::{look, settings_of};
pub(crate) use text::AccountName;

#[async_trait]
impl Alternates for Mysql {
    fn check_username(&self, username: &str) -> Result<(), Error> {
        let length = username.chars().count();
        if length <= self.username_limit {
            return Ok(());
        }
        let what = format!(
            "user name {username:?} has {length} characters, more than the {} of \
             USERNAME_CHARACTER_LIMIT",
            self.username_limit
        );
        Err(Error::new(ErrorKind::Unsupported, what)
            .caused_by("name a shorter one in USER_PAIRS, as USER=OTHER"))
    }

    async fn accounts(
        &self,
        admin: &Login,
        usernames: &[&str],
        secret: &str,
        turn: &Turn,
    ) -> Result<Accounts, Error> {
        let mut session = self.admin_session(admin, turn).await?;
        let found = accounts_in(&mut session, admin, usernames, secret, turn).await;
        session.close(turn).await;
        found
    }

    async fn install(
        &self,
        admin: &Login,
        install: &Install<'_>,
        password: &SecretString,
        fence: &Fence<'_>,
        turn: &Turn,
    ) -> Result<Change, Error> {
        let mut session = self.admin_session(admin, turn).await?;
        let gate = || -> change::Passing<'_> { Box::pin(fence.pass()) };
        let installed = self.install_in(&mut session, admin, install, password, &gate, turn).await;
        session.close(turn).await;
        installed
            .map_err(|error| error.while_doing(format!("cannot install user {:?}", install.target)))
    }

    async fn differences(
        &self,
        admin: &Login,
        pending: &Login,
        partner: &str,
        turn: &Turn,
    ) -> Result<Vec<String>, Error> {
        let mut session = self.admin_session(admin, turn).await?;
        let differences = self.differences_in(&mut session, pending, partner, turn).await;
        session.close(turn).await;
        differences
    }

    async fn preflight_install(
        &self,
        admin: &Login,
        install: &Install<'_>,
        turn: &Turn,
    ) -> Result<Vec<Finding>, Error> {
        let mut session = self.admin_session(admin, turn).await?;
        let found = self.look_at_install(&mut session, admin, install, turn).await;
        session.close(turn).await;
        Ok(found.unwrap_or_else(|error| vec![Finding::Fails(error)]))
    }

    async fn plan_install(
        &self,
        admin: &Login,
        install: &Install<'_>,
        turn: &Turn,
    ) -> Result<Vec<String>, Error> {
        let mut session = self.admin_session(admin, turn).await?;
        let plan = self.plan_of_install(&mut session, admin, install, turn).await;
        session.close(turn).await;
        plan
    }
}

impl Mysql {
    async fn differences_in(
        &self,
        admin: &mut Session,
        pending: &Login,
        partner: &str,
        turn: &Turn,
    ) -> Result<Vec<String>, Error> {
        let user = pending.username.as_str();
        if admin.server.flavour == Flavour::Mariadb {
            return copy::compare::differences(admin, [partner, user], turn).await;
        }
        // Asked in both turns, so that one makes as many calls as the other: a sweep counts them.
        let is_first = role::is_first(admin, [user, partner], turn).await?;
        let mut session = match self.log_in(pending, turn).await? {
            Attempt::Accepted(session) => session,
            Attempt::Refused(why) => {
                let what = format!("user {user:?} does not log in any more; retry");
                return Err(Error::new(ErrorKind::Conflict, what).caused_by(why));
            }
        };
        let what = "the session's settings";
        session.run(what, sql::READING, turn).await.map_err(|failure| failure.of(what))?;
        let difference = role::difference(&mut session, partner, turn).await;
        session.close(turn).await;
        Ok(difference?.into_iter().filter(|_| !is_first).collect())
    }
}

async fn accounts_in(
    session: &mut Session,
    admin: &Login,
    usernames: &[&str],
    secret: &str,
    turn: &Turn,
) -> Result<Accounts, Error> {
    install::not_here(session)?;
    let found = accounts::read(session, usernames, secret, &admin.username, turn).await?;
    if session.server.flavour == Flavour::Mysql {
        // Before anything is stored.
        let own = own::Own::read(session, turn).await?;
        // Of a pair that is one it is the first that is granted.
        let second =
            |account: &Account| usernames.iter().any(|first| account.acts_as.contains(*first));
        let firsts: Vec<_> = usernames
            .iter()
            .copied()
            .filter(|user| !found.get(*user).is_some_and(second))
            .collect();
        let lacks = role::lacks(session, &own, &firsts, turn).await?;
        if !lacks.is_empty() {
            return Err(own::lacking(&lacks));
        }
    }
    Ok(found)
}
