//! Lists of keys on many pages: read to their end or not at all, and measured at one moment.

use std::time::{Duration, UNIX_EPOCH};

use fourstep::testing::{Asked, Double, DoubleKey, DoubleKeys, Manner, Told};
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
