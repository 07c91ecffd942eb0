//! Keys that a vendor issues: mint, overlap, revoke.
//!
//! createSecret revokes nothing while the vendor has room: what an earlier run of it lost is
//! revoked by finishSecret, when no run can record it any more.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use super::listing::{Listing, Wanted, newer, not_gone};
use super::retention::{Promotion, Retention, another_s, undated};
use super::{Caller, Issuer, Label, admin, check, control, heeds_fields, heeds_keys, pauses, wait};
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::rotator::{
    Applied, CreateContext, Fence, Finding, Form, InspectContext, PromoteContext, RetireContext,
    Rotator, SecretReader, SetContext, Verdict,
};
use crate::secret::Secret;
use crate::store::SecretDescription;

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
    pub(super) clock: fn(&V) -> SystemTime,
}

/// A key with what is to be known before it may be revoked.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) label: Option<Label>,
    /// By the clock of whoever issued it: compared with that of other keys only.
    pub(super) issued: SystemTime,
    /// By our clock: nothing if it is later, as another clock may say.
    pub(super) age: Duration,
    /// When it ends by itself, by the vendor's clock.
    pub(super) expires: Option<SystemTime>,
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

    /// Asks about a secret until it is let in, or until the vendor should have learnt of it.
    pub(super) async fn ask(
        &self,
        secret: &Secret,
        most: Duration,
        cx: &Invocation,
    ) -> Result<Verdict> {
        let mut pauses = pauses(self.vendor.terms().propagation.min(most));
        loop {
            match self.vendor.verify(secret, cx).await? {
                Verdict::Accepted => return Ok(Verdict::Accepted),
                Verdict::Rejected(_) if wait(&mut pauses, cx).await => {}
                rejected @ Verdict::Rejected(_) => return Ok(rejected),
            }
        }
    }
}

#[async_trait]
impl<V: Issuer> Rotator for IssuedKeys<V> {
    fn check(&self, versions: &SetContext<'_>) -> Result<()> {
        check(self.vendor.fields(), versions)?;
        let (current, pending) = (versions.current().secret(), versions.pending().secret());
        match current != pending && self.same_key(current, pending) {
            true => Err(Error::new(ErrorKind::Mismatch, "AWSPENDING holds the key of AWSCURRENT")),
            false => Ok(()),
        }
    }

    fn form(&self, _: &Secret, _: &SecretDescription) -> Option<(&'static str, Form)> {
        Some(("issued keys", Form::Keys))
    }

    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret> {
        let current = known.current.secret();
        self.vendor.id(current).map_err(|error| error.while_doing("AWSCURRENT"))?;
        let admin = admin(self.vendor.admin(current), &known.other_secrets()).await?;
        let admin = admin.as_ref();
        // Before anything is made: a key whose id stands in no version would be revoked in use.
        let caller = Caller { own: current, admin };
        heeds_keys(self.vendor.negative_control(current, cx).await)?;
        let own = match self.speaks_for_itself(&caller, cx).await {
            true => current.clone(),
            false => self.working_version(known, admin, cx).await?,
        };
        let minted = match self.minted(known, &Caller { own: &own, admin }, cx).await {
            Err(refused) if refused.kind() == ErrorKind::Rejected && admin.is_none() => {
                let own = self.working_version(known, admin, cx).await?;
                // A key that works was refused for another reason.
                if own == *current {
                    return Err(refused);
                }
                self.minted(known, &Caller { own: &own, admin }, cx).await
            }
            ended => ended,
        }?;
        if [current, &own].iter().any(|one| self.same_key(one, &minted)) {
            let what =
                format!("the key that the vendor made is {:?}, in use", self.vendor.id(&own)?);
            return Err(Error::new(ErrorKind::Unsupported, what)
                .caused_by("it made none, or its answer was read at the wrong place"));
        }
        Ok(minted)
    }

    async fn discard(
        &self,
        proposed: &Secret,
        known: &CreateContext<'_>,
        cx: &Invocation,
    ) -> Result<()> {
        let current = known.current.secret();
        let admin = admin(self.vendor.admin(current), &known.other_secrets()).await?;
        let caller = Caller { own: current, admin: admin.as_ref() };
        match self.give_up(proposed, current, &caller, cx).await {
            // AWSCURRENT's key is gone meanwhile, and the one that was made is let in.
            Err(refused) if refused.kind() == ErrorKind::Rejected && admin.is_none() => {
                let caller = Caller { own: proposed, admin: None };
                self.give_up(proposed, current, &caller, cx).await
            }
            ended => ended,
        }
    }

    /// A key works from the moment it is issued. Whether it still does is asked before AWSPENDING is
    /// trusted: a pending value cannot be replaced.
    async fn apply(
        &self,
        versions: &SetContext<'_>,
        _fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Applied> {
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

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict> {
        self.ask(secret, TEST_TIME, cx).await
    }

    async fn verify_everywhere(
        &self,
        secret: &Secret,
        secrets: &SecretReader<'_>,
        cx: &Invocation,
    ) -> Result<Verdict> {
        let verdict = self.verify(secret, cx).await?;
        if verdict == Verdict::Accepted && !cx.waits() {
            self.note_end(secret, secrets, cx).await;
        }
        Ok(verdict)
    }

    /// A key that is another one than its id names, that was revoked meanwhile, or that nobody lists,
    /// is not promoted: every rotation after it would fail, or leave a key behind.
    async fn confirm(&self, versions: &PromoteContext<'_>, cx: &Invocation) -> Result<()> {
        let own = versions.pending().secret();
        let admin = admin(self.vendor.admin(own), &versions.other_secrets()).await?;
        let caller = Caller { own, admin: admin.as_ref() };
        let kept = "AWSCURRENT stays where it is";
        let none = BTreeSet::new();
        let proven = self.proven(own, "AWSPENDING", Wanted::ids(&none), &caller, cx).await;
        proven.map(drop).map_err(|error| error.while_doing("AWSPENDING").caused_by(kept))
    }

    /// Revokes every key of ours that no labelled version holds and that was issued before the
    /// promoted one: a later one may be about to be recorded.
    async fn retire(&self, keep: &RetireContext<'_>, cx: &Invocation) -> Result<()> {
        let versions = keep.labelled().await?;
        let promoted = versions.iter().find(|one| one.version() == keep.promoted());
        let gone = || Error::new(ErrorKind::NotFound, "the promoted version has no value");
        let promoted = promoted.ok_or_else(gone)?.secret();
        let admin = admin(self.vendor.admin(promoted), &keep.other_secrets()).await?;
        let caller = Caller { own: promoted, admin: admin.as_ref() };
        let (kept, id) = (self.kept(versions.iter())?, self.vendor.id(promoted)?);
        let labelled = self.ids(versions.iter());
        let own = self.label(&keep.description().arn, keep.promoted());
        let wanted = Wanted::ours(&own, &labelled);
        // The token of a version that somebody wrote by hand may be rotated to: then nobody has
        // tested it.
        let (Listing { mut keys, left_out }, issued) = match self.above(&caller) {
            true => self.proven(promoted, "AWSCURRENT", wanted, &caller, cx).await?,
            false => self.keys_with(&id, wanted, &caller, cx).await?,
        };
        let issued = Some(issued);
        let promotion = Promotion::of(&own, (&id, issued), &kept, &keys);
        // Asked only where it is needed: for a key without our mark, or for one that may be in use.
        let asks = |key: &Key| match self.retention(key, &promotion, &BTreeSet::new()) {
            Retention::Stranger => true,
            Retention::Newer => Some(key.issued) == issued && !self.marked(key, &own),
            Retention::Goes => promotion.is_alone() || !self.vendor.terms().grace.is_zero(),
            _ => false,
        };
        let stored = match left_out > 0 || keys.iter().any(asks) {
            true => keep.stored().await?,
            false => Vec::new(),
        };
        let recorded = self.recorded(&stored, promoted);
        if left_out > 0 {
            keys = self.keys(Wanted::ours(&own, &recorded), &caller, cx).await?.keys;
        }
        let promotion = Promotion::of(&own, (&id, issued), &kept, &keys);
        let mut going = BTreeSet::new();
        for key in &keys {
            match self.retention(key, &promotion, &recorded) {
                Retention::Goes => drop(going.insert(key.id.as_str())),
                Retention::Unproven if self.held(&key.id, &stored, &caller, cx).await? => {
                    going.insert(&key.id);
                }
                Retention::Another => cx.warn(another_s(&key.id)),
                Retention::Newer if self.marked(key, &own) => cx.warn(newer(&key.id)),
                Retention::Newer if recorded.contains(&key.id) => cx.warn(undated(&key.id)),
                _ => {}
            }
        }
        if going.is_empty() {
            return Ok(());
        }
        let others = (keys.as_slice(), &caller);
        if let Some(error) = self.disagreement(versions.iter(), promoted, others, cx).await? {
            cx.warn(format!("no key is revoked: {error}"));
            return Ok(());
        }
        for id in &going {
            self.revoke(id, &caller, cx).await?;
        }
        match self.still_listed(&going, self.vendor.terms().propagation, &caller, cx).await? {
            None => Ok(()),
            Some(id) => Err(not_gone(&id)),
        }
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>> {
        let secret = subject.current.secret();
        let id = self.vendor.id(secret)?;
        let mut findings = Vec::new();
        findings.extend(control(self.vendor.negative_control(secret, cx).await));
        match self.ask(secret, TEST_TIME, cx).await {
            Ok(Verdict::Accepted) => {
                findings.extend(heeds_fields(self.vendor.unheeded(secret, cx).await));
            }
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
        let listing = match self.keys(Wanted::ids(&[id.clone()].into()), &caller, cx).await {
            Ok(listing) => listing,
            Err(error) => {
                findings.push(Finding::Fails(error));
                return Ok(findings);
            }
        };
        if listing.issued(&id).is_none() {
            let what = format!("the vendor does not list AWSCURRENT's key {id:?}");
            let error = Error::new(ErrorKind::NotFound, what);
            findings.push(Finding::Fails(error.caused_by("look at the field that holds its id")));
        }
        let now = (self.clock)(&self.vendor);
        let early = listing.ends_early(&id, cx.days_to_next_rotation(), now);
        findings.extend(early.map(Finding::Warns));
        let own = self.label(&subject.description.arn, subject.current.version());
        findings.extend(listing.carries_another_s(&id, &own).map(Finding::Warns));
        let told = self.vendor.belongs(secret, &caller, cx).await;
        if told.is_ok()
            && let Err(error) = self.vendor.may_issue(&caller, cx).await
        {
            findings.push(Finding::Fails(error.while_doing("no key could be made")));
        }
        match told {
            Ok(Some(true)) => {}
            Ok(Some(false)) => findings.push(Finding::Fails(self.not_its_id(&id))),
            Ok(None) => findings.extend(self.stays(&id).map(Finding::Warns)),
            Err(error) => findings.push(Finding::Fails(error)),
        }
        if self.vendor.terms().cap.is_some_and(|cap| listing.count() > cap) {
            findings.push(Finding::Warns(format!(
                "the vendor lists {} keys, which is more than the limit it is said to have",
                listing.count()
            )));
        }
        if let Err(error) = self.vendor.may_revoke(&caller, cx).await {
            findings.push(Finding::Fails(error.while_doing("no key could be revoked")));
        }
        Ok(findings)
    }

    fn untried(&self) -> Option<&'static str> {
        Some("making a key")
    }

    async fn plan(&self, subject: &InspectContext<'_>, cx: &Invocation) -> Result<Vec<String>> {
        self.planned(subject, cx).await
    }
}
