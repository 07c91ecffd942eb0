//! The rotate-example function.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    fourstep::run("rotate-example", rotate_example::strategies).await
}
