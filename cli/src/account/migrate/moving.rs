//! One secret is moved, and put back where our function's test of it fails. Each change is noted in the
//! file first, so that a command which was stopped anywhere can be run again.

use std::io;
use std::time::Duration;

use super::ledger::{Entry, Ledger, Outcome};
use super::look::Case;
use crate::account::attach::{CLOCKS, outcome};
use crate::account::aws::{Account, Found, Rules};
use crate::account::text::{clean, length, now as seconds};

/// How often, and how long after each other, it is looked whether Secrets Manager has ended its test.
const LOOKS: u32 = 30;
const PAUSE: Duration = Duration::from_secs(1);

/// How often it is looked whether a function that was named is there: what DescribeSecret says may be a
/// moment old.
const NAMED: u32 = 5;

/// How a secret's move, or its way back, ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Whether it is as it was to be.
    pub fine: bool,
    /// How.
    pub word: &'static str,
    /// What was seen afterwards.
    pub text: String,
}

impl Ended {
    pub(super) fn new(fine: bool, word: &'static str, text: impl Into<String>) -> Self {
        Self { fine, word, text: text.into() }
    }
}

/// Moves secrets, one at a time.
pub(super) struct Mover<'a> {
    pub(super) account: &'a Account,
    pub(super) ledger: &'a mut Ledger,
    /// How long the outcome of a test is waited for in the log.
    pub(super) patience: Duration,
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
            return Ok(Ended::new(false, "not moved", why));
        }
        let entry = Entry {
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
        self.ledger.note(entry.clone())?;
        let (secret, token) = (&entry.secret, Some(entry.token.as_str()));
        let called = self.account.attach(secret, &entry.new, None, token).await;
        let entry = match &called {
            Ok(Some(tested)) if *tested != entry.token => {
                let entry = Entry { token: tested.clone(), ..entry };
                self.ledger.note(entry.clone())?;
                entry
            }
            _ => entry,
        };
        match (self.settled_after(&entry, called.is_ok()).await?, called) {
            // What the call said is the cause of what is seen.
            (ended, Err(error)) if !ended.fine => {
                Ok(Ended { text: format!("{}: {}", error.message, ended.text), ..ended })
            }
            (ended, _) => Ok(ended),
        }
    }

    /// Ends what was begun, by this command or by one that was stopped: waits for the test, and puts the
    /// secret back if it failed.
    ///
    /// # Errors
    /// As [`moved`](Self::moved).
    pub(super) async fn settled(&mut self, entry: &Entry) -> io::Result<Ended> {
        match entry.outcome {
            Outcome::Moved => self.settled_after(entry, false).await,
            how => self.back(entry, how).await,
        }
    }

    /// The same of a move; `called` if Secrets Manager said that it took the function.
    async fn settled_after(&mut self, entry: &Entry, called: bool) -> io::Result<Ended> {
        let seen = self.named(entry, &entry.new, called).await?;
        if seen.function.as_deref() != Some(&entry.new) {
            return self.left(&seen, entry, Outcome::NotMoved);
        }
        let function = self.account.function(&entry.new).await?;
        let log = function.map(|function| function.log_group).unwrap_or_default();
        let (token, since) = (Some(entry.token.as_str()), entry.at.saturating_sub(CLOCKS));
        let tested =
            outcome(self.account, &log, &entry.secret, token, since, self.patience).await?;
        match tested {
            None => Ok(Ended::new(
                false,
                "not known",
                format!(
                    "our function rotates it, and the log {} has no outcome of its test: run the same \
                     again, or put it back with --back",
                    clean(&log)
                ),
            )),
            Some(tested) if tested.failed => {
                let ended = self.back(entry, Outcome::NotMoved).await?;
                Ok(Ended { fine: false, text: format!("{}; {}", tested.why, ended.text), ..ended })
            }
            Some(tested) => {
                let seen = self.tested(entry).await?;
                if seen.function.as_deref() != Some(&entry.new) {
                    return self.left(&seen, entry, Outcome::NotMoved);
                }
                let seen = self.keep(seen, entry, &entry.new, entry.rules.as_ref()).await?;
                self.end(entry, Outcome::Moved)?;
                let (fine, kept) = kept(&seen, entry.rules.as_ref(), "as before");
                Ok(Ended::new(fine, "moved", format!("{}; {kept}", tested.why)))
            }
        }
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
            Outcome::Moved | Outcome::Back => seen.rules.clone(),
        };
        let mut said = None;
        let (secret, old) = (entry.secret.clone(), entry.old.clone());
        if seen.function.as_deref() == Some(&entry.new) {
            if seen.pending.as_ref().is_some_and(|pending| *pending != entry.token) {
                let name = super::super::text::word(&entry.name);
                let text = format!("a rotation is under way, or stuck: fourstep doctor {name}");
                return Ok(Ended::new(false, "left", text));
            }
            self.clear(&seen, &entry).await?;
            entry.token = uuid::Uuid::new_v4().to_string();
            entry.ended = false;
            self.ledger.note(entry.clone())?;
            match self.account.attach(&secret, &old, None, Some(&entry.token)).await {
                Ok(tested) => entry.token = tested.unwrap_or(entry.token),
                Err(error) => said = Some(error.message),
            }
            self.named(&entry, &old, said.is_none()).await?;
        }
        seen = self.tested(&entry).await?;
        if seen.function.as_deref() == Some(&entry.new) {
            let why = said.unwrap_or_default();
            return Ok(Ended::new(false, "left", format!("our function still rotates it: {why}")));
        }
        if seen.function.as_deref() != Some(&entry.old) {
            return self.left(&seen, &entry, how);
        }
        let failed = self.clear(&seen, &entry).await?;
        let seen = self.keep(seen, &entry, &entry.old, rules.as_ref()).await?;
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

    /// Takes AWSPENDING off the version that Secrets Manager made for its test, which a test that failed
    /// leaves. Nothing was applied with it. True if it was there.
    async fn clear(&self, seen: &Found, entry: &Entry) -> io::Result<bool> {
        let is = |seen: &Found| seen.pending.as_deref() == Some(&entry.token);
        if !is(seen) {
            return Ok(false);
        }
        match self.account.remove_pending(&entry.secret, &entry.token).await {
            // Secrets Manager may have taken it off itself.
            Err(error) if is(&self.account.describe(&entry.secret).await?) => Err(error.into()),
            _ => Ok(true),
        }
    }

    /// The secret, with the function that was named, if Secrets Manager said that it took it.
    async fn named(&self, entry: &Entry, function: &str, called: bool) -> io::Result<Found> {
        let mut seen = self.account.describe(&entry.secret).await?;
        for _ in 1..NAMED {
            if !called || seen.function.as_deref() == Some(function) {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            seen = self.account.describe(&entry.secret).await?;
        }
        Ok(seen)
    }

    /// The secret once Secrets Manager has taken the version of its test away, or has had the time.
    async fn tested(&self, entry: &Entry) -> io::Result<Found> {
        let mut seen = self.account.describe(&entry.secret).await?;
        for _ in 1..LOOKS {
            if seen.pending.as_deref() != Some(&entry.token) {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            seen = self.account.describe(&entry.secret).await?;
        }
        Ok(seen)
    }

    /// Sees that the schedule is what it was. It was not sent, so that it stays with its next date; only
    /// if it is another one now it is set again. What was seen in the end.
    async fn keep(
        &self,
        seen: Found,
        entry: &Entry,
        function: &str,
        rules: Option<&Rules>,
    ) -> io::Result<Found> {
        match rules {
            Some(rules) if seen.rules.as_ref() != Some(rules) => {
                let set = self.account.attach(&entry.secret, function, Some(rules), None).await?;
                let token = set.unwrap_or_default();
                self.tested(&Entry { token, ..entry.clone() }).await
            }
            _ => Ok(seen),
        }
    }

    fn end(&mut self, entry: &Entry, outcome: Outcome) -> io::Result<()> {
        self.ledger.note(Entry { outcome, ended: true, ..entry.clone() })
    }

    /// Another function rotates the secret than ours: what came of the entry.
    fn left(&mut self, seen: &Found, entry: &Entry, how: Outcome) -> io::Result<Ended> {
        self.end(entry, how)?;
        Ok(match seen.function.as_deref() {
            Some(function) if function == entry.old => {
                Ended::new(false, "not moved", "the old function rotates it, as before")
            }
            Some(function) => {
                let text = format!("somebody gave it another function: {}", clean(function));
                Ended::new(false, "left", text)
            }
            None => Ended::new(false, "left", "it has no rotation function any more"),
        })
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

/// Whether a secret has the schedule that it had, and what is seen of it.
fn kept(seen: &Found, rules: Option<&Rules>, words: &str) -> (bool, String) {
    let now = schedule(seen.rules.as_ref());
    if seen.rules.as_ref() != rules {
        return (false, format!("its schedule is {now}, and was {}", schedule(rules)));
    }
    let next = seen.next.map(|next| length(next.saturating_sub(seconds())));
    let next = next.map(|next| format!(", next in {next}")).unwrap_or_default();
    (true, format!("{now}, {words}{next}"))
}

/// `cron(0 3 ? * SUN *), window 3h`
pub(super) fn schedule(rules: Option<&Rules>) -> String {
    let Some(rules) = rules else { return "no schedule".to_owned() };
    let window = rules.window.as_deref().map(|window| format!(", window {}", clean(window)));
    let days = rules.days.map(|days| format!("every {days} days"));
    let when = rules.schedule.as_deref().map(clean).or(days);
    let when = when.unwrap_or_else(|| "no schedule".to_owned());
    format!("{when}{}", window.unwrap_or_default())
}
