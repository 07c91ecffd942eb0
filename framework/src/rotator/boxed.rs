//! A rotator behind a pointer is a rotator: what a function rotates may be known at start only.

use async_trait::async_trait;

use super::{
    Applied, CreateContext, Fence, Finding, InspectContext, PromoteContext, RetireContext, Rotator,
    SecretReader, SetContext, Verdict,
};
use crate::error::Error;
use crate::invocation::Invocation;
use crate::secret::Secret;

#[async_trait]
impl<R: Rotator + ?Sized> Rotator for Box<R> {
    fn check(&self, versions: &SetContext<'_>) -> Result<(), Error> {
        R::check(self, versions)
    }

    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret, Error> {
        R::propose(self, known, cx).await
    }

    async fn discard(
        &self,
        proposed: &Secret,
        known: &CreateContext<'_>,
        cx: &Invocation,
    ) -> Result<(), Error> {
        R::discard(self, proposed, known, cx).await
    }

    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Applied, Error> {
        R::apply(self, versions, fence, cx).await
    }

    fn untried(&self) -> Option<&'static str> {
        R::untried(self)
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict, Error> {
        R::verify(self, secret, cx).await
    }

    async fn verify_everywhere(
        &self,
        secret: &Secret,
        secrets: &SecretReader<'_>,
        cx: &Invocation,
    ) -> Result<Verdict, Error> {
        R::verify_everywhere(self, secret, secrets, cx).await
    }

    async fn compare(&self, versions: &SetContext<'_>, cx: &Invocation) -> Result<(), Error> {
        R::compare(self, versions, cx).await
    }

    async fn confirm(&self, versions: &PromoteContext<'_>, cx: &Invocation) -> Result<(), Error> {
        R::confirm(self, versions, cx).await
    }

    async fn retire(&self, keep: &RetireContext<'_>, cx: &Invocation) -> Result<(), Error> {
        R::retire(self, keep, cx).await
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>, Error> {
        R::preflight(self, subject, cx).await
    }

    async fn plan(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<String>, Error> {
        R::plan(self, subject, cx).await
    }
}
