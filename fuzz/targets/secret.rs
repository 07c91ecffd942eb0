//! Whatever a secret holds, decoding ends; an edited document differs in the one field and in
//! nothing else, its order included; and neither `Debug` nor an error repeats a value.
#![no_main]

use fourstep::Secret;
use fourstep::users::{Database, Login};
use libfuzzer_sys::fuzz_target;
use rotate_postgres::Postgres;
use serde_json::{Map, Value};

/// Long enough to be told from the words of a message.
const TELLING: usize = 24;

/// The names of the fields, in order.
fn keys(text: &str) -> Vec<String> {
    let fields: Map<String, Value> = serde_json::from_str(text).unwrap();
    fields.keys().cloned().collect()
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let secret = Secret::decode(&text.into());
    assert!(
        ["Secret::Document(redacted)", "Secret::Text(redacted)"]
            .contains(&format!("{secret:?}").as_str())
    );
    let postgres = Postgres::read(&fourstep::Environment::default()).unwrap();
    let login = Login::read(&secret, postgres.dialect());
    let document = match secret.document() {
        Ok(document) => document,
        Err(error) => {
            assert_eq!(secret.expose().unwrap(), text, "a text is kept as it is");
            // Our longest explanation has some 180 characters: nothing of the text is in it.
            assert!(error.to_string().len() < 200, "{error}");
            return;
        }
    };
    if let (Err(error), Some(Value::String(password))) = (login, document.field("password")) {
        let told = password.len() >= TELLING && error.to_string().contains(password.as_str());
        assert!(!told, "it says {error}");
    }
    let next = document.with("password", "next \"one\"");
    assert_eq!(document.difference(&next, &["password"]), None);
    let written = Secret::from(next).expose().unwrap();
    let again = Secret::decode(&written.as_str().into());
    assert_eq!(again.expose().unwrap(), written, "what is written is read back");
    let mut expected = keys(text);
    if !expected.iter().any(|key| key == "password") {
        expected.push("password".to_owned());
    }
    assert_eq!(keys(&written), expected);
    let password = again.document().unwrap().field("password").and_then(Value::as_str);
    assert_eq!(password, Some("next \"one\""));
});
