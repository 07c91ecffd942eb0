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
const CREDENTIALS: [&str; 7] =
    ["password", "passwd", "secret", "token", "key", "credential", "private"];

/// Which field of which labelled version the function's answer or output has, and in which form. One is
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

/// Every credential that the store has, with the words for it.
fn credentials(store: &MemoryStore) -> Vec<(String, Canary)> {
    let mut all = Vec::new();
    for detail in store.secrets(false).unwrap_or_default() {
        let Ok(secret) = SecretId::parse(&detail.arn) else { continue };
        for (version, labels) in &detail.labels {
            let Ok(read) = store.get(&secret, Select::Version(version)) else { continue };
            let of = format!("of {} ({})", labels.join(" and "), detail.name);
            all.extend(
                fields(&read.value)
                    .into_iter()
                    .map(|(field, value)| (format!("{field} {of}"), Canary::of(value))),
            );
        }
    }
    all
}

/// The credentials of a value: of a JSON object those fields that are named for one, else all of it.
/// Bytes that are no text are not looked for.
fn fields(value: &SecretValue) -> Vec<(String, String)> {
    let Ok(text) = std::str::from_utf8(value.expose_bytes()) else { return Vec::new() };
    let mut found = match serde_json::from_str(text) {
        Ok(Value::Object(object)) => object
            .into_iter()
            .filter(|(name, _)| is_credential(name))
            .filter_map(|(name, value)| Some((format!("{name:?}"), value.as_str()?.to_owned())))
            .collect(),
        _ => vec![("the value".to_owned(), text.trim().to_owned())],
    };
    found.retain(|(_, value)| value.len() >= SHORTEST);
    found
}

/// Whether a field's name is one for a credential. Ids of keys and public keys are shown on purpose.
fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let shown = name.ends_with("id") || name.ends_with("arn") || name.contains("public");
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
        ] {
            let secret = json!({ field: value }).to_string();
            let found = heard(&secret, Ok(json!({})), value).is_some();
            assert_eq!(found, looked_for, "{field} {value}");
        }
    }
}
