//! The way to the server: a stream, the agreement about TLS, the login; and statements behind it.
//!
//! This is a client of its own, for a login and a handful of statements: those that are at hand bring
//! OpenSSL or aws-lc along, and `tds-protocol`, which has no TLS, 15 crates for what is read here in 200
//! lines. What it leaves out: parameters, types but nvarchar, several results at once, MARS, other ways to
//! log in than by a password, TDS 8.0.
//!
//! Source for all of it: Microsoft, \[MS-TDS\].

mod login;
mod packet;
mod tokens;
mod tunnel;

use fourstep::net::{Stream, Transport, connect_tcp, connect_time, handshake, within};
use fourstep::users::Login;
use fourstep::{Error, ErrorKind, Invocation, Result};

use crate::Sqlserver;

pub(crate) use login::log_in;
pub(crate) use packet::{Kind, not_sqlserver};
pub(crate) use tokens::{Answer, Row};
use tunnel::Tunnel;

/// A connection, inside TLS where that was agreed upon.
pub(crate) type Channel = packet::Channel<Box<dyn Stream>>;

/// PRELOGIN's option for encryption, and the one that ends the list.
const ENCRYPTION: u8 = 1;
const TERMINATOR: u8 = 0xff;

/// What it may say. ENCRYPT_OFF, by which the login alone is encrypted, is never asked for.
const ENCRYPT_ON: u8 = 1;
const ENCRYPT_NOT_SUP: u8 = 2;
const ENCRYPT_REQ: u8 = 3;

impl Sqlserver {
    /// Connects, and does not log in yet.
    pub(crate) async fn connect(
        &self,
        login: &Login,
        transport: Transport,
        cx: &Invocation,
    ) -> Result<Channel> {
        self.transport.shown(transport).map_or(Ok(()), Err)?;
        login::check_names(login)?;
        let mut channel = packet::Channel::new(connect_tcp(&login.host, login.port, cx).await?);
        let ask = match transport {
            Transport::Tls => ENCRYPT_ON,
            Transport::Plaintext => ENCRYPT_NOT_SUP,
        };
        channel.send(Kind::Prelogin, &prelogin(ask)).await?;
        let agreed = within(cx, "the first question", connect_time(cx), channel.receive());
        agree(transport, encryption(&agreed.await??).ok_or_else(not_sqlserver)?)?;
        channel
            .over(async |stream| match transport {
                Transport::Plaintext => Ok(Box::new(stream) as Box<dyn Stream>),
                Transport::Tls => {
                    let tunnel = Tunnel::new(stream);
                    let mut stream = handshake(tunnel, &login.host, &self.tls, cx).await?;
                    stream.get_mut().0.open();
                    Ok(Box::new(stream) as _)
                }
            })
            .await
    }
}

/// SQLBatch: one header, of no transaction and one request; then the text.
pub(crate) fn batch(text: &str) -> Vec<u8> {
    let mut message = Vec::new();
    for number in [22_u32, 18] {
        message.extend(number.to_le_bytes());
    }
    message.extend(2_u16.to_le_bytes());
    message.extend([0; 8]);
    message.extend(1_u32.to_le_bytes());
    message.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    message
}

/// PRELOGIN: a version, which nothing depends on; what is asked of encryption; no certain instance, no
/// thread, and one session on the connection.
fn prelogin(encryption: u8) -> Vec<u8> {
    let options: [(u8, &[u8]); 5] =
        [(0, &[0; 6]), (ENCRYPTION, &[encryption]), (2, &[0]), (3, &[0; 4]), (4, &[0])];
    let (mut head, mut data) = (Vec::new(), Vec::<u8>::new());
    for (option, value) in options {
        // Five bytes for each option, and the end of the list.
        let offset = u16::try_from(options.len() * 5 + 1 + data.len()).unwrap_or_default();
        let length = u16::try_from(value.len()).unwrap_or_default();
        head.push(option);
        head.extend(offset.to_be_bytes());
        head.extend(length.to_be_bytes());
        data.extend(value);
    }
    head.push(TERMINATOR);
    head.extend(data);
    head
}

/// What a server's PRELOGIN says of encryption.
fn encryption(message: &[u8]) -> Option<u8> {
    let mut options = message.chunks(5);
    loop {
        match *options.next()? {
            [ENCRYPTION, high, low, 0, 1] => {
                return message.get(usize::from(u16::from_be_bytes([high, low]))).copied();
            }
            [TERMINATOR, ..] => return None,
            _ => {}
        }
    }
}

/// Whether a server that says this of encryption can be gone on with.
fn agree(transport: Transport, encryption: u8) -> Result<()> {
    match (transport, encryption) {
        (Transport::Tls, ENCRYPT_ON | ENCRYPT_REQ) => Ok(()),
        (Transport::Tls, _) => Err(Error::new(
            ErrorKind::Tls,
            "the server does not offer TLS for all that is said; nothing of the login was sent; give it \
             a certificate",
        )),
        (Transport::Plaintext, ENCRYPT_ON | ENCRYPT_REQ) => Err(Error::new(
            ErrorKind::Forbidden,
            "the server demands TLS; set the secret's field \"ssl\" to true",
        )),
        (Transport::Plaintext, _) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prelogin_is_written_as_the_protocol_has_it() {
        let head =
            b"\0\0\x1a\0\x06\x01\0\x20\0\x01\x02\0\x21\0\x01\x03\0\x22\0\x04\x04\0\x26\0\x01\xff";
        let expected = [&head[..], &[0; 6], &[1], &[0; 6]].concat();
        assert_eq!(prelogin(ENCRYPT_ON), expected);
        assert_eq!(encryption(&expected), Some(ENCRYPT_ON));
    }

    #[test]
    fn parity_29_a_server_without_tls_for_everything_is_refused_before_the_login() {
        for offered in [ENCRYPT_NOT_SUP, 0, 0x80] {
            let error = agree(Transport::Tls, offered).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
            assert!(error.to_string().contains("nothing of the login was sent"), "{error}");
            agree(Transport::Plaintext, offered).unwrap();
        }
        for demanded in [ENCRYPT_ON, ENCRYPT_REQ] {
            agree(Transport::Tls, demanded).unwrap();
            let error = agree(Transport::Plaintext, demanded).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Forbidden);
        }
    }

    proptest! {
        #[test]
        fn any_prelogin_is_read_or_refused(message in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = encryption(&message);
        }
    }
}
