//! The keys of a vendor's double.

use std::fmt;
use std::time::{Duration, SystemTime};

use rand::TryRng as _;

/// One key.
#[derive(Clone, PartialEq, Eq)]
pub struct DoubleKey {
    /// The vendor's name for it.
    pub id: String,
    /// What lets in.
    pub value: String,
    /// The name it was issued with.
    pub name: Option<String>,
    /// When it was issued.
    pub created: SystemTime,
    /// Whether it is switched on, where a vendor has such a thing.
    pub active: bool,
    /// What it may do, as the vendor writes it.
    pub rights: String,
    asked: u32,
    listed: u32,
}

/// All keys of one account, as a vendor keeps them.
#[derive(Debug, Default)]
pub struct DoubleKeys {
    keys: Vec<DoubleKey>,
    issued: u64,
    pub(super) cap: Option<usize>,
    pub(super) delay: u32,
}

impl DoubleKeys {
    /// A key that lives already, an hour old, and known everywhere.
    pub(super) fn arrange(&mut self, name: Option<&str>) -> DoubleKey {
        let mut key = self.make(name);
        key.created -= Duration::from_secs(3600);
        (key.asked, key.listed) = (self.delay, self.delay);
        self.keys.push(key.clone());
        key
    }

    fn make(&mut self, name: Option<&str>) -> DoubleKey {
        self.issued += 1;
        let id = format!("id{:06}", self.issued);
        let value = format!("value-{}-{:016x}", self.issued, random());
        let created = SystemTime::now();
        let name = name.map(str::to_owned);
        DoubleKey {
            id,
            value,
            name,
            created,
            active: true,
            rights: String::new(),
            asked: 0,
            listed: 0,
        }
    }

    /// Makes a key; `None` at the limit.
    pub fn issue(&mut self, name: Option<&str>) -> Option<DoubleKey> {
        if self.cap.is_some_and(|cap| self.keys.len() >= cap) {
            return None;
        }
        let key = self.make(name);
        self.keys.push(key.clone());
        Some(key)
    }

    /// The id of the key with this value, if it lets in; a new one only after it was asked for
    /// often enough.
    pub fn lets_in(&mut self, value: &str) -> Option<String> {
        let delay = self.delay;
        let key = self.keys.iter_mut().find(|key| key.value == value && key.active)?;
        if key.asked < delay {
            key.asked += 1;
            return None;
        }
        Some(key.id.clone())
    }

    /// Whether a value lets in, without asking.
    pub(super) fn works(&self, value: &str) -> bool {
        let mut keys = self.keys.iter();
        keys.any(|key| key.value == value && key.active && key.asked >= self.delay)
    }

    /// Every key that the vendor lists by now.
    pub fn list(&mut self) -> Vec<DoubleKey> {
        let mut listed = Vec::new();
        for key in &mut self.keys {
            match key.listed < self.delay {
                true => key.listed += 1,
                false => listed.push(key.clone()),
            }
        }
        listed
    }

    /// Every key.
    pub fn all(&self) -> impl Iterator<Item = &DoubleKey> {
        self.keys.iter()
    }

    /// Gives a key other rights.
    pub fn grant(&mut self, id: &str, rights: impl Into<String>) {
        if let Some(key) = self.keys.iter_mut().find(|key| key.id == id) {
            key.rights = rights.into();
        }
    }

    /// Switches a key off; false if there is none.
    pub fn deactivate(&mut self, id: &str) -> bool {
        let key = self.keys.iter_mut().find(|key| key.id == id);
        key.map(|key| key.active = false).is_some()
    }

    /// Revokes a key; false if there is none.
    pub fn revoke(&mut self, id: &str) -> bool {
        let before = self.keys.len();
        self.keys.retain(|key| key.id != id);
        self.keys.len() < before
    }

    /// Gives a key another value; false if `old` is not its value.
    pub fn update(&mut self, old: &str, new: &str) -> bool {
        let key = self.keys.iter_mut().find(|key| key.value == old);
        key.map(|key| new.clone_into(&mut key.value)).is_some()
    }
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    // A value that is not random is as good a key in a test, and its number keeps it apart.
    let _ = rand::rngs::SysRng.try_fill_bytes(&mut bytes);
    u64::from_ne_bytes(bytes)
}

impl fmt::Debug for DoubleKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DoubleKey({})", self.id)
    }
}
