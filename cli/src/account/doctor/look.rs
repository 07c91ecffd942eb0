//! What doctor sees of one secret, and what is wrong with it.

use std::io;

use fourstep::Question;
use fourstep::store::AWSCURRENT;
use serde_json::Value;

use super::inspection;
use super::table::{Advice, Kind, Logins, Row};
use crate::account::aws::{Account, Failure, Found};
use crate::account::invoked;
use crate::account::text::{clean, length};
use crate::events::{labels, text as field};
use crate::function::Invocation;

/// How long after its date a rotation counts as overdue, in seconds: Secrets Manager tries more than
/// once.
const GRACE: i64 = 3_600;

/// How far back a log is searched, in seconds: two weeks.
const LOG: i64 = 14 * 86_400;

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// AWSPENDING is on a version that is not current, for so many seconds.
    Stuck(i64),
    /// The next rotation should have been so many seconds ago.
    Overdue(i64),
    /// There is no such function.
    NoFunction,
    /// The function is another's; what it is.
    NotOurs(String),
    /// A copy in another Region is not as the secret is.
    Replica(String),
    /// The function reported an error when it was asked.
    CannotLook(String),
    /// AWS could not be asked about a part.
    NotAsked(String),
    /// AWSCURRENT does not log in, and no rotation is stuck.
    LockedOut(String),
    /// The user whose password the next rotation replaces, and how many sessions it has open.
    InUse(String, i64),
    /// The user of AWSCURRENT, and in how many seconds it ends by itself: before the next rotation.
    Ends(String, i64),
}

impl Trouble {
    /// A word for machines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Stuck(_) => "stuck",
            Self::Overdue(_) => "overdue",
            Self::NoFunction => "no-function",
            Self::NotOurs(_) => "not-ours",
            Self::Replica(_) => "replica",
            Self::CannotLook(_) => "cannot-look",
            Self::NotAsked(_) => "not-asked",
            Self::LockedOut(_) => "locked-out",
            Self::InUse(..) => "in-use",
            Self::Ends(..) => "ends",
        }
    }

    /// A sentence for people.
    pub fn text(&self) -> String {
        match self {
            Self::Stuck(age) => {
                format!(
                    "stuck: AWSPENDING is on a version that is not current, for {}",
                    length(*age)
                )
            }
            Self::Overdue(age) => format!("overdue: a rotation was due {} ago", length(*age)),
            Self::NoFunction => "the rotation function does not exist".to_owned(),
            Self::NotOurs(kind) => format!("the rotation function is not Fourstep's: {kind}"),
            Self::Replica(what) => format!("a copy is out of sync: {what}"),
            Self::CannotLook(why) => format!("the function could not look: {why}"),
            Self::NotAsked(what) => format!("not asked: {what}"),
            Self::LockedOut(why) => format!("AWSCURRENT does not log in: {why}"),
            Self::InUse(user, open) => format!(
                "in use: the next rotation replaces the password of user {user:?}, which has {open} \
                 session{} open: its clients have not read the secret since the last rotation",
                if *open == 1 { "" } else { "s" }
            ),
            Self::Ends(user, ends) if *ends < 0 => {
                format!("user {user:?} ended {} ago", length(ends.saturating_neg()))
            }
            Self::Ends(user, ends) => {
                format!("user {user:?} ends in {}, before the next rotation", length(*ends))
            }
        }
    }
}

/// A stuck rotation, and what the table says about it.
#[derive(Debug, Clone)]
pub struct Stuck {
    /// The version with AWSCURRENT.
    pub current: String,
    /// The version with AWSPENDING.
    pub pending: String,
    /// Whether rotation is on: RotateSecret would turn it on.
    pub rotation: bool,
    /// The row of the table.
    pub row: Row,
    /// What is right, if it can be proven.
    pub advice: Option<Advice>,
}

/// A secret as doctor saw it.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// What Secrets Manager knows.
    pub found: Found,
    /// What is wrong.
    pub troubles: Vec<Trouble>,
    /// A rotation that has begun and may still end by itself: for how long, in seconds.
    pub under_way: Option<i64>,
    /// The last failure in the function's log.
    pub failure: Option<Failure>,
    /// The function's answer to `inspect`, if it was asked.
    pub inspection: Option<Value>,
    /// What mends it.
    pub stuck: Option<Stuck>,
}

/// Looks at a secret. What cannot be asked is in the answer, too.
///
/// # Errors
/// If DescribeSecret fails.
pub(super) async fn look(
    account: &Account,
    secret: &str,
    now: i64,
    stuck_after: i64,
    ask: bool,
) -> io::Result<Look> {
    let found = account.describe(secret).await?;
    let mut look = Look { troubles: of_description(&found, now), found, ..Look::default() };
    if look.found.rotation != Some(true) && look.found.pending.is_none() {
        return Ok(look);
    }
    let age = pending_age(account, &mut look, now).await;
    match age {
        Some(age) if age > stuck_after => look.troubles.insert(0, Trouble::Stuck(age)),
        age => look.under_way = age,
    }
    let Some(arn) = look.found.function.clone() else { return Ok(look) };
    let function = match account.function(&arn).await {
        Ok(Some(function)) => function,
        Ok(None) => {
            look.troubles.push(Trouble::NoFunction);
            return Ok(look);
        }
        Err(error) => {
            look.troubles.push(Trouble::NotAsked(error.message));
            return Ok(look);
        }
    };
    if !function.ours {
        look.troubles.push(Trouble::NotOurs(function.kind));
        return Ok(look);
    }
    let late = |one: &Trouble| matches!(one, Trouble::Stuck(_) | Trouble::Overdue(_));
    if look.troubles.iter().any(late) {
        match account.last_failure(&function.log_group, &look.found.arn, now - LOG).await {
            Ok(failure) => look.failure = failure,
            Err(error) => look.troubles.push(Trouble::NotAsked(error.message)),
        }
    }
    let stuck = look.troubles.iter().any(|one| matches!(one, Trouble::Stuck(_)));
    if stuck || ask {
        inspect(account, &mut look, &arn).await;
    }
    if let Some(inspection) = look.inspection.take() {
        let tag = look.found.strategy.as_deref().unwrap_or(&function.strategy);
        let kind = Kind::told(&inspection).unwrap_or_else(|| Kind::of(&function.name, tag));
        let next = look.found.next.map(|next| next.saturating_sub(now));
        look.troubles.extend(inspection::troubles(&inspection, kind, next));
        match stuck {
            true => decide(&mut look, &inspection, kind),
            // Between setSecret and finishSecret it does not, where there is one password.
            false if look.under_way.is_none() => look.troubles.extend(locked_out(&inspection)),
            false => {}
        }
        look.inspection = Some(inspection);
    }
    Ok(look)
}

/// Reads the table.
fn decide(look: &mut Look, inspection: &Value, kind: Kind) {
    let (Some(current), Some(pending)) = (look.found.current.clone(), look.found.pending.clone())
    else {
        return;
    };
    let row = Row::of(Logins::of(inspection));
    let rotation = look.found.rotation == Some(true);
    let advice = row.advice(kind).filter(|advice| rotation || *advice != Advice::Retry);
    look.stuck = Some(Stuck { current, pending, rotation, row, advice });
}

fn locked_out(inspection: &Value) -> Option<Trouble> {
    let current = inspection::versions(inspection).find(|row| labels(row).contains(&AWSCURRENT))?;
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
async fn inspect(account: &Account, look: &mut Look, arn: &str) {
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
