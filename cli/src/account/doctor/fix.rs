//! The commands that mend a stuck rotation, to type or to run.

use std::io;

use super::Doctor;
use super::look::{Look, Stuck, look};
use super::table::{Advice, Row};
use crate::account::attach::clear;
use crate::account::aws::Account;
use crate::account::text::{length, now, word};

/// For how long the function's log must have no step of a rotation before that is ended, in seconds. The
/// steps of one follow each other within moments.
const QUIET: i64 = 300;

/// The commands to type, in their order, as docs/operate.md has them.
pub(super) fn commands(account: &Account, secret: &str, stuck: &Stuck) -> Vec<String> {
    let (pending, current) = (&stuck.pending, &stuck.current);
    match stuck.advice {
        None => Vec::new(),
        Some(Advice::Retry) => vec![rotate(account, secret)],
        Some(Advice::Discard) if stuck.rotation => {
            vec![discard(account, secret, pending), rotate(account, secret)]
        }
        Some(Advice::Discard) => vec![discard(account, secret, pending)],
        Some(Advice::Promote) => {
            let to = format!("--move-to-version-id {}", word(pending));
            vec![stage(
                account,
                secret,
                &format!("AWSCURRENT {to} --remove-from-version-id {}", word(current)),
            )]
        }
    }
}

/// Takes AWSPENDING off its version.
pub(super) fn discard(account: &Account, secret: &str, pending: &str) -> String {
    stage(account, secret, &format!("AWSPENDING --remove-from-version-id {}", word(pending)))
}

fn stage(account: &Account, secret: &str, rest: &str) -> String {
    aws(account, "update-secret-version-stage", secret) + " --version-stage " + rest
}

/// Asks for the same rotation again: the command, and what its answer means.
pub(super) fn retry(account: &Account, secret: &str) -> [String; 2] {
    let meant = "# it answers that the rotation \"will be reattempted\": that is the retry";
    [rotate(account, secret), meant.to_owned()]
}

fn rotate(account: &Account, secret: &str) -> String {
    aws(account, "rotate-secret", secret)
}

/// An operation of Secrets Manager on a secret, to type.
pub(super) fn aws(account: &Account, operation: &str, secret: &str) -> String {
    let (secret, options) = (word(secret), account.options());
    format!("aws secretsmanager {operation} --secret-id {secret} {options}")
}

/// Does what the table says, if all is as it was when somebody was asked, which may be long ago: Secrets
/// Manager may have tried the rotation again, and changed the password without moving a label.
///
/// # Errors
/// If anything has changed, or a step has just ended; if AWS refuses or does not answer.
pub(super) async fn mend(
    account: &Account,
    doctor: &Doctor,
    seen: &Look,
    stuck: &Stuck,
) -> io::Result<()> {
    let Some(advice) = stuck.advice else { return Ok(()) };
    let secret = &seen.found.arn;
    // A second look would double the refused logins, which count towards a lock of the account. What changes
    // a password is a step, and the log has those.
    let none = stuck.row == Row::None;
    let same = match none {
        true => account.describe(secret).await? == seen.found,
        false => {
            let again = look(account, secret, now(), doctor, None).await?;
            again.and_then(|look| look.stuck).as_ref() == Some(stuck)
        }
    };
    if !same {
        return Err(io::Error::other("the secret has changed meanwhile: look again"));
    }
    // To ask for the same rotation again disturbs none.
    let quiet = QUIET.min(doctor.stuck_after);
    if advice != Advice::Retry && (quiet > 0 || none) {
        let since = now().saturating_sub(quiet);
        let since = if none { since.min(seen.at) } else { since };
        let step = account.last_step(&stuck.log_group, secret, &stuck.pending, since).await?;
        if let Some((step, _)) = step {
            let why = format!(
                "a {step} of this rotation has just ended: look again in {}",
                length(QUIET)
            );
            return Err(io::Error::other(why));
        }
    }
    match advice {
        Advice::Retry => account.rotate(secret).await?,
        Advice::Discard => {
            clear(account, &seen.found, &stuck.pending).await?;
            if stuck.rotation {
                // From here on the secret looks healthy, and may not be.
                account.rotate(secret).await.map_err(|error| {
                    let (why, rotate) = (error.message, rotate(account, secret));
                    io::Error::other(format!(
                        "AWSPENDING was taken off, and no rotation is known to have begun ({why}): {rotate}"
                    ))
                })?;
            }
        }
        Advice::Promote => account.move_current(secret, &stuck.current, &stuck.pending).await?,
    }
    Ok(())
}
