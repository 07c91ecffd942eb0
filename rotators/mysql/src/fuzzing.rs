//! What the fuzzer reaches of this crate, behind the feature `fuzzing`: the parts that read a
//! server's bytes and what it says of its users. See `fuzz/` at the root of the repository.

use fourstep::Result;
use fourstep::net::{Stream, Transport};
use fourstep::users::{Attempt, Login};

pub use crate::alternate::fuzzing::{Admin, Grants, Kept, USER, is_like, matching};
use crate::preflight;
use crate::wire::{Answer, Channel, Greeting, Wire, log_in, query};

/// How a session against a scripted server went.
#[derive(Debug, PartialEq, Eq)]
pub enum Session {
    /// The login was refused.
    Refused,
    /// The user was let in, and a statement had so many rows; none if it was refused.
    Open(Option<usize>),
}

/// A login and a statement against whatever answers.
///
/// # Errors
/// Those of the session.
pub async fn session_over(
    stream: impl Stream + 'static,
    login: &Login,
    transport: Transport,
) -> Result<Session> {
    let mut channel = Channel::new(Box::new(stream) as Box<dyn Stream>);
    let greeting = Greeting::parse(&channel.receive().await?)?;
    let mut wire = Wire { channel, greeting, transport };
    if let Attempt::Refused(_) = log_in(&mut wire, login).await? {
        return Ok(Session::Refused);
    }
    Ok(match query(&mut wire.channel, "SELECT 1", |_| true).await? {
        Answer::Rows(rows) => Session::Open(Some(rows.len())),
        Answer::Refused(_) => Session::Open(None),
    })
}

/// How SHOW CREATE USER is read: whether the account has several ways to log in (MariaDB), and after
/// how many refused logins it is locked (MySQL).
pub fn of_create_user(account: &str) -> (bool, Option<u32>) {
    (preflight::names_other_methods(account), preflight::attempts(account))
}
