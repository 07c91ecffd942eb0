//! Two users that are equal by construction: the second is a member of the first and acts as it
//! from its first statement on, so that there is one identity with two logins. Nothing that the
//! first may do is read or copied.

mod databases;
pub(crate) mod extra;
mod identity;
mod install;
mod roles;
mod settings;
mod survey;

use async_trait::async_trait;
use fourstep::users::{
    Accounts, AdminSession, Alternates, Assessment, Install, Login, OpenSessions, Ownership,
};
use fourstep::{Error, ErrorKind, Invocation, SecretString};

use crate::change::{self, Prepared};
use crate::session::Session;
use crate::{Postgres, accounts, admin, sql};

/// The two users of a pair.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a> {
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
    type Found = ();

    fn transactions(&self) -> bool {
        true
    }

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
        admin: &mut AdminSession<Session>,
        usernames: &[&str],
        secret: &str,
        cx: &Invocation,
    ) -> Result<Accounts, Error> {
        let session = &mut admin.session;
        let mut found = accounts::read(session, usernames, Some(secret), cx).await?;
        for (user, statement) in admin::lacks(session, usernames, cx).await? {
            let about = found.iter_mut().filter(|(name, _)| user.is_empty() || **name == user);
            about.for_each(|(_, account)| account.lacks.push(statement.clone()));
        }
        Ok(found)
    }

    async fn open_sessions(
        &self,
        admin: &mut AdminSession<Session>,
        user: &str,
        cx: &Invocation,
    ) -> Result<OpenSessions, Error> {
        let count = databases::sessions(&mut admin.session, user, cx).await?;
        Ok(OpenSessions::Count(count))
    }

    async fn assess(
        &self,
        admin: &mut AdminSession<Session>,
        install: &Install<'_>,
        accounts: &Accounts,
        ownership: Option<Ownership>,
        cx: &Invocation,
    ) -> Result<Assessment<()>, Error> {
        let checked = self.format.check(admin.session.channel());
        let mut survey = survey::Survey { postgres: self, admin, install, cx };
        let mut assessment = survey.assess(accounts, ownership).await?;
        assessment.objections.extend(checked.err());
        assessment.let_in = "and LOGIN";
        Ok(assessment)
    }

    async fn run(
        &self,
        session: &mut Session,
        statement: &str,
        cx: &Invocation,
    ) -> Result<(), Error> {
        install::run(session, statement, cx).await
    }

    async fn prepare_install(
        &self,
        admin: &mut AdminSession<Session>,
        install: &Install<'_>,
        (): (),
        password: &SecretString,
        cx: &Invocation,
    ) -> Result<Prepared, Error> {
        let new = (password, self.format);
        change::prepare(&admin.session, (install.target, true), new, cx)
    }

    async fn differences(
        &self,
        _: &Login,
        pending: &Login,
        partner: &str,
        cx: &Invocation,
    ) -> Result<Vec<String>, Error> {
        identity::differences(self, pending, partner, cx).await
    }
}
