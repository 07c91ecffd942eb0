//! Keys that a vendor issues: mint, overlap, revoke.
//!
//! createSecret revokes nothing while the vendor has room: what an earlier run of it lost is
//! revoked by finishSecret, when no run can record it any more.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use super::retention::{Promotion, Retention};
use super::{Caller, Issuer, Label, ListedKey, Ownership, admin, check, pauses, wait};
use crate::error::{Error, ErrorKind};
use crate::invocation::Invocation;
use crate::rotator::{
    Applied, CreateContext, Fence, Finding, InspectContext, RetireContext, Rotator, SetContext,
    Verdict,
};
use crate::secret::Secret;

/// The longest that testSecret waits for a key which setSecret saw working: another part of the
/// vendor may answer it.
pub(super) const TEST_TIME: Duration = Duration::from_secs(5);

/// Rotates the keys of any [`Issuer`].
///
/// A new key is minted in createSecret and works beside the current one, which works on until the
/// next rotation. What is not ours is never revoked.
#[derive(Debug)]
pub struct IssuedKeys<V> {
    pub(super) vendor: V,
    clock: fn(&V) -> SystemTime,
}

/// A key with what is to be known before it may be revoked.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) label: Option<Label>,
    pub(super) age: Duration,
}

impl<V> IssuedKeys<V> {
    /// Rotates this vendor's keys.
    pub fn new(vendor: V) -> Self {
        Self { vendor, clock: |_| SystemTime::now() }
    }
}

impl<V: Issuer> IssuedKeys<V> {
    /// The same by another clock, for a vendor whose hours are made up.
    pub fn by_clock(vendor: V, clock: fn(&V) -> SystemTime) -> Self {
        Self { vendor, clock }
    }

    pub(super) fn label(&self, arn: &str, version: &crate::VersionId) -> Label {
        Label::new(arn, version, (self.clock)(&self.vendor))
    }

    /// Every key, each with its age: the vendor's word, or the moment in the label.
    pub(super) async fn keys(
        &self,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Key>, Error> {
        // Before it: a key that is made while others are read must not be older than these.
        let now = (self.clock)(&self.vendor);
        let mut listed = self.vendor.list(caller, cx).await?;
        // Pages shift while they are read, and a limit counts a key once.
        let mut seen = BTreeSet::new();
        listed.retain(|key| seen.insert(key.id.clone()));
        listed.into_iter().map(|key| self.dated(key, now)).collect()
    }

    fn dated(&self, key: ListedKey, now: SystemTime) -> Result<Key, Error> {
        let label = key.label.as_deref().and_then(Label::read);
        let age = key.age.or_else(|| Some(label.as_ref()?.age(now)));
        let age = match (age, self.vendor.terms().ownership) {
            (Some(age), _) => age,
            // Whatever we issue carries a label with its moment: this one was there before.
            (None, Ownership::Labels) => Duration::MAX,
            (None, _) => {
                let what = format!("the vendor does not say when key {:?} was issued", key.id);
                return Err(Error::new(ErrorKind::Unsupported, what)
                    .caused_by("without labels nothing else tells older keys from newer ones"));
            }
        };
        Ok(Key { id: key.id, label, age })
    }

    /// Every key, once the secret's own is among them, and the age of that.
    pub(super) async fn keys_with(
        &self,
        own: &str,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<(Vec<Key>, Duration), Error> {
        let mut pauses = pauses(self.vendor.terms().propagation);
        loop {
            let keys = self.keys(caller, cx).await?;
            if let Some(age) = keys.iter().find(|key| key.id == own).map(|key| key.age) {
                return Ok((keys, age));
            }
            let Some(pause) = pauses.next() else { break };
            if !wait(pause, cx).await {
                break;
            }
        }
        Err(not_listed(own))
    }

    /// Asks about a secret until it is let in, or until the vendor should have learnt of it.
    pub(super) async fn ask(
        &self,
        secret: &Secret,
        most: Duration,
        cx: &Invocation,
    ) -> Result<Verdict, Error> {
        let mut pauses = pauses(self.vendor.terms().propagation.min(most));
        loop {
            match self.vendor.verify(secret, cx).await? {
                Verdict::Accepted => return Ok(Verdict::Accepted),
                Verdict::Rejected(why) => match pauses.next() {
                    Some(pause) if wait(pause, cx).await => {}
                    _ => return Ok(Verdict::Rejected(why)),
                },
            }
        }
    }

    /// Whether a key is ours by itself, whatever versions hold.
    pub(super) fn marked(&self, key: &Key, own: &Label) -> bool {
        match self.vendor.terms().ownership {
            Ownership::Labels => key.label.as_ref().is_some_and(|label| label.same_secret(own)),
            Ownership::Stored => false,
            Ownership::Account => true,
        }
    }
}

#[async_trait]
impl<V: Issuer> Rotator for IssuedKeys<V> {
    fn check(&self, versions: &SetContext<'_>) -> Result<(), Error> {
        check(self.vendor.fields(), versions)
    }

    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret, Error> {
        let current = known.current.secret();
        self.vendor.id(current).map_err(|error| error.while_doing("AWSCURRENT"))?;
        let admin = admin(self.vendor.admin(current), &known.other_secrets()).await?;
        let admin = admin.as_ref();
        // Before anything is made: a key whose id stands in no version would be revoked in use.
        let caller = Caller { own: current, admin };
        let own = match self.speaks_for_itself(&caller, cx).await {
            true => current.clone(),
            false => self.working_version(known, admin, cx).await?,
        };
        match self.minted(known, &Caller { own: &own, admin }, cx).await {
            Err(refused) if refused.kind() == ErrorKind::Rejected && admin.is_none() => {
                let own = self.working_version(known, admin, cx).await?;
                // A key that works was refused for another reason.
                if own == *current {
                    return Err(refused);
                }
                self.minted(known, &Caller { own: &own, admin }, cx).await
            }
            ended => ended,
        }
    }

    async fn discard(
        &self,
        proposed: &Secret,
        known: &CreateContext<'_>,
        cx: &Invocation,
    ) -> Result<(), Error> {
        let current = known.current.secret();
        let admin = admin(self.vendor.admin(current), &known.other_secrets()).await?;
        let caller = Caller { own: current, admin: admin.as_ref() };
        self.give_up(proposed, &caller, cx).await
    }

    /// A key works from the moment it is issued. Whether it still does is asked, because a pending
    /// value cannot be replaced: better to fail here, before AWSPENDING is trusted.
    async fn apply(
        &self,
        versions: &SetContext<'_>,
        _fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Applied, Error> {
        let pending = versions.pending().secret();
        let id = self.vendor.id(pending).map_err(|error| error.while_doing("AWSPENDING"))?;
        match self.ask(pending, Duration::MAX, cx).await? {
            Verdict::Accepted => {
                Ok(Applied::Already(format!("key {id:?} works since it was issued")))
            }
            Verdict::Rejected(why) => {
                let what = format!("the vendor refuses AWSPENDING's key {id:?}");
                Err(Error::new(ErrorKind::Rejected, what).caused_by(why))
            }
        }
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict, Error> {
        self.ask(secret, TEST_TIME, cx).await
    }

    /// Revokes every key of ours that no labelled version holds and that was issued before the
    /// promoted one: a later one may be about to be recorded. Only under the promoted token
    /// itself nothing can be recorded any more.
    async fn retire(&self, keep: &RetireContext<'_>, cx: &Invocation) -> Result<(), Error> {
        let versions = keep.labelled().await?;
        let promoted = versions.iter().find(|one| one.version() == keep.promoted());
        let gone = || Error::new(ErrorKind::NotFound, "the promoted version has no value");
        let promoted = promoted.ok_or_else(gone)?.secret();
        let admin = admin(self.vendor.admin(promoted), &keep.other_secrets()).await?;
        let caller = Caller { own: promoted, admin: admin.as_ref() };
        let kept = self.kept(versions.iter())?;
        // The token of a version that somebody wrote by hand may be rotated to: then nobody has
        // tested it.
        let (all, age) = match caller.admin {
            Some(_) => self.proven(promoted, &caller, cx).await?,
            None => self.keys_with(&self.vendor.id(promoted)?, &caller, cx).await?,
        };
        let own = self.label(&keep.description().arn, keep.promoted());
        let promotion = Promotion { label: &own, age: Some(age), kept: &kept, keys: &all };
        // Asked only where it is needed: for a key without our mark, as the first one of a secret,
        // or for one that may be in use.
        let asks = |key: &Key| match self.retention(key, &promotion, &BTreeSet::new()) {
            Retention::Stranger => true,
            Retention::Goes => !self.vendor.terms().grace.is_zero(),
            _ => false,
        };
        let stored = match all.iter().any(asks) {
            true => keep.stored().await?,
            false => Vec::new(),
        };
        let recorded = self.ids(stored.iter());
        let mut going = Vec::new();
        for key in &all {
            match self.retention(key, &promotion, &recorded) {
                Retention::Goes => going.push(key),
                Retention::Unproven if self.held(&key.id, &stored, &caller, cx).await? => {
                    going.push(key);
                }
                _ => {}
            }
        }
        if going.is_empty() {
            return Ok(());
        }
        let others = (all.as_slice(), &caller);
        if let Some(error) = self.disagreement(versions.iter(), promoted, others, cx).await? {
            cx.warn(format!("no key is revoked: {error}"));
            return Ok(());
        }
        for key in going {
            self.revoke(&key.id, &caller, cx).await?;
        }
        Ok(())
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>, Error> {
        let secret = subject.current.secret();
        let id = self.vendor.id(secret)?;
        let mut findings = Vec::new();
        match self.ask(secret, TEST_TIME, cx).await {
            Ok(Verdict::Accepted) => {}
            Ok(Verdict::Rejected(why)) => {
                let error = Error::new(ErrorKind::Rejected, "the vendor refuses AWSCURRENT's key");
                findings.push(Finding::Fails(error.caused_by(why)));
            }
            Err(error) if error.kind() == ErrorKind::Mismatch => {
                findings.push(Finding::Fails(error));
            }
            Err(error) => return Err(error),
        }
        let admin = admin(self.vendor.admin(secret), &subject.other_secrets()).await?;
        let caller = Caller { own: secret, admin: admin.as_ref() };
        let keys = match self.keys(&caller, cx).await {
            Ok(keys) => keys,
            Err(error) => {
                findings.push(Finding::Fails(error));
                return Ok(findings);
            }
        };
        if !keys.iter().any(|key| key.id == id) {
            let error = Error::new(
                ErrorKind::NotFound,
                format!("the vendor does not list AWSCURRENT's key {id:?}"),
            );
            findings.push(Finding::Fails(error.caused_by("look at the field that holds its id")));
        }
        match self.vendor.belongs(secret, &caller, cx).await {
            Ok(Some(true)) => {}
            Ok(Some(false)) => findings.push(Finding::Fails(self.not_its_id(&id))),
            Ok(None) => findings.push(Finding::Warns(format!(
                "this vendor does not say whether AWSCURRENT's key is {id:?}, so it is never \
                 revoked if it carries no label of ours"
            ))),
            Err(error) => findings.push(Finding::Fails(error)),
        }
        if self.vendor.terms().cap.is_some_and(|cap| keys.len() > cap) {
            findings.push(Finding::Warns(format!(
                "the vendor lists {} keys, which is more than the limit it is said to have",
                keys.len()
            )));
        }
        Ok(findings)
    }
    async fn plan(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<String>, Error> {
        self.planned(subject, cx).await
    }
}

pub(super) fn not_listed(id: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("the vendor does not list key {id:?}"))
        .caused_by("it is this secret's; nothing was revoked, so look at the field with its id")
}
