//! Another account's value that an admin is shown is not stored: it is tried as the secret's own
//! credential first. What proves an account is looked at, and so is what is said to work on.

use std::time::Duration;

use fourstep::store::{AWSPENDING, Select};
use fourstep::{Deadline, ErrorKind, Invocation, Step};
use fourstep_testing::{Asked, Double, DoubleKeys, Fault, Told};
use serde_json::{Value, json};

use super::control::preflight;
use super::hostile::{SPEC, place_at, plain};
use super::support::{ADMIN, Place, basic};

/// Clients at an identity provider: an admin has a client's secret made anew, and sees it.
const CLIENTS: &str = r#"
name = "Secrets of clients"
documents = ["none"]
read_on = "2026-11-30"
base_url = "https://plain.example"

[secret]
key = "client_secret"

[credential]
basic = { username = "{secret.client}", password = "{secret.client_secret}" }

[admin]
bearer = "{admin.token}"

[verify]
method = "GET"
path = "/me"
ok = [200]

[describe]
method = "GET"
path = "/clients/{secret.uuid}/secret"
by = "admin"
key = "/value"

[roll]
method = "POST"
path = "/clients/{secret.uuid}/secret"
by = "admin"
works_on_seconds = 86400
trusted_fields = ["uuid"]
"#;

/// A client is every key of one name; its uuid is that name behind `uuid-`, and the last key is shown.
/// The client `hasty` has one secret at a time; a new one of the client `late` is let in when it is
/// shown for the third time.
fn clients(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let newest = |keys: &DoubleKeys, client: &str| {
        let mut all: Vec<_> =
            keys.all().filter(|key| key.name.as_deref() == Some(client)).collect();
        all.pop().cloned()
    };
    match (asked.method.as_str(), asked.segments().as_slice()) {
        (_, ["me"]) => {
            let (client, word) = basic(asked);
            let own = |key: &&fourstep_testing::DoubleKey| {
                key.name.as_deref() == Some(client.as_str()) && key.value == word
            };
            let known = keys.all().find(own).cloned();
            let first = keys.all().find(|key| key.name.as_deref() == Some(client.as_str()));
            let new =
                known.is_some() && first.map(|key| &key.id) != known.as_ref().map(|key| &key.id);
            let shown = keys.all().filter(|key| key.name.as_deref() == Some("shown")).count();
            if client == "late" && new && shown < 2 {
                keys.issue(Some("shown")).unwrap();
                return Told::json(401, "{}");
            }
            Told::json(if known.is_some() { 200 } else { 401 }, "{}")
        }
        _ if asked.bearer() != ADMIN => Told::json(403, "{}"),
        (method, ["clients", uuid, "secret"]) => {
            let client = uuid.strip_prefix("uuid-").unwrap_or(uuid).to_owned();
            let Some(old) = newest(keys, &client) else { return Told::json(404, "{}") };
            if method == "POST" {
                keys.issue(Some(&client)).unwrap();
                if client == "hasty" {
                    keys.revoke(&old.id);
                }
            }
            let shown = newest(keys, &client).map(|key| key.value);
            Told::json(200, json!({"value": shown}).to_string())
        }
        other => panic!("the vendor has no {other:?}"),
    }
}

/// A secret of one client beside the uuid of another.
async fn place(spec: &str, client: &str, uuid: &str) -> (Double, Place, String) {
    let double = Double::start(clients).await.unwrap();
    for client in ["other", "admin"] {
        double.arrange(Some(client));
    }
    let own = double.arrange(Some(client)).value;
    let secret =
        json!({"masterarn": "admin", "client": client, "uuid": uuid, "client_secret": own});
    let spec = spec.replace("https://plain.example", &double.url());
    let place = Place::new(&spec, &secret.to_string());
    (double, place, own)
}

/// Why createSecret ends, once it is known to have stored nothing, and nothing to be changed.
async fn refused(double: &Double, place: &Place) -> (ErrorKind, String) {
    let live = double.live();
    let token = place.begin(1);
    let error = place.step(Step::Create, &token).await.unwrap_err();
    assert!(place.store.get(&place.secret, Select::Label(AWSPENDING)).is_err(), "{error}");
    assert_eq!(double.live(), live, "{error}");
    (error.kind(), error.to_string())
}

#[tokio::test]
async fn rule_08_another_accounts_value_that_an_admin_is_shown_is_not_stored() {
    // A field that nothing proves; one whose proof the vendor does not look at; the admin's own.
    let faked = CLIENTS
        .replace("ok = [200]", "ok = [200]\nquery = { u = \"{secret.uuid}\" }")
        .replace("trusted_fields = [\"uuid\"]\n", "");
    let admins = CLIENTS
        .replace("{secret.uuid}", "{admin.username}")
        .replace("trusted_fields = [\"uuid\"]\n", "");
    for spec in [CLIENTS, &faked, &admins] {
        let (double, place, _) = self::place(spec, "app", "uuid-other").await;
        let (kind, said) = refused(&double, &place).await;
        assert_eq!(kind, ErrorKind::Mismatch, "{said}");
        assert!(said.contains("shows a value that it refuses as this secret's"), "{said}");
        let (_double, place, _) = self::place(spec, "app", "uuid-other").await;
        let said = preflight(&place).await;
        assert!(said.contains("it may be another account's"), "{said}");
    }
    // Where the uuid is the client's own, the one that the vendor does not look at is told too.
    let (_double, place, _) = self::place(&faked, "app", "uuid-app").await;
    let said = preflight(&place).await;
    assert!(said.contains("whatever the secret's field \"uuid\" says"), "{said}");
    let (_double, place, _) = self::place(CLIENTS, "app", "uuid-app").await;
    let said = preflight(&place).await;
    assert!(said.starts_with('|'), "{said}");
    let (_double, place, _) = self::place(CLIENTS, "app", "uuid-app").await;
    place.rotate(1).await.unwrap();
}

#[tokio::test]
async fn a_value_that_was_to_work_on_and_does_not_is_told_by_the_step_that_replaced_it() {
    for (client, dies) in [("app", false), ("hasty", true)] {
        let (double, place, own) = self::place(CLIENTS, client, &format!("uuid-{client}")).await;
        let token = place.begin(1);
        let cx = Invocation::new(Deadline::after(Duration::from_secs(30)));
        place.step_in(Step::Create, &token, &cx).await.unwrap();
        let said = cx.stats().warnings.join("; ");
        assert_eq!(said.contains("refuses AWSCURRENT's key since another one was made"), dies);
        assert_eq!(double.works(&own), !dies);
        // What was made is stored, and the rotation is what helps.
        for step in [Step::Set, Step::Test, Step::Finish] {
            place.step(step, &token).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_value_that_is_let_in_late_is_recorded_and_converges() {
    let (double, place, own) = self::place(CLIENTS, "late", "uuid-late").await;
    let token = place.begin(1);
    place.step(Step::Create, &token).await.unwrap();
    let error = place.step(Step::Set, &token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    assert!(place.store.get(&place.secret, Select::Label(AWSPENDING)).is_ok());
    let error = place.step(Step::Set, &token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    for step in Step::ALL {
        place.step(step, &token).await.unwrap();
    }
    assert!(double.works(&own));
}

/// The vendor lets any token in, whatever user the path names.
fn pathless(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    match (asked.method.as_str(), keys.lets_in(asked.bearer())) {
        ("GET", Some(id)) => Told::json(200, json!({"id": id, "team": 7}).to_string()),
        _ => Told::json(401, "{}"),
    }
}

const TOKENS: &str = r#"
name = "A token of a user"
documents = ["none"]
read_on = "2026-11-30"
base_url = "https://plain.example"

[credential]
bearer = "{secret.key}"

[admin]
bearer = "{admin.token}"

[verify]
method = "GET"
path = "/users/{secret.team}"
ok = [200]

[update]
method = "PUT"
path = "/users/{secret.team}/key"
by = "admin"
json = { new = "{new.key}" }
"#;

#[tokio::test]
async fn rule_08_preflight_finds_a_field_that_the_vendor_does_not_look_at() {
    let expected = TOKENS.replace("/users/{secret.team}\"\nok", "/me\"\nok");
    let expected =
        expected.replace("ok = [200]", "ok = [200]\nexpect = { \"/team\" = \"{secret.team}\" }");
    for (spec, team, says) in [
        (TOKENS, json!(7), "whatever the secret's field \"team\" says"),
        // What the answer says is compared, and a number is its text.
        (&expected, json!(7), "|this vendor is not told"),
        (&expected, json!("7"), "|this vendor is not told"),
        (&expected, json!(8), "\"/team\" in the answer is not what {secret.team} says"),
        (&expected, Value::Null, "no field \"team\""),
    ] {
        let double = Double::start(pathless).await.unwrap();
        let key = double.arrange(None);
        let secret = json!({"masterarn": "admin", "key": key.value, "team": team});
        let spec = spec.replace("https://plain.example", &double.url());
        let said = preflight(&Place::new(&spec, &secret.to_string())).await;
        assert!(said.contains(says), "{team}: {said}");
    }
}

/// The plain vendor, which takes no name twice.
fn unique(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let name = match asked.method.as_str() {
        "POST" => asked.json()["name"].as_str().map(str::to_owned),
        _ => None,
    };
    let taken = name.is_some() && keys.all().any(|key| key.name == name);
    match taken {
        true => Told::json(409, "{}"),
        false => plain(keys, asked),
    }
}

#[tokio::test]
async fn a_name_that_a_lost_answer_took_stands_in_nobodys_way() {
    let (double, place) = place_at(SPEC, unique).await;
    let token = place.begin(1);
    double.plan("POST", "/keys", Fault::LoseAnswer, 3);
    for _ in 0..3 {
        let error = place.step(Step::Create, &token).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    }
    for step in Step::ALL {
        place.step(step, &token).await.unwrap();
    }
}
