//! Two users that are equal by construction: the second is a member of the first and acts as it
//! from its first statement on, so that there is one identity with two logins. Nothing that the
//! first may do is read or copied.

mod databases;
pub(crate) mod extra;
mod roles;
pub(crate) mod settings;
mod spare;
mod survey;
mod versions;

use async_trait::async_trait;
use fourstep::users::{
    Accounts, Alternates, Assessment, Database, Install, LoggedIn, Login, OpenSessions, Ownership,
    driver,
};
use fourstep::{Error, ErrorKind, Invocation, Result, SecretString};

use crate::change::{Prepared, own_account};
use crate::session::{At, Failure, Kind, Session};
use crate::sql::{self, quote};
use crate::{Postgres, accounts, admin, errors, redshift};

/// Whether what was handed over was all that there was: DROP OWNED would drop what the user made
/// since, and what it drops it locks. Default privileges and user mappings are meant to go.
const DROPPED: &str = "SELECT count(*) FROM pg_locks AS l WHERE l.pid = pg_backend_pid() \
    AND l.mode = 'AccessExclusiveLock' AND (l.locktype = 'relation' \
    AND NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = l.relation) OR l.locktype = 'object' \
    AND l.classid NOT IN ('pg_default_acl'::regclass, 'pg_user_mapping'::regclass, \
    'pg_policy'::regclass))";

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

    fn transactions(&self, admin: &Login) -> bool {
        Kind::of(admin) == Kind::Postgres
    }

    fn check_username(&self, username: &str) -> Result<()> {
        let most = sql::LONGEST_NAME;
        let unit = format!("bytes, and PostgreSQL cuts names off after {most}");
        driver::check_length(username, username.len(), most, &unit)
    }

    async fn accounts(
        &self,
        admin: &mut At<'_>,
        usernames: &[&str],
        secret: &str,
    ) -> Result<Accounts> {
        let session = &mut admin.session;
        if session.kind == Kind::Redshift {
            return redshift::accounts(session, usernames, secret, admin.cx).await;
        }
        let mut found = accounts::read(session, usernames, Some(secret), admin.cx).await?;
        for (user, statement) in admin::lacks(session, usernames, admin.cx).await? {
            let about = found.iter_mut().filter(|(name, _)| user.is_empty() || **name == user);
            about.for_each(|(_, account)| account.lacks.push(statement.clone()));
        }
        Ok(found)
    }

    async fn open_sessions(&self, admin: &mut At<'_>, user: &str) -> Result<OpenSessions> {
        if admin.session.kind == Kind::Redshift {
            let what = "the open sessions of Amazon Redshift are not looked at";
            let unseen = Error::new(ErrorKind::Unsupported, what);
            return Ok(OpenSessions::Unseen(unseen.caused_by("unset it for this secret")));
        }
        let count = databases::sessions(&mut admin.session, user, admin.cx).await?;
        Ok(OpenSessions::Count(count))
    }

    async fn assess(
        &self,
        admin: &mut At<'_>,
        install: &Install<'_>,
        accounts: &Accounts,
        ownership: Option<Ownership>,
    ) -> Result<Assessment<()>> {
        if admin.session.kind == Kind::Redshift {
            let known = (accounts, ownership);
            return redshift::assess(self, admin, install, known).await;
        }
        let checked = self.format.check(admin.session.channel);
        let mut survey = survey::Survey { postgres: self, admin, install };
        let mut assessment = survey.assess(accounts, ownership).await?;
        assessment.objections.extend(checked.err());
        assessment.let_in = "and LOGIN";
        Ok(assessment)
    }

    async fn run(&self, at: &mut At<'_>, statement: &str) -> Result<()> {
        if at.session.kind == Kind::Redshift {
            return redshift::run(&mut at.session, statement, at.cx).await;
        }
        if statement.starts_with(roles::DROP) {
            return drop_owned(&mut at.session, statement, at.cx).await;
        }
        let done = at.session.run(statement, statement, at.cx).await;
        done.map_err(|failure| named(failure, statement))
    }

    async fn run_spare(&self, at: &mut At<'_>, statement: &str) -> Result<()> {
        let LoggedIn { session, cx, .. } = at;
        if session.kind == Kind::Redshift {
            return redshift::run(session, statement, cx).await;
        }
        let done = spare::in_savepoint(session, cx, async |session| {
            let done = session.run(statement, statement, cx).await;
            done.map_err(|failure| named(failure, statement))
        });
        match done.await? {
            Err(error) => cx.warn(format!(
                "it was left as it is, and does not count, because the user acts as the other one: {error}"
            )),
            Ok(()) if statement.starts_with(roles::DROP) => none_dropped(session, statement, cx).await?,
            Ok(()) => {}
        }
        Ok(())
    }

    async fn prepare_install(
        &self,
        admin: &mut At<'_>,
        install: &Install<'_>,
        (): (),
        password: &SecretString,
    ) -> Result<Prepared> {
        self.prepare(&admin.session, (install.target, true), password, admin.cx)
    }

    async fn differences(
        &self,
        admin: &Login,
        pending: &Login,
        partner: &str,
        cx: &Invocation,
    ) -> Result<Vec<String>> {
        if Kind::of(pending) == Kind::Redshift {
            let pair = (pending.username.as_str(), partner);
            return redshift::differences(self, admin, pair, cx).await;
        }
        let what = format!("{} does not log in", pending.account());
        let attempt = driver::log_in(self, pending, cx).await?;
        let mut at = attempt.accepted(ErrorKind::Rejected, what)?;
        let user = pending.username.as_str();
        let asked = async {
            own_account(&mut at).await?;
            // As an application begins: a transaction of ours would act as the login.
            let who = "SELECT current_user, pg_catalog.current_database()";
            let (acting, database): (String, String) =
                at.session.ask("the question who this is", who, cx).await?;
            self.begin(&mut at, &[]).await?;
            let members = format!(
                "SELECT COALESCE(bool_or(pg_has_role({0}, rolname, 'MEMBER')), false), \
                 COALESCE(bool_or(pg_has_role(rolname, {0}, 'MEMBER')), false) \
                 FROM pg_roles WHERE rolname = {1}",
                quote(user),
                quote(partner)
            );
            let names = match at.session.ask("a look at the two roles", members, cx).await? {
                (true, _) => Names { first: partner, second: user },
                (_, true) => Names { first: user, second: partner },
                (false, false) => {
                    let what = format!("neither {user:?} nor {partner:?} is a member of the other");
                    return Ok(vec![what]);
                }
            };
            let settings = settings::read(&mut at.session, &names, cx).await?;
            let expected = settings.identity(Some(&database));
            let wrong = (acting != expected)
                .then(|| format!("{user:?} acts as {acting:?} and not as {expected:?}"));
            Ok(wrong.into_iter().collect())
        }
        .await;
        driver::close(self, at).await;
        asked
    }
}

fn named(failure: Failure, statement: &str) -> Error {
    match failure {
        Failure::Refused(refusal) => errors::of_admin(statement, &refusal),
        Failure::Lost(error) => error.caused_by("nothing was committed"),
    }
}

/// Takes what the user was granted, as far as the admin may. The server gives some of it up with a
/// warning, and some with an error; that must not be a trap that anybody can lay by a grant.
async fn drop_owned(session: &mut Session, statement: &str, cx: &Invocation) -> Result<()> {
    let [save, back] = ["SAVEPOINT granted", "ROLLBACK TO SAVEPOINT granted"];
    session.run(save, save, cx).await.map_err(|fail| named(fail, save))?;
    match session.run(statement, statement, cx).await {
        Err(Failure::Refused(refusal)) if refusal.code == "42501" => {
            cx.warn(format!(
                "{statement}: the admin may not take what somebody else granted; it does not \
                 count, because the user acts as the other one"
            ));
            session.run(back, back, cx).await.map_err(|fail| named(fail, back))
        }
        Err(failure) => Err(named(failure, statement)),
        Ok(()) => none_dropped(session, statement, cx).await,
    }
}

async fn none_dropped(session: &mut Session, statement: &str, cx: &Invocation) -> Result<()> {
    let (dropped,): (i64,) = session.ask("a look at what was dropped", DROPPED, cx).await?;
    if dropped == 0 {
        return Ok(());
    }
    let what = format!("{statement}: the user made something meanwhile");
    Err(Error::new(ErrorKind::Conflict, what)
        .caused_by("it was rolled back and nothing is lost; retry"))
}
