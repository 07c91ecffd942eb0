//! What rotation functions cost, measured from outside: any program that speaks the Lambda Runtime
//! API, the Rust binaries and AWS's Python template alike, under one host.
//!
//! `scripts/bench` runs it. It is never part of what is deployed.

pub mod figures;
pub mod host;
pub mod instructions;
pub mod manager;
pub mod picture;
pub mod report;
pub mod rotations;
pub mod server_log;
pub mod vendor;
