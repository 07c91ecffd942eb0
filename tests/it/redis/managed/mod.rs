//! Users of ElastiCache and MemoryDB: doubles of their APIs in front of a real Valkey, and moto where it has the call.

mod conformance;
pub mod double;
mod faults;
mod kills;
mod parity;
mod rotations;

use std::sync::Arc;

use crate::support::redis::{Keeping, Server, valkey};
use crate::support::stage::Stage;

/// A real Valkey, whose users live in its memory as a cache's do.
pub async fn server() -> Option<Arc<Server>> {
    Some(Arc::new(valkey()?.start(Keeping::AclFile, &[]).await))
}

/// The ARN of the secret on a stage.
fn arn_of(stage: &Stage) -> String {
    stage.store.describe(&stage.secret).unwrap().arn
}
