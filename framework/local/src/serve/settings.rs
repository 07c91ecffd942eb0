//! What a local Secrets Manager does besides answering: who plays rotations, who keeps what it has, who
//! hears of each request.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde_json::Value;

use crate::{MemoryStore, StartedRotation};

/// What plays the steps of the rotations that RotateSecret begins.
#[async_trait]
pub trait OnRotate: Send + Sync {
    /// Plays one rotation, in a task of its own: RotateSecret has been answered, or is about to
    /// be. How it ends is told to the store: [`MemoryStore::finish_rotation`] or, if only a test
    /// was asked for, [`MemoryStore::end_test`].
    async fn rotation_started(&self, store: &Arc<MemoryStore>, rotation: StartedRotation);
}

/// What runs a function for Lambda's Invoke, whatever name it is called by.
#[async_trait]
pub trait OnInvoke: Send + Sync {
    /// Hands one event to the function: its answer, or the error that it reported (type, message).
    ///
    /// # Errors
    /// If it cannot be started.
    async fn invoked(&self, event: Value) -> io::Result<Result<Value, (String, String)>>;
}

/// What keeps the store where it outlives this process.
pub trait Keeper: Send + Sync {
    /// Called after each change, before it is answered, and not by two threads at a time. May wait for a disk.
    ///
    /// # Errors
    /// If it is not kept. The request is answered with that then, and the change stays in memory.
    fn keep(&self, store: &MemoryStore) -> io::Result<()>;
}

/// One request as it was answered. Nothing of it is a value, a token or a header.
#[derive(Debug, Clone)]
pub struct Answered {
    /// When it came.
    pub at: SystemTime,
    /// The operation, by AWS's name.
    pub operation: String,
    /// The secrets that it named, as it named them; none that cannot be a secret's name.
    pub secret: Option<String>,
    /// The answer's status.
    pub status: u16,
    /// The name of the error, if it is one.
    pub error: Option<String>,
    /// Until the answer was ready.
    pub took: Duration,
}

/// Hears of each request, after it.
pub type OnAnswer = dyn Fn(&Answered) + Send + Sync;

/// How a local Secrets Manager is served, besides where and over which store.
#[derive(Default)]
pub struct Settings {
    /// Plays rotations; without it, whoever called RotateSecret does.
    pub on_rotate: Option<Arc<dyn OnRotate>>,
    /// Answers Lambda's Invoke; without it, no function is found.
    pub on_invoke: Option<Arc<dyn OnInvoke>>,
    /// Keeps the store after each change.
    pub keeper: Option<Arc<dyn Keeper>>,
    /// Hears of each request.
    pub on_answer: Option<Arc<OnAnswer>>,
    /// Names that a request's Host may have, besides this machine's own.
    pub hosts: Vec<String>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Settings").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}
