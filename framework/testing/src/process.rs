//! One process that does one step, advanced call by call.

use std::any::Any;
use std::fmt::Write;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use fourstep::store::{
    SecretDescription, SecretStore, Select, StoreError, StoreErrorCode, StoredVersion,
    VersionSummary,
};
use fourstep::{
    Deadline, Error, Invocation, Outcome, RotationEvent, RotationToken, SecretId, SecretValue,
    VersionId,
};
use fourstep_local::{Fault, MemoryStore};
use tracing::Dispatch;

use super::remote::Function;
use super::wire::{CallOutcome, Kind, Stop, Wire};

/// How long the function may take, as far as it can tell. The kit's clock stands still unless
/// everybody waits.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How a process stands after it was allowed to make some calls.
pub(super) enum Progress {
    Ended(Result<Outcome, Error>),
    /// It panicked, saying this.
    Panicked(String),
    Stopped(Stop),
}

/// A process that does one step.
pub(super) struct Process {
    pub(super) name: &'static str,
    /// What it has done so far.
    pub(super) cx: Arc<Invocation>,
    hears: Option<Dispatch>,
    work: Pin<Box<dyn Future<Output = Result<Outcome, Error>> + Send>>,
}

impl Process {
    pub(super) fn new(
        name: &'static str,
        store: Arc<WiredStore>,
        function: Arc<dyn Function>,
        event: RotationEvent,
        hears: Option<Dispatch>,
    ) -> Self {
        let own = Arc::new(Invocation::new(Deadline::after(TIMEOUT)));
        let cx = Arc::clone(&own);
        let work = async move {
            let step = function.step(&*store, &event, &own);
            own.deadline().bound_step(step).await?
        };
        Self { name, cx, hears, work: Box::pin(work) }
    }

    /// Lets the process make `calls` calls. A `patient` one that is blocked waits until its own
    /// time limit; otherwise being blocked is reported.
    pub(super) async fn advance(&mut self, wire: &Wire, calls: u64, patient: bool) -> Progress {
        wire.line().run(self.name, calls, patient);
        let (work, hears) = (&mut self.work, &self.hears);
        poll_fn(|context| match listening(hears.as_ref(), || work.as_mut().poll(context)) {
            Err(said) => Poll::Ready(Progress::Panicked(said)),
            Ok(Poll::Ready(ended)) => Poll::Ready(Progress::Ended(ended)),
            Ok(Poll::Pending) => match wire.line().stop {
                Some(stop) => Poll::Ready(Progress::Stopped(stop)),
                // It waits for a timer or for a real remote.
                None => Poll::Pending,
            },
        })
        .await
    }
}

/// Writes down what is logged while `work` runs.
///
/// # Errors
/// What it said when it panicked. It must not be run again then.
pub(super) fn listening<T>(
    dispatch: Option<&Dispatch>,
    work: impl FnOnce() -> T,
) -> Result<T, String> {
    // What a panic left half-done belongs to the process that ended by it, which nobody asks again.
    let work = AssertUnwindSafe(work);
    let ended = match dispatch {
        Some(dispatch) => tracing::dispatcher::with_default(dispatch, || catch_unwind(work)),
        None => catch_unwind(work),
    };
    ended.map_err(|said| words(&*said))
}

/// What a panic says: `panic!` gives a text, `panic_any` whatever it likes.
fn words(said: &(dyn Any + Send)) -> String {
    let text = said.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| said.downcast_ref().copied()).unwrap_or("no text").to_owned()
}

/// The store as a process sees it: over the wire.
pub(super) struct WiredStore {
    pub(super) store: Arc<MemoryStore>,
    wire: Wire,
    stale: Arc<AtomicUsize>,
}

impl WiredStore {
    pub(super) fn new(store: Arc<MemoryStore>, wire: Wire) -> Self {
        let stale = Arc::new(AtomicUsize::new(0));
        let writes = Arc::clone(&stale);
        store.set_faults(move |_, _| match writes.swap(0, Ordering::Relaxed) {
            0 => Fault::Proceed,
            writes => Fault::Stale(writes),
        });
        Self { store, wire, stale }
    }

    async fn read<T>(
        &self,
        name: &str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        match self.wire.gate(name, Kind::Read).await {
            CallOutcome::Refuse => Err(throttled()),
            CallOutcome::Expired | CallOutcome::ExpiredForGood => Err(expired()),
            CallOutcome::KillAfter => self.wire.die().await,
            CallOutcome::Stale(writes) => {
                self.stale.store(writes, Ordering::Relaxed);
                work.await
            }
            _ => work.await,
        }
    }

    async fn write<T, W: Future<Output = Result<T, StoreError>> + Send>(
        &self,
        name: &str,
        work: impl Fn() -> W,
    ) -> Result<T, StoreError> {
        let fate = self.wire.gate(name, Kind::Write).await;
        match fate {
            CallOutcome::Refuse => return Err(throttled()),
            CallOutcome::Expired | CallOutcome::ExpiredForGood => return Err(expired()),
            _ => {}
        }
        let answer = work().await;
        match fate {
            CallOutcome::KillAfter => self.wire.die().await,
            CallOutcome::LoseAnswer => {
                Err(StoreError::new(StoreErrorCode::Unreachable, "the answer was lost"))
            }
            CallOutcome::Repeat => work().await,
            _ => answer,
        }
    }
}

fn throttled() -> StoreError {
    StoreError::new(StoreErrorCode::Throttled, "Rate exceeded")
}

/// As the store says it that calls as a role.
fn expired() -> StoreError {
    let what = "the credentials of arn:aws:iam::444455556666:role/kit: The security token included \
                in the request is expired";
    StoreError::new(StoreErrorCode::Expired, what)
}

#[async_trait]
impl SecretStore for WiredStore {
    async fn describe_secret(&self, secret: &SecretId) -> Result<SecretDescription, StoreError> {
        self.read("DescribeSecret", self.store.describe_secret(secret)).await
    }

    async fn get_secret_value(
        &self,
        secret: &SecretId,
        select: Select<'_>,
    ) -> Result<StoredVersion, StoreError> {
        let mut name = "GetSecretValue".to_owned();
        // Writing to a string does not fail.
        let _ = match select {
            Select::Label(label) => write!(name, " {label}"),
            Select::Version(version) => write!(name, " {version}"),
            Select::VersionWithLabel(version, label) => write!(name, " {version} {label}"),
        };
        self.read(&name, self.store.get_secret_value(secret, select)).await
    }

    async fn put_pending(
        &self,
        secret: &SecretId,
        token: &VersionId,
        value: &SecretValue,
        rotation_token: Option<&RotationToken>,
    ) -> Result<(), StoreError> {
        let name = format!("PutSecretValue {token}");
        self.write(&name, || self.store.put_pending(secret, token, value, rotation_token)).await
    }

    async fn move_current(
        &self,
        secret: &SecretId,
        to: &VersionId,
        from: &VersionId,
    ) -> Result<(), StoreError> {
        let name = format!("UpdateSecretVersionStage AWSCURRENT {from} -> {to}");
        self.write(&name, || self.store.move_current(secret, to, from)).await
    }

    async fn remove_pending(&self, secret: &SecretId, from: &VersionId) -> Result<(), StoreError> {
        let name = format!("UpdateSecretVersionStage AWSPENDING off {from}");
        self.write(&name, || self.store.remove_pending(secret, from)).await
    }

    async fn list_versions(&self, secret: &SecretId) -> Result<Vec<VersionSummary>, StoreError> {
        self.read("ListSecretVersionIds", self.store.list_versions(secret)).await
    }
}
