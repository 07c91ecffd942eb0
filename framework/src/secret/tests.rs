use super::*;
use proptest::prelude::*;

fn decode(text: &str) -> Secret {
    Secret::decode(&text.to_owned().into())
}

#[test]
fn parity_12_extra_keys_order_numbers_and_non_ascii_values_survive() {
    let text = r#"{"z":1,"port":5432,"big":123456789012345678901234567890,"e":1e+400,"password":"p","ü":"é☃","n":null,"a":[{"b":2}]}"#;
    let next = Secret::from(decode(text).document().unwrap().with("password", "q"));
    assert_eq!(next.expose().unwrap(), text.replace(r#""p""#, r#""q""#));
}

#[test]
fn what_is_no_object_is_text_and_its_error_gives_only_the_place() {
    for (text, message) in [
        ("[1]", "the secret value is not a JSON object: it is a list"),
        ("\"hunter2\"", "the secret value is not a JSON object: it is a string alone"),
        (
            "{\"password\": hunter2}",
            "the secret value is not a JSON object: syntax error at line 1, column 14",
        ),
    ] {
        let secret = decode(text);
        assert_eq!(secret.document().unwrap_err().to_string(), message);
        assert_eq!(secret.expose().unwrap(), text);
        assert_eq!(format!("{secret:?}"), "Secret::Text(redacted)");
    }
}

#[test]
fn fields_are_named_in_errors_and_never_quoted() {
    let secret = decode(r#"{"username":7,"host":"","dbname":null}"#);
    let document = secret.document().unwrap();
    let message = document.optional("username").unwrap_err().to_string();
    assert_eq!(message, "the secret's field \"username\" is not a string");
    let message = document.required("host").unwrap_err().to_string();
    assert_eq!(message, "the secret's field \"host\" is missing or empty");
    assert_eq!(document.optional("dbname").unwrap(), None);
    assert_eq!(format!("{document:?}"), "Document(redacted)");
}

proptest! {
    #[test]
    fn decoding_never_panics_and_never_prints_the_value(text in "\\PC{0,200}") {
        let secret = decode(&format!("canary-{text}"));
        let debug = format!("{secret:?}");
        prop_assert!(!debug.contains("canary"));
        let error = secret.document().unwrap_err();
        prop_assert!(!error.to_string().contains("canary"));
    }

    #[test]
    fn any_password_survives_a_document(password in ".*") {
        let next = Secret::from(decode("{}").document().unwrap().with("password", &password));
        let again = Secret::of_value(&next.encode());
        let read = again.document().unwrap().field("password").cloned();
        prop_assert_eq!(read, Some(Value::String(password)));
    }
}
