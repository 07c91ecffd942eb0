//! Hostile specifications, secrets and answers end in clear errors and change nothing.

use std::time::{Duration, Instant};

use fourstep::{Deadline, ErrorKind, Invocation, Step};
use fourstep_testing::{Double, Fault, Manner, Told};
use serde_json::{Value, json};

use super::support::Place;

#[path = "../../examples/vendor.rs"]
mod vendor;

pub use vendor::plain;

/// The plainest vendor: keys with a name, shown as Bearer, by themselves.
pub const SPEC: &str = r#"
name = "Plain keys"
documents = ["none"]
read_on = "2026-11-22"
base_url = "https://plain.example"

[credential]
bearer = "{secret.key}"

[verify]
method = "GET"
path = "/me"
ok = [200]

[issue]
method = "POST"
path = "/keys"
json = { name = "{label}" }
ok = [201]

[issue.answer]
key = "/key"
id = "/id"

[list]
method = "GET"
path = "/keys"
ok = [200]
items = "/keys"
id = "/id"
label = "/name"
created = "/made"
created_as = "unix"
pages = { cursor = { query = "after", next = "/next" } }

[[revoke]]
method = "DELETE"
path = "/keys/{id}"
ok = [204]
gone = [404]
"#;

/// A double, and a secret whose key works there.
async fn place_with(spec: &str, manner: Manner, change: impl Fn(&mut Value)) -> (Double, Place) {
    let double = Double::start(manner).await.unwrap();
    let key = double.arrange(Some("made by hand"));
    let mut secret = json!({"key": key.value, "key_id": key.id});
    change(&mut secret);
    let spec = spec.replace("https://plain.example", &double.url());
    let place = Place::new(&spec, &secret.to_string());
    (double, place)
}

/// The same for a specification and a vendor of its own.
pub async fn place_at(spec: &str, manner: Manner) -> (Double, Place) {
    place_with(spec, manner, |_| {}).await
}

async fn place() -> (Double, Place) {
    place_at(SPEC, plain).await
}

/// What a server says that was sent a key: it repeats it wherever it can.
const ECHO: &str = "canary-of-the-answer";

#[tokio::test]
async fn hostile_answers_to_issue_end_createsecret_and_store_nothing() {
    let answers = [
        (
            "html",
            Told::new(201, format!("<html>{ECHO}</html>")).with("content-type", "text/html"),
            ErrorKind::Unsupported,
            "the answer is no JSON: 33 bytes, text/html",
        ),
        (
            "a type",
            Told::new(201, "x").with("content-type", ECHO),
            ErrorKind::Unsupported,
            "of an unknown type",
        ),
        (
            "no key",
            Told::json(201, format!(r#"{{"id":"{ECHO}"}}"#)),
            ErrorKind::Unsupported,
            "the answer has no \"/key\"",
        ),
        (
            "a list",
            Told::json(201, format!(r#"{{"id":"i","key":["{ECHO}"]}}"#)),
            ErrorKind::Unsupported,
            "\"/key\" in the answer is neither text nor a number",
        ),
        ("empty", Told::json(201, r#"{"id":"","key":"k"}"#), ErrorKind::Unsupported, "\"/id\""),
        ("nothing", Told::new(201, ""), ErrorKind::Unsupported, "the answer is no JSON: 0 bytes"),
        (
            "success that is none",
            Told::json(200, format!(r#"{{"error":"{ECHO}"}}"#)),
            ErrorKind::Unsupported,
            "status 200",
        ),
        (
            "10 MB",
            Told::json(201, ECHO.repeat(500_000)),
            ErrorKind::Unsupported,
            "longer than 1048576 bytes",
        ),
        (
            "redirect",
            Told::new(302, ECHO).with("location", "https://elsewhere.example/"),
            ErrorKind::Unsupported,
            "redirects are not followed",
        ),
        (
            "not allowed",
            Told::json(403, format!(r#""{ECHO}""#)),
            ErrorKind::Forbidden,
            "status 403",
        ),
        ("failing", Told::new(503, ECHO), ErrorKind::Unreachable, "the vendor is failing; retry"),
        ("no status", Told::new(999, ECHO), ErrorKind::Unsupported, "status 999"),
    ];
    for (name, told, kind, says) in answers {
        let (double, place) = place().await;
        double.plan("POST", "/keys", Fault::Answer(told), 1);
        let token = place.begin(1);
        let error = place.step(Step::Create, &token).await.unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind(), kind, "{name}: {text}");
        assert!(text.contains(says), "{name}: {text}");
        assert!(!text.contains(ECHO) && !text.contains("elsewhere"), "{name}: {text}");
        assert!(text.starts_with("createSecret: issue (POST http://127.0.0.1:"), "{text}");
        assert_eq!(double.live().len(), 1, "{name}");
        // Nothing was stored, so the next attempt is a first one.
        for step in Step::ALL {
            place.step(step, &token).await.unwrap();
        }
        assert_eq!(double.live().len(), 2, "{name}");
    }
}

#[tokio::test]
async fn a_verdict_is_the_vendors_own_word_and_anything_else_is_an_error() {
    for told in [
        Told::new(200, "").with("connection", "close"),
        Told::json(403, "{}"),
        Told::json(500, "{}"),
        Told::new(302, "").with("location", "/login"),
        Told::json(404, "{}"),
    ] {
        let (double, place) = place().await;
        let token = place.begin(1);
        place.step(Step::Create, &token).await.unwrap();
        let accepted = told == Told::new(200, "").with("connection", "close");
        double.plan("GET", "/me", Fault::Answer(told.clone()), 1);
        let set = place.step(Step::Set, &token).await;
        assert_eq!(set.is_ok(), accepted, "{told:?}: {set:?}");
        let refused = set.err().map(|error| error.kind());
        assert_ne!(refused, Some(ErrorKind::Rejected), "{told:?}");
    }
}

#[tokio::test]
async fn endless_pages_end_and_retire_nothing() {
    let circle = json!({"keys": [], "next": "again"}).to_string();
    let (double, place) = place().await;
    let token = place.begin(1);
    for step in [Step::Create, Step::Set, Step::Test] {
        place.step(step, &token).await.unwrap();
    }
    double.plan("GET", "/keys", Fault::Answer(Told::json(200, circle)), u32::MAX);
    let error = place.step(Step::Finish, &token).await.unwrap_err();
    assert!(error.to_string().contains("\"/next\" leads to the same page again"), "{error}");
    assert_eq!(double.live().len(), 2);

    let by_number = SPEC.replace(
        "pages = { cursor = { query = \"after\", next = \"/next\" } }",
        "pages = { number = { query = \"page\", first = 1 } }",
    );
    let (double, place) = place_at(&by_number, plain).await;
    let token = place.begin(1);
    for step in [Step::Create, Step::Set, Step::Test] {
        place.step(step, &token).await.unwrap();
    }
    // This double gives every page the same keys.
    let error = place.step(Step::Finish, &token).await.unwrap_err();
    assert!(error.to_string().contains("the pages of keys do not end"), "{error}");
    assert_eq!(double.asked().iter().filter(|asked| *asked == "GET /keys").count(), 1_000);
    assert_eq!(double.live().len(), 2);
}

#[tokio::test]
async fn a_page_on_another_host_is_not_asked_for() {
    let by_link = SPEC.replace(
        "{ cursor = { query = \"after\", next = \"/next\" } }",
        "{ link = { next = \"/next\" } }",
    );
    for link in ["https://elsewhere.example/keys", "//elsewhere.example/keys", "keys"] {
        let (double, place) = place_at(&by_link, plain).await;
        let token = place.begin(1);
        for step in [Step::Create, Step::Set, Step::Test] {
            place.step(step, &token).await.unwrap();
        }
        let told = Told::json(200, json!({"keys": [], "next": link}).to_string());
        double.plan("GET", "/keys", Fault::Answer(told), 1);
        let error = place.step(Step::Finish, &token).await.unwrap_err();
        assert!(error.to_string().contains("is no page below base_url"), "{error}");
    }
}

#[tokio::test]
async fn a_secret_cannot_add_a_header_a_segment_a_pair_or_a_field() {
    let spec = SPEC
        .replace("path = \"/keys\"\njson", "path = \"/keys\"\nheaders = { x-team = \"{secret.team}\" }\nquery = { of = \"{secret.team}\" }\njson")
        .replace("name = \"{label}\"", "name = \"{label}\", team = \"{secret.team}\"");
    for (team, reaches) in [
        ("red\r\nx-admin: yes", false),
        ("red\nx", false),
        ("röd", false),
        (r#"red","admin":"yes"#, true),
        ("red&admin=yes#?/../", true),
        ("{label}", true),
    ] {
        let (double, place) = place_with(&spec, plain, |secret| secret["team"] = team.into()).await;
        let token = place.begin(1);
        let created = place.step(Step::Create, &token).await;
        assert_eq!(created.is_ok(), reaches, "{team:?}: {created:?}");
        assert_eq!(double.live().len(), if reaches { 2 } else { 1 });
        if let Err(error) = created {
            assert_eq!(error.kind(), ErrorKind::Malformed);
            assert!(error.to_string().contains("in the header \"x-team\""), "{error}");
            assert!(!error.to_string().contains("red"), "{error}");
            assert!(!double.asked().iter().any(|asked| asked.starts_with("POST")));
        } else {
            assert!(double.asked().contains(&"POST /keys".to_owned()));
        }
    }
    // A segment that would lead elsewhere.
    let spec = SPEC.replace("path = \"/me\"", "path = \"/{secret.team}\"");
    for (team, path) in
        [("a/keys", Some("GET /a%2Fkeys")), ("../keys", None), ("..", None), ("", None)]
    {
        let (double, place) = place_with(&spec, plain, |secret| secret["team"] = team.into()).await;
        let token = place.begin(1);
        place.step(Step::Create, &token).await.unwrap();
        double.plan("GET", "/", Fault::Answer(Told::json(200, "{}")), 1);
        let set = place.step(Step::Set, &token).await;
        match path {
            Some(path) => {
                assert!(double.asked().contains(&path.to_owned()), "{:?}", double.asked())
            }
            None => assert_eq!(set.unwrap_err().kind(), ErrorKind::Malformed, "{team:?}"),
        }
    }
}

#[tokio::test]
async fn a_secret_without_a_field_or_of_another_shape_is_refused_before_anything_is_asked() {
    for (value, says) in [
        (json!({"key": "k"}), "\"key_id\" is missing or empty"),
        (json!({"key": 7, "key_id": "i"}), "\"key\" is not a string"),
        (json!("text"), "is not a JSON object"),
    ] {
        let (double, place) = place_with(SPEC, plain, |secret| *secret = value.clone()).await;
        let error = place.rotate(1).await.unwrap_err();
        assert_eq!((error.kind(), error.step()), (ErrorKind::Malformed, Some(Step::Create)));
        assert!(error.to_string().contains(says), "{error}");
        assert!(double.asked().is_empty());
    }
}

#[tokio::test]
async fn a_silent_vendor_is_reported_before_the_deadline() {
    let (double, place) = place().await;
    double.plan("POST", "/keys", Fault::Slow(Duration::from_secs(60)), 1);
    let token = place.begin(1);
    // Enough for a key to be asked for, and too little for this vendor.
    let (started, cx) = (Instant::now(), Invocation::new(Deadline::after(Duration::from_secs(10))));
    let error = place.step_in(Step::Create, &token, &cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfTime);
    assert!(error.to_string().contains("no answer to a request to 127.0.0.1"), "{error}");
    // With time for a machine that stands still; the vendor would take a minute.
    assert!(started.elapsed() < Duration::from_secs(30));
}
