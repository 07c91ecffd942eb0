//! One user that changes its own password.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::{Error, Result};
use crate::invocation::Invocation;
use crate::password::PasswordPolicy;
use crate::rotator::{
    Applied, CreateContext, Fence, Finding, InspectContext, Rotator, SetContext, Verdict,
};
use crate::secret::Secret;
use crate::users::login_attempts::{LoginAttempts, Open};
use crate::users::{Attempt, Change, Database, Driver, Login, common};

/// The single-user strategy over any [`Database`].
///
/// The old password dies when setSecret changes it; applications that cannot take that need a
/// strategy with two passwords.
#[derive(Debug)]
pub struct SingleUser<S> {
    database: Arc<Driver<S>>,
    policy: PasswordPolicy,
}

impl<S: Database> SingleUser<S> {
    /// Rotates users of `database` to passwords that meet `policy`.
    pub fn new(database: Arc<Driver<S>>, policy: PasswordPolicy) -> Self {
        Self { database, policy }
    }
}

#[async_trait]
impl<S: Database> Rotator for SingleUser<S> {
    fn check(&self, versions: &SetContext<'_>) -> Result<()> {
        common::check_same_user(versions, self.database.dialect())
    }

    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret> {
        let current = common::current(known.current.secret(), self.database.dialect())?;
        common::unused_admin(known.current, "single-user")
            .into_iter()
            .for_each(|text| cx.warn(text));
        if self.database.server().asks_before_proposing(&current) {
            self.ask_whether_it_may(&current, cx).await?;
        }
        let with = (&*self.database, &self.policy);
        Ok(common::with_new_password(with, known, &current, cx)?.into())
    }

    /// Current first, because it works in every healthy rotation, then pending, which works if an
    /// earlier run got this far, then what a cancelled rotation may have left. Only a refused
    /// password leads to the next; no password is tried twice.
    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Applied> {
        let dialect = self.database.dialect();
        let current = common::current(versions.current().secret(), dialect)?;
        let pending = common::pending(versions.pending().secret(), dialect)?;
        let mut tries = LoginAttempts::new(&*self.database, cx);
        let mut open = tries.open("AWSCURRENT", &current).await?;
        if open.is_none() {
            open = tries.open("AWSPENDING", &pending).await?;
            if open.is_some() && !self.database.server().may_lose_a_change() {
                return Ok(Applied::Already(format!(
                    "{} has the pending password already",
                    pending.account()
                )));
            }
        }
        if open.is_none() {
            open = tries.older(versions, &current).await?;
        }
        let Some(Open { at, name }) = open else {
            let what = format!("cannot change the password of {}", current.account());
            return Err(tries.exhausted(what));
        };
        let login = at.login.clone();
        match self.database.change_own_password(at, &pending.password, fence).await? {
            Change::Made => Ok(Applied::Changed(format!(
                "changed the password of {}, logged in with {name}",
                current.account()
            ))),
            Change::Refused(why) => self.refused(why, &login, cx).await,
        }
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict> {
        common::verify(&*self.database, secret, cx).await
    }

    async fn compare(&self, versions: &SetContext<'_>, cx: &Invocation) -> Result<()> {
        let pending = common::pending(versions.pending().secret(), self.database.dialect())?;
        self.database.probe(&pending, cx).await
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>> {
        let login = common::current(subject.current.secret(), self.database.dialect())?;
        let with = (&*self.database, &self.policy);
        let policy = common::policy(with, &subject.description.tags, &login);
        let sample = policy.and_then(|policy| policy.generate()).ok();
        let mut findings = match self.database.log_in(&login, cx).await? {
            Attempt::Accepted(at) => self.database.preflight(at, sample.as_ref()).await?,
            Attempt::Refused(why) => vec![common::current_refused(why)],
        };
        common::add_findings(&mut findings, with, subject, &login, cx).await;
        let unused = common::unused_admin(subject.current, "single-user");
        findings.extend(unused.map(Finding::Warns));
        Ok(findings)
    }
}

impl<S: Database> SingleUser<S> {
    /// Refuses a user that could not change its password. One that does not log in is left to
    /// setSecret, which knows of other passwords.
    async fn ask_whether_it_may(&self, login: &Login, cx: &Invocation) -> Result<()> {
        let Attempt::Accepted(at) = self.database.log_in(login, cx).await? else {
            return Ok(());
        };
        common::no_failure(self.database.preflight(at, None).await?)
    }

    /// The server refused the value. Only if the login that worked still does was nothing applied:
    /// where passwords may not be used again, another container may have set this very one.
    async fn refused(&self, why: Error, login: &Login, cx: &Invocation) -> Result<Applied> {
        match self.database.log_in(login, cx).await? {
            Attempt::Accepted(_) => Ok(Applied::Refused(why)),
            Attempt::Refused(_) => {
                Err(why.caused_by("and the password that logged in does not any more; retry"))
            }
        }
    }
}
