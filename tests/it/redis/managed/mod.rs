//! Users of ElastiCache and MemoryDB: doubles of their APIs in front of real servers, and moto where it has the call.

mod conformance;
mod double;
mod faults;
mod kills;
mod parity;
mod rotations;

use std::sync::Arc;

use crate::support::redis::{Keeping, Server, redis};

/// A real server, whose users live in its memory as a cache's do.
async fn server() -> Option<Arc<Server>> {
    Some(Arc::new(redis()?.start(Keeping::AclFile, &[]).await))
}
