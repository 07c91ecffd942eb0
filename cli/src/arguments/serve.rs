//! What `fourstep serve` may be told.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{Pending, ProcessArguments};
use crate::serve::{address, host};

const SERVE: &str = "For example:
  fourstep serve --rotator target/debug/rotate-postgres --secret app/db=secret.json
  AWS_ENDPOINT_URL=http://127.0.0.1:4566 aws secretsmanager rotate-secret --secret-id app/db \\
      --rotation-lambda-arn arn:aws:lambda:us-east-1:000000000000:function:rotate-postgres
Manual: docs/serve.md in the repository.";

/// Serve a local Secrets Manager for the AWS CLI and any SDK.
///
/// It checks no credentials. Point a client at it with AWS_ENDPOINT_URL=http://ADDRESS:PORT and any access
/// key; instead of the address, localhost and host.docker.internal will do, and no other name unless it is
/// allowed, so that no web page can ask it. Without --store it keeps secrets in memory, and they are gone
/// when it ends. With --rotator the target really gets new passwords, and this is the only place that has
/// them.
#[derive(Args)]
#[command(after_help = SERVE)]
pub(crate) struct ServeArguments {
    /// Where to listen: an address and a port, or a port alone, for this machine only. Anyone who reaches
    /// this address can read every secret in it.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4566", value_parser = address)]
    pub(crate) listen: SocketAddr,
    /// Take requests by this host name too, such as the name of the service in Docker Compose; may be
    /// repeated. Nobody else may be able to give that name to a machine.
    #[arg(long = "allow-host", value_name = "NAME", value_parser = host)]
    pub(crate) hosts: Vec<String>,
    /// Store this secret at the start, of a file with its value; may be repeated. A secret that the --store
    /// has is left as it is. A file is never written.
    #[arg(long = "secret", value_name = "NAME=FILE")]
    pub(crate) secrets: Vec<String>,
    /// The same of a file that holds the bytes of a SecretBinary.
    #[arg(long = "binary", value_name = "NAME=FILE")]
    pub(crate) binaries: Vec<String>,
    /// Keep everything in this file, which is written after each change. It holds passwords in plain text.
    #[arg(long, value_name = "FILE")]
    pub(crate) store: Option<PathBuf>,
    /// Play the four steps through this function binary when RotateSecret is called and when a rotation is
    /// due, and hand it what `aws lambda invoke` sends. Without it RotateSecret only makes the empty
    /// AWSPENDING version.
    #[arg(long, value_name = "BINARY")]
    pub(crate) rotator: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) process: ProcessArguments,
    /// What becomes of AWSPENDING after a rotation. The service does either.
    #[arg(long, value_enum, default_value_t = Pending::Removed)]
    pub(crate) pending_label: Pending,
    /// Write a line for each request to standard error: time, operation, secret, status, error, milliseconds.
    #[arg(long)]
    pub(crate) log: bool,
    /// Say where it listens as one JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}
