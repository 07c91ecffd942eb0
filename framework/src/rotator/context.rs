//! What each verb is given: the versions it may read, the fence it must pass, what it must keep.

use std::time::{Duration, SystemTime};

use super::fence::{LabelFence, PromotionFence};
use super::{Fence, SecretReader};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::VersionId;
use crate::secret::{Current, Pending, Previous, Secret};
use crate::store::{SecretClient, SecretDescription, Select};

/// What [`Rotator::propose`](super::Rotator::propose) may build on.
pub struct CreateContext<'a> {
    pub(crate) calls: &'a SecretClient<'a>,
    /// The current secret; proven to be the one DescribeSecret calls current.
    pub current: &'a Current,
    /// The new version's id.
    pub token: &'a VersionId,
    /// The secret's labels and tags.
    pub description: &'a SecretDescription,
}

impl<'a> CreateContext<'a> {
    /// What the engine gives to the verb. Public for tests that call a verb alone, as are those of
    /// the other contexts.
    pub fn new(
        client: &'a SecretClient<'a>,
        current: &'a Current,
        token: &'a VersionId,
        description: &'a SecretDescription,
    ) -> Self {
        Self { calls: client, current, token, description }
    }

    /// What the secret ever held, as [`RetireContext::stored`]: the token's own version is read again by its
    /// id, and so is found if a stale read or a slow container missed it.
    ///
    /// # Errors
    /// Those of [`RetireContext::stored`]. Nothing may be revoked then.
    pub async fn stored(&self) -> Result<Vec<Previous>> {
        self.calls.stored_versions(self.description).await
    }

    /// Other secrets, such as an admin's.
    pub fn other_secrets(&self) -> SecretReader<'_> {
        SecretReader::new(self.calls)
    }

    /// What older versions hold.
    pub(crate) fn recorded(&self) -> Recorded<'_> {
        Recorded { calls: self.calls, description: self.description }
    }

    /// How long ago the current version was made, if the store says so.
    ///
    /// # Errors
    /// Those of GetSecretValue.
    pub async fn age(&self) -> Result<Option<Duration>> {
        let stored = self.calls.stored(Select::Version(self.current.version())).await?;
        Ok(stored.created.map(|made| SystemTime::now().duration_since(made).unwrap_or_default()))
    }

    /// The fence to pass before a change at the target that cannot be taken back. A proposal
    /// should need none; where the target has room for no more, something must go first.
    pub fn fence(&self) -> impl Fence {
        LabelFence { calls: self.calls, token: self.token, current: self.current.version() }
    }
}

/// The versions [`Rotator::apply`](super::Rotator::apply) may use. Current and pending are at hand; older ones are read
/// only when asked for, because a healthy rotation never needs them.
pub struct SetContext<'a> {
    pub(crate) calls: &'a SecretClient<'a>,
    pub(crate) description: &'a SecretDescription,
    pub(crate) current: Current,
    pub(crate) pending: Pending,
}

impl<'a> SetContext<'a> {
    /// As [`CreateContext::new`].
    pub fn new(
        client: &'a SecretClient<'a>,
        description: &'a SecretDescription,
        current: Current,
        pending: Pending,
    ) -> Self {
        Self { calls: client, description, current, pending }
    }

    /// The version applications use.
    pub fn current(&self) -> &Current {
        &self.current
    }

    /// The version to be made to work.
    pub fn pending(&self) -> &Pending {
        &self.pending
    }

    /// The secret's labels and tags.
    pub fn description(&self) -> &SecretDescription {
        self.description
    }

    /// Other secrets, such as an admin's.
    pub fn other_secrets(&self) -> SecretReader<'_> {
        SecretReader::new(self.calls)
    }

    /// The fence that the change to these versions must pass.
    pub(crate) fn fence(&self) -> impl Fence {
        let (token, current) = (self.pending.version(), self.current.version());
        LabelFence { calls: self.calls, token, current }
    }

    /// What older versions hold.
    pub(crate) fn recorded(&self) -> Recorded<'_> {
        Recorded { calls: self.calls, description: self.description }
    }

    /// The version that was current before, if there is one with a value.
    ///
    /// # Errors
    /// Those of GetSecretValue, but for not found.
    pub async fn previous(&self) -> Result<Option<Previous>> {
        self.recorded().previous().await
    }

    /// The newest versions that carry none of AWS's three labels, newest first: a cancelled
    /// rotation leaves the value it applied there. Looks at no more than 20; one that may not be
    /// read is left out with a warning.
    ///
    /// # Errors
    /// Those of ListSecretVersionIds and GetSecretValue.
    pub async fn others(&self) -> Result<Vec<Previous>> {
        self.recorded().others().await
    }
}

/// The older versions of a secret, read only when asked for.
pub(crate) struct Recorded<'a> {
    calls: &'a SecretClient<'a>,
    description: &'a SecretDescription,
}

impl Recorded<'_> {
    /// As [`RetireContext::stored`].
    pub(crate) async fn all(&self) -> Result<Vec<Previous>> {
        self.calls.stored_versions(self.description).await
    }

    /// As [`SetContext::previous`].
    pub(crate) async fn previous(&self) -> Result<Option<Previous>> {
        self.calls.previous(self.description).await
    }

    /// As [`SetContext::others`].
    pub(crate) async fn others(&self) -> Result<Vec<Previous>> {
        self.calls.others().await
    }
}

/// What [`Rotator::confirm`](super::Rotator::confirm) may use, before AWSCURRENT moves.
pub struct PromoteContext<'a> {
    calls: &'a SecretClient<'a>,
    description: &'a SecretDescription,
    pending: &'a Pending,
    current: &'a VersionId,
}

impl<'a> PromoteContext<'a> {
    /// As [`CreateContext::new`]. `current` is the version that has AWSCURRENT.
    pub fn new(
        client: &'a SecretClient<'a>,
        description: &'a SecretDescription,
        pending: &'a Pending,
        current: &'a VersionId,
    ) -> Self {
        Self { calls: client, description, pending, current }
    }

    /// The version that is about to be promoted.
    pub fn pending(&self) -> &Pending {
        self.pending
    }

    /// The secret's labels and tags.
    pub fn description(&self) -> &SecretDescription {
        self.description
    }

    /// Other secrets, such as an admin's.
    pub fn other_secrets(&self) -> SecretReader<'_> {
        SecretReader::new(self.calls)
    }

    /// What versions hold.
    pub(crate) fn recorded(&self) -> Recorded<'_> {
        Recorded { calls: self.calls, description: self.description }
    }

    /// What AWSCURRENT holds, read by the id of its version: it is never stale.
    ///
    /// # Errors
    /// Those of GetSecretValue.
    pub(crate) async fn replaced(&self) -> Result<Secret> {
        match self.calls.version(self.current).await? {
            Some(current) => Ok(current.secret().clone()),
            None => {
                Err(Error::new(ErrorKind::NotFound, "AWSCURRENT's version has no value; retry"))
            }
        }
    }

    /// The fence to pass before a change, as that of [`Rotator::apply`](super::Rotator::apply).
    pub(crate) fn fence(&self) -> impl Fence {
        LabelFence { calls: self.calls, token: self.pending.version(), current: self.current }
    }
}

/// What [`Rotator::retire`](super::Rotator::retire) must leave alone.
pub struct RetireContext<'a> {
    pub(crate) calls: &'a SecretClient<'a>,
    pub(crate) description: SecretDescription,
    pub(crate) promoted: &'a VersionId,
}

impl<'a> RetireContext<'a> {
    /// As [`CreateContext::new`]; the description has the labels as the promotion leaves them.
    pub fn new(
        client: &'a SecretClient<'a>,
        description: SecretDescription,
        promoted: &'a VersionId,
    ) -> Self {
        Self { calls: client, description, promoted }
    }

    /// The secret's labels, as the promotion left them, and its tags.
    pub fn description(&self) -> &SecretDescription {
        &self.description
    }

    /// Other secrets, such as an admin's.
    pub fn other_secrets(&self) -> SecretReader<'_> {
        SecretReader::new(self.calls)
    }

    /// What versions hold.
    pub(crate) fn recorded(&self) -> Recorded<'_> {
        Recorded { calls: self.calls, description: &self.description }
    }

    /// The fence to pass before what cannot be brought back is revoked: the promoted version must
    /// be AWSCURRENT still.
    pub(crate) fn fence(&self) -> impl Fence {
        PromotionFence { calls: self.calls, promoted: self.promoted }
    }

    /// The version that was just promoted.
    pub fn promoted(&self) -> &VersionId {
        self.promoted
    }

    /// What the promoted version holds.
    ///
    /// # Errors
    /// Those of GetSecretValue, not found included.
    pub async fn value(&self) -> Result<Secret> {
        match self.calls.version(self.promoted).await? {
            Some(promoted) => Ok(promoted.secret().clone()),
            None => Err(Error::new(ErrorKind::NotFound, "the promoted version has no value")),
        }
    }

    /// Every labelled version's secret, custom labels included, read by version id. Labels are
    /// those the promotion left: the version before this one is AWSPREVIOUS, the one before that
    /// no longer. A version that waits for its first value is left out.
    ///
    /// # Errors
    /// Those of GetSecretValue, not found included where there must be a value. Nothing may be
    /// revoked then.
    pub async fn labelled(&self) -> Result<Vec<Previous>> {
        self.calls.labelled(&self.description).await
    }

    /// What the secret ever held, as far as it is still known: every labelled version, and the
    /// newest others. Of the latter, looks at no more than 20; one that may not be read is left
    /// out with a warning.
    ///
    /// # Errors
    /// Those of [`labelled`](Self::labelled) and of ListSecretVersionIds. Nothing may be revoked
    /// then.
    pub async fn stored(&self) -> Result<Vec<Previous>> {
        self.calls.stored_versions(&self.description).await
    }
}

/// A secret as it stands, outside a rotation.
pub struct InspectContext<'a> {
    pub(crate) calls: &'a SecretClient<'a>,
    /// The current secret.
    pub current: &'a Current,
    /// The secret's labels and tags.
    pub description: &'a SecretDescription,
}

impl<'a> InspectContext<'a> {
    /// As [`CreateContext::new`].
    pub fn new(
        client: &'a SecretClient<'a>,
        current: &'a Current,
        description: &'a SecretDescription,
    ) -> Self {
        Self { calls: client, current, description }
    }

    /// What older versions hold.
    pub(crate) fn recorded(&self) -> Recorded<'_> {
        Recorded { calls: self.calls, description: self.description }
    }

    /// Other secrets, such as an admin's.
    pub fn other_secrets(&self) -> SecretReader<'_> {
        SecretReader::new(self.calls)
    }
}
