//! Lists of keys on many pages: read to their end or not at all, and measured at one moment.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use fourstep::{Deadline, ErrorKind, Invocation, Step};
use fourstep_testing::{Asked, Double, DoubleKey, DoubleKeys, Fault, Manner, Told};
use serde_json::{Value, json};

use super::hostile::{SPEC, place_at, plain};
use super::support::{Files, Place};

const BY_CURSOR: &str = "{ cursor = { query = \"after\", next = \"/next\" } }";
const BY_NUMBER: &str = "{ number = { query = \"page\", first = 1 } }";

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
            let label = format!("{mark}-{secret}-{}-{moment}", "0".repeat(13));
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
    let (double, place) = place_at(&SPEC.replace(BY_CURSOR, BY_NUMBER), busy).await;
    place.rotate(1).await.unwrap();
    // Each listing is of three pages, and a key is made on one of them.
    let pages = double.asked().iter().filter(|asked| *asked == "GET /keys").count();
    assert!(pages >= 6 && double.live().len() == 2 + pages / 3, "{pages}: {:?}", double.live());
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
    let (double, place) = place_at(SPEC, numbered).await;
    for number in 1..4 {
        place.rotate(number).await.unwrap();
    }
    // The first key has no label, and nothing says that its id is its own.
    assert_eq!(double.live(), ["id000001", "id000003", "id000004"]);
}

/// Up to finishSecret, which lists.
async fn tested(spec: &str) -> (Double, Place, fourstep::VersionId) {
    let (double, place) = place_at(spec, plain).await;
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

/// Fifty pages of a thousand keys of others before ours, named as people name theirs.
fn crowded(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    if (asked.method.as_str(), asked.path.as_str()) != ("GET", "/keys") {
        return plain(keys, asked);
    }
    let page: usize = asked.query["page"].parse().unwrap();
    let all: Vec<Value> = match page {
        1..=50 => (0..1_000)
            .map(|at| json!({"id": format!("other-{page}-{at}"), "name": "by hand", "made": 7}))
            .collect(),
        51 => keys.list().iter().map(listed).collect(),
        _ => Vec::new(),
    };
    Told::json(200, json!({"keys": all}).to_string())
}

#[tokio::test]
async fn fifty_thousand_keys_of_others_are_in_nobodys_way() {
    let spec = SPEC.replace(BY_CURSOR, BY_NUMBER).replace("[issue]\n", "id = \"/id\"\n\n[issue]\n");
    let (double, place) = place_at(&spec, crowded).await;
    for number in 1..4 {
        place.rotate(number).await.unwrap();
    }
    assert_eq!(double.live(), ["id000003", "id000004"], "the first, without a label, went as well");
}

/// All of them in one answer, which is longer than the longest that is read at once.
fn long<const OTHERS: usize>(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    if (asked.method.as_str(), asked.path.as_str()) != ("GET", "/keys") {
        return plain(keys, asked);
    }
    let others = (0..OTHERS).map(|at| json!({"id": format!("other-{at}"), "name": "by hand"}));
    let all: Vec<Value> = others.chain(keys.list().iter().map(listed)).collect();
    Told::json(200, json!({"keys": all, "next": null}).to_string())
}

#[tokio::test]
async fn an_answer_of_any_length_is_read_item_by_item() {
    let (double, place) = place_at(SPEC, long::<50_000>).await;
    for number in 1..4 {
        place.rotate(number).await.unwrap();
    }
    assert_eq!(double.live(), ["id000001", "id000003", "id000004"]);
}

/// The most memory in KiB of a process of the function that reads this specification, so far.
fn peak(spec: &Path) -> Option<u64> {
    let setting = format!("ROTATION_SPEC={}", spec.display());
    let of = |process: std::fs::DirEntry| {
        let read = |name| std::fs::read(process.path().join(name));
        let environ = read("environ").ok()?;
        // The command, which starts the function, has it as an argument.
        environ.split(|byte| *byte == 0).find(|one| *one == setting.as_bytes())?;
        let status = String::from_utf8(read("status").ok()?).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    };
    std::fs::read_dir("/proc").unwrap().filter_map(|process| of(process.ok()?)).max()
}

/// The same over three rotations of the real function at this vendor.
async fn peak_at(manner: Manner) -> u64 {
    let double = Double::start(manner).await.unwrap();
    let key = double.arrange(None);
    let secret = json!({"key": key.value, "key_id": key.id}).to_string();
    let spec = SPEC.replace("https://plain.example", &double.url());
    let files = Files::new(&spec, &secret, None);
    let (spec, mut most, mut samples) = (files.path("spec.toml"), 0, 0);
    let mut rotations = std::pin::pin!(files.replay(false, &["--rotations", "3"]));
    let output = loop {
        let pause = tokio::time::sleep(Duration::from_millis(5));
        tokio::select! {
            output = &mut rotations => break output,
            () = pause => {
                let seen = peak(&spec);
                samples += usize::from(seen.is_some());
                most = most.max(seen.unwrap_or_default());
            }
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(samples > 10, "{samples}");
    most
}

#[tokio::test(flavor = "multi_thread")]
async fn the_functions_memory_does_not_grow_with_the_keys_of_others() {
    let (few, many) = (peak_at(long::<500>).await, peak_at(long::<50_000>).await);
    eprintln!("peak: {few} KiB beside 500 keys, {many} KiB beside 50,000");
    assert!(many < few + 2 * 1024, "{few} KiB beside 500 keys, {many} KiB beside 50,000");
}

/// One key a page, each linked to by a whole URL: in the answer and in a header.
fn linked(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    if (asked.method.as_str(), asked.path.as_str()) != ("GET", "/keys") {
        return plain(keys, asked);
    }
    let page: usize = asked.query.get("page").map_or(0, |page| page.parse().unwrap());
    let all = keys.list();
    let link = format!("http://{}/keys?page={}", asked.header("host"), page + 1);
    let next = (page + 1 < all.len()).then_some(link);
    let told = json!({"keys": [listed(&all[page])], "next": next}).to_string();
    match next {
        Some(next) => Told::json(200, told).with("link", &format!("<{next}>; rel=\"next\"")),
        None => Told::json(200, told),
    }
}

#[tokio::test]
async fn a_whole_url_of_the_same_origin_leads_to_the_next_page() {
    for pages in ["{ link = { next = \"/next\" } }", "\"header\""] {
        let (double, place) = place_at(&SPEC.replace(BY_CURSOR, pages), linked).await;
        for number in 1..4 {
            place.rotate(number).await.unwrap();
        }
        assert_eq!(double.live(), ["id000001", "id000003", "id000004"], "{pages}");
    }
}

#[tokio::test]
async fn a_url_of_another_origin_is_not_followed() {
    let (double, place, token) =
        tested(&SPEC.replace(BY_CURSOR, "{ link = { next = \"/next\" } }")).await;
    let told = json!({"keys": [], "next": "https://canary.example/keys?page=2"}).to_string();
    double.plan("GET", "/keys", Fault::Answer(Told::json(200, told)), 1);
    let error = place.step(Step::Finish, &token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let text = error.to_string();
    assert!(text.contains("is no page below base_url") && !text.contains("canary"), "{text}");
}

/// By its clock it is an hour later than by ours.
fn ahead(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    if (asked.method.as_str(), asked.path.as_str()) != ("GET", "/keys") {
        return plain(keys, asked);
    }
    let all = keys.list().into_iter().map(|mut key| {
        key.created += Duration::from_secs(3600);
        listed(&key)
    });
    Told::json(200, json!({"keys": all.collect::<Vec<_>>()}).to_string())
}

#[tokio::test]
async fn a_vendors_clock_that_is_ahead_delays_no_revocation() {
    let (double, place) = place_at(SPEC, ahead).await;
    for number in 1..4 {
        place.rotate(number).await.unwrap();
    }
    assert_eq!(double.live(), ["id000001", "id000003", "id000004"]);
}

/// Where the moment is read, the moment of the account stands.
fn undated(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    if (asked.method.as_str(), asked.path.as_str()) != ("GET", "/keys") {
        return plain(keys, asked);
    }
    let all = keys.list().into_iter().map(|key| json!({"id": key.id, "made": 1_800_000_000}));
    Told::json(200, json!({"keys": all.collect::<Vec<_>>()}).to_string())
}

#[tokio::test]
async fn a_moment_that_never_differs_revokes_nothing_and_is_told() {
    let stored = "id = \"/id\"\n\n[terms]\nownership = \"stored\"\n\n[issue]\n";
    let (double, place) = place_at(&SPEC.replace("[issue]\n", stored), undated).await;
    for number in 1..4 {
        let token = place.begin(number);
        for step in [Step::Create, Step::Set, Step::Test] {
            place.step(step, &token).await.unwrap();
        }
        let cx = Invocation::new(Deadline::after(Duration::from_secs(30)));
        place.step_in(Step::Finish, &token, &cx).await.unwrap();
        let said = cx.stats().warnings.join("; ");
        let told = "was made in the second of AWSCURRENT's, or later; if that is said again";
        // After the first rotation two keys live, and both are in use.
        assert_eq!(said.contains(told), number > 1, "{number}: {said}");
    }
    assert_eq!(double.live().len(), 4);
}
