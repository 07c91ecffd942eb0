//! A rotator behind a pointer is a rotator: what a function rotates may be known at start only.

use async_trait::async_trait;

use super::{Applied, Fence, Finding, Keep, Known, Rotator, Subject, Verdict, Versions};
use crate::error::Error;
use crate::secret::Secret;
use crate::turn::Turn;

#[async_trait]
impl<R: Rotator + ?Sized> Rotator for Box<R> {
    fn check(&self, versions: &Versions<'_>) -> Result<(), Error> {
        R::check(self, versions)
    }

    async fn propose(&self, known: &Known<'_>, turn: &Turn) -> Result<Secret, Error> {
        R::propose(self, known, turn).await
    }

    async fn discard(
        &self,
        proposed: &Secret,
        known: &Known<'_>,
        turn: &Turn,
    ) -> Result<(), Error> {
        R::discard(self, proposed, known, turn).await
    }

    async fn apply(
        &self,
        versions: &Versions<'_>,
        fence: &dyn Fence,
        turn: &Turn,
    ) -> Result<Applied, Error> {
        R::apply(self, versions, fence, turn).await
    }

    async fn verify(&self, secret: &Secret, turn: &Turn) -> Result<Verdict, Error> {
        R::verify(self, secret, turn).await
    }

    async fn compare(&self, versions: &Versions<'_>, turn: &Turn) -> Result<(), Error> {
        R::compare(self, versions, turn).await
    }

    async fn retire(&self, keep: &Keep<'_>, turn: &Turn) -> Result<(), Error> {
        R::retire(self, keep, turn).await
    }

    async fn preflight(&self, subject: &Subject<'_>, turn: &Turn) -> Result<Vec<Finding>, Error> {
        R::preflight(self, subject, turn).await
    }

    async fn plan(&self, subject: &Subject<'_>, turn: &Turn) -> Result<Vec<String>, Error> {
        R::plan(self, subject, turn).await
    }
}
