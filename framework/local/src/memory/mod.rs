//! A faithful double of Secrets Manager, in memory.
//!
//! It keeps versions, staging labels and rotations as AWS does, and answers errors in AWS's words,
//! so that what passes here passes there. It models no permissions, no encryption, no clock-driven
//! schedule and no purging of old versions. On top of AWS's behaviour it offers [`Fault`]s, because
//! a rotation that is safe must survive them and AWS produces them only by accident.
//!
//! Source: the API reference of Secrets Manager, and its behaviour as recorded by the test suites
//! of moto and LocalStack that run against AWS.

mod calendar;
mod cron;
mod errors;
mod faults;
mod record;
mod replicas;
mod rotation;
mod saved;
mod schedule;
mod secrets;
mod types;
mod versions;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use fourstep::store::{
    AWSCURRENT, AWSPENDING, SecretDescription, SecretStore, Select, StoreError, StoredVersion,
    VersionSummary,
};
use fourstep::{RotationToken, SecretId, SecretValue, VersionId};

use faults::Faults;
use record::{Clock, Record, State};

pub use faults::{Call, Fault};
pub use replicas::SecretCopy;
pub(crate) use replicas::{Seen, in_region};
pub use saved::BrokenStore;
pub use schedule::Window;
pub use types::{
    Deletion, ListedVersions, NewRotation, NewSecret, NewValue, PendingLabel, ReadValue,
    RotationRules, SecretDetail, StartedRotation, Written,
};

/// Secrets Manager in memory. Share it behind an [`Arc`]; its methods take `&self`, never wait and
/// are atomic: a call that fails changes nothing.
///
/// A secret is named by its name, its ARN, or its ARN without the random suffix.
///
/// ```
/// use fourstep::store::Select;
/// use fourstep_local::{MemoryStore, NewSecret};
/// use fourstep::SecretId;
///
/// let store = MemoryStore::new();
/// store.create("app/db", NewSecret { value: Some("hunter2".into()), ..NewSecret::default() })?;
/// let secret = SecretId::parse("app/db").unwrap();
/// assert_eq!(store.get(&secret, Select::Label("AWSCURRENT"))?.labels, ["AWSCURRENT"]);
/// # Ok::<(), fourstep::store::StoreError>(())
/// ```
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    faults: Faults,
    invokable: Mutex<Option<Arc<Invokable>>>,
}

type Invokable = dyn Fn(&str) -> bool + Send + Sync;

impl MemoryStore {
    /// A store without secrets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decides from now on, before each call, what becomes of it. The hook may use the store it is
    /// given, as another client would: those calls are not counted and meet no faults.
    pub fn set_faults(&self, hook: impl Fn(&Self, &Call<'_>) -> Fault + Send + Sync + 'static) {
        self.faults.set(Some(Arc::new(hook)));
    }

    /// Lets every call proceed again.
    pub fn clear_faults(&self) {
        self.faults.set(None);
    }

    /// Decides from now on which function ARNs Secrets Manager may invoke. Default: all.
    pub fn set_invokable(&self, hook: impl Fn(&str) -> bool + Send + Sync + 'static) {
        *locked(&self.invokable) = Some(Arc::new(hook));
    }

    /// How many calls were made, by operation, failed ones included.
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.faults.counts()
    }

    fn invokable(&self, function: &str) -> bool {
        let hook = locked(&self.invokable).clone();
        hook.is_none_or(|hook| hook(function))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// Serves one call with the fault it is to meet. `work` is told how stale a read is to be.
    fn served<T>(
        &self,
        call: Call<'_>,
        work: impl FnOnce(usize) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.faults.ask(self, call) {
            Fault::Proceed => work(0),
            Fault::Stale(writes) => work(writes),
            Fault::Fail(error) => Err(error),
            Fault::LoseAnswer => {
                // Whether it succeeded is exactly what the caller does not learn.
                let _lost = work(0);
                Err(faults::lost())
            }
        }
    }

    fn read<T>(
        &self,
        call: Call<'_>,
        secret: &SecretId,
        work: impl FnOnce(&Record) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.served(call, |stale| work(self.state().read(secret, stale)?))
    }

    fn write<T>(
        &self,
        call: Call<'_>,
        secret: &SecretId,
        work: impl FnOnce(&mut Record, &mut Clock) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.served(call, |_| self.state().write(secret, work))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl SecretStore for MemoryStore {
    async fn describe_secret(&self, secret: &SecretId) -> Result<SecretDescription, StoreError> {
        self.describe(secret).map(SecretDescription::from)
    }

    async fn get_secret_value(
        &self,
        secret: &SecretId,
        select: Select<'_>,
    ) -> Result<StoredVersion, StoreError> {
        let ReadValue { version, value, created, .. } = self.get(secret, select)?;
        Ok(StoredVersion { version, value, created: Some(created) })
    }

    async fn put_pending(
        &self,
        secret: &SecretId,
        token: &VersionId,
        value: &SecretValue,
        rotation_token: Option<&RotationToken>,
    ) -> Result<(), StoreError> {
        let new = NewValue::labelled(token, value.clone(), &[AWSPENDING]);
        self.put(secret, NewValue { rotation_token: rotation_token.cloned(), ..new }).map(drop)
    }

    async fn move_current(
        &self,
        secret: &SecretId,
        to: &VersionId,
        from: &VersionId,
    ) -> Result<(), StoreError> {
        self.update_stage(secret, AWSCURRENT, Some(to), Some(from)).map(drop)
    }

    async fn remove_pending(&self, secret: &SecretId, from: &VersionId) -> Result<(), StoreError> {
        self.update_stage(secret, AWSPENDING, None, Some(from)).map(drop)
    }

    async fn list_versions(&self, secret: &SecretId) -> Result<Vec<VersionSummary>, StoreError> {
        Ok(self.list(secret, true)?.versions)
    }
}

/// A panic while a lock was held leaves nothing half-written: changes are made to a copy.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
