//! The log of requests: a line for each, on standard error.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use fourstep_local::serve::Answered;
use time::OffsetDateTime;

/// Writes the line of a request.
pub(super) fn told(answered: &Answered) {
    // Whoever reads it may have stopped: that is no reason to stop serving.
    let _ = writeln!(io::stderr(), "{}", line(answered));
}

/// Time, operation, secret, status, error, milliseconds: always as many words.
fn line(answered: &Answered) -> String {
    let Answered { at, operation, secret, status, error, took } = answered;
    let (secret, error) = (secret.as_deref().unwrap_or("-"), error.as_deref().unwrap_or("-"));
    format!("{} {operation} {secret} {status} {error} {} ms", utc(*at), took.as_millis())
}

/// As RFC 3339 has it, to the millisecond.
fn utc(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or_default();
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    let (hour, minute, second) = at.to_hms();
    let milliseconds = since.subsec_millis();
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn a_line_has_the_same_words_in_the_same_order() {
        let answered = Answered {
            at: SystemTime::UNIX_EPOCH + Duration::from_micros(1_795_317_274_476_999),
            operation: "GetSecretValue".to_owned(),
            secret: Some("app/db".to_owned()),
            status: 400,
            error: Some("ResourceNotFoundException".to_owned()),
            took: Duration::from_micros(3900),
        };
        assert_eq!(
            line(&answered),
            "2026-11-22T03:14:34.476Z GetSecretValue app/db 400 ResourceNotFoundException 3 ms"
        );
        let answered = Answered { secret: None, error: None, status: 200, ..answered };
        assert_eq!(line(&answered), "2026-11-22T03:14:34.476Z GetSecretValue - 200 - 3 ms");
    }
}
