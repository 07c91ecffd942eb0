//! What is asked of two users before one of them is changed, and how it is.

use super::{PAIRS, Paired, PairedKey};
use crate::config::refused;
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::rotator::{Fence, Recorded, SetContext, Verdict};
use crate::secret::Secret;
use crate::shell::discard_command;
use crate::vendor::updated::{asked, moved};
use crate::vendor::{Caller, Update};

/// How a pending version is given up.
pub(super) fn discarding(versions: &SetContext<'_>) -> String {
    let command = discard_command(versions.calls.secret(), versions.pending.version());
    format!("discard this version with `{command}`, then rotate again")
}

impl<V: Paired> PairedKey<V> {
    /// The user that a secret names, and the one that takes turns with it.
    pub(super) fn users(&self, secret: &Secret) -> Result<(String, String)> {
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

    /// The same, where pending must name the partner.
    pub(super) fn turn(&self, current: &Secret, pending: &Secret) -> Result<(String, String)> {
        let (user, partner) = self.users(current)?;
        let named = self.vendor.user(pending)?;
        if named == partner {
            return Ok((user, partner));
        }
        let what = format!("AWSPENDING names user {named:?}, and {partner:?} is next");
        Err(Error::new(ErrorKind::Mismatch, what)
            .caused_by("the value of a user in use must not change, nor that of another's"))
    }

    /// Refuses an admin that is one of the two: its own secret would be wrong from then on.
    pub(super) fn outside(&self, users: [&str; 2], admin: Option<&Secret>) -> Result<()> {
        let field = self.vendor.user_field();
        let named = admin.and_then(|admin| admin.document().ok()?.field(field));
        let is = |user: &str| {
            named.is_some_and(|named| {
                // A number is compared as it is written.
                let written = named.to_string();
                named.as_str().unwrap_or(&written) == user
            })
        };
        let Some(user) = users.into_iter().find(|user| is(user)) else { return Ok(()) };
        let what = format!("user {user:?} of the pair is the admin, whose own value would be set");
        Err(Error::new(ErrorKind::Unsupported, what)
            .caused_by("let a user of no pair be the admin, then retry; no value was set"))
    }

    /// A secret of the pair that the vendor lets in: AWSCURRENT, an older version of either user, or at
    /// last pending, which an earlier run may have set. An admin acts for whoever shows one, and for
    /// nobody else. `left` is how many logins more may be refused.
    pub(super) async fn working(
        &self,
        (current, pending): (&Secret, Option<&Secret>),
        recorded: &Recorded<'_>,
        left: &mut usize,
        cx: &Invocation,
    ) -> Result<Secret> {
        let (user, partner) = self.users(current)?;
        // One is kept for pending, but not the only one.
        let kept = usize::from(pending.is_some() && *left > 2);
        if self.vendor.verify(current, cx).await? == Verdict::Accepted {
            return Ok(current.clone());
        }
        *left = left.saturating_sub(1);
        let mut older: Vec<_> = recorded.previous().await?.into_iter().collect();
        older.extend(recorded.others().await?);
        let mut candidates = Vec::new();
        for version in &older {
            let own = moved(&self.vendor, version.secret(), current);
            candidates.extend(own.map(|own| (own, kept)));
        }
        candidates.extend(pending.map(|pending| (pending.clone(), 0)));
        let mut tried = vec![current.clone()];
        for (own, kept) in candidates {
            let ours = self.vendor.user(&own).is_ok_and(|named| named == user || named == partner);
            if !ours || tried.contains(&own) || *left <= kept {
                continue;
            }
            if self.vendor.verify(&own, cx).await? == Verdict::Accepted {
                return Ok(own);
            }
            *left -= 1;
            tried.push(own);
        }
        match asked(&self.vendor, current, left, cx).await? {
            Verdict::Accepted => Ok(current.clone()),
            Verdict::Rejected(why) => {
                let what = format!(
                    "neither user {user:?} nor {partner:?} is let in with what is recorded"
                );
                let unchanged = if pending.is_none() { "; nothing was changed" } else { "" };
                Err(Error::new(ErrorKind::Rejected, what).caused_by(why).caused_by(format!(
                    "store the value that one of them has in AWSCURRENT{unchanged}"
                )))
            }
        }
    }

    /// Refuses a pair of which one user is missing, or may do other things than the other. `next` is
    /// what follows once they are alike.
    pub(super) async fn alike(
        &self,
        users: [&str; 2],
        caller: &Caller<'_>,
        (kind, next): (ErrorKind, &str),
        cx: &Invocation,
    ) -> Result<()> {
        let differences = self.vendor.differences(users, caller, cx).await?;
        if differences.is_empty() {
            return Ok(());
        }
        let [one, other] = users;
        let what = format!("users {one:?} and {other:?} differ in {}", differences.join(", "));
        let fix = format!("they take turns, so make them alike at the vendor, then {next}");
        Err(Error::new(kind, what).caused_by(fix))
    }

    /// Finds two names of one user, as where a vendor does not tell `app` from `App`: AWSCURRENT is
    /// refused since pending was set, and pending's value lets its user in. Where only the first is
    /// so, AWSCURRENT cannot be set again, and promoting pending is what helps.
    pub(super) async fn two(
        &self,
        (current, pending): (&Secret, &Secret),
        [user, partner]: [&str; 2],
        cx: &Invocation,
    ) -> Result<()> {
        let Verdict::Rejected(why) = self.vendor.verify(current, cx).await? else { return Ok(()) };
        let same = self.vendor.naming(pending, user)?;
        let may_ask = self.vendor.attempts() > 1;
        if !may_ask || self.vendor.verify(&same, cx).await? != Verdict::Accepted {
            cx.warn(format!("the vendor refuses AWSCURRENT, and lets AWSPENDING in: {why}"));
            return Ok(());
        }
        let what = format!("{user:?} and {partner:?} are one user at the vendor");
        Err(Error::new(ErrorKind::Conflict, what)
            .caused_by("AWSCURRENT is refused since AWSPENDING was set"))
    }

    /// Gives AWSCURRENT's user its value again, and waits until that is let in: what lets somebody in
    /// now may be the pending user's, and dies next.
    pub(super) async fn set_again(
        &self,
        current: &Secret,
        caller: &Caller<'_>,
        (fence, left): (&dyn Fence, &mut usize),
        cx: &Invocation,
    ) -> Result<()> {
        let refused = "the vendor refuses AWSCURRENT";
        if let Some(why) = self.set(current, caller, fence, cx).await? {
            cx.warn(format!("{refused}, and to set it again: {why}"));
            return Ok(());
        }
        let user = self.vendor.user(current)?;
        cx.warn(format!("{refused}, so user {user:?} was given it again"));
        match asked(&self.vendor, current, left, cx).await? {
            Verdict::Accepted => Ok(()),
            Verdict::Rejected(_) => {
                let what = format!("{refused}, which user {user:?} was given again");
                Err(Error::new(ErrorKind::Conflict, what).caused_by("it may learn late: retry"))
            }
        }
    }

    /// Sets the value of `to`; what is said against that very value, where the vendor refuses it.
    pub(super) async fn set(
        &self,
        to: &Secret,
        caller: &Caller<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Option<Error>> {
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
