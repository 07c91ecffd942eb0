//! What preflight asks that no rotation would find out in time: whether a wrong key is refused, and
//! whether a key may be revoked. And how often a step asks for a token.

use std::time::{Duration, SystemTime};

use fourstep::store::{AWSCURRENT, Select};
use fourstep::{Deadline, Invocation, SecretValue, Step, VersionId};
use fourstep_local::NewValue;
use fourstep_testing::{Asked, DoubleKeys, Fault, Told};
use serde_json::json;

use super::faults;
use super::hostile::{SPEC, place_at, plain};
use super::support::Place;

/// What testSecret says of a copy of AWSCURRENT, as when a schedule is set: preflight. The error, if
/// there is one, and the warnings.
pub async fn preflight(place: &Place) -> String {
    let token = VersionId::from_store(format!("{:032}", 77));
    let read = place.store.get(&place.secret, Select::Label(AWSCURRENT)).unwrap();
    let SecretValue::Text(text) = read.value else { panic!("a text was stored") };
    let text = fourstep::ExposeSecret::expose_secret(&text).to_owned();
    place
        .store
        .put(&place.secret, NewValue::labelled(&token, text.as_str(), &["AWSPENDING"]))
        .unwrap();
    let cx = Invocation::new(Deadline::after(Duration::from_secs(30)));
    let ended = place.step_in(Step::Test, &token, &cx).await;
    let error = ended.err().map(|error| error.to_string()).unwrap_or_default();
    format!("{error}|{}", cx.stats().warnings.join("; "))
}

/// Who asks is not looked at.
fn open(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    match asked.path.as_str() {
        "/me" => Told::json(200, "{}"),
        _ => plain(keys, asked),
    }
}

#[tokio::test]
async fn a_verify_that_lets_anybody_in_is_found() {
    let (_double, good) = place_at(SPEC, plain).await;
    assert!(!preflight(&good).await.contains("that is wrong"));
    let (_double, bad) = place_at(SPEC, open).await;
    let said = preflight(&bad).await;
    assert!(said.contains("the vendor lets in a key that is wrong"), "{said}");
}

#[tokio::test]
async fn a_wrong_key_that_is_not_refused_as_the_file_says_is_told() {
    let (_double, place) = place_at(
        &SPEC.replace("path = \"/me\"\nok = [200]", "path = \"/me\"\nok = [200]\nrejected = [403]"),
        plain,
    )
    .await;
    let said = preflight(&place).await;
    assert!(
        said.starts_with('|') && said.contains("does not refuse a key that is wrong"),
        "{said}"
    );
}

#[tokio::test]
async fn whoever_may_not_revoke_is_found_before_a_rotation() {
    let spec = SPEC.replace("gone = [404]", "gone = [404]\nprobe = \"none\"");
    let (double, place) = place_at(&spec, plain).await;
    let said = preflight(&place).await;
    assert!(said.starts_with('|'), "{said}");
    double.plan("DELETE", "/keys/none", Fault::Answer(Told::json(403, "{}")), 1);
    let said = preflight(&place).await;
    assert!(said.contains("no key could be revoked") && said.contains("403"), "{said}");
    assert_eq!(double.live().len(), 1);
}

/// The plain vendor, which shows a key without its rights.
fn silent(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    match (asked.method.as_str(), asked.segments().as_slice()) {
        ("GET", ["keys", _]) => Told::json(200, r#"{"scopes": []}"#),
        _ => plain(keys, asked),
    }
}

#[tokio::test]
async fn what_createsecret_would_copy_and_cannot_is_found_before_a_rotation() {
    let describe = "[describe]\nmethod = \"GET\"\npath = \"/keys/{id}\"\nok = [200]\n\n[issue]\n";
    let spec = SPEC.replace("[issue]\n", &format!("id = \"/id\"\n\n{describe}"));
    for (pointer, says) in
        [("/scopes", "\"/scopes\" in the answer is empty"), ("/gone", "no \"/gone\"")]
    {
        let copied = format!("name = \"{{label}}\", of = \"{{described.{pointer}}}\"");
        let spec = spec.replace("name = \"{label}\"", &copied);
        let (double, place) = place_at(&spec, silent).await;
        let said = preflight(&place).await;
        assert!(said.contains("no key could be made") && said.contains(says), "{said}");
        assert!(!double.asked().iter().any(|asked| asked.starts_with("POST")));
        let (_double, place) = place_at(&spec, silent).await;
        let error = place.rotate(1).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

/// The plain vendor, which says that its keys end in ten days.
fn ending(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    if (asked.method.as_str(), asked.path.as_str()) != ("GET", "/keys") {
        return plain(keys, asked);
    }
    let ends = SystemTime::now() + Duration::from_secs(10 * 86_400 + 3600);
    let ends = ends.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let all: Vec<_> = keys.list().iter().map(|key| json!({"id": key.id, "ends": ends})).collect();
    Told::json(200, json!({"keys": all}).to_string())
}

#[tokio::test]
async fn a_key_that_ends_before_the_next_rotation_is_told() {
    let listed = "label = \"/name\"\n";
    let spec = |more: &str| SPEC.replace(listed, &format!("{listed}{more}"));
    let (_double, place) =
        place_at(&spec("expires = \"/ends\"\nexpires_as = \"unix\"\n"), ending).await;
    let said = preflight(&place).await;
    assert!(said.starts_with('|') && said.contains("ends by itself in 10 days"), "{said}");
    let said = place.files.show("inspect").await;
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("key \"") && said.contains(", ends in 10 days"), "{said}");
    let (_double, place) = place_at(&spec(""), ending).await;
    let said = preflight(&place).await;
    assert!(!said.contains("ends by itself"), "{said}");
    let said = place.files.show("inspect").await;
    assert!(!String::from_utf8(said.stdout).unwrap().contains("key \""));
}

#[tokio::test]
async fn a_step_asks_for_one_token() {
    let (double, place) = faults::place().await;
    place.rotate(1).await.unwrap();
    let token = place.begin(2);
    for step in Step::ALL {
        let before = double.asked().len();
        place.step(step, &token).await.unwrap();
        let asked = double.asked().split_off(before);
        let tokens = asked.iter().filter(|one| one.ends_with("/token")).count();
        // createSecret shows a wrong secret once.
        let wrong = usize::from(step == Step::Create);
        assert_eq!(tokens, 1 + wrong, "{step:?}: {asked:?}");
    }
}
