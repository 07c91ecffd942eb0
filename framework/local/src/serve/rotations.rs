//! Rotations that no RotateSecret begins: those whose time has come, and those that did not come to an end.

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::SystemTime;

use fourstep::store::{AWSCURRENT, AWSPENDING, StoreError, StoreErrorCode};
use fourstep::{SecretId, VersionId};

use super::{Server, Shared};
use crate::{NewRotation, SecretDetail, StartedRotation};

/// A rotation that is being played: the secret's ARN, the version, and whether it only tests.
pub(super) type Playing = (String, VersionId, bool);

impl Server {
    /// Has every rotation played again that is on and did not come to an end: after a start anew. How many
    /// there are.
    pub fn resume(&self) -> usize {
        let all = self.shared.store.secrets(false).unwrap_or_default();
        let unfinished: Vec<_> = all.iter().filter_map(unfinished).collect();
        let count = unfinished.len();
        for rotation in unfinished {
            self.shared.play(rotation);
        }
        count
    }

    /// Begins every rotation whose window has opened by now, also where it has closed since. One that is not
    /// at its end is in the way of the next. Which secrets they are, and why one does not begin.
    pub fn begin_due(&self, now: SystemTime) -> Vec<(String, Result<VersionId, StoreError>)> {
        let mut begun = Vec::new();
        for secret in self.shared.store.secrets(false).unwrap_or_default() {
            let due = secret.next_window().is_some_and(|window| window.opens <= now);
            if due && pending(&secret).is_none() {
                begun.push((secret.name, self.shared.begin(&secret.arn)));
            }
        }
        begun
    }
}

impl Shared {
    fn begin(self: &Arc<Self>, arn: &str) -> Result<VersionId, StoreError> {
        let token = VersionId::from_store(uuid::Uuid::new_v4().to_string());
        let new = NewRotation { token, lambda_arn: None, rules: None, immediately: true };
        let secret = SecretId::parse(arn)
            .map_err(|error| StoreError::new(StoreErrorCode::Internal, error.to_string()))?;
        let rotation = self.store.rotate(&secret, &new)?;
        self.play(rotation);
        Ok(new.token)
    }

    /// As the service does where RotateSecret is refused because of a rotation that is not at its end.
    pub(super) fn retry(self: &Arc<Self>, secret: &SecretId) {
        let found = self.store.describe(secret).ok();
        if let Some(rotation) = found.as_ref().and_then(unfinished) {
            self.play(rotation);
        }
    }

    /// Has a rotation played in a task of its own, if somebody plays them and nobody plays this one.
    pub(super) fn play(self: &Arc<Self>, rotation: StartedRotation) {
        let Some(on_rotate) = self.settings.on_rotate.clone() else { return };
        let key = (rotation.arn.clone(), rotation.version.clone(), rotation.test_only);
        if !self.playing().insert(key.clone()) {
            return;
        }
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            on_rotate.rotation_started(&shared.store, rotation).await;
            shared.playing().remove(&key);
            // Where it is not kept, the next request is told so.
            let _ = shared.kept().await;
        });
    }

    fn playing(&self) -> MutexGuard<'_, BTreeSet<Playing>> {
        self.playing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The version of a rotation that is not at its end.
fn pending(secret: &SecretDetail) -> Option<&VersionId> {
    let has = |labels: &[String], label| labels.iter().any(|on| on == label);
    let mut all = secret.labels.iter();
    let found = all.find(|(_, on)| has(on, AWSPENDING) && !has(on, AWSCURRENT));
    found.map(|(version, _)| version)
}

fn unfinished(secret: &SecretDetail) -> Option<StartedRotation> {
    if secret.rotation_enabled != Some(true) || secret.deleted.is_some() {
        return None;
    }
    Some(StartedRotation {
        arn: secret.arn.clone(),
        name: secret.name.clone(),
        version: pending(secret)?.clone(),
        lambda_arn: secret.rotation_lambda_arn.clone()?,
        // One that only tests is gone with its process.
        test_only: false,
    })
}
