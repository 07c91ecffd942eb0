//! The rotate-mysql function.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    fourstep::run("rotate-mysql", rotate_mysql::strategies).await
}
