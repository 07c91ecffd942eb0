//! The reference rotator for a vendor that issues keys: at first correct, then with one defect.
//!
//! A key is ours if it carries our label, or if its id is stored in any version of the secret.
//! createSecret revokes nothing while the vendor has room: what an earlier run of it lost is
//! revoked by finishSecret, when no run can record it any more.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use fourstep::store::{AWSPREVIOUS, SecretDescription};
use fourstep::{
    Applied, CreateContext, Error, ErrorKind, ExposeSecret, Fence, Finding, InspectContext,
    Invocation, Previous, RetireContext, Rotator, Secret, SecretString, SetContext, Verdict,
    VersionId,
};

use crate::models::{IssuedKey, ListedKey, Vendor};

/// What a rotation changes in a document.
pub(super) const FIELDS: [&str; 2] = ["key_id", "key"];

/// The longest that AWS lets a function run.
const LONGEST_RUN: Duration = Duration::from_secs(15 * 60);

/// How long a vendor's other parts may take to learn of a new key.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400)];

/// One safeguard left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    /// retire revokes whatever no labelled version holds, newer keys too.
    RevokesNewer,
    /// retire looks only at keys that are stored in some version.
    MissesTheUnrecorded,
    /// createSecret deletes another key with its token's label at once.
    DeletesYoungOrphans,
    /// Finding no room, frees only what is stored, and never what an earlier run lost.
    NeverFreesOrphans,
    /// Frees a slot with any key that is not current.
    FreesAnyKey,
    /// Frees a slot with a key that another run may be about to use.
    FreesYoungKeys,
    /// Leaves the key where another run's was stored.
    NeverDiscards,
    /// setSecret uses the key that createSecret remembered.
    Remembers,
    /// Takes a key for good without asking the vendor.
    TakesOnTrust,
}

pub(super) struct Issuer {
    pub(super) vendor: Vendor,
    pub(super) defect: Option<Defect>,
    pub(super) remembered: Mutex<Option<IssuedKey>>,
}

impl Issuer {
    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    async fn lets_in(&self, secret: &Secret) -> Result<bool, Error> {
        let key = key(secret)?;
        if self.has(Defect::TakesOnTrust) {
            return Ok(true);
        }
        for pause in PAUSES {
            if self.vendor.verify(&key.id, &key.value).await? {
                return Ok(true);
            }
            tokio::time::sleep(pause).await;
        }
        Ok(self.vendor.verify(&key.id, &key.value).await?)
    }

    /// Makes room at the vendor's limit: one key of ours goes that no labelled version holds; if
    /// there is none, the previous one, which is promised until the next rotation.
    async fn free_a_slot(&self, known: &CreateContext<'_>) -> Result<(), Error> {
        let keys = self.vendor.list().await?;
        let stored = known.stored().await?;
        let mut candidates = self.candidates(known, &stored, &keys)?;
        let any = !candidates.is_empty();
        if !self.has(Defect::FreesYoungKeys) {
            let current = key(known.current.secret())?.id;
            let current = keys.iter().find(|one| one.id == current).map(|one| one.age);
            // One issued after the current key may be about to be recorded, or to be promoted:
            // the labels do not stop a run that was cancelled in its last call.
            candidates.retain(|one| {
                one.age > LONGEST_RUN || current.is_some_and(|current| one.age > current)
            });
        }
        let previous = known.description.holder(AWSPREVIOUS);
        let last = ids(stored.iter().filter(|one| Some(one.version()) == previous));
        let victim = candidates.iter().max_by_key(|one| (!last.contains(&one.id), one.age));
        let victim = victim.ok_or_else(|| if any { too_young() } else { no_room() })?;
        known.fence().pass().await?;
        Ok(self.vendor.revoke(&victim.id).await?)
    }

    /// The keys of ours that AWSCURRENT, AWSPENDING and custom labels do not hold.
    fn candidates(
        &self,
        known: &CreateContext<'_>,
        stored: &[Previous],
        keys: &[ListedKey],
    ) -> Result<Vec<ListedKey>, Error> {
        let description = known.description;
        let held = |version: &VersionId| {
            let labels = description.labels.get(version);
            labels.is_some_and(|on| on.iter().any(|label| label != AWSPREVIOUS))
        };
        let mut kept = ids(stored.iter().filter(|one| held(one.version())));
        kept.insert(key(known.current.secret())?.id);
        let stored = ids(stored.iter());
        let ours = |one: &&ListedKey| match self.defect {
            Some(Defect::FreesAnyKey) => true,
            Some(Defect::NeverFreesOrphans) => stored.contains(&one.id),
            _ => stored.contains(&one.id) || labelled(one, description),
        };
        Ok(keys.iter().filter(|one| !kept.contains(&one.id)).filter(ours).cloned().collect())
    }

    async fn delete_orphans(&self, known: &CreateContext<'_>) -> Result<(), Error> {
        let own = Some(label(known.description, known.token));
        for orphan in self.vendor.list().await?.iter().filter(|key| key.label == own) {
            self.vendor.revoke(&orphan.id).await?;
        }
        Ok(())
    }

    /// Every key with its age, once the promoted one is among them.
    async fn list_with(&self, promoted: &str) -> Result<(Vec<ListedKey>, Duration), Error> {
        for pause in PAUSES {
            let keys = self.vendor.list().await?;
            if let Some(age) = keys.iter().find(|key| key.id == promoted).map(|key| key.age) {
                return Ok((keys, age));
            }
            tokio::time::sleep(pause).await;
        }
        Err(Error::new(ErrorKind::NotFound, format!("the vendor does not list key {promoted}"))
            .caused_by("it is AWSCURRENT's; nothing was revoked, since no age can be compared"))
    }
}

#[async_trait]
impl Rotator for Issuer {
    fn check(&self, versions: &SetContext<'_>) -> Result<(), Error> {
        let (current, pending) = (versions.current(), versions.pending());
        let (current, pending) = (current.secret().document()?, pending.secret().document()?);
        match current.difference(pending, &FIELDS) {
            None => Ok(()),
            Some(field) => Err(Error::new(
                ErrorKind::Mismatch,
                format!("AWSPENDING differs from AWSCURRENT in {field:?} too"),
            )),
        }
    }

    async fn propose(&self, known: &CreateContext<'_>, _: &Invocation) -> Result<Secret, Error> {
        let base = known.current.secret();
        key(base)?;
        if self.has(Defect::DeletesYoungOrphans) {
            self.delete_orphans(known).await?;
        }
        let label = label(known.description, known.token);
        let issued = match self.vendor.issue(Some(&label)).await? {
            Some(issued) => issued,
            None => {
                self.free_a_slot(known).await?;
                self.vendor.issue(Some(&label)).await?.ok_or_else(no_room)?
            }
        };
        if let Ok(mut remembered) = self.remembered.lock() {
            *remembered = Some(issued.clone());
        }
        let next = base.document()?.with("key_id", &issued.id);
        Ok(next.with("key", issued.value.expose_secret()).into())
    }

    async fn discard(
        &self,
        proposed: &Secret,
        _: &CreateContext<'_>,
        _: &Invocation,
    ) -> Result<(), Error> {
        if self.has(Defect::NeverDiscards) {
            return Ok(());
        }
        Ok(self.vendor.revoke(&key(proposed)?.id).await?)
    }

    /// A key works from the moment it is issued. Whether it still does is asked, because a pending
    /// value cannot be replaced: better to fail here, before AWSPENDING is trusted.
    async fn apply(
        &self,
        versions: &SetContext<'_>,
        _: &dyn Fence,
        _: &Invocation,
    ) -> Result<Applied, Error> {
        if self.has(Defect::Remembers) {
            let remembered = self.remembered.lock().ok().and_then(|key| key.clone());
            let gone = || Error::new(ErrorKind::Internal, "no key was issued");
            let key = remembered.ok_or_else(gone)?;
            self.vendor.verify(&key.id, &key.value).await?;
        }
        if self.lets_in(versions.pending().secret()).await? {
            return Ok(Applied::Already("the key works since it was issued".to_owned()));
        }
        Err(Error::new(ErrorKind::Rejected, "the vendor does not know the pending key"))
    }

    async fn verify(&self, secret: &Secret, _: &Invocation) -> Result<Verdict, Error> {
        Ok(match self.lets_in(secret).await? {
            true => Verdict::Accepted,
            false => Verdict::Rejected("the vendor does not know the key".to_owned()),
        })
    }

    /// Revokes every key of ours that no labelled version holds and that was issued before the
    /// promoted one: a later one may be about to be recorded. Only under the promoted token
    /// itself nothing can be recorded any more.
    async fn retire(&self, keep: &RetireContext<'_>, _: &Invocation) -> Result<(), Error> {
        let versions = keep.labelled().await?;
        let promoted = versions.iter().find(|one| one.version() == keep.promoted());
        let gone = || Error::new(ErrorKind::NotFound, "the promoted version has no value");
        let promoted = key(promoted.ok_or_else(gone)?.secret())?.id;
        let kept = ids(versions.iter());
        let (mut keys, age) = self.list_with(&promoted).await?;
        let description = keep.description();
        let own = Some(label(description, keep.promoted()));
        keys.retain(|one| {
            let over = one.age > age || one.label == own || self.has(Defect::RevokesNewer);
            over && !kept.contains(&one.id)
        });
        // Asked only where a key without our label needs it, as the first one of a secret.
        let known = match keys.iter().all(|one| labelled(one, description)) {
            true => BTreeSet::new(),
            false => ids(keep.stored().await?.iter()),
        };
        for one in keys {
            let lost = labelled(&one, description) && !self.has(Defect::MissesTheUnrecorded);
            if lost || known.contains(&one.id) {
                self.vendor.revoke(&one.id).await?;
            }
        }
        Ok(())
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        _: &Invocation,
    ) -> Result<Vec<Finding>, Error> {
        let current = subject.current;
        if self.lets_in(current.secret()).await? {
            return Ok(Vec::new());
        }
        let error = Error::new(ErrorKind::Rejected, "the vendor does not know AWSCURRENT's key");
        Ok(vec![Finding::Fails(error)])
    }
}

/// The key that a document holds.
pub(super) fn key(secret: &Secret) -> Result<IssuedKey, Error> {
    let document = secret.document()?;
    let value = SecretString::from(document.required("key")?);
    Ok(IssuedKey { id: document.required("key_id")?.to_owned(), value })
}

/// The ids of the keys that versions hold. One that holds none is nothing of ours.
fn ids<'a>(versions: impl Iterator<Item = &'a Previous>) -> BTreeSet<String> {
    versions.filter_map(|version| Some(key(version.secret()).ok()?.id)).collect()
}

fn label(description: &SecretDescription, token: &VersionId) -> String {
    format!("{} {token}", description.arn)
}

/// Whether a key carries a label of this secret.
fn labelled(key: &ListedKey, description: &SecretDescription) -> bool {
    let label = key.label.as_deref().and_then(|label| label.strip_prefix(&description.arn));
    label.is_some_and(|token| token.starts_with(' '))
}

fn too_young() -> Error {
    Error::new(ErrorKind::Conflict, "the vendor's limit of keys is reached").caused_by(
        "another run may still need the newest of them; nothing was changed, retry later",
    )
}

fn no_room() -> Error {
    Error::new(ErrorKind::Throttled, "the vendor's limit of keys is reached")
        .caused_by("no key of this secret can be revoked; raise the limit or revoke another key")
}
