//! The operations on versions: read, put, move a label, list.

use fourstep::store::{AWSCURRENT, AWSPENDING, Select, StoreError, StoreErrorCode};
use fourstep::{RotationToken, SecretId, VersionId};

use super::record::{Clock, Record};
use super::{Call, ListedVersions, MemoryStore, NewValue, ReadValue, Written, errors};

/// The longest value Secrets Manager stores, in bytes.
const LONGEST_VALUE: usize = 65_536;

/// AWS's limit of labels on one version.
const MOST_LABELS: usize = 20;

impl MemoryStore {
    /// GetSecretValue.
    ///
    /// # Errors
    /// NotFound if the secret, version or label does not exist or has no value yet; InvalidRequest
    /// if the version exists without the label asked for, or the secret waits for its deletion.
    pub fn get(&self, secret: &SecretId, select: Select<'_>) -> Result<ReadValue, StoreError> {
        self.get_in(secret, select, None)
    }

    /// As [`get`](Self::get), of the copy in a Region.
    pub(crate) fn get_in(
        &self,
        secret: &SecretId,
        select: Select<'_>,
        copy: Option<&str>,
    ) -> Result<ReadValue, StoreError> {
        let (version, label) = match select {
            Select::Label(label) => (None, Some(label)),
            Select::Version(version) => (Some(version), None),
            Select::VersionWithLabel(version, label) => (Some(version), Some(label)),
        };
        let call = Call::of("GetSecretValue", secret).on(version, label);
        self.served(call, |stale| {
            let mut state = self.state();
            let read = value_of(state.read(secret, stale)?, select)?;
            state.accessed(secret, &read.version, copy);
            Ok(read)
        })
    }

    /// PutSecretValue. A version's value is written once: the same value again succeeds without
    /// effect, and the empty version that RotateSecret made may be filled once.
    ///
    /// With labels, moves exactly these, and AWSPREVIOUS when AWSCURRENT moves. Without, the
    /// version becomes AWSCURRENT and AWSPENDING is taken off whichever version holds it: AWS
    /// abandons a rotation that is under way.
    ///
    /// # Errors
    /// NotFound; AlreadyExists if the token holds another value; InvalidParameter if the value is
    /// not 1 to 65,536 bytes long; InvalidRequest if the secret waits for its deletion.
    pub fn put(&self, secret: &SecretId, new: NewValue) -> Result<Written, StoreError> {
        let (token, label) = (new.token.clone(), new.labels.first().cloned());
        let call = Call::of("PutSecretValue", secret).on(Some(&token), label.as_deref());
        self.write(call, secret, |record, clock| put(record, clock, new))
    }

    /// UpdateSecretVersionStage: moves `label` to a version, or takes it off one.
    ///
    /// # Errors
    /// NotFound if the secret or the version moved to does not exist; InvalidParameter if another
    /// version holds the label and `from` does not name it, or if AWSCURRENT would be left
    /// nowhere; LimitExceeded beyond 20 labels on a version.
    pub fn update_stage(
        &self,
        secret: &SecretId,
        label: &str,
        to: Option<&VersionId>,
        from: Option<&VersionId>,
    ) -> Result<Written, StoreError> {
        let call = Call::of("UpdateSecretVersionStage", secret).on(to, Some(label));
        self.write(call, secret, |record, clock| {
            record.alive()?;
            check_holder(record, label, to, from)?;
            match to {
                None if label == AWSCURRENT => return Err(errors::current_stays()),
                None => record.detach(label),
                Some(to) if !record.versions.contains_key(to) => {
                    return Err(errors::no_value(Select::Version(to)));
                }
                Some(to) => record.attach(label, to),
            }
            if to.is_some_and(|to| record.labels_of(to).len() > MOST_LABELS) {
                return Err(errors::too_many_labels());
            }
            record.detail.last_changed = Some(clock.tick());
            Ok(Written::about(record, None))
        })
    }

    /// ListSecretVersionIds, in one page, sorted by version id. Deprecated versions are those
    /// without a label.
    ///
    /// # Errors
    /// NotFound.
    pub fn list(
        &self,
        secret: &SecretId,
        include_deprecated: bool,
    ) -> Result<ListedVersions, StoreError> {
        self.read(Call::of("ListSecretVersionIds", secret), secret, |record| {
            Ok(ListedVersions {
                arn: record.detail.arn.clone(),
                name: record.detail.name.clone(),
                versions: record.summaries(include_deprecated),
                accessed: record
                    .versions
                    .iter()
                    .filter_map(|(id, version)| Some((id.clone(), version.accessed?)))
                    .collect(),
            })
        })
    }

    /// The RotationToken with which a version's value was put, for tests that it is forwarded.
    /// `None` if there was none, or no such version. No API call, so faults do not apply.
    pub fn forwarded_token(&self, secret: &SecretId, version: &VersionId) -> Option<RotationToken> {
        let state = self.state();
        state.read(secret, 0).ok()?.versions.get(version)?.rotation_token.clone()
    }
}

fn value_of(record: &Record, select: Select<'_>) -> Result<ReadValue, StoreError> {
    record.alive()?;
    let id = selected(record, select)?;
    let version = record.versions.get(id).ok_or_else(|| errors::no_value(select))?;
    Ok(ReadValue {
        arn: record.detail.arn.clone(),
        name: record.detail.name.clone(),
        version: id.clone(),
        value: version.value.clone().ok_or_else(|| errors::no_value(select))?,
        labels: record.labels_of(id),
        created: version.created,
    })
}

fn selected<'a>(record: &'a Record, select: Select<'a>) -> Result<&'a VersionId, StoreError> {
    match select {
        Select::Label(label) => record.holder(label).ok_or_else(|| errors::no_value(select)),
        Select::Version(version) => Ok(version),
        Select::VersionWithLabel(version, _) if !record.versions.contains_key(version) => {
            Err(errors::no_value(Select::Version(version)))
        }
        Select::VersionWithLabel(version, label) if record.holder(label) != Some(version) => {
            Err(errors::label_not_on_version())
        }
        Select::VersionWithLabel(version, _) => Ok(version),
    }
}

pub(super) fn put(
    record: &mut Record,
    clock: &mut Clock,
    new: NewValue,
) -> Result<Written, StoreError> {
    record.alive()?;
    let NewValue { token, value, labels, rotation_token } = new;
    if !(1..=LONGEST_VALUE).contains(&value.expose_bytes().len()) {
        return Err(errors::value_length());
    }
    let stored = record.versions.get(&token).and_then(|version| version.value.as_ref());
    match stored {
        Some(stored) if stored.same_as(&value) => return Ok(Written::about(record, Some(token))),
        Some(_) => {
            let message = errors::token_in_use(&token, &record.detail.arn);
            return Err(StoreError::new(StoreErrorCode::AlreadyExists, message));
        }
        None => {}
    }
    let first = record.versions.is_empty();
    if let Some(placeholder) = record.versions.get_mut(&token) {
        placeholder.value = Some(value);
        record.detail.last_changed = Some(clock.tick());
    } else {
        record.add(&token, Some(value), clock);
    }
    if let Some(version) = record.versions.get_mut(&token) {
        version.rotation_token = rotation_token;
    }
    if labels.is_empty() || first {
        record.attach(AWSCURRENT, &token);
    }
    if labels.is_empty() {
        record.detach(AWSPENDING);
    }
    // AWSCURRENT goes first, so that an AWSPREVIOUS asked for wins over the one it leaves behind.
    let (current, others) = labels.iter().partition::<Vec<_>, _>(|label| *label == AWSCURRENT);
    for label in current.into_iter().chain(others) {
        record.attach(label, &token);
    }
    if record.labels_of(&token).len() > MOST_LABELS {
        return Err(errors::too_many_labels());
    }
    Ok(Written::about(record, Some(token)))
}

/// Who holds the label must be named by whoever takes it away. A call whose answer was lost fails
/// here when repeated, as at AWS: the version it named no longer holds the label.
fn check_holder(
    record: &Record,
    label: &str,
    to: Option<&VersionId>,
    from: Option<&VersionId>,
) -> Result<(), StoreError> {
    match (record.holder(label), from) {
        (Some(holder), Some(from)) if holder == from => Ok(()),
        (_, Some(from)) => Err(errors::not_attached(label, from)),
        (Some(holder), None) if to != Some(holder) => {
            Err(errors::remove_from_missing(label, holder))
        }
        (None, None) if to.is_none() => Err(errors::nothing_to_move(label)),
        _ => Ok(()),
    }
}
