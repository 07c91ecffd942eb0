//! Copies in other Regions: which one a request has before it, and the operations on them.
//!
//! Every Region's client sees every secret here; only where a secret was replicated to, the client of
//! that Region has the copy before it, as at AWS.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};
use serde_json::{Map, Value, json};

use super::answers::{Body, DEFAULT_KEY};
use crate::MemoryStore;
use crate::memory::{SecretCopy, Seen, in_region};
use crate::serve::refusal::Refusal;
use crate::serve::wire::{Input, missing, seconds};

/// What may be asked of a copy.
const OF_A_COPY: [&str; 7] = [
    "DescribeSecret",
    "GetSecretValue",
    "ListSecretVersionIds",
    "GetResourcePolicy",
    "ListResourcePolicies",
    "ValidateResourcePolicy",
    "StopReplicationToReplica",
];

/// The Region that a request is signed for.
///
/// Source of the form: AWS General Reference, "Signature Version 4", the Authorization header.
pub(in crate::serve) fn region(headers: &HeaderMap) -> Option<&str> {
    let signature = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (_, credential) = signature.split_once(" Credential=")?;
    credential.split('/').nth(2).filter(|region| is_region(region))
}

/// As the API model has it: `([a-z]+-)+\d+`.
pub(in crate::serve) fn is_region(text: &str) -> bool {
    let Some((words, number)) = text.rsplit_once('-') else { return false };
    let word = |word: &str| !word.is_empty() && word.bytes().all(|one| one.is_ascii_lowercase());
    text.len() <= 128
        && words.split('-').all(word)
        && !number.is_empty()
        && number.bytes().all(|one| one.is_ascii_digit())
}

/// The request as it is to be served, and the Region of the copy that it is about.
pub(super) fn located<'a>(
    store: &MemoryStore,
    operation: &str,
    input: &'a Input,
) -> Result<(Cow<'a, Input>, Option<String>), Refusal> {
    let Ok(secret) = input.secret() else { return Ok((Cow::Borrowed(input), None)) };
    match store.seen_from(&secret, input.region()) {
        Seen::AsNamed => Ok((Cow::Borrowed(input), None)),
        Seen::Another(secret) => Ok((Cow::Owned(input.naming(&secret)), None)),
        Seen::Copy { primary, region } if OF_A_COPY.contains(&operation) => {
            Ok((Cow::Owned(input.naming(&primary)), Some(region)))
        }
        Seen::Copy { .. } => Err(Refusal::parameter(
            "Operation not permitted on a replica secret. Call must be made in primary secret's \
             region.",
        )),
    }
}

/// An answer about a secret, as one about its copy.
pub(super) fn of_the_copy(body: &mut Value, region: &str) {
    if let Some(arn) = body.get_mut("ARN") {
        *arn = in_region(arn.as_str().unwrap_or_default(), region).into();
    }
}

pub(super) fn replicate(store: &MemoryStore, input: &Input) -> Result<Value, Refusal> {
    let secret = input.secret()?;
    let regions = added(input)?;
    if regions.is_empty() {
        return Err(missing("AddReplicaRegions"));
    }
    let overwrite = input.flag("ForceOverwriteReplicaSecret")?.unwrap_or(false);
    let written = store.replicate(&secret, &regions, overwrite)?;
    Ok(json!({"ARN": written.arn, "ReplicationStatus": statuses(store.copies(&written.arn))}))
}

pub(super) fn remove(store: &MemoryStore, input: &Input) -> Result<Value, Refusal> {
    let secret = input.secret()?;
    let regions = input.texts("RemoveReplicaRegions")?;
    if regions.is_empty() {
        return Err(missing("RemoveReplicaRegions"));
    }
    for region in &regions {
        checked(region, "removeReplicaRegions")?;
    }
    let written = store.remove_copies(&secret, &regions)?;
    Ok(json!({"ARN": written.arn, "ReplicationStatus": statuses(store.copies(&written.arn))}))
}

pub(super) fn stop(
    store: &MemoryStore,
    input: &Input,
    copy: Option<&str>,
) -> Result<Value, Refusal> {
    let written = store.promote(&input.secret()?, copy.unwrap_or_default())?;
    Ok(json!({"ARN": written.arn}))
}

/// `AddReplicaRegions`: the Regions, each with the key of its copy.
pub(super) fn added(input: &Input) -> Result<BTreeMap<String, Option<String>>, Refusal> {
    let mut regions = BTreeMap::new();
    for one in input.objects("AddReplicaRegions")? {
        let region =
            one.text("Region")?.ok_or_else(|| missing("AddReplicaRegions.member.Region"))?;
        checked(region, "addReplicaRegions")?;
        let key = one.key()?.filter(|key| !key.is_empty()).map(str::to_owned);
        regions.insert(region.to_owned(), key);
    }
    Ok(regions)
}

fn checked(region: &str, field: &str) -> Result<(), Refusal> {
    if is_region(region) {
        return Ok(());
    }
    let constraint = "Member must satisfy regular expression pattern: ^([a-z]+-)+\\d+$";
    Err(Refusal::validation(&format!("{field}.member.region"), constraint))
}

pub(super) fn statuses(copies: impl IntoIterator<Item = SecretCopy>) -> Vec<Value> {
    let status = |copy: SecretCopy| {
        let (status, message) = match copy.failed {
            None => ("InSync", "Replication succeeded".to_owned()),
            Some(why) => ("Failed", why),
        };
        Body(Map::new())
            .with("Region", copy.region)
            .with("KmsKeyId", copy.key.unwrap_or_else(|| DEFAULT_KEY.to_owned()))
            .with("Status", status)
            .with("StatusMessage", message)
            .with_some("LastAccessedDate", copy.last_accessed.map(seconds))
            .done()
    };
    copies.into_iter().map(status).collect()
}
