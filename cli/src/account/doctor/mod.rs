//! `fourstep doctor`: what is wrong with the secrets of an account, and what mends each.
//!
//! `look` asks, `table` decides, `fix` acts, `left` says what people must do, `show` prints. Secrets are listed page by page and looked
//! at a few at a time, so that memory does not grow with their number.

mod fix;
mod inspection;
mod left;
mod look;
mod show;
mod table;
mod trouble;

use std::io::{self, IsTerminal as _, Write};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};

pub use look::{Look, Stuck};
pub use table::{Advice, Kind, Login, Logins, Row};
pub use trouble::Trouble;

use super::agreed;
use super::aws::{Account, CallError, Found, Selection};
use super::text::{clean, count, now};
use crate::replay::Format;

/// How many secrets are looked at at the same time: each may log in at a database.
const AT_ONCE: usize = 8;

/// The pauses between two looks at a rotation that it began: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// From which pause on the log is asked whether the rotation has failed.
const LOG_PAUSE: Duration = Duration::from_millis(500);

/// For how long a rotation may be under way if nobody says it, in seconds: Secrets Manager's own tries take
/// some minutes.
pub const USUAL: u32 = 1_200;

/// In seconds: the clocks of the log and of this machine may differ by that.
const HOUR: i64 = 3_600;

/// What doctor is to do.
#[derive(Debug, Clone, Default)]
pub struct Doctor {
    /// Names or ARNs; empty for every secret of the Region.
    pub secrets: Vec<String>,
    /// Which of them.
    pub selection: Selection,
    /// Whether to mend.
    pub fix: bool,
    /// Without asking.
    pub yes: bool,
    /// For how long a rotation may be under way, in seconds.
    pub stuck_after: i64,
    /// Whether the function of every secret is asked, and not only where a rotation is stuck, or where a
    /// secret is named of which none is under way.
    pub ask: bool,
    /// Whether those with which nothing is wrong are shown to people.
    pub all: bool,
    /// How long a rotation that it began is waited for, before it says that it still runs.
    pub patience: Duration,
}

/// How many secrets were seen, and with how many something is wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Secrets that were looked at.
    pub seen: usize,
    /// Those with which something is wrong, after mending.
    pub wrong: usize,
    /// Those of them that `--fix` would mend, where that was not asked for.
    pub mendable: usize,
    /// Those that could not be looked at.
    pub unseen: usize,
}

impl Counts {
    /// A sentence for people.
    pub fn text(&self) -> String {
        let Self { wrong, mendable, .. } = self;
        let seen = count(self.seen, "secret");
        let mended = match mendable {
            0 => String::new(),
            _ => format!(", of which --fix mends {mendable}"),
        };
        format!("{seen} looked at; something is wrong with {wrong}{mended}.")
    }
}

impl Doctor {
    /// Looks at the secrets of one Region, shows and mends them.
    ///
    /// # Errors
    /// If the secrets cannot be listed, or nothing can be written.
    pub async fn run(
        &self,
        account: &Account,
        format: Format,
        out: &mut dyn Write,
    ) -> io::Result<Counts> {
        let mut counts = Counts::default();
        let mut next = None;
        let named = !self.secrets.is_empty();
        loop {
            let arns = if named {
                self.secrets.clone()
            } else {
                let (arns, more) = account.list(&self.selection, next.take()).await?;
                next = more;
                arns
            };
            let looks = stream::iter(arns).map(|secret| async move {
                let looked = look::look(account, &secret, now(), self, None).await;
                (secret, looked)
            });
            let mut looks = std::pin::pin!(looks.buffered(AT_ONCE));
            while let Some((secret, looked)) = looks.next().await {
                self.one(account, &secret, looked, format, out, &mut counts).await?;
            }
            if next.is_none() {
                return Ok(counts);
            }
        }
    }

    async fn one(
        &self,
        account: &Account,
        secret: &str,
        looked: io::Result<Option<Look>>,
        format: Format,
        out: &mut dyn Write,
        counts: &mut Counts,
    ) -> io::Result<()> {
        let look = match looked {
            Ok(Some(look)) => look,
            Ok(None) => return Ok(()),
            Err(error) => {
                counts.unseen += 1;
                return show::unseen(secret, &clean(&error.to_string()), format, out);
            }
        };
        counts.seen += 1;
        progress(counts);
        show::look(account, &look, self, format, out)?;
        // A script that mends goes on until it has ended.
        let waits = self.fix && !self.secrets.is_empty() && look.under_way.is_some();
        let mut wrong = waits || !look.troubles.is_empty();
        counts.mendable += usize::from(!self.fix && look.advice().is_some());
        if self.fix && self.may_mend(&look, format, out)? {
            let ended = self.mended(account, &look).await;
            let mended = show::mended(account, self, &look, &ended, format, out)?;
            wrong = !mended || ended.is_ok_and(|again| !again.troubles.is_empty());
        }
        counts.wrong += usize::from(wrong);
        Ok(())
    }

    /// Whether a secret is shown to people: one that they have named also while its rotation is under way.
    fn shows(&self, look: &Look) -> bool {
        let asked_for = !self.secrets.is_empty() && look.under_way.is_some();
        self.all || asked_for || !look.troubles.is_empty()
    }

    /// How a secret is named in a command: by its ARN where somebody gave one, which may be another
    /// account's.
    fn named<'a>(&self, look: &'a Look) -> &'a str {
        match self.secrets.iter().any(|one| one.starts_with("arn:")) {
            true => &look.found.arn,
            false => look.found.in_command(),
        }
    }

    /// What looks at this secret again in the same way, to type.
    fn command(&self, account: &Account, look: &Look, fix: bool) -> String {
        let mut command = account.doctor(self.named(look));
        if fix {
            command += " --fix";
        }
        if self.stuck_after != i64::from(USUAL) {
            command += &format!(" --stuck-after {}", self.stuck_after);
        }
        command
    }

    /// AWS filters by tag only, so a function is asked for here.
    fn selects(&self, found: &Found) -> bool {
        let Some(wanted) = &self.selection.function else { return true };
        let function = found.function.as_deref().unwrap_or_default();
        function == wanted || function.split(':').nth(6) == Some(wanted)
    }

    fn may_mend(&self, look: &Look, format: Format, out: &mut dyn Write) -> io::Result<bool> {
        let Some(advice) = look.advice() else {
            if look.is_stuck() {
                show::unchanged("it is left to a person", format, out)?;
            }
            return Ok(false);
        };
        let rotates =
            advice == Advice::Discard && look.stuck.as_ref().is_some_and(|one| one.rotation);
        let and = if rotates { " and rotate it now" } else { "" };
        let question = format!("{} {}{and}?", advice.name(), clean(&look.found.name));
        let agreed = self.yes || agreed(&question, out)?;
        if !agreed {
            show::unchanged("the answer was not y (--yes does not ask)", format, out)?;
        }
        Ok(agreed)
    }

    /// Mends a secret, and looks again until the rotation that this began has ended.
    async fn mended(&self, account: &Account, look: &Look) -> io::Result<Look> {
        let Some(stuck) = &look.stuck else { return Ok(look.clone()) };
        fix::mend(account, self, look, stuck).await?;
        let begun = if stuck.rotation { "begun" } else { "done" };
        let unseen = |error: io::Error| {
            let doctor = self.command(account, look, false);
            io::Error::other(format!("{begun}, and not seen to end ({error}): {doctor}"))
        };
        self.waited(account, look, stuck).await.map_err(|error| unseen(error.into()))?;
        let again =
            look::look(account, &look.found.arn, now(), self, Some(look)).await.map_err(unseen)?;
        again.ok_or_else(|| io::Error::other("it got another function meanwhile: look again"))
    }

    /// Waits until the rotation that was begun has ended, or has failed in a way that no retry mends.
    async fn waited(&self, account: &Account, look: &Look, stuck: &Stuck) -> Result<(), CallError> {
        let arn = &look.found.arn;
        let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
        while let Some(left) = self.patience.checked_sub(begun.elapsed()) {
            let Some(pending) = account.describe(arn).await?.pending else { return Ok(()) };
            // The log is some seconds late, and is asked less often.
            if pause > LOG_PAUSE {
                let since = look.at.saturating_sub(HOUR);
                // What the log does not say is waited for.
                let failure =
                    account.last_failure(&stuck.log_group, arn, since).await.ok().flatten();
                let new = failure.filter(|one| one.ends(&pending));
                // Of a retry, the version has failed before.
                if new.is_some_and(|one| look.failure.as_ref() != Some(&one)) {
                    return Ok(());
                }
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
        Ok(())
    }
}

/// How far it is, on a terminal.
fn progress(counts: &Counts) {
    let err = io::stderr();
    if counts.seen.is_multiple_of(100) && err.is_terminal() {
        let _ = writeln!(err.lock(), "{} secrets looked at ...", counts.seen);
    }
}
