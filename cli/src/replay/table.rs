//! What a function answered, for a table: who can log in, and what an error means on this machine.

use std::fmt::Write as _;

use fourstep::ErrorKind;
use fourstep::store::AWSCURRENT;
use serde_json::{Value, json};

use crate::events::{labels, rank, text as field};
use crate::function::Invocation;
use crate::slips::here;

/// `DescribeSecret 1, GetSecretValue 2; connections 1, refused logins 0`
pub(super) fn effects(line: &Value) -> String {
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

pub(super) fn versions(inspection: &Invocation) -> Value {
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

/// Why nobody could be asked whether AWSCURRENT logs in: a rotation would fail as well. A target that
/// answered, however unclearly, is no such reason.
pub(super) fn out_of_reach(inspection: &Invocation) -> Option<(ErrorKind, String)> {
    const KINDS: [ErrorKind; 5] = [
        ErrorKind::Malformed,
        ErrorKind::Unreachable,
        ErrorKind::Tls,
        ErrorKind::Throttled,
        ErrorKind::OutOfTime,
    ];
    let versions = versions(inspection);
    let mut rows = versions.as_array().into_iter().flatten();
    let row = rows.find(|row| labels(row).contains(&AWSCURRENT))?;
    let why = field(row, "why");
    let named = why.split(": ").next().unwrap_or_default();
    let kind = KINDS.into_iter().find(|kind| kind.name() == named)?;
    (field(row, "verdict") == "unknown").then(|| (kind, why.to_owned()))
}

/// Each reason once: where it was `told`, or at the end as the `cause`.
pub(super) fn versions_table(
    inspection: &Invocation,
    told: &mut Vec<String>,
    cause: Option<&str>,
) -> String {
    let last = |why: &str| !why.is_empty() && cause.is_some_and(|cause| cause.starts_with(why));
    let mut rows = match &inspection.answer {
        Ok(answer) => answer.get("versions").and_then(Value::as_array).cloned().unwrap_or_default(),
        Err((kind, message)) if last(&format!("{kind}: {message}")) => {
            return "    the function could not look: see the last line\n".to_owned();
        }
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
                why if last(why) => "unknown: see the last line".to_owned(),
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
