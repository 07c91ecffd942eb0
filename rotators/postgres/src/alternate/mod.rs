//! Two users that are equal by construction: the second is a member of the first and acts as it
//! from its first statement on, so that there is one identity with two logins. Nothing that the
//! first may do is read or copied.

mod databases;
mod extra;
mod identity;
mod install;
mod roles;
mod settings;
mod survey;

use async_trait::async_trait;
use fourstep::users::{Accounts, Alternates, Change, Install, Login};
use fourstep::{Error, ErrorKind, Fence, Finding, SecretString, Turn};

use crate::{Postgres, accounts, admin, preflight, sql, transaction};

use install::Job;

/// The two users of a pair.
#[derive(Debug, Clone, Copy)]
struct Names<'a> {
    /// As which the second acts.
    first: &'a str,
    second: &'a str,
}

impl Names<'_> {
    /// The two as rows `f` and `s` of pg_roles; without the second, `s` is a row of NULLs.
    fn rows(&self) -> String {
        format!(
            "pg_roles AS f JOIN pg_roles AS own ON f.rolname = {} AND own.rolname = session_user \
             LEFT JOIN pg_roles AS s ON s.rolname = {}",
            sql::quote(self.first),
            sql::quote(self.second)
        )
    }
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
            transaction::begin(&mut session, turn).await?;
            let mut found = accounts::read(&mut session, usernames, Some(secret), turn).await?;
            for (user, statement) in admin::lacks(&mut session, usernames, version, turn).await? {
                let about = found.iter_mut().filter(|(name, _)| user.is_empty() || **name == user);
                about.for_each(|(_, account)| account.lacks.push(statement.clone()));
            }
            Ok(found)
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
        Job { postgres: self, admin, install, turn }.run(password, fence).await
    }

    async fn differences(
        &self,
        _: &Login,
        pending: &Login,
        partner: &str,
        turn: &Turn,
    ) -> Result<Vec<String>, Error> {
        identity::differences(self, pending, partner, turn).await
    }

    async fn preflight_install(
        &self,
        admin: &Login,
        install: &Install<'_>,
        turn: &Turn,
    ) -> Result<Vec<Finding>, Error> {
        let job = Job { postgres: self, admin, install, turn };
        let (mut session, version) = match self.open_admin(admin, turn).await {
            Ok(opened) => opened,
            Err(error) => return Ok(vec![Finding::Fails(error)]),
        };
        let looked = async {
            let (survey, mut findings) = (job.survey(&mut session, version).await?, Vec::new());
            findings.extend(preflight::of_role(&mut session, install.target, turn).await?);
            findings.extend(extra::mentions(&mut session, install.source, turn).await?);
            findings.extend(survey.findings());
            findings.extend(self.format.check(session.terms()).err().map(Finding::Fails));
            transaction::roll_back(&mut session, turn).await;
            if survey.first_obstacle().is_none() {
                findings.extend(job.rehearse(&survey).await);
            }
            Ok(findings)
        }
        .await;
        session.close(turn).await;
        looked
    }

    async fn plan_install(
        &self,
        admin: &Login,
        install: &Install<'_>,
        turn: &Turn,
    ) -> Result<Vec<String>, Error> {
        let (mut session, version) = self.open_admin(admin, turn).await?;
        let job = Job { postgres: self, admin, install, turn };
        let survey = job.survey(&mut session, version).await;
        session.close(turn).await;
        Ok(survey?.lines(install.target))
    }
}
