//! An id stands in logs and errors: one that gives its key away ends in an error without it.

use fourstep::store::Select;
use fourstep::{ErrorKind, ExposeSecret, SecretValue, Step};
use fourstep_testing::{Double, Fault, Told};
use serde_json::json;

use super::hostile::{SPEC, plain};
use super::support::Place;

async fn place(secret: impl Fn(&str, &str) -> serde_json::Value) -> (Double, Place, String) {
    let double = Double::start(plain).await.unwrap();
    let key = double.arrange(Some("made by hand"));
    let spec = SPEC.replace("https://plain.example", &double.url());
    let place = Place::new(&spec, &secret(&key.id, &key.value).to_string());
    (double, place, key.value)
}

#[tokio::test]
async fn an_id_in_the_secret_that_gives_the_key_away_is_refused_and_not_shown() {
    for id in [
        |key: &str| key.to_owned(),
        |key: &str| format!("id of {key}"),
        |key: &str| key[..key.len() - 3].to_owned(),
    ] {
        let (double, place, key) =
            place(|_, value| json!({"key": value, "key_id": id(value)})).await;
        let error = place.rotate(1).await.unwrap_err();
        let text = error.to_string();
        assert_eq!((error.kind(), error.step()), (ErrorKind::Malformed, Some(Step::Create)));
        assert!(text.contains("\"key_id\"") && !text.contains(&key[..key.len() - 3]), "{text}");
        assert!(double.asked().is_empty(), "{:?}", double.asked());
    }
    // A number may stand in any key.
    let (double, place, _) = place(|_, value| json!({"key": value, "key_id": &value[6..7]})).await;
    place.step(Step::Create, &place.begin(1)).await.unwrap();
    assert_eq!(double.live().len(), 2);
}

#[tokio::test]
async fn an_id_in_an_answer_that_gives_the_key_away_is_refused_and_not_shown() {
    let new = "canary-of-a-new-key";
    let (double, place, key) = place(|id, value| json!({"key": value, "key_id": id})).await;
    let told = Told::json(201, json!({"key": new, "id": format!("x{new}")}).to_string());
    double.plan("POST", "/keys", Fault::Answer(told), 1);
    let token = place.begin(1);
    let error = place.step(Step::Create, &token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    let text = error.to_string();
    assert!(text.contains("issue (POST") && text.contains("labelled fourstep-"), "{text}");
    assert!(!text.contains("canary"), "{text}");

    for step in [Step::Create, Step::Set, Step::Test] {
        place.step(step, &token).await.unwrap();
    }
    let stored = place.store.get(&place.secret, Select::Version(&token)).unwrap().value;
    let SecretValue::Text(stored) = stored else { panic!("a text was stored") };
    let stored: serde_json::Value = serde_json::from_str(stored.expose_secret()).unwrap();
    let current = stored["key"].as_str().unwrap().to_owned();
    let told = json!({"keys": [{"id": current, "name": null, "made": 0}], "next": null});
    double.plan("GET", "/keys", Fault::Answer(Told::json(200, told.to_string())), 1);
    let error = place.step(Step::Finish, &token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(!error.to_string().contains(&current) && !error.to_string().contains(&key), "{error}");
}
