//! One user with two passwords: the old one works until the next rotation.
//!
//! What this does against races, cancelled rotations, roll-backs and crashes is more than it looks
//! like: see "What the kit proved wrong" in docs/decisions.md, and
//! `framework/testing/src/tests/dual_password.rs`, where each part is left out once and something
//! breaks.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::password::PasswordPolicy;
use crate::rotator::{
    Applied, CreateContext, Fence, Finding, InspectContext, Rotator, SetContext, Verdict,
};
use crate::secret::{Previous, Secret};
use crate::users::login_attempts::{LoginAttempts, Open};
use crate::users::{Attempt, Driver, DualPasswords, Login, common};

/// A change of the primary password.
#[derive(Clone, Copy)]
pub struct NewPrimary<'a> {
    /// What it becomes.
    pub password: &'a SecretString,
    /// What it must be now, or nothing is changed. Compared with the primary password only, which
    /// makes the change a compare-and-swap. It is no login: nothing counts it as a failed one.
    pub replace: Option<&'a SecretString>,
    /// Whether it is retained, in the place of the one that was retained before. Else that one
    /// stays.
    pub retain: bool,
}

impl std::fmt::Debug for NewPrimary<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let replace = if self.replace.is_some() { ", replace" } else { "" };
        let retain = if self.retain { ", retain" } else { "" };
        write!(formatter, "NewPrimary(..{replace}{retain})")
    }
}

/// What became of a change of the primary password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swap {
    /// It is changed.
    Made,
    /// [`NewPrimary::replace`] is not the primary password; nothing was changed.
    NotPrimary,
    /// The account demands [`NewPrimary::replace`], which was not given; nothing was changed.
    CurrentRequired,
    /// The server refuses this very password, by its policy or its history; nothing was changed.
    /// The error is as that of [`Change::Refused`](crate::users::Change::Refused). It may have the
    /// password already: histories are asked first.
    Refused(Error),
}

/// The dual-password strategy over any database with [`DualPasswords`].
///
/// AWSCURRENT works throughout: setSecret makes pending the primary password and retains current,
/// which the *next* rotation drops. Clients have a whole rotation's time to learn the new one.
#[derive(Debug)]
pub struct DualPassword<S> {
    database: Arc<Driver<S>>,
    policy: PasswordPolicy,
}

impl<S: DualPasswords> DualPassword<S> {
    /// Rotates users of `database` to passwords that meet `policy`.
    pub fn new(database: Arc<Driver<S>>, policy: PasswordPolicy) -> Self {
        Self { database, policy }
    }

    /// The first login that works: current in every healthy rotation, pending where an earlier run
    /// got this far and current was lost, then what older versions hold.
    async fn open<'a>(
        &'a self,
        versions: &SetContext<'_>,
        current: &Login,
        pending: &Login,
        cx: &'a Invocation,
    ) -> Result<Open<'a, S::Session>> {
        let mut tries = LoginAttempts::new(&*self.database, cx);
        for (name, login) in [("AWSCURRENT", current), ("AWSPENDING", pending)] {
            if let Some(open) = tries.open(name, login).await? {
                return Ok(open);
            }
        }
        if let Some(open) = tries.older(versions, current).await? {
            return Ok(open);
        }
        Err(tries.exhausted(format!("cannot change the password of {}", current.account())))
    }

    fn older(&self, current: &Login, secret: &Secret) -> Option<Login> {
        common::older(current, &[&current.username], secret, self.database.dialect())
    }
}

#[async_trait]
impl<S: DualPasswords> Rotator for DualPassword<S> {
    fn check(&self, versions: &SetContext<'_>) -> Result<()> {
        common::check_same_user(versions, self.database.dialect())
    }

    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret> {
        let current = common::current(known.current.secret(), self.database.dialect())?;
        common::unused_admin(known.current, "dual-password")
            .into_iter()
            .for_each(|text| cx.warn(text));
        if self.database.server().asks_before_proposing(&current)
            && let Attempt::Accepted(at) = self.database.log_in(&current, cx).await?
        {
            common::no_failure(self.database.preflight_two(at).await?)?;
        }
        let with = (&*self.database, &self.policy);
        Ok(common::with_new_password(with, known, &current, cx)?.into())
    }

    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Applied> {
        let dialect = self.database.dialect();
        let current = common::current(versions.current().secret(), dialect)?;
        let pending = common::pending(versions.pending().secret(), dialect)?;
        let opened = self.open(versions, &current, &pending, cx).await?;
        let mut change = Changing {
            strategy: self,
            opened,
            versions,
            fence,
            current: &current,
            pending: &pending,
        };
        let applied = change.run().await;
        self.database.close(change.opened.at).await;
        applied.map_err(|error| {
            error.while_doing(format!("cannot change the password of {}", current.account()))
        })
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
        let mut findings = match self.database.log_in(&login, cx).await? {
            Attempt::Accepted(at) => self.database.preflight_two(at).await?,
            Attempt::Refused(why) => vec![common::current_refused(why)],
        };
        let with = (&*self.database, &self.policy);
        common::add_findings(&mut findings, with, subject, &login, cx).await;
        let unused = common::unused_admin(subject.current, "dual-password");
        findings.extend(unused.map(Finding::Warns));
        Ok(findings)
    }
}

/// One change, under the account's lock once it runs.
struct Changing<'a, S: DualPasswords> {
    strategy: &'a DualPassword<S>,
    opened: Open<'a, S::Session>,
    versions: &'a SetContext<'a>,
    fence: &'a dyn Fence,
    current: &'a Login,
    pending: &'a Login,
}

/// How an exchange of one password for another went.
enum Exchanged {
    Made,
    PendingWorks,
    Refused(Error),
}

impl<S: DualPasswords> Changing<'_, S> {
    async fn run(&mut self) -> Result<Applied> {
        let server = self.strategy.database.server();
        server.begin_two(&mut self.opened.at).await?;
        let (name, opened) = (self.opened.name.clone(), self.opened.at.login.clone());
        let mut base = &opened;
        if !same_password(&opened, self.current) {
            // AWSCURRENT works again at once, not only when pending is promoted. Where the server
            // does not take that password again, it stays dead until then, unless another
            // container has set it meanwhile.
            match self.exchange(&opened, self.current).await? {
                Exchanged::Made => base = self.current,
                Exchanged::PendingWorks => {
                    return Ok(self.already("works, and AWSCURRENT did not before"));
                }
                Exchanged::Refused(_) if self.logs_in(self.current).await? => base = self.current,
                Exchanged::Refused(_) => {}
            }
        }
        match self.exchange(base, self.pending).await? {
            Exchanged::Made => Ok(Applied::Changed(format!(
                "gave {} the pending password beside the current one, logged in with {name}",
                self.current.account()
            ))),
            Exchanged::PendingWorks => Ok(self.already("was applied before")),
            // Only if the login that worked still does was nothing applied.
            Exchanged::Refused(why) if self.logs_in(&opened).await? => Ok(Applied::Refused(why)),
            Exchanged::Refused(why) => {
                Err(why.caused_by("and the password that logged in does not any more; retry"))
            }
        }
    }

    fn already(&self, why: &str) -> Applied {
        Applied::Already(format!("the pending password of {} {why}", self.current.account()))
    }

    /// Whether this works now: under the lock, earlier answers are stale.
    async fn logs_in(&mut self, login: &Login) -> Result<bool> {
        let attempt = self.strategy.database.log_in(login, self.opened.at.cx).await?;
        Ok(matches!(attempt, Attempt::Accepted(_)))
    }

    /// Makes `to` a password of the account beside `from`, which logged in.
    ///
    /// REPLACE is compared with the primary password only, so this changes nothing where another
    /// container, or a rotation that was cancelled, has made `from` the secondary one. There it is
    /// kept by not retaining the primary. That change compares nothing: the lock keeps others out.
    async fn exchange(&mut self, from: &Login, to: &Login) -> Result<Exchanged> {
        let password = &to.password;
        let swap = NewPrimary { password, replace: Some(&from.password), retain: true };
        let why = match self.set(swap).await? {
            Swap::Made => return Ok(Exchanged::Made),
            Swap::NotPrimary => None,
            Swap::CurrentRequired => Some(demands_another()),
            Swap::Refused(why) => Some(why),
        };
        // The history is asked before REPLACE is compared, so both may mean that it was applied.
        if self.logs_in(self.pending).await? {
            return Ok(Exchanged::PendingWorks);
        }
        if let Some(why) = why {
            return Ok(Exchanged::Refused(why));
        }
        Ok(match self.set(NewPrimary { password, replace: None, retain: false }).await? {
            Swap::Made => Exchanged::Made,
            Swap::CurrentRequired => self.replace_known(password).await?,
            Swap::NotPrimary => Exchanged::Refused(demands_another()),
            Swap::Refused(why) => Exchanged::Refused(why),
        })
    }

    /// Where a change must name the primary password: one that an older version knows.
    async fn replace_known(&mut self, password: &SecretString) -> Result<Exchanged> {
        let previous: Vec<Previous> = self.versions.previous().await?.into_iter().collect();
        for version in previous.into_iter().chain(self.versions.others().await?) {
            let known = self.strategy.older(self.current, version.secret());
            let Some(known) = known else { continue };
            let replace = Some(&known.password);
            match self.set(NewPrimary { password, replace, retain: false }).await? {
                Swap::Made => return Ok(Exchanged::Made),
                Swap::NotPrimary => {}
                Swap::CurrentRequired => break,
                Swap::Refused(why) => return Ok(Exchanged::Refused(why)),
            }
        }
        // No verdict on the pending password, so it keeps its label.
        Err(demands_another())
    }

    async fn set(&mut self, new: NewPrimary<'_>) -> Result<Swap> {
        let server = self.strategy.database.server();
        server.set_primary(&mut self.opened.at, &new, self.fence).await
    }
}

fn same_password(one: &Login, other: &Login) -> bool {
    one.password.expose_secret() == other.password.expose_secret()
}

fn demands_another() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the account demands its primary password for a change, and no version of the secret holds \
         it; nothing was changed, an administrator must set AWSCURRENT's password",
    )
}
