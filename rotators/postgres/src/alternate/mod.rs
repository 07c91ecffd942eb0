//! Two users that an admin keeps equal: everything one was given, in every database, the other is
//! given too, and then its password.

mod compare;
mod databases;
mod defaults;
mod install;
mod owner;
mod plan;
mod rights;
mod role;
mod settings;
mod survey;
mod text;

use async_trait::async_trait;
use fourstep::users::{Accounts, Alternates, Change, Install, Login, Mark};
use fourstep::{Error, ErrorKind, Fence, Finding, SecretString, Turn};

use crate::session::Session;
use crate::{Postgres, accounts, sql, transaction};

pub(crate) use install::Job;
pub(crate) use owner::SharedOwners;
use plan::{Names, Place, Plan};
use survey::Survey;

/// From this version on a membership has options of its own, and SET ROLE is one of them. Source:
/// PostgreSQL 16 release notes, "Privileges".
const ROLE_OPTIONS: u32 = 160_000;

/// Before this version GRANT knows no ROUTINE. Source: PostgreSQL 11 release notes, "Utility
/// Commands".
const OLDEST: u32 = 110_000;

/// Everything about two users in one database, and about the roles themselves in the first.
struct Look {
    roles: Option<(role::Roles, settings::Settings)>,
    rights: rights::Rights,
    defaults: defaults::Defaults,
}

/// Reads all of it, in an open transaction.
async fn look(
    session: &mut Session,
    names: &Names<'_>,
    place: &Place,
    turn: &Turn,
) -> Result<Look, Error> {
    let roles = match place.first {
        true => Some((
            role::read(session, names, place, turn).await?,
            settings::read(session, names, place, turn).await?,
        )),
        false => None,
    };
    let rights = rights::read(session, names, place, turn).await?;
    let defaults = defaults::read(session, names, place, turn).await?;
    let mut look = Look { roles, rights, defaults };
    if role::is_member(session, names, turn).await? {
        look.keep_held();
    }
    Ok(look)
}

impl Look {
    /// The source is a member of the target, as AWS's template makes the second user of the first:
    /// what the target has is what the source lives on, and none of it may be taken away.
    fn keep_held(&mut self) {
        if let Some((roles, settings)) = &mut self.roles {
            roles.keep_held();
            settings.keep_held();
        }
        self.rights.keep_held();
        self.defaults.keep_held();
    }

    /// What makes the target like the source; `mark` is to be written on it.
    fn plan(&self, names: &Names<'_>, mark: Option<&Mark>, place: &Place) -> Plan {
        let mut plan = Plan::default();
        if let Some((roles, settings)) = &self.roles {
            roles.plan(names, mark, place, &mut plan);
            settings.plan(names, place, &mut plan);
        }
        self.rights.plan(names, place, &mut plan);
        self.defaults.plan(names, place, &mut plan);
        plan
    }
}

/// Refuses a server whose statements these are not.
fn old_enough(version: u32) -> Result<(), Error> {
    if version >= OLDEST {
        return Ok(());
    }
    let what = "the server is older than PostgreSQL 11, which alternating users need; upgrade it";
    Err(Error::new(ErrorKind::Unsupported, what))
}

#[async_trait]
impl Alternates for Postgres {
    fn check_username(&self, username: &str) -> Result<(), Error> {
        let length = username.len();
        if length <= sql::LONGEST_NAME {
            return Ok(());
        }
        let what = format!(
            "user name {username:?} has {length} bytes, and PostgreSQL cuts names off after {}",
            sql::LONGEST_NAME
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
        let (mut session, version) = self.open_admin(admin, turn).await?;
        let found = async {
            old_enough(version)?;
            transaction::begin(&mut session, turn).await?;
            accounts::read(&mut session, usernames, Some(secret), turn).await
        }
        .await;
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
        Job { postgres: self, admin, install, gate: fence, turn }.run(password).await
    }

    async fn differences(
        &self,
        admin: &Login,
        pending: &Login,
        partner: &str,
        turn: &Turn,
    ) -> Result<Vec<String>, Error> {
        let usernames = [partner, pending.username.as_str()];
        compare::differences(self, admin, usernames, turn).await
    }

    async fn preflight_install(
        &self,
        admin: &Login,
        install: &Install<'_>,
        turn: &Turn,
    ) -> Result<Vec<Finding>, Error> {
        let survey = match Survey::take(self, admin, install, turn).await {
            Ok(survey) => survey,
            Err(error) => return Ok(vec![Finding::Fails(error)]),
        };
        let findings = survey.findings(self.format);
        survey.close(turn).await;
        Ok(findings)
    }

    async fn plan_install(
        &self,
        admin: &Login,
        install: &Install<'_>,
        turn: &Turn,
    ) -> Result<Vec<String>, Error> {
        let survey = Survey::take(self, admin, install, turn).await?;
        let lines = survey.lines(install);
        survey.close(turn).await;
        Ok(lines)
    }
}
