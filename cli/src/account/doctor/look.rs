//! What doctor sees of one secret, and what is wrong with it.

use std::io;

use fourstep::Question;
use fourstep::store::{AWSCURRENT, AWSPENDING};
use serde_json::Value;

use super::table::{Advice, Kind, Logins, Row};
use super::trouble::Trouble;
use super::{Doctor, inspection};
use crate::account::aws::{Account, CallError, Failure, Found, Function};
use crate::account::invoked;
use crate::account::text::clean;
use crate::events::text as field;
use crate::function::Invocation;

/// How long after its date a rotation counts as overdue, in seconds: Secrets Manager tries more than
/// once.
const GRACE: i64 = 3_600;

/// How far back a log is searched, in seconds: two weeks.
const LOG: i64 = 14 * 86_400;

/// A stuck rotation, and what the table says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// The version with AWSCURRENT.
    pub current: String,
    /// The version with AWSPENDING.
    pub pending: String,
    /// Whether rotation is on: RotateSecret would turn it on.
    pub rotation: bool,
    /// How the secret is rotated: the column of the table.
    pub kind: Kind,
    /// The row of the table.
    pub row: Row,
    /// What is right, if it can be proven.
    pub advice: Option<Advice>,
    /// Whether the function refuses every retry, because AWSPENDING and AWSCURRENT differ in more than the
    /// password.
    pub refused: bool,
    /// The log group of the function.
    pub log_group: String,
}

/// A secret as doctor saw it.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// When, in seconds since 1970.
    pub at: i64,
    /// What Secrets Manager knows.
    pub found: Found,
    /// What is wrong.
    pub troubles: Vec<Trouble>,
    /// A rotation that has begun and may still end by itself: for how long, in seconds.
    pub under_way: Option<i64>,
    /// The last failure in the function's log.
    pub failure: Option<Failure>,
    /// Whether a step of the same rotation has ended well since.
    pub goes_on: bool,
    /// The function's answer to `inspect`, if it was asked.
    pub inspection: Option<Value>,
    /// What mends it.
    pub stuck: Option<Stuck>,
}

impl Look {
    /// Whether a rotation is stuck.
    pub fn is_stuck(&self) -> bool {
        self.troubles.iter().any(|one| matches!(one, Trouble::Stuck(_)))
    }

    /// Whether AWSCURRENT does not log in, and no rotation is stuck.
    pub fn is_locked_out(&self) -> bool {
        self.troubles.iter().any(|one| matches!(one, Trouble::LockedOut(_)))
    }

    /// What mends it, if something is stuck and that can be proven.
    pub fn advice(&self) -> Option<Advice> {
        self.stuck.as_ref()?.advice
    }

    /// The failure of the rotation that AWSPENDING is of, if no retry gets over it.
    pub fn failed(&self) -> Option<&Failure> {
        let pending = self.found.pending.as_ref()?;
        self.failure.as_ref().filter(|one| one.ends(pending) && !self.goes_on)
    }

    /// Whether nothing goes on with the rotation that AWSPENDING is of, however young it is.
    fn is_over(&self) -> bool {
        let gone = |one: &Trouble| matches!(one, Trouble::NoFunction(_));
        self.found.rotation != Some(true)
            || self.failed().is_some()
            || self.troubles.iter().any(gone)
    }

    /// Whether AWSCURRENT logs in, by the function's answer.
    pub fn logs_in(&self) -> bool {
        let current = self.inspection.as_ref().and_then(|one| inspection::of(one, AWSCURRENT));
        current.is_some_and(|row| field(row, "verdict") == "accepted")
    }
}

/// Looks at a secret. What cannot be asked is in the answer, too. `None` if it is none of those that
/// doctor is to look at. After a secret was `mended`, with what was seen before that, its function is asked
/// also where nothing rotates it, and an old failure says nothing.
///
/// # Errors
/// If DescribeSecret fails.
pub(super) async fn look(
    account: &Account,
    secret: &str,
    now: i64,
    doctor: &Doctor,
    mended: Option<&Look>,
) -> io::Result<Option<Look>> {
    let found = account.describe(secret).await?;
    if !doctor.selects(&found) {
        return Ok(None);
    }
    let mut look =
        Look { at: now, troubles: of_description(&found, now), found, ..Look::default() };
    if look.found.rotation != Some(true) && look.found.pending.is_none() && mended.is_none() {
        return Ok(Some(look));
    }
    let age = pending_age(account, &mut look, now).await;
    let function = of_function(account, &mut look).await;
    let overdue = look.troubles.iter().any(|one| matches!(one, Trouble::Overdue(_)));
    if let (Some(function), true) = (&function, age.is_some() || overdue) {
        if let Err(error) = of_log(account, &mut look, function).await {
            look.troubles.push(Trouble::NotAsked(error.message));
        }
        if mended.is_some_and(|before| before.failure == look.failure) {
            look.failure = None;
        }
    }
    match age {
        Some(age) if age > doctor.stuck_after || look.is_over() => {
            look.troubles.insert(0, Trouble::Stuck(age));
        }
        age => look.under_way = age,
    }
    let ask = match mended {
        // Until a rotation that mends it has ended a login says nothing.
        Some(_) => look.found.pending.is_none(),
        // Who names a secret wants to know whether it works.
        None => doctor.ask || !doctor.secrets.is_empty() && look.under_way.is_none(),
    };
    if let Some(function) = function {
        of_answers(account, &mut look, &function, now, ask).await;
    }
    Ok(Some(look))
}

/// What the function's log says: its last failure, and whether the rotation has gone on since.
async fn of_log(account: &Account, look: &mut Look, function: &Function) -> Result<(), CallError> {
    let (log, secret) = (&function.log_group, &look.found.arn);
    look.failure = account.last_failure(log, secret, look.at - LOG).await?;
    let Some(failure) = look.failed() else { return Ok(()) };
    let last = account.last_step(log, secret, &failure.version, failure.at).await?;
    look.goes_on = last.is_some_and(|(_, at)| at > failure.at);
    Ok(())
}

/// The rotation function of a secret, if it is one of ours.
async fn of_function(account: &Account, look: &mut Look) -> Option<Function> {
    let arn = look.found.function.as_deref()?;
    let trouble = match account.function(arn).await {
        Ok(Some(function)) if function.ours => return Some(function),
        Ok(Some(function)) => {
            Trouble::NotOurs(format!("{}; its log: {}", function.kind, clean(&function.log_group)))
        }
        Ok(None) => Trouble::NoFunction(clean(arn)),
        Err(error) => Trouble::NotAsked(error.message),
    };
    look.troubles.push(trouble);
    None
}

/// What the function itself says.
async fn of_answers(account: &Account, look: &mut Look, function: &Function, now: i64, ask: bool) {
    let stuck = look.is_stuck();
    if stuck || ask {
        inspect(account, look).await;
    }
    if let Some(inspection) = look.inspection.take() {
        let tag = look.found.strategy.as_deref().unwrap_or(&function.strategy);
        let kind = Kind::told(&inspection).unwrap_or_else(|| Kind::of(&function.name, tag));
        let next = look.found.next.map(|next| next.saturating_sub(now));
        look.troubles.extend(inspection::troubles(&inspection, kind, next));
        match stuck {
            true => decide(look, &inspection, kind, function),
            // Between setSecret and finishSecret it does not, where there is one password.
            false if look.under_way.is_none() => look.troubles.extend(locked_out(&inspection)),
            false => {}
        }
        look.inspection = Some(inspection);
    }
}

/// Reads the table.
fn decide(look: &mut Look, inspection: &Value, kind: Kind, function: &Function) {
    let (Some(current), Some(pending)) = (look.found.current.clone(), look.found.pending.clone())
    else {
        return;
    };
    // An answer about other versions, because the labels moved in between, proves nothing.
    let row =
        match holds(inspection, AWSCURRENT, &current) && holds(inspection, AWSPENDING, &pending) {
            true => Row::of(Logins::of(inspection)),
            false => Row::Unknown,
        };
    let rotation = look.found.rotation == Some(true);
    let promotes = |advice: &Advice| *advice == Advice::Promote;
    let undoes = edited(inspection) || !unopposed(look);
    let one = (row, kind) == (Row::Pending, Kind::OnePassword);
    let refused = one && rotation && refuses(look, inspection, &pending);
    // The function has tried every password that is recorded.
    let spent = row == Row::None && look.failed().is_some_and(|one| one.kind == "Rejected");
    let advice = row.advice(kind, rotation);
    let advice = advice.filter(|advice| !(refused || spent || promotes(advice) && undoes));
    let log_group = function.log_group.clone();
    look.stuck = Some(Stuck { current, pending, rotation, kind, row, advice, refused, log_group });
}

/// Whether the answer has this label on this version.
fn holds(inspection: &Value, label: &str, version: &str) -> bool {
    let row = inspection::of(inspection, label);
    row.is_some_and(|row| field(row, "version") == version)
}

/// Whether somebody stored AWSCURRENT after the rotation began: to promote would undo that.
fn edited(inspection: &Value) -> bool {
    let age = |label| inspection::of(inspection, label)?.get("age_seconds")?.as_u64();
    age(AWSCURRENT).zip(age(AWSPENDING)).is_some_and(|(current, pending)| current < pending)
}

/// Whether the function has refused this version, and AWSCURRENT was not stored since.
fn refuses(look: &Look, inspection: &Value, pending: &str) -> bool {
    let age =
        inspection::of(inspection, AWSCURRENT).and_then(|row| row.get("age_seconds")?.as_i64());
    look.failure.as_ref().is_some_and(|failure| {
        let ago = look.at.saturating_sub(failure.at);
        failure.kind == "Mismatch" && failure.version == pending && age.is_none_or(|age| age >= ago)
    })
}

/// Whether the log was read, and says nothing of two versions that differ in more than the password.
fn unopposed(look: &Look) -> bool {
    let asked = !look.troubles.iter().any(|one| matches!(one, Trouble::NotAsked(_)));
    asked && look.failure.as_ref().is_none_or(|failure| failure.kind != "Mismatch")
}

fn locked_out(inspection: &Value) -> Option<Trouble> {
    let current = inspection::of(inspection, AWSCURRENT)?;
    let rejected = field(current, "verdict") == "rejected";
    rejected.then(|| Trouble::LockedOut(clean(field(current, "why"))))
}

fn of_description(found: &Found, now: i64) -> Vec<Trouble> {
    let late =
        found.next.filter(|_| found.rotation == Some(true)).map(|next| now.saturating_sub(next));
    let overdue = late.filter(|late| *late > GRACE).map(Trouble::Overdue);
    let copies = found.replicas.iter().filter(|copy| !copy.in_sync);
    let copies = copies.map(|copy| Trouble::Replica(format!("{} {}", copy.region, copy.message)));
    overdue.into_iter().chain(copies).collect()
}

async fn pending_age(account: &Account, look: &mut Look, now: i64) -> Option<i64> {
    let pending = look.found.pending.clone()?;
    match account.pending_since(&look.found.arn, &pending).await {
        Ok(since) => since.map(|since| now.saturating_sub(since).max(0)),
        Err(error) => {
            look.troubles.push(Trouble::NotAsked(error.message));
            None
        }
    }
}

/// Asks the function which version logs in.
async fn inspect(account: &Account, look: &mut Look) {
    let Some(arn) = &look.found.function else { return };
    let asked = invoked(account, Question::Inspect, &look.found.arn, arn).await;
    let inspection = match asked {
        Ok(Invocation { answer: Ok(answer), .. }) => inspection::known(answer),
        Ok(Invocation { answer: Err((kind, why)), .. }) => {
            look.troubles.push(Trouble::CannotLook(format!("{kind}: {why}")));
            return;
        }
        Err(error) => return look.troubles.push(Trouble::NotAsked(clean(&error.to_string()))),
    };
    // An answer about another secret, or none of ours, proves nothing.
    if field(&inspection, "secret") != look.found.arn {
        look.troubles.push(Trouble::NotOurs("its answer is no inspection of this secret".into()));
        return;
    }
    look.inspection = Some(inspection);
}
