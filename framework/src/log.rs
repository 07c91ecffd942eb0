//! What a function writes: one JSON line per invocation, which is also its metrics, and nothing
//! that a dependency says below its own warnings.

use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::Environment;
use crate::engine::Outcome;
use crate::error::Error;
use crate::event::{Request, RotationEvent};
use crate::turn::Tally;

/// Where the last panic happened. The message is not kept: it may quote anything.
static PANIC_PLACE: Mutex<Option<String>> = Mutex::new(None);

/// Sends what dependencies log to standard output as JSON, at the level that `AWS_LAMBDA_LOG_LEVEL`
/// or `RUST_LOG` names (INFO by default). Dependencies are capped at INFO whatever is asked for:
/// at TRACE the SDK logs the body of PutSecretValue and the Lambda runtime logs the raw event.
pub(crate) fn start(environment: &Environment) {
    let wanted = ["AWS_LAMBDA_LOG_LEVEL", "RUST_LOG"]
        .iter()
        .find_map(|name| environment.text(name).ok().flatten())
        .and_then(|level| level.parse::<LevelFilter>().ok())
        .unwrap_or(LevelFilter::INFO);
    let filter = filter_fn(move |metadata| {
        let target = metadata.target();
        let ours = target.starts_with("fourstep") || target.starts_with("rotate_");
        let most = if ours { wanted } else { wanted.min(LevelFilter::INFO) };
        // This module of the runtime repeats the error that our own line reports already.
        *metadata.level() <= most && target != "lambda_runtime::layers::panic"
    });
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

/// Everything one line says.
pub(crate) struct Line<'a> {
    pub(crate) rotator: &'a str,
    pub(crate) function: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) request: Result<&'a Request, &'a Error>,
    pub(crate) result: Result<Outcome, &'a Error>,
    pub(crate) duration: Duration,
    pub(crate) tally: Tally,
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
            Ok(Request::Inspect(_)) => "inspect",
            Err(_) => "unknown",
        };
        let (outcome, why, error) = match &self.result {
            Ok(outcome) => (outcome.effect.name(), outcome.why.clone(), None),
            Err(error) => ("failed", error.to_string(), Some(error.kind().name())),
        };
        put("timestamp", now().into());
        put("level", if error.is_some() { "ERROR" } else { "INFO" }.into());
        put("message", format!("{step}: {outcome}").into());
        put("rotator", self.rotator.into());
        match self.request {
            Ok(Request::Rotate(RotationEvent { secret, token, .. })) => {
                put("secret", secret.as_str().into());
                put("version", token.as_str().into());
            }
            Ok(Request::Inspect(secret)) => {
                put("secret", secret.as_str().into());
            }
            Err(_) => {}
        }
        put("request_id", self.request_id.into());
        put("step", step.into());
        put("outcome", outcome.into());
        put("why", why.into());
        if let Some(kind) = error {
            put("error_type", kind.into());
        }
        put("warnings", json!(self.tally.warnings));
        put("calls", json!(self.tally.calls));
        self.add_metrics(&mut line, error.is_some());
        line
    }

    /// The embedded metric format: CloudWatch reads the metrics out of the log line.
    /// Source: Amazon CloudWatch User Guide, "Specification: Embedded metric format".
    fn add_metrics(&self, line: &mut Map<String, Value>, failed: bool) {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let milliseconds = since_epoch.unwrap_or_default().as_millis() as u64;
        let calls: u32 = self.tally.calls.values().sum();
        let metrics = [
            ("Duration", "Milliseconds", json!(self.duration.as_micros() as f64 / 1000.0)),
            ("Failures", "Count", json!(u32::from(failed))),
            ("SecretsManagerCalls", "Count", json!(calls)),
            ("Connections", "Count", json!(self.tally.connections)),
            ("RejectedLogins", "Count", json!(self.tally.rejected_logins)),
        ];
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
        "error_type": error.kind().name(),
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
