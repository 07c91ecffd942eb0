//! Two users that an admin keeps equal, on MySQL and MariaDB.
//!
//! What SHOW GRANTS and the servers' own tables say of one user is compared with what they say of
//! the other, account by account, and the difference becomes statements. None of them can be rolled
//! back, and each leaves something that the next run goes on from. A user is made locked, and let in
//! by the last statement.

mod accounts;
mod compare;
mod compose;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod install;
mod needs;
mod plan;
mod rights;
mod settings;
mod text;
mod tokens;
mod users;

use async_trait::async_trait;
use fourstep::users::{Accounts, Alternates, Change, Install, Login};
use fourstep::{Error, ErrorKind, Fence, Finding, SecretString, Turn};

use crate::{Mysql, change};

pub(crate) use accounts::power;
pub(crate) use compose::plugin;
pub(crate) use needs::is_like;
pub(crate) use rights::AccountName;
pub(crate) use users::{look, settings_of};

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
        let found = match install::not_here(&session) {
            Ok(()) => accounts::read(&mut session, usernames, secret, &admin.username, turn).await,
            Err(error) => Err(error),
        };
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
        let usernames = [partner, pending.username.as_str()];
        let mut session = self.admin_session(admin, turn).await?;
        let differences = compare::differences(&mut session, usernames, turn).await;
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

#[cfg(test)]
mod try_out;
