//! Two users of a vendor that take turns, in every sweep.
//!
//! | what is left out | what finds it |
//! |---|---|
//! | the value is set of the user in use | AWSCURRENT dies |
//! | what a change resets is not set again | the two users are not alike; where nobody compares, a complaint |
//! | the fence | the labels are not asked for again before the value works |
//! | AWSCURRENT is not set again | the pair stays dead after a restored backup |

mod model;

use std::time::Duration;

use fourstep::store::Select;
use fourstep::vendor::PairedKey;
use fourstep::{
    Deadline, Engine, Environment, Error, ErrorKind, ExposeSecret, Invocation, RotationEvent,
    SecretId, Step, VersionId,
};
use fourstep_local::{MemoryStore, NewRotation, NewSecret};
use serde_json::json;

use super::vendor_keys::ADMIN;
use super::{assert_caught, assert_caught_in, assert_refuted, assert_safe};
use crate::{Wire, conformance};
use model::{Defect, Turns, Users};

fn turns(defect: Option<Defect>) -> Turns {
    Turns { delay: 0, defect }
}

#[test]
fn two_users_that_take_turns_survive_every_sweep() {
    assert_safe(&turns(None));
}

#[test]
fn two_users_whose_values_are_known_late_survive_every_sweep() {
    assert_safe(&Turns { delay: 2, defect: None });
}

#[tokio::test(start_paused = true)]
async fn two_users_keep_the_contract_verb_by_verb() {
    for delay in [0, 2] {
        conformance(&Turns { delay, defect: None }).await.assert_safe();
    }
}

#[test]
fn a_value_that_is_set_of_the_user_in_use_is_caught() {
    assert_caught(&turns(Some(Defect::SetsTheOneInUse)), "AWSCURRENT does not log in");
}

#[test]
fn what_a_change_resets_is_caught_by_the_rotator_and_else_by_the_kit() {
    let name = "repeating the rotation never succeeds";
    assert_caught(&turns(Some(Defect::ResetsTags)), name);
    assert_caught(&turns(Some(Defect::ResetsTagsUnseen)), "a user lost its tags");
}

/// A late container is not told from one that stood still behind its fence, which no rotator prevents here.
#[tokio::test(start_paused = true)]
async fn a_rotator_that_passes_no_fence_is_caught() {
    let broken = turns(Some(Defect::NoFence));
    assert_refuted(&broken, "the target was changed without passing the fence").await;
}

#[test]
fn a_current_secret_that_was_lost_must_be_set_again() {
    let broken = turns(Some(Defect::NoRepair));
    let scenario = "forgotten after a rotation";
    assert_caught_in(&broken, scenario, "the next rotation never succeeds");
}

/// createSecret of a secret with this user, where the pairs are these.
async fn create(users: &Users, secret: &str, pairs: &str) -> (Result<(), Error>, bool) {
    let store = MemoryStore::new();
    for (name, value) in [("rotated", secret), ADMIN] {
        let new = NewSecret { value: Some(value.into()), ..NewSecret::default() };
        store.create(name, new).unwrap();
    }
    let secret = SecretId::parse("rotated").unwrap();
    let token = VersionId::from_store(format!("{:032}", 1));
    store.rotate(&secret, &NewRotation::now(&token, crate::SECRET_ARN)).unwrap();
    let settings = Environment::from([("USER_PAIRS", pairs)]);
    let rotator = match PairedKey::read(&settings, users.clone()) {
        Ok(rotator) => rotator,
        Err(error) => return (Err(error), false),
    };
    let event = RotationEvent {
        step: Step::Create,
        secret: secret.clone(),
        token: token.clone(),
        rotation_token: None,
    };
    let cx = Invocation::new(Deadline::after(Duration::from_secs(60)));
    let ended = Engine::new(&store, &rotator).step(&event, &cx).await;
    let stored = store.get(&secret, Select::Version(&token)).is_ok();
    (ended.map(drop), stored)
}

#[tokio::test]
async fn rule_18_a_pair_that_is_none_is_refused_before_anything_is_stored() {
    let (users, first) = Users::new(&Wire::default(), 0, None);
    let secret = json!({"key_id": "k1", "key": first.value.expose_secret()}).to_string();
    assert_eq!(create(&users, &secret, "k1=k2").await, (Ok(()), true));
    let unproven = secret.replace("value of", "none of");
    let (bare, _) = Users::new(&Wire::default(), 0, None);
    bare.bare.lock().unwrap().push("k2".to_owned());
    for (users, secret, pairs, kind, says) in [
        (&users, &secret, "", ErrorKind::Malformed, "USER_PAIRS is not set"),
        (&users, &secret, "k1=k1", ErrorKind::Malformed, "pairs of different users"),
        (&users, &secret, "k2=k3", ErrorKind::Malformed, "names no pair with user \"k1\""),
        (&users, &secret, "k1=k9", ErrorKind::NotFound, "no user \"k9\""),
        (&users, &unproven, "k1=k2", ErrorKind::Rejected, "neither user \"k1\" nor \"k2\""),
        (&bare, &secret, "k1=k2", ErrorKind::Unsupported, "\"k1\" and \"k2\" differ in their tags"),
    ] {
        let (ended, stored) = create(users, secret, pairs).await;
        let error = ended.unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(says), "{error}");
        assert!(!stored, "{error}");
    }
}
