//! The command as a library, so that tests can call its parts.

pub mod serve;
