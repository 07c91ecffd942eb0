//! One transaction that changes an account: limits, the account's lock, COMMIT in time.

use std::time::Duration;

use fourstep::users::driver::Refusal;
use fourstep::{CHANGE_TIME, Error, ErrorKind, Invocation};

use crate::errors;
use crate::session::{Failure, Session};
use crate::sql;
use crate::wire::Method;

/// The least time that must be left to send COMMIT: below it the change is rolled back, because
/// its outcome might not be heard.
const COMMIT_TIME: Duration = Duration::from_secs(1);

/// What is added to an error from before the statement.
pub(crate) const UNCHANGED: &str = "nothing was changed";

/// Begins a transaction with the limits that the deadline sets, and takes these locks. Changes
/// nothing.
pub(crate) async fn begin(
    session: &mut Session,
    locks: &[String],
    cx: &Invocation,
) -> Result<(), Error> {
    cx.enough_for_a_change()?;
    let left = cx.deadline().remaining();
    // Waiting for a lock must leave the time that a change needs.
    let lock = left.saturating_sub(CHANGE_TIME);
    let what = "the beginning of a transaction";
    session.run(what, sql::begin(left, lock), cx).await.map_err(|fail| unchanged(fail, what))?;
    session.unlocked = false;
    for user in locks {
        take(session, user, cx).await?;
    }
    Ok(())
}

/// Takes the lock of this account, or waits for whoever may be rotating it. Anybody who may connect can
/// hold it, so a session that could not change the password does not stop a rotation.
async fn take(session: &mut Session, user: &str, cx: &Invocation) -> Result<(), Error> {
    let what = "the account's lock";
    let [taken] = session
        .ask(what, &sql::try_lock(user), cx)
        .await
        .map_err(|error| error.caused_by(UNCHANGED))?;
    if taken.as_deref() == Some("true") {
        return Ok(());
    }
    let holder = session.rows::<3>(what, sql::lock_holder(user), cx).await?.into_iter().next();
    let [process, holder, rotates] = holder.unwrap_or_default();
    let process = process.and_then(|number| number.parse::<u32>().ok());
    // Who was told a password may call itself so.
    let names = session.channel().method != Method::Cleartext;
    let holder =
        holder.filter(|_| names).map(|name| format!(" of user {name:?}")).unwrap_or_default();
    let holds = process.map(|process| {
        format!(
            "the server's process {process}{holder} has it; if that is no rotation, an administrator \
             ends it with SELECT pg_terminate_backend({process})"
        )
    });
    if rotates.as_deref() == Some("false") {
        session.unlocked = true;
        let who = holds.unwrap_or_default();
        cx.warn(format!("went on without the account's lock, which a stranger keeps: {who}"));
        return Ok(());
    }
    let lock = session.run(what, sql::lock(user), cx).await;
    lock.map(drop).map_err(|failure| {
        let error = failure.of(what);
        let held = holds.filter(|_| error.kind() == ErrorKind::Conflict);
        held.map_or(error.clone(), |held| error.caused_by(held)).caused_by(UNCHANGED)
    })
}

fn unchanged(failure: Failure, what: &str) -> Error {
    failure.of(what).caused_by(UNCHANGED)
}

/// Commits, or rolls back if no time is left to hear how that ended. `open` says what is unknown
/// if the answer is lost.
pub(crate) async fn commit(
    session: &mut Session,
    open: &str,
    cx: &Invocation,
) -> Result<(), Error> {
    let left = cx.deadline().remaining();
    if left < COMMIT_TIME {
        roll_back(session, cx).await;
        return Err(Error::new(ErrorKind::OutOfTime, "rolled back; nothing was changed")
            .caused_by(format!("{:.1} s are left, too little to commit", left.as_secs_f64())));
    }
    session.run("COMMIT", "COMMIT".to_owned(), cx).await.map(|_| ()).map_err(
        |failure| match failure {
            Failure::Refused(refusal) if !errors::leaves_commit_open(&refusal) => {
                refusal.of_statement("COMMIT")
            }
            failure => Error::new(ErrorKind::Unreachable, format!("{open}, and a retry finds out"))
                .caused_by(failure.of("COMMIT")),
        },
    )
}

/// Gives up what was done, and the lock. Where this fails, the end of the connection does the same.
pub(crate) async fn roll_back(session: &mut Session, cx: &Invocation) {
    let _ = session.run("ROLLBACK", "ROLLBACK".to_owned(), cx).await;
}
