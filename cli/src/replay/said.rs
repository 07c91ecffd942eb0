//! Whether a function said what it must not: a credential of a secret that is served to it.

use fourstep::store::Select;
use fourstep::{SecretId, SecretValue};
use fourstep_local::MemoryStore;
use fourstep_testing::Canary;
use serde_json::Value;

use crate::function::Invocation;

/// Shorter values come up by accident. In bytes.
const SHORTEST: usize = 12;

/// What of the names of fields says that the value is a credential, in small letters.
const CREDENTIALS: [&str; 7] = ["pass", "pwd", "secret", "token", "key", "credential", "private"];

/// How names of fields end that name a place, a thing or a kind.
const PLACES: [&str; 11] =
    ["id", "arn", "name", "url", "uri", "endpoint", "path", "file", "space", "type", "version"];

/// Which field of which version the function's answer or output has, and in which form. One is
/// enough: whoever mends it asks again.
pub(super) fn said(store: &MemoryStore, invocation: &Invocation) -> Option<String> {
    let answer = match &invocation.answer {
        Ok(answer) => answer.to_string(),
        Err((kind, message)) => format!("{kind}: {message}"),
    };
    let text = format!("{answer}\n{}", invocation.output);
    let (names, canaries): (Vec<_>, Vec<_>) = credentials(store).into_iter().unzip();
    let found = Canary::each_found_in(&canaries, &text);
    let mut found = names.into_iter().zip(found);
    found.find_map(|(name, form)| Some(format!("{name}, {}", form?)))
}

/// Every credential of every version that the store has, with the words for it.
fn credentials(store: &MemoryStore) -> Vec<(String, Canary)> {
    let mut all = Vec::new();
    for detail in store.secrets(false).unwrap_or_default() {
        let Ok(secret) = SecretId::parse(&detail.arn) else { continue };
        let versions = store.list(&secret, true).map(|listed| listed.versions).unwrap_or_default();
        for version in versions {
            let Ok(read) = store.get(&secret, Select::Version(&version.version)) else { continue };
            let labels = match version.labels.is_empty() {
                true => "a version without labels".to_owned(),
                false => version.labels.join(" and "),
            };
            let fields = fields(&read.value, &detail.arn);
            all.extend(fields.into_iter().map(|(field, value)| {
                (format!("{field} of {labels} ({})", detail.name), Canary::of(value))
            }));
        }
    }
    all
}

/// The credentials of a value, with what they are called. What else of the secret has one in it, its ARN
/// or a user's name, is shown on purpose. Bytes that are no text are not looked for.
fn fields(value: &SecretValue, arn: &str) -> Vec<(String, String)> {
    let Ok(text) = std::str::from_utf8(value.expose_bytes()) else { return Vec::new() };
    let (mut found, mut shown) = (Vec::new(), vec![arn.to_owned()]);
    match serde_json::from_str(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => {
            sort("", &value, &mut found, &mut shown);
        }
        _ => match in_url(text.trim()) {
            Some(password) => found.push(("the password in the URL".to_owned(), password)),
            None => found.push(("the value".to_owned(), text.trim().to_owned())),
        },
    }
    found.retain(|(_, value)| {
        value.len() >= SHORTEST && !shown.iter().any(|text| text.contains(value.as_str()))
    });
    found
}

/// Puts every text below this one where it belongs.
fn sort(name: &str, value: &Value, found: &mut Vec<(String, String)>, shown: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            object.iter().for_each(|(name, value)| sort(name, value, found, shown));
        }
        Value::Array(all) => all.iter().for_each(|value| sort(name, value, found, shown)),
        Value::String(text) => match in_url(text) {
            Some(password) => found.push((format!("the password in {name:?}"), password)),
            None if is_credential(name) => found.push((format!("{name:?}"), text.clone())),
            None => shown.push(text.clone()),
        },
        _ => {}
    }
}

/// The password in a URL, if there is one: `scheme://user:password@host`.
fn in_url(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("://")?;
    let (login, _) = rest.split(['/', '?', '#']).next()?.rsplit_once('@')?;
    Some(login.split_once(':')?.1.to_owned())
}

/// Whether a field's name is one for a credential. Ids of keys, public keys and places are shown on purpose.
fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let shown = PLACES.iter().any(|end| name.ends_with(end)) || name.contains("public");
    !shown && CREDENTIALS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fourstep_local::NewSecret;
    use serde_json::json;

    use super::*;
    use crate::function::Answer;

    fn heard(secret: &str, answer: Answer, output: &str) -> Option<String> {
        let store = MemoryStore::new();
        let new = NewSecret { value: Some(secret.into()), ..NewSecret::default() };
        store.create("app/db", new).unwrap();
        let (lines, duration) = (Vec::new(), Duration::ZERO);
        said(&store, &Invocation { answer, lines, output: output.to_owned(), duration })
    }

    #[test]
    fn a_credential_is_found_wherever_it_is_said() {
        let secret = json!({"username": "the-application", "password": "a\"password-of-20"});
        let secret = secret.to_string();
        let message = "Rejected: 'a\"password-of-20' is refused".to_owned();
        let wrong = Err(("Rejected".to_owned(), message));
        let all = [
            heard(&secret, wrong, ""),
            heard(&secret, Ok(json!({"why": "set a\"password-of-20"})), ""),
            heard(&secret, Ok(json!({})), "DEBUG tries \"a\\\"password-of-20\"\n"),
        ];
        for found in all {
            let found = found.unwrap();
            assert!(found.starts_with("\"password\" of AWSCURRENT (app/db), "), "{found}");
        }
        assert_eq!(heard(&secret, Ok(json!({"why": "the-application"})), "the-application"), None);
        let found = heard("the-whole-of-a-token", Ok(json!({})), "with the-whole-of-a-token");
        assert_eq!(found.unwrap(), "the value of AWSCURRENT (app/db), in plain text");
        let nested = json!({"credentials": [{"password": "nested-password"}]}).to_string();
        assert!(heard(&nested, Ok(json!({})), "nested-password").is_some());
        for url in [
            "postgres://app:in-a-url-1234@db.example.com:5432/app",
            "{\"dsn\": \"amqp://a:in-a-url-1234@b\"}",
        ] {
            let found = heard(url, Ok(json!({})), "cannot use in-a-url-1234").unwrap();
            assert!(found.starts_with("the password in "), "{found}");
            assert_eq!(heard(url, Ok(json!({})), "no answer from db.example.com:5432"), None);
        }
    }

    /// Somebody who tries it out may give the user's name as its password.
    #[test]
    fn a_password_that_is_shown_elsewhere_is_not_looked_for() {
        let secret = json!({"username": "application_rw", "password": "application_rw"});
        assert_eq!(heard(&secret.to_string(), Ok(json!({})), "user \"application_rw\""), None);
    }

    #[test]
    fn what_is_shown_on_purpose_and_what_is_too_short_is_not_looked_for() {
        for (field, value, looked_for) in [
            ("password", "long-enough-1", true),
            ("password", "short", false),
            ("api_key", "long-enough-1", true),
            ("SecretAccessKey", "long-enough-1", true),
            ("AccessKeyId", "long-enough-1", false),
            ("key_id", "long-enough-1", false),
            ("masterarn", "long-enough-1", false),
            ("publicKey", "long-enough-1", false),
            ("host", "long-enough-1", false),
            ("token_url", "https://long-enough-1", false),
            ("keyspace", "long-enough-1", false),
            ("passphrase", "long-enough-1", true),
            // It is in the secret's ARN.
            ("password", "secret:app/db-", false),
        ] {
            let secret = json!({ field: value }).to_string();
            let found = heard(&secret, Ok(json!({})), value).is_some();
            assert_eq!(found, looked_for, "{field} {value}");
        }
    }
}
