//! The command line: what may be asked, and what each word means.

mod account;
mod serve;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use fourstep::Step;
use fourstep_cli::replay::SecretArn;
use fourstep_cli::replay::crash::{Disturbance, Plan, Points, Reset};
use fourstep_local::PendingLabel;

pub(crate) use account::{
    AskArguments, AttachArguments, DoctorArguments, MigrateArguments, ReachArguments,
};
pub(crate) use serve::ServeArguments;

const START: &str = "Start with a question, which changes nothing:
  fourstep preflight --rotator target/debug/rotate-postgres --secret secret.json
The exit status is 0 if all is well, 1 if something is not, 2 if the command could not run.
Manual: docs/replay.md in the repository.";

const REPLAY: &str = "For example, a test that changes nothing, then two rotations:
  fourstep replay --rotator target/debug/rotate-postgres --secret secret.json --test-only
  fourstep replay --rotator target/debug/rotate-postgres --secret secret.json --rotations 2";

/// Rotate AWS Secrets Manager secrets on your own machine.
#[derive(Parser)]
#[command(name = "fourstep", version, long_version = long_version(), after_help = START)]
pub(crate) struct Command {
    #[command(subcommand)]
    pub(crate) action: Action,
}

/// Which Regions' databases are trusted without a setting belongs to what a build is.
fn long_version() -> String {
    let regions = fourstep::net::rds_regions().join(", ");
    format!("{}\nAmazon RDS roots of the Regions: {regions}", env!("CARGO_PKG_VERSION"))
}

#[derive(Subcommand)]
pub(crate) enum Action {
    Serve(ServeArguments),
    Replay(ReplayArguments),
    /// Ask a function which labelled versions of a secret log in.
    Inspect(AskArguments),
    /// Ask a function whether a rotation would succeed: every obstacle, not only the first.
    Preflight(AskArguments),
    /// Ask a function what a rotation would do at the target, and what should be done before it.
    Plan(AskArguments),
    Doctor(DoctorArguments),
    Attach(AttachArguments),
    Migrate(MigrateArguments),
    /// Work on a specification for rotate-api, which rotates the keys of third-party APIs.
    Spec {
        #[command(subcommand)]
        action: SpecAction,
    },
    New(NewArguments),
    /// Print what completes this command in a shell.
    #[command(after_help = "For example:
  fourstep completions bash >~/.local/share/bash-completion/completions/fourstep")]
    Completions {
        /// The shell.
        #[arg(value_name = "SHELL", value_enum)]
        shell: Shell,
    },
    /// Write manual pages, one for each command.
    #[command(after_help = "For example:
  mkdir -p ~/.local/share/man/man1 && fourstep man ~/.local/share/man/man1 && man fourstep-replay")]
    Man {
        /// The folder to write them into.
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
}

/// Make a project for a rotator of your own, which compiles, proves and deploys as it is.
///
/// It rotates the users of a stand-in server. Replace what speaks to that by what speaks to yours.
#[derive(Args)]
#[command(after_help = "For example, beside a checkout of Fourstep:
  fourstep new rotate-queue --framework fourstep && cd rotate-queue && cargo test")]
pub(crate) struct NewArguments {
    /// The name of the project, of its folder and of its function, such as rotate-queue.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// A checkout of Fourstep's repository: its crates are on no registry yet.
    #[arg(long, value_name = "PATH")]
    pub(crate) framework: PathBuf,
}

#[derive(Subcommand)]
pub(crate) enum SpecAction {
    /// Explain everything that is wrong with a specification, with its line. Asks nobody.
    Check {
        /// The specification, a TOML file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print one JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// List the specifications that are part of rotate-api, by the names that ROTATION_SPEC takes.
    List,
    /// Print a specification that is part of rotate-api, to read its secret's shape or to copy it.
    Show {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// Play whole rotations against a real target, a fresh process for each step, as Lambda would.
///
/// The target really gets new passwords, so FILE is kept up to date: when a rotation has finished
/// it holds the new secret value, and a password that was proposed is in FILE.journal before the
/// step that makes it live. To show whether each labelled version logs in, it logs in with each
/// one before the first step and after every step, the refused ones included.
#[derive(Args)]
#[command(after_help = REPLAY)]
pub(crate) struct ReplayArguments {
    #[command(flatten)]
    pub(crate) stage: StageArguments,
    /// Deliver only this step; may be repeated, delivered in the order given. Default: all four.
    #[arg(long = "step", value_name = "STEP", value_parser = step)]
    pub(crate) steps: Vec<Step>,
    /// Deliver every step twice, as Secrets Manager may.
    #[arg(long)]
    pub(crate) twice: bool,
    /// How many rotations to play, one after the other.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rotations: u32,
    /// Play RotateSecret with RotateImmediately=false: testSecret only, on a copy of AWSCURRENT.
    #[arg(long, conflicts_with = "steps")]
    pub(crate) test_only: bool,
    #[command(flatten)]
    pub(crate) disturbance: DisturbanceArguments,
    /// Print one JSON object a line instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// What becomes of AWSPENDING after a rotation. The service does either.
    #[arg(long, value_enum, default_value_t = Pending::Removed)]
    pub(crate) pending_label: Pending,
}

/// A function and a secret to try it with.
#[derive(Args)]
#[command(group = clap::ArgGroup::new("function").required(true).args(["rotator", "sam"]))]
pub(crate) struct StageArguments {
    /// The function binary, for example target/debug/rotate-postgres.
    #[arg(long, value_name = "BINARY")]
    pub(crate) rotator: Option<PathBuf>,
    /// Play through `sam local invoke` what `sam build` made of this folder's template: its only
    /// function, or the one with this logical id. --env reaches only variables that the template
    /// declares, and its Timeout stands in for --timeout.
    #[arg(long, value_name = "FUNCTION", num_args = 0..=1)]
    pub(crate) sam: Option<Option<String>>,
    /// Where the local Secrets Manager listens meanwhile. On Linux a container needs the address of
    /// Docker's bridge: --listen 172.17.0.1:0. It answers this function only, by an access key id
    /// that is made for this run.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0", value_parser = crate::serve::address)]
    pub(crate) listen: SocketAddr,
    /// A file with the secret value, as it stands in Secrets Manager. What changes nothing reads a pipe
    /// too, and standard input, which is -.
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) secret: Option<PathBuf>,
    /// FILE holds the bytes of a SecretBinary, and not the text of a SecretString.
    #[arg(long)]
    pub(crate) binary: bool,
    /// The secret's whole ARN in AWS, of which AWS is asked nothing. Name it where two users take turns:
    /// they are marked with it, and without it preflight and plan do not know a pair that was marked in
    /// AWS, and replay marks one that is not known there. Default: an ARN made of FILE's path.
    #[arg(long, value_name = "ARN", value_parser = SecretArn::parse)]
    pub(crate) arn: Option<SecretArn>,
    /// A file, a pipe or - with the value of the admin's secret, where the secret names one as
    /// "masterarn". It is read and never changed.
    #[arg(long, value_name = "FILE")]
    pub(crate) admin: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) process: ProcessArguments,
    /// What follows -- goes to `sam local invoke`, for example --skip-pull-image.
    #[arg(last = true, conflicts_with = "rotator", value_name = "SAM ARGUMENT")]
    pub(crate) sam_arguments: Vec<String>,
}

#[derive(Args)]
#[command(group = clap::ArgGroup::new("disturbed").args(["crash", "fault"]))]
pub(crate) struct DisturbanceArguments {
    /// Kill the function's process before and after every call that it makes to Secrets Manager and
    /// to the database, a rotation for each, or at one point of that table, or at one of M parts of
    /// it. Each rotation is then played again in new processes and must succeed; meanwhile some
    /// labelled version must log in. The secret's "ssl" must be true or false.
    #[arg(long, value_name = "all|N|N/M", value_parser = points, conflicts_with_all = UNDISTURBED)]
    pub(crate) crash: Option<Points>,
    /// The same with a fault in place of a kill. It lasts as long as the process; the function must
    /// report it, or get over it.
    #[arg(long, value_name = "KIND", value_enum, conflicts_with_all = UNDISTURBED)]
    pub(crate) fault: Option<Fault>,
    /// Play the fault at this point of the table only.
    #[arg(long, value_name = "N", requires = "fault", value_parser = point)]
    pub(crate) at: Option<usize>,
    /// Run this command by `sh -c` before each of these rotations, for example to drop the second of
    /// two users, so that every rotation makes it.
    #[arg(long, value_name = "COMMAND", requires = "disturbed")]
    pub(crate) reset: Option<String>,
}

/// What has no meaning where a rotation is disturbed. Only a process can be killed.
const UNDISTURBED: [&str; 5] = ["sam", "steps", "twice", "rotations", "test_only"];

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Fault {
    /// Secrets Manager answers ThrottlingException; the call has no effect.
    Throttling,
    /// Secrets Manager answers HTTP 500, before or after the call's effect.
    ServerError,
    /// The call takes effect, but no answer comes. The step is given 2 seconds, setSecret 6.
    Slow,
    /// The connection is reset, before or after the call's effect.
    Reset,
    /// All of these, one after the other at each point.
    All,
}

impl DisturbanceArguments {
    /// What is to be done to the function, if anything is.
    pub(crate) fn plan(&self) -> Option<Plan> {
        let reset = self.reset.clone().map(Reset::new);
        let disturbances = match self.fault {
            None => {
                let disturbances = vec![Disturbance::Kill];
                return Some(Plan { disturbances, points: self.crash?, reset });
            }
            Some(Fault::Throttling) => vec![Disturbance::Throttling],
            Some(Fault::ServerError) => vec![Disturbance::ServerError],
            Some(Fault::Slow) => vec![Disturbance::Slow],
            Some(Fault::Reset) => vec![Disturbance::Reset],
            Some(Fault::All) => Disturbance::FAULTS.to_vec(),
        };
        let points = self.at.map_or(Points::All, Points::One);
        Some(Plan { disturbances, points, reset })
    }
}

#[derive(Args)]
pub(crate) struct ProcessArguments {
    /// A variable for the function; may be repeated.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) environment: Vec<(String, String)>,
    /// How long the function may take for one step, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=900))]
    pub(crate) timeout: u64,
    /// Write what the function writes, its log line among it, to standard error as it comes.
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Pending {
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

fn point(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "must be the number of a point".to_owned())
}

fn points(text: &str) -> Result<Points, String> {
    let wrong = |error| format!("{error}, a part as 1/5, or all");
    let Some((part, of)) = text.split_once('/') else {
        return match text {
            "all" => Ok(Points::All),
            number => point(number).map(Points::One).map_err(wrong),
        };
    };
    match (point(part), point(of)) {
        (Ok(part), Ok(of)) if part <= of => Ok(Points::Part { part, of }),
        _ => Err(wrong("must be the number of a point".to_owned())),
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be NAME=VALUE".to_owned()),
    }
}
