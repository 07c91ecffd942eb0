//! What the fuzzer reaches of this crate, behind the feature `fuzzing`: the parts that read a server's
//! bytes. See `fuzz/` at the root of the repository.

use std::time::Duration;

use fourstep::net::Stream;
use fourstep::users::{Attempt, Login};
use fourstep::{Deadline, Invocation, Result};

use crate::session::Channel;

/// A login, a look at a user and at the server; whether the password was accepted.
pub async fn session_over(server: impl Stream + 'static, login: &Login) -> Result<bool> {
    let cx = Invocation::new(Deadline::after(Duration::from_secs(60)));
    match Channel::new(Box::new(server)).log_in(login, &cx).await? {
        Attempt::Refused(_) => Ok(false),
        Attempt::Accepted(mut session) => {
            session.ask_server(&cx).await?;
            session.objections("admin", "app", &cx).await?;
            Ok(true)
        }
    }
}
