//! The author's kit: proves that a rotator cannot lock anyone out.
//!
//! One call, [`prove`], takes a rotator and a model of its remote, stops the process at every
//! possible moment, and shows that a stored credential always works and that every retry converges.
//! [`guide`] builds a rotator and its model from nothing, on one page.
//!
//! - [`conformance`]: what each verb must do, at a model or at the real thing.
//! - [`printed`]: the same in a process of its own, where what is printed is heard as well.
//! - [`sweep`]: rotations over the memory store and a modelled remote, stopped and disturbed at every
//!   call. There is no chance in it: it tries *all*, so the same rotator gives the same report.
//! - [`models`]: remotes for every strategy: one password, an admin and a pair of users, MySQL's two
//!   passwords, vendors' keys.
//! - [`Double`]: a vendor's HTTP API on this machine, which fails as it is told.
//! - [`Canary`]: a value that may appear nowhere, and the search for it.
//!
//! # What a run goes through
//!
//! A *call* is one request to Secrets Manager or to the remote. At every call the process may be
//! killed before it or after it took effect, the call may be refused, or its answer lost, or
//! repeated by the SDK; after a failure the service starts again at createSecret with the same token,
//! and a new process. Besides: every step twice; steps delivered by hand before createSecret; two containers racing one step, interleaved at every
//! call; a container that stands still before any call and wakes up at any later one, its rotation
//! finished or cancelled and the next one under way meanwhile, so that its step is delivered late; a
//! rotation cancelled at any moment, twice in a row; AWSCURRENT edited or rolled back by a person
//! between any two calls; a remote that forgets a change, as after a fail-over; labels and values
//! read as they were up to three writes ago; throttling.
//!
//! # What must hold
//!
//! After every call: under [`Overlap::Full`] AWSCURRENT itself works; otherwise some labelled
//! version does, and once a person interfered some stored one. The remote has no
//! [complaint](Remote::complaint). After every rotation: the new version is current and works, and
//! no other credential does than the kept ones. At the end of every run two more rotations succeed.
//!
//! Where less is promised: once the remote [forgets](Remote::forget), or AWSCURRENT is rolled back under
//! a running rotation, some stored version works, until a rotation that began afterwards is done.
//! Where a credential [takes the place](Remote::replaces) of a cancelled one, the same holds when a
//! cancelled rotation is promoted late. While a container stands still, what it may be about to revoke
//! is not called left over. Where one proposal may [replace another](Remote::overtakes), no container
//! outlives its rotation, and a rotation whose AWSPENDING the rotator took off makes way for the next.
//!
//! # What it cannot see
//!
//! A model is as good as its author's knowledge of the real remote: the same checks run there by
//! [`conformance`], and `fourstep replay --crash all` kills the real binary at the real server. Time
//! passes in hours only; what depends on milliseconds is for other tests. An edit in between stores the
//! same credential again with a note: nobody changes a credential by hand at the remote. That the fence is
//! passed is seen by a second DescribeSecret before the pending credential begins to work; whether its
//! refusal is heeded, by the containers that come late. [`conformance`] and [`sweep`] hear what is answered,
//! warned of and logged by `tracing`, and panics; not what is printed, which the test harness keeps:
//! [`printed`] hears that. None of them hears what a task or a thread of the rotator's own logs by
//! `tracing`, nor what is written to a file or sent to a third party.

mod canary;
mod conformance;
mod double;
mod enumerator;
pub mod guide;
pub mod models;
mod printed;
mod process;
mod promises;
mod remote;
mod report;
mod scenarios;
mod service;
mod simulation;
mod sweep;
mod wire;

#[cfg(test)]
mod tests;

pub use canary::Canary;
pub use conformance::conformance;
pub use double::{Asked, Double, DoubleKey, DoubleKeys, Fault, Manner, Told};
pub use printed::printed;
pub use remote::{Function, Overlap, Remote, Testbed};
pub use report::{Report, Section, Violation, What};
pub use simulation::SECRET_ARN;
pub use sweep::{Effort, prove, sweep};
pub use wire::{Lost, Wire};
