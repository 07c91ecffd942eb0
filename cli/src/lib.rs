//! The `fourstep` command as a library, so that tests can call its parts.

/// Says something on standard error. Whoever reads it may have stopped: that is no reason to panic.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

pub mod account;
pub mod events;
pub mod function;
pub mod new;
pub mod player;
pub mod replay;
pub mod slips;
pub mod spec;
pub mod terminal;
