//! The verbs an author supplies. The engine decides when each is called.

mod boxed;
mod context;
mod fence;
mod reader;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::secret::Secret;
use crate::store::SecretDescription;

pub(crate) use context::Recorded;
pub use context::{CreateContext, InspectContext, PromoteContext, RetireContext, SetContext};
pub use fence::Fence;
pub use reader::SecretReader;

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
    /// [`ErrorKind::Mismatch`](crate::ErrorKind::Mismatch), or
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) naming a field.
    fn check(&self, versions: &SetContext<'_>) -> Result<()>;

    /// How this secret is rotated: the strategy's name, and which credentials live beside each other.
    /// An inspection says it, so that whoever mends a stuck rotation need not guess. The default says
    /// nothing.
    fn form(
        &self,
        _secret: &Secret,
        _description: &SecretDescription,
    ) -> Option<(&'static str, Form)> {
        None
    }

    /// Makes the next secret. What it returns is stored before anything else happens.
    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret>;

    /// Gives up what this invocation proposed: another run's value is stored under the token, so
    /// this one never will be. Whoever mints at the target revokes it there. The default has
    /// nothing to give up.
    ///
    /// # Errors
    /// Whatever stopped it; the step goes on with a warning, since the stored value is good.
    async fn discard(
        &self,
        _proposed: &Secret,
        _known: &CreateContext<'_>,
        _turn: &Invocation,
    ) -> Result<()> {
        Ok(())
    }

    /// Makes the pending secret work at the target. Must pass `fence` immediately before the
    /// irreversible change, and its last effect must be the one [`verify`](Self::verify) observes.
    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Applied>;

    /// Asks the target about one secret.
    ///
    /// [`Verdict::Rejected`] only when the target itself refused the credential;
    /// [`Verdict::Accepted`] only when it demanded and checked it. Anything else is an error.
    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict>;

    /// As [`verify`](Self::verify), at every place where the credential must work, which `secrets` may be
    /// needed to find. [`Verdict::Rejected`] where one of them refuses it. The default asks at one.
    ///
    /// # Errors
    /// A place that could not be found or asked.
    async fn verify_everywhere(
        &self,
        secret: &Secret,
        _secrets: &SecretReader<'_>,
        cx: &Invocation,
    ) -> Result<Verdict> {
        self.verify(secret, cx).await
    }

    /// Compares what the pending secret may do with what the current one may, where the target has
    /// such a thing. Called by testSecret only, once the target accepted it. The current
    /// version may be stale here. The default has nothing to compare.
    ///
    /// # Errors
    /// What they differ in; the pending secret is not promoted then.
    async fn compare(&self, _versions: &SetContext<'_>, _turn: &Invocation) -> Result<()> {
        Ok(())
    }

    /// Asks the last time before AWSCURRENT moves: testSecret may be long ago, and what is promoted
    /// cannot be taken back. Makes the pending secret work, behind its fence, at a place that came since
    /// then. Called by finishSecret only. The default has nothing to ask.
    ///
    /// # Errors
    /// What speaks against the pending secret; AWSCURRENT stays where it is then.
    async fn confirm(&self, _versions: &PromoteContext<'_>, _turn: &Invocation) -> Result<()> {
        Ok(())
    }

    /// Revokes what is ours and no longer kept. Called by finishSecret only, after the promotion,
    /// and again when finishSecret is repeated. The default has nothing to revoke.
    async fn retire(&self, _keep: &RetireContext<'_>, _turn: &Invocation) -> Result<()> {
        Ok(())
    }

    /// Finds out whether a real rotation would succeed, changing nothing. Lists everything that is
    /// wrong, not only the first.
    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>>;

    /// What [`preflight`](Self::preflight) cannot try without changing something, to be said beside its
    /// answer: "making a key". The default tries all that can fail.
    fn untried(&self) -> Option<&'static str> {
        None
    }

    /// What an operator would have to do or a rotation would do at the target, as lines to read or
    /// to run, changing nothing and showing no secret value. The default has nothing to say.
    async fn plan(&self, _subject: &InspectContext<'_>, _turn: &Invocation) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// Which credentials of a secret live beside each other: the columns of the table in docs/operate.md, "A
/// stuck rotation".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One password at a time: the old one dies in setSecret.
    OnePassword,
    /// Two users take turns.
    TwoUsers,
    /// The new password of a user works beside the old one.
    TwoPasswords,
    /// Keys that are issued and revoked one by one.
    Keys,
}

impl Form {
    /// As an inspection names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::OnePassword => "one password",
            Self::TwoUsers => "two users",
            Self::TwoPasswords => "two passwords",
            Self::Keys => "keys",
        }
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

impl Finding {
    /// Whether a real rotation would fail.
    pub(crate) fn fails(&self) -> bool {
        matches!(self, Self::Fails(_))
    }

    /// What a rehearsal met. A conflict with another session passes.
    pub(crate) fn of_rehearsal(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Conflict => Self::Warns(error.to_string()),
            _ => Self::Fails(error),
        }
    }
}
