//! What concerns many secrets: lists, pages, several values at once.

use fourstep::SecretId;
use fourstep::store::{AWSCURRENT, Select, StoreError};
use serde_json::{Map, Value, json};

use super::answers::{Shown, described, read};
use super::{filters, replicas};
use crate::memory::Seen;
use crate::serve::refusal::Refusal;
use crate::serve::wire::Input;
use crate::{MemoryStore, SecretDetail};

/// How many rows a page has at most, and without `MaxResults`. Source: Secrets Manager API Reference, "ListSecrets",
/// "ListSecretVersionIds" and "BatchGetSecretValue".
const LARGEST_PAGE: u32 = 100;
const LARGEST_BATCH: u32 = 20;

/// The page of a list that is asked for, with the token of the next one. As a token says no more than where its
/// page begins, a list that changes between two pages may show a row twice or not at all.
pub(super) fn page(
    rows: impl Iterator<Item = Value>,
    field: &str,
    input: &Input,
) -> Result<Map<String, Value>, Refusal> {
    let (shown, next) = of_page(rows, input, LARGEST_PAGE)?;
    let mut page = next_token(next);
    page.insert(field.to_owned(), shown.into());
    Ok(page)
}

/// The rows of a page, and where the next one begins.
fn of_page<T>(
    rows: impl Iterator<Item = T>,
    input: &Input,
    largest: u32,
) -> Result<(Vec<T>, Option<usize>), Refusal> {
    let size = input.number("MaxResults")?.unwrap_or(largest);
    if !(1..=largest).contains(&size) {
        let constraint = format!("Member must be from 1 to {largest}");
        return Err(Refusal::validation("maxResults", &constraint));
    }
    let invalid = || Refusal::new("InvalidNextTokenException", "The NextToken value is invalid.");
    let start = input.text("NextToken")?.map(|token| token.parse::<usize>());
    let start = start.transpose().map_err(|_| invalid())?.unwrap_or_default();
    let mut rows = rows.skip(start);
    let shown: Vec<_> = rows.by_ref().take(size as usize).collect();
    let next = rows.next().is_some().then_some(start + shown.len());
    Ok((shown, next))
}

fn next_token(next: Option<usize>) -> Map<String, Value> {
    let token = next.map(|next| ("NextToken".to_owned(), next.to_string().into()));
    token.into_iter().collect()
}

pub(super) fn list(store: &MemoryStore, input: &Input) -> Result<Value, Refusal> {
    let deleted_too = input.flag("IncludePlannedDeletion")?.unwrap_or(false);
    let secrets = store.secrets(deleted_too)?.into_iter();
    let secrets = secrets.map(|detail| detail.copy_in(input.region())).collect();
    let mut secrets = filters::filtered(secrets, input)?;
    filters::sorted(&mut secrets, input)?;
    let rows = secrets.into_iter().map(|secret| described(secret, Shown::Listed));
    page(rows, "SecretList", input).map(Value::Object)
}

/// The texts are those that moto records of AWS.
pub(super) fn batch(store: &MemoryStore, input: &Input) -> Result<Value, Refusal> {
    let filtered = input.is_given("Filters");
    if filtered == input.is_given("SecretIdList") {
        let message = "Either 'SecretIdList' or 'Filters' must be provided, but not both.";
        return Err(Refusal::parameter(message));
    }
    if input.is_given("MaxResults") && !filtered {
        return Err(Refusal::parameter(
            "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is \
             provided.",
        ));
    }
    let names: Vec<String> = if filtered {
        let mut secrets = filters::filtered(store.secrets(false)?, input)?;
        filters::sorted(&mut secrets, input)?;
        secrets.into_iter().map(|SecretDetail { arn, .. }| arn).collect()
    } else {
        input.texts("SecretIdList")?
    };
    if !filtered && !(1..=LARGEST_BATCH as usize).contains(&names.len()) {
        let constraint = "Member must have length from 1 to 20";
        return Err(Refusal::validation("secretIdList", constraint));
    }
    let (names, next) = of_page(names.into_iter(), input, LARGEST_BATCH)?;
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for id in names {
        let secret = SecretId::parse(&id).map_err(|_| Refusal::parameter("a SecretId is none"))?;
        match current(store, &secret, input.region()) {
            Ok(value) => values.push(value),
            Err(StoreError { code, message }) => {
                errors.push(json!({"SecretId": id, "ErrorCode": code.name(), "Message": message}));
            }
        }
    }
    let mut body = next_token(next);
    body.insert("SecretValues".to_owned(), values.into());
    body.insert("Errors".to_owned(), errors.into());
    Ok(Value::Object(body))
}

/// The current value of a secret, or of the copy that this Region has of it.
fn current(store: &MemoryStore, secret: &SecretId, region: &str) -> Result<Value, StoreError> {
    let label = Select::Label(AWSCURRENT);
    match store.seen_from(secret, region) {
        Seen::AsNamed => store.get(secret, label).map(read),
        Seen::Another(secret) => store.get(&secret, label).map(read),
        Seen::Copy { primary, region } => {
            let mut body = read(store.get_in(&primary, label, Some(&region))?);
            replicas::of_the_copy(&mut body, &region);
            Ok(body)
        }
    }
}
