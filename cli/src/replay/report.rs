//! What a replay shows, step by step: a table for people, JSON lines for machines.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use fourstep::Step;
use serde_json::{Value, json};

use super::table::{effects, out_of_reach, versions, versions_table, what_to_do};
use crate::events::text as field;
use crate::function::Invocation;
use crate::replay::{Options, Stage};

/// The last line where all went well but for this.
const HAS_SAID: &str = "The function said a credential: see above.\n";

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
    /// Whether the last look came to a table.
    looked: bool,
    /// Whether the target may have another password than before: a setSecret succeeded, now or in an
    /// earlier replay, or failed without a word about it.
    changed: bool,
    /// Whether the function said a credential.
    said: bool,
    /// Reasons that the tables gave: each is told once.
    told: Vec<String>,
    /// Why it stopped, for the last line.
    cause: Option<String>,
}

impl<'a> Report<'a> {
    /// A report written to `out`.
    pub fn new(out: &'a mut dyn Write, format: Format) -> Self {
        Self {
            out,
            format,
            rotation: 0,
            logs_in: None,
            looked: false,
            changed: false,
            said: false,
            told: Vec::new(),
            cause: None,
        }
    }

    pub(super) fn resumed(&mut self, journal: &Path, values: usize) -> io::Result<()> {
        let journal = journal.display();
        self.changed = true;
        self.say(
            &format!(
                "An earlier replay stopped half-way. {values} password(s) that it proposed are in \
                 {journal}; the one that logs in, if any, is offered to the rotator as AWSPREVIOUS.\n"
            ),
            &json!({"event": "resumed", "journal": journal.to_string(), "values": values}),
        )
    }

    /// Shows the state before the first step. False if nothing is to be begun: the function could not
    /// even look or, unless it is `pressed`, could not ask the target about AWSCURRENT.
    pub(super) fn before(&mut self, inspection: &Invocation, pressed: bool) -> io::Result<bool> {
        let mut end = String::new();
        if let Err((kind, why)) = &inspection.answer {
            self.cause = Some(format!("{kind}: {why}{}", what_to_do(kind, why)));
            end.push_str("\nNothing was begun: the function could not look at the secret.\n");
        } else if let Some((kind, why)) = out_of_reach(inspection).filter(|_| !pressed) {
            self.cause = Some(format!("{why}{}", what_to_do(kind.name(), &why)));
            end.push_str(
                "\nNothing was begun: whether AWSCURRENT logs in could not be asked. Once the cause is \
                 mended, run the same replay again. If the database is paused, start it first.\n",
            );
        }
        let text = format!("before\n{}{end}", self.table(inspection));
        let (begins, versions) = (self.cause.is_none(), versions(inspection));
        self.say(&text, &json!({"event": "before", "ok": begins, "versions": versions}))?;
        Ok(begins)
    }

    /// Who can log in, each reason once, and that of the last line not before it.
    fn table(&mut self, inspection: &Invocation) -> String {
        self.see(inspection);
        versions_table(inspection, &mut self.told, self.cause.as_deref())
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
        self.changed |= step == Step::Set && (kind.is_null() || !untouched(why));
        text.push_str(&self.table(inspection));
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

    /// The function's answer or output has a credential. A fault of the function, whatever became of the
    /// rotation.
    pub(super) fn said(&mut self, what: &str) -> io::Result<()> {
        self.said = true;
        self.say(
            &format!(
                "  {:<13} SAID A CREDENTIAL: its answer or output has {what}. At AWS a log would have it: \
                 mend the function before it is deployed.\n",
                ""
            ),
            &json!({"event": "said-credential", "what": what}),
        )
    }

    pub(super) fn has_said(&self) -> bool {
        self.said
    }

    /// The last words of a replay that stopped; `tested` if it was to change nothing.
    pub(super) fn stopped(
        &mut self,
        journal: &Path,
        tested: bool,
        stage: &Stage,
    ) -> io::Result<()> {
        let begun = self.rotation > 0 || self.cause.is_none();
        let mut text = if begun { "\nThe rotation stopped here." } else { "" }.to_owned();
        text.push_str(match self.logs_in {
            _ if !begun => "",
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
            None if self.looked => {
                " Whether a stored password logs in is unknown, as the table shows."
            }
            None => " Whether a stored password logs in is unknown.",
        });
        if begun && self.logs_in == Some(false) && stage.may_rotate_a_vendors() {
            text.push_str(
                " If a vendor's key works elsewhere, [verify] in its specification asks what the key \
                 may not.",
            );
        }
        text.push_str(&match self.changed {
            true => kept(journal),
            false => proposed(journal),
        });
        if !text.is_empty() {
            text = format!("{}\n", text.trim_start_matches(' '));
        }
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
        let text = text + if self.said { HAS_SAID } else { "" };
        self.say(&text, &json!({"event": "end", "ok": !self.said, "journal": at(journal)}))
    }

    /// Remembers whether any stored password logs in; None if not every one could be asked.
    fn see(&mut self, inspection: &Invocation) {
        self.looked = inspection.answer.is_ok();
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

/// Whether an error says that the target has what it had before; one that says so of one server of several
/// does not.
fn untouched(why: &str) -> bool {
    why.contains("nothing was changed") && !why.contains("nothing was changed there")
}

/// The same where the target has what it had before.
fn proposed(journal: &Path) -> String {
    if !journal.exists() {
        return String::new();
    }
    format!(
        " The target and the secret file are as they were before; the password that was proposed is in \
         {}, and the next replay offers it to the rotator.",
        journal.display()
    )
}

pub(super) fn at(journal: &Path) -> Value {
    if journal.exists() { journal.display().to_string().into() } else { Value::Null }
}
