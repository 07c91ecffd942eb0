//! A Secrets Manager on one machine: [`MemoryStore`] in this process, and [`serve`] over HTTP.
//!
//! `fourstep` replays rotations with it, tests play theirs over it. No function needs it.

mod memory;
pub mod serve;

pub use memory::{
    BrokenStore, Call, Deletion, Fault, ListedVersions, MemoryStore, NewRotation, NewSecret,
    NewValue, PendingLabel, ReadValue, RotationRules, SecretCopy, SecretDetail, StartedRotation,
    Window, Written,
};
