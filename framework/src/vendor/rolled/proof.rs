//! What must be proven before a value is made anew, and before one that the vendor shows is stored.

use std::time::Duration;

use super::{MOST_ASKED, RolledKey, TEST_TIME, place};
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::rotator::{CreateContext, Finding, Verdict};
use crate::secret::Secret;
use crate::vendor::{Caller, Roller};

impl<V: Roller> RolledKey<V> {
    /// Whether the vendor shows a secret's value in the slot that the secret names.
    pub(super) async fn stands(
        &self,
        secret: &Secret,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<bool> {
        let slot = self.vendor.slot(secret)?;
        Ok(self.vendor.shown(secret, &slot, caller, cx).await? == *secret)
    }

    pub(super) fn misplaced(&self, slot: &str) -> Error {
        let what = format!("the key that is recorded is not the one in {}", place(slot));
        let error = Error::new(ErrorKind::Mismatch, what);
        match self.vendor.slot_field() {
            Some(field) => error
                .caused_by(format!("correct the secret's field {field:?}; nothing was changed")),
            None => error,
        }
    }

    /// The secret that stands for the account: AWSCURRENT, or, where its value is refused, another
    /// version that differs from it in the value only.
    pub(super) async fn working(
        &self,
        known: &CreateContext<'_>,
        admin: Option<&Secret>,
        cx: &Invocation,
    ) -> Result<Secret> {
        let current = known.current.secret();
        let refusal = match self.ask(current, TEST_TIME, cx).await? {
            Verdict::Accepted => return self.in_its_slot(current, admin, cx).await,
            Verdict::Rejected(why) => why,
        };
        let mut older: Vec<_> = known.recorded().previous().await?.into_iter().collect();
        older.extend(known.recorded().others().await?);
        for version in older.iter().take(MOST_ASKED - 1) {
            let own = version.secret();
            if !self.same_account(current, own) {
                continue;
            }
            if self.vendor.verify(own, cx).await? == Verdict::Accepted {
                cx.warn(format!(
                    "the vendor refuses AWSCURRENT's key: {refusal}; version {} has one that \
                     works, and it is used",
                    version.version()
                ));
                return self.in_its_slot(own, admin, cx).await;
            }
        }
        let replaced = match self.vendor.slots() {
            [] => "; if the vendor made another one since, store that",
            _ => "",
        };
        Err(Error::new(ErrorKind::Rejected, "the vendor refuses AWSCURRENT's key").caused_by(
            format!(
                "{refusal}; nothing is made without proof, so store a key that works first, or \
                 verify by another request if this one works elsewhere{replaced}"
            ),
        ))
    }

    /// A secret whose value works, once it is proven to be in the slot that the secret names. Where
    /// there is one value only, one that works and is not shown was replaced already.
    async fn in_its_slot(
        &self,
        own: &Secret,
        admin: Option<&Secret>,
        cx: &Invocation,
    ) -> Result<Secret> {
        let caller = Caller { own, admin };
        if !self.vendor.slots().is_empty() && !self.stands(own, &caller, cx).await? {
            return Err(self.misplaced(&self.vendor.slot(own)?));
        }
        Ok(own.clone())
    }

    fn same_account(&self, current: &Secret, other: &Secret) -> bool {
        let (Ok(one), Ok(another)) = (current.document(), other.document()) else {
            return current.document().is_err() && other.document().is_err();
        };
        let fields: Vec<&str> = self.vendor.fields().iter().map(String::as_str).collect();
        one.difference(another, &fields).is_none()
    }

    /// Tries a value that the vendor shows, and that no version holds, as this secret's credential.
    /// What an admin is shown may be another account's, whose live value would be stored here.
    ///
    /// A slot's value needs no such question: the one in use is shown beside it, and what is stored is
    /// not what stood there before. Nor does a value that this rotation had made in place of AWSCURRENT's.
    pub(super) async fn tried(
        &self,
        shown: &Secret,
        most: Duration,
        cx: &Invocation,
    ) -> Result<()> {
        match self.ask(shown, most, cx).await? {
            Verdict::Accepted => Ok(()),
            Verdict::Rejected(why) => {
                let what = "the vendor shows a value that it refuses as this secret's credential";
                Err(Error::new(ErrorKind::Mismatch, what).caused_by(format!(
                    "{why}; it may be another account's, so it is not stored: look at what names \
                     the account where it is read, in this secret or the admin's; a value that was \
                     just made may be let in later, so retry"
                )))
            }
        }
    }

    /// What preflight says of one value that is shown and is not AWSCURRENT's.
    pub(super) async fn replaced(&self, shown: &Secret, cx: &Invocation) -> Finding {
        match self.tried(shown, TEST_TIME, cx).await {
            Ok(()) => Finding::Warns(
                "AWSCURRENT's value was replaced and works on for a time only: rotate now. If nobody \
                 replaced it, the value that the vendor shows is another account's: look at what \
                 names the account, in this secret or the admin's"
                    .to_owned(),
            ),
            Err(error) => Finding::Fails(error),
        }
    }

    /// Asks about the value in use once another one was made: that it works on is only what is said
    /// of the vendor.
    pub(super) async fn works_on(&self, own: &Secret, cx: &Invocation) {
        if let Ok(Verdict::Rejected(why)) = self.vendor.verify(own, cx).await {
            cx.warn(format!(
                "the vendor refuses AWSCURRENT's key since another one was made, and it should work \
                 on: {why}; applications are refused until this rotation ends"
            ));
        }
    }
}
