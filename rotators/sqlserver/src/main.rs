//! The rotate-sqlserver function.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    fourstep::run("rotate-sqlserver", rotate_sqlserver::strategies).await
}
