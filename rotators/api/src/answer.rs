//! What an answer means: its status, and what stands where in its body. Nothing of a body is shown.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fourstep::{Error, ErrorKind, Result};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};

use crate::exchange::{Answer, Expected};
use crate::spec::{Parts, TimeFormat};

/// Refuses an answer whose status is neither in `ok` nor in `others`, or an `ok` one in which
/// something else stands than is expected.
///
/// # Errors
/// By the status; [`ErrorKind::Mismatch`] if another value stands where that of a placeholder is
/// expected, as another account's; [`ErrorKind::Unsupported`] for the rest, as for none at all.
pub(crate) fn expect(answer: &Answer, parts: &Parts<'_>, others: &[u16]) -> Result<()> {
    if others.contains(&answer.status) {
        return Ok(());
    }
    status(answer, parts.ok)?;
    if answer.expected.is_empty() && parts.absent.is_empty() {
        return Ok(());
    }
    let reading = Reading::of(answer)?;
    for Expected { pointer, value, from } in &answer.expected {
        let found = reading.0.pointer(pointer);
        match from {
            None if found == Some(value) => {}
            None => {
                let what = format!("{pointer:?} in the answer is not what is expected there");
                return Err(strange(what));
            }
            Some(_) if found.is_some_and(|found| is_same(found, value)) => {}
            Some(from) if found.is_none_or(Value::is_null) => {
                let what = format!("the answer has no {pointer:?}, where {{{from}}} is expected");
                return Err(strange(what));
            }
            Some(from) => {
                let what = format!("{pointer:?} in the answer is not what {{{from}}} says");
                let why = "the vendor names another one: correct that field";
                return Err(Error::new(ErrorKind::Mismatch, what).caused_by(why));
            }
        }
    }
    let stands = |pointer: &&String| match reading.0.pointer(pointer) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(fields)) => !fields.is_empty(),
        Some(_) => true,
    };
    match parts.absent.iter().find(stands) {
        None => Ok(()),
        Some(pointer) => Err(strange(format!("{pointer:?} in the answer says that it failed"))),
    }
}

/// Whether two values are one: people write a number as text too.
fn is_same(one: &Value, other: &Value) -> bool {
    one == other || (written(one).is_some() && written(one) == written(other))
}

/// A text, or the text of a number; nothing else stands for itself in a text.
pub(crate) fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Refuses any status but these.
///
/// # Errors
/// Of the kind that says what to do about it.
pub(crate) fn status(answer: &Answer, ok: &[u16]) -> Result<()> {
    if ok.contains(&answer.status) {
        return Ok(());
    }
    let (kind, what) = match answer.status {
        300..=399 => (
            ErrorKind::Unsupported,
            "redirects are not followed, since a credential may go nowhere else; if the vendor has \
             moved, change the specification",
        ),
        401 => (ErrorKind::Forbidden, "the credential of this request was not accepted"),
        403 => (
            ErrorKind::Forbidden,
            "the credential of this request may not do this, or the vendor says so for another reason",
        ),
        404 | 410 => (ErrorKind::NotFound, "not found: the vendor knows no such key or path"),
        409 => (
            ErrorKind::Conflict,
            "the request conflicts with another one or with the present state; retry",
        ),
        408 | 500..=599 => (ErrorKind::Unreachable, "the vendor is failing; retry"),
        _ => (ErrorKind::Unsupported, "the specification does not say what that means"),
    };
    Err(Error::new(kind, format!("the vendor answered with status {}", answer.status))
        .caused_by(what))
}

/// An answer's body as JSON.
pub(crate) struct Reading(pub(crate) Value);

impl Reading {
    /// Reads a body.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`], saying what it seems to be instead.
    pub(crate) fn of(answer: &Answer) -> Result<Self> {
        serde_json::from_slice(&answer.body).map(Self).map_err(|_| {
            let kind = answer.content_type.as_deref().unwrap_or("of an unknown type");
            strange(format!("the answer is no JSON: {} bytes, {kind}", answer.body.len()))
        })
    }

    /// The text at a pointer, or a number as text.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`], naming the pointer.
    pub(crate) fn text(&self, pointer: &str) -> Result<&str> {
        text(&self.0, pointer)
    }
}

/// The text at a pointer, which must be there and not be empty.
///
/// # Errors
/// [`ErrorKind::Unsupported`], naming the pointer.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    let missing = || strange(format!("the answer has no {pointer:?}"));
    match value.pointer(pointer).ok_or_else(missing)? {
        Value::String(text) if !text.is_empty() => Ok(text),
        // With arbitrary precision a number is the text that stood there.
        Value::Number(number) => Ok(number.as_str()),
        _ => Err(strange(format!("{pointer:?} in the answer is neither text nor a number"))),
    }
}

/// The moment at a pointer, by the vendor's clock, written as `setting` says. `None` if the vendor
/// says none, as for keys older than its records.
///
/// # Errors
/// [`ErrorKind::Unsupported`], naming the pointer.
pub(crate) fn moment(
    item: &Value,
    pointer: &str,
    format: TimeFormat,
    setting: &str,
) -> Result<Option<SystemTime>> {
    if item.pointer(pointer).is_none_or(Value::is_null) {
        return Ok(None);
    }
    let written = text(item, pointer)?;
    let zulu = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok().map(since_1970);
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let seconds = match format {
        TimeFormat::Rfc3339 => zulu(written),
        TimeFormat::Utc => zulu(&format!("{written}Z")),
        TimeFormat::Rfc2822 => OffsetDateTime::parse(written, &Rfc2822).ok().map(since_1970),
        TimeFormat::Date => zulu(&format!("{written}T00:00:00Z")),
        TimeFormat::Unix => number(written),
        TimeFormat::UnixMilliseconds => number(written).map(|number| number / 1000.0),
    };
    let since = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    match since.and_then(|since| UNIX_EPOCH.checked_add(since)) {
        Some(moment) => Ok(Some(moment)),
        None => {
            let (name, example) = format.named();
            Err(strange(format!(
                "{pointer:?} in the answer is no moment as {setting} = {name:?} reads it, such as \
                 {example}: it is like {:?}",
                shape(written)
            )))
        }
    }
}

/// What a text looks like, and not what it is: a pointer may lead to a key.
fn shape(text: &str) -> String {
    let mask = |one: char| match one {
        '0'..='9' => '0',
        '-' | ':' | '.' | ',' | '+' | '/' | ' ' => one,
        _ => 'a',
    };
    text.chars().take(40).map(mask).collect()
}

fn since_1970(moment: OffsetDateTime) -> f64 {
    let nanoseconds = moment.unix_timestamp_nanos();
    // No key is so old or so young that a microsecond is lost by this.
    nanoseconds as f64 / 1e9
}

pub(crate) fn strange(what: String) -> Error {
    Error::new(ErrorKind::Unsupported, what)
        .caused_by("the vendor answers otherwise than the specification says")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_another_value_is_another_accounts() {
        let text = include_str!("../specs/sendgrid.toml");
        let document = crate::Specification::read(text).unwrap().document;
        let parts = document.verify.parts();
        let told = |body: &str| {
            let expected = Expected {
                pointer: "/team".to_owned(),
                value: json!("7"),
                from: Some("secret.team".to_owned()),
            };
            let answer = Answer {
                status: parts.ok[0],
                body: body.to_owned().into(),
                content_type: None,
                retry_after: None,
                next: None,
                expected: vec![expected],
            };
            expect(&answer, &parts, &[]).map_err(|error| error.kind())
        };
        assert_eq!(told(r#"{"team":7}"#), Ok(()));
        assert_eq!(told(r#"{"team":8}"#), Err(ErrorKind::Mismatch));
        assert_eq!(told(r#"{"team":null}"#), Err(ErrorKind::Unsupported));
        assert_eq!(told("{}"), Err(ErrorKind::Unsupported));
    }
}
