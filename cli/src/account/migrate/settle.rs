//! Ends what an earlier run of `fourstep migrate` began and was stopped in.

use std::io::{self, Write};

use super::ledger::{Entry, Ledger, Outcome};
use super::moving::{Call, Ended, Mover};
use super::show::{self, schedule};
use super::{Migrate, Moves, count, here};
use crate::account::aws::{Account, Found};
use crate::replay::Format;

impl Migrate {
    /// Ends what was begun. False if one of our functions failed a test, or may have.
    pub(super) async fn settle(
        &self,
        account: &Account,
        ledger: &mut Ledger,
        moves: &mut Moves,
        format: Format,
        out: &mut dyn Write,
    ) -> io::Result<bool> {
        let begun = ledger.entries().iter().filter(|one| !one.ended && here(account, one));
        let begun: Vec<Entry> = begun.cloned().collect();
        let mut fine = true;
        for entry in begun {
            let mut mover = Mover { account, ledger, patience: self.patience };
            match mover.settled(&entry).await {
                // One that cannot be ended now keeps no other from being moved.
                Err(error) => {
                    moves.unseen += 1;
                    show::unseen(&entry.name, &error.to_string(), format, out)?;
                }
                Ok(ended) => {
                    moves.wanted += 1;
                    fine &= !ended.stops;
                    count(moves, &ended);
                    show::ended((&entry.secret, &entry.name), &ended, format, out)?;
                }
            }
        }
        Ok(fine)
    }
}

impl Mover<'_> {
    /// Ends what an earlier run began and was stopped in: waits for the test, and puts the secret back if
    /// it failed. What somebody changed since is left.
    ///
    /// # Errors
    /// As [`moved`](Self::moved).
    pub(super) async fn settled(&mut self, entry: &Entry) -> io::Result<Ended> {
        let seen = match self.account.describe(&entry.secret).await {
            Err(error) if error.is_missing() => {
                self.end(entry, Outcome::Left)?;
                return Ok(Ended::new(false, "left", "it does not exist any more").goes_on());
            }
            seen => seen?,
        };
        let rules = entry.outcome == Outcome::Back || seen.rules.is_none();
        let changed = if seen.rotation != Some(true) {
            Some("its rotation was turned off since".to_owned())
        } else if !rules && seen.rules != entry.rules {
            let (now, then) = (schedule(seen.rules.as_ref()), schedule(entry.rules.as_ref()));
            Some(format!("its schedule was changed since: {now}, and was {then}"))
        } else {
            None
        };
        if let Some(changed) = changed {
            return self.somebody_s(&seen, entry, &changed);
        }
        match entry.outcome {
            Outcome::Moved => self.settled_after(entry, Call::Earlier).await,
            // Its test failed, of which the next secrets would learn nothing else.
            Outcome::NotMoved => {
                let ended = self.back(entry, Outcome::NotMoved).await?;
                Ok(Ended { fine: false, stops: true, ..ended })
            }
            how => self.back(entry, how).await,
        }
    }

    /// A secret that is left because somebody changed its rotation.
    pub(super) fn somebody_s(
        &mut self,
        seen: &Found,
        entry: &Entry,
        changed: &str,
    ) -> io::Result<Ended> {
        self.end(entry, Outcome::Left)?;
        let ours = seen.function.as_deref() == Some(&entry.new);
        let way_back = self.ledger.way_back(entry, &self.account.options());
        let ours = ours.then(|| format!("; our function is set: {way_back}"));
        let text = format!("{changed}{}", ours.unwrap_or_default());
        Ok(Ended::new(false, "left", text).goes_on())
    }
}
