//! The question of the function's owner, asked as the user that is about to be promoted.

use fourstep::{Error, Invocation};

use crate::errors;
use crate::session::{Failure, Session};

/// Asks in a transaction that may only read. The user's default roles hold.
///
/// # Errors
/// [`ErrorKind::Forbidden`](fourstep::ErrorKind::Forbidden) and others, by what the server answers.
pub(crate) async fn ask(session: &mut Session, query: &str, cx: &Invocation) -> Result<(), Error> {
    let what = "the probe's beginning";
    let begin = "START TRANSACTION READ ONLY";
    session.run(what, begin, cx).await.map_err(|failure| failure.of(what))?;
    match session.run("PROBE_QUERY", query, cx).await {
        Ok(_) => Ok(()),
        // Not the query itself: it is in the function's configuration, for whoever may see that.
        Err(Failure::Refused(refusal)) => Err(errors::of_probe(&refusal)),
        Err(Failure::Lost(error) | Failure::Late(error)) => Err(error),
    }
}
