//! Text of others, made harmless before it is shown: answers of APIs, lines of logs, names.

use std::fmt::Display;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fourstep::shell::harmless;
pub use fourstep::shell::word;
use serde_json::Value;

/// The most characters that are shown of one text.
const LONGEST: usize = 2_000;

/// A text in one line without anything that a terminal would act upon: control characters (escapes
/// among them) and characters that turn the direction of writing are replaced. What is longer than
/// 2,000 characters is cut.
pub fn clean(text: &str) -> String {
    let line = |c: char| if c == '\n' || c == '\t' { ' ' } else { harmless(c) };
    let mut clean: String = text.chars().take(LONGEST).map(line).collect();
    if text.chars().nth(LONGEST).is_some() {
        clean.push_str(" ...");
    }
    clean
}

/// The same for every text of an answer, in full and with its lines.
pub fn clean_answer(answer: Value) -> Value {
    let line = |c: char| if c == '\n' { c } else { harmless(c) };
    let clean = |text: &str| text.chars().map(line).collect::<String>();
    match answer {
        Value::String(text) => Value::String(clean(&text)),
        Value::Array(items) => Value::Array(items.into_iter().map(clean_answer).collect()),
        Value::Object(fields) => {
            let fields = fields.into_iter();
            Value::Object(fields.map(|(name, one)| (clean(&name), clean_answer(one))).collect())
        }
        other => other,
    }
}

/// How a secret is named in a command: by its ARN where its name would be read as a flag, quoted or not.
pub fn in_command<'a>(name: &'a str, arn: &'a str) -> &'a str {
    if name.starts_with('-') { arn } else { name }
}

/// Seconds since 1970, of now.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A length of time in its largest unit: `3 days`, `1 hour`.
pub fn length(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3_600 => (seconds / 60, "minute"),
        3_600..86_400 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    self::count(count, unit)
}

/// So many of these: `1 secret`, `2 secrets`.
pub fn count<T: Display + PartialEq + From<u8>>(count: T, what: &str) -> String {
    let plural = if count == T::from(1) { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Which user a row of an inspection is about, or which key of a vendor's.
pub fn named(row: &Value) -> Option<String> {
    let one = |name: &str| Some(format!("{name} {:?}", clean(row.get(name)?.as_str()?)));
    one("user").or_else(|| one("key"))
}

/// What a row of an inspection tells of the user that was let in: `user "app"`, `2 sessions open`,
/// `ends in 3 days`.
pub fn seen(row: &Value) -> Vec<String> {
    let number = |name: &str| row.get(name).and_then(Value::as_i64);
    let sessions = number("sessions").map(|open| format!("{} open", count(open, "session")));
    let ends = number("ends_in_seconds").map(|ends| match ends {
        ..0 => format!("ended {} ago", length(ends.saturating_neg())),
        _ => format!("ends in {}", length(ends)),
    });
    [named(row), sessions, ends].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_upon_is_left() {
        let hostile = "a\u{1b}[31mred\u{7}\r\nb\u{9b}2J\u{202e}c\u{0}\u{feff}";
        let shown = clean(hostile);
        assert!(shown.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{shown:?}");
        assert!(shown.contains("red") && !shown.contains('\n'));
        assert_eq!(clean(&"x".repeat(9_000)).len(), 2_004);
    }

    #[test]
    fn what_a_login_tells_is_said_where_it_is_known() {
        let row = |text: &str| seen(&serde_json::from_str(text).unwrap());
        let all = r#"{"user": "a\u001b", "sessions": 1, "ends_in_seconds": 7200}"#;
        assert_eq!(row(all), ["user \"a\u{fffd}\"", "1 session open", "ends in 2 hours"]);
        assert_eq!(row(r#"{"user": 7, "sessions": null, "ends_in_seconds": 1e300}"#), [""; 0]);
        assert_eq!(
            row(r#"{"sessions": 0, "ends_in_seconds": -60}"#),
            ["0 sessions open", "ended 1 minute ago"]
        );
    }

    #[test]
    fn a_secret_that_is_named_like_a_flag_is_named_by_its_arn() {
        assert_eq!(in_command("app/db", "arn:one"), "app/db");
        assert_eq!(in_command("--yes", "arn:one"), "arn:one");
    }

    #[test]
    fn lengths_of_time_are_in_their_largest_unit() {
        let seen: Vec<_> =
            [-5, 1, 59, 60, 3_600, 86_400, 200_000].iter().map(|one| length(*one)).collect();
        assert_eq!(
            seen,
            ["0 seconds", "1 second", "59 seconds", "1 minute", "1 hour", "1 day", "2 days"]
        );
    }
}
