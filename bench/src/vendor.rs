//! A vendor for `rotate-api`: keys with names, which let in at once. It answers in plaintext, so what
//! TLS to a vendor costs is not counted.

use std::io;

use fourstep_testing::{Asked, Double, DoubleKeys, Told};
use serde_json::{Value, json};

/// A vendor, the specification of its keys, and a secret that holds one.
#[derive(Debug)]
pub struct Vendor {
    double: Double,
    first: String,
    key: String,
}

impl Vendor {
    /// Starts one that has one key.
    ///
    /// # Errors
    /// If no port can be listened on.
    pub async fn start() -> io::Result<Self> {
        let double = Double::start(manner).await?;
        let key = double.arrange(Some("made by hand"));
        Ok(Self { double, first: key.id, key: key.value })
    }

    /// The specification's text.
    pub fn specification(&self) -> String {
        include_str!("vendor.toml").replace("https://vendor.example", &self.double.url())
    }

    /// The secret's document.
    pub fn document(&self) -> Value {
        json!({"key": self.key, "id": self.first})
    }
}

fn manner(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let told = |status, body: Value| Told::json(status, body.to_string());
    if keys.lets_in(asked.bearer()).is_none() {
        return told(401, json!({}));
    }
    match (asked.method.as_str(), asked.segments().as_slice()) {
        ("GET", ["me"]) => told(200, json!({})),
        ("GET", ["keys"]) => {
            let all = keys.list();
            let all = all.iter().map(|key| json!({"id": key.id, "name": key.name}));
            told(200, json!({"keys": all.collect::<Vec<_>>()}))
        }
        ("POST", ["keys"]) => match keys.issue(asked.json().get("name").and_then(Value::as_str)) {
            Some(key) => told(201, json!({"id": key.id, "key": key.value})),
            None => told(409, json!({})),
        },
        ("DELETE", ["keys", id]) if keys.revoke(id) => told(204, json!({})),
        _ => told(404, json!({})),
    }
}
