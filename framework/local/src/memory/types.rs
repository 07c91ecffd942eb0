//! What the store's operations take and answer, beyond what a rotation needs.

use std::collections::BTreeMap;
use std::time::SystemTime;

use fourstep::store::{SecretDescription, VersionSummary};
use fourstep::{RotationToken, VersionId};

use fourstep::SecretValue;

use super::SecretCopy;

/// What CreateSecret takes besides the name, and UpdateSecret of a secret that is there.
#[derive(Debug, Clone, Default)]
pub struct NewSecret {
    /// The first version's value; without one the secret has no version.
    pub value: Option<SecretValue>,
    /// The first version's id (`ClientRequestToken`); without one, a random UUID.
    pub token: Option<VersionId>,
    /// The secret's tags.
    pub tags: BTreeMap<String, String>,
    /// A description for people.
    pub description: Option<String>,
    /// `KmsKeyId`, which is kept and shown. Nothing is encrypted.
    pub key: Option<String>,
    /// The ARN that it has elsewhere; without one, it gets one that ends in random letters.
    pub arn: Option<String>,
    /// The Region of the ARN that it gets; without one, us-east-1.
    pub region: Option<String>,
    /// The Regions that get a copy (`AddReplicaRegions`), each with its key.
    pub copies: BTreeMap<String, Option<String>>,
    /// Whether a copy takes the place of a secret of that name there.
    pub overwrite: bool,
}

/// What PutSecretValue takes besides the secret.
#[derive(Debug, Clone)]
pub struct NewValue {
    /// The version's id (`ClientRequestToken`).
    pub token: VersionId,
    /// Its value.
    pub value: SecretValue,
    /// The labels to move to it. Empty: it becomes AWSCURRENT.
    pub labels: Vec<String>,
    /// The token that a rotation function forwards, kept for tests to ask about.
    pub rotation_token: Option<RotationToken>,
}

impl NewValue {
    /// A value that becomes AWSCURRENT, as a person stores it.
    pub fn current(token: &VersionId, value: impl Into<SecretValue>) -> Self {
        let value = value.into();
        Self { token: token.clone(), value, labels: Vec::new(), rotation_token: None }
    }

    /// A value that gets exactly these labels.
    pub fn labelled(token: &VersionId, value: impl Into<SecretValue>, labels: &[&str]) -> Self {
        let labels = labels.iter().map(|&label| label.to_owned()).collect();
        Self { labels, ..Self::current(token, value) }
    }
}

/// Which secret and version a write was about, and that version's labels afterwards.
#[derive(Debug, Clone)]
pub struct Written {
    /// The secret's full ARN.
    pub arn: String,
    /// The secret's name.
    pub name: String,
    /// The version; absent where the call made or found none.
    pub version: Option<VersionId>,
    /// Its labels, sorted.
    pub labels: Vec<String>,
}

/// What GetSecretValue answers.
#[derive(Debug, Clone)]
pub struct ReadValue {
    /// The secret's full ARN.
    pub arn: String,
    /// The secret's name.
    pub name: String,
    /// The version that was read.
    pub version: VersionId,
    /// Its value.
    pub value: SecretValue,
    /// Its labels, sorted; none for a deprecated version.
    pub labels: Vec<String>,
    /// When it was created.
    pub created: SystemTime,
}

/// What ListSecretVersionIds answers.
#[derive(Debug, Clone)]
pub struct ListedVersions {
    /// The secret's full ARN.
    pub arn: String,
    /// The secret's name.
    pub name: String,
    /// One row for each version, sorted by version id.
    pub versions: Vec<VersionSummary>,
    /// The day on which each was last read; those that never were are absent.
    pub accessed: BTreeMap<VersionId, SystemTime>,
}

/// What DescribeSecret answers.
#[derive(Debug, Clone, Default)]
pub struct SecretDetail {
    /// The secret's full ARN.
    pub arn: String,
    /// The secret's name.
    pub name: String,
    /// A description for people.
    pub description: Option<String>,
    /// `KmsKeyId`.
    pub key: Option<String>,
    /// Absent when rotation was never configured.
    pub rotation_enabled: Option<bool>,
    /// The rotation function.
    pub rotation_lambda_arn: Option<String>,
    /// The rotation schedule.
    pub rotation_rules: Option<RotationRules>,
    /// When that schedule was set, or rotation turned on again.
    pub scheduled: Option<SystemTime>,
    /// When the version that is AWSCURRENT was made.
    pub current_since: Option<SystemTime>,
    /// When the secret was created.
    pub created: Option<SystemTime>,
    /// When anything about it last changed.
    pub last_changed: Option<SystemTime>,
    /// When a rotation last succeeded.
    pub last_rotated: Option<SystemTime>,
    /// When it was marked for deletion.
    pub deleted: Option<SystemTime>,
    /// When its deletion is due.
    pub gone: Option<SystemTime>,
    /// The day, from midnight UTC, on which a value was last read.
    pub last_accessed: Option<SystemTime>,
    /// The copies in other Regions, by Region.
    pub copies: BTreeMap<String, SecretCopy>,
    /// Of a copy, the Region of its primary secret.
    pub primary_region: Option<String>,
    /// The labels of every labelled version, empty ones included.
    pub labels: BTreeMap<VersionId, Vec<String>>,
    /// The secret's tags.
    pub tags: BTreeMap<String, String>,
}

impl From<SecretDetail> for SecretDescription {
    fn from(detail: SecretDetail) -> Self {
        let rotates_every_days = detail.days_apart();
        let SecretDetail { arn, rotation_enabled, labels, tags, .. } = detail;
        Self { arn, rotation_enabled, rotates_every_days, labels, tags, ..Self::default() }
    }
}

/// A rotation schedule. It is stored and shown; nothing in the store runs by the clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RotationRules {
    /// AutomaticallyAfterDays.
    pub automatically_after_days: Option<u32>,
    /// Duration, such as `3h`.
    pub duration: Option<String>,
    /// ScheduleExpression, such as `rate(10 days)`.
    pub schedule_expression: Option<String>,
}

/// What RotateSecret takes besides the secret.
#[derive(Debug, Clone)]
pub struct NewRotation {
    /// The new version's id (`ClientRequestToken`).
    pub token: VersionId,
    /// The rotation function; absent: the one given before.
    pub lambda_arn: Option<String>,
    /// The schedule; absent: the one given before.
    pub rules: Option<RotationRules>,
    /// RotateImmediately. False: only the configuration is tested.
    pub immediately: bool,
}

impl NewRotation {
    /// An immediate rotation by this function.
    pub fn now(token: &VersionId, lambda_arn: &str) -> Self {
        let lambda_arn = Some(lambda_arn.to_owned());
        Self { token: token.clone(), lambda_arn, rules: None, immediately: true }
    }
}

/// A rotation that RotateSecret began, for the caller to play its steps.
#[derive(Debug, Clone)]
pub struct StartedRotation {
    /// The secret's full ARN: what the steps' events name.
    pub arn: String,
    /// The secret's name.
    pub name: String,
    /// The version being made: the events' `ClientRequestToken`.
    pub version: VersionId,
    /// The function to call.
    pub lambda_arn: String,
    /// Whether only testSecret is to be played, and then
    /// [`MemoryStore::end_test`](super::MemoryStore::end_test) called.
    pub test_only: bool,
}

/// What the service does with AWSPENDING after a rotation that succeeded. AWS does either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingLabel {
    /// It is removed from the new current version.
    Removed,
    /// It stays on the new current version.
    Left,
}

/// How a secret is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// After that many days (7 to 30), in which the secret can be described but not used.
    After(u32),
    /// At once (ForceDeleteWithoutRecovery).
    Now,
}
