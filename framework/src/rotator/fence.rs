//! The fence: the last look at the labels before a change that cannot be taken back.

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::VersionId;
use crate::store::{AWSCURRENT, AWSPENDING, SecretClient};

/// The check that stands between a rotator and an irreversible change.
///
/// A rotator takes its lock, passes the fence, then changes. A container that was frozen, or that
/// lost a race against a newer rotation, is stopped here. A test may make a fence of its own.
#[async_trait]
pub trait Fence: Send + Sync {
    /// Whether the change may be made still. The engine's fence asks DescribeSecret again: the token
    /// must still carry AWSPENDING, AWSCURRENT must still be on the version that was read, and
    /// [`CHANGE_TIME`](crate::CHANGE_TIME) must be left.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] or [`ErrorKind::OutOfTime`]; nothing may be changed then.
    async fn pass(&self) -> Result<()>;
}

/// The engine's fence: the staging labels as they stand now.
pub(super) struct LabelFence<'a> {
    pub(super) calls: &'a SecretClient<'a>,
    pub(super) token: &'a VersionId,
    pub(super) current: &'a VersionId,
}

#[async_trait]
impl Fence for LabelFence<'_> {
    async fn pass(&self) -> Result<()> {
        self.calls.invocation().enough_for_a_change()?;
        let description = self.calls.describe().await?;
        if !description.has(self.token, AWSPENDING) {
            return Err(conflict("AWSPENDING was taken from this version meanwhile"));
        }
        if description.holder(AWSCURRENT) != Some(self.current) {
            return Err(conflict("AWSCURRENT moved to another version meanwhile"));
        }
        self.calls.invocation().enough_for_a_change()
    }
}

/// The fence of a version that is current.
pub(super) struct PromotionFence<'a> {
    pub(super) calls: &'a SecretClient<'a>,
    pub(super) promoted: &'a VersionId,
}

#[async_trait]
impl Fence for PromotionFence<'_> {
    async fn pass(&self) -> Result<()> {
        self.calls.invocation().enough_for_a_change()?;
        if !self.calls.describe().await?.has(self.promoted, AWSCURRENT) {
            return Err(conflict("AWSCURRENT moved to another version meanwhile"));
        }
        self.calls.invocation().enough_for_a_change()
    }
}

fn conflict(what: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("{what}; the change was not made"))
}
