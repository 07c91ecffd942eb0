//! rotate-redis at real servers: Redis 7 and 8, Valkey 9.

mod conformance;
mod faults;
mod kills;
mod leaks;
pub mod managed;
mod nodes;
mod replication;
mod rotations;

use crate::support::redis::{Flavour, Keeping, Server, User};

const DUAL: [(&str, &str); 1] = [("ROTATION_STRATEGY", "dual-password")];
const BY_ADMIN: [(&str, &str); 1] = [("ROTATION_STRATEGY", "single-user-by-admin")];

/// A server that keeps its users in an ACL file, and a user of it.
async fn one(flavour: &Flavour) -> (Server, User) {
    let server = flavour.start(Keeping::AclFile, &[]).await;
    let user = server.user("app").await;
    (server, user)
}
