//! What concerns many secrets, or none: lists, several values at once, a random password.

use fourstep::store::{AWSCURRENT, Select, StoreError};
use fourstep::{Environment, ExposeSecret, PasswordPolicy, SecretId};
use serde_json::{Map, Value, json};

use super::{described, read};
use crate::serve::refusal::Refusal;
use crate::serve::wire::Input;
use crate::{MemoryStore, SecretDetail};

/// The switches of GetRandomPassword, by the variables of a rotation function that mean the same.
const SWITCHES: [(&str, &str); 5] = [
    ("ExcludeNumbers", "EXCLUDE_NUMBERS"),
    ("ExcludePunctuation", "EXCLUDE_PUNCTUATION"),
    ("ExcludeUppercase", "EXCLUDE_UPPERCASE"),
    ("ExcludeLowercase", "EXCLUDE_LOWERCASE"),
    ("RequireEachIncludedType", "REQUIRE_EACH_INCLUDED_TYPE"),
];

/// How many rows a page has at most, and without `MaxResults`. Source: Secrets Manager API Reference, "ListSecrets"
/// and "ListSecretVersionIds".
const LARGEST_PAGE: u32 = 100;

/// The page of a list that is asked for, with the token of the next one. As a token says no more than where its
/// page begins, a list that changes between two pages may show a row twice or not at all.
pub(super) fn page(
    rows: impl Iterator<Item = Value>,
    field: &str,
    input: &Input,
) -> Result<Map<String, Value>, Refusal> {
    let size = input.number("MaxResults")?.unwrap_or(LARGEST_PAGE);
    if !(1..=LARGEST_PAGE).contains(&size) {
        return Err(Refusal::validation("maxResults", "Member must be from 1 to 100"));
    }
    let invalid = || Refusal::new("InvalidNextTokenException", "The NextToken value is invalid.");
    let start = input.text("NextToken")?.map(|token| token.parse::<usize>());
    let start = start.transpose().map_err(|_| invalid())?.unwrap_or_default();
    let mut rows = rows.skip(start);
    let shown: Vec<_> = rows.by_ref().take(size as usize).collect();
    let mut page = Map::new();
    if rows.next().is_some() {
        page.insert("NextToken".to_owned(), (start + shown.len()).to_string().into());
    }
    page.insert(field.to_owned(), shown.into());
    Ok(page)
}

pub(super) fn list(store: &MemoryStore, input: &Input) -> Result<Value, Refusal> {
    let deleted_too = input.flag("IncludePlannedDeletion")?.unwrap_or(false);
    let mut secrets = store.secrets(deleted_too)?;
    for filter in input.objects("Filters")? {
        let key = filter.text("Key")?.unwrap_or_default().to_owned();
        let wanted = filter.texts("Values")?;
        if !["name", "description", "tag-key", "tag-value", "all"].contains(&key.as_str()) {
            return Err(Refusal::parameter("Filters.Key is none that is served here."));
        }
        secrets.retain(|secret| wanted.iter().any(|value| matches(secret, &key, value)));
    }
    let rows = secrets.into_iter().map(|secret| described(secret, "SecretVersionsToStages"));
    page(rows, "SecretList", input).map(Value::Object)
}

/// Whether a secret has what a filter asks for: a beginning, in either case; not, with `!` before it.
fn matches(secret: &SecretDetail, key: &str, value: &str) -> bool {
    let (not, value) = value.strip_prefix('!').map_or((false, value), |rest| (true, rest));
    let begins = |text: &str| text.to_lowercase().starts_with(&value.to_lowercase());
    let description = secret.description.as_deref().is_some_and(begins);
    let tag_key = secret.tags.keys().any(|key| begins(key));
    let tag_value = secret.tags.values().any(|value| begins(value));
    not != match key {
        "name" => begins(&secret.name),
        "description" => description,
        "tag-key" => tag_key,
        "tag-value" => tag_value,
        _ => begins(&secret.name) || description || tag_key || tag_value,
    }
}

pub(super) fn batch(store: &MemoryStore, input: &Input) -> Result<Value, Refusal> {
    let ids = input.texts("SecretIdList")?;
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    let names = match ids.is_empty() {
        false => ids,
        true => store.secrets(false)?.into_iter().map(|secret| secret.arn).collect(),
    };
    for id in names {
        let secret = SecretId::parse(&id).map_err(|_| Refusal::parameter("a SecretId is none"))?;
        match store.get(&secret, Select::Label(AWSCURRENT)) {
            Ok(value) => values.push(read(value)),
            Err(StoreError { code, message }) => {
                errors.push(json!({"SecretId": id, "ErrorCode": code.name(), "Message": message}));
            }
        }
    }
    Ok(json!({"SecretValues": values, "Errors": errors}))
}

/// By the framework's own generator. It takes no `IncludeSpace`.
pub(super) fn password(input: &Input) -> Result<Value, Refusal> {
    if input.flag("IncludeSpace")? == Some(true) {
        return Err(Refusal::parameter("IncludeSpace is not served here."));
    }
    let mut settings = Vec::new();
    for (field, variable) in SWITCHES {
        settings.extend(input.flag(field)?.map(|flag| (variable, flag.to_string())));
    }
    settings
        .extend(input.number("PasswordLength")?.map(|long| ("PASSWORD_LENGTH", long.to_string())));
    let excluded = input.text("ExcludeCharacters")?;
    settings.extend(excluded.map(|text| ("EXCLUDE_CHARACTERS", text.to_owned())));
    let environment: Environment =
        settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let made = PasswordPolicy::read(&environment, "").and_then(|policy| policy.generate());
    let made = made.map_err(|error| Refusal::parameter(error.to_string()))?;
    Ok(json!({"RandomPassword": made.expose_secret()}))
}
