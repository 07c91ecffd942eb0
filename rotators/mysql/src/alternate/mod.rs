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
mod identity;
mod own;
mod pattern;
mod quoting;
pub(crate) mod read;
mod role;
mod settings;

use async_trait::async_trait;
use fourstep::users::{
    Account, Accounts, Alternates, Assessment, Install, LoggedIn, Login, OpenSessions, Ownership,
    Part, driver,
};
use fourstep::{Error, ErrorKind, Invocation, Result, SecretString};

use crate::change::{How, Prepared, UNCHANGED};
use crate::server::Flavour;
use crate::session::{At, Failure};
use crate::{Mysql, errors, sql};

use compose::Found;

pub(crate) use accounts::power;
pub(crate) use compose::plugin;
pub(crate) use identity::mentions;
pub(crate) use own::{Own, gives_everywhere};
pub(crate) use pattern::is_like;
pub(crate) use quoting::AccountName;
pub(crate) use read::{look, settings_of};

#[async_trait]
impl Alternates for Mysql {
    type Found = Found;

    fn check_username(&self, username: &str) -> Result<()> {
        let most = self.username_limit;
        let unit = format!("characters, more than the {most} of USERNAME_CHARACTER_LIMIT");
        driver::check_length(username, username.chars().count(), most, &unit)
    }

    async fn accounts(
        &self,
        admin: &mut At<'_>,
        usernames: &[&str],
        secret: &str,
    ) -> Result<Accounts> {
        let LoggedIn { login, session, cx } = admin;
        let obstacle = session.server.obstacle().or_else(|| session.server.no_attributes());
        obstacle.map_or(Ok(()), |error| Err(error.caused_by(UNCHANGED)))?;
        let mut found = accounts::read(session, usernames, secret, &login.username, cx).await?;
        if session.server.flavour == Flavour::Mysql {
            let own = Own::read(session, cx).await?;
            // Of a pair that is one it is the first that is granted.
            let second =
                |account: &Account| usernames.iter().any(|first| account.acts_as.contains(*first));
            let is_second = |user: &str| found.get(user).is_some_and(second);
            let firsts: Vec<_> =
                usernames.iter().copied().filter(|user| !is_second(user)).collect();
            let lacks = role::lacks(session, &own, &firsts, cx).await?;
            found.values_mut().for_each(|account| account.lacks.extend(lacks.iter().cloned()));
        }
        Ok(found)
    }

    /// As far as the admin sees them: without PROCESS it sees its own.
    async fn open_sessions(&self, admin: &mut At<'_>, user: &str) -> Result<OpenSessions> {
        let session = &mut admin.session;
        match read::open_sessions(session, user, admin.cx).await {
            Ok(0) => {}
            Ok(count) => return Ok(OpenSessions::Count(count)),
            // What cannot be told is not none: nothing may be taken then.
            Err(error) => return Ok(OpenSessions::Unseen(error)),
        }
        let lacks = Own::read(session, admin.cx).await?.lacks("PROCESS");
        Ok(lacks.map_or(OpenSessions::Count(0), |statement| {
            let what = "the admin does not see other users' sessions; nothing was changed";
            let unseen = Error::new(ErrorKind::Forbidden, what);
            OpenSessions::Unseen(unseen.caused_by(format!("have this run: {statement}")))
        }))
    }

    async fn assess(
        &self,
        admin: &mut At<'_>,
        install: &Install<'_>,
        accounts: &Accounts,
        ownership: Option<Ownership>,
    ) -> Result<Assessment<Found>> {
        let Some(ownership) = ownership else { return Ok(Assessment::default()) };
        let LoggedIn { login, session, cx } = admin;
        let own = Own::read(session, cx).await?;
        let mut composed = match session.server.flavour {
            Flavour::Mysql => {
                role::compose(session, &own, install, accounts, ownership, cx).await?
            }
            Flavour::Mariadb => copy::compose(session, &own, install, ownership, cx).await?,
        };
        let mut plugins = composed.found.finish.iter().map(|(_, plugin)| *plugin);
        composed.objections.extend(plugins.find_map(|plugin| self.obstacle_of(session, plugin)));
        composed.let_in = if composed.found.unlock { "and ACCOUNT UNLOCK" } else { "" };
        let steps = std::mem::take(&mut composed.found.steps);
        composed.found.changed = !steps.is_empty();
        composed.parts.push(Part { login: login.clone(), steps });
        Ok(composed)
    }

    async fn run(&self, at: &mut At<'_>, statement: &str) -> Result<()> {
        let what = "a statement of the change";
        match at.session.run(what, statement, at.cx).await {
            // What RANDOM PASSWORD made is dropped unread.
            Ok(_) => Ok(()),
            Err(Failure::Refused(refusal)) => {
                let refusal = at.session.look_behind(refusal, at.cx).await;
                Err(going_on(errors::of_step(statement, &refusal)))
            }
            Err(failure) => Err(going_on(failure.of(what))),
        }
    }

    /// MariaDB is asked again first whether all that was copied is there.
    async fn prepare_install(
        &self,
        admin: &mut At<'_>,
        install: &Install<'_>,
        found: Found,
        password: &SecretString,
    ) -> Result<Prepared> {
        let session = &mut admin.session;
        let Found { mut finish, unlock, changed, .. } = found;
        if changed && session.server.flavour == Flavour::Mariadb {
            finish = copy::made_alike(session, install, admin.cx).await.map_err(going_on)?;
        }
        let statement = self.password_of(session, &finish, password, unlock);
        let how = How::Others { statement, discard: None };
        Ok(Prepared { locks: vec![install.target.to_owned()], how })
    }

    async fn differences(
        &self,
        admin: &Login,
        pending: &Login,
        partner: &str,
        cx: &Invocation,
    ) -> Result<Vec<String>> {
        let mut admin = driver::open_admin(self, admin, cx).await?;
        let differences = async {
            let user = pending.username.as_str();
            let admin = &mut admin.session;
            if admin.server.flavour == Flavour::Mariadb {
                return copy::compare::differences(admin, [partner, user], cx).await;
            }
            // Asked in both turns, so that one makes as many calls as the other: a sweep counts them.
            let is_first = role::is_first(admin, [user, partner], cx).await?;
            let what = format!("user {user:?} does not log in any more; retry");
            let attempt = driver::log_in(self, pending, cx).await?;
            let mut at = attempt.accepted(ErrorKind::Conflict, what)?;
            let what = "the session's settings";
            at.session.run(what, sql::READING, cx).await.map_err(|failure| failure.of(what))?;
            let difference = role::difference(&mut at.session, partner, cx).await;
            driver::close(self, at).await;
            Ok(difference?.into_iter().filter(|_| !is_first).collect())
        }
        .await;
        driver::close(self, admin).await;
        differences
    }
}

fn going_on(error: Error) -> Error {
    error.caused_by("the user is not let in yet, and a retry goes on from here")
}
