//! What a function writes: one JSON line per invocation, which is also its metrics; and the
//! warnings of the few dependencies that are known to quote nothing they were given.

use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::Environment;
use crate::error::{Error, Result};
use crate::event::{Request, RotationEvent};
use crate::invocation::{InvocationStats, shortened};
use crate::outcome::Outcome;

/// Where the last panic happened. The message is not kept: it may quote anything.
static PANIC_PLACE: Mutex<Option<String>> = Mutex::new(None);

/// The dependencies that may speak, and then only to warn. At lower levels the SDK logs the body of
/// PutSecretValue and the Lambda runtime the raw event; sqlx, at any level, what a server says.
const MAY_WARN: [&str; 3] = ["aws_", "lambda_runtime", "hyper"];

/// Whether an event of `target` at `level` is written, where `own` is the rotator's crate and
/// `wanted` the level asked for.
fn admitted(own: &str, target: &str, level: &Level, wanted: LevelFilter) -> bool {
    if ["fourstep", own].iter().any(|ours| target.starts_with(ours)) {
        return *level <= wanted;
    }
    // This module of the runtime repeats the error that our own line reports already.
    let repeats = target == "lambda_runtime::layers::panic";
    let may_warn = MAY_WARN.iter().any(|known| target.starts_with(known)) && !repeats;
    may_warn && *level <= wanted.min(LevelFilter::WARN)
}

/// Sends what is admitted to standard output as JSON, at the level that `AWS_LAMBDA_LOG_LEVEL` or
/// `RUST_LOG` names (INFO by default), and keeps the messages of panics to itself.
pub(crate) fn start(rotator: &str, environment: &Environment) {
    let own = rotator.replace('-', "_");
    let wanted = ["AWS_LAMBDA_LOG_LEVEL", "RUST_LOG"]
        .iter()
        .find_map(|name| environment.text(name).ok().flatten())
        .and_then(|level| level.parse::<LevelFilter>().ok())
        .unwrap_or(LevelFilter::INFO);
    let filter =
        filter_fn(move |metadata| admitted(&own, metadata.target(), metadata.level(), wanted));
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_filter(filter);
    // A second call (in a test) keeps the first subscriber.
    let _ = tracing::subscriber::set_global_default(Registry::default().with(lines));
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or("an unknown place".to_owned(), ToString::to_string);
        if let Ok(mut last) = PANIC_PLACE.lock() {
            *last = Some(place);
        }
    }));
}

/// Where the last panic happened.
pub(crate) fn panic_place() -> String {
    let last = PANIC_PLACE.lock().ok().and_then(|mut place| place.take());
    last.unwrap_or_else(|| "an unknown place".to_owned())
}

/// The framework's version, which is the release's. (`version` is a secret's.)
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The most of a reason that a line says, in bytes: with its warnings it stays below 170 KB, of
/// CloudWatch's 256.
const LONGEST_WHY: usize = 32_000;

/// Everything one line says.
pub(crate) struct Line<'a> {
    pub(crate) rotator: &'a str,
    pub(crate) function: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) request: Result<&'a Request, &'a Error>,
    pub(crate) result: Result<Outcome, &'a Error>,
    pub(crate) duration: Duration,
    pub(crate) stats: InvocationStats,
}

impl Line<'_> {
    /// Writes the line to standard output, whole.
    pub(crate) fn write(&self) {
        write_line(&Value::Object(self.compose()));
    }

    fn compose(&self) -> Map<String, Value> {
        let mut line = Map::new();
        let mut put = |key: &str, value: Value| line.insert(key.to_owned(), value);
        let step = match self.request {
            Ok(Request::Rotate(event)) => event.step.name(),
            Ok(Request::Ask(question, _)) => question.name(),
            Err(_) => "unknown",
        };
        let (outcome, why, error) = match &self.result {
            Ok(outcome) => (outcome.effect.name(), outcome.why.clone(), None),
            Err(error) => ("failed", error.to_string(), Some(error.kind())),
        };
        let why = shortened(why, LONGEST_WHY);
        put("timestamp", now().into());
        put("level", if error.is_some() { "ERROR" } else { "INFO" }.into());
        put("message", format!("{step}: {outcome}").into());
        put("rotator", self.rotator.into());
        put("fourstep", VERSION.into());
        match self.request {
            Ok(Request::Rotate(RotationEvent { secret, token, .. })) => {
                put("secret", secret.as_str().into());
                put("version", token.as_str().into());
            }
            Ok(Request::Ask(_, secret)) => {
                put("secret", secret.as_str().into());
            }
            Err(_) => {}
        }
        put("request_id", self.request_id.into());
        put("step", step.into());
        put("outcome", outcome.into());
        put("why", why.into());
        if let Some(kind) = error {
            put("error_type", kind.name().into());
            put("page", kind.page().into());
        }
        put("warnings", json!(self.stats.warnings));
        put("calls", json!(self.stats.calls));
        // Looking is no rotation: refused logins are what an inspection is there to find.
        if !matches!(self.request, Ok(Request::Ask(..))) {
            self.add_metrics(&mut line, error.is_some());
        }
        line
    }

    /// The embedded metric format: CloudWatch reads the metrics out of the log line.
    /// Source: Amazon CloudWatch User Guide, "Specification: Embedded metric format".
    fn add_metrics(&self, line: &mut Map<String, Value>, failed: bool) {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let milliseconds = since_epoch.unwrap_or_default().as_millis() as u64;
        // No other service that is asked has the word in an operation's name.
        let of_secrets = |operation: &str| operation.contains("Secret");
        let calls = self.stats.calls.iter().filter(|(operation, _)| of_secrets(operation));
        let calls: u32 = calls.map(|(_, count)| count).sum();
        let replaced = self.stats.sessions_of_replaced;
        let replaced = replaced.map(|open| ("SessionsOfReplaced", "Count", json!(open)));
        let metrics = [
            ("Duration", "Milliseconds", json!(self.duration.as_micros() as f64 / 1000.0)),
            ("Failures", "Count", json!(u32::from(failed))),
            ("SecretsManagerCalls", "Count", json!(calls)),
            ("Connections", "Count", json!(self.stats.connections)),
            ("RejectedLogins", "Count", json!(self.stats.rejected_logins)),
        ];
        // Where it is not known, there is none: 0 would say that nobody uses the old login.
        let metrics: Vec<_> = metrics.into_iter().chain(replaced).collect();
        let definitions: Vec<Value> =
            metrics.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": unit})).collect();
        for (name, _, value) in metrics {
            line.insert(name.to_owned(), value);
        }
        line.insert("FunctionName".to_owned(), self.function.into());
        line.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": milliseconds,
                "CloudWatchMetrics": [{
                    "Namespace": "Fourstep",
                    "Dimensions": [["FunctionName", "step"]],
                    "Metrics": definitions,
                }],
            }),
        );
    }
}

/// Reports an error that keeps the function from starting.
pub(crate) fn refuse_start(rotator: &str, error: &Error) {
    write_line(&json!({
        "timestamp": now(),
        "level": "ERROR",
        "message": "the function's configuration is refused; every step will fail until it is corrected",
        "rotator": rotator,
        "fourstep": VERSION,
        "error_type": error.kind().name(),
        "page": error.kind().page(),
        "why": error.to_string(),
    }));
}

fn write_line(line: &Value) {
    let text = format!("{line}\n");
    // Nothing can be done about a standard output that is gone.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// The time as RFC 3339, in UTC.
fn now() -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = tracing_subscriber::fmt::time::SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::invocation::{Deadline, Invocation};
    use crate::outcome::Effect;

    fn compose(result: Result<Outcome, &Error>) -> Map<String, Value> {
        compose_warned(result, &["something".to_owned()])
    }

    fn compose_warned(result: Result<Outcome, &Error>, warnings: &[String]) -> Map<String, Value> {
        let event = json!({
            "Step": "setSecret", "SecretId": "arn:x", "ClientRequestToken": "t".repeat(32),
            "RotationToken": "canary-0123456789-0123456789-0123456789",
        });
        let cx = Invocation::new(Deadline::after(Duration::from_secs(1)));
        cx.count_call("DescribeSecret");
        cx.count_call("DescribeSecret");
        cx.count_call("GetSecretValue");
        cx.count_call("GetWorkgroup");
        cx.count_connection();
        warnings.iter().for_each(|warning| cx.warn(warning));
        cx.note_sessions_of_replaced(2);
        let line = Line {
            rotator: "rotate-x",
            function: "my-function",
            request_id: "r",
            request: Ok(&Request::decode(&event).unwrap()),
            result,
            duration: Duration::from_micros(1500),
            stats: cx.stats(),
        }
        .compose();
        assert!(!Value::Object(line.clone()).to_string().contains("canary"));
        line
    }

    /// CloudWatch cuts at 256 KB, and the metrics with it.
    #[test]
    fn a_line_has_a_bound_whatever_is_said() {
        let text = |number: usize| format!("{number}: {}", "REVOKE x FROM y; ".repeat(400_000));
        let error = Error::new(ErrorKind::Forbidden, text(0));
        let warnings: Vec<_> = (0..40).map(|number| text(number)[..6_000].to_owned()).collect();
        let line = Value::Object(compose_warned(Err(&error), &warnings));
        assert!(line.to_string().len() < 200_000, "{}", line.to_string().len());
        assert_eq!(line["Failures"], 1);
    }

    #[test]
    fn a_line_says_what_was_done_and_why_and_is_its_own_metric() {
        let why = "changed it".to_owned();
        let line = compose(Ok(Outcome { effect: Effect::Done, why }));
        for (field, value) in [
            ("level", json!("INFO")),
            ("step", json!("setSecret")),
            ("outcome", json!("done")),
            ("why", json!("changed it")),
            ("secret", json!("arn:x")),
            ("fourstep", json!(env!("CARGO_PKG_VERSION"))),
            ("version", json!("t".repeat(32))),
            ("warnings", json!(["something"])),
            ("calls", json!({"DescribeSecret": 2, "GetSecretValue": 1, "GetWorkgroup": 1})),
            ("SecretsManagerCalls", json!(3)),
            ("Connections", json!(1)),
            ("SessionsOfReplaced", json!(2)),
            ("Failures", json!(0)),
            ("Duration", json!(1.5)),
            ("FunctionName", json!("my-function")),
        ] {
            assert_eq!(line.get(field), Some(&value), "{field}");
        }
        // Every metric and dimension that is announced stands in the line.
        let announced = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(announced["Namespace"], "Fourstep");
        for metric in announced["Metrics"].as_array().unwrap() {
            assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric}");
        }
        for dimension in announced["Dimensions"][0].as_array().unwrap() {
            assert!(line[dimension.as_str().unwrap()].is_string(), "{dimension}");
        }
        let timestamp = line["timestamp"].as_str().unwrap();
        assert!(timestamp.starts_with("20") && timestamp.ends_with('Z'), "{timestamp}");
    }

    #[test]
    fn dependencies_may_only_warn_and_drivers_may_not_speak() {
        let trace = LevelFilter::TRACE;
        assert!(admitted("rotate_postgres", "rotate_postgres::wire", &Level::TRACE, trace));
        assert!(!admitted("rotate_postgres", "fourstep::engine", &Level::DEBUG, LevelFilter::INFO));
        assert!(admitted("rotate_postgres", "aws_smithy_runtime::client", &Level::WARN, trace));
        assert!(!admitted(
            "rotate_postgres",
            "aws_smithy_runtime::client",
            &Level::WARN,
            LevelFilter::ERROR
        ));
        assert!(!admitted("rotate_postgres", "aws_sdk_secretsmanager", &Level::INFO, trace));
        assert!(!admitted(
            "rotate_postgres",
            "lambda_runtime::layers::panic",
            &Level::ERROR,
            trace
        ));
        for target in ["sqlx::query", "sqlx::postgres::notice", "sqlx_postgres", "anything"] {
            assert!(!admitted("rotate_postgres", target, &Level::ERROR, trace), "{target}");
        }
    }

    #[test]
    fn a_failure_carries_its_kind() {
        let error = Error::new(ErrorKind::Tls, "cannot trust the server");
        let line = compose(Err(&error));
        assert_eq!(line["level"], "ERROR");
        assert_eq!(
            (&line["error_type"], &line["page"]),
            (&json!("Tls"), &json!("docs/errors.md#tls"))
        );
        assert_eq!(line["outcome"], "failed");
        assert_eq!(line["why"], "cannot trust the server");
        assert_eq!(line["Failures"], 1);
    }
}
