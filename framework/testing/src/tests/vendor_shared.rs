//! One key in two secrets: the copy of a value, or a replica that was promoted. The key carries the label of
//! the secret that made it, and that one has it as AWSCURRENT.

use std::time::Duration;

use fourstep::store::{AWSCURRENT, Select};
use fourstep::vendor::{Label, Ownership};
use fourstep::{Engine, ErrorKind, ExposeSecret, Question, SecretId, SecretValue, Step, VersionId};
use fourstep_local::{MemoryStore, NewSecret};

use super::vendor_grace::{Fixture, invocation};
use super::vendor_keys::Keys;

const OWNERSHIPS: [Ownership; 3] = [Ownership::Labels, Ownership::Stored, Ownership::Account];

/// The id and the value of AWSCURRENT's key.
fn current(place: &Fixture) -> (String, String) {
    let SecretValue::Text(text) =
        place.store.get(&place.secret, Select::Label(AWSCURRENT)).unwrap().value
    else {
        panic!("no text")
    };
    let document: serde_json::Value = serde_json::from_str(text.expose_secret()).unwrap();
    let field = |name: &str| document[name].as_str().unwrap().to_owned();
    (field("key_id"), field("key"))
}

/// Another secret with the same value, at the same vendor.
fn copy(place: &Fixture) -> Fixture {
    let value = place.store.get(&place.secret, Select::Label(AWSCURRENT)).unwrap().value;
    let store = MemoryStore::new();
    store.create("copy", NewSecret { value: Some(value), ..NewSecret::default() }).unwrap();
    let secret = SecretId::parse("copy").unwrap();
    Fixture { store, secret, vendor: place.vendor.clone(), manner: place.manner }
}

#[tokio::test]
async fn beyond_17_a_key_with_another_secrets_label_is_kept_and_told_of() {
    for ownership in OWNERSHIPS {
        for grace in [Duration::ZERO, Duration::from_secs(60)] {
            let mut place = Fixture::new(None, grace);
            place.manner.ownership = ownership;
            place.rotate(1).await.unwrap();
            let copy = copy(&place);
            let (id, value) = current(&place);
            for number in 1..=4 {
                let told = copy.rotate_and_tell(number).await.unwrap();
                let seen = format!("{ownership:?}, {grace:?}, rotation {number}: {told:?}");
                assert!(place.vendor.accepts(&id, &value), "{seen}");
                // Of the first rotation it is the previous key.
                let says = told.iter().any(|one| {
                    one.contains(&format!("key {id:?} is kept: it carries another secret's label"))
                        && one.contains("if that secret is gone, revoke it at the vendor")
                });
                assert_eq!(says, number > 1, "{seen}");
                place.vendor.hour_passes();
            }
            // Those of its own go on being revoked.
            let (all, own) = (place.vendor.live(), current(&copy).0);
            let first = usize::from(ownership != Ownership::Account);
            assert_eq!(all, 3 + first, "{ownership:?}, {grace:?}: {own}");
        }
    }
}

#[tokio::test]
async fn at_the_limit_a_key_with_another_secrets_label_is_no_victim_and_is_named() {
    for ownership in OWNERSHIPS {
        let mut place = Fixture::new(Some(3), Duration::ZERO);
        place.manner.ownership = ownership;
        place.rotate(1).await.unwrap();
        let copy = copy(&place);
        let (id, value) = current(&place);
        // Where the account is one secret's, the key from before is taken for its own, and makes room.
        let rotations = if ownership == Ownership::Account { 4 } else { 1 };
        for number in 1..=rotations {
            copy.rotate(number).await.unwrap();
        }
        assert!(place.vendor.accepts(&id, &value), "{ownership:?}");
        if ownership == Ownership::Account {
            continue;
        }
        let error = copy.rotate(2).await.unwrap_err();
        assert_eq!((error.kind(), error.step()), (ErrorKind::Throttled, Some(Step::Create)));
        let said = format!(
            "of those that it held, {id:?} carry another secret's label: if that secret is gone, revoke \
             them at the vendor"
        );
        assert!(error.to_string().contains(&said), "{error}");
        assert!(place.vendor.accepts(&id, &value), "{ownership:?}");
    }
}

#[tokio::test]
async fn preflight_and_plan_tell_of_a_key_with_another_secrets_label() {
    let place = Fixture::new(None, Duration::ZERO);
    place.rotate(1).await.unwrap();
    let copy = copy(&place);
    for (place, lent) in [(&place, false), (&copy, true)] {
        let rotator = Keys::rotator(place.vendor.clone(), place.manner);
        let engine = Engine::new(&place.store, &rotator);
        let cx = invocation();
        let answer = engine.answer(Question::Preflight, &place.secret, &cx).await.unwrap();
        assert_eq!(answer["ready"], true, "{answer}");
        let told = answer["findings"].to_string().contains("carries another secret's label");
        assert_eq!(told, lent, "{answer}");
    }
    copy.rotate(1).await.unwrap();
    let rotator = Keys::rotator(copy.vendor.clone(), copy.manner);
    let engine = Engine::new(&copy.store, &rotator);
    let answer = engine.answer(Question::Plan, &copy.secret, &invocation()).await.unwrap();
    let id = current(&place).0;
    let line = format!("finishSecret keeps key {id:?}: it carries another secret's label");
    assert!(answer["plan"].to_string().replace('\\', "").contains(&line), "{answer}");
}

/// An account may have any number of keys, and whoever names them may name them like ours.
#[tokio::test]
async fn rule_14_what_is_kept_of_a_list_is_bounded() {
    for (arn, fits) in [("arn:another", true), ("", false)] {
        let place = Fixture::new(None, Duration::ZERO);
        let own = place.store.describe(&place.secret).unwrap().arn;
        let arn = if arn.is_empty() { &own } else { arn };
        let version = VersionId::from_store("somebody's");
        let label = Label::new(arn, &version, place.vendor.clock()).to_string();
        for _ in 0..20_001 {
            place.vendor.issue(Some(&label)).await.unwrap().unwrap();
        }
        match place.rotate(1).await {
            Ok(()) => assert!(fits),
            Err(error) => {
                assert_eq!((error.kind(), fits), (ErrorKind::Unsupported, false), "{error}");
                assert!(error.to_string().contains("more than 20000 keys"), "{error}");
                assert_eq!(error.step(), Some(Step::Finish));
            }
        }
        assert!(place.vendor.live() > 20_001);
    }
}
