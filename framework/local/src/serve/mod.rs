//! A local Secrets Manager: the AWS JSON 1.1 protocol over a [`MemoryStore`].
//!
//! The AWS CLI and the SDKs work against it, with any credentials unless it was started for one access
//! key id. It serves every operation of the API reference but those on copies in other accounts, and Lambda's
//! Invoke where it was given a function. Requests whose Host is a name that anybody could make resolve are
//! refused (`access.rs`).

mod access;
mod answering;
#[cfg(any(test, feature = "fuzzing"))]
pub mod hostile;
mod lambda;
mod operations;
mod refusal;
mod rotations;
mod settings;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use axum::Router;
use axum::response::Response;
use axum::routing::post;
use fourstep::store::StoreError;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::MemoryStore;
pub use access::AccessKey;
use access::Admitted;
use answering::{json_response, serve};
use refusal::Refusal;
pub use settings::{Answered, Keeper, OnAnswer, OnInvoke, OnRotate, Settings};

/// The largest body that is read. A value of 65,536 bytes fits however its JSON escapes it.
pub const LARGEST_BODY: usize = 1024 * 1024;

/// A local Secrets Manager that is listening. It stops when dropped, but answers what it is
/// answering.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<io::Result<()>>,
}

struct Shared {
    store: Arc<MemoryStore>,
    settings: Settings,
    admitted: Admitted,
    calls: Mutex<BTreeMap<String, u64>>,
    playing: Mutex<BTreeSet<rotations::Playing>>,
    /// When a schedule last began the rotation of a secret, by its ARN.
    begun: Mutex<BTreeMap<String, SystemTime>>,
    /// Held while the store is kept; the revision that was.
    kept: Mutex<Option<u64>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").field("calls", &self.calls()).finish_non_exhaustive()
    }
}

/// Starts a local Secrets Manager over `store`. With port 0 the system chooses a port, which
/// [`Server::address`] tells. `on_rotate` plays the rotations; without it, whoever called
/// RotateSecret does.
///
/// # Errors
/// Those of binding the address.
pub async fn start(
    listen: SocketAddr,
    store: Arc<MemoryStore>,
    on_rotate: Option<Arc<dyn OnRotate>>,
) -> io::Result<Server> {
    serve_on(bind(listen).await?, store, on_rotate)
}

/// Binds an address to serve on.
///
/// # Errors
/// Those of binding it, naming it.
pub async fn bind(listen: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(listen).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {listen}: {error}"))
    })
}

/// As [`start`], on an address that is bound already.
///
/// # Errors
/// If the listener has no address.
pub fn serve_on(
    listener: TcpListener,
    store: Arc<MemoryStore>,
    on_rotate: Option<Arc<dyn OnRotate>>,
) -> io::Result<Server> {
    let shared = Shared::over(store, Settings { on_rotate, ..Settings::default() }, None);
    serve_shared(listener, shared, router)
}

/// As [`serve_on`], for requests that are signed with this access key id only.
///
/// # Errors
/// If the listener has no address.
pub fn serve_for(
    key: AccessKey,
    listener: TcpListener,
    store: Arc<MemoryStore>,
) -> io::Result<Server> {
    serve_shared(listener, Shared::over(store, Settings::default(), Some(key)), router)
}

/// As [`serve_on`], with everything that is set, and with Lambda's Invoke.
///
/// # Errors
/// If the listener has no address.
pub fn serve_with(
    listener: TcpListener,
    store: Arc<MemoryStore>,
    settings: Settings,
) -> io::Result<Server> {
    let with_lambda = |shared: Arc<Shared>| {
        let invoke = Router::new().route(lambda::PATH, post(lambda::invoke));
        router(Arc::clone(&shared)).merge(invoke.with_state(shared))
    };
    serve_shared(listener, Shared::over(store, settings, None), with_lambda)
}

fn serve_shared(
    listener: TcpListener,
    shared: Shared,
    router: impl FnOnce(Arc<Shared>) -> Router,
) -> io::Result<Server> {
    let (address, shared) = (listener.local_addr()?, Arc::new(shared));
    let router = router(Arc::clone(&shared));
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async {
        // An error means that the sender was dropped with the server, which is to stop as well.
        let _stopped = stopped.await;
    });
    let task = tokio::spawn(serving.into_future());
    Ok(Server { address, shared, stop: Some(stop), task })
}

/// The operations over `store`, for whoever puts something of his own before them.
pub fn endpoint(store: &Arc<MemoryStore>) -> Router {
    router(Arc::new(Shared::over(Arc::clone(store), Settings::default(), None)))
}

/// As [`endpoint`], for requests that are signed with this access key id only.
pub fn endpoint_for(key: AccessKey, store: &Arc<MemoryStore>) -> Router {
    router(Arc::new(Shared::over(Arc::clone(store), Settings::default(), Some(key))))
}

/// An error of the service, as AWS shows it.
pub fn refused(error: StoreError) -> Response {
    Refusal::from(error).response()
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new().route("/", post(serve)).with_state(shared)
}

impl Server {
    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint URL to give to a client.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The store behind it.
    pub fn store(&self) -> &Arc<MemoryStore> {
        &self.shared.store
    }

    /// How many requests arrived, by operation, refused ones included. Whatever names no operation
    /// that is served counts as `UnknownOperation`.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.shared.calls().clone()
    }

    /// Stops listening and waits until every request under way is answered.
    ///
    /// # Errors
    /// Those of serving.
    pub async fn stop(mut self) -> io::Result<()> {
        drop(self.stop.take());
        self.task.await.map_err(io::Error::other)?
    }

    /// Serves until the task ends by itself, which it does only on an error.
    ///
    /// # Errors
    /// Those of serving.
    pub async fn wait(&mut self) -> io::Result<()> {
        (&mut self.task).await.map_err(io::Error::other)?
    }

    /// Has the store kept, if that is set and it was not kept as it is: the last thing before an end.
    ///
    /// # Errors
    /// The keeper's.
    pub fn keep(&self) -> io::Result<()> {
        self.shared.keep()
    }
}

impl Shared {
    fn over(store: Arc<MemoryStore>, settings: Settings, key: Option<AccessKey>) -> Self {
        let admitted = Admitted { key, hosts: settings.hosts.clone() };
        let (calls, playing) = (Mutex::default(), Mutex::default());
        let (begun, kept) = (Mutex::default(), Mutex::default());
        Self { store, settings, admitted, calls, playing, begun, kept }
    }

    fn calls(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        // A count is never left half-written, so a poisoned lock is as good as any.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, operation: &str) {
        *self.calls().entry(operation.to_owned()).or_default() += 1;
    }

    /// Has the store kept, unless it is as it was kept.
    fn keep(&self) -> io::Result<()> {
        let Some(keeper) = &self.settings.keeper else { return Ok(()) };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Asked first: what changes meanwhile is kept again, and not taken for what is kept.
        let revision = self.store.revision();
        if *kept != Some(revision) {
            keeper.keep(&self.store)?;
            *kept = Some(revision);
        }
        Ok(())
    }
}
