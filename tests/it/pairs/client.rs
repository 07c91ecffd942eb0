//! An application that works all the time, and always with a secret that is a version behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinHandle;

/// What an application does with what is in its secret.
pub trait Work: Send + Sync + 'static {
    /// Logs in and works. Err says what failed.
    fn work(&self, document: &Value) -> impl Future<Output = Result<(), String>> + Send;
}

/// The application. It reads the secret only when the next rotation is about to begin, lives through
/// that one with what it read, and reads again: a version logs in until the second rotation after it
/// gives its user another password, so nobody can be slower.
pub struct Client<W> {
    application: Arc<W>,
    document: Arc<Mutex<Value>>,
    done: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl<W: Work> Client<W> {
    /// An application that has this document. It stops at the first failure, which
    /// [`works`](Self::works) and [`end`](Self::end) tell.
    pub fn start(application: &Arc<W>, document: Value) -> Self {
        let (document, done) = (Arc::new(Mutex::new(document)), Arc::new(AtomicU32::new(0)));
        let task = tokio::spawn({
            let (document, done) = (Arc::clone(&document), Arc::clone(&done));
            let application = Arc::clone(application);
            async move {
                loop {
                    let now = document.lock().await;
                    application.work(&now).await.unwrap_or_else(|failure| {
                        panic!("as {}: {failure}", now["username"]);
                    });
                    drop(now);
                    done.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
            }
        });
        Self { application: Arc::clone(application), document, done, task }
    }

    /// It reads the secret, and works with nothing else from now on.
    pub async fn reads(&self, document: Value) {
        *self.document.lock().await = document;
        self.works().await;
    }

    /// Waits until it has worked from beginning to end.
    pub async fn works(&self) {
        let before = self.done.load(Ordering::SeqCst);
        while self.done.load(Ordering::SeqCst) < before + 2 {
            assert!(!self.task.is_finished(), "the application failed: see above");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Another process of it, which has another version, works once.
    pub async fn another_works(&self, document: &Value) {
        let _alone = self.document.lock().await;
        let worked = self.application.work(document).await;
        worked.unwrap_or_else(|failure| panic!("as {}: {failure}", document["username"]));
    }

    /// It rests for as long as this is held.
    pub async fn rests(&self) -> MutexGuard<'_, Value> {
        self.document.lock().await
    }

    /// Ends it; how often it worked.
    pub async fn end(self) -> u32 {
        self.works().await;
        let _alone = self.document.lock().await;
        self.task.abort();
        self.done.load(Ordering::SeqCst)
    }
}
