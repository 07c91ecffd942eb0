//! The rotate-iam function.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    fourstep::run("rotate-iam", rotate_iam::rotator).await
}
