//! One user whose password an admin sets.

use std::sync::Arc;

use async_trait::async_trait;

use crate::config::Environment;
use crate::error::{Error, Result};
use crate::invocation::Invocation;
use crate::password::PasswordPolicy;
use crate::rotator::{
    Applied, CreateContext, Fence, Finding, InspectContext, Rotator, SecretReader, SetContext,
    Verdict,
};
use crate::secret::{Current, Document, Secret};
use crate::store::{AWSCURRENT, AWSPENDING};
use crate::users::admin::{Admin, Admins};
use crate::users::driver::open_admin;
use crate::users::login_attempts::LoginAttempts;
use crate::users::pair::words;
use crate::users::{Administered, Attempt, Change, Driver, Login, common};

/// Why an account is not reset of which no password is known, and the way out.
const UNPROVEN: &str = "nothing proves that this account is the secret's; store its password, or, if \
                        it is lost, list the user in REPAIR_USERS of the function";

/// What is said before where a rotation has gone as far as its change, or may have.
const UNDER_WAY: &str = "a rotation is under way, whose AWSPENDING may be what logs in: have that \
                         retried first, which tries older passwords too";

/// The strategy single-user-by-admin over any [`Administered`] database: the admin of the secret
/// that the field `masterarn` names sets the user's password.
///
/// For users that may not change their own password, and to repair one whose password is lost. The
/// old password dies at setSecret, as with [`SingleUser`](super::SingleUser).
///
/// The admin is no skeleton key: it resets an account only if some recorded password of it still
/// logs in, or if the function's own configuration names the account in `REPAIR_USERS`. Whoever may
/// only write the secret cannot have another account reset.
#[derive(Debug)]
pub struct ByAdmin<S> {
    database: Arc<Driver<S>>,
    policy: PasswordPolicy,
    pub(super) admins: Admins,
    /// Users that are reset without proof.
    repair: Vec<String>,
}

impl<S: Administered> ByAdmin<S> {
    /// Rotates users of `database` to passwords that meet `policy`. Reads `REPAIR_USERS`, a list
    /// separated by commas, and `SAME_DATABASE_HOSTS`, which joins the names of one database by
    /// `=`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed), naming the variable.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use fourstep::users::{Administered, ByAdmin, Driver};
    /// use fourstep::{Environment, Error, PasswordPolicy, Result};
    ///
    /// fn repairing<S: Administered>(database: Arc<Driver<S>>) -> Result<ByAdmin<S>> {
    ///     let environment = Environment::from([("REPAIR_USERS", "app, report")]);
    ///     ByAdmin::read(&environment, database, PasswordPolicy::default())
    /// }
    /// ```
    pub fn read(
        environment: &Environment,
        database: Arc<Driver<S>>,
        policy: PasswordPolicy,
    ) -> Result<Self> {
        let (admins, repair) = (Admins::read(environment)?, words(environment, "REPAIR_USERS")?);
        Ok(Self { database, policy, admins, repair })
    }

    pub(super) fn repairs(&self, user: &str) -> bool {
        self.repair.iter().any(|one| one == user)
    }
}

#[async_trait]
impl<S: Administered> Rotator for ByAdmin<S> {
    fn check(&self, versions: &SetContext<'_>) -> Result<()> {
        common::admin_named(versions.current())?;
        common::check_same_user(versions, self.database.dialect())
    }

    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret> {
        let current = common::current(known.current.secret(), self.database.dialect())?;
        common::admin_named(known.current)?;
        if self.database.server().may_log_in_otherwise(&current) {
            let others = known.other_secrets();
            common::no_failure(self.look(&current, known.current, &others, cx).await?)?;
        }
        let with = (&*self.database, &self.policy);
        Ok(common::with_new_password(with, known, &current, cx)?.into())
    }

    /// One of the recorded passwords must log in, as proof that the account is the secret's; then
    /// the admin, who is asked for nothing before that.
    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Applied> {
        let pending = common::pending(versions.pending().secret(), self.database.dialect())?;
        let account = pending.account();
        let proof = self.prove(versions, &pending, cx).await?;
        if let Some((name, ..)) = &proof
            && name == AWSPENDING
            && !self.database.server().may_lose_a_change()
        {
            return Ok(Applied::Already(format!("{account} has the pending password already")));
        }
        let document = versions.current().secret().document()?;
        let admin = self.admin(&pending, document, &versions.other_secrets(), cx).await?;
        let to = (&pending, proof.as_ref().and_then(|(.., account)| account.as_ref()));
        let change = async {
            let opened = open_admin(self.database.server(), &admin.login, cx).await;
            let what = || format!("cannot set the password of {account}");
            let mut session = opened.map_err(|error| error.while_doing(what()))?;
            let change = self.database.reset_password(&mut session, to, fence).await;
            self.database.close(session).await;
            change
        }
        .await;
        let why = proven(proof.as_ref());
        match change.map_err(|error| admin.explain(error))? {
            Change::Made => {
                Ok(Applied::Changed(format!("the admin set the password of {account}, {why}")))
            }
            Change::Refused(error) => {
                let proof = proof.as_ref().map(|(_, login, _)| login);
                self.refused(error, proof, &pending, cx).await
            }
        }
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict> {
        common::verify(&*self.database, secret, cx).await
    }

    async fn compare(&self, versions: &SetContext<'_>, cx: &Invocation) -> Result<()> {
        let pending = versions.pending().secret();
        let pending = common::pending(pending, self.database.dialect())?;
        self.database.probe(&pending, cx).await
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>> {
        let login = common::current(subject.current.secret(), self.database.dialect())?;
        let others = subject.other_secrets();
        self.preflight_with(self.look(&login, subject.current, &others, cx), subject, cx).await
    }
}

/// Which version's password proved the account, by its name; the login; and which account that is, where the
/// user's name does not say it.
pub(super) type Proven = (String, Login, Option<String>);

/// How an account was proven, for messages.
pub(super) fn proven(proof: Option<&Proven>) -> String {
    match proof {
        Some((name, ..)) => format!("which {name} proved"),
        None => "which REPAIR_USERS names".to_owned(),
    }
}

impl<S: Administered> ByAdmin<S> {
    /// One of the recorded passwords logs in: current, pending, or an older one. None where none does,
    /// and REPAIR_USERS names the user.
    ///
    /// # Errors
    /// Where none does.
    pub(super) async fn prove(
        &self,
        versions: &SetContext<'_>,
        pending: &Login,
        cx: &Invocation,
    ) -> Result<Option<Proven>> {
        let current = common::current(versions.current().secret(), self.database.dialect())?;
        let mut tries = LoginAttempts::new(&*self.database, cx);
        let mut open = tries.open(AWSCURRENT, &current).await?;
        if open.is_none() {
            open = tries.open(AWSPENDING, pending).await?;
        }
        if open.is_none() {
            open = tries.older(versions, &current).await?;
        }
        if open.is_none() && !self.repairs(&pending.username) {
            let account = pending.account();
            let error = tries.exhausted(format!("cannot have the password of {account} reset"));
            return Err(error.caused_by(UNPROVEN));
        }
        // The session is not needed: what counts is that it could be opened, and whose it is.
        let server = self.database.server();
        Ok(open.map(|open| {
            let proven = server.proven(&open.at.session);
            (open.name, open.at.login, proven)
        }))
    }

    /// What a preflight finds, of which `look` is the part of the admin.
    pub(super) async fn preflight_with(
        &self,
        look: impl Future<Output = Result<Vec<Finding>>> + Send,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>> {
        let login = common::current(subject.current.secret(), self.database.dialect())?;
        let mut findings = Vec::new();
        match self.database.log_in(&login, cx).await {
            Ok(Attempt::Accepted(_)) => {}
            Ok(Attempt::Refused(why)) if self.repairs(&login.username) => {
                let what = "AWSCURRENT does not log in, which the rotation would repair";
                findings.push(Finding::Warns(format!("{what}: {why}")));
            }
            Ok(Attempt::Refused(why)) => {
                let holder = |label| subject.description.holder(label);
                let pending = holder(AWSPENDING).filter(|one| Some(*one) != holder(AWSCURRENT));
                let way = if pending.is_some() { UNDER_WAY } else { UNPROVEN };
                let account = login.account();
                findings.push(common::current_refused(format!("{account}: {why}: {way}")));
            }
            Err(error) => findings.push(Finding::Fails(error)),
        }
        match look.await {
            Ok(found) => findings.extend(found),
            Err(error) => findings.push(Finding::Fails(error)),
        }
        let with = (&*self.database, &self.policy);
        common::add_findings(&mut findings, with, subject, &login, cx).await;
        Ok(findings)
    }

    /// The server refused the value. Only if it does not have it already was nothing applied: where
    /// passwords may not be used again, another container may have set this very one.
    async fn refused(
        &self,
        why: Error,
        proof: Option<&Login>,
        pending: &Login,
        cx: &Invocation,
    ) -> Result<Applied> {
        // What proved the account is asked first: that is no login that fails.
        if let Some(proof) = proof
            && let Attempt::Accepted(_) = self.database.log_in(proof, cx).await?
        {
            return Ok(Applied::Refused(why));
        }
        match self.database.log_in(pending, cx).await? {
            Attempt::Accepted(_) => {
                let what = "has the pending password already, set by another run";
                Ok(Applied::Already(format!("{} {what}", pending.account())))
            }
            Attempt::Refused(_) => Ok(Applied::Refused(why)),
        }
    }

    /// The admin that `document` names, for the user of `login`.
    pub(super) async fn admin(
        &self,
        login: &Login,
        document: &Document,
        others: &SecretReader<'_>,
        cx: &Invocation,
    ) -> Result<Admin> {
        self.admins.of(login, document, self.database.dialect(), others, cx).await
    }

    /// What would make the admin's change of this user's password fail.
    async fn look(
        &self,
        login: &Login,
        current: &Current,
        others: &SecretReader<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>> {
        let admin = self.admin(login, current.secret().document()?, others, cx).await?;
        let found = async {
            let mut session = open_admin(self.database.server(), &admin.login, cx).await?;
            let found = self.database.preflight_reset(&mut session, login).await;
            self.database.close(session).await;
            found
        }
        .await;
        found.map_err(|error| admin.explain(error))
    }
}
