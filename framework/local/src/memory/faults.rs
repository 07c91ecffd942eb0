//! Faults on demand: what can go wrong between a caller and Secrets Manager, decided per call.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use fourstep::store::{StoreError, StoreErrorCode};
use fourstep::{SecretId, VersionId};

use super::{MemoryStore, locked};

/// One call as a fault hook sees it: everything that tells calls apart, and nothing secret.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Call<'a> {
    /// AWS's name of the operation, such as `PutSecretValue`.
    pub operation: &'static str,
    /// Which call to this store it is, counted from 1 over all operations.
    pub ordinal: u64,
    /// Which call of this operation it is, counted from 1.
    pub ordinal_of_operation: u64,
    /// The secret, as the caller named it.
    pub secret: &'a str,
    /// The version that is read, written or given a label, where the call names one.
    pub version: Option<&'a VersionId>,
    /// The label that is read or moved, where the call names one; of several, the first.
    pub label: Option<&'a str>,
}

impl<'a> Call<'a> {
    pub(super) fn of(operation: &'static str, secret: &'a SecretId) -> Self {
        Self::named(operation, secret.as_str())
    }

    pub(super) fn named(operation: &'static str, secret: &'a str) -> Self {
        let (ordinal, ordinal_of_operation) = (0, 0);
        Self { operation, ordinal, ordinal_of_operation, secret, version: None, label: None }
    }

    pub(super) fn on(mut self, version: Option<&'a VersionId>, label: Option<&'a str>) -> Self {
        (self.version, self.label) = (version, label);
        self
    }
}

/// What becomes of one call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The call is served as it should be.
    Proceed,
    /// The call fails with this error and has no effect.
    Fail(StoreError),
    /// The call takes effect, and the caller gets [`StoreErrorCode::Unreachable`] for an answer.
    LoseAnswer,
    /// A read is served from the secret as it was before its last so many writes, or from the
    /// oldest state remembered (32 writes back). A write proceeds.
    Stale(usize),
}

type Hook = dyn Fn(&MemoryStore, &Call<'_>) -> Fault + Send + Sync;

/// The hook, and how often each operation was called.
#[derive(Default)]
pub(super) struct Faults {
    hook: Mutex<Option<Arc<Hook>>>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

thread_local! {
    /// Whether this thread is inside a hook. What a hook does stands for another client's doing:
    /// it is neither counted nor subject to the hook, which would call itself without end.
    static IN_HOOK: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread as inside a hook until dropped, so also when the hook panics.
struct InHook;

impl InHook {
    fn enter() -> Self {
        IN_HOOK.set(true);
        Self
    }
}

impl Drop for InHook {
    fn drop(&mut self) {
        IN_HOOK.set(false);
    }
}

impl Faults {
    pub(super) fn set(&self, hook: Option<Arc<Hook>>) {
        *locked(&self.hook) = hook;
    }

    pub(super) fn counts(&self) -> BTreeMap<&'static str, u64> {
        locked(&self.counts).clone()
    }

    /// Counts a call and asks the hook about it. No lock is held while the hook runs, so that it
    /// may use the store itself.
    pub(super) fn ask(&self, store: &MemoryStore, mut call: Call<'_>) -> Fault {
        if IN_HOOK.get() {
            return Fault::Proceed;
        }
        {
            let mut counts = locked(&self.counts);
            let of_operation = counts.entry(call.operation).or_default();
            *of_operation += 1;
            call.ordinal_of_operation = *of_operation;
            call.ordinal = counts.values().sum();
        }
        let Some(hook) = locked(&self.hook).clone() else { return Fault::Proceed };
        let _inside = InHook::enter();
        hook(store, &call)
    }
}

pub(super) fn lost() -> StoreError {
    StoreError::new(StoreErrorCode::Unreachable, "the answer was lost")
}
