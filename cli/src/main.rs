//! The `fourstep` command: replays rotations on this machine, and serves a local Secrets Manager.

mod arguments;
mod serve;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory as _, Parser};
use clap_complete::Shell;
use fourstep::{Question, Step};
use fourstep_cli::account;
use fourstep_cli::account::Attach;
use fourstep_cli::account::aws::{Account, Selection};
use fourstep_cli::account::doctor::Doctor;
use fourstep_cli::account::migrate::{Migrate, Mode, Moves};
use fourstep_cli::function::Function;
use fourstep_cli::new::new;
use fourstep_cli::replay::crash::disturb;
use fourstep_cli::replay::{Format, Options, Report, Rotator, Stage, ask, ask_there, replay, show};
use fourstep_cli::{slips, spec, terminal};
use serde_json::json;

use arguments::{
    Action, AskArguments, AttachArguments, Command, DoctorArguments, MigrateArguments,
    NewArguments, ReachArguments, ReplayArguments, SpecAction, StageArguments,
};

#[tokio::main]
async fn main() -> ExitCode {
    let (json, ended) = match parsed().action {
        Action::Serve(arguments) => (arguments.json, serve::run(arguments).await),
        Action::Replay(arguments) => (arguments.json, run_replay(arguments).await),
        Action::Inspect(arguments) => (arguments.json, run_ask(Question::Inspect, arguments).await),
        Action::Preflight(arguments) => {
            (arguments.json, run_ask(Question::Preflight, arguments).await)
        }
        Action::Plan(arguments) => (arguments.json, run_ask(Question::Plan, arguments).await),
        Action::Doctor(arguments) => (arguments.json, run_doctor(arguments).await),
        Action::Attach(arguments) => (arguments.json, run_attach(arguments).await),
        Action::Migrate(arguments) => (arguments.json, run_migrate(arguments).await),
        Action::Spec { action: SpecAction::Check { file, json } } => {
            (json, spec::check(&file, format(json), &mut io::stdout()))
        }
        Action::Spec { action: SpecAction::List } => (false, spec::list(&mut io::stdout())),
        Action::Spec { action: SpecAction::Show { name } } => {
            (false, spec::show(&name, &mut io::stdout()))
        }
        Action::New(NewArguments { name, framework }) => {
            (false, new(&name, &framework, Path::new("."), &mut io::stdout()))
        }
        Action::Completions { shell } => (false, completions(shell)),
        Action::Man { folder } => {
            (false, clap_mangen::generate_to(Command::command(), folder).map(|()| true))
        }
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            if json {
                let why = error.to_string();
                let _ = writeln!(
                    io::stdout(),
                    "{}",
                    json!({"event": "end", "ok": false, "error": why})
                );
            }
            let _ = writeln!(io::stderr(), "fourstep: {error}");
            ExitCode::from(2)
        }
    }
}

/// The command line. Who misspelt a flag is told the right one, and not to pass the wrong one on behind
/// `--`, where `sam` would get it.
fn parsed() -> Command {
    Command::try_parse().unwrap_or_else(|mut error| {
        let kind = ContextKind::Suggested;
        if let Some(ContextValue::StyledStrs(mut tips)) = error.remove(kind) {
            tips.retain(|tip| !tip.to_string().contains(" as a value"));
            if !tips.is_empty() {
                error.insert(kind, ContextValue::StyledStrs(tips));
            }
        }
        error.exit()
    })
}

fn completions(shell: Shell) -> io::Result<bool> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Command::command(), "fourstep", &mut script);
    io::stdout().write_all(&script).map(|()| true)
}

async fn run_ask(question: Question, arguments: AskArguments) -> io::Result<bool> {
    let format = format(arguments.json);
    let mut out: Box<dyn Write> = match (format, question) {
        // Statements to be copied.
        (Format::Json, _) | (_, Question::Plan) => Box::new(io::stdout()),
        _ => terminal::stdout(),
    };
    if let (Some(endpoint), Some(secret)) = (&arguments.endpoint, &arguments.secret_id) {
        let StageArguments { rotator, process, .. } = arguments.stage;
        let rotator = rotator.ok_or_else(|| io::Error::other("--rotator is missing"))?;
        let timeout = Duration::from_secs(process.timeout);
        let function =
            Function::new(&slips::rotator(&rotator)?, endpoint, &process.environment, timeout)
                .with_output(process.verbose);
        let asked = ask_there(&function, question, secret).await?;
        return show(&asked, question, format, &mut out);
    }
    let Some(secret) = arguments.name else {
        return ask(&stage(arguments.stage)?, question, format, &mut out).await;
    };
    let account = connect(&arguments.reach).await?;
    let asked = account::ask(&account, question, &secret).await?;
    show(&asked, question, format, &mut out)
}

async fn run_doctor(arguments: DoctorArguments) -> io::Result<bool> {
    let tag = arguments.tag.map(tag);
    let doctor = Doctor {
        ask: arguments.ask,
        secrets: arguments.secrets,
        selection: Selection { tag, function: arguments.function },
        fix: arguments.fix,
        yes: arguments.yes,
        stuck_after: i64::from(arguments.stuck_after),
        all: arguments.all,
        patience: Duration::from_secs(arguments.wait.into()),
    };
    let mut regions: Vec<_> = arguments.reach.region.iter().map(|one| Some(one.as_str())).collect();
    if regions.is_empty() {
        regions.push(None);
    }
    let (format, profile) = (format(arguments.json), arguments.reach.profile.as_deref());
    let (mut out, mut fine, mut unseen) = (io::stdout(), true, 0);
    for region in regions {
        let account = Account::connect(profile, region).await?;
        let counts = doctor.run(&account, format, &mut out).await?;
        (fine, unseen) = (fine && counts.wrong == 0, unseen + counts.unseen);
        if format == Format::Table {
            writeln!(out, "{}: {}", account.region(), counts.text())?;
        }
    }
    if unseen > 0 {
        let what = account::text::count(unseen, "secret");
        return Err(io::Error::other(format!("{what} could not be looked at")));
    }
    Ok(fine)
}

async fn run_attach(arguments: AttachArguments) -> io::Result<bool> {
    let account = connect(&arguments.reach).await?;
    let attach = Attach {
        secret: arguments.secret,
        function: arguments.function,
        schedule: arguments.schedule,
        window: arguments.window,
        patience: Duration::from_secs(arguments.wait),
    };
    attach.run(&account, format(arguments.json), &mut io::stdout()).await
}

/// A tag, and its value if one is given.
fn tag(tag: String) -> (String, Option<String>) {
    match tag.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (tag, None),
    }
}

async fn run_migrate(arguments: MigrateArguments) -> io::Result<bool> {
    let account = connect(&arguments.reach).await?;
    let (format, back) = (format(arguments.json), arguments.back.is_some());
    let migrate = Migrate {
        secrets: arguments.secrets,
        selection: Selection { tag: arguments.tag.map(tag), function: None },
        functions: arguments.functions,
        templates: arguments.templates,
        any_passwords: arguments.any_passwords,
        mode: match (arguments.moves, arguments.wave) {
            (true, _) => Mode::Each,
            (_, Some(most)) => Mode::Wave(usize::try_from(most).unwrap_or(usize::MAX)),
            _ => Mode::Look,
        },
        yes: arguments.yes,
        file: arguments.back.unwrap_or(arguments.file),
        patience: Duration::from_secs(arguments.wait),
    };
    let (mut out, looks) = (io::stdout(), migrate.mode == Mode::Look && !back);
    let Moves { seen, found, ready, wanted, done, failed, unseen } = if back {
        migrate.back(&account, format, &mut out).await?
    } else {
        migrate.run(&account, format, &mut out).await?
    };
    if format == Format::Table {
        let region = account.region();
        let told = match back {
            true => format!("{seen} secrets of the file; put back {done}, not {failed}"),
            false => {
                let next = match looks {
                    true => {
                        "to move these: --move, and --function with the name of ours".to_owned()
                    }
                    false => format!("moved {done}, not {failed}"),
                };
                let seen = account::text::count(seen, "secret");
                format!(
                    "{seen} looked at; AWS's functions rotate {found}, of which {ready} are ready; {next}"
                )
            }
        };
        writeln!(out, "{region}: {told}.")?;
    }
    if unseen > 0 {
        return Err(io::Error::other(format!("{unseen} secrets could not be looked at")));
    }
    Ok(failed == 0 && if looks { ready == found } else { done >= wanted })
}

/// The one Region of a command about one secret.
async fn connect(reach: &ReachArguments) -> io::Result<Account> {
    let region = match &reach.region[..] {
        [] => None,
        [region] => Some(region.as_str()),
        _ => return Err(io::Error::other("this command is about one Region")),
    };
    Account::connect(reach.profile.as_deref(), region).await
}

fn format(json: bool) -> Format {
    if json { Format::Json } else { Format::Table }
}

fn stage(arguments: StageArguments) -> io::Result<Stage> {
    let StageArguments { secret, binary, arn, admin, listen, process, .. } = arguments;
    let rotator = match (arguments.rotator, arguments.sam) {
        (Some(function), _) => Rotator::Binary(slips::rotator(&function)?),
        (None, function) => {
            reachable_from_a_container(listen)?;
            Rotator::Sam { function: function.flatten(), arguments: arguments.sam_arguments }
        }
    };
    let timeout = Duration::from_secs(process.timeout);
    let secret = secret.ok_or_else(|| io::Error::other("--secret is missing"))?;
    let environment = process.environment;
    let verbose = process.verbose;
    Ok(Stage { rotator, listen, secret, binary, arn, admin, environment, timeout, verbose })
}

async fn run_replay(arguments: ReplayArguments) -> io::Result<bool> {
    let ReplayArguments { twice, rotations, test_only, steps, .. } = arguments;
    let plan = arguments.disturbance.plan();
    if test_only && rotations > 1 {
        let what =
            "--rotations: a test of the configuration is made once; leave this out, or --test-only";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let options = Options {
        stage: stage(arguments.stage)?,
        steps: if steps.is_empty() { Step::ALL.to_vec() } else { steps },
        twice,
        rotations,
        test_only,
        pending_label: arguments.pending_label.into(),
    };
    let format = format(arguments.json);
    let mut out = match format {
        Format::Json => Box::new(io::stdout()),
        Format::Table => terminal::stdout(),
    };
    let mut report = Report::new(&mut out, format);
    match plan {
        Some(plan) => disturb(&options, &plan, &mut report).await,
        None => replay(&options, &mut report).await,
    }
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
