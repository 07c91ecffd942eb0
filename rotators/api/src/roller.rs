//! A vendor that makes a value anew in its place, as its specification says.

use std::time::Duration;

use async_trait::async_trait;
use fourstep::vendor::{Caller, Roller};
use fourstep::{Error, ErrorKind, Invocation, Result, Secret, SecretId, Verdict};

use crate::admin::Admin;
use crate::answer::Reading;
use crate::client::{Client, values};
use crate::spec::{Describe, Parts, Roll, Values};
use crate::verify::{negative_control, unheeded, verify};

/// A vendor that makes a value anew.
pub(crate) struct ApiRoller {
    pub(crate) client: Client,
    pub(crate) roll: Roll,
    pub(crate) describe: Describe,
    /// The names in `slots`.
    pub(crate) slots: Vec<String>,
    pub(crate) fields: Vec<String>,
    pub(crate) admin: Admin,
}

impl ApiRoller {
    /// Where the value of a slot stands in the answer to `[describe]`.
    fn pointer(&self, slot: &str) -> Result<&str> {
        let pointer = self.roll.slots.get(slot).or(self.describe.key.as_ref());
        pointer.map(String::as_str).ok_or_else(|| self.no_slot(slot))
    }

    fn no_slot(&self, slot: &str) -> Error {
        let field = &self.client.document.secret.id;
        let what = format!("the secret's field {field:?} is {slot:?}, which is no slot");
        let slots = self.slots.join(" and ");
        Error::new(ErrorKind::Malformed, what).caused_by(format!("the slots are {slots}"))
    }
}

#[async_trait]
impl Roller for ApiRoller {
    fn fields(&self) -> &[String] {
        &self.fields
    }

    fn admin(&self, secret: &Secret) -> Result<Option<SecretId>> {
        self.admin.of(secret)
    }

    fn propagation(&self) -> Duration {
        Duration::from_secs(self.client.document.terms.propagation_seconds)
    }

    fn slots(&self) -> &[String] {
        &self.slots
    }

    fn slot(&self, secret: &Secret) -> Result<String> {
        if self.slots.is_empty() {
            return Ok(String::new());
        }
        let slot = self.client.id(secret)?;
        match self.slots.contains(&slot) {
            true => Ok(slot),
            false => Err(self.no_slot(&slot)),
        }
    }

    fn slot_field(&self) -> Option<&str> {
        (!self.slots.is_empty()).then_some(&self.client.document.secret.id)
    }

    async fn shown(
        &self,
        base: &Secret,
        slot: &str,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<Secret> {
        let placed = Values { id: Some(slot), ..values(caller.own, caller.admin) };
        let answer = self.client.call("describe", &self.describe.parts(), &[], &placed, cx).await?;
        let shown = || -> Result<Secret> {
            let (shape, reading) = (&self.client.document.secret, Reading::of(&answer)?);
            let value = reading.text(self.pointer(slot)?)?;
            if shape.plain_text {
                return Ok(Secret::decode(&value.to_owned().into()));
            }
            let next = base.document()?.with(&shape.key, value);
            Ok(match self.slots.is_empty() {
                true => next.into(),
                false => next.with(&shape.id, slot).into(),
            })
        };
        shown().map_err(|error| error.while_doing("describe"))
    }

    async fn roll(&self, slot: &str, caller: &Caller<'_>, cx: &Invocation) -> Result<()> {
        let placed = Values { id: Some(slot), ..values(caller.own, caller.admin) };
        let parts = Parts { fenced: true, ..self.roll.parts() };
        self.client.call("roll", &parts, &[], &placed, cx).await.map(drop)
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict> {
        verify(&self.client, secret, cx).await
    }

    async fn negative_control(&self, secret: &Secret, cx: &Invocation) -> Result<Option<Verdict>> {
        negative_control(&self.client, secret, cx).await
    }

    async fn unheeded(&self, secret: &Secret, cx: &Invocation) -> Option<String> {
        unheeded(&self.client, secret, cx).await
    }
}
