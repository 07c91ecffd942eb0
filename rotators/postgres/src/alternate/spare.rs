//! What a change can do without: it takes what anybody may give to the second user and what does not count,
//! because that acts as the first. Nobody must be able to stop a rotation by such a gift, and so it has a
//! savepoint and a part of the time that is left.

use std::time::Duration;

use fourstep::{Invocation, Result};

use crate::session::Session;

/// The most that one of these may take.
const MOST: Duration = Duration::from_secs(5);

/// How long it waits for others. As the hand-over of what counts.
const WAITS: Duration = Duration::from_millis(900);

/// The same limits, of a transaction of its own.
pub(super) const SHORTLY: [&str; 2] =
    ["SET LOCAL statement_timeout = '5s'", "SET LOCAL lock_timeout = '900ms'"];

/// Does something in a savepoint, to which the transaction goes back if it fails.
///
/// # Errors
/// Only those of the transaction itself. The inner error is that of what was done.
pub(super) async fn in_savepoint<T>(
    session: &mut Session,
    cx: &Invocation,
    work: impl AsyncFnOnce(&mut Session) -> Result<T>,
) -> Result<Result<T>> {
    let what = "what the change can do without";
    let limits = "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')";
    let (whole, wait): (String, String) = session.ask(what, limits, cx).await?;
    let [_, left] = cx.time_for_a_change()?;
    // A quarter each time: however many of them there are, there is time for what counts.
    let most = (left / 4).min(MOST).as_millis().max(1);
    let waits = WAITS.as_millis().min(most);
    let save = format!(
        "SAVEPOINT spare; SET LOCAL statement_timeout = {most}; SET LOCAL lock_timeout = {waits}"
    );
    session.run(what, save, cx).await.map_err(|failure| failure.of(what))?;
    let done = work(session).await;
    let ended = match done {
        Ok(_) => format!(
            "RELEASE SAVEPOINT spare; SET LOCAL statement_timeout = '{whole}'; \
             SET LOCAL lock_timeout = '{wait}'"
        ),
        Err(_) => "ROLLBACK TO SAVEPOINT spare; RELEASE SAVEPOINT spare".to_owned(),
    };
    session.run(what, ended, cx).await.map_err(|failure| failure.of(what))?;
    Ok(done)
}
