//! The rotate-api function.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    fourstep::run("rotate-api", rotate_api::rotator).await
}
