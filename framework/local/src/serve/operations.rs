//! The operations: a request's fields in, the store's answer in AWS's shape out.

use fourstep::SecretId;
use fourstep::store::{AWSCURRENT, Select, VersionSummary};
use serde_json::{Map, Value, json};

mod answers;
mod catalogue;
mod filters;
mod passwords;
mod policies;
pub(super) mod replicas;

use super::refusal::Refusal;
use super::wire::{Input, missing, seconds};
use crate::{Deletion, MemoryStore, NewRotation, NewSecret, NewValue, StartedRotation};
use answers::{Body, DEFAULT_KEY, Shown, described, read, written};

/// What became of a request.
pub(super) struct Answer {
    pub(super) body: Value,
    /// The rotation that the request began, if it did.
    pub(super) started: Option<StartedRotation>,
}

/// The operations that are served, by AWS's names: all of the API reference but those on copies in
/// other accounts, AssociateCrossAccountReplica and DisassociateCrossAccountReplica.
pub(super) const OPERATIONS: [&str; 24] = [
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
    "PutResourcePolicy",
    "DeleteResourcePolicy",
    "ValidateResourcePolicy",
    "ListResourcePolicies",
    "ReplicateSecretToRegions",
    "RemoveRegionsFromReplication",
    "StopReplicationToReplica",
];

/// The secret that a request is about, which may not be the first of its name.
pub(super) fn secret(
    store: &MemoryStore,
    operation: &str,
    input: &Input,
) -> Result<SecretId, Refusal> {
    replicas::located(store, operation, input)?.0.secret()
}

pub(super) fn answer(
    store: &MemoryStore,
    operation: &str,
    input: &Input,
) -> Result<Answer, Refusal> {
    let (input, copy) = replicas::located(store, operation, input)?;
    let (input, copy) = (&*input, copy.as_deref());
    if operation == "RotateSecret" {
        return rotate(store, input);
    }
    let mut body = answered(store, operation, input, copy)?;
    if let Some(region) = copy {
        replicas::of_the_copy(&mut body, region);
    }
    Ok(Answer { body, started: None })
}

fn answered(
    store: &MemoryStore,
    operation: &str,
    input: &Input,
    copy: Option<&str>,
) -> Result<Value, Refusal> {
    Ok(match operation {
        "CreateSecret" => create(store, input)?,
        "DescribeSecret" => {
            let detail = store.describe(&input.secret()?)?;
            let region = copy.unwrap_or_default();
            described(detail.copy_in(region), Shown::Described)
        }
        "GetSecretValue" => get(store, input, copy)?,
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
        "GetRandomPassword" => passwords::password(input)?,
        "GetResourcePolicy" => policies::get(store, input)?,
        "PutResourcePolicy" => policies::put(store, input)?,
        "DeleteResourcePolicy" => policies::delete(store, input)?,
        "ValidateResourcePolicy" => policies::validate(store, input)?,
        "ListResourcePolicies" => policies::names(store, input)?,
        "ReplicateSecretToRegions" => replicas::replicate(store, input)?,
        "RemoveRegionsFromReplication" => replicas::remove(store, input)?,
        "StopReplicationToReplica" => replicas::stop(store, input, copy)?,
        _ => return Err(Refusal::unknown_operation(operation)),
    })
}

fn create(store: &MemoryStore, input: &Input) -> Result<Value, Refusal> {
    let made = store.create(input.name()?, new_secret(input)?)?;
    let copies = store.copies(&made.arn);
    let mut body = written(made, false);
    if let Some(fields) = body.as_object_mut().filter(|_| !copies.is_empty()) {
        fields.insert("ReplicationStatus".to_owned(), replicas::statuses(copies).into());
    }
    Ok(body)
}

fn new_secret(input: &Input) -> Result<NewSecret, Refusal> {
    Ok(NewSecret {
        value: input.value()?,
        token: input.version("ClientRequestToken")?,
        tags: input.tags()?,
        description: input.description()?.map(str::to_owned),
        key: input.key()?.map(|key| if key.is_empty() { DEFAULT_KEY } else { key }.to_owned()),
        arn: None,
        region: Some(input.region().to_owned()),
        copies: replicas::added(input)?,
        overwrite: input.flag("ForceOverwriteReplicaSecret")?.unwrap_or(false),
    })
}

fn get(store: &MemoryStore, input: &Input, copy: Option<&str>) -> Result<Value, Refusal> {
    let version = input.version("VersionId")?;
    let select = match (&version, input.label()?) {
        (None, None) => Select::Label(AWSCURRENT),
        (None, Some(label)) => Select::Label(label),
        (Some(version), None) => Select::Version(version),
        (Some(version), Some(label)) => Select::VersionWithLabel(version, label),
    };
    Ok(read(store.get_in(&input.secret()?, select, copy)?))
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
        let accessed = listed.accessed.get(&version).copied();
        row.with_some("CreatedDate", created.map(seconds))
            .with_some("LastAccessedDate", accessed.map(seconds))
            .done()
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
