//! `fourstep migrate --back`: which secrets of the file are put back, and which are left.

use std::io::{self, Write};

use super::ledger::{Entry, Ledger, Outcome};
use super::look::due;
use super::moving::{Ended, Mover};
use super::{Migrate, Moves, count, here, show};
use crate::account::agreed;
use crate::account::aws::{Account, Found};
use crate::account::text::{clean, now, word};
use crate::replay::Format;

impl Migrate {
    /// Puts the secrets of the file back whose function is still the one that migrate set.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn back(
        &self,
        account: &Account,
        format: Format,
        out: &mut dyn Write,
    ) -> io::Result<Moves> {
        let mut ledger = Ledger::open(&self.file, true)?;
        let mut moves = Moves::default();
        self.known(account, &ledger)?;
        for entry in ledger.entries().to_vec() {
            let named = self.secrets.iter().any(|one| is(one, &entry));
            // One that was not moved, or is back, and has our function again got it from somebody.
            let over = entry.ended && matches!(entry.outcome, Outcome::NotMoved | Outcome::Back);
            if !named && (over || !self.secrets.is_empty()) {
                continue;
            }
            let whose = (entry.secret.as_str(), entry.name.as_str());
            if !here(account, &entry) {
                if !named {
                    moves.failed += 1;
                    let region = word(entry.secret.split(':').nth(3).unwrap_or_default());
                    let why = format!("it is in another Region: --region {region}");
                    show::ended(whose, &Ended::new(false, "left", why), format, out)?;
                }
                continue;
            }
            moves.seen += 1;
            let seen = match account.describe(&entry.secret).await {
                Ok(seen) => seen,
                Err(error) => {
                    moves.unseen += 1;
                    show::unseen(&entry.name, &error.message, format, out)?;
                    continue;
                }
            };
            let ours = seen.function.as_deref() == Some(&entry.new);
            if !ours && entry.ended && entry.outcome != Outcome::Moved {
                // It was not moved, is back already, or is somebody's.
                continue;
            }
            moves.found += usize::from(ours);
            let mut mover = Mover { account, ledger: &mut ledger, patience: self.patience };
            let ended = match ours {
                true => self.ours(&mut mover, &entry, &seen, named, &mut moves, out).await,
                false => mover.back(&entry, Outcome::Back).await.map(Some),
            };
            match ended {
                // One that cannot be put back now keeps no other from it.
                Err(error) => {
                    moves.unseen += 1;
                    show::unseen(&entry.name, &error.to_string(), format, out)?;
                }
                Ok(None) => {}
                Ok(Some(ended)) => {
                    count(&mut moves, &ended);
                    show::ended(whose, &ended, format, out)?;
                    if ended.stops && ours && self.yes {
                        return Ok(moves);
                    }
                }
            }
        }
        Ok(moves)
    }

    /// Puts a secret back that our function rotates, unless it is to be left, or nobody agrees.
    async fn ours(
        &self,
        mover: &mut Mover<'_>,
        entry: &Entry,
        seen: &Found,
        named: bool,
        moves: &mut Moves,
        out: &mut dyn Write,
    ) -> io::Result<Option<Ended>> {
        let left = |why: String| Ok(Some(Ended::new(false, "left", why).goes_on()));
        let account = mover.account;
        if let Some(why) = self.left(account, entry, seen, named).await? {
            return left(why);
        }
        moves.ready += 1;
        moves.wanted += 1;
        let old = clean(entry.old.split(':').nth(6).unwrap_or(&entry.old));
        let question = format!("give {} back to {old}?", clean(&entry.name));
        if !self.yes && !agreed(&question, out)? {
            return Ok(None);
        }
        // Whoever was asked may have let the time go by.
        let seen = account.describe(&entry.secret).await?;
        if let Some(due) = due(account, &seen, now()).filter(|_| !named) {
            return left(format!("{due}, or name this secret"));
        }
        mover.back(entry, Outcome::Back).await.map(Some)
    }

    /// Refuses a name that the file does not have, before anything is changed.
    fn known(&self, account: &Account, ledger: &Ledger) -> io::Result<()> {
        let known =
            |one: &&String| ledger.entries().iter().any(|at| here(account, at) && is(one, at));
        let Some(one) = self.secrets.iter().find(|one| !known(one)) else { return Ok(()) };
        let (one, file) = (clean(one), self.file.display());
        Err(io::Error::other(format!("{one} is not in {file} for this Region")))
    }

    /// Why a secret that our function rotates is not put back, if it is not.
    async fn left(
        &self,
        account: &Account,
        entry: &Entry,
        seen: &Found,
        named: bool,
    ) -> io::Result<Option<String>> {
        if entry.ended && entry.outcome == Outcome::Left && !named {
            let why = "somebody changed its rotation after the move: look, then name this secret";
            return Ok(Some(why.to_owned()));
        }
        if account.function(&entry.old).await?.is_none() {
            return Ok(Some("the old function does not exist any more".to_owned()));
        }
        if seen.rotation != Some(true) {
            return Ok(Some("its rotation was turned off since; that would turn it on".to_owned()));
        }
        if let Some(due) = due(account, seen, now()).filter(|_| !named) {
            return Ok(Some(format!("{due}, or name this secret")));
        }
        let mysql = entry.template == "SecretsManagerRDSMySQLRotationMultiUser";
        let rotated = seen.last != entry.last;
        Ok((mysql && rotated && !named).then(|| {
            "it has rotated since, and AWS's function must find a pair on MySQL as it left it: see \
             docs/move-from-aws.md, \"The way back\", then name this secret"
                .to_owned()
        }))
    }
}

/// Whether this names an entry's secret.
fn is(one: &str, entry: &Entry) -> bool {
    one == entry.secret || one == entry.name
}
