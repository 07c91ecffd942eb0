//! Messages of the protocol, as far as a login needs them.

use bytes::BytesMut;
use fourstep::net::{Stream, broken, not_a};
use fourstep::users::Login;
use fourstep::{Error, ErrorKind, Result};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The most that a server may send before the session is ready. A real one sends about 500 bytes;
/// a hostile one must not fill the memory.
const MOST_BEFORE_READY: usize = 64 * 1024;

/// One message of the server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// Appends the message as it came.
    pub(super) fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.kind);
        // What is received is bounded by `MOST_BEFORE_READY`. The length counts itself.
        bytes.extend(u32::try_from(self.body.len() + 4).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(&self.body);
    }
}

/// The messages of one login, counted.
pub(super) struct Exchange<'a> {
    stream: &'a mut dyn Stream,
    left: usize,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(stream: &'a mut dyn Stream) -> Self {
        Self { stream, left: MOST_BEFORE_READY }
    }

    /// Sends a message as the protocol's crate writes it.
    pub(super) async fn send(
        &mut self,
        write: impl FnOnce(&mut BytesMut) -> std::io::Result<()>,
    ) -> Result<()> {
        let mut bytes = BytesMut::new();
        // Its own words would quote what is not written.
        write(&mut bytes).map_err(|_| {
            Error::new(ErrorKind::Malformed, "the login holds what the protocol cannot carry")
        })?;
        self.stream.write_all(&bytes).await.map_err(in_login)?;
        self.stream.flush().await.map_err(in_login)
    }

    /// Reads one message, with nothing behind it.
    pub(super) async fn receive(&mut self) -> Result<Message> {
        let kind = self.stream.read_u8().await.map_err(in_login)?;
        if !b"RENSKZv".contains(&kind) {
            return Err(not_postgres());
        }
        let length = self.stream.read_u32().await.map_err(in_login)?;
        let length = usize::try_from(length).ok().and_then(|length| length.checked_sub(4));
        let length = length.ok_or_else(not_postgres)?;
        // Its five bytes of header count too: empty messages without end are as bad as long ones.
        let taken = length.saturating_add(5);
        self.left = self.left.checked_sub(taken).ok_or_else(|| {
            not_postgres().caused_by("it sends more than any server does before it is ready")
        })?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.map_err(in_login)?;
        Ok(Message { kind, body })
    }
}

fn in_login(cause: std::io::Error) -> Error {
    broken("the connection broke during the login", cause)
}

/// What is said of a server that answers in another language.
pub(super) fn not_postgres() -> Error {
    not_a("PostgreSQL")
}

/// The first message. `options` is left out because proxies refuse it, and so is everything that
/// reading a few text columns does not need.
pub(super) fn startup(login: &Login, bytes: &mut BytesMut) -> std::io::Result<()> {
    let fixed = [
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO, MDY"),
        ("TimeZone", "UTC"),
        ("application_name", "fourstep"),
    ];
    let database = login.dbname.as_deref().map(|name| ("database", name));
    let named = [("user", login.username.as_str())].into_iter().chain(database);
    frontend::startup_message(named.chain(fixed), bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn the_first_message_is_ours_alone() {
        let message = |login: &Login| {
            let mut bytes = BytesMut::new();
            startup(login, &mut bytes).map(|()| bytes).unwrap()
        };
        let login = Login::new("db.example", 5432, "We\"ird ü", "canary");
        let without = message(&login);
        let message = message(&login.with_database("db"));
        assert_eq!(message[..8], [0, 0, 0, u8::try_from(message.len()).unwrap(), 0, 3, 0, 0]);
        let text = String::from_utf8(message[8..].to_vec()).unwrap();
        expect![[r#"
            user
            We"ird ü
            database
            db
            client_encoding
            UTF8
            DateStyle
            ISO, MDY
            TimeZone
            UTC
            application_name
            fourstep

        "#]]
        .assert_eq(&text.replace('\0', "\n"));
        assert!(!without.windows(8).any(|bytes| bytes == b"database"));
    }

    #[tokio::test]
    async fn hostile_lengths_and_other_protocols_are_refused() {
        for bytes in [
            &b"HTTP/1.1 400 Bad Request"[..],
            b"J\0\0\0\x0a8.0.36",
            b"R\xff\xff\xff\xff",
            b"R\0\0\0\x03",
            b"S\0\x01\0\x05",
        ] {
            let (mut near, mut far) = tokio::io::duplex(1024);
            far.write_all(bytes).await.unwrap();
            let error = Exchange::new(&mut near).receive().await.unwrap_err();
            assert!(error.to_string().starts_with("what answers is not a PostgreSQL server"));
        }
    }
}
