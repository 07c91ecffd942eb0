//! The `fourstep` command: replays rotations on this machine, and serves a local Secrets Manager.

mod arguments;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use fourstep::Step;
use fourstep::store::memory::MemoryStore;
use fourstep_cli::player::Player;
use fourstep_cli::replay::crash::disturb;
use fourstep_cli::replay::{Format, Options, Report, Rotator, replay};
use fourstep_cli::serve;

use arguments::{Action, Command, ReplayArguments, ServeArguments};

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
    let plan = arguments.disturbance.plan();
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
    let ended = match plan {
        Some(plan) => disturb(&options, &plan, &mut report).await,
        None => replay(&options, &mut report).await,
    };
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
