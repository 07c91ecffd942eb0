//! What becomes of each key when a version is promoted: decided here alone, for finishSecret, which
//! does it, and for a plan, which says it.

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::issued::Key;
use super::{IssuedKeys, Issuer, Label};

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retention {
    /// A labelled version holds it.
    Held,
    /// It was issued after the promoted one, or in the same second: a run may be about to record it.
    Newer,
    /// A version held it, and the grace period is not over.
    Graced,
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
    /// When its key was issued; none if that is still to be.
    pub(super) issued: Option<SystemTime>,
    /// The keys that labelled versions hold by then.
    pub(super) kept: &'a BTreeSet<String>,
    /// Every key of the account.
    pub(super) keys: &'a [Key],
}

impl<V: Issuer> IssuedKeys<V> {
    /// What becomes of a key. `recorded` are the keys that any known version holds.
    pub(super) fn retention(
        &self,
        key: &Key,
        promotion: &Promotion<'_>,
        recorded: &BTreeSet<String>,
    ) -> Retention {
        let Promotion { label, issued, kept, keys } = *promotion;
        // Under the promoted token itself nothing can be recorded any more.
        let of_own = key.label.as_ref().is_some_and(|one| one.same_version(label));
        // Moments are told to the second, and of one second nobody can say which was the first: a
        // later rotation revokes it.
        let older = issued.is_none_or(|issued| key.issued < issued);
        match (recorded.contains(&key.id), self.marked(key, label)) {
            _ if kept.contains(&key.id) => Retention::Held,
            _ if !older && !of_own => Retention::Newer,
            (true, _) if self.in_grace(key, keys, recorded) => Retention::Graced,
            (false, false) => Retention::Stranger,
            (_, true) => Retention::Goes,
            (true, false) => Retention::Unproven,
        }
    }
}
