//! Copies of the password in other fields of a secret, such as a connection URL: they are not changed,
//! so after a rotation they hold a password that works no more.

use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::secret::Secret;
use crate::users::Login;

/// A shorter password is found in texts that do not mean it.
const SHORTEST: usize = 6;

/// How many fields are named.
const MOST_NAMED: usize = 5;

/// What an operator should know of the copies of this login's password, if there are any. The fields
/// are named and nothing of them is shown.
pub(super) fn remark(secret: &Secret, login: &Login) -> Option<String> {
    let password = login.password.expose_secret();
    let document = secret.document().ok()?;
    if password.len() < SHORTEST {
        return None;
    }
    let holds = |name: &&str| {
        *name != "password" && document.field(name).is_some_and(|value| contains(value, password))
    };
    let found: Vec<_> = document.keys().filter(holds).collect();
    if found.is_empty() {
        return None;
    }
    // Whoever keeps passwords in the names of fields does not get them into a log.
    let shown = found.iter().filter(|name| !name.contains(password)).take(MOST_NAMED);
    let named: Vec<_> = shown.map(|name| format!("{name:?}")).collect();
    Some(format!(
        "the password stands in {} other field(s) of the secret too ({}), which a rotation does not \
         change: whoever reads them has a password that works no more; have everybody put together what \
         they need from \"username\" and \"password\", and take these fields out",
        found.len(),
        named.join(", ")
    ))
}

/// Whether a text anywhere in it holds the password, as it is or percent-encoded.
fn contains(value: &Value, password: &str) -> bool {
    match value {
        Value::String(text) => {
            text.contains(password) || {
                let decoded: Vec<u8> = percent_decode_str(text).collect();
                decoded.windows(password.len()).any(|part| part == password.as_bytes())
            }
        }
        Value::Array(values) => values.iter().any(|value| contains(value, password)),
        Value::Object(fields) => fields.values().any(|value| contains(value, password)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(password: &str, fields: &Value) -> Option<String> {
        let login = Login::new("db.example", 5432, "app", password);
        let mut document = fields.clone();
        document["password"] = json!(password);
        remark(&Secret::decode(&document.to_string().into()), &login)
    }

    #[test]
    fn copies_are_found_in_whatever_form_and_named_without_them() {
        for fields in [
            json!({"url": "postgres://app:can%40ry%2f1@db/app"}),
            json!({"url": "postgres://app:can@ry/1@db/app"}),
            json!({"url": "can%40ry/1"}),
            json!({"url": ["x", {"y": "can@ry/1"}]}),
        ] {
            let remark = found("can@ry/1", &fields).unwrap();
            assert!(remark.contains("1 other field(s)") && remark.contains("\"url\""), "{remark}");
            assert!(!remark.contains("ry/1") && !remark.contains("ry%2f1"), "{remark}");
        }
        let remark = found("canary-1", &json!({"a canary-1": "canary-1"})).unwrap();
        assert!(!remark.contains("canary"), "{remark}");
        assert_eq!(found("can@ry/1", &json!({"url": "%", "b": "%4", "c": "%zz", "d": 1})), None);
        assert_eq!(found("app", &json!({"dbname": "app"})), None);
    }
}
