//! A local Secrets Manager that writes down when each request arrived and when it was answered.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use fourstep::{Environment, PasswordPolicy};
use fourstep_local::MemoryStore;
use fourstep_local::serve;
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::task::JoinHandle;

/// What AWS's PostgreSQL template leaves out of its passwords.
const EXCLUDED_CHARACTERS: &str = ":/@\"'\\";

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The operation's name.
    pub operation: String,
    /// When it arrived.
    pub began: Instant,
    /// When it was answered.
    pub ended: Instant,
}

/// A local Secrets Manager. It stops when dropped.
#[derive(Debug)]
pub struct Manager {
    address: SocketAddr,
    record: Arc<Record>,
    task: JoinHandle<io::Result<()>>,
}

#[derive(Debug, Default)]
struct Record {
    calls: Mutex<Vec<Call>>,
    latency: Mutex<Duration>,
}

impl Manager {
    /// Serves this store.
    ///
    /// # Errors
    /// If no port can be listened on.
    pub async fn start(store: &Arc<MemoryStore>) -> io::Result<Self> {
        let listener = serve::bind((Ipv4Addr::LOCALHOST, 0).into()).await?;
        let address = listener.local_addr()?;
        let record = Arc::<Record>::default();
        let router =
            serve::endpoint(store).layer(from_fn_with_state(Arc::clone(&record), recorded));
        let task = tokio::spawn(axum::serve(listener, router).into_future());
        Ok(Self { address, record, task })
    }

    /// The endpoint URL to give to a client.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How long every answer is kept back from now on.
    ///
    /// Calls that are sent together can be told from calls in sequence only if none is answered before
    /// the next can be sent, as on a network.
    pub fn set_latency(&self, latency: Duration) {
        *locked(&self.record.latency) = latency;
    }

    /// The calls since this was last asked.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut *locked(&self.record.calls))
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What these locks hold is never left half-written, so a poisoned one is as good as any.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn recorded(State(record): State<Arc<Record>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = target.and_then(|target| target.split('.').nth(1)).unwrap_or("unknown");
    let operation = operation.to_owned();
    let answer = match operation.as_str() {
        "GetRandomPassword" => random_password(),
        _ => next.run(request).await,
    };
    let latency = *locked(&record.latency);
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    locked(&record.calls).push(Call { operation, began, ended: Instant::now() });
    answer
}

/// The local Secrets Manager leaves this operation out, because Fourstep's functions never call it.
/// AWS's templates do; the settings they send are the defaults here.
fn random_password() -> Response {
    let policy = PasswordPolicy::read(&Environment::default(), EXCLUDED_CHARACTERS);
    let password = policy.and_then(|policy| policy.generate());
    let password = password.map(|password| password.expose_secret().to_owned()).unwrap_or_default();
    Response::new(Body::from(json!({ "RandomPassword": password }).to_string()))
}

/// The most calls of which each began after the one before had ended.
pub fn longest_sequence(calls: &[Call]) -> usize {
    let mut calls: Vec<&Call> = calls.iter().collect();
    calls.sort_by_key(|call| call.began);
    let mut ends: Vec<(Instant, usize)> = Vec::new();
    for call in calls {
        let before = ends.iter().filter(|(ended, _)| *ended <= call.began);
        let longest = before.map(|(_, length)| *length).max().unwrap_or_default();
        ends.push((call.ended, longest + 1));
    }
    ends.into_iter().map(|(_, length)| length).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn longest(spans: &[(u64, u64)]) -> usize {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let call = |&(began, ended): &(u64, u64)| Call {
            operation: "DescribeSecret".to_owned(),
            began: at(began),
            ended: at(ended),
        };
        longest_sequence(&spans.iter().map(call).collect::<Vec<_>>())
    }

    #[test]
    fn only_calls_that_waited_for_another_are_in_sequence() {
        assert_eq!(longest(&[]), 0);
        assert_eq!(longest(&[(0, 9)]), 1);
        assert_eq!(longest(&[(0, 9), (1, 8), (2, 10)]), 1);
        assert_eq!(longest(&[(10, 19), (0, 9)]), 2);
        assert_eq!(longest(&[(0, 9), (1, 30), (9, 20), (21, 29)]), 3);
        // Three at once, then one, then one.
        assert_eq!(longest(&[(0, 9), (1, 9), (2, 9), (10, 20), (21, 30)]), 3);
    }
}
