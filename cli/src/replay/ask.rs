//! `fourstep inspect`, `preflight` and `plan`: the questions that a function answers without changing
//! anything.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write};

use fourstep::Question;
use fourstep::store::AWSCURRENT;
use serde_json::Value;

use super::local::{Access, LocalSecret, Version, versions};
use super::table::{failed, reasons, versions_table, what_to_do};
use super::{Format, Report, Stage, invoke};
use crate::account::text::seen;
use crate::events::{self, text as field};
use crate::function::{Function, Invocation};

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

/// Asks the function about a secret of the Secrets Manager that it has, wherever that is.
///
/// # Errors
/// If the function cannot be started.
pub async fn ask_there(
    function: &Function,
    question: Question,
    secret: &str,
) -> io::Result<Invocation> {
    invoke(function, &events::question(question, secret)).await
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
            Question::Inspect => {
                versions_table(asked, &mut Vec::new(), None) + &reasons(asked) + &users(asked)
            }
            Question::Preflight => findings(asked),
            Question::Plan => plan(asked),
        },
    };
    out.write_all(text.as_bytes())?;
    let current = |version: &Version| version.has(AWSCURRENT) && version.accepted;
    Ok(match (&asked.answer, question) {
        (Err(_), _) => false,
        (Ok(_), Question::Inspect) => versions(asked).iter().any(current),
        (Ok(answer), Question::Preflight) => answer.get("ready") == Some(&Value::Bool(true)),
        (Ok(answer), Question::Plan) => answer.get("plan").is_some_and(Value::is_array),
    })
}

fn json_line(asked: &Invocation) -> String {
    let answer = match &asked.answer {
        Ok(answer) => answer.clone(),
        Err((kind, message)) => serde_json::json!({"error_type": kind, "error": message}),
    };
    format!("{answer}\n")
}

/// Who is logged in, where the server tells: each user once.
fn users(asked: &Invocation) -> String {
    let rows = asked.answer.as_ref().ok().and_then(|answer| answer.get("versions"));
    let rows = rows.and_then(Value::as_array).into_iter().flatten().map(seen);
    let lines: BTreeSet<String> =
        rows.filter(|seen| seen.len() > 1).map(|seen| seen.join(", ") + "\n").collect();
    lines.into_iter().collect()
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
        Some(Value::Bool(false)) => writeln!(text, "A rotation would fail. Nothing was changed."),
        _ => writeln!(text, "The function's answer is none to preflight. Nothing was changed."),
    };
    text
}

fn plan(asked: &Invocation) -> String {
    let answer = match &asked.answer {
        Ok(answer) => answer,
        Err((kind, message)) => return failed(kind, message),
    };
    let Some(lines) = answer.get("plan").and_then(Value::as_array) else {
        return "The function's answer is no plan. Nothing was changed.\n".to_owned();
    };
    let mut text: String =
        lines.iter().filter_map(Value::as_str).map(|line| format!("{line}\n")).collect();
    if text.is_empty() {
        text.push_str("Nothing but a new password. Nothing was changed.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    /// Where a login is only asked about, there is no step whose error says why it failed.
    #[test]
    fn c1_an_inspection_says_why_a_password_is_refused() {
        let row = json!({"version": "v1", "labels": [AWSCURRENT], "verdict": "rejected",
            "why": "the server refused user \"app\""});
        let answer = Ok(json!({"versions": [row]}));
        let asked = Invocation {
            answer,
            lines: Vec::new(),
            output: String::new(),
            duration: Duration::ZERO,
        };
        let mut said = Vec::new();
        assert!(!show(&asked, Question::Inspect, Format::Table, &mut said).unwrap());
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains(" no\n"), "{said}");
        assert!(said.ends_with("AWSCURRENT: the server refused user \"app\"\n"), "{said}");
    }

    #[test]
    fn only_an_answer_to_the_question_is_good() {
        for (question, answer, good) in [
            (Question::Preflight, json!({"ready": true}), true),
            (Question::Preflight, json!({"ready": false}), false),
            (Question::Preflight, json!({"statusCode": 200}), false),
            (Question::Plan, json!({"plan": []}), true),
            (Question::Plan, json!({"statusCode": 200}), false),
            (Question::Plan, json!("hello"), false),
            (Question::Inspect, json!({"statusCode": 200}), false),
        ] {
            let duration = Duration::ZERO;
            let asked = Invocation {
                answer: Ok(answer.clone()),
                lines: Vec::new(),
                output: String::new(),
                duration,
            };
            let mut said = Vec::new();
            let seen = show(&asked, question, Format::Table, &mut said).unwrap();
            let said = String::from_utf8(said).unwrap();
            assert_eq!(seen, good, "{question:?} {answer}: {said}");
            let praised = said.contains("would succeed") || said.contains("Nothing but");
            assert!(good || !praised, "{question:?} {answer}: {said}");
        }
    }
}
