//! rotate-iam: the access keys of IAM users, at moto, which others wrote, and at a double that checks signatures.

mod conformance;
mod double;
mod moto;
mod rotations;

pub use moto::role;
pub use rotations::{calls, has_credentials};
