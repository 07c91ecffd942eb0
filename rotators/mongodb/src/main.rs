//! The rotate-mongodb function.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    fourstep::run("rotate-mongodb", rotate_mongodb::strategies).await
}
