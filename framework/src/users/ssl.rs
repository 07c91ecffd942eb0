//! The secret's field `ssl`: what it asks for, and which connection follows from that.

use serde_json::Value;

use crate::error::{ErrorKind, Result};
use crate::invocation::Invocation;
use crate::net::{Transport, TransportPolicy};

/// What the field `ssl` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// `true`: verified TLS or nothing.
    Verified,
    /// `false`: plaintext, as asked.
    Plaintext,
    /// Absent or null: verified TLS; plaintext only if the function's configuration allows it.
    Absent,
    /// Neither true nor false: treated as absent, with a warning.
    Unreadable,
}

impl SslMode {
    pub(crate) fn read(ssl: Option<&Value>) -> Self {
        match ssl {
            None | Some(Value::Null) => Self::Absent,
            Some(Value::Bool(true)) => Self::Verified,
            Some(Value::Bool(false)) => Self::Plaintext,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Self::Verified,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Self::Plaintext,
            Some(_) => Self::Unreadable,
        }
    }

    /// Connects by `connect` as the secret asks.
    ///
    /// Plaintext follows a TLS failure only, and only where `policy` allows it: a network failure
    /// would fail again, and `connect` must not have tried a login yet, so an authentication
    /// failure can never lead here.
    ///
    /// # Errors
    /// Those of `connect`.
    pub async fn connect<Wire, Connecting>(
        self,
        policy: TransportPolicy,
        cx: &Invocation,
        connect: impl Fn(Transport) -> Connecting,
    ) -> Result<Wire>
    where
        Connecting: Future<Output = Result<Wire>>,
    {
        match self {
            Self::Verified => return connect(Transport::Tls).await,
            Self::Plaintext => return connect(Transport::Plaintext).await,
            Self::Absent => {}
            Self::Unreadable => cx.warn(
                "the secret's field \"ssl\" is neither true nor false and is treated as absent",
            ),
        }
        match connect(Transport::Tls).await {
            Err(error) if error.kind() == ErrorKind::Tls && policy.allow_plaintext_fallback => {
                cx.warn(format!(
                    "went on in plaintext, as ALLOW_PLAINTEXT_FALLBACK allows: {error}"
                ));
                connect(Transport::Plaintext).await
            }
            connected => connected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::invocation::Deadline;
    use serde_json::json;
    use std::sync::Mutex;
    use std::time::Duration;

    #[test]
    fn parity_27_ssl_is_read_as_aws_reads_it() {
        for (ssl, expected) in [
            (json!(true), SslMode::Verified),
            (json!("TRUE"), SslMode::Verified),
            (json!(false), SslMode::Plaintext),
            (json!("False"), SslMode::Plaintext),
            (json!(null), SslMode::Absent),
            (json!("yes"), SslMode::Unreadable),
            (json!(1), SslMode::Unreadable),
        ] {
            assert_eq!(SslMode::read(Some(&ssl)), expected);
        }
        assert_eq!(SslMode::read(None), SslMode::Absent);
    }

    /// Which transports are tried where TLS fails with this kind.
    async fn tried(ssl: SslMode, allow: bool, kind: ErrorKind) -> Vec<Transport> {
        let policy = TransportPolicy { allow_plaintext_fallback: allow, ..Default::default() };
        let cx = Invocation::new(Deadline::after(Duration::from_secs(9)));
        let tried = Mutex::new(Vec::new());
        let connect = async |transport| {
            tried.lock().unwrap().push(transport);
            match transport {
                Transport::Tls => Err(Error::new(kind, "TLS failed")),
                Transport::Plaintext => Ok(()),
            }
        };
        let _ = ssl.connect(policy, &cx, connect).await;
        tried.into_inner().unwrap()
    }

    #[tokio::test]
    async fn beyond_05_plaintext_follows_a_failure_of_tls_where_it_is_allowed_and_nothing_else() {
        use Transport::{Plaintext, Tls};
        for ssl in [SslMode::Absent, SslMode::Unreadable] {
            assert_eq!(tried(ssl, true, ErrorKind::Tls).await, [Tls, Plaintext]);
            assert_eq!(tried(ssl, false, ErrorKind::Tls).await, [Tls]);
            assert_eq!(tried(ssl, true, ErrorKind::Unreachable).await, [Tls]);
        }
        assert_eq!(tried(SslMode::Verified, true, ErrorKind::Tls).await, [Tls]);
        assert_eq!(tried(SslMode::Plaintext, true, ErrorKind::Tls).await, [Plaintext]);
    }
}
