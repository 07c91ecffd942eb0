//! RotateSecret and CancelRotateSecret, and what the service itself does when a rotation ends.

use fourstep::store::{AWSCURRENT, AWSPENDING, Select, StoreError, StoreErrorCode};
use fourstep::{SecretId, SecretValue, VersionId};

use super::record::Record;
use super::{Call, MemoryStore, NewRotation, PendingLabel, StartedRotation, Written, errors};

impl MemoryStore {
    /// RotateSecret: configures rotation and begins one. The steps are the caller's to play; then
    /// [`finish_rotation`](Self::finish_rotation) or [`end_test`](Self::end_test).
    ///
    /// The new version has no value yet: DescribeSecret shows it, GetSecretValue does not find it.
    /// With `immediately` false it holds a copy of AWSCURRENT's value instead.
    ///
    /// # Errors
    /// NotFound; InvalidRequest if no function was ever named, if the token is used already, or
    /// while AWSPENDING is on a version other than AWSCURRENT's; AccessDenied if the function is
    /// not invokable. Nothing changes then.
    pub fn rotate(
        &self,
        secret: &SecretId,
        new: &NewRotation,
    ) -> Result<StartedRotation, StoreError> {
        let call = Call::of("RotateSecret", secret).on(Some(&new.token), Some(AWSPENDING));
        self.served(call, |_| {
            // Asked before the state is locked, so that this hook too may use the store.
            let stored = self.state().read(secret, 0)?.function()?;
            let function = new.lambda_arn.clone().or(stored).ok_or_else(errors::no_function)?;
            if !self.invokable(&function) {
                return Err(errors::not_invokable());
            }
            self.state().write(secret, |record, clock| {
                record.alive()?;
                refuse_second_rotation(record)?;
                refuse_used_token(record, &new.token)?;
                let value = if new.immediately { None } else { Some(current_value(record)?) };
                record.add(&new.token, value, clock);
                if let Some(version) = record.versions.get_mut(&new.token) {
                    version.temporary = !new.immediately;
                }
                record.attach(AWSPENDING, &new.token);
                record.set_rotation(&function, new.rules.clone(), clock.tick());
                Ok(StartedRotation {
                    arn: record.detail.arn.clone(),
                    name: record.detail.name.clone(),
                    version: new.token.clone(),
                    lambda_arn: function,
                    test_only: !new.immediately,
                })
            })
        })
    }

    /// CancelRotateSecret: turns rotation off and names the half-made version, if there is one.
    /// Every label stays where it is; removing AWSPENDING is left to the caller, as at AWS.
    ///
    /// # Errors
    /// NotFound; InvalidRequest if rotation was never configured.
    pub fn cancel_rotation(&self, secret: &SecretId) -> Result<Written, StoreError> {
        self.write(Call::of("CancelRotateSecret", secret), secret, |record, clock| {
            record.alive()?;
            if record.detail.rotation_lambda_arn.is_none() {
                return Err(errors::no_function());
            }
            record.detail.rotation_enabled = Some(false);
            record.detail.last_changed = Some(clock.tick());
            let current = record.holder(AWSCURRENT);
            let pending = record.holder(AWSPENDING).filter(|&on| Some(on) != current).cloned();
            Ok(Written::about(record, pending))
        })
    }

    /// What the service does once finishSecret succeeded: it notes the time of the rotation and
    /// removes AWSPENDING from the new current version, or leaves it there. No API call, so
    /// faults do not apply.
    ///
    /// # Errors
    /// NotFound; InvalidRequest if `token` is not AWSCURRENT.
    pub fn finish_rotation(
        &self,
        secret: &SecretId,
        token: &VersionId,
        pending: PendingLabel,
    ) -> Result<(), StoreError> {
        self.state().write(secret, |record, clock| {
            if record.holder(AWSCURRENT) != Some(token) {
                return Err(errors::not_finished(token));
            }
            if pending == PendingLabel::Removed && record.holder(AWSPENDING) == Some(token) {
                record.detach(AWSPENDING);
            }
            let now = clock.tick();
            record.detail.last_rotated = Some(now);
            record.detail.last_changed = Some(now);
            Ok(())
        })
    }

    /// What the service does after the testSecret of a rotation that was not to begin at once: it
    /// removes the temporary version, label and all. Any other version is left alone. No API call,
    /// so faults do not apply.
    ///
    /// # Errors
    /// NotFound.
    pub fn end_test(&self, secret: &SecretId, token: &VersionId) -> Result<(), StoreError> {
        self.state().write(secret, |record, _| {
            let temporary = record.versions.get(token).is_some_and(|version| version.temporary);
            if temporary && record.holder(AWSCURRENT) != Some(token) {
                record.versions.remove(token);
                record.labels.retain(|_, on| on != token);
            }
            Ok(())
        })
    }
}

/// AWSPENDING on the current version, or nowhere, is how a rotation ends; anywhere else, one is
/// under way or stuck.
fn refuse_second_rotation(record: &Record) -> Result<(), StoreError> {
    match record.holder(AWSPENDING) {
        Some(pending) if record.holder(AWSCURRENT) != Some(pending) => {
            Err(errors::rotation_under_way())
        }
        _ => Ok(()),
    }
}

/// AWS documents no answer to a token that is used already; this is PutSecretValue's.
fn refuse_used_token(record: &Record, token: &VersionId) -> Result<(), StoreError> {
    match record.versions.get(token) {
        Some(version) if version.value.is_some() => Err(StoreError::new(
            StoreErrorCode::InvalidRequest,
            errors::token_in_use(token, &record.detail.arn),
        )),
        _ => Ok(()),
    }
}

fn current_value(record: &Record) -> Result<SecretValue, StoreError> {
    let current = record.holder(AWSCURRENT).and_then(|id| record.versions.get(id));
    let value = current.and_then(|version| version.value.clone());
    value.ok_or_else(|| errors::no_value(Select::Label(AWSCURRENT)))
}
