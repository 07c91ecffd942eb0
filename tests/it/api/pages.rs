//! Lists of keys on many pages: read to their end or not at all, and measured at one moment.

use std::time::{Duration, UNIX_EPOCH};

use fourstep::{ErrorKind, Step};
use fourstep_testing::{Asked, Double, DoubleKey, DoubleKeys, Fault, Manner, Told};
use serde_json::{Value, json};

use super::hostile::{SPEC, plain};
use super::support::Place;

const BY_CURSOR: &str = "{ cursor = { query = \"after\", next = \"/next\" } }";
const BY_NUMBER: &str = "{ number = { query = \"page\", first = 1 } }";

/// The plain vendor and one key.
async fn place(spec: &str, manner: Manner) -> (Double, Place) {
    let double = Double::start(manner).await.unwrap();
    let key = double.arrange(Some("made by hand"));
    let secret = json!({"key": key.value, "key_id": key.id});
    let spec = spec.replace("https://plain.example", &double.url());
    (double, Place::new(&spec, &secret.to_string()))
}

fn listed(key: &DoubleKey) -> Value {
    let made = key.created.duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    json!({"id": key.id, "name": key.name, "made": made})
}

/// While the second page is read, a later rotation makes a key; the page takes its time.
fn busy(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let page = match asked.path.as_str() {
        "/keys" => asked.query.get("page").map(String::as_str),
        _ => None,
    };
    let all: Vec<Value> = match page {
        None => return plain(keys, asked),
        Some("1") => keys.all().map(listed).collect(),
        Some("2") => {
            let ours = keys.all().filter_map(|key| key.name.as_deref()).last().unwrap();
            let [mark, secret, _, moment] = ours.split('-').collect::<Vec<_>>()[..] else {
                panic!("{ours} is no label")
            };
            let label = format!("{mark}-{secret}-{}-{moment}", "0".repeat(16));
            let key = keys.issue(Some(&label)).unwrap();
            std::thread::sleep(Duration::from_millis(1500));
            vec![listed(&key)]
        }
        Some(_) => Vec::new(),
    };
    Told::json(200, json!({"keys": all}).to_string())
}

#[tokio::test]
async fn a_key_that_is_made_while_pages_are_read_is_no_older_than_one_before_it() {
    let (double, place) = place(&SPEC.replace(BY_CURSOR, BY_NUMBER), busy).await;
    place.rotate(1).await.unwrap();
    assert_eq!(double.live(), ["id000001", "id000002", "id000003"]);
}

/// One key a page, and numbers as cursors: nought is the second page, for it may be anything.
fn numbered(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    if (asked.method.as_str(), asked.path.as_str()) != ("GET", "/keys") {
        return plain(keys, asked);
    }
    let page = asked.query.get("after").map_or(0, |after| after.parse::<usize>().unwrap() + 1);
    let all = keys.list();
    let next = if page + 1 < all.len() { json!(page) } else { json!(false) };
    Told::json(200, json!({"keys": [listed(&all[page])], "next": next}).to_string())
}

#[tokio::test]
async fn a_number_leads_to_the_next_page_as_text_does() {
    let (double, place) = place(SPEC, numbered).await;
    for number in 1..4 {
        place.rotate(number).await.unwrap();
    }
    // The first key has no label, and nothing says that its id is its own.
    assert_eq!(double.live(), ["id000001", "id000003", "id000004"]);
}

/// Up to finishSecret, which lists.
async fn tested(spec: &str) -> (Double, Place, fourstep::VersionId) {
    let (double, place) = place(spec, plain).await;
    let token = place.begin(1);
    for step in [Step::Create, Step::Set, Step::Test] {
        place.step(step, &token).await.unwrap();
    }
    (double, place, token)
}

#[tokio::test]
async fn what_is_no_way_to_the_next_page_is_not_the_end_of_the_keys() {
    for next in [json!(true), json!({"page": 2}), json!(["x"])] {
        let (double, place, token) = tested(SPEC).await;
        let told = json!({"keys": [], "next": next});
        double.plan("GET", "/keys", Fault::Answer(Told::json(200, told.to_string())), 1);
        let error = place.step(Step::Finish, &token).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("list: \"/next\" in the answer is neither"), "{error}");
    }
}

#[tokio::test]
async fn a_link_to_the_next_page_is_not_repeated_in_an_error() {
    let (double, place, token) =
        tested(&SPEC.replace(BY_CURSOR, "{ link = { next = \"/next\" } }")).await;
    let told = json!({"keys": [], "next": "/keys/canary-of-the-answer"}).to_string();
    double.plan("GET", "/keys/canary", Fault::Answer(Told::json(403, "{}")), 1);
    double.plan("GET", "/keys", Fault::Answer(Told::json(200, told)), 1);
    let error = place.step(Step::Finish, &token).await.unwrap_err().to_string();
    assert!(error.contains("list (GET http://127.0.0.1:") && error.contains("/keys)"), "{error}");
    assert!(error.contains("status 403") && !error.contains("canary"), "{error}");
}

/// Pages of items as small as they can be, without end.
fn crowded(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    if (asked.method.as_str(), asked.path.as_str()) != ("GET", "/keys") {
        return plain(keys, asked);
    }
    let page = vec![r#"{"id":1}"#; 4_000].join(",");
    Told::json(200, format!(r#"{{"keys":[{page}]}}"#))
}

#[tokio::test]
async fn more_keys_than_any_account_has_are_not_read() {
    let (double, place) = place(&SPEC.replace(BY_CURSOR, BY_NUMBER), crowded).await;
    let error = place.rotate(1).await.unwrap_err();
    assert_eq!((error.kind(), error.step()), (ErrorKind::Unsupported, Some(Step::Finish)));
    assert!(error.to_string().contains("too many keys: at most 10000 are read"), "{error}");
    assert_eq!(double.asked().iter().filter(|asked| *asked == "GET /keys").count(), 3);
    assert_eq!(double.live().len(), 2);
}
