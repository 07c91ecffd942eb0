//! A vendor's double: a real HTTP server on this machine, over keys in memory, that fails as it is
//! told. What a vendor's requests and answers look like is a [`Manner`], written from the vendor's
//! documents; what becomes of a request besides is a [`Fault`].

mod http;
mod keys;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use http::{Asked, Told};
pub use keys::{DoubleKey, DoubleKeys};

/// How a vendor answers: what its documents say, as a function of its keys and a request.
pub type Manner = fn(&mut DoubleKeys, &Asked) -> Told;

/// What becomes of one request instead of being answered as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It takes effect, and the connection is closed without an answer.
    LoseAnswer,
    /// It has no effect; 429 says to come back after so many seconds.
    TooMany(u64),
    /// It has no effect; this is the answer.
    Answer(Told),
    /// It takes effect after so long.
    Slow(Duration),
}

struct Planned {
    method: String,
    path: String,
    fault: Fault,
    times: u32,
}

struct State {
    keys: DoubleKeys,
    planned: Vec<Planned>,
    asked: Vec<String>,
}

/// A vendor at a port of this machine. Dropping it stops the server.
///
/// ```
/// use fourstep_testing::{Asked, Double, DoubleKeys, Told};
///
/// /// `GET /whoami` with a key as Bearer.
/// fn manner(keys: &mut DoubleKeys, asked: &Asked) -> Told {
///     match keys.lets_in(asked.bearer()) {
///         Some(id) => Told::json(200, format!(r#"{{"key":"{id}"}}"#)),
///         None => Told::json(401, "{}"),
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let double = Double::start(manner).await.unwrap();
/// let key = double.arrange(None);
/// assert!(double.url().starts_with("http://127.0.0.1:"));
/// assert!(double.works(&key.value));
/// # });
/// ```
pub struct Double {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

impl Double {
    /// Starts a vendor without any key.
    ///
    /// # Errors
    /// If no port of this machine can be listened on.
    pub async fn start(manner: Manner) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (keys, planned, asked) = (DoubleKeys::default(), Vec::new(), Vec::new());
        let state = Arc::new(Mutex::new(State { keys, planned, asked }));
        let served = Arc::clone(&state);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(http::serve(stream, Arc::clone(&served), manner));
            }
        });
        Ok(Self { address, state, server })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A key that lives already, with a name that a person gave it.
    pub fn arrange(&self, name: Option<&str>) -> DoubleKey {
        self.lock().keys.arrange(name)
    }

    /// How many keys may live at once, and how often a new one must be asked for until it works
    /// and until it is listed.
    pub fn limits(&self, cap: Option<usize>, delay: u32) {
        let mut state = self.lock();
        (state.keys.cap, state.keys.delay) = (cap, delay);
    }

    /// What becomes of the next `times` requests of this method whose path begins so.
    pub fn plan(&self, method: &str, path: &str, fault: Fault, times: u32) {
        let (method, path) = (method.to_owned(), path.to_owned());
        self.lock().planned.push(Planned { method, path, fault, times });
    }

    /// Whether this value works now.
    pub fn works(&self, value: &str) -> bool {
        self.lock().keys.works(value)
    }

    /// The ids of the keys that live, oldest first.
    pub fn live(&self) -> Vec<String> {
        self.lock().keys.all().map(|key| key.id.clone()).collect()
    }

    /// Gives a key other rights, as whoever made it.
    pub fn grant(&self, id: &str, rights: &str) {
        self.lock().keys.grant(id, rights);
    }

    /// What each key may do, oldest first.
    pub fn rights(&self) -> Vec<String> {
        self.lock().keys.all().map(|key| key.rights.clone()).collect()
    }

    /// Revokes a key, as a person may by hand.
    pub fn revoke(&self, id: &str) {
        self.lock().keys.revoke(id);
    }

    /// Method and path of every request so far.
    pub fn asked(&self) -> Vec<String> {
        self.lock().asked.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// The fault that is planned for a request, once.
    fn fault(&mut self, asked: &Asked) -> Option<Fault> {
        let of_this =
            |one: &&mut Planned| one.method == asked.method && asked.path.starts_with(&one.path);
        let planned = self.planned.iter_mut().filter(|one| one.times > 0).find(of_this)?;
        planned.times -= 1;
        Some(planned.fault.clone())
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl fmt::Debug for Double {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Double({})", self.address)
    }
}
