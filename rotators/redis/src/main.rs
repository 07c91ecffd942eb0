//! The rotate-redis function.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    fourstep::run("rotate-redis", rotate_redis::strategies).await
}
