//! The question of the function's owner, asked as the user that is about to be promoted.

use std::time::Duration;

use fourstep::{Error, Invocation};

use crate::errors;
use crate::session::{Failure, Session};

/// Asks in a transaction that may only read.
///
/// # Errors
/// [`ErrorKind::Forbidden`](fourstep::ErrorKind::Forbidden) and others, by what the server answers.
pub(crate) async fn ask(
    session: &mut Session,
    query: &str,
    limit: Duration,
    cx: &Invocation,
) -> Result<(), Error> {
    let limit = limit.as_millis().max(1);
    let begin = format!(
        "BEGIN READ ONLY; SET LOCAL statement_timeout = {limit}; SET LOCAL lock_timeout = {limit}; \
         SET LOCAL idle_in_transaction_session_timeout = {limit}"
    );
    session.run("the probe's beginning", begin, cx).await.map_err(|fail| fail.of("the probe"))?;
    match session.run("PROBE_QUERY", query.to_owned(), cx).await {
        Ok(_) => Ok(()),
        // Not the query itself: it is in the function's configuration, for whoever may see that.
        Err(Failure::Refused(refusal)) => Err(errors::of_probe(&refusal)),
        Err(Failure::Lost(error) | Failure::Late(error)) => Err(error),
    }
}
