//! A local Secrets Manager: the AWS JSON 1.1 protocol over a [`MemoryStore`].
//!
//! The AWS CLI and the SDKs work against it, with any credentials unless it was started for one access
//! key id. It serves every operation of the API reference but those on copies in other accounts.
//! Requests whose Host is a name that anybody could make resolve are refused (`access.rs`).

mod access;
#[cfg(any(test, feature = "fuzzing"))]
pub mod hostile;
mod operations;
mod refusal;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{MemoryStore, StartedRotation};
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::Response;
use axum::routing::post;
use fourstep::store::StoreError;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use access::AccessKey;
use operations::{Answer, OPERATIONS, replicas};
use refusal::Refusal;
use wire::Input;

/// The largest body that is read. A value of 65,536 bytes fits however its JSON escapes it.
pub const LARGEST_BODY: usize = 1024 * 1024;

/// What plays the steps of the rotations that RotateSecret begins.
#[async_trait]
pub trait OnRotate: Send + Sync {
    /// Plays one rotation, in a task of its own: RotateSecret has been answered, or is about to
    /// be. How it ends is told to the store: [`MemoryStore::finish_rotation`] or, if only a test
    /// was asked for, [`MemoryStore::end_test`].
    async fn rotation_started(&self, store: &Arc<MemoryStore>, rotation: StartedRotation);
}

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
    on_rotate: Option<Arc<dyn OnRotate>>,
    /// The only one that is answered, if there is one.
    key: Option<AccessKey>,
    calls: Mutex<BTreeMap<String, u64>>,
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
    serve_shared(listener, Shared { on_rotate, ..Shared::over(store) })
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
    serve_shared(listener, Shared { key: Some(key), ..Shared::over(store) })
}

fn serve_shared(listener: TcpListener, shared: Shared) -> io::Result<Server> {
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
    router(Arc::new(Shared::over(Arc::clone(store))))
}

/// As [`endpoint`], for requests that are signed with this access key id only.
pub fn endpoint_for(key: AccessKey, store: &Arc<MemoryStore>) -> Router {
    router(Arc::new(Shared { key: Some(key), ..Shared::over(Arc::clone(store)) }))
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
}

impl Shared {
    fn over(store: Arc<MemoryStore>) -> Self {
        Self { store, on_rotate: None, key: None, calls: Mutex::default() }
    }

    fn calls(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        // A count is never left half-written, so a poisoned lock is as good as any.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let operation = operation(&head.headers);
    let counted = operation.unwrap_or("UnknownOperation");
    *shared.calls().entry(counted.to_owned()).or_default() += 1;
    // Before anything of it is read.
    let answer = match access::admitted(&head.headers, shared.key.as_ref()) {
        Ok(()) => answered(&shared, operation, &head.headers, body).await,
        Err(refusal) => Err(refusal),
    };
    match answer {
        Ok(body) => json_response(StatusCode::OK, None, &body),
        Err(refusal) => refusal.response(),
    }
}

/// The operation that the target header names, if it is served.
fn operation(headers: &HeaderMap) -> Option<&'static str> {
    let name = target(headers)?.strip_prefix("secretsmanager.")?;
    OPERATIONS.into_iter().find(|served| *served == name)
}

fn target(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-amz-target")?.to_str().ok()
}

async fn answered(
    shared: &Arc<Shared>,
    operation: Option<&'static str>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Value, Refusal> {
    let unknown = || {
        let asked = target(headers).unwrap_or_default();
        Refusal::unknown_operation(asked.strip_prefix("secretsmanager.").unwrap_or(asked))
    };
    let operation = operation.ok_or_else(unknown)?;
    let body = axum::body::to_bytes(body, LARGEST_BODY).await.map_err(|_| Refusal::too_large())?;
    let input = Input::parse(&body)?.signed_for(replicas::region(headers));
    let Answer { body, started } = operations::answer(&shared.store, operation, &input)?;
    if let (Some(rotation), Some(on_rotate)) = (started, shared.on_rotate.clone()) {
        let store = Arc::clone(&shared.store);
        tokio::spawn(async move { on_rotate.rotation_started(&store, rotation).await });
    }
    Ok(body)
}

fn json_response(status: StatusCode, error: Option<&'static str>, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/x-amz-json-1.1");
    headers.insert(header::CONTENT_TYPE, json);
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        headers.insert("x-amzn-requestid", id);
    }
    if let Some(error) = error {
        headers.insert("x-amzn-errortype", HeaderValue::from_static(error));
    }
    response
}
