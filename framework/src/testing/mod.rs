//! The author's kit: proves that a rotator cannot lock anyone out.
mod canary;
mod choices;
mod conformance;
pub mod guide;
pub mod models;
mod process;
mod promises;
mod remote;
mod report;
mod scenarios;
mod service;
mod sweep;
mod wire;
mod world;

#[cfg(test)]
mod tests;

pub use canary::Canary;
pub use conformance::conformance;
pub use remote::{Function, Overlap, Remote, Testbed};
pub use report::{Report, Section, Violation, What};
pub use sweep::{Effort, prove, sweep};
pub use wire::{Lost, Wire};
