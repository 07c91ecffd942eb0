//! The commands that mend a stuck rotation, to type or to run.

use std::io;

use super::look::Stuck;
use super::table::Advice;
use crate::account::aws::Account;
use crate::account::text::word;

/// The commands to type, in their order, as docs/operate.md has them.
pub(super) fn commands(account: &Account, secret: &str, stuck: &Stuck) -> Vec<String> {
    let (options, secret) = (account.options(), word(secret));
    let (pending, current) = (word(&stuck.pending), word(&stuck.current));
    let aws = |rest: String| format!("aws secretsmanager {rest} {options}");
    let rotate = aws(format!("rotate-secret --secret-id {secret}"));
    let stage = format!("update-secret-version-stage --secret-id {secret} --version-stage");
    match stuck.advice {
        None => Vec::new(),
        Some(Advice::Retry) => vec![rotate],
        Some(Advice::Discard) => {
            let discard = aws(format!("{stage} AWSPENDING --remove-from-version-id {pending}"));
            if stuck.rotation { vec![discard, rotate] } else { vec![discard] }
        }
        Some(Advice::Promote) => vec![aws(format!(
            "{stage} AWSCURRENT --move-to-version-id {pending} --remove-from-version-id {current}"
        ))],
    }
}

/// Does what the table says, if the labels are where they were when the logins were asked.
///
/// # Errors
/// If the labels have moved, or Secrets Manager refuses or does not answer.
pub(super) async fn mend(account: &Account, secret: &str, stuck: &Stuck) -> io::Result<()> {
    let Some(advice) = stuck.advice else { return Ok(()) };
    let now = account.describe(secret).await?;
    let same = now.current.as_deref() == Some(&stuck.current)
        && now.pending.as_deref() == Some(&stuck.pending)
        && (now.rotation == Some(true)) == stuck.rotation;
    if !same {
        return Err(io::Error::other("the secret has changed meanwhile: look again"));
    }
    match advice {
        Advice::Retry => account.rotate(secret).await?,
        Advice::Discard => {
            account.remove_pending(secret, &stuck.pending).await?;
            if stuck.rotation {
                account.rotate(secret).await?;
            }
        }
        Advice::Promote => account.move_current(secret, &stuck.current, &stuck.pending).await?,
    }
    Ok(())
}
