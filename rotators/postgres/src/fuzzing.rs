//! What the fuzzer reaches of this crate, behind the feature `fuzzing`: the parts that read a
//! server's bytes or write statements. See `fuzz/` at the root of the repository.

use std::cmp::min;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use fourstep::users::{Attempt, Login, SslMode};
use fourstep::{Error, SecretString};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::errors::ServerError;
use crate::password::{Literal, PasswordFormat};
use crate::sql;
use crate::wire::{Wire, log_in};

/// Stands in a script for the nonce of the client's SCRAM message, which has as many bytes.
pub const NONCE: &[u8; 24] = b"NNNNNNNNNNNNNNNNNNNNNNNN";

/// A name as an identifier of a statement.
pub fn quote_identifier(name: &str) -> String {
    sql::quote_identifier(name)
}

/// A change to one password, whose verifier takes thousands of rounds of HMAC to compute.
pub struct Change(Literal);

impl Change {
    /// A change to this password.
    pub fn to(password: &SecretString) -> Self {
        Self(PasswordFormat::ScramSha256.literal("app", password))
    }

    /// The statement that makes it.
    pub fn statement(&self, username: &str) -> String {
        sql::alter_password(username, &self.0)
    }
}

/// What is shown of a server's ErrorResponse with this body, of one that knows `password`.
pub fn quoted(body: &[u8], password: &str) -> String {
    ServerError::parse(body).without(password).quote()
}

/// A login of `app` against a server that says `script` whatever it hears: whether it let the user
/// in, and how much of what the server said the driver would be told.
///
/// # Errors
/// Those of the login.
pub async fn log_in_against(
    script: Vec<u8>,
    password: &SecretString,
    weak_authentication: bool,
) -> Result<Option<usize>, Error> {
    let login = Login {
        host: "db.example".to_owned(),
        port: 5432,
        username: "app".to_owned(),
        password: password.clone(),
        dbname: None,
        ssl: SslMode::Plaintext,
    };
    let mut wire = Wire { stream: Box::new(Script { rest: script }), weak_authentication };
    Ok(match log_in(&mut wire, &login).await? {
        Attempt::Accepted(greeting) => Some(greeting.messages.len()),
        Attempt::Refused(_) => None,
    })
}

/// A server that listens for nothing but the client's nonce.
struct Script {
    rest: Vec<u8>,
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = min(buffer.remaining(), self.rest.len());
        let said: Vec<u8> = self.rest.drain(..length).collect();
        buffer.put_slice(&said);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        heard: &[u8],
    ) -> Poll<io::Result<usize>> {
        // n=,r=NONCE ends the message.
        let at = heard.windows(5).position(|bytes| bytes == b"n=,r=");
        let nonce = at.and_then(|at| heard.get(at + 5..at + 5 + NONCE.len()));
        let place = self.rest.windows(NONCE.len()).position(|bytes| bytes == NONCE);
        if let (Some(nonce), Some(place)) = (nonce, place)
            && let Some(placeholder) = self.rest.get_mut(place..place + NONCE.len())
        {
            placeholder.copy_from_slice(nonce);
        }
        Poll::Ready(Ok(heard.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
