//! What doctor prints: blocks of lines for people, one JSON object a secret for machines.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::fix::commands;
use super::inspection::versions;
use super::look::Look;
use crate::account::aws::Account;
use crate::account::text::{clean, length, now, seen};
use crate::events::{labels, text as field};
use crate::replay::Format;

pub(super) fn look(
    account: &Account,
    look: &Look,
    all: bool,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Json => writeln!(out, "{}", object(account, look)),
        Format::Table if all || !look.troubles.is_empty() => people(account, look, out),
        Format::Table => Ok(()),
    }
}

pub(super) fn unseen(
    secret: &str,
    why: &str,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<()> {
    let secret = clean(secret);
    match format {
        Format::Json => writeln!(out, "{}", json!({"secret": secret, "error": why})),
        Format::Table => writeln!(out, "{secret}\n  cannot be looked at: {why}"),
    }
}

/// Says whether a secret is mended: nothing is under way, and AWSCURRENT logs in.
pub(super) fn mended(
    look: &Look,
    ended: &io::Result<Look>,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<bool> {
    let troubles = |again: &Look| {
        let troubles = again.troubles.iter().map(|one| format!("; {}", one.text()));
        troubles.collect::<String>()
    };
    let (fine, text) = match ended {
        Ok(again) if again.found.pending.is_some() => {
            (false, format!("not ended yet: look again in some minutes{}", troubles(again)))
        }
        Ok(again) if again.logs_in() => (true, "mended".to_owned()),
        Ok(again) => {
            let what = "not mended: AWSCURRENT was not seen to log in";
            (false, format!("{what}{}", troubles(again)))
        }
        Err(error) => (false, format!("not mended: {}", clean(&error.to_string()))),
    };
    match format {
        Format::Json => {
            let arn = clean(&look.found.arn);
            writeln!(out, "{}", json!({"secret": arn, "mended": fine, "text": text}))?;
        }
        Format::Table => writeln!(out, "  {text}")?,
    }
    Ok(fine)
}

/// `on, last rotated 3 days ago`
fn rotation(look: &Look) -> String {
    let state = match look.found.rotation {
        Some(true) => "on",
        Some(false) => "off",
        None => "never set up",
    };
    let owner = look.found.owner.as_ref().map(|one| format!(", by {one}")).unwrap_or_default();
    let ago = |at: i64| format!(", last rotated {} ago", length(now().saturating_sub(at)));
    let next = |at: i64| format!(", next in {}", length(at.saturating_sub(now())));
    let next = look.found.next.filter(|at| *at > now()).map(next).unwrap_or_default();
    format!("{state}{owner}{}{next}", look.found.last.map(ago).unwrap_or_default())
}

fn people(account: &Account, look: &Look, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}\n  rotation {}", clean(&look.found.name), rotation(look))?;
    if let Some(age) = look.under_way {
        writeln!(out, "  a rotation is under way, for {}", length(age))?;
    }
    for trouble in &look.troubles {
        writeln!(out, "  {}", trouble.text())?;
    }
    if let Some(failure) = &look.failure {
        let ago = length(now().saturating_sub(failure.at));
        let (step, kind, why) = (&failure.step, &failure.kind, &failure.why);
        writeln!(out, "  last failure, {ago} ago: {step}: {kind}: {why}")?;
    }
    for row in look.inspection.iter().flat_map(versions) {
        writeln!(out, "  {}", version(row))?;
    }
    let Some(stuck) = &look.stuck else { return Ok(()) };
    match stuck.advice {
        None if stuck.refused => writeln!(
            out,
            "  {}: the function refuses every retry: correct AWSCURRENT, or discard as the last failure says",
            stuck.row.text()
        ),
        None => writeln!(
            out,
            "  {}: nothing is safe to do from here; see docs/operate.md, \"A stuck rotation\"",
            stuck.row.text()
        ),
        Some(advice) => {
            writeln!(out, "  {}: {}:", stuck.row.text(), advice.name())?;
            for command in commands(account, &look.found.arn, stuck) {
                writeln!(out, "    {command}")?;
            }
            Ok(())
        }
    }
}

/// `AWSPREVIOUS accepted: user "app_clone", 2 sessions open, ends in 3 days`
fn version(row: &Value) -> String {
    let mut parts = vec![clean(field(row, "why"))];
    parts.extend(seen(row));
    parts.retain(|part| !part.is_empty());
    let labels = clean(&labels(row).join(" "));
    format!("{labels} {}: {}", clean(field(row, "verdict")), parts.join(", "))
}

fn object(account: &Account, look: &Look) -> Value {
    let troubles = look.troubles.iter();
    let troubles: Vec<_> =
        troubles.map(|one| json!({"kind": one.name(), "text": one.text()})).collect();
    let failure = look.failure.as_ref().map(|failure| {
        let (step, kind, why) = (&failure.step, &failure.kind, &failure.why);
        json!({"at": failure.at, "step": step, "error_type": kind, "why": why})
    });
    let stuck = look.stuck.as_ref();
    let advice = stuck.and_then(|stuck| stuck.advice).map(|advice| advice.name());
    json!({
        "secret": clean(&look.found.arn),
        "name": clean(&look.found.name),
        "region": account.region(),
        "rotation": look.found.rotation,
        "function": look.found.function.as_deref().map(clean),
        "owner": look.found.owner,
        "last_rotated": look.found.last,
        "next_rotation": look.found.next,
        "under_way_seconds": look.under_way,
        "troubles": troubles,
        "last_failure": failure,
        "inspection": look.inspection,
        "row": stuck.map(|stuck| stuck.row.text()),
        "advice": advice,
        "commands": stuck.map(|stuck| commands(account, &look.found.arn, stuck)),
    })
}
