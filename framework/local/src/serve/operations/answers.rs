//! Answers in AWS's shape.

use fourstep::{ExposeSecret, SecretValue};
use serde_json::{Map, Value, json};

use super::replicas;
use crate::serve::wire::{encoded, seconds};
use crate::{ReadValue, RotationRules, SecretDetail, Written};

/// The key that AWS takes where none is named, and does not show.
pub(super) const DEFAULT_KEY: &str = "alias/aws/secretsmanager";

/// Which operation shows a secret.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Shown {
    /// DescribeSecret. Its `DeletedDate` is the day of the deletion to come.
    Described,
    /// ListSecrets. Its `DeletedDate` is when that deletion was asked for, and it knows no copies.
    Listed,
}

/// A secret, with the fields that have a value.
///
/// Source: Secrets Manager API Reference, "DescribeSecret" and "SecretListEntry".
pub(super) fn described(detail: SecretDetail, shown: Shown) -> Value {
    let next = detail.next_window().map(|window| window.last_second());
    let days = detail.days_apart();
    let owner = detail.owning_service().map(str::to_owned);
    let primary = detail.primary_region().map(str::to_owned);
    let tag = |(key, value): (String, String)| json!({"Key": key, "Value": value});
    let tags: Vec<_> = detail.tags.into_iter().map(tag).collect();
    let labels: Map<_, _> = detail
        .labels
        .into_iter()
        .map(|(version, labels)| (version.as_str().to_owned(), labels.into()))
        .collect();
    let (versions, deleted) = match shown {
        Shown::Described => ("VersionIdsToStages", detail.gone),
        Shown::Listed => ("SecretVersionsToStages", detail.deleted),
    };
    let described = shown == Shown::Described && !detail.copies.is_empty();
    let copies = described.then(|| replicas::statuses(detail.copies.into_values()));
    Body::new(&detail.arn, &detail.name)
        .with_some("Description", detail.description.filter(|text| !text.is_empty()))
        .with_some("KmsKeyId", detail.key.filter(|key| key != DEFAULT_KEY))
        .with_some("RotationEnabled", detail.rotation_enabled)
        .with_some("RotationLambdaARN", detail.rotation_lambda_arn)
        .with_some("RotationRules", detail.rotation_rules.map(|given| rules(given, days)))
        .with_some("LastRotatedDate", detail.last_rotated.map(seconds))
        .with_some("LastChangedDate", detail.last_changed.map(seconds))
        .with_some("LastAccessedDate", detail.last_accessed.map(seconds))
        .with_some("NextRotationDate", next.map(seconds))
        .with_some("DeletedDate", deleted.map(seconds))
        .with("Tags", tags)
        .with(versions, labels)
        .with_some("OwningService", owner)
        .with_some("CreatedDate", detail.created.map(seconds))
        .with_some("PrimaryRegion", primary)
        .with_some("ReplicationStatus", copies)
        .done()
}

fn rules(rules: RotationRules, days: Option<u32>) -> Value {
    Body(Map::new())
        .with_some("AutomaticallyAfterDays", days)
        .with_some("Duration", rules.duration)
        .with_some("ScheduleExpression", rules.schedule_expression)
        .done()
}

pub(super) fn read(read: ReadValue) -> Value {
    let ReadValue { arn, name, version, value, labels, created } = read;
    let mut body = Body::new(&arn, &name).with("VersionId", version.as_str());
    body = match value {
        SecretValue::Text(text) => body.with("SecretString", text.expose_secret()),
        SecretValue::Binary(bytes) => body.with("SecretBinary", encoded(bytes.expose_secret())),
    };
    if !labels.is_empty() {
        body = body.with("VersionStages", labels);
    }
    body.with("CreatedDate", seconds(created)).done()
}

pub(super) fn written(written: Written, with_labels: bool) -> Value {
    let Written { arn, name, version, labels } = written;
    let version = version.map(|version| version.as_str().to_owned());
    let body = Body::new(&arn, &name).with_some("VersionId", version);
    if with_labels { body.with("VersionStages", labels).done() } else { body.done() }
}

/// An answer as it is put together. AWS leaves out what it does not know; it sends no nulls.
pub(super) struct Body(pub(super) Map<String, Value>);

impl Body {
    pub(super) fn new(arn: &str, name: &str) -> Self {
        Self(Map::new()).with("ARN", arn).with("Name", name)
    }

    pub(super) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0.insert(field.to_owned(), value.into());
        self
    }

    pub(super) fn with_some(self, field: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(field, value),
            None => self,
        }
    }

    pub(super) fn done(self) -> Value {
        Value::Object(self.0)
    }
}
