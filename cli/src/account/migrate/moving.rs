//! One secret is moved, and put back where our function's test of it fails. Each change is noted in the
//! file first, so that a command which was stopped anywhere can be run again.

use std::io;
use std::time::Duration;

use super::ledger::{Entry, Ledger, Outcome};
use super::look::{Case, due};
use super::show::kept;
use crate::account::attach::{CLOCKS, LOOKS, NAMED, clear, outcome, until};
use crate::account::aws::{Account, Found, Rules, Tested};
use crate::account::text::{clean, now as seconds};

/// What is said of a test that left its label.
const FAILED_AGAIN: &str =
    "Secrets Manager's test of our function did not succeed then: look into its log";

/// How a secret's move, or its way back, ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Whether it is as it was to be.
    pub fine: bool,
    /// How.
    pub word: &'static str,
    /// What was seen afterwards.
    pub text: String,
    /// Whether nothing else is moved after it without asking.
    pub stops: bool,
}

impl Ended {
    pub(super) fn new(fine: bool, word: &'static str, text: impl Into<String>) -> Self {
        Self { fine, word, text: text.into(), stops: !fine }
    }

    /// One that says nothing of our function.
    pub(super) fn goes_on(self) -> Self {
        Self { stops: false, ..self }
    }
}

/// Moves secrets, one at a time.
pub(super) struct Mover<'a> {
    pub(super) account: &'a Account,
    pub(super) ledger: &'a mut Ledger,
    /// How long the outcome of a test is waited for in the log.
    pub(super) patience: Duration,
}

/// What is known of the call that names a function.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// AWS said no.
    Refused,
    /// AWS took it, or did not answer: what DescribeSecret says may be a moment old.
    Made,
    /// An earlier run made it, or was stopped before.
    Earlier,
}

impl Mover<'_> {
    /// Moves a secret that is as it was when it was looked at.
    ///
    /// # Errors
    /// If the file cannot be written, or AWS does not answer; the entry in the file is without an
    /// outcome then, and the next run settles it.
    pub(super) async fn moved(&mut self, case: &Case) -> io::Result<Ended> {
        let (Some(target), Some(old)) = (&case.target, &case.found.function) else {
            return Ok(Ended::new(false, "not moved", "it is not ready"));
        };
        let before = self.account.describe(&case.found.arn).await?;
        if !same(&before, &case.found) {
            let why = "the secret has changed meanwhile: look again";
            return Ok(Ended::new(false, "not moved", why).goes_on());
        }
        // Whoever was asked may have let the time go by.
        if let Some(why) = due(self.account, &before, seconds()) {
            return Ok(Ended::new(false, "not moved", why).goes_on());
        }
        let mut entry = Entry {
            secret: before.arn.clone(),
            name: before.name.clone(),
            old: old.clone(),
            rules: before.rules.clone(),
            new: target.function.arn.clone(),
            template: case.template().map(|one| one.name).unwrap_or_default().to_owned(),
            token: uuid::Uuid::new_v4().to_string(),
            at: seconds(),
            last: before.last,
            outcome: Outcome::Moved,
            ended: false,
        };
        let (secret, token) = (&entry.secret, Some(entry.token.as_str()));
        // Whoever may not read the log would not learn the outcome.
        let log = &target.function.log_group;
        let since = entry.at.saturating_sub(CLOCKS);
        outcome(self.account, log, secret, token, since, Duration::ZERO).await?;
        let (call, error) = self.give(&mut entry, &target.function.arn).await?;
        match (self.settled_after(&entry, call).await?, error) {
            // What the call said is the cause of what is seen.
            (ended, Some(error)) if !ended.fine => {
                Ok(Ended { text: format!("{error}: {}", ended.text), ..ended })
            }
            (ended, _) => Ok(ended),
        }
    }

    /// Names a function, with the entry's token, once the entry is in the file. What is known of the call,
    /// and what AWS said against it.
    async fn give(
        &mut self,
        entry: &mut Entry,
        function: &str,
    ) -> io::Result<(Call, Option<String>)> {
        self.ledger.note(entry.clone())?;
        match self.account.attach(&entry.secret, function, None, Some(&entry.token)).await {
            Ok(Some(tested)) if tested != entry.token => {
                entry.token = tested;
                self.ledger.note(entry.clone())?;
                Ok((Call::Made, None))
            }
            Ok(_) => Ok((Call::Made, None)),
            Err(error) => {
                let call = if error.code.is_empty() { Call::Made } else { Call::Refused };
                Ok((call, Some(error.message)))
            }
        }
    }

    /// The end of a move whose call was made, refused, or is not known.
    pub(super) async fn settled_after(&mut self, entry: &Entry, call: Call) -> io::Result<Ended> {
        let seen = self.named(entry, &entry.new, call).await?;
        if seen.function.as_deref() != Some(&entry.new) {
            if call == Call::Made && seen.function.as_deref() == Some(&entry.old) {
                let text = "the old function still rotates it: run the same again to end this move";
                return Ok(Ended::new(false, "not known", text));
            }
            let ended = self.left(&seen, entry, Outcome::NotMoved)?;
            return Ok(if call == Call::Earlier { ended.goes_on() } else { ended });
        }
        let way_back = self.ledger.way_back(entry, &self.account.options());
        let Some(function) = self.account.function(&entry.new).await? else {
            let text = format!("our function rotates it, and does not exist any more: {way_back}");
            let ended = Ended::new(false, "not known", text);
            return Ok(if call == Call::Earlier { ended.goes_on() } else { ended });
        };
        let (log, token) = (function.log_group, Some(entry.token.as_str()));
        // The token is of this test only, whatever the clocks are.
        let since = entry.at.saturating_sub(CLOCKS);
        match outcome(self.account, &log, &entry.secret, token, since, self.patience).await? {
            None => Ok(Ended::new(
                false,
                "not known",
                format!(
                    "our function rotates it, and the log {} has no outcome of its test, so that it is \
                     not put back: run the same again, or {way_back}",
                    clean(&log)
                ),
            )),
            Some(tested) if tested.failed => {
                let ended = self.back(entry, Outcome::NotMoved).await?;
                let text = format!("{}; {}", tested.why, ended.text);
                Ok(Ended { fine: false, stops: true, text, ..ended })
            }
            Some(tested) => self.succeeded(entry, &tested).await,
        }
    }

    /// The end of a move whose test succeeded.
    async fn succeeded(&mut self, entry: &Entry, tested: &Tested) -> io::Result<Ended> {
        let seen = self.tested(entry).await?;
        if seen.function.as_deref() != Some(&entry.new) {
            return self.left(&seen, entry, Outcome::NotMoved);
        }
        let (seen, again) = self.keep(seen, entry, &entry.new, entry.rules.as_ref()).await?;
        let taken_off = clear(self.account, &seen, &entry.token).await?;
        let failed = self.clear_again(&seen, again.as_deref()).await?;
        self.end(entry, Outcome::Moved)?;
        let (fine, kept) = kept(&seen, entry.rules.as_ref(), "as before");
        let warnings = tested.warnings.iter().map(|one| format!("; warning: {one}"));
        let mut text = format!("{}; {kept}{}", tested.why, warnings.collect::<String>());
        let pending = seen.pending.is_some() && !taken_off && !failed;
        if taken_off {
            text.push_str("; AWSPENDING, which its test left, was taken off");
        } else if failed {
            text.push_str(&format!("; the schedule was set again, and {FAILED_AGAIN}"));
        } else if pending {
            let doctor = self.account.doctor(entry.in_command());
            text.push_str(&format!("; a rotation is under way, or stuck: {doctor}"));
        }
        Ok(Ended::new(fine && !pending && !failed, "moved", text))
    }

    /// Gives a secret that our function rotates its old function back. One that somebody gave another
    /// function is left.
    ///
    /// # Errors
    /// As [`moved`](Self::moved).
    pub(super) async fn back(&mut self, entry: &Entry, how: Outcome) -> io::Result<Ended> {
        let mut entry = Entry { outcome: how, ..entry.clone() };
        let mut seen = self.account.describe(&entry.secret).await?;
        // What somebody made of the schedule since the move is his.
        let rules = match how {
            Outcome::NotMoved => entry.rules.clone(),
            Outcome::Moved | Outcome::Back | Outcome::Left => seen.rules.clone(),
        };
        let mut said = None;
        if seen.function.as_deref() == Some(&entry.new) {
            if seen.pending.as_ref().is_some_and(|pending| *pending != entry.token) {
                let doctor = self.account.doctor(entry.in_command());
                let text = format!("a rotation is under way, or stuck: {doctor}");
                return Ok(Ended::new(false, "left", text));
            }
            if seen.rotation != Some(true) {
                return self.somebody_s(&seen, &entry, "its rotation was turned off since");
            }
            clear(self.account, &seen, &entry.token).await?;
            entry.token = uuid::Uuid::new_v4().to_string();
            entry.ended = false;
            let old = entry.old.clone();
            let (call, error) = self.give(&mut entry, &old).await?;
            said = error;
            self.named(&entry, &old, call).await?;
        }
        seen = self.tested(&entry).await?;
        if seen.function.as_deref() == Some(&entry.new) {
            let why = said.unwrap_or_default();
            return Ok(Ended::new(false, "left", format!("our function still rotates it: {why}")));
        }
        if seen.function.as_deref() != Some(&entry.old) {
            return self.left(&seen, &entry, how);
        }
        let failed = clear(self.account, &seen, &entry.token).await?;
        let (seen, again) = self.keep(seen, &entry, &entry.old, rules.as_ref()).await?;
        let failed = self.clear_again(&seen, again.as_deref()).await? || failed;
        self.end(&entry, how)?;
        let words = if rules == entry.rules { "as before" } else { "as set since the move" };
        let (fine, kept) = kept(&seen, rules.as_ref(), words);
        let mut text = format!("the old function rotates it; {kept}");
        if failed {
            text.push_str(
                "; Secrets Manager's test of the old function did not succeed: look into its log",
            );
        }
        Ok(Ended::new(fine, how.word(), text))
    }

    /// The secret, with the function that was named, unless that was refused.
    async fn named(&self, entry: &Entry, function: &str, call: Call) -> io::Result<Found> {
        let named = |seen: &Found| seen.function.as_deref() == Some(function);
        until(self.account, &entry.secret, NAMED, |seen| call == Call::Refused || named(seen)).await
    }

    /// The secret once Secrets Manager has taken the version of its test away, or has had the time.
    async fn tested(&self, entry: &Entry) -> io::Result<Found> {
        let over = |seen: &Found| seen.pending.as_deref() != Some(&entry.token);
        until(self.account, &entry.secret, LOOKS, over).await
    }

    /// Sees that the schedule is what it was. It was not sent, so that it stays with its next date; only
    /// if it is another one now it is set again, which Secrets Manager tests again. What was seen in the
    /// end, and the version of that test.
    async fn keep(
        &self,
        seen: Found,
        entry: &Entry,
        function: &str,
        rules: Option<&Rules>,
    ) -> io::Result<(Found, Option<String>)> {
        match rules {
            Some(rules) if seen.rules.as_ref() != Some(rules) => {
                let set = self.account.attach(&entry.secret, function, Some(rules), None).await?;
                let entry = Entry { token: set.unwrap_or_default(), ..entry.clone() };
                Ok((self.tested(&entry).await?, Some(entry.token)))
            }
            _ => Ok((seen, None)),
        }
    }

    /// Takes AWSPENDING off the version of that test, which did not succeed then. True if it was there.
    async fn clear_again(&self, seen: &Found, again: Option<&str>) -> io::Result<bool> {
        match again {
            Some(version) => clear(self.account, seen, version).await,
            None => Ok(false),
        }
    }

    pub(super) fn end(&mut self, entry: &Entry, outcome: Outcome) -> io::Result<()> {
        self.ledger.note(Entry { outcome, ended: true, ..entry.clone() })
    }

    /// Another function rotates the secret than ours: what came of the entry.
    fn left(&mut self, seen: &Found, entry: &Entry, how: Outcome) -> io::Result<Ended> {
        let text = match seen.function.as_deref() {
            Some(function) if function == entry.old => {
                self.end(entry, how)?;
                let text = "the old function rotates it, as before";
                return Ok(Ended::new(false, "not moved", text));
            }
            Some(function) => format!("somebody gave it another function: {}", clean(function)),
            None => "it has no rotation function any more".to_owned(),
        };
        self.end(entry, Outcome::Left)?;
        Ok(Ended::new(false, "left", text))
    }
}

/// Whether nothing that a move depends on has changed.
fn same(now: &Found, then: &Found) -> bool {
    now.function == then.function
        && now.rotation == then.rotation
        && now.rules == then.rules
        && now.current == then.current
        && now.pending == then.pending
        && now.strategy == then.strategy
        && !now.deleted
}
