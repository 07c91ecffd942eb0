//! Values that a vendor makes anew: two slots, and one value whose predecessor works on. An answer
//! that is lost, a slot that somebody made anew, a wrong slot beside the right key.

use fourstep::store::{AWSCURRENT, Select};
use fourstep::{ErrorKind, ExposeSecret, SecretValue, Step};
use fourstep_testing::{Asked, Double, DoubleKeys, Fault, Told};
use serde_json::{Value, json};

use super::control::preflight;
use super::support::{ADMIN, Files, Place};

const SLOTS: &str = r#"
name = "Two slots"
documents = ["none"]
read_on = "2026-11-29"
base_url = "https://plain.example"

[secret]
id = "slot"

[credential]
bearer = "{secret.key}"

[admin]
bearer = "{admin.token}"

[verify]
method = "GET"
path = "/me"

[describe]
method = "GET"
path = "/keys"
by = "admin"

[roll]
method = "POST"
path = "/keys/{id}"
by = "admin"
slots = { one = "/one", two = "/two" }
"#;

/// The name of the one value, where a key that is replaced works on.
const ONE: &str = "the-one";

/// Slots are keys by name; a value that works on is every key of one name.
fn vendor(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let shown = |keys: &DoubleKeys| {
        let named =
            keys.all().filter_map(|key| Some((key.name.clone()?, key.value.clone().into())));
        Told::json(200, Value::Object(named.collect()).to_string())
    };
    match (asked.method.as_str(), asked.segments().as_slice()) {
        ("GET", ["me"]) if keys.lets_in(asked.bearer()).is_some() => Told::json(200, "{}"),
        ("GET", ["me"]) => Told::json(401, "{}"),
        _ if asked.bearer() != ADMIN => Told::json(403, "{}"),
        ("GET", ["keys"]) => shown(keys),
        ("POST", ["keys", slot]) => {
            let old = keys.all().find(|key| key.name.as_deref() == Some(slot)).cloned();
            if let Some(old) = old.filter(|_| *slot != ONE) {
                keys.revoke(&old.id);
            }
            keys.issue(Some(slot)).unwrap();
            shown(keys)
        }
        other => panic!("the vendor has no {other:?}"),
    }
}

async fn place(slots: bool) -> (Double, Place) {
    let double = Double::start(vendor).await.unwrap();
    let first = double.arrange(Some(if slots { "one" } else { ONE }));
    let mut text = SLOTS.replace("https://plain.example", &double.url());
    let mut secret = json!({"masterarn": "admin", "key": first.value});
    match slots {
        true => {
            secret["slot"] = json!("one");
            double.arrange(Some("two"));
        }
        false => {
            text = text
                .replace("slots = { one = \"/one\", two = \"/two\" }", "works_on_seconds = 86400");
            text = text.replace("/keys/{id}", &format!("/keys/{ONE}"));
            text = text.replace("path = \"/keys\"", &format!("path = \"/keys\"\nkey = \"/{ONE}\""));
        }
    }
    (double, Place::new(&text, &secret.to_string()))
}

fn current(place: &Place) -> Value {
    let read = place.store.get(&place.secret, Select::Label(AWSCURRENT)).unwrap();
    let SecretValue::Text(text) = read.value else { panic!("a text was stored") };
    serde_json::from_str(text.expose_secret()).unwrap()
}

fn works(double: &Double, secret: &Value) -> bool {
    double.works(secret["key"].as_str().unwrap())
}

#[tokio::test]
async fn an_answer_that_is_lost_costs_nobody_a_key() {
    for slots in [true, false] {
        let (double, place) = place(slots).await;
        let failing = || Fault::Answer(Told::json(500, "{}"));
        for (number, fault) in (1..).zip([Fault::LoseAnswer, failing(), Fault::LoseAnswer]) {
            let before = current(&place);
            double.plan("POST", "/keys", fault, 1);
            let token = place.begin(number);
            let error = place.step(Step::Create, &token).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
            assert!(works(&double, &before), "slots {slots}");
            for step in Step::ALL {
                place.step(step, &token).await.unwrap();
                assert!(works(&double, &current(&place)), "slots {slots}");
            }
            assert!(works(&double, &before) && current(&place) != before, "slots {slots}");
        }
        let made = double.asked().iter().filter(|one| one.starts_with("POST")).count();
        // Where what was made is there to be read, it is not made again.
        assert_eq!(made, if slots { 6 } else { 4 });
    }
}

#[tokio::test]
async fn a_value_that_somebody_made_anew_is_given_up_and_the_next_rotation_goes_on() {
    for slots in [true, false] {
        let (double, place) = place(slots).await;
        let before = current(&place);
        let token = place.begin(1);
        place.step(Step::Create, &token).await.unwrap();
        if slots {
            double.revoke(double.live().last().unwrap());
        }
        double.arrange(Some(if slots { "two" } else { ONE }));
        let error = place.step(Step::Set, &token).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        let said = error.to_string();
        assert!(said.contains("AWSPENDING was taken off this version; rotate again"), "{said}");
        assert_eq!(current(&place), before);
        assert!(works(&double, &before));
        place.rotate(2).await.unwrap();
        assert!(works(&double, &current(&place)) && current(&place) != before);
    }
}

#[tokio::test]
async fn rule_25_the_other_slots_name_beside_the_right_key_changes_nothing() {
    let (double, place) = place(true).await;
    let mut wrong = current(&place);
    let live = double.live();
    for (slot, kind) in [("two", ErrorKind::Mismatch), ("ONE", ErrorKind::Malformed)] {
        wrong["slot"] = json!(slot);
        let other = Place::new(
            &std::fs::read_to_string(place.files.path("spec.toml")).unwrap(),
            &wrong.to_string(),
        );
        let error = other.rotate(1).await.unwrap_err();
        assert_eq!((error.kind(), error.step()), (kind, Some(Step::Create)), "{error}");
        assert!(error.to_string().contains("field \"slot\""), "{error}");
        assert_eq!(double.live(), live);
    }
}

#[tokio::test]
async fn preflight_and_plan_tell_what_would_be_made_anew_and_change_nothing() {
    let (double, place) = place(true).await;
    let (live, secret) = (double.live(), current(&place));
    let said = preflight(&place).await;
    assert!(said.starts_with('|') && said.contains("which value is replaced"), "{said}");
    let text = std::fs::read_to_string(place.files.path("spec.toml")).unwrap();
    let admin = json!({"token": ADMIN});
    let plan = Files::new(&text, &secret.to_string(), Some(&admin)).ask("plan").await;
    let plan = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert!(plan.contains("\\\"two\\\" made anew, asked by the admin"), "{plan}");
    let mut wrong = secret;
    wrong["slot"] = json!("two");
    let said = preflight(&Place::new(&text, &wrong.to_string())).await;
    assert!(said.contains("is not the one in the vendor's slot \"two\""), "{said}");
    assert_eq!(double.live(), live);

    let (double, place) = self::place(false).await;
    double.arrange(Some(ONE));
    let said = preflight(&place).await;
    assert!(said.starts_with('|') && said.contains("for a time only: rotate now"), "{said}");
    let text = std::fs::read_to_string(place.files.path("spec.toml")).unwrap();
    let secret = current(&place).to_string();
    let plan = Files::new(&text, &secret, Some(&json!({"token": ADMIN}))).ask("plan").await;
    let plan = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert!(plan.contains("takes over the value that the vendor shows"), "{plan}");
}
