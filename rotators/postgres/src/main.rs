//! The rotate-postgres function.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    fourstep::run("rotate-postgres", rotate_postgres::strategies).await
}
