//! What becomes of each key when a version is promoted: decided here alone, for finishSecret, which
//! does it, and for a plan, which says it.

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::issued::Key;
use super::{IssuedKeys, Issuer, Label, Ownership};

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retention {
    /// A labelled version holds it.
    Held,
    /// It was issued after the promoted one, or in the same second: a run may be about to record it.
    Newer,
    /// A version held it, and the grace period is not over.
    Graced,
    /// AWSPREVIOUS's key is gone at the vendor, and this is the newest that a version held: applications may
    /// use it until they read the promoted one.
    Last,
    /// A version held it, or every key of the account is ours, and it carries another secret's label: that
    /// one may have it in use, as where this secret was its replica, or got its value by hand.
    Another,
    /// Nothing says that it is ours.
    Stranger,
    /// It carries no label of ours. It goes if a version proves to hold this very key.
    Unproven,
    /// It is ours, and nobody needs it any more.
    Goes,
}

/// A version that is promoted, as far as other keys depend on it.
pub(super) struct Promotion<'a> {
    /// The label of its key.
    pub(super) label: &'a Label,
    /// The id of its key, and when it was issued; none if that is still to be.
    pub(super) promoted: Option<&'a str>,
    pub(super) issued: Option<SystemTime>,
    /// The keys that labelled versions hold by then.
    pub(super) kept: &'a BTreeSet<String>,
    /// Every key of the account.
    pub(super) keys: &'a [Key],
}

impl<'a> Promotion<'a> {
    /// One whose key is there.
    pub(super) fn of(
        label: &'a Label,
        (id, issued): (&'a str, Option<SystemTime>),
        kept: &'a BTreeSet<String>,
        keys: &'a [Key],
    ) -> Self {
        Self { label, promoted: Some(id), issued, kept, keys }
    }

    /// Whether no other key lives that a labelled version holds.
    pub(super) fn is_alone(&self) -> bool {
        let beside = |key: &Key| self.promoted != Some(&key.id) && self.kept.contains(&key.id);
        !self.keys.iter().any(beside)
    }

    /// Whether a key is the newest that a version held, of those before the promoted one.
    fn is_newest(&self, key: &Key, recorded: &BTreeSet<String>) -> bool {
        let older = |one: &&Key| self.issued.is_none_or(|issued| one.issued < issued);
        let others = self.keys.iter().filter(older).filter(|one| recorded.contains(&one.id));
        others.max_by_key(|one| one.issued).is_some_and(|one| one.id == key.id)
    }
}

impl<V: Issuer> IssuedKeys<V> {
    /// Whether a key is ours by itself, whatever versions hold.
    pub(super) fn marked(&self, key: &Key, own: &Label) -> bool {
        match self.vendor.terms().ownership {
            Ownership::Labels => key.label.as_ref().is_some_and(|label| label.same_secret(own)),
            Ownership::Stored => false,
            Ownership::Account => true,
        }
    }

    /// What becomes of a key. `recorded` are the keys that any known version holds.
    pub(super) fn retention(
        &self,
        key: &Key,
        promotion: &Promotion<'_>,
        recorded: &BTreeSet<String>,
    ) -> Retention {
        let Promotion { label, issued, kept, keys, .. } = *promotion;
        // Under the promoted token itself nothing can be recorded any more.
        let of_own = key.label.as_ref().is_some_and(|one| one.same_version(label));
        // Moments are told to the second, and of one second nobody can say which was the first: a
        // later rotation revokes it.
        let older = issued.is_none_or(|issued| key.issued < issued);
        match (recorded.contains(&key.id), self.marked(key, label)) {
            _ if kept.contains(&key.id) => Retention::Held,
            (recorded, marked) if is_another_s(key, label) => match recorded || marked {
                true => Retention::Another,
                false => Retention::Stranger,
            },
            _ if !older && !of_own => Retention::Newer,
            (true, _) if self.in_grace(key, keys, recorded) => Retention::Graced,
            (true, _) if promotion.is_alone() && promotion.is_newest(key, recorded) => {
                Retention::Last
            }
            (false, false) => Retention::Stranger,
            (_, true) => Retention::Goes,
            (true, false) => Retention::Unproven,
        }
    }
}

/// Whether a key carries the label of another secret than the one that `own` is of: it is never revoked.
pub(super) fn is_another_s(key: &Key, own: &Label) -> bool {
    key.label.as_ref().is_some_and(|label| !label.same_secret(own))
}

/// What is said of a key that a version held, and that carries another secret's label.
pub(super) fn another_s(id: &str) -> String {
    format!(
        "key {id:?} is kept: it carries another secret's label, and that secret may have it in use; if that \
         secret is gone, revoke it at the vendor"
    )
}

/// What is said of a key that a version held, and that is told to be no older than the promoted one.
pub(super) fn undated(id: &str) -> String {
    format!(
        "key {id:?} is kept: the vendor says that it was made in the second of AWSCURRENT's, or later; if \
         that is said again, look at where the moment is read, since no key is ever revoked then"
    )
}
