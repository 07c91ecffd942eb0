//! A value that is set in place: by whoever holds it, in a document and as plain text; and what a
//! function says before anything is rotated.

use fourstep::{ErrorKind, Step};
use fourstep_testing::{Asked, Double, DoubleKeys, Fault, Told};
use serde_json::{Value, json};

use super::support::{Files, Place, redirected, specification};
use super::{doubles, doubles_fourth};

async fn grafana() -> (Double, Place) {
    let double = Double::start(doubles::grafana).await.unwrap();
    let key = double.arrange(None);
    let secret = json!({"username": "rotated", "password": key.value});
    let text = redirected(&specification("grafana-password.toml"), &double);
    (double, Place::new(&text, &secret.to_string()))
}

#[tokio::test]
async fn an_update_whose_answer_was_lost_is_found_done() {
    let (double, place) = grafana().await;
    let token = place.begin(1);
    place.step(Step::Create, &token).await.unwrap();
    double.plan("PUT", "/api/user/password", Fault::LoseAnswer, 1);
    let error = place.step(Step::Set, &token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    let set = place.step(Step::Set, &token).await.unwrap();
    assert_eq!(set.why, "the pending value works already");
    for step in [Step::Test, Step::Finish] {
        place.step(step, &token).await.unwrap();
    }
}

#[tokio::test]
async fn a_value_that_the_vendor_refuses_is_given_up_and_the_old_one_works_on() {
    let (double, place) = grafana().await;
    let token = place.begin(1);
    place.step(Step::Create, &token).await.unwrap();
    let told = Told::json(400, r#"{"message":"New password is too short"}"#);
    double.plan("PUT", "/api/user/password", Fault::Answer(told), 1);
    let error = place.step(Step::Set, &token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let text = error.to_string();
    assert!(text.contains("with status 400") && text.contains("PASSWORD_LENGTH"), "{text}");
    assert!(!text.contains("too short"), "{text}");
    // The next rotation proposes another one.
    place.rotate(2).await.unwrap();
}

#[tokio::test]
async fn a_value_that_a_credential_validator_refuses_is_given_up_with_two_users_too() {
    let double = Double::start(doubles_fourth::rabbitmq).await.unwrap();
    let [app, _] = ["app", "app_b"].map(|user| double.arrange(Some(user)));
    let secret = json!({"username": "app", "password": app.value}).to_string();
    let text = redirected(&specification("rabbitmq.toml"), &double);
    let place = Place::new(&text, &secret);
    let token = place.begin(1);
    place.step(Step::Create, &token).await.unwrap();
    let told = Told::json(400, r#"{"error":"bad_request","reason":"too weak"}"#);
    double.plan("PUT", "/api/users/app_b", Fault::Answer(told), 1);
    let error = place.step(Step::Set, &token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    let text = error.to_string();
    assert!(
        text.contains("AWSPENDING was taken off") && text.contains("PASSWORD_LENGTH"),
        "{text}"
    );
    assert!(!text.contains("too weak"), "{text}");
    place.rotate(2).await.unwrap();
}

#[tokio::test]
async fn a_value_that_nobody_knows_is_an_error_and_changes_nothing() {
    let (double, place) = grafana().await;
    let token = place.begin(1);
    place.step(Step::Create, &token).await.unwrap();
    double.revoke("id000001");
    double.arrange(None);
    let error = place.step(Step::Set, &token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains("nothing was changed"), "{error}");
}

/// The whole secret is the key, shown in a header of the vendor's own.
const PLAIN: &str = r#"
name = "A plain key"
documents = ["none"]
read_on = "2026-11-22"
base_url = "https://plain.example"

[secret]
plain_text = true

[credential]
header = { name = "x-api-key", value = "{secret}" }

[verify]
method = "GET"
path = "/me"
ok = [200]

[update]
method = "PUT"
path = "/me/key"
form = { key = "{new}" }
ok = [204]
"#;

fn plain(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let key = asked.header("x-api-key").to_owned();
    if keys.lets_in(&key).is_none() {
        return Told::json(401, "{}");
    }
    match asked.method.as_str() {
        "GET" => Told::json(200, "{}"),
        _ => {
            let new = asked.form("key").unwrap();
            // Letters, digits and punctuation, percent-encoded.
            let new = percent_decoded(&new);
            assert!(keys.update(&key, &new));
            Told::new(204, "")
        }
    }
}

pub fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                let digits = std::str::from_utf8(&digits).unwrap().to_owned();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap());
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_plain_text_secret_is_rotated_and_stays_a_plain_text() {
    let double = Double::start(plain).await.unwrap();
    let first = double.arrange(None).value;
    let spec = PLAIN.replace("https://plain.example", &double.url());
    let files = Files::new(&spec, &first, None);
    let output = files.replay(false, &["--json", "--rotations", "3", "--twice"]).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    let last = files.secret();
    assert!(double.works(last.trim_end()) && !double.works(&first), "{text}");
    assert!(serde_json::from_str::<Value>(&last).is_err() && !text.contains(last.trim_end()));
}

#[tokio::test]
async fn preflight_and_inspect_ask_the_vendor_and_change_nothing() {
    let double = Double::start(doubles::influxdb).await.unwrap();
    let key = double.arrange(None);
    let secret = json!({"masterarn": "admin", "authorization_id": key.id, "org_id": "org",
        "token": key.value});
    let text = redirected(&specification("influxdb.toml"), &double);
    for (admin, ready) in [(super::support::ADMIN, true), ("wrong", false)] {
        let files = Files::new(&text, &secret.to_string(), Some(&json!({"token": admin})));
        for question in ["preflight", "inspect"] {
            let output = files.ask(question).await;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            if question == "preflight" {
                assert_eq!(text.contains("\"ready\":true"), ready, "{text}");
                assert_eq!(text.contains("was not accepted"), !ready, "{text}");
            } else {
                assert!(text.contains("\"verdict\":\"accepted\""), "{text}");
            }
            assert!(!text.contains(&key.value), "{text}");
        }
    }
    assert_eq!(double.live(), [key.id]);
    assert!(double.asked().iter().all(|asked| asked.starts_with("GET")), "{:?}", double.asked());
}

#[tokio::test]
async fn a_function_whose_settings_are_wrong_names_the_variable_and_the_line() {
    let double = Double::start(plain).await.unwrap();
    let key = double.arrange(None).value;
    for (spec, says) in [
        (PLAIN.to_owned(), None),
        (PLAIN.replace("[verify]", "[verify]\nwhen = 1"), Some("line 14: unknown field `when`")),
        (String::new(), Some("line 1: name is missing")),
    ] {
        let place = Place::new(&spec.replace("https://plain.example", &double.url()), &key);
        let token = place.begin(1);
        match (place.step(Step::Create, &token).await, says) {
            (Ok(_), None) => {}
            (Err(error), Some(says)) => {
                let text = error.to_string();
                assert!(
                    text.contains("ROTATION_SPEC names a specification that is wrong"),
                    "{text}"
                );
                assert!(text.contains(says), "{text}");
            }
            (ended, _) => panic!("{ended:?}"),
        }
    }
}
