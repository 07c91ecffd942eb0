//! The fourstep command.
fn main() {}
