//! The operations: a request's fields in, the store's answer in AWS's shape out.

use fourstep::store::{AWSCURRENT, Select, VersionSummary};
use fourstep::{ExposeSecret, SecretValue};
use serde_json::{Map, Value, json};

mod catalogue;

use super::refusal::Refusal;
use super::wire::{Input, encoded, missing, seconds};
use crate::{
    Deletion, MemoryStore, NewRotation, NewSecret, NewValue, ReadValue, RotationRules,
    SecretDetail, StartedRotation, Written,
};

/// What became of a request.
pub(super) struct Answer {
    pub(super) body: Value,
    /// The rotation that the request began, if it did.
    pub(super) started: Option<StartedRotation>,
}

/// The operations that are served, by AWS's names.
pub(super) const OPERATIONS: [&str; 17] = [
    "CreateSecret",
    "DescribeSecret",
    "GetSecretValue",
    "PutSecretValue",
    "UpdateSecretVersionStage",
    "ListSecretVersionIds",
    "RotateSecret",
    "CancelRotateSecret",
    "DeleteSecret",
    "TagResource",
    "UntagResource",
    "UpdateSecret",
    "RestoreSecret",
    "ListSecrets",
    "BatchGetSecretValue",
    "GetRandomPassword",
    "GetResourcePolicy",
];

pub(super) fn answer(
    store: &MemoryStore,
    operation: &str,
    input: &Input,
) -> Result<Answer, Refusal> {
    let body = match operation {
        "CreateSecret" => create(store, input)?,
        "DescribeSecret" => described(store.describe(&input.secret()?)?, "VersionIdsToStages"),
        "GetSecretValue" => get(store, input)?,
        "PutSecretValue" => put(store, input)?,
        "UpdateSecretVersionStage" => update_stage(store, input)?,
        "ListSecretVersionIds" => list(store, input)?,
        "CancelRotateSecret" => written(store.cancel_rotation(&input.secret()?)?, false),
        "DeleteSecret" => delete(store, input)?,
        "TagResource" => {
            store.tag(&input.secret()?, input.tags()?)?;
            json!({})
        }
        "UntagResource" => {
            store.untag(&input.secret()?, &input.texts("TagKeys")?)?;
            json!({})
        }
        "UpdateSecret" => written(store.update(&input.secret()?, new_secret(input)?)?, false),
        "RestoreSecret" => written(store.restore(&input.secret()?)?, false),
        "ListSecrets" => catalogue::list(store, input)?,
        "BatchGetSecretValue" => catalogue::batch(store, input)?,
        "GetRandomPassword" => catalogue::password(input)?,
        // None can be given here.
        "GetResourcePolicy" => {
            let detail = store.describe(&input.secret()?)?;
            Body::new(&detail.arn, &detail.name).done()
        }
        "RotateSecret" => return rotate(store, input),
        _ => return Err(Refusal::unknown_operation()),
    };
    Ok(Answer { body, started: None })
}

fn create(store: &MemoryStore, input: &Input) -> Result<Value, Refusal> {
    if input.is_given("AddReplicaRegions") {
        return Err(Refusal::parameter("This local Secrets Manager is in one Region only."));
    }
    Ok(written(store.create(input.name()?, new_secret(input)?)?, false))
}

fn new_secret(input: &Input) -> Result<NewSecret, Refusal> {
    Ok(NewSecret {
        value: input.value()?,
        token: input.version("ClientRequestToken")?,
        tags: input.tags()?,
        description: input.description()?.map(str::to_owned),
        key: input.text("KmsKeyId")?.map(str::to_owned),
        arn: None,
    })
}

fn get(store: &MemoryStore, input: &Input) -> Result<Value, Refusal> {
    let version = input.version("VersionId")?;
    let select = match (&version, input.label()?) {
        (None, None) => Select::Label(AWSCURRENT),
        (None, Some(label)) => Select::Label(label),
        (Some(version), None) => Select::Version(version),
        (Some(version), Some(label)) => Select::VersionWithLabel(version, label),
    };
    Ok(read(store.get(&input.secret()?, select)?))
}

fn read(read: ReadValue) -> Value {
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

fn put(store: &MemoryStore, input: &Input) -> Result<Value, Refusal> {
    let none = || {
        let message = "You must provide either SecretString or SecretBinary.";
        Refusal::new("InvalidRequestException", message)
    };
    let new = NewValue {
        token: input.token("InvalidRequestException")?,
        value: input.value()?.ok_or_else(none)?,
        labels: input.labels()?,
        rotation_token: input.rotation_token()?,
    };
    Ok(written(store.put(&input.secret()?, new)?, true))
}

fn update_stage(store: &MemoryStore, input: &Input) -> Result<Value, Refusal> {
    let label = input.label()?.ok_or_else(|| missing("VersionStage"))?;
    let to = input.version("MoveToVersionId")?;
    let from = input.version("RemoveFromVersionId")?;
    let answer = store.update_stage(&input.secret()?, label, to.as_ref(), from.as_ref())?;
    Ok(written(answer, false))
}

fn list(store: &MemoryStore, input: &Input) -> Result<Value, Refusal> {
    let include_deprecated = input.flag("IncludeDeprecated")?.unwrap_or(false);
    let listed = store.list(&input.secret()?, include_deprecated)?;
    let row = |VersionSummary { version, labels, created }: VersionSummary| {
        let mut row = Body(Map::new()).with("VersionId", version.as_str());
        if !labels.is_empty() {
            row = row.with("VersionStages", labels);
        }
        row.with_some("CreatedDate", created.map(seconds)).done()
    };
    let page = catalogue::page(listed.versions.into_iter().map(row), "Versions", input)?;
    Ok(Body(page).with("ARN", &*listed.arn).with("Name", &*listed.name).done())
}

fn rotate(store: &MemoryStore, input: &Input) -> Result<Answer, Refusal> {
    let new = NewRotation {
        token: input.token("InvalidParameterException")?,
        lambda_arn: input.lambda_arn()?.map(str::to_owned),
        rules: input.rules()?,
        immediately: input.flag("RotateImmediately")?.unwrap_or(true),
    };
    let started = store.rotate(&input.secret()?, &new)?;
    let body = Body::new(&started.arn, &started.name).with("VersionId", started.version.as_str());
    Ok(Answer { body: body.done(), started: Some(started) })
}

fn delete(store: &MemoryStore, input: &Input) -> Result<Value, Refusal> {
    let now = input.flag("ForceDeleteWithoutRecovery")?.unwrap_or(false);
    let how = match (now, input.number("RecoveryWindowInDays")?) {
        (true, None) => Deletion::Now,
        (true, Some(_)) => {
            return Err(Refusal::parameter(
                "You can't use ForceDeleteWithoutRecovery in conjunction with \
                 RecoveryWindowInDays.",
            ));
        }
        (false, days) => Deletion::After(days.unwrap_or(30)),
    };
    let (secret, gone) = store.delete(&input.secret()?, how)?;
    Ok(Body::new(&secret.arn, &secret.name).with("DeletionDate", seconds(gone)).done())
}

fn written(written: Written, with_labels: bool) -> Value {
    let Written { arn, name, version, labels } = written;
    let version = version.map(|version| version.as_str().to_owned());
    let body = Body::new(&arn, &name).with_some("VersionId", version);
    if with_labels { body.with("VersionStages", labels).done() } else { body.done() }
}

/// As DescribeSecret shows a secret; ListSecrets has another name for its versions.
fn described(detail: SecretDetail, versions: &str) -> Value {
    let tag = |(key, value): (String, String)| json!({"Key": key, "Value": value});
    let tags: Vec<_> = detail.tags.into_iter().map(tag).collect();
    let labels: Map<_, _> = detail
        .labels
        .into_iter()
        .map(|(version, labels)| (version.as_str().to_owned(), labels.into()))
        .collect();
    Body::new(&detail.arn, &detail.name)
        .with_some("Description", detail.description)
        .with_some("KmsKeyId", detail.key)
        .with_some("RotationEnabled", detail.rotation_enabled)
        .with_some("RotationLambdaARN", detail.rotation_lambda_arn)
        .with_some("RotationRules", detail.rotation_rules.map(rules))
        .with_some("LastRotatedDate", detail.last_rotated.map(seconds))
        .with_some("LastChangedDate", detail.last_changed.map(seconds))
        .with_some("DeletedDate", detail.deleted.map(seconds))
        .with("Tags", tags)
        .with(versions, labels)
        .with_some("CreatedDate", detail.created.map(seconds))
        .done()
}

fn rules(rules: RotationRules) -> Value {
    Body(Map::new())
        .with_some("AutomaticallyAfterDays", rules.automatically_after_days)
        .with_some("Duration", rules.duration)
        .with_some("ScheduleExpression", rules.schedule_expression)
        .done()
}

/// An answer as it is put together. AWS leaves out what it does not know; it sends no nulls.
struct Body(Map<String, Value>);

impl Body {
    fn new(arn: &str, name: &str) -> Self {
        Self(Map::new()).with("ARN", arn).with("Name", name)
    }

    fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0.insert(field.to_owned(), value.into());
        self
    }

    fn with_some(self, field: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(field, value),
            None => self,
        }
    }

    fn done(self) -> Value {
        Value::Object(self.0)
    }
}
