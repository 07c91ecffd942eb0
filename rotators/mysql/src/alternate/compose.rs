//! What is to be done to a pair, whichever way its users are kept equal.

use fourstep::users::Assessment;
use fourstep::{Error, ErrorKind, Result};

use crate::alternate::quoting::AccountName;
use crate::alternate::settings::Settings;
use crate::wire::Plugin;

pub(crate) use fourstep::users::Step;

/// What is done, and what is to be said of it.
pub(crate) type Composed = Assessment<Found>;

/// What was found that setting the password needs.
#[derive(Debug, Default)]
pub struct Found {
    /// What is run before. It becomes the one part of the assessment.
    pub(crate) steps: Vec<Step>,
    /// The accounts that get it, in one statement.
    pub(crate) finish: Vec<(AccountName, Plugin)>,
    /// Whether they may log in from then on.
    pub(crate) unlock: bool,
    /// Whether anything else was to be changed.
    pub(crate) changed: bool,
}

/// Source: Amazon RDS User Guide, "Creating a database account using IAM authentication".
const IAM: &str = "AWSAuthenticationPlugin";

/// How an account's password is checked, if it has one and nothing else.
pub(crate) fn plugin(name: &AccountName, settings: &Settings) -> Result<Plugin> {
    let plugin = Plugin::named(settings.plugin.as_bytes()).filter(|_| !settings.other_factors);
    plugin.ok_or_else(|| {
        let what = match settings.plugin.as_str() {
            IAM => format!(
                "account {} logs in by IAM ({IAM}) and not by a password; use caching_sha2_password \
                 for it, or stop rotating it",
                name.sql()
            ),
            _ => format!(
                "account {} does not log in by one password that is known here; use \
                 caching_sha2_password or mysql_native_password for it, or stop rotating it",
                name.sql()
            ),
        };
        Error::new(ErrorKind::Unsupported, what)
    })
}

/// The error about a user of which no account could be let in.
pub(crate) fn locked(user: &str) -> Error {
    let what =
        format!("every account of user {user:?} is locked; unlock one, as ACCOUNT UNLOCK does");
    Error::new(ErrorKind::Unsupported, what)
}

/// The error about an account that should have a counterpart and has none. It is not clear which of
/// the two users should change.
pub(crate) fn lone(account: &AccountName, counterpart: &AccountName) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "account {} has no counterpart {}; drop it, or create the counterpart; nothing was changed",
            account.sql(),
            counterpart.sql()
        ),
    )
}
