//! What proves nothing stops a rotation before a key is made or dies: a `[verify]` that lets anybody
//! in, and an id that says only what was asked.

use std::time::{Duration, SystemTime};

use fourstep::vendor::Label;
use fourstep::{Deadline, ErrorKind, Invocation, Step, VersionId};
use fourstep_testing::{Asked, Double, DoubleKeys, Fault, Told};
use serde_json::{Value, json};

use super::doubles_rolled;
use super::hostile::{SPEC, place_at, plain};
use super::support::{ADMIN, Place, redirected, specification};

/// What was asked that changes something.
fn changes(double: &Double) -> Vec<String> {
    double.asked().into_iter().filter(|asked| !asked.starts_with("GET")).collect()
}

/// A vendor that looks at the name in Basic authentication and not at the password, and shows the key
/// that the path names: a request of a token's, and not of the key's.
fn nameless(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    match (asked.method.as_str(), asked.segments().as_slice()) {
        ("GET", ["keys", id]) => Told::json(200, json!({"id": id}).to_string()),
        _ if asked.bearer() != ADMIN => Told::json(401, "{}"),
        ("POST", ["keys"]) => {
            let key = keys.issue(asked.json()["name"].as_str()).unwrap();
            Told::json(201, json!({"key": key.value, "id": key.id}).to_string())
        }
        ("GET", ["keys"]) => {
            let all: Vec<Value> =
                keys.list().iter().map(|key| json!({"id": key.id, "name": key.name})).collect();
            Told::json(200, json!({"keys": all}).to_string())
        }
        ("DELETE", ["keys", id]) if keys.revoke(id) => Told::new(204, ""),
        _ => Told::json(404, "{}"),
    }
}

/// The specification of that one, as somebody wrote it.
fn nameless_spec() -> String {
    let by_admin = |text: &str, path: &str| {
        text.replace(
            &format!("path = \"{path}\"\n"),
            &format!("path = \"{path}\"\nby = \"admin\"\n"),
        )
    };
    let credential = "basic = { username = \"token\", password = \"{secret.key}\" }";
    let text = SPEC.replace("bearer = \"{secret.key}\"", credential);
    let text = by_admin(&by_admin(&text, "/keys"), "/keys/{id}");
    let text = text.replace("\"/me\"", "\"/keys/{secret.key_id}\"");
    text.replace("[verify]", "[admin]\nbearer = \"{admin.token}\"\n\n[verify]")
}

#[tokio::test]
async fn rule_08_a_verify_that_lets_anybody_in_stops_a_rotation_before_a_key_is_made() {
    let (double, place) = place_at(&nameless_spec(), nameless).await;
    let token = place.begin(1);
    for _ in 0..3 {
        let error = place.step(Step::Create, &token).await.unwrap_err();
        assert_eq!((error.kind(), error.step()), (ErrorKind::Unsupported, Some(Step::Create)));
        assert!(error.to_string().contains("lets in a key that is wrong"), "{error}");
    }
    assert_eq!((changes(&double), double.live().len()), (vec![], 1));
    // One that is asked by the key itself.
    let open = |keys: &mut DoubleKeys, asked: &Asked| match asked.path.as_str() {
        "/me" => Told::json(200, "{}"),
        _ => plain(keys, asked),
    };
    let (double, place) = place_at(SPEC, open).await;
    assert_eq!(place.rotate(1).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!((changes(&double), double.live().len()), (vec![], 1));
    // Let in under another id than the secret's.
    let other = |keys: &mut DoubleKeys, asked: &Asked| match asked.path.as_str() {
        "/me" => {
            let id = keys.lets_in(asked.bearer()).unwrap_or_else(|| "nobody".to_owned());
            Told::json(200, json!({"id": id}).to_string())
        }
        _ => plain(keys, asked),
    };
    let bound = SPEC.replace("[issue]\n", "id = \"/id\"\n\n[issue]\n");
    let (double, place) = place_at(&bound, other).await;
    let error = place.rotate(1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert_eq!((changes(&double), double.live().len()), (vec![], 1));
}

#[tokio::test]
async fn rule_08_a_verify_that_lets_anybody_in_sets_no_value_and_makes_none_anew() {
    let anybody = |_: &mut DoubleKeys, asked: &Asked| match asked.method.as_str() {
        "GET" => Told::json(200, "{}"),
        _ => Told::new(204, ""),
    };
    let double = Double::start(anybody).await.unwrap();
    let text = redirected(&specification("grafana-password.toml"), &double);
    let place = Place::new(&text, r#"{"username":"rotated","password":"a-password-0001"}"#);
    let error = place.rotate(1).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.step()),
        (ErrorKind::Unsupported, Some(Step::Create)),
        "{error}"
    );
    assert_eq!(changes(&double), Vec::<String>::new());

    let lets_in = |keys: &mut DoubleKeys, asked: &Asked| match asked.path.as_str() {
        "/servicestats" => Told::json(200, "{}"),
        _ => doubles_rolled::azure_ai_search(keys, asked),
    };
    let double = Double::start(lets_in).await.unwrap();
    let text = redirected(&specification("azure-ai-search.toml"), &double);
    let secret = json!({"api_key": "a-key-0001", "key_kind": "primary", "subscription_id": "sub",
        "resource_group": "group", "service": "resource"});
    let place = Place::new(&text, &secret.to_string());
    let error = place.rotate(1).await.unwrap_err();
    assert!(error.to_string().contains("lets in a key that is wrong"), "{error}");
    assert!(!double.asked().iter().any(|asked| asked.contains("regenerate")));
}

/// Moments are told to the second, and the first three keys are of one.
fn one_second(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    if (asked.method.as_str(), asked.path.as_str()) != ("GET", "/keys") {
        return plain(keys, asked);
    }
    let made = |id: &str| 1_795_334_400 + u64::from(id > "id000003");
    let all: Vec<Value> = keys
        .list()
        .iter()
        .map(|key| json!({"id": key.id, "name": key.name, "made": made(&key.id)}))
        .collect();
    Told::json(200, json!({"keys": all, "next": null}).to_string())
}

#[tokio::test]
async fn rule_13_a_key_of_the_same_second_is_kept_with_a_warning_and_goes_with_the_next() {
    let bound = SPEC.replace("[issue]\n", "id = \"/id\"\n\n[issue]\n");
    let (double, place) = place_at(&bound, one_second).await;
    let token = place.begin(1);
    for step in [Step::Create, Step::Set, Step::Test] {
        place.step(step, &token).await.unwrap();
    }
    let arn = place.store.describe(&place.secret).unwrap().arn;
    let other = VersionId::from_store(format!("{:032}", 9));
    let lost = Label::new(&arn, &other, SystemTime::now()).to_string();
    let lost = double.arrange(Some(&lost));
    let cx = Invocation::new(Deadline::after(Duration::from_secs(30)));
    place.step_in(Step::Finish, &token, &cx).await.unwrap();
    let said = cx.stats().warnings.join("; ");
    assert!(said.contains(&format!("key {:?} is kept", lost.id)), "{said}");
    assert!(double.works(&lost.value));
    // The next key is of a later second, and the one that it replaces is the only other.
    place.rotate(2).await.unwrap();
    assert!(!double.works(&lost.value));
    assert_eq!(double.live().len(), 2);
}

/// The plain vendor, whose keys end with their id.
fn ending(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let shown = asked.bearer().rsplit_once('_').map_or("", |(key, _)| key).to_owned();
    let mut headers = asked.headers.clone();
    headers.insert("authorization".to_owned(), format!("Bearer {shown}"));
    let (method, path) = (asked.method.clone(), asked.path.clone());
    let (query, body) = (asked.query.clone(), asked.body.clone());
    let told = plain(keys, &Asked { method, path, query, headers, body });
    if asked.method != "POST" {
        return told;
    }
    let key = keys.list().pop().unwrap();
    Told::json(201, json!({"key": format!("{}_{}", key.value, key.id), "id": key.id}).to_string())
}

#[tokio::test]
async fn rule_25_a_key_that_ends_with_its_id_proves_it_and_another_id_costs_no_key() {
    let spec = SPEC.replace("[credential]", "[secret]\nkey_ends = \"_{id}\"\n\n[credential]");
    for (named, ends) in [("", true), ("x", false)] {
        let double = Double::start(ending).await.unwrap();
        let key = double.arrange(Some("made by hand"));
        let value = format!("{}_{}", key.value, key.id);
        let secret = json!({"key": value, "key_id": format!("{named}{}", key.id)});
        let place =
            Place::new(&spec.replace("https://plain.example", &double.url()), &secret.to_string());
        for number in 1..3 {
            let ended = place.rotate(number).await;
            assert_eq!(ended.is_ok(), ends, "{ended:?}");
            if let Err(error) = ended {
                assert_eq!(error.kind(), ErrorKind::Mismatch, "{error}");
                break;
            }
        }
        // The first one went without a label, since it is proven to be the secret's.
        assert_eq!(double.works(&key.value), !ends);
    }
}

#[tokio::test]
async fn no_room_is_told_by_what_stands_in_an_answer_and_nothing_else_revokes_a_key() {
    let spec = SPEC
        .replace("[issue]\n", "id = \"/id\"\n\n[issue]\nfull_when = { \"/why\" = \"limit\" }\n");
    for (why, full) in [("limit", true), ("forbidden", false)] {
        let (double, place) = place_at(&spec, plain).await;
        place.rotate(1).await.unwrap();
        let told = Told::json(403, json!({"why": why}).to_string());
        double.plan("POST", "/keys", Fault::Answer(told), 1);
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let token = place.begin(2);
        let created = place.step(Step::Create, &token).await;
        assert_eq!(created.is_ok(), full, "{created:?}");
        let revoked = double.asked().iter().filter(|asked| asked.starts_with("DELETE")).count();
        assert_eq!(revoked, usize::from(full));
    }
}

/// Moments without an offset.
fn local(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    if (asked.method.as_str(), asked.path.as_str()) != ("GET", "/keys") {
        return plain(keys, asked);
    }
    let all: Vec<Value> = (1..)
        .zip(keys.list())
        .map(|(at, key)| json!({"id": key.id, "name": key.name, "made": format!("2026-11-29T10:00:0{at}.5")}))
        .collect();
    Told::json(200, json!({"keys": all, "next": null}).to_string())
}

#[tokio::test]
async fn a_moment_without_an_offset_is_read_and_one_of_another_form_is_told_by_its_shape() {
    let (double, place) = place_at(&SPEC.replace("\"unix\"", "\"utc\""), local).await;
    place.rotate(1).await.unwrap();
    assert_eq!(double.live().len(), 2);
    let (_double, place) = place_at(&SPEC.replace("\"unix\"", "\"rfc3339\""), local).await;
    let said = place.rotate(1).await.unwrap_err().to_string();
    for part in [
        "\"/made\" in the answer is no moment as created_as = \"rfc3339\" reads it",
        "2026-11-22T08:00:00Z",
        "\"0000-00-00a00:00:00.0\"",
        "created may be left out",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("2026-11-29"), "{said}");
}

/// What is said of a specification in which something is replaced.
fn complaint(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{old}");
    let complaints = rotate_api::Specification::read(&text.replacen(old, new, 1)).err();
    let all: Vec<String> = complaints.iter().flatten().map(ToString::to_string).collect();
    all.join("; ")
}

#[test]
fn an_id_that_the_request_names_and_ends_without_one_are_refused() {
    let echo = "path = \"/keys/{secret.key_id}\"\nid = \"/id\"";
    let said = complaint(SPEC, "path = \"/me\"", echo);
    assert!(said.contains("it does not say whose key was shown"), "{said}");
    assert_eq!(complaint(SPEC, "path = \"/me\"", "path = \"/keys/{secret.key_id}\""), "");
    for (text, says) in [
        ("key_ends = \"x\"", "key_ends does not place {id}"),
        ("key_begins = \"{secret.of}{id}\"", "key_begins takes {id} and no other placeholder"),
        ("key_ends = \"{id\"", "is not closed"),
    ] {
        let said = complaint(SPEC, "[credential]", &format!("[secret]\n{text}\n\n[credential]"));
        assert!(said.contains(says), "{said}");
    }
    let optional = "method = \"POST\"\nheaders = { x-of = \"{described./of?}\" }";
    let said = complaint(SPEC, "method = \"POST\"", optional);
    assert!(said.contains("cannot stand in a header"), "{said}");
}

#[test]
fn what_is_missing_is_told_with_what_it_is_for() {
    let verify = "[verify]\nmethod = \"GET\"\npath = \"/me\"\nok = [200]\n";
    let credential = "[credential]\nbearer = \"{secret.key}\"\n";
    let said = complaint(&SPEC.replace(verify, ""), credential, "");
    assert!(said.contains("bearer, basic, header, query or client_credentials"), "{said}");
    assert!(
        said.contains("verify is missing") && said.contains("it only signs requests"),
        "{said}"
    );
    let said = complaint(SPEC, "bearer = \"{secret.key}\"\n", "");
    assert!(said.contains("one key stands here, and no more"), "{said}");
    let said = complaint(SPEC, "ok = [200]", "headers = { Authorization = \"x\" }");
    assert!(said.contains("by bearer, basic, or a header of that name"), "{said}");
    let said = complaint(SPEC, "path = \"/me\"", "path = \"/me\"\nby = \"admin\"");
    assert!(said.contains("it only signs requests"), "{said}");
}
