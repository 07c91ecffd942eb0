//! A wrong id beside the right key: nobody refused anything, and no key may go, since the one in use
//! stands in no version under its own id.

use std::time::Duration;

use fourstep::store::{AWSCURRENT, Select};
use fourstep::{ErrorKind, ExposeSecret, SecretValue, Step, VersionId};
use fourstep_local::NewValue;
use fourstep_testing::{Asked, Double, DoubleKeys, Fault, Manner, Told};
use serde_json::{Value, json};

use super::doubles;
use super::hostile::{SPEC, plain};
use super::support::{Place, redirected, specification};

/// A vendor, and which fields of the secret hold the key and its id.
struct Vendor {
    spec: String,
    manner: Manner,
    key: &'static str,
    id: &'static str,
}

fn cloudflare() -> Vendor {
    let spec = specification("cloudflare.toml");
    Vendor { spec, manner: doubles::cloudflare, key: "token", id: "token_id" }
}

fn okta() -> Vendor {
    let spec = specification("okta-client-secret.toml").replace("keys = 2\n", "");
    Vendor { spec, manner: doubles::okta, key: "client_secret", id: "secret_id" }
}

/// The plain vendor, which names the key that is shown to it.
fn named(more: &str) -> Vendor {
    let spec = SPEC.replace("[issue]\n", "id = \"/id\"\n\n[issue]\n");
    Vendor { spec: spec + more, manner: plain, key: "key", id: "key_id" }
}

/// The plain vendor, whose keys are shown with their ids.
fn shown() -> Vendor {
    let spec = SPEC.replace("{secret.key}", "{secret.key_id}:{secret.key}");
    Vendor { spec, manner: with_its_id, key: "key", id: "key_id" }
}

fn with_its_id(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let (id, key) = asked.bearer().split_once(':').unwrap();
    let right = keys.lets_in(key).is_some_and(|own| own == id);
    let bearer = format!("Bearer {}", if right { key } else { "none" });
    let asked = Asked {
        method: asked.method.clone(),
        path: asked.path.clone(),
        query: asked.query.clone(),
        headers: [("authorization".to_owned(), bearer)].into(),
        body: asked.body.clone(),
    };
    plain(keys, &asked)
}

/// A secret that was rotated once, so that its key is marked as ours where the vendor keeps marks.
async fn rotated(vendor: &Vendor) -> (Double, Place) {
    let double = Double::start(vendor.manner).await.unwrap();
    let key = double.arrange(Some("made by hand"));
    let mut secret = json!({"client_id": "0oaclient"});
    secret[vendor.key] = json!(key.value);
    secret[vendor.id] = json!(key.id);
    let place = Place::new(&redirected(&vendor.spec, &double), &secret.to_string());
    place.rotate(1).await.unwrap();
    // The next key is to be younger, by what vendors say of their moments.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    (double, place)
}

fn current(place: &Place) -> (VersionId, Value) {
    let read = place.store.get(&place.secret, Select::Label(AWSCURRENT)).unwrap();
    let SecretValue::Text(text) = read.value else { panic!("a text was stored") };
    (read.version, serde_json::from_str(text.expose_secret()).unwrap())
}

/// Somebody stores AWSCURRENT with another id, and abandons the rotation under way, or lets it go on;
/// the key that is in use, and its own id.
fn mistype(
    place: &Place,
    vendor: &Vendor,
    typo: fn(&str) -> String,
    abandons: bool,
) -> (String, String) {
    let (_, mut document) = current(place);
    let text = |field| document[field].as_str().unwrap().to_owned();
    let (key, id) = (text(vendor.key), text(vendor.id));
    document[vendor.id] = json!(typo(&id));
    let token = VersionId::from_store(format!("{:032}", 88));
    let text = document.to_string();
    let value = match abandons {
        true => NewValue::current(&token, text.as_str()),
        false => NewValue::labelled(&token, text.as_str(), &[AWSCURRENT]),
    };
    place.store.put(&place.secret, value).unwrap();
    (key, id)
}

const TYPOS: [fn(&str) -> String; 2] = [|id| format!("{id}.0"), |id| id.to_uppercase()];

#[tokio::test]
async fn rule_25_a_wrong_id_beside_the_right_key_is_no_refusal_and_nothing_is_revoked() {
    for vendor in [cloudflare(), okta(), named(""), named("\n[terms]\nkeys = 2\n"), shown()] {
        for typo in TYPOS {
            let (double, place) = rotated(&vendor).await;
            let (key, id) = mistype(&place, &vendor, typo, true);
            let (before, live) = (current(&place), double.live());
            let error = place.rotate(2).await.unwrap_err();
            let text = error.to_string();
            assert_eq!((error.kind(), error.step()), (ErrorKind::Mismatch, Some(Step::Create)));
            assert!(text.contains(&format!("{:?}", typo(&id))), "{text}");
            assert!(text.contains(&format!("{:?}", vendor.id)) && !text.contains(&key), "{text}");
            // A vendor that describes keys by their ids does not say the one of a key.
            let says = text.contains(&format!("{id:?}"));
            assert!(says || vendor.id == "secret_id", "{text}");
            assert_eq!((current(&place), double.live()), (before, live));
            assert!(double.works(&key));
        }
    }
}

#[tokio::test]
async fn rule_25_an_id_that_nobody_can_compare_must_be_one_that_is_listed_before_a_key_goes() {
    let vendor = Vendor { spec: SPEC.to_owned(), ..named("") };
    let (double, place) = rotated(&vendor).await;
    let (key, _) = mistype(&place, &vendor, TYPOS[0], true);
    let live = double.live();
    place.rotate(2).await.unwrap();
    assert_eq!(double.live().len(), live.len() + 1, "one is made, and none goes");
    assert!(double.works(&key));
}

/// The edit comes after testSecret, so AWSPREVIOUS is what was edited.
#[tokio::test]
async fn rule_25_a_wrong_id_in_awsprevious_keeps_every_key() {
    let unbound = Vendor { spec: SPEC.to_owned(), ..named("") };
    for vendor in [cloudflare(), okta(), named(""), unbound] {
        for typo in TYPOS {
            let (double, place) = rotated(&vendor).await;
            let token = place.begin(2);
            for step in [Step::Create, Step::Set, Step::Test] {
                place.step(step, &token).await.unwrap();
            }
            let (key, _) = mistype(&place, &vendor, typo, false);
            let live = double.live();
            place.step(Step::Finish, &token).await.unwrap();
            assert_eq!(current(&place).0, token);
            assert_eq!(double.live(), live, "{}", vendor.id);
            assert!(double.works(&key), "{}", vendor.id);
        }
    }
}

#[tokio::test]
async fn rule_25_a_new_key_that_is_the_one_in_use_is_neither_stored_nor_revoked() {
    let vendor = named("");
    for same_id in [true, false] {
        let (double, place) = rotated(&vendor).await;
        let (_, document) = current(&place);
        let told = match same_id {
            true => json!({"key": "canary-of-another", "id": document["key_id"]}),
            false => json!({"key": document["key"], "id": "another"}),
        };
        double.plan("POST", "/keys", Fault::Answer(Told::json(201, told.to_string())), 1);
        let token = place.begin(2);
        let error = place.step(Step::Create, &token).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("the key that the vendor made is \"id"), "{error}");
        assert!(place.store.get(&place.secret, Select::Version(&token)).is_err());
        assert!(double.works(document["key"].as_str().unwrap()));
    }
}
