//! What holds for any event.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::complaints::{FIELDS, is_known};
use super::*;

/// Any JSON at all.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,80}".prop_map(Value::from),
        prop::sample::select(vec![0, 1, 31, 32, 36, 64, 65, 256, 257, 2048, 2049])
            .prop_map(|length| json!("x".repeat(length))),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("\\PC{0,12}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A step's name, right, nearly right, or neither.
fn step_name() -> impl Strategy<Value = String> {
    let near = vec![
        "createSecret",
        "create_secret",
        "CreateSecret",
        "setSecret",
        "set_secret",
        "setsecret",
        "testSecret",
        "test_secret",
        "testSecret ",
        "finishSecret",
        "finish_secret",
        "finish",
    ];
    prop_oneof![
        3 => prop::sample::select(near).prop_map(str::to_owned),
        1 => "[a-z_]{0,6}[sS]ecret\\PC{0,2}",
    ]
}

/// A whole event, of which up to three fields are spoilt.
fn event() -> impl Strategy<Value = Value> {
    let field = prop::sample::select(&FIELDS[..]);
    let spoilt = prop::collection::vec((field, json_value()), 0..4);
    (step_name(), "[ -~]{1,40}", "[ -~]{32,64}", prop::option::of("[0-9a-zA-Z-]{36,60}"), spoilt)
        .prop_map(|(step, secret, token, rotation_token, spoilt)| {
            let mut event = json!({"Step": step, "SecretId": secret, "ClientRequestToken": token});
            if let Some(token) = rotation_token {
                event["RotationToken"] = json!(token);
            }
            for (field, value) in spoilt {
                event[field] = value;
            }
            event
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn an_event_is_taken_as_it_stands_or_refused_in_words_known_beforehand(event in event()) {
        let field = |name: &str| event.get(name).and_then(Value::as_str);
        match Request::decode(&event) {
            Ok(Request::Rotate(rotation)) => {
                prop_assert_eq!(Some(rotation.step), field("Step").and_then(Step::parse));
                prop_assert_eq!(Some(rotation.secret.as_str()), field("SecretId"));
                prop_assert_eq!(Some(rotation.token.as_str()), field("ClientRequestToken"));
                let token = rotation.rotation_token.as_ref().map(RotationToken::expose);
                prop_assert_eq!(token, field("RotationToken"));
            }
            Ok(Request::Ask(question, secret)) => {
                prop_assert_eq!(field("Fourstep"), Some(question.name()));
                prop_assert_eq!(Some(secret.as_str()), field("SecretId"));
            }
            Err(error) => {
                prop_assert_eq!(error.kind(), ErrorKind::Malformed);
                prop_assert!(is_known(&error.to_string()), "{}", error);
            }
        }
    }

    #[test]
    fn what_is_no_event_is_refused(value in json_value()) {
        let fields = value.as_object().map_or(0, Map::len);
        let error = Request::decode(&value).unwrap_err();
        prop_assert!(is_known(&error.to_string()), "{} fields: {}", fields, error);
    }

    #[test]
    fn no_other_name_is_a_step(name in step_name()) {
        let camel = Step::ALL.map(Step::name);
        let snake = camel.map(|name| name.replace("Secret", "_secret"));
        let known = camel.iter().any(|step| *step == name) || snake.contains(&name);
        prop_assert_eq!(Step::parse(&name).is_some(), known);
    }
}

#[test]
fn of_a_field_that_stands_twice_the_last_one_counts_as_everywhere_in_aws() {
    let text = format!(
        r#"{{"Step":"drop","Step":"setSecret","SecretId":"s","ClientRequestToken":"{}"}}"#,
        "t".repeat(32)
    );
    let event: Value = serde_json::from_str(&text).unwrap();
    assert!(matches!(
        Request::decode(&event),
        Ok(Request::Rotate(RotationEvent { step: Step::Set, .. }))
    ));
}
