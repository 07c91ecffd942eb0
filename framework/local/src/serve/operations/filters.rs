//! Which secrets ListSecrets and BatchGetSecretValue are asked for, and in which order.
//!
//! Source: Secrets Manager API Reference, "Filter" and "ListSecrets". `description` finds words and
//! not the beginning only, as moto's test suite records of AWS. What makes a word is not documented:
//! here what stands between blanks or the punctuation of names, and begins with a capital letter.

use std::cmp::Ordering;

use crate::SecretDetail;
use crate::serve::refusal::Refusal;
use crate::serve::wire::Input;

const KEYS: [&str; 7] =
    ["description", "name", "tag-key", "tag-value", "primary-region", "owning-service", "all"];
const ORDERS: [&str; 2] = ["asc", "desc"];
const SORTS: [&str; 4] = ["created-date", "last-accessed-date", "last-changed-date", "name"];

/// A filter: a secret passes if any of the values finds it.
struct Filter {
    key: String,
    values: Vec<String>,
}

/// The secrets that every filter finds.
pub(super) fn filtered(
    mut secrets: Vec<SecretDetail>,
    input: &Input,
) -> Result<Vec<SecretDetail>, Refusal> {
    let filters = input.objects("Filters")?;
    if filters.len() > 10 {
        let constraint = "Member must have length less than or equal to 10";
        return Err(Refusal::validation("filters", constraint));
    }
    for (index, filter) in filters.iter().enumerate() {
        let filter = read(filter, index + 1)?;
        secrets
            .retain(|secret| filter.values.iter().any(|value| found(secret, &filter.key, value)));
    }
    Ok(secrets)
}

/// The order that is asked for: by the day of creation, the oldest first, where none is.
pub(super) fn sorted(secrets: &mut [SecretDetail], input: &Input) -> Result<(), Refusal> {
    let order = one_of(input.text("SortOrder")?, "sortOrder", &ORDERS)?.unwrap_or("asc");
    let by = one_of(input.text("SortBy")?, "sortBy", &SORTS)?.unwrap_or("created-date");
    let compare = |one: &SecretDetail, other: &SecretDetail| -> Ordering {
        match by {
            "name" => one.name.cmp(&other.name),
            "last-accessed-date" => one.last_accessed.cmp(&other.last_accessed),
            "last-changed-date" => one.last_changed.cmp(&other.last_changed),
            _ => one.created.cmp(&other.created),
        }
    };
    secrets.sort_by(compare);
    if order == "desc" {
        secrets.reverse();
    }
    Ok(())
}

fn read(filter: &Input, number: usize) -> Result<Filter, Refusal> {
    let field = |name: &str| format!("filters.{number}.member.{name}");
    let key = one_of(filter.text("Key")?, &field("key"), &KEYS)?;
    let key = key.ok_or_else(|| Refusal::parameter("Invalid filter key"))?.to_owned();
    let values = filter.texts("Values")?;
    if values.is_empty() {
        return Err(Refusal::parameter("Invalid filter values"));
    }
    if values.len() > 10 {
        let constraint = "Member must have length less than or equal to 10";
        return Err(Refusal::validation(&field("values"), constraint));
    }
    let allowed = |one: char| one.is_ascii_alphanumeric() || " :_@/+=.-!".contains(one);
    if !values.iter().all(|value| value.len() <= 512 && value.chars().all(allowed)) {
        let constraint = "Member must satisfy regular expression pattern: \
                          ^\\!?[a-zA-Z0-9 :_@\\/\\+\\=\\.\\-\\!]*$";
        return Err(Refusal::validation(&field("values"), constraint));
    }
    Ok(Filter { key, values })
}

fn one_of<'a>(
    value: Option<&'a str>,
    field: &str,
    all: &[&str],
) -> Result<Option<&'a str>, Refusal> {
    if value.is_none_or(|value| all.contains(&value)) {
        return Ok(value);
    }
    let constraint = format!("Member must satisfy enum value set: [{}]", all.join(", "));
    Err(Refusal::validation(field, &constraint))
}

/// Whether a secret has what a value asks for; with `!` before it, whether it has not.
fn found(secret: &SecretDetail, key: &str, value: &str) -> bool {
    let (not, value) = value.strip_prefix('!').map_or((false, value), |rest| (true, rest));
    let begins = |text: &str| text.starts_with(value);
    let has = match key {
        "name" => begins(&secret.name),
        "description" => secret.description.as_deref().is_some_and(|text| worded(text, value)),
        "tag-key" => secret.tags.keys().any(|key| begins(key)),
        "tag-value" => secret.tags.values().any(|value| begins(value)),
        "primary-region" => secret.primary_region().is_some_and(begins),
        "owning-service" => secret.owning_service().is_some_and(begins),
        _ => {
            let words = [Some(&secret.name), secret.description.as_ref()].into_iter().flatten();
            let tags = secret.tags.iter().flat_map(|(key, value)| [key, value]);
            words.chain(tags).any(|text| worded(text, value))
        }
    };
    has != not
}

/// Whether each word of `value` is the beginning of one of the text's, in either case.
fn worded(text: &str, value: &str) -> bool {
    let (text, wanted) = (words(text), words(value));
    !wanted.is_empty() && wanted.iter().all(|one| text.iter().any(|word| word.starts_with(one)))
}

fn words(text: &str) -> Vec<String> {
    let (mut words, mut before) = (vec![String::new()], ' ');
    for letter in text.chars() {
        let new = letter.is_uppercase() && before.is_lowercase();
        if new || " /-_+=.@:!".contains(letter) {
            words.push(String::new());
        }
        if !" /-_+=.@:!".contains(letter)
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.retain(|word| !word.is_empty());
    words
}
