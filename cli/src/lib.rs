//! The `fourstep` command as a library, so that tests can call its parts.

pub mod events;
pub mod function;
pub mod player;
pub mod replay;
pub mod slips;
pub mod spec;
