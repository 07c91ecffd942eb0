//! One user with a set of passwords: an admin adds the new one, and takes the old away later.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

use crate::config::Environment;
use crate::error::{Error, ErrorKind};
use crate::invocation::Invocation;
use crate::password::PasswordPolicy;
use crate::rotator::{
    Applied, CreateContext, Fence, Finding, InspectContext, RetireContext, Rotator, SetContext,
    Verdict,
};
use crate::secret::{Previous, Secret};
use crate::store::AWSPREVIOUS;
use crate::users::{ByAdmin, Driver, Login, PasswordSets, common};

/// The strategies dual-password and single-user-by-admin where a user may have any number of
/// passwords.
///
/// setSecret adds pending to the set, as [`ByAdmin`] sets a password: a recorded one proves the
/// account, then the admin acts. That takes nothing away, so it harms nobody however late it comes, and
/// needs no lock. finishSecret takes away what is no longer kept: with dual-password every recorded
/// password without a label, so that the one before the promoted one stays; with single-user-by-admin
/// AWSPREVIOUS's too. A password that no version holds is a person's, and stays.
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
    ) -> Result<Self, Error> {
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

    /// The logins of `user` in those versions which are kept, or which are not.
    fn logins<'a>(
        &'a self,
        user: &'a Login,
        stored: &'a [Previous],
        keep: &'a RetireContext<'_>,
        kept: bool,
    ) -> impl Iterator<Item = Login> + 'a {
        let dialect = self.database.dialect();
        let wanted = stored.iter().filter(move |one| self.keeps(one, keep) == kept);
        wanted.filter_map(|one| common::older(user, &[&user.username], one.secret(), dialect))
    }
}

#[async_trait]
impl<S: PasswordSets> Rotator for PasswordSet<S> {
    fn check(&self, versions: &SetContext<'_>) -> Result<(), Error> {
        self.by_admin.check(versions)
    }

    /// The admin looks at the user first: nothing is stored for one that cannot be changed.
    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret, Error> {
        let proposed = self.by_admin.propose(known, cx).await?;
        let login = common::current(known.current.secret(), self.database.dialect())?;
        let others = known.other_secrets();
        let found = self.by_admin.look(&login, known.current, &others, cx).await?;
        for finding in found {
            if let Finding::Fails(error) = finding {
                return Err(error.while_doing("nothing was stored"));
            }
        }
        Ok(proposed)
    }

    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Applied, Error> {
        self.by_admin.apply(versions, fence, cx).await
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict, Error> {
        self.by_admin.verify(secret, cx).await
    }

    async fn compare(&self, versions: &SetContext<'_>, cx: &Invocation) -> Result<(), Error> {
        self.by_admin.compare(versions, cx).await
    }

    async fn retire(&self, keep: &RetireContext<'_>, cx: &Invocation) -> Result<(), Error> {
        let stored = keep.stored().await?;
        let promoted = stored.iter().find(|one| one.version() == keep.promoted());
        let gone = || Error::new(ErrorKind::NotFound, "the promoted version has no value");
        let promoted = promoted.ok_or_else(gone)?.secret();
        let login = common::current(promoted, self.database.dialect())?;
        let kept: Vec<Login> = self.logins(&login, &stored, keep, true).collect();
        // Several versions may hold one password.
        let mut going: Vec<SecretString> = Vec::new();
        for Login { password, .. } in self.logins(&login, &stored, keep, false) {
            let mut others = kept.iter().map(|one| &one.password).chain(&going);
            if !others.any(|other| other.expose_secret() == password.expose_secret()) {
                going.push(password);
            }
        }
        if going.is_empty() {
            return Ok(());
        }
        let (document, others) = (promoted.document()?, keep.other_secrets());
        let admin = self.by_admin.admin(&login, document, &others, cx).await?;
        let removed = async {
            let mut session = self.database.open_admin(&admin.login, cx).await?;
            let fence = keep.fence();
            let removed =
                self.database.remove_passwords(&mut session, &login, &going, &fence, cx).await;
            self.database.close(session.session, cx).await;
            removed
        };
        removed.await.map_err(|error| {
            admin
                .explain(error)
                .while_doing("the version is promoted, and works; old passwords do too")
        })
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>, Error> {
        self.by_admin.preflight(subject, cx).await
    }
}
