//! `fourstep inspect`, `preflight` and `plan`: the questions that a function answers without changing
//! anything.

use std::fmt::Write as _;
use std::io::{self, Write};

use fourstep::Question;
use fourstep::store::AWSCURRENT;
use serde_json::Value;

use super::local::{Access, LocalSecret, Version, versions};
use super::report::{failed, reasons, versions_table, what_to_do};
use super::{Format, Report, Stage, invoke};
use crate::events::{self, text as field};
use crate::function::Invocation;

/// Asks the function and shows its answer. True if the answer is good: AWSCURRENT logs in, a rotation
/// would succeed, there is a plan.
///
/// # Errors
/// If the secret file, the local Secrets Manager or the function cannot be used.
pub async fn ask(
    stage: &Stage,
    question: Question,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<bool> {
    let secret = {
        // What an earlier replay left is mentioned to people only: the answer is one JSON object.
        let mut unheard = io::sink();
        let heard: &mut dyn Write = match format {
            Format::Table => &mut *out,
            Format::Json => &mut unheard,
        };
        LocalSecret::open(stage, Access::Reads, |_| Ok(()), &mut Report::new(heard, format)).await?
    };
    let function = stage.function(&secret);
    let asked = invoke(&function, &events::question(question, secret.arn())).await?;
    secret.close().await?;
    show(&asked, question, format, out)
}

/// Shows what a function answered to a question, wherever it is. True if the answer is good.
///
/// # Errors
/// If it cannot be written.
pub fn show(
    asked: &Invocation,
    question: Question,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<bool> {
    let text = match format {
        Format::Json => json_line(asked),
        Format::Table => match question {
            Question::Inspect => versions_table(asked, &mut Vec::new()) + &reasons(asked),
            Question::Preflight => findings(asked),
            Question::Plan => plan(asked),
        },
    };
    out.write_all(text.as_bytes())?;
    let current = |version: &Version| version.has(AWSCURRENT) && version.accepted;
    Ok(match (&asked.answer, question) {
        (Err(_), _) => false,
        (Ok(_), Question::Inspect) => versions(asked).iter().any(current),
        (Ok(answer), _) => answer.get("ready") != Some(&Value::Bool(false)),
    })
}

fn json_line(asked: &Invocation) -> String {
    let answer = match &asked.answer {
        Ok(answer) => answer.clone(),
        Err((kind, message)) => serde_json::json!({"error_type": kind, "error": message}),
    };
    format!("{answer}\n")
}

/// What would fail first, then what is only to be known.
fn findings(asked: &Invocation) -> String {
    let answer = match &asked.answer {
        Ok(answer) => answer,
        Err((kind, message)) => return failed(kind, message),
    };
    let mut text = String::new();
    for row in answer.get("findings").and_then(Value::as_array).into_iter().flatten() {
        let (severity, finding) = (field(row, "severity"), field(row, "finding"));
        let _ = match field(row, "kind") {
            "" => writeln!(text, "{severity}  {finding}"),
            kind => writeln!(text, "{severity}  {kind}: {finding}{}", what_to_do(kind, finding)),
        };
    }
    let untried = match field(answer, "untried") {
        "" => String::new(),
        what => format!(" Not tried: {what}."),
    };
    let _ = match answer.get("ready") {
        Some(Value::Bool(true)) => {
            writeln!(text, "A rotation would succeed.{untried} Nothing was changed.")
        }
        _ => writeln!(text, "A rotation would fail. Nothing was changed."),
    };
    text
}

fn plan(asked: &Invocation) -> String {
    let answer = match &asked.answer {
        Ok(answer) => answer,
        Err((kind, message)) => return failed(kind, message),
    };
    let lines = answer.get("plan").and_then(Value::as_array).into_iter().flatten();
    let mut text: String =
        lines.filter_map(Value::as_str).map(|line| format!("{line}\n")).collect();
    if text.is_empty() {
        text.push_str("Nothing but a new password. Nothing was changed.\n");
    }
    text
}
