//! What doctor prints: blocks of lines for people, one JSON object a secret for machines.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::fix::{commands, retry};
use super::inspection::versions;
use super::left::left;
use super::look::Look;
use super::{Advice, Doctor, Row};
use crate::account::aws::{Account, Failure};
use crate::account::text::{clean, length, now, seen};
use crate::events::{labels, rank, text as field};
use crate::replay::Format;

pub(super) fn look(
    account: &Account,
    look: &Look,
    doctor: &Doctor,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Json => writeln!(out, "{}", object(account, doctor, look)),
        Format::Table if doctor.shows(look) => people(account, doctor, look, out),
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

/// Says that nothing was done, and why.
pub(super) fn unchanged(why: &str, format: Format, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Json => Ok(()),
        Format::Table => writeln!(out, "  nothing was changed: {why}"),
    }
}

/// Says whether a secret is mended: nothing is under way, and AWSCURRENT logs in.
pub(super) fn mended(
    account: &Account,
    doctor: &Doctor,
    look: &Look,
    ended: &io::Result<Look>,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<bool> {
    let troubles = |again: &Look| {
        let troubles = again.troubles.iter().map(|one| format!("; {}", one.text()));
        troubles.collect::<String>()
    };
    let mut told = Vec::new();
    let (fine, text) = match ended {
        Ok(again) if let Some(failure) = again.failed() => {
            told = left(account, doctor, again);
            let Failure { step, kind, why, .. } = failure;
            (
                false,
                format!(
                    "not mended: the rotation that was begun has failed: {step}: {kind}: {why}"
                ),
            )
        }
        Ok(again) if again.found.pending.is_some() => {
            (false, "not ended yet: look again in some minutes".to_owned())
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
            let said =
                json!({"secret": arn, "mended": fine, "text": text, "left_to_a_person": told});
            writeln!(out, "{said}")?;
        }
        Format::Table => lines(std::iter::once(text).chain(told), out)?,
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

fn lines(lines: impl IntoIterator<Item = String>, out: &mut dyn Write) -> io::Result<()> {
    lines.into_iter().try_for_each(|line| writeln!(out, "  {line}"))
}

fn people(account: &Account, doctor: &Doctor, look: &Look, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{}\n  rotation {}", clean(&look.found.name), rotation(look))?;
    if let Some(age) = look.under_way {
        let (age, limit) = (length(age), length(doctor.stuck_after));
        writeln!(out, "  a rotation is under way, for {age}: stuck after {limit} (--stuck-after)")?;
    }
    for trouble in &look.troubles {
        writeln!(out, "  {}", trouble.text())?;
    }
    if let Some(failure) = &look.failure {
        let ago = length(now().saturating_sub(failure.at));
        let Failure { step, kind, why, .. } = failure;
        writeln!(out, "  last failure, {ago} ago: {step}: {kind}: {why}")?;
    }
    let mut rows: Vec<_> = look.inspection.iter().flat_map(versions).collect();
    rows.sort_by_key(|row| rank(row));
    lines(rows.into_iter().map(version), out)?;
    lines(left(account, doctor, look), out)?;
    let Some((stuck, advice)) = look.stuck.as_ref().zip(look.advice()) else { return Ok(()) };
    writeln!(out, "  advice ({}): {}{}", stuck.row.text(), advice.name(), may_fail(stuck.row))?;
    let by_hand = match advice {
        Advice::Retry => retry(account, &look.found.arn).into(),
        _ => commands(account, &look.found.arn, stuck),
    };
    if !doctor.fix {
        writeln!(out, "    {}", doctor.command(account, look, true))?;
    }
    if let Some(failure) = look.failed().filter(|one| one.kind != "Rejected") {
        writeln!(
            out,
            "    # first correct the cause of the last failure: every rotation ends as {}",
            failure.kind
        )?;
    }
    writeln!(out, "  the same by hand{}:", careful(advice))?;
    lines(by_hand.into_iter().map(|command| format!("  {command}")), out)
}

/// What `--fix` looks at before it changes labels.
fn careful(advice: Advice) -> &'static str {
    match advice {
        Advice::Retry => "",
        Advice::Discard | Advice::Promote => {
            ", if the function's log has no step of this version in the last 5 minutes"
        }
    }
}

fn may_fail(row: Row) -> &'static str {
    match row {
        Row::None => ", which also tries older versions; if none works, it is left to a person",
        _ => "",
    }
}

/// `AWSPREVIOUS accepted: user "app_clone", 2 sessions open, ends in 3 days`
fn version(row: &Value) -> String {
    let mut parts = vec![clean(field(row, "why"))];
    parts.extend(seen(row));
    parts.retain(|part| !part.is_empty());
    let between = if parts.is_empty() { "" } else { ": " };
    let labels = clean(&labels(row).join(" "));
    format!("{labels} {}{between}{}", clean(field(row, "verdict")), parts.join(", "))
}

fn object(account: &Account, doctor: &Doctor, look: &Look) -> Value {
    let troubles = look.troubles.iter();
    let troubles: Vec<_> =
        troubles.map(|one| json!({"kind": one.name(), "text": one.text()})).collect();
    let failure = look.failure.as_ref().map(|failure| {
        let (step, kind, why) = (&failure.step, &failure.kind, &failure.why);
        json!({"at": failure.at, "step": step, "error_type": kind, "why": why})
    });
    let stuck = look.stuck.as_ref();
    let advice = look.advice().map(Advice::name);
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
        "left_to_a_person": left(account, doctor, look),
        "commands": stuck.map(|stuck| commands(account, &look.found.arn, stuck)),
    })
}
