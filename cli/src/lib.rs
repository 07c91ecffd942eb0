//! The `fourstep` command as a library, so that tests can call its parts.

pub mod account;
pub mod events;
pub mod function;
pub mod new;
pub mod player;
pub mod replay;
pub mod slips;
pub mod spec;
pub mod terminal;
