//! What holds for any secret, hostile JSON among them.

use proptest::prelude::*;

use super::*;

fn decode(text: &str) -> Secret {
    Secret::decode(&text.into())
}

/// A value as it stands in a document, numbers in spellings that a float would lose.
fn value() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        "-?(0|[1-9][0-9]{0,40})",
        "-?(0|[1-9][0-9]{0,3})\\.[0-9]{1,30}",
        "-?[1-9]e[+-][1-9][0-9]{0,3}",
    ];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|truth| truth.to_string()),
        number,
        ".{0,20}".prop_map(|text| Value::from(text).to_string()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let pair = (".{0,8}", inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::btree_map(pair.0, pair.1, 0..4).prop_map(|fields| object(&fields)),
        ]
    })
}

fn object<'a>(fields: impl IntoIterator<Item = (&'a String, &'a String)>) -> String {
    let fields = fields.into_iter();
    let text: Vec<String> =
        fields.map(|(name, value)| format!("{}:{value}", Value::from(name.as_str()))).collect();
    format!("{{{}}}", text.join(","))
}

/// The fields of a document in some order, each name once.
fn fields() -> impl Strategy<Value = Vec<(String, String)>> {
    let unordered = prop::collection::btree_map(".{0,12}", value(), 0..12);
    unordered.prop_map(|fields| fields.into_iter().collect::<Vec<_>>()).prop_shuffle()
}

fn text_of(fields: &[(String, String)]) -> String {
    object(fields.iter().map(|(name, value)| (name, value)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn an_edit_changes_one_field_and_no_character_beside_it(
        mut fields in fields(),
        place in any::<prop::sample::Index>(),
        before in value(),
        after in ".*",
    ) {
        fields.retain(|(name, _)| name != "password");
        fields.insert(place.index(fields.len() + 1), ("password".to_owned(), before));
        let secret = decode(&text_of(&fields));
        let next = secret.document().unwrap().with("password", &after);
        prop_assert_eq!(secret.document().unwrap().difference(&next, &["password"]), None);
        for (name, value) in &mut fields {
            if name == "password" {
                *value = Value::from(after.as_str()).to_string();
            }
        }
        prop_assert_eq!(Secret::from(next).expose().unwrap(), text_of(&fields));
    }

    #[test]
    fn white_space_and_nothing_else_is_lost(fields in fields(), space in "[ \t\r\n]{0,3}") {
        let text = text_of(&fields);
        let spaced = format!("{space}{text}{space}");
        prop_assert_eq!(decode(&spaced).expose().unwrap(), text);
    }

    #[test]
    fn a_document_that_is_cut_short_is_kept_as_text(
        fields in fields(),
        cut in any::<prop::sample::Index>(),
    ) {
        let text = text_of(&fields);
        let cut = &text[..text.floor_char_boundary(cut.index(text.len()))];
        let secret = decode(cut);
        prop_assert_eq!(secret.expose().unwrap(), cut);
        let error = secret.document().unwrap_err().to_string();
        prop_assert!(error.len() < 120, "{}", error);
    }

    #[test]
    fn any_text_is_kept_and_its_debug_is_one_of_two_words(text in "\\PC{0,300}") {
        let secret = decode(&text);
        let debug = format!("{secret:?}");
        prop_assert!(["Secret::Document(redacted)", "Secret::Text(redacted)"].contains(&debug.as_str()));
        prop_assert_eq!(decode(&secret.expose().unwrap()), secret);
    }
}

#[test]
fn a_field_that_stands_twice_is_refused_and_the_value_is_kept_as_it_is() {
    for text in [r#"{"password":"a","x":1,"password":"b"}"#, r#"{"x":1,"x":1}"#] {
        let secret = decode(text);
        let error = secret.document().unwrap_err().to_string();
        assert!(error.contains("stands twice"), "{error}");
        assert_eq!(secret.expose().unwrap(), text);
    }
    // Further in it is nobody's business here.
    assert!(decode(r#"{"x":{"y":1,"y":2}}"#).document().is_ok());
}

/// The parser gives up at 128 levels, so that nobody's document can exhaust the stack.
#[test]
fn nesting_is_kept_up_to_a_depth_and_refused_beyond() {
    for (depth, kept) in [(100, true), (126, true), (128, false), (30_000, false)] {
        let text = format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        let secret = decode(&text);
        assert_eq!(secret.expose().unwrap(), text);
        assert_eq!(secret.document().is_ok(), kept, "{depth}");
    }
}

#[test]
fn the_largest_secret_of_aws_is_edited_like_a_small_one() {
    let text = format!(r#"{{"note":"{}","password":"a"}}"#, "☃".repeat(21_000));
    assert!((60_000..65_536).contains(&text.len()));
    let next = decode(&text).document().unwrap().with("password", "b");
    assert_eq!(Secret::from(next).expose().unwrap(), text.replace(r#":"a""#, r#":"b""#));
    let names: Vec<String> = (0..6000).map(|number| format!(r#""{number}":1"#)).collect();
    let text = format!("{{{}}}", names.join(","));
    assert_eq!(decode(&text).expose().unwrap(), text);
}
