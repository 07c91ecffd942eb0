//! What a replay shows, step by step: a table for people, JSON lines for machines.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use fourstep::{ErrorKind, Step};
use serde_json::{Value, json};

use crate::events::{labels, rank, text as field};
use crate::function::Invocation;
use crate::replay::{Options, Stage};
use crate::slips::here;

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
    logs_in: Option<bool>,
    /// Reasons that the tables gave: each is told once.
    told: Vec<String>,
    /// Why it stopped, for the last line.
    cause: Option<String>,
}

impl<'a> Report<'a> {
    /// A report written to `out`.
    pub fn new(out: &'a mut dyn Write, format: Format) -> Self {
        Self { out, format, rotation: 0, logs_in: None, told: Vec::new(), cause: None }
    }

    pub(super) fn resumed(&mut self, journal: &Path, values: usize) -> io::Result<()> {
        let journal = journal.display();
        self.say(
            &format!(
                "An earlier replay stopped half-way. {values} password(s) that it proposed are in \
                 {journal}; the one that logs in, if any, is offered to the rotator as AWSPREVIOUS.\n"
            ),
            &json!({"event": "resumed", "journal": journal.to_string(), "values": values}),
        )
    }

    /// Shows the state before the first step. False if the function could not even look.
    pub(super) fn before(&mut self, inspection: &Invocation) -> io::Result<bool> {
        let looked = inspection.answer.is_ok();
        let mut text = format!("before\n{}", versions_table(inspection, &mut self.told));
        if !looked {
            text.push_str("\nNothing was begun: the function could not look at the secret.\n");
        }
        self.see(inspection);
        let versions = versions(inspection);
        self.say(&text, &json!({"event": "before", "ok": looked, "versions": versions}))?;
        Ok(looked)
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
        // Why it failed is told once, and last: there it is found.
        let shown = if kind.is_null() { why } else { "see the last line" };
        let mut text =
            format!("  {:<13} {outcome:<13} {milliseconds:>7.1} ms  {shown}\n", step.name());
        if let Value::String(kind) = &kind {
            let _ = writeln!(text, "  {:<13} error type: {kind}", "");
            self.cause = Some(format!("{kind}: {why}{}", what_to_do(kind, why)));
        }
        let _ = writeln!(text, "  {:<13} {}", "", effects(&line));
        for warning in line.get("warnings").and_then(Value::as_array).into_iter().flatten() {
            let _ =
                writeln!(text, "  {:<13} warning: {}", "", warning.as_str().unwrap_or_default());
        }
        text.push_str(&versions_table(inspection, &mut self.told));
        self.see(inspection);
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

    /// The last words of a replay that stopped; `tested` if it was to change nothing.
    pub(super) fn stopped(
        &mut self,
        journal: &Path,
        tested: bool,
        stage: &Stage,
    ) -> io::Result<()> {
        let mut text = "\nThe rotation stopped here.".to_owned();
        text.push_str(match self.logs_in {
            Some(true) if tested && journal.exists() => {
                " A password of an interrupted replay logs in, and not the one in the file, which \
                 was tested: replay without --test-only, which ends what was interrupted."
            }
            Some(true) => {
                " A stored password logs in, as the table shows: once the cause is mended, run the \
                 same replay again."
            }
            Some(false) => {
                " No stored password logs in: set the one in the secret file at the target, or \
                 store there the one that the target has."
            }
            None => " Whether a stored password logs in is unknown, as the table shows.",
        });
        if self.logs_in == Some(false) && stage.may_rotate_a_vendors() {
            text.push_str(
                " If a vendor's key works elsewhere, [verify] in its specification asks what the key \
                 may not.",
            );
        }
        text.push_str(&kept(journal));
        text.push('\n');
        if let Some(cause) = &self.cause {
            let _ = writeln!(text, "The cause: {cause}");
        }
        self.say(&text, &json!({"event": "end", "ok": false, "journal": at(journal)}))
    }

    /// The last words of a replay in which no step failed. `settled`: the file holds what is
    /// current, and that was seen to log in.
    pub(super) fn finished(
        &mut self,
        options: &Options,
        settled: bool,
        journal: &Path,
    ) -> io::Result<()> {
        let rotations = options.rotations;
        let noun = if rotations == 1 { "rotation" } else { "rotations" };
        let text = if options.test_only {
            "\nThe configuration was tested; nothing was changed.\n".to_owned()
        } else if settled && journal.exists() {
            format!(
                "\n{rotations} {noun} played; the secret file holds what is current now. {} holds \
                 passwords of an earlier replay that log in as well.\n",
                journal.display()
            )
        } else if settled {
            format!("\n{rotations} {noun} played; the secret file holds what is current now.\n")
        } else {
            let kept = kept(journal);
            format!(
                "\nThe steps were delivered, but they did not end with an AWSCURRENT that logs in.\
                 {kept}\n"
            )
        };
        self.say(&text, &json!({"event": "end", "ok": true, "journal": at(journal)}))
    }

    /// Remembers whether any stored password logs in; None if not every one could be asked.
    fn see(&mut self, inspection: &Invocation) {
        let versions = versions(inspection);
        let verdicts: Vec<&str> =
            versions.as_array().into_iter().flatten().map(|row| field(row, "verdict")).collect();
        self.logs_in = match verdicts.as_slice() {
            verdicts if verdicts.contains(&"accepted") => Some(true),
            [] => None,
            verdicts if verdicts.contains(&"unknown") => None,
            _ => Some(false),
        };
    }

    pub(super) fn say(&mut self, text: &str, line: &Value) -> io::Result<()> {
        let said = match self.format {
            Format::Table => write!(self.out, "{text}"),
            Format::Json => writeln!(self.out, "{line}"),
        };
        match said.and_then(|()| self.out.flush()) {
            // Whoever reads may stop reading; a rotation that has begun goes on.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            said => said,
        }
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

/// What a person must know about passwords that only the journal holds.
pub(super) fn kept(journal: &Path) -> String {
    if !journal.exists() {
        return String::new();
    }
    format!(
        " The secret file is as it was before; passwords that were proposed since, one of which \
         the target may have now, are in {}. The next replay offers them to the rotator.",
        journal.display()
    )
}

pub(super) fn at(journal: &Path) -> Value {
    if journal.exists() { journal.display().to_string().into() } else { Value::Null }
}

fn versions(inspection: &Invocation) -> Value {
    match &inspection.answer {
        Ok(answer) => answer.get("versions").cloned().unwrap_or_default(),
        Err((kind, message)) => json!({"error_type": kind, "error": message}),
    }
}

/// A question that the function could not answer: the same words wherever one is asked.
pub(super) fn failed(kind: &str, message: &str) -> String {
    format!("the function could not look: {kind}: {message}{}\n", what_to_do(kind, message))
}

/// Lines below an error: what it means on this machine, and the page about its kind. Lambda's own
/// kinds have none.
pub(super) fn what_to_do(kind: &str, message: &str) -> String {
    let known = ErrorKind::ALL.into_iter().find(|known| known.name() == kind);
    let page = known.map(|known| format!("\nWhat to do: {}", known.page()));
    here(message) + &page.unwrap_or_default()
}

/// Why versions do not log in, a line for each: in an inspection, which has no room for it in its table.
pub(super) fn reasons(inspection: &Invocation) -> String {
    let versions = versions(inspection);
    let rejected = versions.as_array().into_iter().flatten();
    let rejected = rejected.filter(|row| field(row, "verdict") == "rejected");
    let line = |row: &Value| format!("{}: {}\n", labels(row).join(" "), field(row, "why"));
    rejected.map(line).collect()
}

pub(super) fn versions_table(inspection: &Invocation, told: &mut Vec<String>) -> String {
    let mut rows = match &inspection.answer {
        Ok(answer) => answer.get("versions").and_then(Value::as_array).cloned().unwrap_or_default(),
        Err((kind, message)) => return failed(kind, message),
    };
    rows.sort_by_key(rank);
    let mut text = format!("    {:<10} {:<24} logs in\n", "version", "labels");
    for row in rows {
        let short: String = field(&row, "version").chars().take(8).collect();
        let logs_in = match field(&row, "verdict") {
            "accepted" => "yes".to_owned(),
            "rejected" => "no".to_owned(),
            "empty" => "has no value yet".to_owned(),
            _ => match field(&row, "why") {
                why if told.iter().any(|one| one == why) => "unknown: as above".to_owned(),
                why => {
                    told.push(why.to_owned());
                    format!("unknown: {why}")
                }
            },
        };
        let _ = writeln!(text, "    {short:<10} {:<24} {logs_in}", labels(&row).join(" "));
    }
    text
}
