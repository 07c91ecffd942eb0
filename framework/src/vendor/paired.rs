//! Two users at a vendor that a secret names in turn, where a value is set in place: an admin sets that of
//! the one that is not in use.

mod pair;

use async_trait::async_trait;

use self::pair::discarding;
use super::updated::{KEPT, ask, asked, still_works};
use super::{Caller, Updater, admin, check, control, heeds_fields, heeds_keys};
use crate::config::{Environment, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::rotator::{
    Applied, CreateContext, Fence, Finding, Form, InspectContext, PromoteContext, Rotator,
    SetContext, Verdict,
};
use crate::secret::Secret;
use crate::store::SecretDescription;
use crate::users::PairSettings;

const PAIRS: &str = "USER_PAIRS";

/// What is said of two users that differ before anything is stored.
const AGAIN: (ErrorKind, &str) = (ErrorKind::Unsupported, "rotate again");

/// A vendor whose admin sets the values of two users that a secret names in turn.
#[async_trait]
pub trait Paired: Updater {
    /// The user that a secret names. No secret: it stands in errors.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the field.
    fn user(&self, secret: &Secret) -> Result<String>;

    /// The field of the secret that names its user, for messages.
    fn user_field(&self) -> &str;

    /// A secret that names this user instead.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the field.
    fn naming(&self, secret: &Secret, user: &str) -> Result<Secret>;

    /// What two users differ in besides name and value, as far as the vendor tells: never a value of
    /// theirs. Empty if they are alike.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], naming the user, where there is none.
    async fn differences(
        &self,
        users: [&str; 2],
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<Vec<String>>;

    /// Makes ready what sets the value of `to`, and what asks whether that works, and sends neither: a
    /// user that cannot be named in one of them is found before its value is replaced.
    ///
    /// # Errors
    /// Those of both that need no answer to them.
    async fn may_set(&self, _to: &Secret, _caller: &Caller<'_>, _turn: &Invocation) -> Result<()> {
        Ok(())
    }
}

/// Rotates two users of any [`Paired`] vendor in turn, so that the one in use is never changed and no
/// login fails.
///
/// The function's owner names both in `USER_PAIRS`; whoever may write the secret cannot, and a user
/// that is in no pair is never changed. The vendor is not told which value is replaced: a container
/// that stood still between the fence and its request may set an older value of a user that came into
/// use since. The next rotation repairs that.
#[derive(Debug)]
pub struct PairedKey<V> {
    vendor: V,
    pairs: PairSettings,
}

impl<V> PairedKey<V> {
    /// Rotates the users of this vendor that `USER_PAIRS` names, as `app=app_b,web=web_b`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub fn read(environment: &Environment, vendor: V) -> Result<Self> {
        let pairs = PairSettings::read(environment)?;
        if environment.text(PAIRS)?.is_none() {
            let why = "name the two users of each pair there, as app=app_b";
            return Err(refused(PAIRS, "is not set").caused_by(why));
        }
        Ok(Self { vendor, pairs })
    }
}

#[async_trait]
impl<V: Paired> Rotator for PairedKey<V> {
    /// Pending must name the other user of AWSCURRENT's pair. A copy of AWSCURRENT is no rotation.
    fn check(&self, versions: &SetContext<'_>) -> Result<()> {
        let (current, pending) = (versions.current().secret(), versions.pending().secret());
        if current == pending {
            return Ok(());
        }
        self.turn(current, pending)?;
        check(self.vendor.fields(), versions)
    }

    fn form(&self, _: &Secret, _: &SecretDescription) -> Option<(&'static str, Form)> {
        Some(("paired users", Form::TwoUsers))
    }

    /// All that can be asked is, before anything is stored that names the other user.
    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret> {
        let current = known.current.secret();
        let (user, partner) = self.users(current)?;
        let proposed = self.vendor.propose(&self.vendor.naming(current, &partner)?)?;
        let admin = admin(self.vendor.admin(current), &known.other_secrets()).await?;
        self.outside([&user, &partner], admin.as_ref())?;
        heeds_keys(self.vendor.negative_control(current, cx).await)?;
        let mut left = self.vendor.attempts();
        let own = self.working((current, None), &known.recorded(), &mut left, cx).await?;
        let caller = Caller { own: &own, admin: admin.as_ref() };
        self.alike([&user, &partner], &caller, AGAIN, cx).await?;
        self.vendor.may_set(&proposed, &caller, cx).await?;
        Ok(proposed)
    }

    /// Pending's value is set without asking whether it is: twice is as once, and in a healthy rotation
    /// the vendor would count a wrong login. An AWSCURRENT that the vendor refuses is set again first:
    /// a container that stood still, or a restored backup, took it from applications. Where nothing but
    /// pending is let in, an earlier run has set that.
    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Applied> {
        let (current, pending) = (versions.current().secret(), versions.pending().secret());
        if current == pending {
            return Ok(Applied::Already("AWSPENDING is a copy of AWSCURRENT".to_owned()));
        }
        let admin = admin(self.vendor.admin(current), &versions.other_secrets()).await?;
        let (user, partner) = self.turn(current, pending)?;
        self.outside([&user, &partner], admin.as_ref())?;
        let mut left = self.vendor.attempts();
        let (pair, recorded) = ((current, Some(pending)), versions.recorded());
        let own = self.working(pair, &recorded, &mut left, cx).await?;
        let caller = Caller { own: &own, admin: admin.as_ref() };
        if own != *current {
            self.set_again(current, &caller, (fence, &mut left), cx).await?;
        }
        let already = || Ok(Applied::Already("the pending value works already".to_owned()));
        if own == *pending {
            return already();
        }
        let Some(why) = self.set(pending, &caller, fence, cx).await? else {
            return Ok(Applied::Changed(format!("user {partner:?} has the pending value")));
        };
        match asked(&self.vendor, pending, &mut left, cx).await? {
            Verdict::Accepted => already(),
            Verdict::Rejected(_) if self.vendor.propagation().is_zero() => {
                Ok(Applied::Refused(why))
            }
            Verdict::Rejected(_) => Err(why.caused_by(KEPT).caused_by(discarding(versions))),
        }
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict> {
        ask(&self.vendor, secret, cx).await
    }

    /// A vendor may have reset more than the value, or have set it of the user in use.
    async fn compare(&self, versions: &SetContext<'_>, cx: &Invocation) -> Result<()> {
        let (current, own) = (versions.current().secret(), versions.pending().secret());
        let discard = discarding(versions);
        let (user, partner) =
            self.turn(current, own).map_err(|error| match error.kind() == ErrorKind::Mismatch {
                true => error.caused_by(&discard),
                false => error,
            })?;
        let admin = admin(self.vendor.admin(current), &versions.other_secrets()).await?;
        let (users, caller) = ([user.as_str(), &partner], Caller { own, admin: admin.as_ref() });
        self.two((current, own), users, cx).await.map_err(|error| {
            error.caused_by(format!(
                "give user {user:?} AWSCURRENT's value at the vendor, name another user beside it \
                 in {PAIRS}, and {discard}"
            ))
        })?;
        let next = format!("retry; or {discard}");
        self.alike(users, &caller, (ErrorKind::Conflict, &next), cx).await
    }

    async fn confirm(&self, versions: &PromoteContext<'_>, cx: &Invocation) -> Result<()> {
        still_works(&self.vendor, versions, cx).await
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>> {
        let current = subject.current.secret();
        let (user, partner) = self.users(current)?;
        let proposed = self.vendor.propose(&self.vendor.naming(current, &partner)?)?;
        let mut findings: Vec<Finding> =
            control(self.vendor.negative_control(current, cx).await).into_iter().collect();
        let admin = admin(self.vendor.admin(current), &subject.other_secrets()).await?;
        findings.extend(self.outside([&user, &partner], admin.as_ref()).err().map(Finding::Fails));
        match self.vendor.verify(current, cx).await? {
            Verdict::Accepted => {
                findings.extend(heeds_fields(self.vendor.unheeded(current, cx).await));
                let caller = Caller { own: current, admin: admin.as_ref() };
                let may = match self.alike([&user, &partner], &caller, AGAIN, cx).await {
                    Ok(()) => self.vendor.may_set(&proposed, &caller, cx).await,
                    differ => differ,
                };
                findings.extend(may.err().map(Finding::Fails));
            }
            Verdict::Rejected(why) => {
                let error = Error::new(ErrorKind::Rejected, "the vendor refuses AWSCURRENT");
                findings.push(Finding::Fails(error.caused_by(why)));
            }
        }
        findings.push(Finding::Warns(format!(
            "this vendor is not told which value is replaced, so a container that stood still can \
             set an older value of user {partner:?} once that is in use; the next rotation repairs \
             that"
        )));
        Ok(findings)
    }

    fn untried(&self) -> Option<&'static str> {
        Some("setting a value")
    }

    async fn plan(&self, subject: &InspectContext<'_>, cx: &Invocation) -> Result<Vec<String>> {
        let current = subject.current.secret();
        let (user, partner) = self.users(current)?;
        let admin = self.vendor.admin(current)?;
        let who = admin.map(|secret| format!(", asked by the admin of secret {secret}"));
        let works = match self.vendor.verify(current, cx).await? {
            Verdict::Accepted => format!("user {user:?}, who is in use, is not changed"),
            Verdict::Rejected(why) => format!("AWSCURRENT's is set again: it is refused, {why}"),
        };
        Ok(vec![
            format!(
                "createSecret makes a new value for user {partner:?}, once it is like {user:?}"
            ),
            format!("setSecret sets it{}: {works}", who.unwrap_or_default()),
        ])
    }
}
