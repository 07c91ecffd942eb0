//! The rotate-postgres function.
fn main() {}
