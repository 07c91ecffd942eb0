//! One user with a set of passwords: an admin adds the new one, and takes the old away later.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

use crate::config::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::password::PasswordPolicy;
use crate::rotator::{
    Applied, CreateContext, Fence, Finding, Form, InspectContext, PromoteContext, Recorded,
    RetireContext, Rotator, SecretReader, SetContext, Verdict,
};
use crate::secret::{Current, Document, Previous, Secret};
use crate::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, SecretDescription};
use crate::users::by_admin::proven;
use crate::users::driver::{Addition, Place};
use crate::users::login_attempts::LoginAttempts;
use crate::users::{ByAdmin, Driver, Login, PasswordSets, common};

/// The strategies dual-password and single-user-by-admin where a user may have any number of
/// passwords.
///
/// setSecret adds pending to the set, as [`ByAdmin`] sets a password: a recorded one proves the
/// account, then the admin acts. That takes nothing away, so it harms nobody however late it comes, and
/// needs no lock. finishSecret takes away what is no longer kept: with dual-password every recorded
/// password without a label, so that the one before the promoted one stays; with single-user-by-admin
/// AWSPREVIOUS's too. A password that no version holds is a person's, and stays.
///
/// Where several servers have the user, each by itself, all this is done at each of them: they are looked
/// for anew in every step, and one that came in between is given the password before the promotion.
#[derive(Debug)]
pub struct PasswordSet<S> {
    by_admin: ByAdmin<S>,
    database: Arc<Driver<S>>,
    keeps_previous: bool,
}

impl<S: PasswordSets> PasswordSet<S> {
    /// Rotates users of `database` to passwords that meet `policy`. `keeps_previous` says whether
    /// AWSPREVIOUS works until the next rotation. Reads what [`ByAdmin::read`] does.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub fn read(
        environment: &Environment,
        database: Arc<Driver<S>>,
        policy: PasswordPolicy,
        keeps_previous: bool,
    ) -> Result<Self> {
        let by_admin = ByAdmin::read(environment, database.clone(), policy)?;
        Ok(Self { by_admin, database, keeps_previous })
    }

    /// Whether the password of this version works on after the promotion.
    fn keeps(&self, version: &Previous, keep: &RetireContext<'_>) -> bool {
        match keep.description().labels.get(version.version()) {
            None => false,
            Some(labels) => self.keeps_previous || labels != &[AWSPREVIOUS],
        }
    }

    /// The passwords of `user` in those versions which are kept, or which are not.
    fn passwords<'a>(
        &'a self,
        user: &'a Login,
        stored: &'a [Previous],
        keep: &'a RetireContext<'_>,
        kept: bool,
    ) -> impl Iterator<Item = SecretString> + 'a {
        let dialect = self.database.dialect();
        let wanted = stored.iter().filter(move |one| self.keeps(one, keep) == kept);
        wanted.filter_map(|one| common::recorded(user, one.secret(), dialect))
    }
}

#[async_trait]
impl<S: PasswordSets> Rotator for PasswordSet<S> {
    fn check(&self, versions: &SetContext<'_>) -> Result<()> {
        self.by_admin.check(versions)
    }

    /// Also by an admin alone: setSecret adds a password and takes none away.
    fn form(&self, _: &Secret, _: &SecretDescription) -> Option<(&'static str, Form)> {
        Some(("password set", Form::TwoPasswords))
    }

    /// The admin looks at the user first: nothing is stored for one that cannot be changed everywhere.
    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret> {
        let proposed = self.by_admin.propose(known, cx).await?;
        let others = known.other_secrets();
        let found = self.look(known.current, &known.recorded(), &others, cx).await?;
        common::no_failure(found).map_err(|error| error.while_doing("nothing was stored"))?;
        Ok(proposed)
    }

    /// A recorded password proves the account where the secret says that it is. Pending is added at every
    /// server, also where it proved that: an earlier run may have ended half-way.
    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Applied> {
        let dialect = self.database.dialect();
        let current = common::current(versions.current().secret(), dialect)?;
        let pending = common::pending(versions.pending().secret(), dialect)?;
        let proof = self.by_admin.prove(versions, &pending, cx).await?;
        let (document, others) =
            (versions.current().secret().document()?, versions.other_secrets());
        // Only a password that is proven to be the account's is given back to where it is missing.
        let known = proof.as_ref().map(|_| &current.password);
        let what = Addition { new: &pending.password, known };
        let recorded = versions.recorded();
        let added = self.everywhere((&pending, document), &others, cx, async |places| {
            self.recognise(places, (&pending, &current.password), &recorded).await?;
            self.database.add_everywhere(places, what, fence).await
        });
        let (account, why) = (pending.account(), proven(proof.as_ref()));
        let count = added.await?.servers;
        Ok(Applied::Changed(match count {
            0 | 1 => format!("the admin set the password of {account}, {why}"),
            _ => format!("the admin set the password of {account} at {count} servers, {why}"),
        }))
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict> {
        self.by_admin.verify(secret, cx).await
    }

    /// At the server that the secret names, and then at every other.
    async fn verify_everywhere(
        &self,
        secret: &Secret,
        secrets: &SecretReader<'_>,
        cx: &Invocation,
    ) -> Result<Verdict> {
        let verdict = self.verify(secret, cx).await?;
        if verdict != Verdict::Accepted {
            return Ok(verdict);
        }
        let login = Login::read(secret, self.database.dialect())?;
        let document = secret.document()?;
        let asked = self.everywhere((&login, document), secrets, cx, async |places| {
            let others: Vec<Login> =
                places.iter().skip(1).map(|place| place.user.clone()).collect();
            self.database.verify_everywhere(&others, cx).await
        });
        asked.await
    }

    async fn compare(&self, versions: &SetContext<'_>, cx: &Invocation) -> Result<()> {
        self.by_admin.compare(versions, cx).await
    }

    /// A server that came since setSecret, or that came back with what it had kept, is given the password
    /// before the version is promoted. The others are given it as well, so that each keeps it: an earlier run
    /// may have ended between the two. The account is proven first, as in setSecret: whoever may write the
    /// secret and invoke the function can have this step delivered for a value that no other step saw.
    async fn confirm(&self, versions: &PromoteContext<'_>, cx: &Invocation) -> Result<()> {
        let secret = versions.pending().secret();
        let pending = common::pending(secret, self.database.dialect())?;
        self.prove_promoted(versions, &pending, cx).await?;
        let what = Addition { new: &pending.password, known: None };
        let (document, others, fence) =
            (secret.document()?, versions.other_secrets(), versions.fence());
        let recorded = versions.recorded();
        let added = self.everywhere((&pending, document), &others, cx, async |places| {
            self.recognise(places, (&pending, &pending.password), &recorded).await?;
            self.database.add_everywhere(places, what, &fence).await
        });
        if added.await?.lacked > 0 {
            cx.warn(format!(
                "{} did not have the pending password at every server any more, and has it now",
                pending.account()
            ));
        }
        Ok(())
    }

    async fn retire(&self, keep: &RetireContext<'_>, cx: &Invocation) -> Result<()> {
        let stored = keep.stored().await?;
        let promoted = stored.iter().find(|one| one.version() == keep.promoted());
        let gone = || Error::new(ErrorKind::NotFound, "the promoted version has no value");
        let promoted = promoted.ok_or_else(gone)?.secret();
        let login = common::current(promoted, self.database.dialect())?;
        let going = self.going(&login, &stored, keep);
        if going.is_empty() {
            return Ok(());
        }
        let (document, others, fence) = (promoted.document()?, keep.other_secrets(), keep.fence());
        let recorded = keep.recorded();
        let removed = self.everywhere((&login, document), &others, cx, async |places| {
            self.recognise(places, (&login, &login.password), &recorded).await?;
            self.database.remove_everywhere(places, &going, &fence, cx).await
        });
        removed.await.map_err(|error| {
            error.while_doing("the version is promoted, and works; old passwords do too")
        })
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>> {
        let others = subject.other_secrets();
        let recorded = subject.recorded();
        let look = self.look(subject.current, &recorded, &others, cx);
        self.by_admin.preflight_with(look, subject, cx).await
    }

    async fn plan(&self, subject: &InspectContext<'_>, cx: &Invocation) -> Result<Vec<String>> {
        let secret = subject.current.secret();
        let login = common::current(secret, self.database.dialect())?;
        let (document, others) = (secret.document()?, subject.other_secrets());
        let planned = self.everywhere((&login, document), &others, cx, async |places| {
            self.database.plan_everywhere(places).await
        });
        planned.await
    }
}

impl<S: PasswordSets> PasswordSet<S> {
    /// Pending must be of AWSCURRENT's user, and one of the two passwords must log in where the secret says:
    /// pending's, or, at a server that came back with what it had kept, AWSCURRENT's.
    async fn prove_promoted(
        &self,
        versions: &PromoteContext<'_>,
        pending: &Login,
        cx: &Invocation,
    ) -> Result<()> {
        let current = common::current(&versions.replaced().await?, self.database.dialect())?;
        common::same_user(&current, pending)?;
        let mut tries = LoginAttempts::new(&*self.database, cx);
        let proven = tries.open(AWSPENDING, pending).await?.is_some()
            || tries.open(AWSCURRENT, &current).await?.is_some();
        if proven || self.by_admin.repairs(&pending.username) {
            return Ok(());
        }
        let account = pending.account();
        let error = tries.exhausted(format!("nothing proves that {account} is the secret's"));
        Err(error.caused_by(
            "AWSCURRENT stays where it is; store a password that it has in AWSCURRENT, then rotate again, or, \
             if it is lost, list the user in REPAIR_USERS of the function",
        ))
    }

    /// Does something in sessions of the admin's at every server that has the user of `login`.
    /// `document` names the admin.
    async fn everywhere<T>(
        &self,
        (login, document): (&Login, &Document),
        others: &SecretReader<'_>,
        cx: &Invocation,
        work: impl AsyncFnOnce(&mut [Place<'_, S::Session>]) -> Result<T>,
    ) -> Result<T> {
        let admin = self.by_admin.admin(login, document, others, cx).await?;
        let may_go = |to: &Login| self.by_admin.admins.may_go(&admin, to);
        let done = async {
            let opened = self.database.open_everywhere(&admin.login, login, &may_go, cx).await;
            let mut places = opened?;
            let done = work(&mut places).await;
            self.database.close_everywhere(places).await;
            done
        };
        done.await.map_err(|error| admin.explain(error))
    }

    /// What would make a change of the current user's password fail.
    async fn look(
        &self,
        current: &Current,
        recorded: &Recorded<'_>,
        others: &SecretReader<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>> {
        let login = common::current(current.secret(), self.database.dialect())?;
        let document = current.secret().document()?;
        let found = self.everywhere((&login, document), others, cx, async |places| {
            let mut found = self.database.preflight_everywhere(places).await?;
            if !found.iter().any(Finding::fails) {
                let known = self.recognise(places, (&login, &login.password), recorded).await;
                found.extend(known.err().map(Finding::Fails));
            }
            Ok(found)
        });
        found.await
    }

    /// Where there are several servers, each must have one of the recorded passwords, of which `likely` is
    /// asked first: a server that came to an address of one of them may be somebody else's, with a user of
    /// the same name.
    async fn recognise(
        &self,
        places: &mut [Place<'_, S::Session>],
        (user, likely): (&Login, &SecretString),
        recorded: &Recorded<'_>,
    ) -> Result<()> {
        if places.len() < 2 || self.by_admin.repairs(&user.username) {
            return Ok(());
        }
        let likely = std::slice::from_ref(likely);
        if self.database.stranger(places, likely).await?.is_none() {
            return Ok(());
        }
        let (stored, dialect) = (recorded.all().await?, self.database.dialect());
        let known = stored.iter().filter_map(|one| common::recorded(user, one.secret(), dialect));
        let known: Vec<SecretString> = known.collect();
        let Some(stranger) = self.database.stranger(places, &known).await? else {
            return Ok(());
        };
        let what = format!(
            "{} has no password that a version of the secret holds, so it may be another user of that name",
            stranger.account()
        );
        Err(Error::new(ErrorKind::Rejected, what).caused_by(
            "nothing was changed there; if it is this secret's, give it AWSCURRENT's password there, or list it in \
             REPAIR_USERS",
        ))
    }

    /// The passwords to be taken away: each once, and none that a version holds which is kept.
    fn going(
        &self,
        login: &Login,
        stored: &[Previous],
        keep: &RetireContext<'_>,
    ) -> Vec<SecretString> {
        let kept: Vec<SecretString> = self.passwords(login, stored, keep, true).collect();
        let mut going: Vec<SecretString> = Vec::new();
        for password in self.passwords(login, stored, keep, false) {
            let mut others = kept.iter().chain(&going);
            if !others.any(|other| other.expose_secret() == password.expose_secret()) {
                going.push(password);
            }
        }
        going
    }
}
