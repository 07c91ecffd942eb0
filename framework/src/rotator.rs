//! The verbs an author supplies. The engine decides when each is called.

use async_trait::async_trait;

use crate::error::{Error, ErrorKind};
use crate::ids::VersionId;
use crate::secret::{Current, Pending, Previous, Secret};
use crate::store::{AWSPENDING, Calls, SecretDescription};
use crate::turn::Turn;

/// What a rotator does, in verbs; never in steps.
///
/// An author writes verbs and the engine orders them, so a rotator cannot promote an untested
/// secret, regenerate a recorded one or forget a token. Every verb may run twice with the same
/// arguments, on another container, after a first run whose answer was lost.
#[async_trait]
pub trait Rotator: Send + Sync {
    /// Refuses a pending secret that names another host or account than the current one. Called
    /// before [`apply`](Self::apply), and before anything is connected to.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`], or [`ErrorKind::Malformed`] naming a field.
    fn check(&self, current: &Current, pending: &Pending) -> Result<(), Error>;

    /// Makes the next secret. What it returns is stored before anything else happens.
    async fn propose(&self, known: &Known<'_>, turn: &Turn) -> Result<Secret, Error>;

    /// Gives up what this invocation proposed: another run's value is stored under the token, so
    /// this one never will be. Whoever mints at the target revokes it there. The default has
    /// nothing to give up.
    ///
    /// # Errors
    /// Whatever stopped it; the step goes on with a warning, since the stored value is good.
    async fn discard(&self, _proposed: &Secret, _turn: &Turn) -> Result<(), Error> {
        Ok(())
    }

    /// Makes the pending secret work at the target. Must pass `fence` immediately before the
    /// irreversible change, and its last effect must be the one [`verify`](Self::verify) observes.
    async fn apply(
        &self,
        versions: &Versions<'_>,
        fence: &Fence<'_>,
        turn: &Turn,
    ) -> Result<Applied, Error>;

    /// Asks the target about one secret.
    ///
    /// [`Verdict::Rejected`] only when the target itself refused the credential;
    /// [`Verdict::Accepted`] only when it demanded and checked it. Anything else is an error.
    async fn verify(&self, secret: &Secret, turn: &Turn) -> Result<Verdict, Error>;

    /// Revokes what is ours and no longer kept. Called by finishSecret only, after the promotion,
    /// and again when finishSecret is repeated. The default has nothing to revoke.
    async fn retire(&self, _keep: &Keep<'_>, _turn: &Turn) -> Result<(), Error> {
        Ok(())
    }

    /// Finds out whether a real rotation would succeed, changing nothing.
    async fn preflight(&self, current: &Current, turn: &Turn) -> Result<Vec<Finding>, Error>;
}

/// What [`Rotator::propose`] may build on.
pub struct Known<'a> {
    pub(crate) calls: &'a Calls<'a>,
    /// The current secret; proven to be the one DescribeSecret calls current.
    pub current: &'a Current,
    /// The new version's id.
    pub token: &'a VersionId,
    /// The secret's labels and tags.
    pub description: &'a SecretDescription,
}

impl Known<'_> {
    /// What the secret ever held, as [`Keep::stored`]: the token's own version is read again by its
    /// id, and so is found if a stale read or a slow container missed it.
    ///
    /// # Errors
    /// Those of [`Keep::stored`]. Nothing may be revoked then.
    pub async fn stored(&self) -> Result<Vec<Previous>, Error> {
        self.calls.stored_versions(self.description).await
    }

    /// The fence to pass before a change at the target that cannot be taken back. A proposal
    /// should need none; where the target has room for no more, something must go first.
    pub fn fence(&self) -> Fence<'_> {
        Fence { calls: self.calls, token: self.token, current: self.current.version() }
    }
}

/// How a credential fared at its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The target demanded the credential, checked it and let it in.
    Accepted,
    /// The target refused the credential. Carries its reason, never the credential.
    Rejected(String),
}

/// What [`Rotator::apply`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The pending secret was set now; says how.
    Changed(String),
    /// The pending secret worked already, nothing was changed.
    Already(String),
    /// The target refuses this very value, as a password policy does, and nothing was applied: the
    /// credential that worked before still does. A stored value does not change, so no retry would
    /// help; the engine takes AWSPENDING off it and fails with this error, which says what to
    /// change.
    Refused(Error),
}

/// One thing [`Rotator::preflight`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A real rotation would fail with this error.
    Fails(Error),
    /// A real rotation would succeed, but an operator should know this.
    Warns(String),
}

/// The versions [`Rotator::apply`] may use. Current and pending are at hand; older ones are read
/// only when asked for, because a healthy rotation never needs them.
pub struct Versions<'a> {
    pub(crate) calls: &'a Calls<'a>,
    pub(crate) description: &'a SecretDescription,
    pub(crate) current: Current,
    pub(crate) pending: Pending,
}

impl Versions<'_> {
    /// The version applications use.
    pub fn current(&self) -> &Current {
        &self.current
    }

    /// The version to be made to work.
    pub fn pending(&self) -> &Pending {
        &self.pending
    }

    /// The version that was current before, if there is one with a value.
    ///
    /// # Errors
    /// Those of GetSecretValue, but for not found.
    pub async fn previous(&self) -> Result<Option<Previous>, Error> {
        self.calls.previous(self.description).await
    }

    /// The newest versions that carry none of AWS's three labels, newest first: a cancelled
    /// rotation leaves the value it applied there. Looks at no more than 20; one that may not be
    /// read is left out with a warning.
    ///
    /// # Errors
    /// Those of ListSecretVersionIds and GetSecretValue.
    pub async fn others(&self) -> Result<Vec<Previous>, Error> {
        self.calls.others().await
    }
}

/// The check that stands between a rotator and an irreversible change.
///
/// A rotator takes its lock, passes the fence, then changes. A container that was frozen, or that
/// lost a race against a newer rotation, is stopped here.
pub struct Fence<'a> {
    pub(crate) calls: &'a Calls<'a>,
    pub(crate) token: &'a VersionId,
    pub(crate) current: &'a VersionId,
}

impl Fence<'_> {
    /// Asks DescribeSecret again: the token must still carry AWSPENDING, AWSCURRENT must still be
    /// on the version that was read, and [`CHANGE_TIME`](crate::CHANGE_TIME) must be left.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] or [`ErrorKind::OutOfTime`]; nothing may be changed then.
    pub async fn pass(&self) -> Result<(), Error> {
        self.calls.turn().enough_for_a_change()?;
        let description = self.calls.describe().await?;
        if !description.has(self.token, AWSPENDING) {
            return Err(conflict("AWSPENDING was taken from this version meanwhile"));
        }
        if description.holder(crate::store::AWSCURRENT) != Some(self.current) {
            return Err(conflict("AWSCURRENT moved to another version meanwhile"));
        }
        self.calls.turn().enough_for_a_change()
    }
}

fn conflict(what: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("{what}; nothing was changed"))
}

/// What [`Rotator::retire`] must leave alone.
pub struct Keep<'a> {
    pub(crate) calls: &'a Calls<'a>,
    pub(crate) description: SecretDescription,
    pub(crate) promoted: &'a VersionId,
}

impl Keep<'_> {
    /// The secret's labels, as the promotion left them, and its tags.
    pub fn description(&self) -> &SecretDescription {
        &self.description
    }

    /// The version that was just promoted.
    pub fn promoted(&self) -> &VersionId {
        self.promoted
    }

    /// Every labelled version's secret, custom labels included, read by version id. Labels are
    /// those the promotion left: the version before this one is AWSPREVIOUS, the one before that
    /// no longer. A version that waits for its first value is left out.
    ///
    /// # Errors
    /// Those of GetSecretValue, not found included where there must be a value. Nothing may be
    /// revoked then.
    pub async fn labelled(&self) -> Result<Vec<Previous>, Error> {
        self.calls.labelled(&self.description).await
    }

    /// What the secret ever held, as far as it is still known: every labelled version, and the
    /// newest others. Of the latter, looks at no more than 20; one that may not be read is left
    /// out with a warning.
    ///
    /// # Errors
    /// Those of [`labelled`](Self::labelled) and of ListSecretVersionIds. Nothing may be revoked
    /// then.
    pub async fn stored(&self) -> Result<Vec<Previous>, Error> {
        self.calls.stored_versions(&self.description).await
    }
}
