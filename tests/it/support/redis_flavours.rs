//! Which programs scripts/test found: Redis 7, Redis 8 and Valkey 9.

use std::path::PathBuf;

use super::skip;

/// A program that scripts/test found.
#[derive(Clone)]
pub struct Flavour {
    /// `redis` or `valkey`, as secrets name it.
    pub engine: &'static str,
    /// Where its servers have their folders.
    pub(super) dir: PathBuf,
    /// What it is entered by `chroot`, or nothing.
    pub(super) root: String,
    server: String,
}

/// Whichever of Redis 7, Redis 8 and Valkey 9 there are.
pub fn flavours() -> Vec<Flavour> {
    [("redis", "REDIS"), ("redis", "REDIS8"), ("valkey", "VALKEY")]
        .into_iter()
        .filter_map(of)
        .collect()
}

/// Redis 7, or None after skipping aloud.
pub fn redis() -> Option<Flavour> {
    of(("redis", "REDIS"))
}

/// Valkey 9, or None after skipping aloud.
pub fn valkey() -> Option<Flavour> {
    of(("valkey", "VALKEY"))
}

fn of((engine, prefix): (&'static str, &str)) -> Option<Flavour> {
    let variable = |name: &str| std::env::var(format!("FOURSTEP_TEST_{prefix}_{name}"));
    let flavour = (|| {
        let dir = variable("DIR").ok()?.into();
        let root = variable("ROOT").unwrap_or_default();
        Some(Flavour { engine, dir, root, server: variable("SERVER").ok()? })
    })();
    if flavour.is_none() {
        skip(&format!("FOURSTEP_TEST_{prefix}_DIR and its companions"));
    }
    flavour
}

impl Flavour {
    /// Whether this is Redis 7 or Valkey 9: two are enough for what takes long.
    pub fn is_one_of_two(&self) -> bool {
        self.root.is_empty() || self.engine == "valkey"
    }

    /// Where the certificates are, as a server sees it.
    pub fn tls(&self) -> String {
        self.inside(&self.dir.join("tls"))
    }

    /// A path as a server sees it.
    pub fn inside(&self, path: &std::path::Path) -> String {
        path.to_str().unwrap().strip_prefix(&self.root).unwrap().to_owned()
    }

    /// The command that starts a server with this file.
    pub fn words(&self, file: &std::path::Path) -> Vec<String> {
        let mut words = Vec::new();
        if !self.root.is_empty() {
            words.extend(["chroot".to_owned(), self.root.clone()]);
        }
        words.extend([self.server.clone(), self.inside(file)]);
        words
    }
}
