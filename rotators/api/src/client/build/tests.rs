//! What a request is built of.

use serde_json::json;

use super::*;

#[test]
fn a_body_is_placed_whatever_it_is() {
    let secret = fourstep::Secret::decode(&json!({"a": "x\"y", "b": [1]}).to_string().into());
    let described = json!({"empty": null});
    let values = Values { described: Some(&described), ..Values::of(&secret) };
    for (body, placed) in [
        (
            json!([{"op": "add", "value": "{secret.b}"}, "{described./empty?}"]),
            r#"[{"op":"add","value":[1]}]"#,
        ),
        (json!("{secret.a}"), r#""x\"y""#),
        (json!({"a": "{secret.a}"}), r#"{"a":"x\"y"}"#),
    ] {
        assert_eq!(json(&body, &values).unwrap().to_string(), placed);
    }
}

#[test]
fn what_a_vendor_described_is_one_segment_of_a_path_and_its_pointer_has_slashes() {
    let secret = fourstep::Secret::decode(&json!({"name": "a/b"}).to_string().into());
    let text = "/users/{secret.name}/x-{described./items/0/id}/keys";
    let placed = |id: Value| {
        let described = json!({"items": [{"id": id}]});
        path(text, &Values { described: Some(&described), ..Values::of(&secret) })
    };
    assert_eq!(placed(json!("7?")).unwrap(), "/users/a%2Fb/x-7%3F/keys");
    assert_eq!(placed(json!("..7/.a")).unwrap(), "/users/a%2Fb/x-..7%2F.a/keys");
    for (id, said) in [
        (json!(""), "describe: \"/items/0/id\" in the answer is empty"),
        (Value::Null, "describe: \"/items/0/id\" in the answer is empty"),
        (json!(["7"]), "described./items/0/id is neither text nor a number"),
    ] {
        let error = placed(id).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    let dots = json!({"items": [{"id": ".."}]});
    let values = Values { described: Some(&dots), ..Values::of(&secret) };
    let error = path("/users/{described./items/0/id}", &values).unwrap_err();
    assert!(error.to_string().contains("which is no segment"), "{error}");
}

/// A proxy may decode a slash before it takes the dots out.
#[test]
fn no_value_of_a_path_goes_up() {
    let placed = |one: &str, text: &str| {
        let secret = fourstep::Secret::decode(&json!({"one": one}).to_string().into());
        path(text, &Values::of(&secret))
    };
    let up = ["..", ".", "../admin", "a/../../admin", "a/..", r"..\admin", r"a\.\b", "./a", "/.."];
    for one in up {
        for text in ["/users/{secret.one}", "/users/x-{secret.one}-y/keys"] {
            let error = placed(one, text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Malformed);
            assert!(error.to_string().contains("which is no segment"), "{one}: {error}");
            assert!(!error.to_string().contains("admin"), "{error}");
        }
    }
    // With what stands beside it.
    placed("/a", "/users/.{secret.one}").unwrap_err();
    placed("a/", "/users/{secret.one}..").unwrap_err();
    for one in ["a..b", "...", ".a/b.", "a/b", r"a\b", "..a"] {
        placed(one, "/users/{secret.one}").unwrap();
    }
    // What the specification itself says is its author's.
    assert_eq!(placed("a", "/./users").unwrap(), "/./users");
}
