//! A store as a text, and back.

use std::collections::BTreeMap;

use fourstep::store::{AWSCURRENT, AWSPENDING, Select};
use fourstep::{SecretId, SecretValue, VersionId};

use crate::{
    BrokenStore, Deletion, MemoryStore, NewRotation, NewSecret, NewValue, PendingLabel,
    RotationRules,
};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:rotator";
/// No error may ever quote it.
const CANARY: &str = "canary-value";

fn token(of: char) -> VersionId {
    VersionId::from_store(of.to_string().repeat(36))
}

fn text(store: &MemoryStore) -> String {
    String::from_utf8(store.save().1.expose_bytes().to_vec()).unwrap()
}

/// A secret with a rotation behind it and one under way, one of bytes, one that waits for its deletion.
fn full() -> MemoryStore {
    let (store, app) = (MemoryStore::new(), SecretId::parse("app/db").unwrap());
    let new = NewSecret {
        value: Some("one".into()),
        token: Some(token('a')),
        tags: BTreeMap::from([("team".to_owned(), "blue \"sky\"\n".to_owned())]),
        description: Some("orders".to_owned()),
        key: Some("alias/app".to_owned()),
        ..NewSecret::default()
    };
    store.create("app/db", new).unwrap();
    let rules = RotationRules {
        schedule_expression: Some("rate(10 days)".to_owned()),
        duration: Some("3h".to_owned()),
        ..RotationRules::default()
    };
    let rotate = NewRotation { rules: Some(rules), ..NewRotation::now(&token('b'), FUNCTION) };
    store.rotate(&app, &rotate).unwrap();
    store.put(&app, NewValue::labelled(&token('b'), CANARY, &[AWSPENDING])).unwrap();
    store.update_stage(&app, AWSCURRENT, Some(&token('b')), Some(&token('a'))).unwrap();
    store.finish_rotation(&app, &token('b'), PendingLabel::Removed).unwrap();
    store.rotate(&app, &NewRotation::now(&token('c'), FUNCTION)).unwrap();
    let copies = ["eu-west-1", "eu-west-2"].map(|region| (region.to_owned(), None));
    store.replicate(&app, &BTreeMap::from(copies), false).unwrap();
    store.promote(&app, "eu-west-2").unwrap();
    store.put_policy(&app, "{\"Version\": \"2012-10-17\"}").unwrap();
    store.get(&app, Select::Label(AWSCURRENT)).unwrap();
    let bytes = SecretValue::Binary(vec![0, 159, 146, 150].into());
    let new = NewSecret { value: Some(bytes), ..NewSecret::default() };
    store.create("app/bytes", new).unwrap();
    let new = NewSecret { value: Some("gone".into()), ..NewSecret::default() };
    store.create("app/old", new).unwrap();
    store.delete(&SecretId::parse("app/old").unwrap(), Deletion::After(7)).unwrap();
    store
}

#[test]
fn what_is_loaded_is_what_was_saved() {
    let store = full();
    let saved = text(&store);
    let again = MemoryStore::load(&saved).unwrap();
    assert_eq!(text(&again), saved);
    for secret in store.secrets(true).unwrap() {
        let id = SecretId::parse(&secret.arn).unwrap();
        assert_eq!(format!("{:?}", again.describe(&id).unwrap()), format!("{secret:?}"));
    }
    let bytes = again.get(&SecretId::parse("app/bytes").unwrap(), Select::Label(AWSCURRENT));
    assert_eq!(bytes.unwrap().value.expose_bytes(), [0, 159, 146, 150]);
    // The rotation that was under way is still.
    let app = SecretId::parse("app/db").unwrap();
    assert!(again.rotate(&app, &NewRotation::now(&token('d'), FUNCTION)).is_err());
    assert!(again.get(&app, Select::Label(AWSPENDING)).is_err(), "no value was put");
    // Times go on from the last one.
    let versions = again.list(&app, true).unwrap().versions;
    let latest = versions.iter().filter_map(|version| version.created).max().unwrap();
    let put = again.put(&app, NewValue::current(&token('e'), "later")).unwrap();
    let put = again.get(&app, Select::Version(&put.version.unwrap())).unwrap();
    assert!(put.created > latest);
}

#[test]
fn a_test_of_a_schedule_ends_with_its_process() {
    let (store, app) = (MemoryStore::new(), SecretId::parse("app/db").unwrap());
    let new = NewSecret { value: Some("one".into()), ..NewSecret::default() };
    store.create("app/db", new).unwrap();
    let test = NewRotation { immediately: false, ..NewRotation::now(&token('b'), FUNCTION) };
    store.rotate(&app, &test).unwrap();
    assert_eq!(store.describe(&app).unwrap().labels.len(), 2);
    let again = MemoryStore::load(&text(&store)).unwrap().describe(&app).unwrap();
    assert_eq!((again.labels.len(), again.rotation_enabled), (1, Some(true)));
}

/// Whoever promotes it by hand means to have it.
#[test]
fn what_a_test_made_and_somebody_labelled_is_kept() {
    let (store, app) = (MemoryStore::new(), SecretId::parse("app/db").unwrap());
    let new = NewSecret { value: Some("one".into()), ..NewSecret::default() };
    let one = store.create("app/db", new).unwrap().version.unwrap();
    let test = NewRotation { immediately: false, ..NewRotation::now(&token('b'), FUNCTION) };
    store.rotate(&app, &test).unwrap();
    store.update_stage(&app, AWSCURRENT, Some(&token('b')), Some(&one)).unwrap();
    let again = MemoryStore::load(&text(&store)).unwrap();
    assert_eq!(again.get(&app, Select::Label(AWSCURRENT)).unwrap().version, token('b'));
}

#[test]
fn every_change_is_counted_and_no_read() {
    let store = full();
    let app = SecretId::parse("app/db").unwrap();
    store.get(&app, Select::Label(AWSCURRENT)).unwrap();
    let before = store.revision();
    store.describe(&app).unwrap();
    store.get(&app, Select::Label(AWSCURRENT)).unwrap();
    store.get(&app, Select::Label("nowhere")).unwrap_err();
    store.put(&app, NewValue::current(&token('b'), "another value")).unwrap_err();
    assert_eq!((store.revision(), store.save().0), (before, before));
    store.tag(&app, BTreeMap::new()).unwrap();
    assert_eq!(store.revision(), before + 1);
    store.delete(&SecretId::parse("app/bytes").unwrap(), Deletion::Now).unwrap();
    assert!(store.revision() > before + 1);
}

fn broken(text: &str) -> BrokenStore {
    let error = MemoryStore::load(text).unwrap_err();
    assert!(!error.to_string().contains(CANARY), "{error}");
    error
}

#[test]
fn what_is_broken_is_named_by_its_place_and_not_by_its_content() {
    let saved = text(&full());
    let line_of = |part: &str| saved.lines().position(|line| line.contains(part)).unwrap() + 1;
    let canary = format!("\"{CANARY}\"");
    let at = line_of(CANARY);
    for (from, to, line, what) in [
        (canary.as_str(), CANARY, at, "this is no JSON"),
        (&canary, "7", at, "something else belongs here"),
        (&canary, &format!("[{canary}]"), at, "something else belongs here"),
        ("\"text\": \"canary", "\"canary-value\": \"canary", at, "something else belongs here"),
        ("\"bytes\": \"", "\"bytes\": \"canary-value", 0, "no base64"),
        ("\"AWSCURRENT\": \"", "\"AWSCURRENT\": \"canary-value", 0, "not there"),
        ("\"app/bytes\"", "\"app/db\"", 0, "one name"),
        ("\"app/bytes\"", "\"\"", 0, "no name"),
        ("\"form\": 1", "\"form\": 2", 1, "another version of fourstep"),
        ("secrets of fourstep", "canary-value", 1, "no secrets of"),
    ] {
        let error = broken(&saved.replacen(from, to, 1));
        assert!(error.what.contains(what), "{from} {to}: {error}");
        assert!(line == 0 || error.line == line, "{from} {to}: {error} and not line {line}");
        assert!(error.line > 0 && error.column > 0, "{from} {to}: {error}");
    }
    for text in ["", "{", "[]", "null", "canary-value", "{\"password\": \"canary-value\"}"] {
        assert!(broken(text).line > 0 || text.is_empty(), "{text}");
    }
    // Cut short anywhere, it is nothing.
    for length in (0..saved.trim_end().len()).step_by(7) {
        broken(saved.get(..length).unwrap_or_default());
    }
}
