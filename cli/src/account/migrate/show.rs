//! What migrate prints: a table for people, one JSON object a line for machines.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::look::Case;
use super::moving::Ended;
use super::templates::Origin;
use crate::account::aws::{Account, Found, Rules};
use crate::account::text::{clean, length, now};
use crate::replay::Format;

/// A row of the table; the widths are those of most names.
fn row([secret, engine, strategy, ready, function]: [&str; 5]) -> String {
    format!("{secret:<32} {engine:<22} {strategy:<18} {ready:<10} {function}")
}

/// The head of the table.
pub(super) fn head(format: Format, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Json => Ok(()),
        Format::Table => {
            writeln!(out, "{}", row(["SECRET", "ENGINE", "STRATEGY", "READY", "OLD FUNCTION"]))
        }
    }
}

pub(super) fn case(
    account: &Account,
    case: &Case,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<()> {
    if format == Format::Json {
        return writeln!(out, "{}", object(account, case));
    }
    let (engine, told) = match case.origin {
        Origin::Of(template, told) => {
            let users = if template.pair { "two users" } else { "one user" };
            (format!("{}, {users}", template.engine), format!(" ({})", told.text()))
        }
        Origin::Unclear | Origin::Another => ("?".to_owned(), String::new()),
    };
    let function = case.found.function.as_deref().unwrap_or("none");
    let function = clean(function.split(':').nth(6).unwrap_or(function)) + &told;
    let ready = if case.ready() { "ready" } else { "not ready" };
    let name = clean(&case.found.name);
    writeln!(out, "{}", row([&name, &engine, &clean(&case.strategy), ready, &function]))?;
    for need in case.needs() {
        writeln!(out, "  needs {}", clean(need))?;
    }
    for obstacle in &case.obstacles {
        writeln!(out, "  {}", clean(obstacle))?;
    }
    if case.ready() {
        for note in &case.notes {
            writeln!(out, "  note: {}", clean(note))?;
        }
    }
    Ok(())
}

fn rules(rules: Option<&Rules>) -> Value {
    rules.map_or(Value::Null, |rules| {
        json!({
            "schedule": rules.schedule.as_deref().map(clean),
            "window": rules.window.as_deref().map(clean),
            "days": rules.days,
        })
    })
}

fn object(account: &Account, case: &Case) -> Value {
    let template = case.template();
    let told = match case.origin {
        Origin::Of(_, told) => told.text(),
        Origin::Unclear => "it may be one of AWS's",
        Origin::Another => "it is none of AWS's",
    };
    let texts = |texts: &[String]| texts.iter().map(|one| clean(one)).collect::<Vec<_>>();
    let target = case.target.as_ref().map(|one| clean(&one.function.arn));
    json!({
        "secret": clean(&case.found.arn),
        "name": clean(&case.found.name),
        "region": account.region(),
        "function": case.found.function.as_deref().map(clean),
        "template": template.map(|one| one.name),
        "told": told,
        "engine": template.map(|one| one.engine),
        "strategy": clean(&case.strategy),
        "new_function": target,
        "rules": rules(case.found.rules.as_ref()),
        "next_rotation": case.found.next,
        "needs": case.needs().map(|one| clean(one)).collect::<Vec<_>>(),
        "versions": template.map(|one| one.versions()),
        "obstacles": texts(&case.obstacles),
        "notes": texts(&case.notes),
        "asked": case.asked,
        "ready": case.ready(),
    })
}

/// A secret that could not be looked at.
pub(super) fn unseen(
    secret: &str,
    why: &str,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (secret, why) = (clean(secret), clean(why));
    match format {
        Format::Json => writeln!(out, "{}", json!({"secret": secret, "error": why})),
        Format::Table => writeln!(out, "{secret}\n  cannot be looked at: {why}"),
    }
}

/// How a move, or the way back, ended.
pub(super) fn ended(
    (secret, name): (&str, &str),
    ended: &Ended,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (word, text) = (ended.word, clean(&ended.text));
    match format {
        Format::Json => {
            let object =
                json!({"secret": clean(secret), "outcome": word, "fine": ended.fine, "text": text});
            writeln!(out, "{object}")
        }
        Format::Table => writeln!(out, "{}: {word}: {text}", clean(name)),
    }
}

/// What a secret's move is, for the question before it.
pub(super) fn question(case: &Case) -> String {
    let target = case.target.as_ref().map(|one| clean(&one.function.name)).unwrap_or_default();
    let schedule = schedule(case.found.rules.as_ref());
    format!("move {} to {target} ({schedule})?", clean(&case.found.name))
}

/// Whether a secret has the schedule that it had, and what is seen of it.
pub(super) fn kept(seen: &Found, rules: Option<&Rules>, words: &str) -> (bool, String) {
    let seen_rules = schedule(seen.rules.as_ref());
    if seen.rules.as_ref() != rules {
        return (false, format!("its schedule is {seen_rules}, and was {}", schedule(rules)));
    }
    let next = seen.next.map(|next| length(next.saturating_sub(now())));
    let next = next.map(|next| format!(", next in {next}")).unwrap_or_default();
    (true, format!("{seen_rules}, {words}{next}"))
}

/// `cron(0 3 ? * SUN *), window 3h`
pub(in crate::account) fn schedule(rules: Option<&Rules>) -> String {
    let Some(rules) = rules else { return "no schedule".to_owned() };
    let window = rules.window.as_deref().map(|window| format!(", window {}", clean(window)));
    let days = rules.days.map(|days| format!("every {days} days"));
    let when = rules.schedule.as_deref().map(clean).or(days);
    let when = when.unwrap_or_else(|| "no schedule".to_owned());
    format!("{when}{}", window.unwrap_or_default())
}
