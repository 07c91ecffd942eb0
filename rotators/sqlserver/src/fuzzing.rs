//! What the fuzzer reaches of this crate, behind the feature `fuzzing`: the parts that read a server's
//! bytes. See `fuzz/` at the root of the repository.

use std::time::Duration;

use fourstep::net::Stream;
use fourstep::users::{Attempt, LoggedIn, Login};
use fourstep::{Deadline, Invocation, Result};

use crate::wire::{Answer, Channel};
use crate::{Sqlserver, preflight};

/// A login and a look at the user, over a connection that has been agreed upon; whether the password was
/// accepted.
pub async fn session_over(server: impl Stream + 'static, login: &Login) -> Result<bool> {
    let cx = Invocation::new(Deadline::after(Duration::from_secs(60)));
    match Sqlserver::begin_session(Channel::new(Box::new(server)), login, &cx).await? {
        Attempt::Refused(_) => Ok(false),
        Attempt::Accepted(session) => {
            let mut at = LoggedIn { login: login.clone(), session, cx: &cx };
            preflight::look(&mut at).await?;
            Ok(true)
        }
    }
}

/// Reads an answer. What was read of it is no more than it had.
pub fn answer(message: &[u8]) {
    if let Some(answer) = Answer::read(message) {
        let texts: usize = answer.rows.iter().flatten().flatten().map(String::len).sum();
        assert!(texts <= message.len() * 3 / 2, "{texts} of {}", message.len());
    }
}
