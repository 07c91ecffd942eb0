//! Rotate any AWS Secrets Manager secret without locking anyone out.

mod config;
mod engine;
mod error;
mod event;
mod ids;
mod inspect;
mod invocation;
mod log;
pub mod net;
mod password;
pub mod rds;
mod rehearsal;
mod rotator;
mod run;
mod secret;
pub mod staging;
mod step;
pub mod store;
mod uniform;
pub mod users;
mod value;
pub mod vendor;

pub use config::Environment;
pub use engine::{Effect, Engine, Outcome};
pub use error::{Error, ErrorKind};
pub use event::{Question, Request, RotationEvent};
pub use ids::{RotationToken, SecretId, VersionId};
pub use invocation::{CHANGE_TIME, Deadline, Invocation, InvocationStats};
pub use password::PasswordPolicy;
pub use rotator::{
    Applied, CreateContext, Fence, Finding, InspectContext, RetireContext, Rotator, SecretReader,
    SetContext, Verdict,
};
pub use run::run;
pub use secret::{Current, Document, Pending, Previous, Secret};
pub use step::Step;
pub use value::SecretValue;

/// The secrecy crate's string, which this crate's API uses for passwords.
pub use secrecy::{ExposeSecret, SecretString};
