//! What the fuzzer reaches of this crate, behind the feature `fuzzing`: the parts that read a
//! server's bytes and what it says of its users. See `fuzz/` at the root of the repository.

use std::cmp::min;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use fourstep::net::Transport;
use fourstep::users::{Attempt, Login, SslMode};
use fourstep::{Error, SecretString};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use crate::alternate::fuzzing::{Admin, Grants, Kept, USER, is_like, matching};
use crate::preflight;
use crate::wire::{Answer, Channel, Greeting, Stream, Wire, log_in, query};

/// How a session against a scripted server went.
#[derive(Debug, PartialEq, Eq)]
pub enum Session {
    /// The login was refused.
    Refused,
    /// The user was let in, and a statement had so many rows; none if it was refused.
    Open(Option<usize>),
}

/// A login of `app` and a statement against a server that says `script` whatever it hears; and all
/// that it heard.
pub async fn session_against(
    script: Vec<u8>,
    password: &SecretString,
    transport: Transport,
) -> (Result<Session, Error>, Vec<u8>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let script = Script { rest: script, heard: Arc::clone(&heard) };
    let outcome = session(Box::new(script), password, transport).await;
    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (outcome, heard)
}

async fn session(
    stream: Box<dyn Stream>,
    password: &SecretString,
    transport: Transport,
) -> Result<Session, Error> {
    let login = Login {
        host: "db.example".to_owned(),
        port: 3306,
        username: "app".to_owned(),
        password: password.clone(),
        dbname: None,
        ssl: SslMode::Plaintext,
    };
    let mut channel = Channel::new(stream);
    let greeting = Greeting::parse(&channel.receive().await?)?;
    let mut wire = Wire { channel, greeting, transport };
    if let Attempt::Refused(_) = log_in(&mut wire, &login).await? {
        return Ok(Session::Refused);
    }
    Ok(match query(&mut wire.channel, "SELECT 1", |_| true).await? {
        Answer::Rows(rows) => Session::Open(Some(rows.len())),
        Answer::Refused(_) => Session::Open(None),
    })
}

/// A server that answers nothing that it hears.
struct Script {
    rest: Vec<u8>,
    heard: Arc<Mutex<Vec<u8>>>,
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
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        heard: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).extend(heard);
        Poll::Ready(Ok(heard.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// How SHOW CREATE USER is read: whether the account has several ways to log in (MariaDB), and after
/// how many refused logins it is locked (MySQL).
pub fn of_create_user(account: &str) -> (bool, Option<u32>) {
    (preflight::names_other_methods(account), preflight::attempts(account))
}
