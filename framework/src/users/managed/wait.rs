//! Waits until the service is done with a user: a change takes minutes.
//!
//! A status that is read after our own change may be the one from before it, where the service does not promise
//! otherwise. So after a change `Active` counts once `Changing` was read since, or once it is read and the change is
//! [`SETTLED`] old: a change lasts longer, so reads that say `Active` for so long are no old ones. The status in the
//! answer to the change itself is not used: it says what was taken, not what the next read sees. Before a change the
//! first `Active` counts: if it is an old one, the service refuses to change the user.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{ManagedUser, ManagedUsers, UserState, UserStatus};
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::{CHANGE_TIME, Invocation};

/// How long reads may say what was before a change.
const SETTLED: Duration = Duration::from_secs(10);

/// Between two looks: each pause is twice the one before.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// What was done before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// Nothing.
    Nothing,
    /// A change of ours.
    Change,
}

/// The user, once it is active; no later than the function's time allows.
pub(super) async fn until_active(
    service: &impl ManagedUsers,
    user: &ManagedUser,
    after: After,
    cx: &Invocation,
) -> Result<UserState> {
    let (began, mut pause) = (Instant::now(), SHORTEST);
    let mut newer = after == After::Nothing;
    loop {
        let found = service.describe(user, cx).await?;
        match found.status {
            UserStatus::Active if newer || began.elapsed() >= SETTLED => return Ok(found),
            UserStatus::Active => {}
            UserStatus::Deleting => return Err(deleting(user)),
            UserStatus::Changing => newer = true,
        }
        if !cx.waits() || cx.deadline().remaining() < pause + CHANGE_TIME {
            return Err(late(user));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}

pub(super) fn deleting(user: &ManagedUser) -> Error {
    Error::new(ErrorKind::NotFound, format!("the user {} is being deleted", user.arn))
        .caused_by("turn rotation off for this secret, or name another user in it")
}

fn late(user: &ManagedUser) -> Error {
    let what = format!("the user {} is being changed still; retry, which waits on", user.arn);
    Error::new(ErrorKind::OutOfTime, what).caused_by(
        "a change takes minutes: raise the function's timeout, up to 900 s, until one fits into it",
    )
}
