//! What may be asked of secrets in an AWS account, and of one secret anywhere.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::StageArguments;
use fourstep_cli::account::doctor::USUAL;

const ASK: &str = "For example, of a secret in AWS, whose own function answers:
  fourstep preflight app/db --profile production
Of a value on this machine, by a function on this machine:
  fourstep preflight --rotator target/debug/rotate-postgres --secret secret.json
Of a secret in `fourstep serve`, by a function on this machine:
  fourstep preflight --rotator target/debug/rotate-postgres --endpoint http://127.0.0.1:4566 --secret-id app/db";

const DOCTOR: &str = "For example, every secret of a Region, then one of them mended:
  fourstep doctor --region eu-central-1
  fourstep doctor app/db --fix
The exit status is 0 if nothing is wrong, 1 if something is, 2 if it could not look.
Manual: docs/doctor.md in the repository.";

const ATTACH: &str = "For example:
  fourstep attach app/db --function fourstep-postgres --schedule 'cron(0 3 ? * SUN *)' --window 3h
The exit status is 0 if a rotation would succeed, 1 if not (then what rotated it before does so again, or
rotation is off), 2 if it is not known.
Manual: docs/doctor.md in the repository.";

const MIGRATE: &str = "For example, what there is to move, then three of it, then all back:
  fourstep migrate --function fourstep-postgres --function fourstep-mysql
  fourstep migrate --function fourstep-postgres --wave 3 --file moves.json
  fourstep migrate --back moves.json
A secret is put back where our function's test of it failed. Where no outcome is seen in time it is not: then
run the same again, or fourstep migrate --back moves.json SECRET.
The exit status is 0 if all that was found or named is moved (or ready, or back), 1 if not, 2 if it could not run.
Manual: docs/migrate.md in the repository.";

/// Which account and Region, as every AWS tool finds them.
#[derive(Args)]
pub(crate) struct ReachArguments {
    /// A profile of the AWS configuration files. Default: AWS_PROFILE, or what the environment has.
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// The Region. Default: AWS_REGION, or the profile's.
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Vec<String>,
}

/// Ask a function about a secret. Nothing is changed, and no value is shown.
///
/// With SECRET, the function that this secret in AWS names is asked, where it is deployed. Without, a
/// function on this machine is asked, about a value on this machine or about a secret at an endpoint.
#[derive(Args)]
#[command(after_help = ASK)]
#[command(group = ArgGroup::new("asked").required(true).multiple(true).args(["name", "rotator", "sam"]))]
#[command(mut_group("function", |group| group.required(false)))]
#[command(mut_arg("secret", |argument| argument.required(false).required_unless_present_any(["name", "endpoint"])))]
pub(crate) struct AskArguments {
    /// The name or ARN of a secret in AWS.
    #[arg(value_name = "SECRET", conflicts_with_all = ["rotator", "sam", "secret", "arn", "admin", "binary"])]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) reach: ReachArguments,
    /// A Secrets Manager that has the secret, such as the address of `fourstep serve`, instead of a file.
    #[arg(long, value_name = "URL", requires = "secret_id", requires = "rotator", conflicts_with_all = ["name", "sam", "secret", "arn", "admin", "binary", "profile", "region"])]
    pub(crate) endpoint: Option<String>,
    /// The name or ARN of a secret at that endpoint.
    #[arg(long, value_name = "NAME", requires = "endpoint")]
    pub(crate) secret_id: Option<String>,
    #[command(flatten)]
    pub(crate) stage: StageArguments,
    /// Print the function's answer, one JSON object, instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Look at every secret of an account: which are stuck, why, and what to type. No value is read.
///
/// A secret is stuck if AWSPENDING is on a version that is not current, for longer than a rotation
/// takes. Its function is then asked which version logs in, and the answer decides what is right
/// (docs/operate.md, "A stuck rotation").
#[derive(Args)]
#[command(after_help = DOCTOR)]
pub(crate) struct DoctorArguments {
    /// Names or ARNs of secrets. Without any, every secret of the Region is looked at.
    #[arg(value_name = "SECRET")]
    pub(crate) secrets: Vec<String>,
    #[command(flatten)]
    pub(crate) reach: ReachArguments,
    /// Only secrets with this tag, and with this value of it, if one is given.
    #[arg(long, value_name = "KEY[=VALUE]", conflicts_with = "secrets")]
    pub(crate) tag: Option<String>,
    /// Only secrets that this function rotates: its name or ARN.
    #[arg(long, value_name = "FUNCTION")]
    pub(crate) function: Option<String>,
    /// Do what the table calls right and safe, after asking for each secret; then look again.
    #[arg(long)]
    pub(crate) fix: bool,
    /// Do not ask: for scripts.
    #[arg(long, requires = "fix")]
    pub(crate) yes: bool,
    /// For how long a rotation may be under way before it counts as stuck, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = USUAL)]
    pub(crate) stuck_after: u32,
    /// How long a rotation that mends a secret is waited for, in seconds. With 0 none is: look again later.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) wait: u32,
    /// Ask the function of every secret that rotates, and not only where a rotation is stuck or the secret
    /// is named: whether AWSCURRENT logs in, whether somebody still uses the login that the next rotation replaces, and whether it ends
    /// before that. The function logs in once with each labelled version.
    #[arg(long)]
    pub(crate) ask: bool,
    /// Show the secrets that nothing is wrong with, too.
    #[arg(long)]
    pub(crate) all: bool,
    /// Print one JSON object a line, for every secret, instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Make a function the rotation function of a secret in AWS. Nothing rotates until its schedule says so.
///
/// The function is asked first (preflight). Then it is attached, Secrets Manager has it test the secret,
/// and the outcome is waited for. If the test fails, the rotation function that was there is put back with
/// its schedule; where none was on, rotation is turned off, and the function stays named in the secret.
#[derive(Args)]
#[command(after_help = ATTACH)]
pub(crate) struct AttachArguments {
    /// The name or ARN of a secret.
    #[arg(value_name = "SECRET")]
    pub(crate) secret: String,
    /// The name or ARN of the function.
    #[arg(long, value_name = "FUNCTION")]
    pub(crate) function: String,
    /// When it rotates: `rate(30 days)`, `cron(0 3 ? * SUN *)`. Default: as the secret says already.
    #[arg(long, value_name = "EXPRESSION")]
    pub(crate) schedule: Option<String>,
    /// How long the window is in which a rotation may begin, in hours: `3h`.
    #[arg(long, value_name = "HOURS", requires = "schedule")]
    pub(crate) window: Option<String>,
    #[command(flatten)]
    pub(crate) reach: ReachArguments,
    /// How long the outcome of the test is waited for, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) wait: u64,
    /// Print JSON objects, one a line, instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Move the secrets that AWS's rotation functions rotate to yours, and back. Nothing rotates because of it.
///
/// Without --move and --wave it only looks: which of AWS's templates rotates each secret, which strategy and
/// settings it needs, and whether it is ready. A secret that is moved keeps its schedule; Secrets Manager
/// has the new function test it, and it is put back if the test fails.
#[derive(Args)]
#[command(after_help = MIGRATE)]
#[command(group = ArgGroup::new("acting").args(["moves", "wave", "back"]))]
pub(crate) struct MigrateArguments {
    /// Names or ARNs of secrets. Without any, every secret of the Region, or with --back of the file.
    #[arg(value_name = "SECRET")]
    pub(crate) secrets: Vec<String>,
    /// A function of Fourstep's that takes secrets over, one for each kind of database; where its name does
    /// not say the kind, postgres=NAME, mysql=NAME, mongodb=NAME, sqlserver=NAME or redis=NAME.
    #[arg(long = "function", value_name = "[KIND=]FUNCTION")]
    pub(crate) functions: Vec<String>,
    /// What an old function is, where nothing about it says so:
    /// my-function=SecretsManagerRDSMySQLRotationSingleUser.
    #[arg(long = "template", value_name = "FUNCTION=TEMPLATE")]
    pub(crate) templates: Vec<String>,
    /// Only secrets with this tag, and with this value of it, if one is given.
    #[arg(long, value_name = "KEY[=VALUE]", conflicts_with = "secrets")]
    pub(crate) tag: Option<String>,
    /// Move a secret although its new passwords would be made otherwise than those of the old function.
    #[arg(long)]
    pub(crate) any_passwords: bool,
    /// Move those that are ready, after asking for each.
    #[arg(long = "move", id = "moves")]
    pub(crate) moves: bool,
    /// Move so many of those that are ready, after asking once. The first that fails, or that an earlier run
    /// began and that fails now, ends the wave.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) wave: Option<u32>,
    /// Put the secrets of this file back whose function is still the one that was set, after asking for each.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["functions", "templates", "tag", "file", "any_passwords"])]
    pub(crate) back: Option<PathBuf>,
    /// Do not ask: for scripts. The first that fails ends the run.
    #[arg(long, requires = "acting")]
    pub(crate) yes: bool,
    /// The file that says how each secret was, for --back.
    #[arg(long, value_name = "FILE", default_value = "fourstep-migrate.json")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) reach: ReachArguments,
    /// How long the outcome of a test is waited for, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) wait: u64,
    /// Print JSON objects, one a line, instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}
