//! Two users at a vendor that a secret names in turn, where a value is set in place: an admin sets that of
//! the one that is not in use.

use async_trait::async_trait;

use super::updated::{ask, moved, still_works};
use super::{Caller, Update, Updater, admin, check, control, heeds_keys};
use crate::config::{Environment, refused};
use crate::error::{Error, ErrorKind};
use crate::invocation::Invocation;
use crate::rotator::{
    Applied, CreateContext, Fence, Finding, Form, InspectContext, PromoteContext, Recorded,
    Rotator, SetContext, Verdict,
};
use crate::secret::Secret;
use crate::store::SecretDescription;
use crate::users::PairSettings;

const PAIRS: &str = "USER_PAIRS";

/// A vendor whose admin sets the values of two users that a secret names in turn.
#[async_trait]
pub trait Paired: Updater {
    /// The user that a secret names. No secret: it stands in errors.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the field.
    fn user(&self, secret: &Secret) -> Result<String, Error>;

    /// The field of the secret that names its user, for messages.
    fn user_field(&self) -> &str;

    /// A secret that names this user instead.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the field.
    fn naming(&self, secret: &Secret, user: &str) -> Result<Secret, Error>;

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
    ) -> Result<Vec<String>, Error>;
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
    pub fn read(environment: &Environment, vendor: V) -> Result<Self, Error> {
        let pairs = PairSettings::read(environment)?;
        if environment.text(PAIRS)?.is_none() {
            let why = "name the two users of each pair there, as app=app_b";
            return Err(refused(PAIRS, "is not set").caused_by(why));
        }
        Ok(Self { vendor, pairs })
    }
}

impl<V: Paired> PairedKey<V> {
    /// The user that a secret names, and the one that takes turns with it.
    fn users(&self, secret: &Secret) -> Result<(String, String), Error> {
        let user = self.vendor.user(secret)?;
        match self.pairs.partner(&user) {
            Some(partner) => Ok((user, partner.to_owned())),
            None => Err(refused(PAIRS, &format!("names no pair with user {user:?}")).caused_by(
                format!(
                    "name both there, as {user}=OTHER, or correct the secret's field {:?}; a user \
                     of no pair is never changed",
                    self.vendor.user_field()
                ),
            )),
        }
    }

    /// A secret of the pair that the vendor lets in: AWSCURRENT, or an older version of either user.
    /// An admin acts for whoever shows one, and for nobody else.
    async fn working(
        &self,
        current: &Secret,
        recorded: &Recorded<'_>,
        cx: &Invocation,
    ) -> Result<Secret, Error> {
        let (user, partner) = self.users(current)?;
        if self.vendor.verify(current, cx).await? == Verdict::Accepted {
            return Ok(current.clone());
        }
        let mut older: Vec<_> = recorded.previous().await?.into_iter().collect();
        older.extend(recorded.others().await?);
        let mut tried = vec![current.clone()];
        for version in older {
            let fields = self.vendor.fields();
            let Some(own) = moved(fields, version.secret(), current) else { continue };
            let named = self.vendor.user(&own)?;
            let ours = named == user || named == partner;
            if !ours || tried.contains(&own) || tried.len() >= self.vendor.attempts() {
                continue;
            }
            if self.vendor.verify(&own, cx).await? == Verdict::Accepted {
                return Ok(own);
            }
            tried.push(own);
        }
        let left = self.vendor.attempts().saturating_sub(tried.len());
        match ask(&self.vendor, current, left, cx).await? {
            Verdict::Accepted => Ok(current.clone()),
            Verdict::Rejected(why) => {
                let what = format!(
                    "neither user {user:?} nor {partner:?} is let in with what is recorded"
                );
                Err(Error::new(ErrorKind::Rejected, what).caused_by(why).caused_by(
                    "store the value that one of them has in AWSCURRENT; nothing was changed",
                ))
            }
        }
    }

    /// Refuses a pair of which one user is missing, or may do other things than the other.
    async fn alike(
        &self,
        users: [&str; 2],
        (caller, kind): (&Caller<'_>, ErrorKind),
        cx: &Invocation,
    ) -> Result<(), Error> {
        let differences = self.vendor.differences(users, caller, cx).await?;
        if differences.is_empty() {
            return Ok(());
        }
        let [one, other] = users;
        let what = format!("users {one:?} and {other:?} differ in {}", differences.join(", "));
        Err(Error::new(kind, what)
            .caused_by("they take turns, so make them alike at the vendor, then rotate again"))
    }

    /// Gives AWSCURRENT's user its value again, and waits until that is let in: what lets somebody in
    /// now may be the pending user's, and dies next.
    async fn set_again(
        &self,
        current: &Secret,
        caller: &Caller<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<(), Error> {
        let refused = "the vendor refuses AWSCURRENT";
        if let Some(why) = self.set(current, caller, fence, cx).await? {
            cx.warn(format!("{refused}, and to set it again: {why}"));
            return Ok(());
        }
        let user = self.vendor.user(current)?;
        cx.warn(format!("{refused}, so user {user:?} was given it again"));
        match ask(&self.vendor, current, self.vendor.attempts(), cx).await? {
            Verdict::Accepted => Ok(()),
            Verdict::Rejected(_) => {
                let what = format!("{refused}, which user {user:?} was given again");
                Err(Error::new(ErrorKind::Conflict, what).caused_by("it may learn late: retry"))
            }
        }
    }

    /// Sets the value of `to`; what is said against that very value, where the vendor refuses it.
    async fn set(
        &self,
        to: &Secret,
        caller: &Caller<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Option<Error>, Error> {
        let kept = self.vendor.kept(to, caller, cx).await?;
        fence.pass().await?;
        match self.vendor.update(caller.own, to, &kept, caller, cx).await? {
            Update::Made => Ok(None),
            Update::Refused(why) => Ok(Some(why)),
            Update::Stale => {
                let what = "the vendor says that an old value is wrong, and an admin shows none";
                Err(Error::new(ErrorKind::Unsupported, what))
            }
        }
    }
}

#[async_trait]
impl<V: Paired> Rotator for PairedKey<V> {
    /// Pending must name the other user of AWSCURRENT's pair. A copy of AWSCURRENT is no rotation.
    fn check(&self, versions: &SetContext<'_>) -> Result<(), Error> {
        let (current, pending) = (versions.current().secret(), versions.pending().secret());
        if current == pending {
            return Ok(());
        }
        let (partner, named) = (self.users(current)?.1, self.vendor.user(pending)?);
        if named != partner {
            let what = format!("AWSPENDING names user {named:?}, and {partner:?} is next");
            return Err(Error::new(ErrorKind::Mismatch, what)
                .caused_by("the value of a user in use must not change, nor that of another's"));
        }
        check(self.vendor.fields(), versions)
    }

    fn form(&self, _: &Secret, _: &SecretDescription) -> Option<(&'static str, Form)> {
        Some(("paired users", Form::TwoUsers))
    }

    /// All that can be asked is, before anything is stored that names the other user.
    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret, Error> {
        let current = known.current.secret();
        let (user, partner) = self.users(current)?;
        let proposed = self.vendor.propose(&self.vendor.naming(current, &partner)?)?;
        let admin = admin(self.vendor.admin(current), &known.other_secrets()).await?;
        heeds_keys(self.vendor.negative_control(current, cx).await)?;
        let own = self.working(current, &known.recorded(), cx).await?;
        let caller = Caller { own: &own, admin: admin.as_ref() };
        self.alike([&user, &partner], (&caller, ErrorKind::Unsupported), cx).await?;
        Ok(proposed)
    }

    /// Pending's value is set without asking whether it is: twice is as once, and in a healthy rotation
    /// the vendor would count a wrong login. An AWSCURRENT that the vendor refuses is set again first:
    /// a container that stood still, or a restored backup, took it from applications.
    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Applied, Error> {
        let (current, pending) = (versions.current().secret(), versions.pending().secret());
        if current == pending {
            return Ok(Applied::Already("AWSPENDING is a copy of AWSCURRENT".to_owned()));
        }
        let admin = admin(self.vendor.admin(current), &versions.other_secrets()).await?;
        let own = self.working(current, &versions.recorded(), cx).await?;
        let caller = Caller { own: &own, admin: admin.as_ref() };
        if own != *current {
            self.set_again(current, &caller, fence, cx).await?;
        }
        let user = self.vendor.user(pending)?;
        match self.set(pending, &caller, fence, cx).await? {
            None => Ok(Applied::Changed(format!("user {user:?} has the pending value"))),
            Some(why) => Ok(match self.vendor.verify(pending, cx).await? {
                Verdict::Accepted => Applied::Already("the pending value works already".to_owned()),
                Verdict::Rejected(_) => Applied::Refused(why),
            }),
        }
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict, Error> {
        ask(&self.vendor, secret, self.vendor.attempts(), cx).await
    }

    /// A vendor may have reset more than the value.
    async fn compare(&self, versions: &SetContext<'_>, cx: &Invocation) -> Result<(), Error> {
        let own = versions.pending().secret();
        let admin = admin(self.vendor.admin(own), &versions.other_secrets()).await?;
        let (user, partner) = self.users(own)?;
        let caller = Caller { own, admin: admin.as_ref() };
        self.alike([&partner, &user], (&caller, ErrorKind::Conflict), cx).await
    }

    async fn confirm(&self, versions: &PromoteContext<'_>, cx: &Invocation) -> Result<(), Error> {
        still_works(&self.vendor, versions, cx).await
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>, Error> {
        let current = subject.current.secret();
        let (user, partner) = self.users(current)?;
        self.vendor.propose(&self.vendor.naming(current, &partner)?)?;
        let mut findings: Vec<Finding> =
            control(self.vendor.negative_control(current, cx).await).into_iter().collect();
        let admin = admin(self.vendor.admin(current), &subject.other_secrets()).await?;
        match self.vendor.verify(current, cx).await? {
            Verdict::Accepted => {
                let caller = Caller { own: current, admin: admin.as_ref() };
                let alike = self.alike([&user, &partner], (&caller, ErrorKind::Unsupported), cx);
                findings.extend(alike.await.err().map(Finding::Fails));
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

    async fn plan(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<String>, Error> {
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
