//! The author's kit: what finds out whether a rotator is safe.

mod canary;

pub use canary::Canary;
