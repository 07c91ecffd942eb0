//! A rotator behind a pointer is a rotator: what a function rotates may be known at start only.

use async_trait::async_trait;

use super::{
    Applied, CreateContext, Fence, Finding, Form, InspectContext, PromoteContext, RetireContext,
    Rotator, SecretReader, SetContext, Verdict,
};
use crate::error::Result;
use crate::invocation::Invocation;
use crate::secret::Secret;
use crate::store::SecretDescription;

#[async_trait]
impl<R: Rotator + ?Sized> Rotator for Box<R> {
    fn check(&self, versions: &SetContext<'_>) -> Result<()> {
        R::check(self, versions)
    }

    fn form(
        &self,
        secret: &Secret,
        description: &SecretDescription,
    ) -> Option<(&'static str, Form)> {
        R::form(self, secret, description)
    }

    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret> {
        R::propose(self, known, cx).await
    }

    async fn discard(
        &self,
        proposed: &Secret,
        known: &CreateContext<'_>,
        cx: &Invocation,
    ) -> Result<()> {
        R::discard(self, proposed, known, cx).await
    }

    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Applied> {
        R::apply(self, versions, fence, cx).await
    }

    fn untried(&self) -> Option<&'static str> {
        R::untried(self)
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict> {
        R::verify(self, secret, cx).await
    }

    async fn verify_everywhere(
        &self,
        secret: &Secret,
        secrets: &SecretReader<'_>,
        cx: &Invocation,
    ) -> Result<Verdict> {
        R::verify_everywhere(self, secret, secrets, cx).await
    }

    async fn compare(&self, versions: &SetContext<'_>, cx: &Invocation) -> Result<()> {
        R::compare(self, versions, cx).await
    }

    async fn confirm(&self, versions: &PromoteContext<'_>, cx: &Invocation) -> Result<()> {
        R::confirm(self, versions, cx).await
    }

    async fn retire(&self, keep: &RetireContext<'_>, cx: &Invocation) -> Result<()> {
        R::retire(self, keep, cx).await
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>> {
        R::preflight(self, subject, cx).await
    }

    async fn plan(&self, subject: &InspectContext<'_>, cx: &Invocation) -> Result<Vec<String>> {
        R::plan(self, subject, cx).await
    }
}
