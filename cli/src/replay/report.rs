//! What a replay shows, step by step: a table for people, JSON lines for machines.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use fourstep::Step;
use fourstep::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};
use serde_json::{Value, json};

use crate::events::text as field;
use crate::function::Invocation;

/// How a replay is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A table.
    Table,
    /// One JSON object a line.
    Json,
}

/// Shows a replay as it goes.
pub struct Report<'a> {
    out: &'a mut dyn Write,
    format: Format,
    rotation: u32,
}

impl<'a> Report<'a> {
    /// A report written to `out`.
    pub fn new(out: &'a mut dyn Write, format: Format) -> Self {
        Self { out, format, rotation: 0 }
    }

    pub(super) fn resumed(&mut self, journal: &Path, values: usize) -> io::Result<()> {
        let journal = journal.display();
        self.say(
            &format!(
                "An earlier replay stopped half-way. {values} password(s) that it proposed are in \
                 {journal}; they are offered to the rotator as older versions.\n"
            ),
            &json!({"event": "resumed", "journal": journal.to_string(), "values": values}),
        )
    }

    pub(super) fn before(&mut self, inspection: &Invocation) -> io::Result<()> {
        let text = format!("before\n{}", versions_table(inspection));
        self.say(&text, &json!({"event": "before", "versions": versions(inspection)}))
    }

    pub(super) fn rotation(&mut self, rotation: u32, of: u32, token: &str) -> io::Result<()> {
        self.rotation = rotation;
        self.say(
            &format!("\nrotation {rotation} of {of}, version {token}\n"),
            &json!({"event": "rotation", "rotation": rotation, "version": token}),
        )
    }

    pub(super) fn refused(&mut self, why: &str) -> io::Result<()> {
        self.say(
            &format!("\nRotateSecret was refused: {why}\n"),
            &json!({"event": "refused", "why": why}),
        )
    }

    pub(super) fn step(
        &mut self,
        step: Step,
        invocation: &Invocation,
        inspection: &Invocation,
    ) -> io::Result<()> {
        let milliseconds = invocation.duration.as_micros() as f64 / 1000.0;
        let line = invocation.line().cloned().unwrap_or_default();
        let (outcome, why, kind) = match &invocation.answer {
            Ok(answer) => (field(answer, "outcome"), field(answer, "why"), Value::Null),
            Err((kind, message)) => ("failed", message.as_str(), json!(kind)),
        };
        let mut text =
            format!("  {:<13} {outcome:<13} {milliseconds:>7.1} ms  {why}\n", step.name());
        if let Value::String(kind) = &kind {
            let _ = writeln!(text, "  {:<13} error type: {kind}", "");
        }
        let _ = writeln!(text, "  {:<13} {}", "", effects(&line));
        for warning in line.get("warnings").and_then(Value::as_array).into_iter().flatten() {
            let _ =
                writeln!(text, "  {:<13} warning: {}", "", warning.as_str().unwrap_or_default());
        }
        text.push_str(&versions_table(inspection));
        self.say(
            &text,
            &json!({
                "event": "step",
                "rotation": self.rotation,
                "step": step.name(),
                "ok": invocation.answer.is_ok(),
                "outcome": outcome,
                "why": why,
                "error_type": kind,
                "duration_ms": milliseconds,
                "calls": line.get("calls"),
                "connections": line.get("Connections"),
                "rejected_logins": line.get("RejectedLogins"),
                "warnings": line.get("warnings"),
                "versions": versions(inspection),
            }),
        )
    }

    pub(super) fn stopped(&mut self, journal: &Path) -> io::Result<()> {
        let mut text = "\nThe rotation stopped here.".to_owned();
        if journal.exists() {
            let _ = write!(
                text,
                " The secret file holds the password from before; the one being rotated in is kept in {}. \
                 The table says which of them logs in. Run the same replay again: it finds the working one.",
                journal.display()
            );
        }
        text.push('\n');
        self.say(&text, &json!({"event": "end", "ok": false}))
    }

    pub(super) fn finished(&mut self, rotations: u32) -> io::Result<()> {
        let noun = if rotations == 1 { "rotation" } else { "rotations" };
        self.say(
            &format!("\n{rotations} {noun} done; the secret file holds what is current now.\n"),
            &json!({"event": "end", "ok": true}),
        )
    }

    fn say(&mut self, text: &str, line: &Value) -> io::Result<()> {
        match self.format {
            Format::Table => write!(self.out, "{text}")?,
            Format::Json => writeln!(self.out, "{line}")?,
        }
        self.out.flush()
    }
}

/// `DescribeSecret 1, GetSecretValue 2; connections 1, refused logins 0`
fn effects(line: &Value) -> String {
    let calls = line.get("calls").and_then(Value::as_object);
    let calls: Vec<String> = calls
        .into_iter()
        .flatten()
        .map(|(operation, count)| format!("{operation} {count}"))
        .collect();
    let count = |name: &str| line.get(name).and_then(Value::as_u64).unwrap_or_default();
    format!(
        "{}; connections {}, refused logins {}",
        if calls.is_empty() { "no calls".to_owned() } else { calls.join(", ") },
        count("Connections"),
        count("RejectedLogins"),
    )
}

fn versions(inspection: &Invocation) -> Value {
    match &inspection.answer {
        Ok(answer) => answer.get("versions").cloned().unwrap_or_default(),
        Err((kind, message)) => json!({"error_type": kind, "error": message}),
    }
}

fn versions_table(inspection: &Invocation) -> String {
    let mut rows = match &inspection.answer {
        Ok(answer) => answer.get("versions").and_then(Value::as_array).cloned().unwrap_or_default(),
        Err((kind, message)) => return format!("    cannot inspect: {kind}: {message}\n"),
    };
    // In the order in which people think of them, not of their random ids.
    rows.sort_by_key(|row| {
        let rank = |label: &str| !labels(row).contains(&label);
        (rank(AWSCURRENT), rank(AWSPENDING), rank(AWSPREVIOUS))
    });
    let mut text = format!("    {:<10} {:<24} logs in\n", "version", "labels");
    for row in rows {
        let short: String = field(&row, "version").chars().take(8).collect();
        let logs_in = match field(&row, "verdict") {
            "accepted" => "yes".to_owned(),
            "rejected" => "no".to_owned(),
            "empty" => "has no value yet".to_owned(),
            _ => format!("unknown: {}", field(&row, "why")),
        };
        let _ = writeln!(text, "    {short:<10} {:<24} {logs_in}", labels(&row).join(" "));
    }
    text
}

fn labels(row: &Value) -> Vec<&str> {
    let labels = row.get("labels").and_then(Value::as_array);
    labels.into_iter().flatten().filter_map(Value::as_str).collect()
}
