//! A vendor of keys, as far as rotations are concerned: keys that it makes, lists and revokes, and
//! keys whose value the caller sets.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fourstep::{ExposeSecret, SecretString};

use crate::{Lost, Wire};

/// What a vendor offers, and what it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    /// Whether a key keeps the label it was issued with.
    pub labels: bool,
    /// How many keys may live at once, strangers' included.
    pub cap: Option<usize>,
    /// How often a new key must be asked for until it is listed, and a new value until it is let in:
    /// what one part of the vendor did, another learns late.
    pub delay: u32,
}

/// A vendor in memory: one account with its keys, asked as its administrator. Clones are the same
/// vendor.
///
/// Its clock goes on by a second with each key, and by an hour when an hour passes.
#[derive(Clone)]
pub struct Vendor {
    wire: Wire,
    terms: Terms,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    keys: BTreeMap<String, Key>,
    remembered: BTreeMap<String, Key>,
    issued: u64,
    now: Duration,
    revoked_strangers: usize,
}

#[derive(Clone)]
struct Key {
    label: Option<String>,
    value: String,
    issued: Duration,
    stranger: bool,
    /// How often it was asked for, by its value and by listing.
    asked: u32,
    listed: u32,
}

/// A key as the vendor shows it once, when it issues it.
#[derive(Debug, Clone)]
pub struct IssuedKey {
    /// Its name at the vendor.
    pub id: String,
    /// What lets in. The vendor does not show it again.
    pub value: SecretString,
}

/// A key as the vendor lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKey {
    /// Its name at the vendor.
    pub id: String,
    /// The label it was issued with, where the vendor keeps labels.
    pub label: Option<String>,
    /// How long ago it was issued.
    pub age: Duration,
}

impl State {
    fn issue(&mut self, label: Option<&str>, stranger: bool, asked: u32) -> IssuedKey {
        self.issued += 1;
        self.now += Duration::from_secs(1);
        let (id, value) = (format!("k{}", self.issued), format!("value of k{}", self.issued));
        let label = label.map(str::to_owned);
        let (issued, listed) = (self.now, asked);
        let key = Key { label, value: value.clone(), issued, stranger, asked, listed };
        self.keys.insert(id.clone(), key);
        IssuedKey { id, value: value.into() }
    }
}

impl Vendor {
    /// A vendor without any key, at the end of this wire.
    pub fn new(wire: &Wire, terms: Terms) -> Self {
        Self { wire: wire.clone(), terms, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A key without a label that lives already, as the one a secret begins with; past the wire.
    pub fn arrange(&self) -> IssuedKey {
        self.state().issue(None, false, self.terms.delay)
    }

    /// A key that somebody else made for another use; past the wire.
    pub fn arrange_stranger(&self) -> IssuedKey {
        self.state().issue(None, true, self.terms.delay)
    }

    /// Whether this key lets in, past the wire.
    pub fn accepts(&self, id: &str, value: &str) -> bool {
        let state = self.state();
        state.keys.get(id).is_some_and(|key| key.value == value && key.asked >= self.terms.delay)
    }

    /// How many keys live, without strangers'; past the wire.
    pub fn live(&self) -> usize {
        self.state().keys.values().filter(|key| !key.stranger).count()
    }

    /// Whether a new key begins to work only after it was asked for.
    pub fn learns_late(&self) -> bool {
        self.terms.delay > 0
    }

    /// What a bystander has to complain about.
    pub fn complaint(&self) -> Option<String> {
        (self.state().revoked_strangers > 0).then(|| "a stranger's key was revoked".to_owned())
    }

    /// Makes a key; `None` if the account may have no more. The answer is the only place where its
    /// value is ever shown.
    ///
    /// # Errors
    /// [`Lost`]: a key may have been made, whose value nobody knows.
    pub async fn issue(&self, label: Option<&str>) -> Result<Option<IssuedKey>, Lost> {
        self.issue_while(|| true, label).await
    }

    /// The same for a caller who is let in or not when the request comes; `None` then too.
    ///
    /// # Errors
    /// As for [`issue`](Self::issue).
    pub async fn issue_while(
        &self,
        let_in: impl Fn() -> bool + Send,
        label: Option<&str>,
    ) -> Result<Option<IssuedKey>, Lost> {
        self.wire
            .call("issue a key", || {
                let let_in = let_in();
                let mut state = self.state();
                let room = let_in && self.terms.cap.is_none_or(|cap| state.keys.len() < cap);
                room.then(|| state.issue(label.filter(|_| self.terms.labels), false, 0))
            })
            .await
    }

    /// Every key, a new one only after it was asked for often enough. Never a value.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn list(&self) -> Result<Vec<ListedKey>, Lost> {
        self.wire
            .call("list the keys", || {
                let mut state = self.state();
                let now = state.now;
                let mut listed = Vec::new();
                for (id, key) in &mut state.keys {
                    if key.listed < self.terms.delay {
                        key.listed += 1;
                        continue;
                    }
                    let age = now.saturating_sub(key.issued);
                    listed.push(ListedKey { id: id.clone(), label: key.label.clone(), age });
                }
                listed
            })
            .await
    }

    /// Whether this key lets in; a new one only after it was asked for often enough.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn verify(&self, id: &str, value: &SecretString) -> Result<bool, Lost> {
        self.wire
            .call(&format!("verify {id}"), || {
                let mut state = self.state();
                let right = |key: &&mut Key| key.value == value.expose_secret();
                let Some(key) = state.keys.get_mut(id).filter(right) else { return false };
                if key.asked < self.terms.delay {
                    key.asked += 1;
                    return false;
                }
                true
            })
            .await
    }

    /// Revokes a key. One that is gone already is no error.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn revoke(&self, id: &str) -> Result<(), Lost> {
        self.wire
            .call(&format!("revoke {id}"), || {
                let mut state = self.state();
                if state.keys.remove(id).is_some_and(|key| key.stranger) {
                    state.revoked_strangers += 1;
                }
            })
            .await
    }

    /// Sets the value of a key in place. With `using`, only if that is its value until then:
    /// false if it is not. Without, whatever it is, as an administrator may.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn update(
        &self,
        id: &str,
        using: Option<&SecretString>,
        to: &SecretString,
    ) -> Result<bool, Lost> {
        self.wire
            .call(&format!("update {id}"), || {
                let mut state = self.state();
                let right =
                    |key: &&mut Key| using.is_none_or(|using| key.value == using.expose_secret());
                let Some(key) = state.keys.get_mut(id).filter(right) else { return false };
                if key.value != to.expose_secret() {
                    to.expose_secret().clone_into(&mut key.value);
                    key.asked = 0;
                }
                true
            })
            .await
    }

    /// What time it is at the vendor.
    pub fn clock(&self) -> SystemTime {
        UNIX_EPOCH + self.state().now
    }

    /// Every key is an hour older.
    pub fn hour_passes(&self) {
        self.state().now += Duration::from_secs(3600);
    }

    /// Keeps the keys as they are for [`forget`](Self::forget).
    pub fn remember(&self) {
        let mut state = self.state();
        state.remembered = state.keys.clone();
    }

    /// Goes back to the keys of the last [`remember`](Self::remember), as after a restored backup.
    pub fn forget(&self) {
        let mut state = self.state();
        state.keys = state.remembered.clone();
    }
}

impl fmt::Debug for Vendor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Vendor({:?})", self.terms)
    }
}
