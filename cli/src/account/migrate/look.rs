//! What migrate sees of one secret: which of AWS's functions rotates it, which of ours would, and what is
//! needed first.

use std::io;

use fourstep::Question;
use serde_json::Value;

use super::functions::{Functions, Target};
use super::settings::Needs;
use super::templates::{Origin, Template};
use crate::account::aws::{Account, Found, Function, Rules};
use crate::account::invoked;
use crate::account::text::{clean, length, word};
use crate::events::text as field;

/// A day and an hour, in seconds.
const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

/// The most findings of a preflight that are shown of one secret.
const MOST_FINDINGS: usize = 20;

/// What is said of a function that cannot be asked before.
const UNREADABLE: &str = "our function may read it only once it is attached: it is tested then, and put back \
                          if the test fails";

/// A secret that a function of AWS's rotates, or that was asked about by name.
#[derive(Debug, Clone)]
pub struct Case {
    /// What Secrets Manager knows.
    pub found: Found,
    /// AWS's template, and how it was told.
    pub origin: Origin,
    /// Our function.
    pub target: Option<Target>,
    /// The strategy that the secret gets.
    pub strategy: String,
    /// What must be set first.
    pub needs: Vec<String>,
    /// What must be set besides, unless our function answered that a rotation would succeed without.
    pub unless_ready: Vec<String>,
    /// Why it cannot be moved now.
    pub obstacles: Vec<String>,
    /// What is only to be known.
    pub notes: Vec<String>,
    /// Whether our function answered already that a rotation would succeed.
    pub asked: bool,
    /// Whether the function that would take it over rotates it already.
    pub there: bool,
    /// Whether our function as it is would rotate it by another strategy.
    pub by_another: bool,
}

impl Case {
    /// Whether it may be moved.
    pub fn ready(&self) -> bool {
        self.target.is_some() && self.needs().next().is_none() && self.obstacles.is_empty()
    }

    /// What must be set first.
    pub fn needs(&self) -> impl Iterator<Item = &String> {
        let more = self.unless_ready.iter().filter(|_| !self.asked);
        self.needs.iter().chain(more)
    }

    /// AWS's template.
    pub fn template(&self) -> Option<&'static Template> {
        match self.origin {
            Origin::Of(template, _) => Some(template),
            Origin::Unclear | Origin::Another => None,
        }
    }
}

/// Looks at a secret. `None` if no function of AWS's rotates it and it was not asked about by `name`.
///
/// # Errors
/// If DescribeSecret, or a question about its function, fails.
pub(super) async fn look(
    account: &Account,
    functions: &Functions,
    secret: &str,
    named: bool,
    now: i64,
) -> io::Result<Option<Case>> {
    let found = account.describe(secret).await?;
    let (function, origin) = match &found.function {
        None => (None, Origin::Another),
        Some(arn) => functions.origin(account, arn).await?,
    };
    if origin == Origin::Another && !named {
        return Ok(None);
    }
    let mut case = Case {
        obstacles: of_secret(account, &found, now),
        found,
        origin,
        target: None,
        strategy: String::new(),
        needs: Vec::new(),
        unless_ready: Vec::new(),
        notes: Vec::new(),
        asked: false,
        there: false,
        by_another: false,
    };
    case.there = case.found.function.as_deref().is_some_and(|arn| functions.is_target(arn));
    of_functions(&mut case, functions, function.as_ref());
    // What it answers for another strategy is no word about this one.
    if case.obstacles.is_empty() && !case.by_another {
        ask(account, functions, &mut case, named).await?;
    }
    Ok(Some(case))
}

/// What keeps a secret from being moved, whatever rotates it.
fn of_secret(account: &Account, found: &Found, now: i64) -> Vec<String> {
    let mut obstacles = Vec::new();
    if let Some(owner) = &found.owner {
        obstacles.push(format!("it belongs to {owner}, which rotates it"));
    }
    if let Some(region) = found.primary.as_deref().filter(|one| *one != account.region()) {
        obstacles.push(format!("it is a replica: move it in {}, its own Region", clean(region)));
    }
    if found.deleted {
        obstacles.push("it is scheduled for deletion".to_owned());
    }
    if found.rotation != Some(true) {
        obstacles.push("its rotation is off: fourstep attach turns it on".to_owned());
    }
    if found.current.is_none() {
        obstacles.push("it has no value".to_owned());
    }
    if found.pending.is_some() {
        let doctor = account.doctor(found.in_command());
        obstacles.push(format!("a rotation is under way, or stuck: {doctor}"));
    }
    if found.rotation == Some(true) {
        obstacles.extend(due(account, found, now));
    }
    obstacles
}

/// Why a rotation may begin at any time, if it may: it would begin with the function before its test is
/// known. NextRotationDate is the last moment of a rotation (AWS Secrets Manager API reference,
/// DescribeSecret), the window before it is the schedule's.
pub(super) fn due(account: &Account, found: &Found, now: i64) -> Option<String> {
    let next = found.next?;
    let left = next.saturating_sub(now);
    if left < -HOUR {
        let (ago, doctor) = (length(now.saturating_sub(next)), account.doctor(found.in_command()));
        let what = format!("a rotation was due {ago} ago and could begin at any time");
        return Some(format!("{what}: {doctor}"));
    }
    let when = if left > 0 { format!("within {}", length(left)) } else { "now".to_owned() };
    (left < window(found.rules.as_ref())).then(|| {
        format!("its rotation is due {when} and may begin at any time: wait until it has rotated")
    })
}

/// How long before NextRotationDate a rotation may begin, in seconds. Without a window of its own that of
/// a schedule in hours is one hour, and that of one in days ends with the day (AWS Secrets Manager User
/// Guide, "Rotation schedules").
fn window(rules: Option<&Rules>) -> i64 {
    let Some(rules) = rules else { return DAY };
    if let Some(window) = &rules.window {
        let hours = window.trim().trim_end_matches(['h', 'H']).parse::<i64>();
        return hours.map_or(DAY, |hours| hours.clamp(1, 24) * HOUR);
    }
    let schedule = rules.schedule.as_deref().unwrap_or_default().to_ascii_lowercase();
    let cron = schedule.strip_prefix("cron(").and_then(|cron| cron.split_whitespace().nth(1));
    let hourly = schedule.contains("hour")
        || cron.is_some_and(|hours| hours.bytes().any(|one| !one.is_ascii_digit()));
    if hourly { HOUR } else { DAY }
}

/// What the two functions are, and what lies between them.
fn of_functions(case: &mut Case, functions: &Functions, old: Option<&Function>) {
    let (template, old) = match (case.origin, old) {
        (Origin::Another, Some(function)) if function.ours => {
            return case.obstacles.push("it has a function of Fourstep's already".to_owned());
        }
        (Origin::Another, Some(function)) => {
            let kind = &function.kind;
            let what = format!("its function is none of AWS's templates ({kind})");
            return case.obstacles.push(what);
        }
        (_, None) if case.found.function.is_some() => {
            return case.obstacles.push("its function does not exist any more".to_owned());
        }
        (Origin::Another, None) | (_, None) => return,
        (Origin::Unclear, Some(function)) => {
            let template = word(&format!("{}=TEMPLATE", function.name));
            let what = format!(
                "its function may be one of AWS's templates, and nothing says which: if you know, \
                 --template {template}"
            );
            return case.obstacles.push(what);
        }
        (Origin::Of(template, _), Some(function)) => (template, function),
    };
    let Some(program) = template.program else {
        return case.obstacles.push(format!("nothing here takes the place of {}", template.name));
    };
    let target = functions.target(program);
    let new = target.map(|one| &one.function);
    case.strategy = Needs::chosen(template, program, new, &case.found);
    let Some(target) = target else {
        return case.needs.push(format!("a function of {program}: --function NAME"));
    };
    let unread = [&old.unread, &target.function.unread];
    case.obstacles.extend(unread.into_iter().flatten().cloned());
    let needs = Needs::of(template, program, old, &target.function, &case.found);
    case.needs.extend(needs.strategy);
    if functions.any_passwords {
        let other = needs.passwords.iter().map(|one| format!("passwords were made by {one}"));
        case.notes.extend(other);
    } else {
        case.needs.extend(needs.passwords);
    }
    case.unless_ready = needs.unless_marked;
    case.by_another = needs.by_another;
    case.target = Some(target.clone());
}

/// Asks our function, if it may read the secret already. Those of this project may only once they are
/// attached; then Secrets Manager's test says it at the move.
async fn ask(
    account: &Account,
    functions: &Functions,
    case: &mut Case,
    named: bool,
) -> io::Result<()> {
    let Some(target) = &case.target else { return Ok(()) };
    let (arn, word) = (&case.found.arn, target.program.word());
    let mut readable = functions.readable.lock().await;
    let known = readable.get(word).copied();
    if known == Some(false) && !named {
        case.notes.push(UNREADABLE.to_owned());
        return Ok(());
    }
    // The others wait for the first answer.
    let first = if known.is_none() { Some(&mut readable) } else { None };
    let asking = invoked(account, Question::Preflight, arn, &target.function.arn);
    let asked = match first {
        Some(readable) => {
            let asked = asking.await?;
            let refused = asked.answer.as_ref().is_err_and(|(kind, _)| kind == "Forbidden");
            readable.insert(word, !refused);
            asked
        }
        None => {
            drop(readable);
            asking.await?
        }
    };
    let answer = match asked.answer {
        Err((kind, _)) if kind == "Forbidden" => {
            case.notes.push(UNREADABLE.to_owned());
            return Ok(());
        }
        Err((kind, why)) => {
            case.obstacles.push(format!("preflight: {kind}: {why}"));
            return Ok(());
        }
        Ok(answer) => answer,
    };
    answered(case, &answer);
    Ok(())
}

/// What our function says of the secret.
fn answered(case: &mut Case, answer: &Value) {
    let ready = answer.get("ready").and_then(Value::as_bool);
    let Some(ready) = ready.filter(|_| field(answer, "secret") == case.found.arn) else {
        return case.obstacles.push("preflight: the answer is none about this secret".to_owned());
    };
    let findings = answer.get("findings").and_then(Value::as_array);
    for row in findings.into_iter().flatten().take(MOST_FINDINGS) {
        let (kind, finding) = (clean(field(row, "kind")), clean(field(row, "finding")));
        match field(row, "severity") {
            "fails" => case.obstacles.push(format!("preflight: {kind}: {finding}")),
            _ => case.notes.push(finding),
        }
    }
    case.asked = ready;
    if !ready && case.obstacles.is_empty() {
        case.obstacles.push("preflight: a rotation would fail".to_owned());
    }
}
