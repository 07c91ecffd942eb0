//! Rotations that no RotateSecret begins: those whose time has come, and those that did not come to an end.

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::SystemTime;

use fourstep::store::{AWSCURRENT, AWSPENDING, StoreError, StoreErrorCode};
use fourstep::{SecretId, VersionId};

use super::{Server, Shared};
use crate::{NewRotation, SecretDetail, StartedRotation};

/// A rotation that is being played, or the test of one: the secret's ARN and the version.
pub(super) type Playing = (String, VersionId);

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
        let mut all = Vec::new();
        // Before the secrets are read: one whose rotation ends in between looks as it did before it.
        let playing = self.shared.playing().clone();
        let mut begun = self.shared.begun.lock().unwrap_or_else(PoisonError::into_inner);
        for secret in self.shared.store.secrets(false).unwrap_or_default() {
            let last = begun.get(&secret.arn).copied();
            let is_played = playing.iter().any(|(arn, ..)| *arn == secret.arn);
            if !is_played && pending(&secret).is_none() && is_due(&secret, last, now) {
                begun.insert(secret.arn.clone(), now);
                all.push((secret.name, self.shared.begin(&secret.arn)));
            }
        }
        all
    }
}

/// Whether a window has opened, since a schedule `last` began a rotation of the secret: one that left no
/// trace, because the target refused what was proposed, is begun again in the next window.
fn is_due(secret: &SecretDetail, last: Option<SystemTime>, now: SystemTime) -> bool {
    let opens = |at| Some(secret.rotation_rules.as_ref()?.next_window(at)?.opens);
    let Some(window) = secret.next_window() else { return false };
    window.opens.max(last.and_then(opens).unwrap_or(window.opens)) <= now
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
        let key = (rotation.arn.clone(), rotation.version.clone());
        if !self.playing().insert(key.clone()) {
            return;
        }
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let played = Played { shared: Arc::clone(&shared), key };
            on_rotate.rotation_started(&shared.store, rotation).await;
            drop(played);
            // Where it is not kept, the next request is told so.
            let _ = shared.kept().await;
        });
    }

    fn playing(&self) -> MutexGuard<'_, BTreeSet<Playing>> {
        self.playing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a rotation from those that are played, however that ended.
struct Played {
    shared: Arc<Shared>,
    key: Playing,
}

impl Drop for Played {
    fn drop(&mut self) {
        self.shared.playing().remove(&self.key);
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
