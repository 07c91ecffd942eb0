//! A server that says what is in a script, whatever it hears.

use std::cmp::min;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use fourstep::users::{Login, SslMode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Looked for as it is: the fuzzer sees what it is compared with, and would soon know any other form.
pub const PASSWORD: &str = "canary-password-of-the-fuzzer";

/// A login of `app` with that password.
pub fn login() -> Login {
    Login { ssl: SslMode::Plaintext, ..Login::new("db.example", 5432, "app", PASSWORD) }
}

/// Stands in a script for the nonce of the client's SCRAM message, which has as many bytes.
const NONCE: &[u8; 24] = b"NNNNNNNNNNNNNNNNNNNNNNNN";

/// The server. It listens for nothing but such a nonce, and keeps all that it heard.
pub struct Script {
    pub rest: Vec<u8>,
    pub heard: Arc<Mutex<Vec<u8>>>,
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
        if let (Some(nonce), Some(place)) = (nonce, place) {
            self.rest[place..place + NONCE.len()].copy_from_slice(nonce);
        }
        self.heard.lock().unwrap().extend(heard);
        Poll::Ready(Ok(heard.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
