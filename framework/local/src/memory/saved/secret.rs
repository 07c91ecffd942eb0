//! One secret of a store's text.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fourstep::{ExposeSecret, SecretValue, VersionId};
use serde::{Deserialize, Serialize};

use super::super::SecretCopy;
use super::super::record::{Record, Version};
use super::super::types::{RotationRules, SecretDetail};
use super::{NO_BASE64, NO_NAME, NO_VERSION, TWO_VALUES};

#[derive(Deserialize)]
#[serde(try_from = "SavedSecret")]
pub(super) struct OneRecord {
    /// What the store keeps it under.
    pub(super) key: String,
    pub(super) record: Record,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedSecret {
    name: String,
    arn: String,
    /// What it is kept under, where that is not its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_as: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_function: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_rules: Option<SavedRules>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_changed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_rotated: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gone: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_accessed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    copies: BTreeMap<String, SavedCopy>,
    tags: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    versions: BTreeMap<String, OneVersion>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedRules {
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedCopy {
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_accessed: Option<u64>,
}

/// A version, checked where it stands, so that an error knows the place.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "SavedVersion", into = "SavedVersion")]
struct OneVersion(Version);

/// Without a value it is what RotateSecret makes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedVersion {
    created: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    accessed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<String>,
}

impl From<OneVersion> for SavedVersion {
    fn from(OneVersion(version): OneVersion) -> Self {
        let Version { value, created, accessed, temporary: _, rotation_token: _ } = version;
        let (text, bytes) = match value {
            None => (None, None),
            Some(SecretValue::Text(text)) => (Some(text.expose_secret().to_owned()), None),
            Some(SecretValue::Binary(bytes)) => (None, Some(BASE64.encode(bytes.expose_secret()))),
        };
        Self { created: milliseconds(created), accessed: accessed.map(milliseconds), text, bytes }
    }
}

impl TryFrom<SavedVersion> for OneVersion {
    type Error = &'static str;

    fn try_from(saved: SavedVersion) -> Result<Self, Self::Error> {
        let value = match (saved.text, saved.bytes) {
            (None, None) => None,
            (Some(text), None) => Some(SecretValue::Text(text.into())),
            (None, Some(bytes)) => {
                let bytes = BASE64.decode(bytes).map_err(|_| NO_BASE64)?;
                Some(SecretValue::Binary(bytes.into()))
            }
            (Some(_), Some(_)) => return Err(TWO_VALUES),
        };
        let (created, accessed) = (time(saved.created), saved.accessed.map(time));
        Ok(Self(Version { value, created, accessed, temporary: false, rotation_token: None }))
    }
}

impl SavedSecret {
    /// Everything is named here, so that what a secret gets besides does not compile until it is kept.
    pub(super) fn of(kept_as: &str, record: &Record) -> Self {
        let Record { detail, versions, labels, policy } = record;
        let SecretDetail {
            arn,
            name,
            description,
            key,
            rotation_enabled,
            rotation_lambda_arn,
            rotation_rules,
            scheduled,
            created,
            last_changed,
            last_rotated,
            deleted,
            gone,
            last_accessed,
            copies,
            // Made of the record's versions when it is described.
            labels: _,
            current_since: _,
            primary_region: _,
            tags,
        } = detail.clone();
        let rules = |rules: RotationRules| SavedRules {
            days: rules.automatically_after_days,
            schedule: rules.schedule_expression,
            window: rules.duration,
        };
        let id = |id: &VersionId| id.as_str().to_owned();
        // One that a test of a schedule made goes with the test, whose process has this store in memory.
        let stays = |id: &VersionId| versions.get(id).is_none_or(|version| !version.temporary);
        let copy = |copy: SecretCopy| {
            let SecretCopy { region, key, failed, last_accessed } = copy;
            let last_accessed = last_accessed.map(milliseconds);
            (region, SavedCopy { kms_key_id: key, failed, last_accessed })
        };
        Self {
            kept_as: Some(kept_as.to_owned()).filter(|kept_as| *kept_as != name),
            name,
            arn,
            description,
            kms_key_id: key,
            rotation_enabled,
            rotation_function: rotation_lambda_arn,
            rotation_rules: rotation_rules.map(rules),
            scheduled: scheduled.map(milliseconds),
            created: created.map(milliseconds),
            last_changed: last_changed.map(milliseconds),
            last_rotated: last_rotated.map(milliseconds),
            deleted: deleted.map(milliseconds),
            gone: gone.map(milliseconds),
            last_accessed: last_accessed.map(milliseconds),
            policy: policy.clone(),
            copies: copies.into_values().map(copy).collect(),
            tags,
            labels: labels
                .iter()
                .filter(|(_, on)| stays(on))
                .map(|(label, on)| (label.clone(), id(on)))
                .collect(),
            versions: versions
                .iter()
                .filter(|(one, _)| stays(one))
                .map(|(one, version)| (id(one), OneVersion(version.clone())))
                .collect(),
        }
    }
}

impl TryFrom<SavedSecret> for OneRecord {
    type Error = &'static str;

    fn try_from(saved: SavedSecret) -> Result<Self, Self::Error> {
        if saved.name.is_empty() {
            return Err(NO_NAME);
        }
        if !saved.labels.values().all(|on| saved.versions.contains_key(on)) {
            return Err(NO_VERSION);
        }
        let key = saved.kept_as.unwrap_or_else(|| saved.name.clone());
        let mut record = Record::new(&saved.name, saved.arn, saved.tags);
        let detail = &mut record.detail;
        detail.description = saved.description;
        detail.key = saved.kms_key_id;
        detail.rotation_enabled = saved.rotation_enabled;
        detail.rotation_lambda_arn = saved.rotation_function;
        detail.rotation_rules = saved.rotation_rules.map(|rules| RotationRules {
            automatically_after_days: rules.days,
            duration: rules.window,
            schedule_expression: rules.schedule,
        });
        detail.scheduled = saved.scheduled.map(time);
        detail.created = saved.created.map(time);
        detail.last_changed = saved.last_changed.map(time);
        detail.last_rotated = saved.last_rotated.map(time);
        detail.deleted = saved.deleted.map(time);
        detail.gone = saved.gone.map(time);
        detail.last_accessed = saved.last_accessed.map(time);
        detail.copies = saved.copies.into_iter().map(copy).collect();
        record.policy = saved.policy;
        let id = VersionId::from_store;
        record.versions = saved.versions.into_iter().map(|(one, is)| (id(one), is.0)).collect();
        record.labels = saved.labels.into_iter().map(|(label, on)| (label, id(on))).collect();
        Ok(Self { key, record })
    }
}

fn copy((region, saved): (String, SavedCopy)) -> (String, SecretCopy) {
    let SavedCopy { kms_key_id, failed, last_accessed } = saved;
    let last_accessed = last_accessed.map(time);
    let copy = SecretCopy { region: region.clone(), key: kms_key_id, failed, last_accessed };
    (region, copy)
}

/// The latest time that a secret knows.
pub(super) fn latest(record: &Record) -> u64 {
    let detail = &record.detail;
    let times = [
        detail.scheduled,
        detail.created,
        detail.last_changed,
        detail.last_rotated,
        detail.deleted,
        // Not `gone`: it is to come.
    ];
    let made = record.versions.values().map(|version| version.created);
    times.into_iter().flatten().chain(made).map(milliseconds).max().unwrap_or_default()
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Times that no calendar has are the last one that AWS could show.
fn time(milliseconds: u64) -> SystemTime {
    const LAST: u64 = 253_402_300_799_000;
    UNIX_EPOCH + Duration::from_millis(milliseconds.min(LAST))
}
