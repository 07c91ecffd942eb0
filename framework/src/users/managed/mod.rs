//! Users of a managed service, whose passwords its API replaces: two side by side, of which the secret's current
//! one is always among those that are set.
//!
//! The API is asynchronous, and blind: it takes away both passwords, whatever they are, some minutes after it
//! answered. So everything is decided after the wait for the change before: the labels are looked at last, and
//! what is set is `[pending, current]` of the versions that have them still. A stored version never changes.

mod owners;
mod preflight;
mod traits;
mod wait;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

use crate::config::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::password::PasswordPolicy;
use crate::rotator::{
    Applied, CreateContext, Fence, Finding, InspectContext, Rotator, SetContext, Verdict,
};
use crate::secret::{Previous, Secret};
use crate::store::SecretDescription;
use crate::users::{Attempt, Change, Login, common};

use owners::Owners;
pub use traits::{ManagedUser, ManagedUsers, UserState, UserStatus};
use wait::{After, until_active};

/// The variable that allows the first rotation of a secret without a password.
const ALLOW_UNRECORDED: &str = "ALLOW_UNRECORDED_PASSWORD";

/// How many older passwords are tried where current, pending and previous are refused.
const MOST_OLDER: usize = 8;

/// A rotation so soon after the one before takes away a password that applications may hold still: AWS's caching
/// clients ask once an hour. Source: Secrets Manager User Guide, "Get a secret value", cache item TTL.
const SOON: Duration = Duration::from_secs(3600);

/// The strategy dual-password for users of a managed service.
pub struct ManagedPasswords<S> {
    service: S,
    policy: PasswordPolicy,
    owners: Owners,
    allow_unrecorded: bool,
}

impl<S: ManagedUsers> ManagedPasswords<S> {
    /// Reads `MANAGED_USERS`, `SECRET_ARN`, `USER_NAME` and `ALLOW_UNRECORDED_PASSWORD`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub fn read(environment: &Environment, service: S, policy: PasswordPolicy) -> Result<Self> {
        let allow_unrecorded = environment.flag(ALLOW_UNRECORDED)?;
        Ok(Self { service, policy, owners: Owners::read(environment)?, allow_unrecorded })
    }

    /// The current version's user, if the function may change it.
    fn current(&self, secret: &Secret, description: &SecretDescription) -> Result<ManagedUser> {
        let user = self.service.read(secret).map_err(|error| error.while_doing("AWSCURRENT"))?;
        self.owners.check(&description.arn, &user)?;
        Ok(user)
    }

    /// The password that must stay. None only where the function's owner allows that.
    fn recorded<'a>(&self, user: &'a ManagedUser) -> Result<Option<&'a SecretString>> {
        if user.password.is_some() || self.allow_unrecorded {
            return Ok(user.password.as_ref());
        }
        Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "AWSCURRENT holds no password, so the user's own would be taken away at once from \
                 whoever uses it; store it in the secret, or set {ALLOW_UNRECORDED} to true"
            ),
        ))
    }

    /// A new password.
    fn password(&self, tags: &BTreeMap<String, String>) -> Result<SecretString> {
        let password = self.policy.with_tags(tags)?.generate()?;
        let lengths = self.service.lengths();
        if lengths.contains(&password.expose_secret().chars().count()) {
            return Ok(password);
        }
        let (least, most) = lengths.into_inner();
        let what = format!("PASSWORD_LENGTH must be {least} to {most} for these users");
        Err(Error::new(ErrorKind::Malformed, what))
    }

    /// The password of an older version, if it can be read and names the same user.
    fn older(&self, user: &ManagedUser, version: &Previous) -> Option<SecretString> {
        user.older(self.service.read(version.secret()).ok()?)
    }

    async fn accepted(&self, login: &Login, cx: &Invocation) -> Result<bool> {
        Ok(matches!(self.service.log_in(login, cx).await?, Attempt::Accepted(())))
    }

    /// Whether there is nothing to change, as after a first run whose answer was lost. Fails unless a recorded
    /// password logs in: otherwise the working one, which nobody recorded, would be taken away.
    ///
    /// A healthy rotation makes no failed login: with one password, or with AWSPREVIOUS's at work beside
    /// current's, pending's is not there.
    async fn is_set(
        &self,
        versions: &SetContext<'_>,
        (user, login): (&ManagedUser, &Login),
        (pending, passwords): (&SecretString, i32),
        cx: &Invocation,
    ) -> Result<bool> {
        let previous = versions.previous().await?.and_then(|one| self.older(user, &one));
        let new = login.with_password(pending);
        if self.accepted(login, cx).await? {
            let probe = previous.filter(|one| !same(one, &login.password) && !same(one, pending));
            let other = match probe.map(|one| login.with_password(&one)) {
                Some(probe) if passwords > 1 => self.accepted(&probe, cx).await?,
                _ => false,
            };
            return Ok(passwords > 1 && !other && self.accepted(&new, cx).await?);
        }
        let others = versions.others().await?;
        let others = others.iter().filter_map(|one| self.older(user, one));
        let others = previous.into_iter().chain(others).take(MOST_OLDER);
        let mut tried = vec![login.password.clone()];
        for password in [pending.clone()].into_iter().chain(others) {
            if tried.iter().any(|one| same(one, &password)) {
                continue;
            }
            if self.accepted(&login.with_password(&password), cx).await? {
                return Ok(false);
            }
            tried.push(password);
        }
        let what =
            format!("no recorded password logs in as {}, so nothing was changed", login.account());
        let advice = "store the password that works as AWSCURRENT, then rotate again";
        Err(Error::new(ErrorKind::Rejected, what).caused_by(advice))
    }
}

fn same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

/// What speaks against changing this user, whatever its status.
fn objections(user: &ManagedUser, found: &UserState) -> Vec<Error> {
    let mut all = Vec::new();
    if found.arn != user.arn {
        // The API is asked by the user's id, of the function's own account and Region.
        let what =
            format!("the secret names the user {}, and the function finds {}", user.arn, found.arn);
        all.push(Error::new(ErrorKind::Mismatch, what).caused_by(
            "correct the secret, or have a function in the user's account and Region rotate it",
        ));
    }
    if found.name != user.name {
        let what = "the secret's \"username\" is not the name of the user of \"user_arn\"";
        all.push(
            Error::new(ErrorKind::Mismatch, what)
                .caused_by(format!("it is {:?}; correct the secret", found.name)),
        );
    }
    if found.authentication != "password" {
        let how = &found.authentication;
        let what = format!("the user {} logs in by {how:?} and not by a password", user.arn);
        all.push(
            Error::new(ErrorKind::Unsupported, what)
                .caused_by("there is nothing to rotate; turn rotation off for this secret"),
        );
    }
    all
}

fn unobjected(user: &ManagedUser, found: &UserState) -> Result<()> {
    objections(user, found).into_iter().next().map_or(Ok(()), Err)
}

#[async_trait]
impl<S: ManagedUsers> Rotator for ManagedPasswords<S> {
    /// Another user would be somebody else's, and any other difference an edit that promoting would revert.
    fn check(&self, versions: &SetContext<'_>) -> Result<()> {
        common::check_unedited(versions, &["password"])
    }

    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret> {
        let user = self.current(known.current.secret(), known.description)?;
        self.recorded(&user)?;
        let found = self.service.describe(&user, cx).await?;
        unobjected(&user, &found).map_err(|error| error.while_doing("nothing was stored"))?;
        if found.passwords > 1 && known.age().await?.is_some_and(|age| age < SOON) {
            cx.warn(
                "AWSCURRENT is younger than an hour, and setSecret takes the password before it away: \
                 whoever caches a secret for longer may hold that still",
            );
        }
        let password = self.password(&known.description.tags)?;
        let document = known.current.secret().document()?;
        Ok(document.with("password", password.expose_secret()).into())
    }

    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Applied> {
        let user = self.current(versions.current().secret(), versions.description())?;
        let pending = self.service.read(versions.pending().secret())?.password;
        let pending = pending.ok_or_else(|| {
            let what = "the secret's field \"password\" is missing or empty in AWSPENDING";
            Error::new(ErrorKind::Malformed, what)
        })?;
        let current = self.recorded(&user)?;
        let found = until_active(&self.service, &user, After::Nothing, cx).await?;
        unobjected(&user, &found)?;
        if let Some(login) = &user.login
            && self.is_set(versions, (&user, login), (&pending, found.passwords), cx).await?
        {
            return Ok(Applied::Already("both passwords log in already".to_owned()));
        }
        let current = current.filter(|one| !same(one, &pending));
        let passwords: Vec<_> = [&pending].into_iter().chain(current).cloned().collect();
        fence.pass().await?;
        let set = self.service.set_passwords(&user, &passwords, cx).await;
        let set = set.map_err(|error| match error.kind() {
            ErrorKind::Unreachable | ErrorKind::OutOfTime => error.caused_by(
                "the API may have taken the new passwords; the retry goes on from there",
            ),
            _ => error,
        });
        match set? {
            Change::Made => {}
            Change::Refused(why) => return Ok(Applied::Refused(why)),
        }
        let done = until_active(&self.service, &user, After::Change, cx).await;
        done.map_err(|error| error.while_doing("the API has taken the new passwords"))?;
        Ok(Applied::Changed(format!(
            "the user {} has the new password beside the current",
            user.arn
        )))
    }

    /// Where the secret names no host nobody can log in, so what the API says of the user must do.
    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict> {
        let user = self.service.read(secret)?;
        if let Some(login) = &user.login {
            return Ok(match self.service.log_in(login, cx).await? {
                Attempt::Accepted(()) => Verdict::Accepted,
                Attempt::Refused(why) => Verdict::Rejected(format!("{}: {why}", login.account())),
            });
        }
        let untested =
            "the secret names no \"host\" or no \"password\", so no login shows whether it works";
        if !cx.waits() {
            return Err(Error::new(ErrorKind::Unsupported, untested));
        }
        let found = until_active(&self.service, &user, After::Nothing, cx).await?;
        unobjected(&user, &found)?;
        cx.warn(format!("{untested}; the user is active, which is all that was looked at"));
        Ok(Verdict::Accepted)
    }

    /// Applications go on with current's password until they read the secret again.
    async fn compare(&self, versions: &SetContext<'_>, cx: &Invocation) -> Result<()> {
        let user = self.current(versions.current().secret(), versions.description())?;
        let Some(login) = &user.login else { return Ok(()) };
        let what = "AWSCURRENT's password does not log in any more: somebody changed the user since \
                    setSecret; retry, which sets both";
        self.service.log_in(login, cx).await?.accepted(ErrorKind::Conflict, what)
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>> {
        Ok(self.findings(subject, cx).await)
    }

    async fn plan(&self, subject: &InspectContext<'_>, _: &Invocation) -> Result<Vec<String>> {
        let user = self.current(subject.current.secret(), subject.description)?;
        let kept = if self.recorded(&user)?.is_some() { " and AWSCURRENT's" } else { "" };
        let action = self.service.action(&user);
        Ok(vec![format!("{action} {}: its passwords become AWSPENDING's{kept}", user.arn)])
    }
}
