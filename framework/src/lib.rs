//! Rotate any AWS Secrets Manager secret without locking anyone out.
//!
//! A function is a [`Rotator`] that is handed to [`run`]. There are three ways to one:
//!
//! - a server with users and passwords: implement [`users::Database`], and let [`users::Strategies`] make
//!   the rotator of it, as `fourstep new` shows in a project of its own;
//! - keys that a vendor issues: implement [`vendor::Issuer`] or [`vendor::Updater`];
//! - anything else: implement [`Rotator`] itself, as docs/write-a-rotator.md does.
//!
//! The crate `fourstep-testing` proves that it locks nobody out.
//!
//! # Words
//!
//! *Step, staging label, version, ClientRequestToken* are AWS's. A *rotator* supplies *verbs*, of which the
//! [engine](Engine) decides when each is called; a [*verdict*](Verdict) is Accepted or Rejected; an
//! [*outcome*](Outcome) is what a step did. A [*secret*](Secret) is the stored document, a *credential* what logs in, a
//! *user* an account at the target, an *alternate* the other user of a pair. The [*fence*](Fence) is the last look
//! at the labels before a change that cannot be taken back. A [*mark*](users::Mark) says at the target whose user it is. An
//! [*invocation*](Invocation) is one call of the function: its deadline and its counters.

mod announce;
mod config;
mod engine;
mod error;
mod event;
mod ids;
mod inspect;
mod invocation;
mod log;
pub mod net;
mod outcome;
mod password;
pub mod rds;
mod rehearsal;
mod replicas;
mod rotator;
mod run;
mod secret;
pub mod shell;
pub mod staging;
mod step;
pub mod store;
mod uniform;
pub mod users;
mod value;
pub mod vendor;

pub use announce::Announce;
pub use config::Environment;
pub use engine::Engine;
pub use error::{Error, ErrorKind, Result};
pub use event::{Question, Request, RotationEvent};
pub use ids::{RotationToken, SecretId, VersionId};
pub use invocation::{CHANGE_TIME, Deadline, Invocation, InvocationStats, Seen};
pub use outcome::{Effect, Outcome};
pub use password::PasswordPolicy;
pub use rotator::{
    Applied, CreateContext, Fence, Finding, Form, InspectContext, PromoteContext, RetireContext,
    Rotator, SecretReader, SetContext, Verdict,
};
pub use run::run;
pub use secret::{Current, Document, Pending, Previous, Secret};
pub use step::Step;
pub use uniform::{hex, random_bytes};
pub use value::SecretValue;

/// The secrecy crate's string, which this crate's API uses for passwords.
pub use secrecy::{ExposeSecret, SecretString};
