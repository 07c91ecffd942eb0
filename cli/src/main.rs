//! The `fourstep` command: replays rotations on this machine, and serves a local Secrets Manager.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use fourstep::Step;
use fourstep::store::memory::{MemoryStore, PendingLabel};
use fourstep_cli::player::Player;
use fourstep_cli::replay::{Format, Options, Report, Rotator, replay};
use fourstep_cli::serve;

/// Rotate AWS Secrets Manager secrets on your own machine.
#[derive(Parser)]
#[command(name = "fourstep", version)]
struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Serve(ServeArguments),
    Replay(ReplayArguments),
}

/// Serve a local Secrets Manager for the AWS CLI and any SDK.
///
/// It keeps secrets in memory, checks no credentials and is gone when it ends. Point a client at
/// it with AWS_ENDPOINT_URL=http://ADDRESS:PORT and any access key. With --rotator the target
/// really gets new passwords, and this is the only place that has them: read them before you stop.
#[derive(Args)]
struct ServeArguments {
    /// Where to listen. Anyone who reaches this address can read every secret in it.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4566")]
    listen: SocketAddr,
    /// Play the four steps through this function binary when RotateSecret is called. Without it
    /// RotateSecret only makes the empty AWSPENDING version.
    #[arg(long, value_name = "BINARY")]
    rotator: Option<PathBuf>,
    #[command(flatten)]
    function: FunctionArguments,
}

/// Play whole rotations against a real target, a fresh process for each step, as Lambda would.
///
/// The target really gets new passwords, so FILE is kept up to date: when a rotation has finished
/// it holds the new secret value, and a password that was proposed is in FILE.journal before the
/// step that makes it live. To show whether each labelled version logs in, it logs in with each
/// one before the first step and after every step, the refused ones included.
#[derive(Args)]
#[command(group = clap::ArgGroup::new("function").required(true).args(["rotator", "sam"]))]
struct ReplayArguments {
    /// The function binary, for example target/debug/rotate-postgres.
    #[arg(long, value_name = "BINARY")]
    rotator: Option<PathBuf>,
    /// Play through `sam local invoke` what `sam build` made of this folder's template: its only
    /// function, or the one with this logical id. --env reaches only variables that the template
    /// declares, and its Timeout stands in for --timeout.
    #[arg(long, value_name = "FUNCTION", num_args = 0..=1)]
    sam: Option<Option<String>>,
    /// Where the local Secrets Manager listens meanwhile. On Linux a container needs the address of
    /// Docker's bridge: --listen 172.17.0.1:0. Whoever reaches it can read the secret.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A file with the secret value, as it stands in Secrets Manager.
    #[arg(long, value_name = "FILE")]
    secret: PathBuf,
    /// Deliver only this step; may be repeated, in any order. Default: all four.
    #[arg(long = "step", value_name = "STEP", value_parser = step)]
    steps: Vec<Step>,
    /// Deliver every step twice, as Secrets Manager may.
    #[arg(long)]
    twice: bool,
    /// How many rotations to play, one after the other.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    rotations: u32,
    /// Play RotateSecret with RotateImmediately=false: testSecret only, on a copy of AWSCURRENT.
    #[arg(long, conflicts_with_all = ["steps", "rotations"])]
    test_only: bool,
    /// Print one JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    function: FunctionArguments,
    /// What follows -- goes to `sam local invoke`, for example --skip-pull-image.
    #[arg(last = true, conflicts_with = "rotator", value_name = "SAM ARGUMENT")]
    sam_arguments: Vec<String>,
}

#[derive(Args)]
struct FunctionArguments {
    /// A variable for the function; may be repeated.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    environment: Vec<(String, String)>,
    /// How long the function may take for one step, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=900))]
    timeout: u64,
    /// What becomes of AWSPENDING after a rotation. The service does either.
    #[arg(long, value_enum, default_value_t = Pending::Removed)]
    pending_label: Pending,
}

#[derive(Clone, Copy, ValueEnum)]
enum Pending {
    /// It is removed.
    Removed,
    /// It stays on the new current version.
    Left,
}

impl From<Pending> for PendingLabel {
    fn from(pending: Pending) -> Self {
        match pending {
            Pending::Removed => Self::Removed,
            Pending::Left => Self::Left,
        }
    }
}

fn step(name: &str) -> Result<Step, String> {
    Step::parse(name)
        .ok_or_else(|| "must be createSecret, setSecret, testSecret or finishSecret".to_owned())
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be NAME=VALUE".to_owned()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let ended = match Command::parse().action {
        Action::Serve(arguments) => run_serve(arguments).await,
        Action::Replay(arguments) => run_replay(arguments).await,
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fourstep: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run_replay(arguments: ReplayArguments) -> io::Result<bool> {
    let ReplayArguments { secret, twice, rotations, test_only, listen, function, .. } = arguments;
    let rotator = match (arguments.rotator, arguments.sam) {
        (Some(binary), _) => Rotator::Binary(binary),
        (None, function) => {
            reachable_from_a_container(listen)?;
            Rotator::Sam { function: function.flatten(), arguments: arguments.sam_arguments }
        }
    };
    let steps = arguments.steps;
    let options = Options {
        rotator,
        listen,
        secret,
        environment: function.environment,
        steps: if steps.is_empty() { Step::ALL.to_vec() } else { steps },
        twice,
        rotations,
        test_only,
        pending_label: function.pending_label.into(),
        timeout: Duration::from_secs(function.timeout),
    };
    let format = if arguments.json { Format::Json } else { Format::Table };
    let mut out = io::stdout();
    let mut report = Report::new(&mut out, format);
    let ended = replay(&options, &mut report).await;
    if let Err(error) = &ended {
        report.broke_off(error)?;
    }
    ended
}

/// Better said before the first step than by a function that reaches nothing.
fn reachable_from_a_container(listen: SocketAddr) -> io::Result<()> {
    if cfg!(target_os = "linux") && listen.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "a container cannot reach {listen}; add --listen with the address of Docker's \
                 bridge, usually --listen 172.17.0.1:0"
            ),
        ));
    }
    Ok(())
}

async fn run_serve(arguments: ServeArguments) -> io::Result<bool> {
    let ServeArguments { listen, rotator, function } = arguments;
    // Bound first, so that a function can be told the port even where the system chose it.
    let listener = serve::bind(listen).await?;
    let address = listener.local_addr()?;
    let plays = rotator.is_some();
    let player = rotator.map(|rotator| {
        Arc::new(Player {
            rotator,
            endpoint: format!("http://{address}"),
            environment: function.environment,
            timeout: Duration::from_secs(function.timeout),
            pending_label: function.pending_label.into(),
        }) as Arc<dyn serve::OnRotate>
    });
    let mut server = serve::serve_on(listener, Arc::new(MemoryStore::new()), player)?;
    let url = server.url();
    let loss = if plays {
        "\nThe rotator gives the target new passwords, which are nowhere but here: \
         read them before you stop this."
    } else {
        ""
    };
    // Whoever reads this may stop reading at any time; that is no reason to stop serving.
    let _ = writeln!(
        io::stdout(),
        "A local Secrets Manager listens on {url}. Its secrets are in memory only.\n\
         Point a client at it: AWS_ENDPOINT_URL={url} with any access key.{loss}"
    );
    tokio::select! {
        ended = server.wait() => ended?,
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(true)
}
