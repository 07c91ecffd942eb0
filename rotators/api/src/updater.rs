//! A vendor that takes a value, as its specification says.

use std::time::Duration;

use async_trait::async_trait;
use fourstep::vendor::{Caller, Updater};
use fourstep::{
    Error, ErrorKind, ExposeSecret, Invocation, PasswordPolicy, Secret, SecretId, Verdict, vendor,
};

use crate::admin::Admin;
use crate::client::{Client, Sent, values};
use crate::spec::{Caller as By, Parts, Update, Values};
use crate::verify::{negative_control, verify};

/// A vendor that takes a value.
pub(crate) struct ApiUpdater {
    pub(crate) client: Client,
    pub(crate) update: Update,
    /// Whether the request shows the value that it replaces, and nothing else that may let it in.
    pub(crate) compares: bool,
    pub(crate) fields: Vec<String>,
    pub(crate) policy: PasswordPolicy,
    pub(crate) admin: Admin,
}

#[async_trait]
impl Updater for ApiUpdater {
    fn admin(&self, secret: &Secret) -> Result<Option<SecretId>, Error> {
        self.admin.of(secret)
    }

    fn fields(&self) -> &[String] {
        &self.fields
    }

    fn propagation(&self) -> Duration {
        Duration::from_secs(self.client.document.terms.propagation_seconds)
    }

    fn attempts(&self) -> usize {
        self.client.document.terms.attempts
    }

    fn compares(&self) -> bool {
        self.compares
    }

    fn propose(&self, base: &Secret) -> Result<Secret, Error> {
        let shape = &self.client.document.secret;
        let value = self.policy.generate()?;
        if shape.plain_text {
            if base.document().is_ok() {
                let what = "the secret is a JSON object, and the specification says plain text";
                return Err(Error::new(ErrorKind::Malformed, what));
            }
            return Ok(Secret::decode(&value));
        }
        let document = base.document()?;
        document.required(&shape.key)?;
        Ok(document.with(&shape.key, value.expose_secret()).into())
    }

    async fn update(
        &self,
        using: &Secret,
        to: &Secret,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<vendor::Update, Error> {
        let (stale, refused) = (self.update.stale(), &self.update.refused);
        let placed = Values { new: Some(to), ..values(using, caller.admin) };
        let parts = Parts { fenced: true, ..self.update.parts() };
        let others: Vec<u16> = stale.iter().chain(refused).copied().collect();
        let answer = match self.client.send("update", &parts, &placed, cx).await? {
            // The token endpoint refused the old value: nothing was asked for with it. Where it
            // refused the admin, that says nothing about the value.
            Sent::Refused if self.update.by == By::Credential => return Ok(vendor::Update::Stale),
            sent => self.client.expected("update", sent, &parts, &others)?,
        };
        if stale.contains(&answer.status) {
            return Ok(vendor::Update::Stale);
        }
        if refused.contains(&answer.status) {
            let what = format!("the vendor refuses the new value, with status {}", answer.status);
            let error = Error::new(ErrorKind::Unsupported, what);
            return Ok(vendor::Update::Refused(
                error.caused_by("see PASSWORD_LENGTH, EXCLUDE_CHARACTERS and the like"),
            ));
        }
        Ok(vendor::Update::Made)
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict, Error> {
        verify(&self.client, secret, cx).await
    }

    async fn negative_control(
        &self,
        secret: &Secret,
        cx: &Invocation,
    ) -> Result<Option<Verdict>, Error> {
        negative_control(&self.client, secret, cx).await
    }
}
