//! The way to the server: a stream, its greeting, TLS, the login; and statements behind it.
//!
//! This is a client of its own, for a login and a handful of statements: none that is at hand can
//! be told a TLS name that differs from the host, or says whether the server checked the password
//! at all, or keeps the password to itself over plaintext. What it leaves out: several results,
//! prepared statements, compression, `LOAD DATA LOCAL`, RSA.
//!
//! Source for all of it: MySQL 9.7 source code documentation, "Client/Server Protocol"; MariaDB
//! documentation, "Client/Server Protocol".

mod login;
mod packet;
mod plugin;
mod query;

use fourstep::net::{Stream, Transport, connect_tcp, connect_time, handshake, within};
use fourstep::users::Login;
use fourstep::{Error, ErrorKind, Invocation, Result};

use crate::Mysql;
use crate::errors::{self, ServerError};

pub(crate) use login::{CLIENT_SSL, log_in, ssl_request};
pub(crate) use packet::{Channel, Parts, not_mysql};
pub(crate) use plugin::{Plugin, account_key, native_hash};
pub(crate) use query::{Answer, QUIT, query};

/// A connection on which nothing was sent but what TLS needed.
pub(crate) struct Wire {
    pub(crate) channel: Channel<Box<dyn Stream>>,
    pub(crate) greeting: Greeting,
    pub(crate) transport: Transport,
}

impl Mysql {
    pub(crate) async fn connect(
        &self,
        login: &Login,
        transport: Transport,
        cx: &Invocation,
    ) -> Result<Wire> {
        let stream = connect_tcp(&login.host, login.port, cx).await?;
        let mut channel = Channel::new(stream);
        let greeting = within(cx, "the server's greeting", connect_time(cx), channel.receive());
        let greeting = Greeting::parse(&greeting.await??)?;
        if transport == Transport::Plaintext {
            let channel = channel.over(async |stream| Ok(Box::new(stream) as _)).await?;
            return Ok(Wire { channel, greeting, transport });
        }
        if !greeting.can(CLIENT_SSL) {
            return Err(Error::new(
                ErrorKind::Tls,
                "the server does not offer TLS; turn it on, or set the secret's field \"ssl\" to \
                 false",
            ));
        }
        channel.send(&ssl_request(login)).await?;
        let secured = channel.over(async |stream| {
            let stream = handshake(stream, &login.host, &self.tls, cx).await?;
            Ok(Box::new(stream) as _)
        });
        Ok(Wire { channel: secured.await?, greeting, transport })
    }
}

/// HandshakeV10, reduced to what is used. Of a server without TLS nobody has vouched for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// What the server calls its version.
    pub(crate) version: String,
    /// The number of the connection, of which the lowest 32 bits are said.
    pub(crate) number: u32,
    capabilities: u32,
    challenge: Vec<u8>,
    plugin: Vec<u8>,
}

impl Greeting {
    /// # Errors
    /// What the server said instead of a greeting, as one does that has too many connections.
    pub(crate) fn parse(payload: &[u8]) -> Result<Self> {
        if payload.first() == Some(&0xff) {
            return Err(errors::of_greeting(&ServerError::parse(payload)));
        }
        Self::read(payload).ok_or_else(not_mysql)
    }

    fn read(payload: &[u8]) -> Option<Self> {
        let mut parts = Parts::of(payload);
        if parts.byte()? != 10 {
            return None;
        }
        let version = String::from_utf8_lossy(parts.until_nul()).into_owned();
        let number = u32::try_from(parts.number(4)?).ok()?;
        let first = parts.bytes(8)?;
        parts.bytes(1)?;
        let low = parts.number(2)?;
        let (_charset, _status) = (parts.byte()?, parts.bytes(2)?);
        let high = parts.number(2)?;
        // The challenge's whole length with a NUL behind it, 21 in every server there is.
        let length = usize::from(parts.byte()?);
        parts.bytes(10)?;
        let second = parts.bytes(length.saturating_sub(8).max(13))?;
        let second = second.strip_suffix(&[0]).unwrap_or(second);
        Some(Self {
            version,
            number,
            capabilities: u32::try_from(high << 16 | low).ok()?,
            challenge: [first, second].concat(),
            plugin: parts.until_nul().to_vec(),
        })
    }

    fn can(&self, capability: u32) -> bool {
        self.capabilities & capability == capability
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As MariaDB 10.11 greets.
    pub(super) const GREETING: &[u8] = b"\x0a5.5.5-10.11.19-MariaDB\0\x07\0\0\0abcdefgh\0\
        \xfe\xf7\x2d\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0ijklmnopqrst\0mysql_native_password\0";

    #[test]
    fn a_greeting_is_read() {
        let greeting = Greeting::parse(GREETING).unwrap();
        assert_eq!((greeting.version.as_str(), greeting.number), ("5.5.5-10.11.19-MariaDB", 7));
        assert_eq!(greeting.challenge, b"abcdefghijklmnopqrst");
        assert_eq!(greeting.plugin, b"mysql_native_password");
        assert_eq!(greeting.capabilities, 0x81ff_f7fe);
    }

    #[test]
    fn an_error_in_place_of_a_greeting_is_told() {
        let refusal = b"\xff\x10\x04#08004Too many connections";
        let error = Greeting::parse(refusal).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Throttled, "{error}");
        // Before the login there is no SQLSTATE.
        let blocked = Greeting::parse(b"\xff\x69\x04Host 'x' is blocked").unwrap_err();
        assert_eq!(blocked.kind(), ErrorKind::Forbidden, "{blocked}");
    }

    proptest! {
        #[test]
        fn any_greeting_is_read_or_refused(payload in prop::collection::vec(any::<u8>(), 1..120)) {
            let _ = Greeting::parse(&payload);
        }

        #[test]
        fn a_greeting_cut_short_is_no_server_s(end in 1..GREETING.len() - 30) {
            prop_assert!(Greeting::parse(&GREETING[..end]).is_err());
        }
    }
}
