//! What the logs of rotation functions say: CloudWatch Logs.

use fourstep::Step;
use serde_json::{Value, json};

use super::signed::{Call, Service};
use super::{Account, CallError};
use crate::account::text::{clean, now};
use crate::events::text as field;

/// The most pages that are read of a part of a log. A page may be empty, and the newest line is on the last.
const MOST_PAGES: usize = 30;

/// How far back a log is searched first, and then, in seconds: an hour, and a day.
const HOUR: i64 = 3_600;
const NEAR: [i64; 2] = [HOUR, 24 * HOUR];

/// The last failure that a function's log has for a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Seconds since 1970.
    pub at: i64,
    /// The version that was rotated to.
    pub version: String,
    /// The step.
    pub step: String,
    /// The kind of error.
    pub kind: String,
    /// Why.
    pub why: String,
}

impl Failure {
    /// Whether it ends the rotation to this version: every retry ends the same until somebody corrects something: by kinds, as docs/errors.md has
    /// them. What is not known there may pass.
    pub fn ends(&self, version: &str) -> bool {
        let kinds = ["Forbidden", "Malformed", "Mismatch", "Rejected", "Tls", "Unsupported"];
        self.version == version && kinds.contains(&self.kind.as_str())
    }
}

/// How a function's test of a secret ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tested {
    /// The version that was tested.
    pub version: String,
    /// Whether a rotation would fail.
    pub failed: bool,
    /// What the function says about it.
    pub why: String,
    /// What it warns of.
    pub warnings: Vec<String>,
}

impl Account {
    /// The last failed step of a secret in a function's log, since a moment in seconds since 1970.
    ///
    /// # Errors
    /// If CloudWatch Logs refuses or does not answer. A log group that does not exist has no failure.
    pub async fn last_failure(
        &self,
        log_group: &str,
        secret: &str,
        since: i64,
    ) -> Result<Option<Failure>, CallError> {
        let pattern = ("outcome", "failed");
        self.last_line(log_group, secret, since, pattern, false, |line, at| {
            let step = clean(field(line, "step"));
            let why = clean(field(line, "why"));
            // A question of somebody's is no rotation.
            Step::parse(&step).is_some().then(|| Failure {
                at,
                version: clean(field(line, "version")),
                kind: clean(field(line, "error_type")),
                // The text begins with the step, too.
                why: why.strip_prefix(&format!("{step}: ")).unwrap_or(&why).to_owned(),
                step,
            })
        })
        .await
    }

    /// The last test of a secret, or of one version of it, in a function's log, since a moment in seconds
    /// since 1970.
    ///
    /// # Errors
    /// If CloudWatch Logs refuses or does not answer. A log group that does not exist has no test.
    pub async fn tested(
        &self,
        log_group: &str,
        secret: &str,
        version: Option<&str>,
        since: i64,
    ) -> Result<Option<Tested>, CallError> {
        let pattern = ("step", "testSecret");
        // One version is tested once.
        self.last_line(log_group, secret, since, pattern, version.is_some(), |line, _| {
            let tested = field(line, "version");
            version.is_none_or(|version| version == tested).then(|| Tested {
                version: clean(tested),
                failed: field(line, "outcome") == "failed",
                why: clean(field(line, "why")),
                warnings: texts(line.get("warnings")),
            })
        })
        .await
    }

    /// The last step of a rotation, by the id of its version, in a function's log since a moment, and when it
    /// ended; both in seconds since 1970.
    ///
    /// # Errors
    /// If CloudWatch Logs refuses or does not answer. A log group that does not exist has no step.
    pub async fn last_step(
        &self,
        log_group: &str,
        secret: &str,
        version: &str,
        since: i64,
    ) -> Result<Option<(String, i64)>, CallError> {
        let pattern = ("version", version);
        self.last_line(log_group, secret, since, pattern, false, |line, at| {
            let step = clean(field(line, "step"));
            Step::parse(&step).is_some().then_some((step, at))
        })
        .await
    }

    /// The last line about a secret in which a field has this value. The oldest come first, so that the log
    /// is searched from its end, in parts that grow. Where `any` will do, the end need not be reached.
    async fn last_line<T>(
        &self,
        log_group: &str,
        secret: &str,
        since: i64,
        (name, value): (&str, &str),
        any: bool,
        read: impl Fn(&Value, i64) -> Option<T>,
    ) -> Result<Option<T>, CallError> {
        let (now, mut until) = (now(), None);
        let pattern = pattern(name, value, secret);
        let near = NEAR.map(|near| now.saturating_sub(near));
        let near = near.into_iter().filter(|from| *from > since.saturating_add(HOUR));
        for from in near.chain([since]) {
            let mut part = json!({
                "logGroupName": log_group,
                "startTime": from.max(0).saturating_mul(1000),
                "filterPattern": pattern,
            });
            if let (Some(until), Some(fields)) = (until.replace(from), part.as_object_mut()) {
                fields.insert("endTime".into(), json!(until.saturating_mul(1000)));
            }
            let ours = |line: &Value| field(line, name) == value && field(line, "secret") == secret;
            let read = |line: &Value, at| if ours(line) { read(line, at) } else { None };
            if let Some(found) = self.last_of(part, any, read).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The last line of a part of a log that can be read as one that is asked for.
    async fn last_of<T>(
        &self,
        mut request: Value,
        any: bool,
        read: impl Fn(&Value, i64) -> Option<T>,
    ) -> Result<Option<T>, CallError> {
        let operation = "logs:FilterLogEvents";
        let mut last: Option<(i64, T)> = None;
        for _ in 0..MOST_PAGES {
            let call = Call {
                service: Service::Logs,
                operation,
                method: "POST",
                path: "/".to_owned(),
                headers: &[
                    ("content-type", "application/x-amz-json-1.1"),
                    ("x-amz-target", "Logs_20140328.FilterLogEvents"),
                ],
                body: request.to_string(),
            };
            let page = match self.signed.call(&call).await {
                Err(error) if error.is_missing() => return Ok(None),
                answered => answered?.body,
            };
            let events = page.get("events").and_then(Value::as_array);
            let lines = events.into_iter().flatten().filter_map(|event| {
                let (line, at) = line(event)?;
                Some((at, read(&line, at)?))
            });
            last = last.into_iter().chain(lines).max_by_key(|(at, _)| *at);
            match (page.get("nextToken").and_then(Value::as_str), request.as_object_mut()) {
                (Some(token), Some(fields)) => fields.insert("nextToken".into(), json!(token)),
                _ => return Ok(last.map(|(_, read)| read)),
            };
        }
        let what = format!("the log was not read to its end, in {MOST_PAGES} pages");
        let found = last.filter(|_| any).map(|(_, read)| Some(read));
        found.ok_or_else(|| CallError::new(operation, "TooLong", &what))
    }
}

/// A filter for lines about a secret in which a field has this value. Both are worded by others: whoever
/// may store a value words the id of its version.
fn pattern(name: &str, value: &str, secret: &str) -> String {
    format!("{{ ($.{name} = {}) && ($.secret = {}) }}", json!(value), json!(secret))
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(clean).collect()
}

/// A line of the log that is an object of ours, and when it was written, in seconds since 1970.
fn line(event: &Value) -> Option<(Value, i64)> {
    let at = event.get("timestamp")?.as_i64()? / 1000;
    Some((serde_json::from_str(field(event, "message")).ok()?, at))
}

#[cfg(test)]
mod tests {
    use super::pattern;

    #[test]
    fn a_value_is_one_text_of_the_pattern() {
        assert_eq!(
            pattern("version", r#"x") || ($.a = "\"#, "arn:one"),
            r#"{ ($.version = "x\") || ($.a = \"\\") && ($.secret = "arn:one") }"#
        );
        assert_eq!(
            pattern("step", "testSecret", "app"),
            r#"{ ($.step = "testSecret") && ($.secret = "app") }"#
        );
    }
}
