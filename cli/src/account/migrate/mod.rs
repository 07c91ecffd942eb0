//! `fourstep migrate`: moves the secrets that AWS's functions rotate to ours, and back. Nothing rotates.
//!
//! `templates` and `settings` are the facts, `look` asks, `moving` acts, `settle` ends what was stopped, `back`
//! undoes, `ledger` is the file, `show` prints.

mod back;
mod functions;
mod ledger;
mod look;
mod moving;
mod settings;
mod settle;
mod show;
mod templates;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};

pub use functions::{Functions, Target};
pub use ledger::{Entry, Ledger, Outcome};
pub use look::Case;
pub use moving::Ended;
pub use settings::{Meaning, Needs, VARIABLES, Variable};
pub(super) use show::schedule;
pub use templates::{Origin, Program, TEMPLATES, Template, Told};

use super::agreed;
use super::aws::{Account, Selection};
use super::text::{clean, now};
use crate::replay::Format;
use moving::Mover;

/// How many secrets are looked at at the same time: each may log in at a database.
const AT_ONCE: usize = 8;

/// How many secrets are moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// None: they are shown.
    #[default]
    Look,
    /// Each that is ready, one by one.
    Each,
    /// So many at most.
    Wave(usize),
}

/// What migrate is to do.
#[derive(Debug, Clone, Default)]
pub struct Migrate {
    /// Names or ARNs; empty for every secret of the Region, or of the file.
    pub secrets: Vec<String>,
    /// Which of them.
    pub selection: Selection,
    /// Our functions: `NAME`, or `postgres=NAME`.
    pub functions: Vec<String>,
    /// What the person knows of AWS's functions: `NAME=TEMPLATE`.
    pub templates: Vec<String>,
    /// Whether passwords may be made in another way than before.
    pub any_passwords: bool,
    /// How many are moved.
    pub mode: Mode,
    /// Without asking.
    pub yes: bool,
    /// The file.
    pub file: PathBuf,
    /// How long the outcome of a test is waited for.
    pub patience: Duration,
}

/// How many secrets were seen, and what came of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moves {
    /// Secrets that were looked at.
    pub seen: usize,
    /// Those that AWS's functions rotate.
    pub found: usize,
    /// Those of them that may be moved.
    pub ready: usize,
    /// Those that this run was to move, or to put back.
    pub wanted: usize,
    /// Those that were moved, or put back.
    pub done: usize,
    /// Those of which something else came.
    pub failed: usize,
    /// Those that could not be looked at.
    pub unseen: usize,
}

impl Migrate {
    /// Shows the secrets that AWS's functions rotate, and moves those that are ready.
    ///
    /// # Errors
    /// If a function, a template or the file is not as it must be, before anything is changed; if the
    /// secrets cannot be listed; if AWS does not answer while one is moved.
    pub async fn run(
        &self,
        account: &Account,
        format: Format,
        out: &mut dyn Write,
    ) -> io::Result<Moves> {
        let functions =
            Functions::of(account, &self.functions, &self.templates, self.any_passwords).await?;
        let mut moves = Moves::default();
        let mut ledger = match self.mode {
            Mode::Look => {
                self.tell_of_begun()?;
                None
            }
            Mode::Each | Mode::Wave(_) => Some(Ledger::open(&self.file, false)?),
        };
        if let Some(ledger) = &mut ledger {
            let fine = self.settle(account, ledger, &mut moves, format, out).await?;
            if !fine && (self.yes || self.mode != Mode::Each) {
                return Ok(moves);
            }
        }
        show::head(format, out)?;
        let mut wave = Vec::new();
        let (mut next, named) = (None, !self.secrets.is_empty());
        let full = |wave: &Vec<_>| matches!(self.mode, Mode::Wave(most) if wave.len() >= most);
        loop {
            let secrets = self.page(account, &mut next).await?;
            let looks = stream::iter(secrets).map(|secret| {
                let functions = &functions;
                async move {
                    let looked = look::look(account, functions, &secret, named, now()).await;
                    (secret, looked)
                }
            });
            let mut looks = std::pin::pin!(looks.buffered(AT_ONCE));
            while let Some((secret, looked)) = looks.next().await {
                let before = moves.found;
                let case = counted(account, &secret, looked, &mut moves, format, out)?;
                // A wave is to have as many as were asked for, or as there are.
                let wanted = matches!(self.mode, Mode::Wave(most) if before >= most);
                moves.wanted += if wanted { 0 } else { moves.found - before };
                let Some(case) = case else { continue };
                match (self.mode, &mut ledger) {
                    (Mode::Each, Some(ledger)) => {
                        let asked = self.yes || agreed(&show::question(&case), out)?;
                        let fine = !asked
                            || self.one(account, ledger, &case, &mut moves, format, out).await?;
                        // Nobody is asked before the next one.
                        if !fine && self.yes {
                            return Ok(moves);
                        }
                    }
                    (Mode::Wave(_), _) => wave.push(case),
                    (Mode::Look | Mode::Each, _) => {}
                }
                if full(&wave) {
                    break;
                }
            }
            if full(&wave) || next.is_none() {
                break;
            }
        }
        if let Some(ledger) = &mut ledger {
            self.wave(account, ledger, &wave, &mut moves, format, out).await?;
        }
        Ok(moves)
    }

    /// Says how many moves did not end, to whoever looks.
    fn tell_of_begun(&self) -> io::Result<()> {
        let begun = Ledger::read(&self.file)?.iter().filter(|one| !one.ended).count();
        let file = self.file.display();
        match begun {
            0 => Ok(()),
            _ => writeln!(io::stderr(), "{begun} moves of {file} did not end: --move ends them"),
        }
    }

    /// The secrets that were named, or the next page of the Region's.
    async fn page(&self, account: &Account, next: &mut Option<String>) -> io::Result<Vec<String>> {
        if !self.secrets.is_empty() {
            return Ok(self.secrets.clone());
        }
        let (secrets, more) = account.list(&self.selection, next.clone()).await?;
        *next = more;
        Ok(secrets)
    }

    /// Moves a wave, which is asked about once, and ends it at the first secret of which our function failed the test, or
    /// may have.
    async fn wave(
        &self,
        account: &Account,
        ledger: &mut Ledger,
        wave: &[Case],
        moves: &mut Moves,
        format: Format,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        if wave.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = wave.iter().map(|case| clean(&case.found.name)).collect();
        let question = format!("move these {}: {}?", wave.len(), names.join(", "));
        if !self.yes && !agreed(&question, out)? {
            return Ok(());
        }
        for case in wave {
            if !self.one(account, ledger, case, moves, format, out).await? {
                break;
            }
        }
        Ok(())
    }

    /// Moves one. False if nothing else is moved after it without asking.
    async fn one(
        &self,
        account: &Account,
        ledger: &mut Ledger,
        case: &Case,
        moves: &mut Moves,
        format: Format,
        out: &mut dyn Write,
    ) -> io::Result<bool> {
        let mut mover = Mover { account, ledger, patience: self.patience };
        let ended = mover.moved(case).await?;
        count(moves, &ended);
        show::ended((&case.found.arn, &case.found.name), &ended, format, out)?;
        out.flush()?;
        Ok(!ended.stops)
    }
}

/// Whether an entry is about a secret of this Region.
fn here(account: &Account, entry: &Entry) -> bool {
    entry.secret.split(':').nth(3) == Some(account.region())
}

fn count(moves: &mut Moves, ended: &Ended) {
    if ended.fine {
        moves.done += 1;
    } else {
        moves.failed += 1;
    }
}

/// Shows and counts a secret that was looked at; what is given back may be moved.
fn counted(
    account: &Account,
    secret: &str,
    looked: io::Result<Option<Case>>,
    moves: &mut Moves,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<Option<Case>> {
    moves.seen += 1;
    match looked {
        Ok(None) => Ok(None),
        Err(error) => {
            moves.unseen += 1;
            show::unseen(secret, &error.to_string(), format, out)?;
            Ok(None)
        }
        Ok(Some(case)) => {
            // One that was moved before is none of those that are left to move.
            moves.found += usize::from(!case.there);
            moves.ready += usize::from(case.ready());
            show::case(account, &case, format, out)?;
            Ok(case.ready().then_some(case))
        }
    }
}
