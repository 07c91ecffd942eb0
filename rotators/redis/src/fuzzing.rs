//! What the fuzzer reaches of this crate, behind the feature `fuzzing`: the parts that read a server's
//! bytes. See `fuzz/` at the root of the repository.

use std::cmp::min;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use fourstep::users::{Attempt, Login, SslMode};
use fourstep::{Deadline, Error, Invocation, SecretString};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::session::Channel;

/// A login of `app`, a look at a user and at the server, against one that says `script` whatever it
/// hears; whether the password was accepted, and all that the server heard before it said so much.
pub async fn session_against(
    script: Vec<u8>,
    password: &SecretString,
) -> (Result<bool, Error>, Vec<u8>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let script = Script { rest: script, heard: Arc::clone(&heard) };
    let outcome = session(script, password).await;
    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (outcome, heard)
}

async fn session(script: Script, password: &SecretString) -> Result<bool, Error> {
    let login = Login {
        host: "redis.example".to_owned(),
        port: 6379,
        username: "app".to_owned(),
        password: password.clone(),
        dbname: None,
        ssl: SslMode::Plaintext,
    };
    let cx = Invocation::new(Deadline::after(Duration::from_secs(60)));
    match Channel::new(Box::new(script)).log_in(&login, &cx).await? {
        Attempt::Refused(_) => Ok(false),
        Attempt::Accepted(mut session) => {
            session.ask_server(&cx).await?;
            session.objections("admin", "app", &cx).await?;
            Ok(true)
        }
    }
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
