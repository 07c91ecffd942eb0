//! Connecting to a server: name, address, TLS; each failure in its own class.
//!
//! Nothing here knows a database. A rotator connects with [`connect_tcp`], asks for TLS in its own
//! protocol, and hands the stream to [`handshake`].

pub(crate) mod roots;
mod tcp;
mod tls;

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::config::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;

pub use roots::rds_regions;
pub use tcp::connect_tcp;
pub use tls::{TlsSettings, handshake};

/// How long an answer is waited for in any case, as far as there is time.
pub(crate) const LEAST_PATIENCE: Duration = Duration::from_secs(5);

/// The longest wait for one name, one address or one handshake: two thirds of what is left, because a
/// database that was paused takes its time to resume, and what follows needs some too. Where little is
/// left, all of it.
pub fn connect_time(cx: &Invocation) -> Duration {
    (cx.deadline().remaining() * 2 / 3).max(LEAST_PATIENCE)
}

/// What the function's owner allows on the wire beyond verified TLS.
///
/// Read from the function's environment only: whoever may edit a secret must not be able to
/// weaken the connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransportPolicy {
    /// `ALLOW_PLAINTEXT_FALLBACK`: where the secret's `ssl` says neither true nor false, go on
    /// without TLS after TLS failed.
    pub allow_plaintext_fallback: bool,
    /// `ALLOW_WEAK_AUTHENTICATION`: without TLS, send the password in cleartext or as an MD5 hash
    /// to a server that asks for that.
    pub allow_weak_authentication: bool,
}

impl TransportPolicy {
    /// Reads both variables; absent means false.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub fn read(environment: &Environment) -> Result<Self> {
        Ok(Self {
            allow_plaintext_fallback: environment.flag("ALLOW_PLAINTEXT_FALLBACK")?,
            allow_weak_authentication: environment.flag("ALLOW_WEAK_AUTHENTICATION")?,
        })
    }

    /// The error of a connection on which a password would be sent in cleartext, and that nobody
    /// allowed.
    pub fn shown(self, transport: Transport) -> Option<Error> {
        let shown = transport == Transport::Plaintext && !self.allow_weak_authentication;
        shown.then(|| {
            Error::new(
                ErrorKind::Unsupported,
                "a connection without TLS would show the new password; set the secret's field \
                 \"ssl\" to true, or set ALLOW_WEAK_AUTHENTICATION; nothing was changed",
            )
        })
    }
}

/// Whether two names or addresses of hosts are the same: in any case, with or without a final dot.
pub(crate) fn same_host(one: &str, other: &str) -> bool {
    let bare = |host: &str| host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    bare(one) == bare(other)
}

/// Whether a connection is inside verified TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Verified TLS.
    Tls,
    /// No TLS, as asked or as allowed.
    Plaintext,
}

/// A connection, with TLS or without.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Opens a connection to a server at which TLS, if there is to be any, comes before everything else.
///
/// # Errors
/// Those of [`connect_tcp`] and [`handshake`].
pub async fn open(
    (host, port): (&str, u16),
    transport: Transport,
    tls: &TlsSettings,
    cx: &Invocation,
) -> Result<Box<dyn Stream>> {
    let stream = connect_tcp(host, port, cx).await?;
    Ok(match transport {
        Transport::Plaintext => Box::new(stream),
        Transport::Tls => Box::new(handshake(stream, host, tls, cx).await?),
    })
}

/// The error of a connection that broke; `what` says so, and at which point.
pub fn broken(what: &str, cause: io::Error) -> Error {
    let error = Error::new(ErrorKind::Unreachable, what);
    match cause.kind() {
        io::ErrorKind::UnexpectedEof => error.caused_by("the server closed it"),
        _ => error.caused_by(cause),
    }
}

/// The error of a server that speaks another protocol than `kind` does.
pub fn not_a(kind: &str) -> Error {
    Error::new(
        ErrorKind::Unreachable,
        format!("what answers is not a {kind} server; look at the secret's \"host\" and \"port\""),
    )
}

/// Waits for an answer of the other side no longer than `most`, nor than the invocation lasts.
///
/// # Errors
/// [`ErrorKind::Unreachable`] if `most` went by, [`ErrorKind::OutOfTime`] if the invocation's time did;
/// both say to `what` no answer came.
pub async fn within<T>(
    cx: &Invocation,
    what: &str,
    most: Duration,
    work: impl Future<Output = T>,
) -> Result<T> {
    if cx.deadline().remaining() <= most {
        return cx.deadline().bound(what, most, work).await;
    }
    tokio::time::timeout(most, work).await.map_err(|_| {
        Error::new(ErrorKind::Unreachable, format!("no answer to {what}"))
            .caused_by(format!("gave up after {:.1} s", most.as_secs_f64()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invocation::Deadline;

    #[test]
    fn the_policy_is_strict_unless_asked() {
        let strict = TransportPolicy::read(&Environment::default()).unwrap();
        assert_eq!(strict, TransportPolicy::default());
        let environment = Environment::from([("ALLOW_WEAK_AUTHENTICATION", "yes")]);
        let weak = TransportPolicy::read(&environment).unwrap();
        assert!(weak.allow_weak_authentication && !weak.allow_plaintext_fallback);
        let environment = Environment::from([("ALLOW_PLAINTEXT_FALLBACK", "maybe")]);
        let error = TransportPolicy::read(&environment).unwrap_err();
        assert!(error.to_string().contains("ALLOW_PLAINTEXT_FALLBACK"), "{error}");
    }

    #[test]
    fn a_host_is_the_same_in_any_case_and_with_a_final_dot() {
        assert!(same_host("DB.example.", "db.Example"));
        assert!(!same_host("db.example", "db.example.org"));
    }

    #[tokio::test]
    async fn silence_is_unreachable_before_the_deadline_and_out_of_time_at_it() {
        for (seconds, kind) in [(60, ErrorKind::Unreachable), (0, ErrorKind::OutOfTime)] {
            let cx = Invocation::new(Deadline::after(Duration::from_secs(seconds)));
            let silence = std::future::pending::<()>();
            let error = within(&cx, "a greeting", Duration::from_millis(20), silence).await;
            assert_eq!(error.unwrap_err().kind(), kind);
        }
    }
}
