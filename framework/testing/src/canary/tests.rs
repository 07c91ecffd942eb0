use fourstep::{RotationToken, VersionId};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const FORMS: [&str; 6] = [
    "in plain text",
    "escaped",
    "percent-encoded",
    "in base64",
    "as a list of bytes",
    "in hexadecimal",
];

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn hexadecimal(text: &str, between: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}{between}")).collect()
}

/// Base64 as everybody else writes it, with its padding, to test the search by.
fn base64(text: &[u8]) -> String {
    let mut out = String::new();
    for chunk in text.chunks(3) {
        let mut group = chunk.to_vec();
        group.resize(3, 0);
        let letters: Vec<u8> = base64_group(&group).collect();
        out.push_str(str::from_utf8(&letters[..=chunk.len()]).unwrap());
        out.push_str(&"=".repeat(3 - chunk.len()));
    }
    out
}

#[test]
fn a_canary_is_legal_wherever_a_secret_goes() {
    let canary = Canary::new();
    RotationToken::parse(canary.value()).unwrap();
    VersionId::parse(canary.value()).unwrap();
    assert_ne!(canary, Canary::new());
    assert_eq!(canary.found_in(&format!("{canary:?} {canary:#?}")), None);
}

#[test]
fn the_base64_that_the_search_is_tested_by_is_that_of_rfc_4648() {
    for (text, encoded) in
        [("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("\u{fb}o", "w7tv")]
    {
        assert_eq!(base64(text.as_bytes()), encoded);
    }
}

#[test]
fn every_form_is_found_and_named() {
    let canary = Canary::of("pass \"word\"/\\ with ünï☃ and 100%");
    let value = canary.value();
    let document = json!({"password": value}).to_string();
    let twice = json!({ "SecretString": document }).to_string();
    let debug_of_json = format!("{:?}", Some(&twice));
    for (text, form) in [
        (format!("refused {value}!"), "in plain text"),
        (document.clone(), "escaped"),
        (twice, "escaped"),
        (debug_of_json, "escaped"),
        (format!("{value:?}"), "escaped"),
        (value.escape_default().to_string(), "escaped"),
        (value.as_bytes().escape_ascii().to_string(), "escaped"),
        (percent(value), "percent-encoded"),
        (percent(value).to_lowercase(), "percent-encoded"),
        (value.replace('%', "%25").replace(' ', "%20").replace('"', "%22"), "percent-encoded"),
        (base64(value.as_bytes()), "in base64"),
        (base64(format!("u:{value}").as_bytes()), "in base64"),
        (base64(format!("us:{value}").as_bytes()), "in base64"),
        (format!("{:?}", value.as_bytes()), "as a list of bytes"),
        (format!("{:#?}", value.as_bytes()), "as a list of bytes"),
        (hexadecimal(value, ""), "in hexadecimal"),
        (hexadecimal(value, " ").to_uppercase(), "in hexadecimal"),
        (hexadecimal(value, ":"), "in hexadecimal"),
        (format!("{:#04x?}", value.as_bytes()), "in hexadecimal"),
    ] {
        assert_eq!(canary.found_in(&text), Some(form), "{text}");
        assert!(FORMS.contains(&form));
    }
}

#[test]
fn half_a_canary_is_enough_and_a_short_one_is_looked_for_whole() {
    let canary = Canary::new();
    let (first, second) = canary.value().split_at(canary.value().len() - 16);
    assert_eq!(canary.found_in(first), Some("in plain text"));
    assert_eq!(canary.found_in(second), Some("in plain text"));
    assert_eq!(canary.found_in("canary-"), None);
    assert_eq!(Canary::of("").found_in("anything"), None);
    assert_eq!(Canary::of("canary-wrong").found_in("a canary-wrong b"), Some("in plain text"));
}

proptest! {
    #[test]
    fn a_planted_value_is_found_in_any_form_and_any_surroundings(
        value in "\\PC{12,40}",
        before in "\\PC{0,40}",
        after in "\\PC{0,40}",
    ) {
        let canary = Canary::of(value.clone());
        let around = |text: &str| format!("{before} {text} {after}");
        let document = json!({ "password": around(&value) }).to_string();
        for text in [
            around(&value),
            document.clone(),
            Value::from(document.clone()).to_string(),
            format!("{document:?}"),
            around(&percent(&value)),
            base64(around(&value).as_bytes()),
            format!("{:?}", around(&value).as_bytes()),
            hexadecimal(&around(&value), ""),
        ] {
            prop_assert!(canary.found_in(&text).is_some(), "{}", text);
        }
    }

    #[test]
    fn a_text_without_the_value_is_not_accused(text in "\\PC{0,400}") {
        prop_assert_eq!(Canary::new().found_in(&text), None);
    }
}
