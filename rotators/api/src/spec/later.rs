//! Moments to come, as a vendor wants to be told when a key ends.

use serde_json::Value;
use time::{Duration, OffsetDateTime};

/// How a moment to come is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Rfc3339,
    Date,
    Unix,
    UnixMilliseconds,
}

/// A moment to come: a key's end.
pub(super) fn written(days: u16, form: Form) -> Value {
    let moment = OffsetDateTime::now_utc() + Duration::days(days.into());
    match form {
        Form::Unix => moment.unix_timestamp().into(),
        Form::UnixMilliseconds => (moment.unix_timestamp() * 1000).into(),
        Form::Date => moment.date().to_string().into(),
        Form::Rfc3339 => {
            let (hour, minute, second) = moment.to_hms();
            format!("{}T{hour:02}:{minute:02}:{second:02}Z", moment.date()).into()
        }
    }
}

/// `now+90d`, and a form where it is not RFC 3339: `now+90d unix`.
pub(super) fn read(name: &str) -> Option<(u16, Form)> {
    let (days, form) = name.strip_prefix("now+")?.split_once('d')?;
    let format = match form {
        "" => Form::Rfc3339,
        " date" => Form::Date,
        " unix" => Form::Unix,
        " unix_milliseconds" => Form::UnixMilliseconds,
        _ => return None,
    };
    days.parse().ok().filter(|days| *days > 0).map(|days| (days, format))
}

#[cfg(test)]
mod tests {
    use fourstep::Secret;
    use time::OffsetDateTime;

    use crate::spec::{Template, Values};

    #[test]
    fn a_moment_to_come_is_written_as_the_vendor_reads_it() {
        let secret = Secret::decode(&"{}".into());
        let json = |text| Template::read(text).unwrap().json(&Values::of(&secret)).unwrap();
        let now = OffsetDateTime::now_utc();
        let seconds = json("{now+90d unix}").as_i64().unwrap();
        assert!((seconds - now.unix_timestamp() - 90 * 86_400).abs() < 60);
        let milliseconds = json("{now+90d unix_milliseconds}").as_i64().unwrap();
        assert!((milliseconds / 1000 - seconds).abs() < 60);
        let text = |name| json(name).as_str().unwrap().to_owned();
        // Midnight may come between two of them.
        let [before, moment, after] = ["{now+90d date}", "{now+90d}", "{now+90d date}"].map(text);
        assert!(moment.starts_with(&before) || moment.starts_with(&after), "{moment}");
        assert!(before.len() == 10 && moment.ends_with('Z'), "{before} {moment}");
        for wrong in ["{now}", "{now+0d}", "{now+90}", "{now+90d weeks}", "{now-1d}"] {
            assert!(Template::read(wrong).is_err(), "{wrong}");
        }
    }
}
