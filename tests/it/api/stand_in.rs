//! Where AWSCURRENT's key proves nothing, another version's key speaks for the account: the new key
//! is made with that one's rights, and nothing is taken from AWSCURRENT but its document.

use std::sync::Mutex;

use fourstep::VersionId;
use fourstep_local::NewValue;
use fourstep_testing::{Asked, Double, DoubleKeys, Manner, Told};
use serde_json::{Value, json};

use super::doubles;
use super::hostile::{SPEC, plain};
use super::support::{Place, redirected, specification};

/// The policies of every token that was made.
static MADE: Mutex<Vec<Value>> = Mutex::new(Vec::new());

/// Cloudflare, where every token has policies of its own.
fn cloudflare(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let segments = asked.segments();
    match (asked.method.as_str(), segments.as_slice()) {
        ("GET", [.., "user", "tokens", "verify"]) => doubles::cloudflare(keys, asked),
        ("GET", [.., "user", "tokens", id]) => match keys.all().any(|key| key.id == *id) {
            true => {
                let policies = json!([{"effect": "allow", "as": id}]);
                let result = json!({"id": id, "policies": policies});
                Told::json(200, json!({"success": true, "result": result}).to_string())
            }
            false => Told::json(404, json!({"success": false}).to_string()),
        },
        ("POST", [.., "user", "tokens"]) => {
            MADE.lock().unwrap().push(asked.json()["policies"].clone());
            doubles::cloudflare(keys, asked)
        }
        _ => doubles::cloudflare(keys, asked),
    }
}

/// A secret of two versions: the one before AWSCURRENT holds a key that works, AWSCURRENT what
/// `current` makes of it with the help of the double.
async fn place(
    manner: Manner,
    spec: &str,
    fields: [&str; 2],
    current: impl Fn(&Double) -> [String; 2],
) -> (Double, Place) {
    let double = Double::start(manner).await.unwrap();
    let own = double.arrange(Some("made by hand"));
    let secret = |[id, key]: [&str; 2]| json!({fields[0]: id, fields[1]: key}).to_string();
    let place = Place::new(&redirected(spec, &double), &secret([&own.id, &own.value]));
    let [id, key] = current(&double);
    let token = VersionId::from_store(format!("{:032}", 77));
    let value = secret([&id, &key]);
    place.store.put(&place.secret, NewValue::current(&token, value.as_str())).unwrap();
    (double, place)
}

/// A key that was revoked after it was stored.
fn dead(double: &Double) -> [String; 2] {
    let key = double.arrange(None);
    double.revoke(&key.id);
    [key.id, key.value]
}

#[tokio::test]
async fn rule_08_rights_are_those_of_the_key_that_is_proven_and_not_of_awscurrents_id() {
    // Nothing is learnt late here, so nobody waits for it.
    let text = specification("cloudflare.toml")
        .replace("propagation_seconds = 30", "propagation_seconds = 0");
    // Whoever may write the secret names the admin's own token beside a key that is none.
    let forged = |double: &Double| [double.arrange(Some("the admin's")).id, "garbage".to_owned()];
    let fields = ["token_id", "token"];
    let (double, forged) = place(cloudflare, &text, fields, forged).await;
    forged.rotate(1).await.unwrap();
    assert!(double.live().contains(&"id000002".to_owned()), "the admin's own token is gone");

    // The id of a token that is gone is none that the vendor can be asked about.
    let (double, dead) = place(cloudflare, &text, fields, dead).await;
    dead.rotate(1).await.unwrap();
    // AWSCURRENT's is gone, so applications use the one that proved itself until they read the new one.
    assert_eq!(double.live(), ["id000001", "id000003"]);

    let proven = json!([{"effect": "allow", "as": "id000001"}]);
    assert_eq!(*MADE.lock().unwrap(), [proven.clone(), proven]);
}

#[tokio::test]
async fn a_dead_key_that_asks_for_itself_is_repaired_by_another_versions() {
    let bound = SPEC.replace("[issue]\n", "id = \"/id\"\n\n[issue]\n");
    let limited = format!("{bound}\n[terms]\nkeys = 5\n");
    let header = SPEC.replace(
        "bearer = \"{secret.key}\"",
        "header = { name = \"Authorization\", value = \"Bearer {secret.key}\" }",
    );
    for spec in [SPEC, &bound, &limited, &header] {
        let (double, place) = place(plain, spec, ["key_id", "key"], dead).await;
        place.rotate(1).await.unwrap();
        assert!(double.live().contains(&"id000003".to_owned()), "{spec}");
        place.rotate(2).await.unwrap();
    }
}
