//! A new key, and room for it at a vendor's limit: which key of ours may go first.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::issued::Key;
use super::listing::Wanted;
use super::retention::is_another_s;
use super::{Caller, Issued, IssuedKeys, Issuer, LONGEST_RUN};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::VersionId;
use crate::invocation::Invocation;
use crate::rotator::{CreateContext, Fence};
use crate::secret::{Previous, Secret};
use crate::store::{AWSCURRENT, AWSPREVIOUS};

/// What is known before a key may go.
pub(super) struct Snapshot<'a> {
    /// Who asks, by a key in use.
    pub(super) caller: &'a Caller<'a>,
    /// Every key, and the moment of the one in use.
    pub(super) keys: &'a [Key],
    pub(super) issued: SystemTime,
    /// What the secret ever held.
    pub(super) stored: &'a [Previous],
}

impl<V: Issuer> IssuedKeys<V> {
    /// Makes a key, and room for it where there is none.
    pub(super) async fn minted(
        &self,
        known: &CreateContext<'_>,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<Secret> {
        let cap = self.vendor.terms().cap;
        let none = BTreeSet::new();
        let any = Wanted::ids(&none);
        let count = match (self.above(caller), cap) {
            (true, _) => {
                let own = self.vendor.id(caller.own)?;
                self.keys_with(&own, any, caller, cx).await?.0.count()
            }
            (false, Some(_)) => self.keys(any, caller, cx).await?.count(),
            (false, None) => 0,
        };
        let full = cap.is_some_and(|cap| count >= cap);
        if !full && let Issued::Key(secret) = self.mint(known, caller, cx).await? {
            return Ok(secret);
        }
        self.free_a_slot(known, caller, cx).await?;
        match self.mint(known, caller, cx).await? {
            Issued::Key(secret) => Ok(secret),
            Issued::Full => Err(still_full()),
        }
    }

    async fn mint(
        &self,
        known: &CreateContext<'_>,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<Issued> {
        // An answer that comes too late shows a key that nobody can record.
        cx.enough_for_a_change()?;
        let label = self.label(&known.description.arn, known.token);
        self.vendor.issue(known.current.secret(), &label, caller, cx).await
    }

    /// Makes room at the vendor's limit: one key of ours goes that no labelled version holds; if
    /// there is none, the previous one, which is promised until the next rotation.
    async fn free_a_slot(
        &self,
        known: &CreateContext<'_>,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<()> {
        let stored = known.stored().await?;
        let recorded = self.recorded(&stored, caller.own);
        let label = self.label(&known.description.arn, known.token);
        let wanted = Wanted::ours(&label, &recorded);
        let (listing, issued) = self.proven(caller.own, AWSCURRENT, wanted, caller, cx).await?;
        let snapshot = Snapshot { caller, keys: &listing.keys, issued, stored: &stored };
        let candidates = self.candidates(known, &snapshot)?;
        match self.eviction_candidate(known, &snapshot, candidates, cx).await? {
            Some(eviction_candidate) => {
                if let Some(error) = self.unclear(known, &snapshot, cx).await? {
                    return Err(error);
                }
                known.fence().pass().await?;
                self.revoke(&eviction_candidate.id, caller, cx).await
            }
            None => Err(self.none(known, &snapshot)),
        }
    }

    /// Why no key may go, if labelled versions do not say which keys are theirs.
    pub(super) async fn unclear(
        &self,
        known: &CreateContext<'_>,
        snapshot: &Snapshot<'_>,
        cx: &Invocation,
    ) -> Result<Option<Error>> {
        let labels = &known.description.labels;
        let labelled = snapshot.stored.iter().filter(|one| labels.contains_key(one.version()));
        let others = (snapshot.keys, snapshot.caller);
        self.disagreement(labelled, snapshot.caller.own, others, cx).await
    }

    /// The first of these keys that is known to be ours.
    pub(super) async fn eviction_candidate(
        &self,
        known: &CreateContext<'_>,
        snapshot: &Snapshot<'_>,
        candidates: Vec<Key>,
        cx: &Invocation,
    ) -> Result<Option<Key>> {
        let label = self.label(&known.description.arn, known.token);
        for key in candidates {
            if self.marked(&key, &label)
                || self.held(&key.id, snapshot.stored, snapshot.caller, cx).await?
            {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// The keys that may go for another, the first of them first.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn candidates(
        &self,
        known: &CreateContext<'_>,
        snapshot: &Snapshot<'_>,
    ) -> Result<Vec<Key>> {
        let Snapshot { caller, keys, issued: own, stored } = *snapshot;
        let mut candidates = self.idle(known, snapshot)?;
        let label = self.label(&known.description.arn, known.token);
        candidates.retain(|key| !is_another_s(key, &label));
        if candidates.is_empty() {
            return Err(self.none(known, snapshot));
        }
        // One issued after the key in use may be about to be recorded, or to be promoted: the
        // labels do not stop a run that was cancelled in its last call.
        candidates.retain(|key| key.age > LONGEST_RUN || key.issued < own);
        if candidates.is_empty() {
            return Err(too_young());
        }
        let held = known.description.holder(AWSPREVIOUS);
        let previous = self.ids(stored.iter().filter(|one| Some(one.version()) == held));
        let recorded = self.recorded(stored, caller.own);
        candidates
            .retain(|key| !recorded.contains(&key.id) || !self.in_grace(key, keys, &recorded));
        if candidates.is_empty() {
            return Err(in_grace(self.vendor.terms().grace));
        }
        candidates.sort_by_key(|key| (previous.contains(&key.id), key.issued));
        Ok(candidates)
    }

    /// The keys of ours that are not in use, and that AWSCURRENT, AWSPENDING and custom labels do not
    /// hold.
    fn idle(&self, known: &CreateContext<'_>, snapshot: &Snapshot<'_>) -> Result<Vec<Key>> {
        let Snapshot { caller, keys, stored, .. } = *snapshot;
        let description = known.description;
        let held = |version: &VersionId| {
            let labels = description.labels.get(version);
            labels.is_some_and(|on| on.iter().any(|label| label != AWSPREVIOUS))
        };
        let mut kept = self.kept(stored.iter().filter(|one| held(one.version())))?;
        kept.insert(self.vendor.id(known.current.secret())?);
        kept.insert(self.vendor.id(caller.own)?);
        let recorded = self.recorded(stored, caller.own);
        let own = self.label(&description.arn, known.token);
        let ours = |key: &&Key| recorded.contains(&key.id) || self.marked(key, &own);
        Ok(keys.iter().filter(|key| !kept.contains(&key.id)).filter(ours).cloned().collect())
    }

    /// Whether a key that some version holds may still be in use: the recorded one that was issued
    /// next after it is younger than the grace period, or there is none.
    pub(super) fn in_grace(&self, key: &Key, keys: &[Key], recorded: &BTreeSet<String>) -> bool {
        let grace = self.vendor.terms().grace;
        let later = keys.iter().filter(|one| one.issued > key.issued && recorded.contains(&one.id));
        !grace.is_zero() && later.map(|one| one.age).max().is_none_or(|age| age < grace)
    }

    /// Where nothing can go: what a person may do, and which keys stay for another secret's sake.
    pub(super) fn none(&self, known: &CreateContext<'_>, snapshot: &Snapshot<'_>) -> Error {
        let label = self.label(&known.description.arn, known.token);
        let idle = self.idle(known, snapshot).unwrap_or_default();
        let others = idle.iter().filter(|key| is_another_s(key, &label));
        let others: Vec<_> = others.map(|key| format!("{:?}", key.id)).collect();
        let others = match others.is_empty() {
            true => String::new(),
            false => format!(
                "of those that it held, {} carry another secret's label: if that secret is gone, revoke \
                 them at the vendor; else ",
                others.join(" and ")
            ),
        };
        let what = "the vendor's limit of keys is reached";
        let advice = self.vendor.at_the_limit();
        Error::new(ErrorKind::Throttled, what)
            .caused_by(format!("no key of this secret can be revoked; {others}{advice}"))
    }
}

fn still_full() -> Error {
    Error::new(ErrorKind::Conflict, "the vendor's limit of keys is reached").caused_by(
        "a key was revoked to make room, and another run took the room or the vendor counts that key yet; \
         retry later",
    )
}

fn too_young() -> Error {
    Error::new(ErrorKind::Conflict, "the vendor's limit of keys is reached").caused_by(
        "another run may still need the newest of them; nothing was changed, retry later",
    )
}

fn in_grace(grace: Duration) -> Error {
    Error::new(ErrorKind::Conflict, "the vendor's limit of keys is reached").caused_by(format!(
        "the previous key is within its grace period of {} s; nothing was changed, retry later",
        grace.as_secs()
    ))
}
