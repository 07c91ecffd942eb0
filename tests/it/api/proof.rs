//! What must be proven before an admin acts, and before a key goes that has no label of ours.

use fourstep::{Environment, ErrorKind, Step, VersionId};
use fourstep_local::NewValue;
use fourstep_testing::{Asked, Double, DoubleKey, DoubleKeys, Fault, Told};
use serde_json::{Value, json};

use super::doubles;
use super::hostile::{SPEC, place_at, plain};
use super::support::{ADMIN, Place, redirected, specification};

/// Two keys at a vendor: this secret's, and a victim's.
async fn two(
    file: &str,
    manner: fourstep_testing::Manner,
    secret: impl Fn(&DoubleKey, &DoubleKey) -> Value,
) -> (Double, Place) {
    let double = Double::start(manner).await.unwrap();
    let (own, victim) = (double.arrange(None), double.arrange(Some("a victim's")));
    let text = redirected(&specification(file), &double);
    let place = Place::new(&text, &secret(&own, &victim).to_string());
    (double, place)
}

fn changes(double: &Double) -> Vec<String> {
    let mut asked = double.asked();
    asked.retain(|asked| !asked.starts_with("GET") && !asked.contains("introspect"));
    asked
}

#[tokio::test]
async fn rule_08_an_admin_makes_and_revokes_nothing_for_a_secret_without_a_working_key() {
    let okta = |id: &str, secret: &str| json!({"client_id": "0oaclient", "client_secret": secret, "secret_id": id});
    let (double, place) =
        two("okta-client-secret.toml", doubles::okta, |_, victim| okta(&victim.id, "x")).await;
    let error = place.rotate(1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    assert!(error.to_string().contains("store a key that works first"), "{error}");
    assert_eq!((changes(&double), double.live().len()), (vec![], 2));

    // A key that works, beside another one's id.
    let (double, place) =
        two("okta-client-secret.toml", doubles::okta, |own, victim| okta(&victim.id, &own.value))
            .await;
    let error = place.rotate(1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch, "{error}");
    assert_eq!((changes(&double), double.live().len()), (vec![], 2));

    let (double, place) = two(
        "cloudflare.toml",
        doubles::cloudflare,
        |own, victim| json!({"token": own.value, "token_id": victim.id}),
    )
    .await;
    let error = place.rotate(1).await.unwrap_err();
    assert!(error.to_string().contains("is not key \"id000002\""), "{error}");
    assert_eq!((changes(&double), double.live().len()), (vec![], 2));
}

#[tokio::test]
async fn rule_08_finishsecret_for_a_version_written_by_hand_revokes_nothing_without_proof() {
    let (double, place) = two(
        "okta-client-secret.toml",
        doubles::okta,
        |own, _| json!({"client_id": "0oaclient", "client_secret": own.value, "secret_id": own.id}),
    )
    .await;
    let token = VersionId::from_store(format!("{:032}", 7));
    let forged = json!({"client_id": "0oaclient", "client_secret": "x", "secret_id": "id000002"});
    place.store.put(&place.secret, NewValue::current(&token, forged.to_string().as_str())).unwrap();
    let error = place.step(Step::Finish, &token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    assert_eq!(double.live().len(), 2);
}

#[tokio::test]
async fn rule_14_an_id_that_a_person_pasted_beside_another_key_is_never_revoked() {
    let (double, place) = two("entra-client-secret.toml", doubles::entra, |own, victim| {
        json!({"tenant_id": "tenant", "object_id": "object", "client_id": "app",
            "key_id": victim.id, "client_secret": own.value})
    })
    .await;
    for number in 1..4 {
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        place.rotate(number).await.unwrap();
    }
    assert!(double.live().contains(&"id000002".to_owned()), "{:?}", double.live());
}

#[tokio::test]
async fn a_key_that_has_no_label_goes_once_the_vendor_says_whose_id_it_is() {
    for (bound, live) in [(true, 2), (false, 3)] {
        let spec = if bound { SPEC.replace(BOUND.0, BOUND.1) } else { SPEC.to_owned() };
        let (double, place) = place_at(&spec, plain).await;
        for number in 1..4 {
            place.rotate(number).await.unwrap();
        }
        assert_eq!(double.live().len(), live, "{bound}");
    }
}

/// What is added at the end of `[verify]`.
const BOUND: (&str, &str) = ("[issue]\n", "id = \"/id\"\n\n[issue]\n");

/// Says 400 of a key that is gone, and of every other, which it revokes.
fn grudging(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let told = plain(keys, asked);
    if asked.method == "DELETE" { Told::json(400, "{}") } else { told }
}

#[tokio::test]
async fn a_key_that_is_listed_no_more_is_gone_whatever_the_vendor_answered() {
    let (double, place) = place_at(&SPEC.replace(BOUND.0, BOUND.1), grudging).await;
    place.rotate(1).await.unwrap();
    place.rotate(2).await.unwrap();
    assert_eq!(double.live().len(), 2);
}

/// Lists every key twice, and says no moment for the one that a person made.
fn shifting(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let told = plain(keys, asked);
    if (asked.method.as_str(), asked.path.as_str()) != ("GET", "/keys") {
        return told;
    }
    let all: Vec<Value> = keys
        .list()
        .iter()
        .map(|key| {
            let made = key.created.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
            let made =
                if key.name.as_deref() == Some("made by hand") { Value::Null } else { made.into() };
            json!({"id": key.id, "name": key.name, "made": made})
        })
        .collect();
    let twice = [all.clone(), all].concat();
    Told::json(200, json!({"keys": twice, "next": null}).to_string())
}

#[tokio::test]
async fn keys_that_are_listed_twice_or_without_a_moment_are_counted_and_dated_once() {
    let spec = SPEC.replace(BOUND.0, BOUND.1);
    let (double, place) = place_at(&format!("{spec}\n[terms]\nkeys = 3\n"), shifting).await;
    place.rotate(1).await.unwrap();
    // Two live, and listed twice they would be four: the previous one would have to go.
    let token = place.begin(2);
    place.step(Step::Create, &token).await.unwrap();
    assert_eq!(double.live().len(), 3);
    for step in [Step::Set, Step::Test, Step::Finish] {
        place.step(step, &token).await.unwrap();
    }
    assert_eq!(double.live().len(), 2);
}

#[tokio::test]
async fn rule_13_a_labelled_version_keeps_its_key_though_only_the_id_can_be_read() {
    let spec = format!("{SPEC}\n[terms]\nownership = \"account\"\n");
    let keep = |place: &Place, value: Value| {
        let token = VersionId::from_store(format!("{:032}", 99));
        let value = NewValue::labelled(&token, value.to_string().as_str(), &["KEEP"]);
        place.store.put(&place.secret, value).unwrap();
    };
    let (double, place_with_id) = place_at(&spec, plain).await;
    let kept = double.arrange(None);
    keep(&place_with_id, json!({"key_id": kept.id}));
    place_with_id.rotate(1).await.unwrap();
    assert!(double.works(&kept.value));

    let (double, place_without) = place_at(&spec, plain).await;
    let kept = double.arrange(None);
    keep(&place_without, json!({"key": kept.value}));
    let error = place_without.rotate(1).await.unwrap_err();
    assert_eq!(error.step(), Some(Step::Finish));
    assert!(error.to_string().contains("take its label away"), "{error}");
    assert!(double.works(&kept.value));
}

#[tokio::test]
async fn a_secret_that_was_switched_off_by_a_lost_attempt_is_deleted_by_the_next() {
    let double = Double::start(doubles::okta).await.unwrap();
    double.limits(Some(2), 0);
    let key = double.arrange(None);
    let text = redirected(&specification("okta-client-secret.toml"), &double);
    let secret = json!({"client_id": "0oaclient", "client_secret": key.value, "secret_id": key.id});
    let place = Place::new(&text, &secret.to_string());
    place.rotate(1).await.unwrap();
    double.plan("DELETE", "/", Fault::Answer(Told::json(503, "{}")), 1);
    let error = place.rotate(2).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    let token = VersionId::from_store(format!("{:032}", 2));
    for step in Step::ALL {
        place.step(step, &token).await.unwrap();
    }
    assert_eq!(double.live().len(), 2);
}

/// A password that an admin sets, who is let in whatever is said of the old one.
const RESET: &str = r#"
name = "A password set by an admin"
documents = ["none"]
read_on = "2026-11-22"
base_url = "https://plain.example"

[credential]
bearer = "{secret.key}"

[admin]
bearer = "{admin.token}"

[verify]
method = "GET"
path = "/users/{secret.user}"
ok = [200]

[update]
method = "PUT"
path = "/users/{secret.user}/key"
by = "admin"
json = { old = "{secret.key}", new = "{new.key}" }
ok = [204]
"#;

fn reset(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    match (asked.method.as_str(), asked.bearer() == ADMIN) {
        ("PUT", true) => {
            let value = keys.all().next().unwrap().value.clone();
            assert!(keys.update(&value, asked.json()["new"].as_str().unwrap()));
            Told::new(204, "")
        }
        ("GET", false) if keys.lets_in(asked.bearer()).is_some() => Told::json(200, "{}"),
        _ => Told::json(401, "{}"),
    }
}

#[tokio::test]
async fn rule_08_an_admin_resets_no_account_whose_old_value_is_not_proven() {
    for (right, live) in [(true, true), (false, false)] {
        let double = Double::start(reset).await.unwrap();
        let key = double.arrange(None);
        let value = if right { key.value.as_str() } else { "x" };
        let spec = RESET.replace("https://plain.example", &double.url());
        let place = Place::new(&spec, &json!({"user": "victim", "key": value}).to_string());
        assert_eq!(place.rotate(1).await.is_ok(), live);
        assert_eq!(double.works(&key.value), !right);
        assert_eq!(double.asked().iter().any(|asked| asked.starts_with("PUT")), right);
    }
}

#[tokio::test]
async fn an_admin_that_is_not_let_in_says_nothing_about_the_value() {
    let double = Double::start(reset).await.unwrap();
    let key = double.arrange(None);
    let spec = RESET.replace("https://plain.example", &double.url());
    let place = Place::new(&spec, &json!({"user": "u", "key": key.value}).to_string());
    double.plan("PUT", "/", Fault::Answer(Told::json(401, "{}")), 9);
    let error = place.rotate(1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
    // A wrong value was shown, current was asked about, and nothing else was tried.
    assert_eq!(double.asked(), ["GET /users/u", "GET /users/u", "PUT /users/u/key"]);
}

#[tokio::test]
async fn rule_03_nothing_is_waited_for_behind_the_fence() {
    let double = Double::start(doubles::grafana).await.unwrap();
    let key = double.arrange(None);
    let text = redirected(&specification("grafana-password.toml"), &double);
    let place =
        Place::new(&text, &json!({"username": "rotated", "password": key.value}).to_string());
    double.plan("PUT", "/", Fault::TooMany(1), 1);
    let error = place.rotate(1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled, "{error}");
    assert!(double.works(&key.value));
}

#[tokio::test]
async fn a_wait_of_all_time_is_reported() {
    let (double, place) = place_at(SPEC, plain).await;
    double.plan("POST", "/keys", Fault::TooMany(u64::MAX), 1);
    let error = place.rotate(1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled, "{error}");
}

#[test]
fn a_shipped_specification_without_a_host_of_its_own_is_refused_at_the_start() {
    for name in ["okta-client-secret", "influxdb", "grafana-password"] {
        let named = Environment::from([("ROTATION_SPEC", name), ("ADMIN_SECRET", "admin")]);
        let Err(error) = rotate_api::rotator(&named) else { panic!("{name}") };
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains("base_url is a placeholder"), "{error}");
    }
}
