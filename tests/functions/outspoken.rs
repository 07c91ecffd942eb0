//! `rotate-postgres` with its mouth open: the same rotator in the same glue, but everything that
//! any crate says at any level is written to standard output, one JSON object a line.
//!
//! `leaks/function.rs` reads there what the real binary must keep to itself.

use std::fmt::{Debug, Write as _};
use std::io::Write as _;
use std::process::ExitCode;

use fourstep::PasswordPolicy;
use fourstep::users::{Driver, SingleUser};
use rotate_postgres::{EXCLUDED_CHARACTERS, Postgres};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::{Registry, registry::LookupSpan};

/// Writes all that is said, and lets through everything.
struct Everything;

/// The fields of an event or a span.
#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, "{field}={value} ");
    }
}

fn say(target: &str, level: &str, said: &str) {
    let line = json!({"target": target, "level": level, "said": said});
    let _ = std::io::stdout().lock().write_all(format!("{line}\n").as_bytes());
}

fn say_fields(metadata: &Metadata<'_>, fields: &Fields) {
    say(metadata.target(), metadata.level().as_str(), &format!("{} {}", metadata.name(), fields.0));
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Everything {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        say_fields(attributes.metadata(), &fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(span) = context.span(id) {
            say_fields(span.metadata(), &fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        say_fields(event.metadata(), &fields);
    }
}

impl log::Log for Everything {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        say(record.target(), record.level().as_str(), &record.args().to_string());
    }

    fn flush(&self) {}
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // The first subscriber stays, so the one that `run` installs comes too late.
    let first = tracing::subscriber::set_global_default(Registry::default().with(Everything));
    let loggers =
        log::set_logger(&Everything).map(|()| log::set_max_level(log::LevelFilter::Trace));
    if first.is_err() || loggers.is_err() {
        return ExitCode::FAILURE;
    }
    fourstep::run("rotate-postgres", |environment| {
        let policy = PasswordPolicy::read(environment, EXCLUDED_CHARACTERS)?;
        let driver = Driver::read(environment, Postgres::read(environment)?)?;
        Ok(SingleUser::new(std::sync::Arc::new(driver), policy))
    })
    .await
}
