//! A vendor that makes a credential anew in its place.

use std::time::Duration;

use async_trait::async_trait;

use super::Caller;
use crate::error::Result;
use crate::ids::SecretId;
use crate::invocation::Invocation;
use crate::rotator::Verdict;
use crate::secret::Secret;

/// A vendor that makes a new value in the place of an old one, and shows what stands there.
///
/// The value in use must work on meanwhile: in the other one of two slots, or for a time that is
/// longer than a rotation with its repetitions. Where the old value dies at once this is not the way:
/// an answer that is lost would leave nobody a value that works.
#[async_trait]
pub trait Roller: Send + Sync {
    /// The fields of the secret that a rotation changes; none where the secret is a plain text.
    fn fields(&self) -> &[String];

    /// The secret of whoever may make and see values, where the credential itself may not.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed), naming the field.
    fn admin(&self, _secret: &Secret) -> Result<Option<SecretId>> {
        Ok(None)
    }

    /// How long the vendor may take until a new value is shown and works everywhere.
    fn propagation(&self) -> Duration {
        Duration::ZERO
    }

    /// The vendor's names for its two slots; none where there is one value, and one that is replaced
    /// works on for a time, also when another one is made within it.
    fn slots(&self) -> &[String];

    /// The slot that a secret's value is in. Not a secret: it stands in errors. Empty where there
    /// are no slots.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed), naming the field, also for a slot that
    /// the vendor does not have.
    fn slot(&self, secret: &Secret) -> Result<String>;

    /// The field of the secret that holds the slot, for messages.
    fn slot_field(&self) -> Option<&str> {
        None
    }

    /// What stands in a slot now: `base` changed to hold it.
    async fn shown(
        &self,
        base: &Secret,
        slot: &str,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<Secret>;

    /// Makes a new value in a slot. It is sent once, right behind the fence.
    async fn roll(&self, slot: &str, caller: &Caller<'_>, cx: &Invocation) -> Result<()>;

    /// Asks once whether a secret works; see [`Rotator::verify`](crate::Rotator::verify).
    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict>;

    /// As [`Issuer::unheeded`](super::Issuer::unheeded).
    async fn unheeded(&self, _secret: &Secret, _turn: &Invocation) -> Option<String> {
        None
    }

    /// As [`Issuer::negative_control`](super::Issuer::negative_control).
    async fn negative_control(
        &self,
        _secret: &Secret,
        _turn: &Invocation,
    ) -> Result<Option<Verdict>> {
        Ok(None)
    }
}
