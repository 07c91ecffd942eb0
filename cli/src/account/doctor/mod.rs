//! `fourstep doctor`: what is wrong with the secrets of an account, and what mends each.
//!
//! `look` asks, `table` decides, `fix` acts, `show` prints. Secrets are listed page by page and looked
//! at a few at a time, so that memory does not grow with their number.

mod fix;
mod inspection;
mod look;
mod show;
mod table;

use std::io::{self, IsTerminal as _, Write};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};

pub use look::{Look, Stuck, Trouble};
pub use table::{Advice, Kind, Login, Logins, Row};

use super::agreed;
use super::aws::{Account, Found, Selection};
use super::text::{clean, now};
use crate::replay::Format;

/// How many secrets are looked at at the same time: each may log in at a database.
const AT_ONCE: usize = 8;

/// The pauses between two looks at a rotation that it began: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

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
    /// Whether the function of every secret is asked, and not only where a rotation is stuck.
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
    /// Those that could not be looked at.
    pub unseen: usize,
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
                let looked = look::look(account, &secret, now(), self, false).await;
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
        show::look(account, &look, self.all, format, out)?;
        let mut wrong = !look.troubles.is_empty();
        if self.fix && self.may_mend(&look, out)? {
            let ended = self.mended(account, &look).await;
            let mended = show::mended(&look, &ended, format, out)?;
            wrong = !mended || ended.is_ok_and(|again| !again.troubles.is_empty());
        }
        counts.wrong += usize::from(wrong);
        Ok(())
    }

    /// AWS filters by tag only, so a function is asked for here.
    fn selects(&self, found: &Found) -> bool {
        let Some(wanted) = &self.selection.function else { return true };
        let function = found.function.as_deref().unwrap_or_default();
        function == wanted || function.split(':').nth(6) == Some(wanted)
    }

    fn may_mend(&self, look: &Look, out: &mut dyn Write) -> io::Result<bool> {
        let Some(advice) = look.stuck.as_ref().and_then(|stuck| stuck.advice) else {
            return Ok(false);
        };
        if self.yes {
            return Ok(true);
        }
        agreed(&format!("{} {}?", advice.name(), clean(&look.found.name)), out)
    }

    /// Mends a secret, and looks again until the rotation that this began has ended.
    async fn mended(&self, account: &Account, look: &Look) -> io::Result<Look> {
        let Some(stuck) = &look.stuck else { return Ok(look.clone()) };
        fix::mend(account, self, look, stuck).await?;
        let begun = if stuck.rotation { "begun" } else { "done" };
        let unseen = |error: io::Error| {
            let doctor = account.doctor(&look.found.name);
            io::Error::other(format!("{begun}, and not seen to end ({error}): {doctor}"))
        };
        let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
        while let Some(left) = self.patience.checked_sub(begun.elapsed())
            && account
                .describe(&look.found.arn)
                .await
                .map_err(|e| unseen(e.into()))?
                .pending
                .is_some()
        {
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
        let again =
            look::look(account, &look.found.arn, now(), self, true).await.map_err(unseen)?;
        again.ok_or_else(|| io::Error::other("it got another function meanwhile: look again"))
    }
}

/// How far it is, on a terminal.
fn progress(counts: &Counts) {
    let err = io::stderr();
    if counts.seen.is_multiple_of(100) && err.is_terminal() {
        let _ = writeln!(err.lock(), "{} secrets looked at ...", counts.seen);
    }
}
