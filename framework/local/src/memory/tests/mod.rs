//! One test for each rule of Secrets Manager, in AWS's words, then what holds after anything.

mod faults;
mod labels;
mod properties;
mod rotation;
mod saved;
mod schedule;
mod versions;

use fourstep::ExposeSecret;

use super::*;
use fourstep::store::{AWSPREVIOUS, StoreErrorCode};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:rotator";

fn secret() -> SecretId {
    SecretId::parse("app/db").unwrap()
}

/// A version id that is easy to tell from the others.
fn version(number: u32) -> VersionId {
    VersionId::parse(&format!("00000000-0000-4000-8000-{number:012}")).unwrap()
}

/// A store with one secret, whose version 1 is current and holds `one`.
fn store() -> MemoryStore {
    let store = MemoryStore::new();
    let (value, token) = (Some("one".into()), Some(version(1)));
    store.create("app/db", NewSecret { value, token, ..NewSecret::default() }).unwrap();
    store
}

/// The same, with a rotation to version 2 begun.
fn rotating() -> MemoryStore {
    let store = store();
    store.rotate(&secret(), &NewRotation::now(&version(2), FUNCTION)).unwrap();
    store
}

fn text(store: &MemoryStore, select: Select<'_>) -> Result<String, StoreError> {
    match store.get(&secret(), select)?.value {
        SecretValue::Text(text) => Ok(text.expose_secret().to_owned()),
        SecretValue::Binary(_) => panic!("the value is binary"),
    }
}

/// Every version's labels, as `1: AWSCURRENT, AWSPENDING`; a version without any is a bare number.
fn labels(store: &MemoryStore) -> Vec<String> {
    let rows = store.list(&secret(), true).unwrap().versions.into_iter().map(|row| {
        let number = row.version.as_str().rsplit('-').next().unwrap().trim_start_matches('0');
        format!("{number}: {}", row.labels.join(", ")).trim_end_matches([':', ' ']).to_owned()
    });
    rows.collect()
}

fn refused<T: fmt::Debug>(answer: Result<T, StoreError>) -> (StoreErrorCode, String) {
    let error = answer.unwrap_err();
    (error.code, error.message)
}
