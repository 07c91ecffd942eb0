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

/// After a restored backup neither AWSCURRENT nor the value that setSecret used before it was killed
/// lets anybody in: only pending does.
#[test]
fn a_vendor_that_takes_no_value_again_survives_every_sweep() {
    assert_safe(&turns(Some(Defect::RefusesReuse)));
}

/// A secret with this user, an admin, and a rotation of it that has begun, where the pairs are these.
struct Begun {
    store: MemoryStore,
    rotator: PairedKey<Users>,
    event: RotationEvent,
}

impl Begun {
    fn new(users: &Users, [secret, admin, pairs]: [&str; 3]) -> Result<Self, Error> {
        let store = MemoryStore::new();
        for (name, value) in [("rotated", secret), (ADMIN.0, admin)] {
            let new = NewSecret { value: Some(value.into()), ..NewSecret::default() };
            store.create(name, new).unwrap();
        }
        let secret = SecretId::parse("rotated").unwrap();
        let token = VersionId::from_store(format!("{:032}", 1));
        store.rotate(&secret, &NewRotation::now(&token, crate::SECRET_ARN)).unwrap();
        let settings = Environment::from([("USER_PAIRS", pairs)]);
        let rotator = PairedKey::read(&settings, users.clone())?;
        let event = RotationEvent { step: Step::Create, secret, token, rotation_token: None };
        Ok(Self { store, rotator, event })
    }

    async fn step(&self, step: Step) -> Result<(), Error> {
        let cx = Invocation::new(Deadline::after(Duration::from_secs(60)));
        let event = RotationEvent { step, ..self.event.clone() };
        Engine::new(&self.store, &self.rotator).step(&event, &cx).await.map(drop)
    }
}

/// createSecret, and whether a value is stored then.
async fn create(users: &Users, texts: [&str; 3]) -> (Result<(), Error>, bool) {
    let begun = match Begun::new(users, texts) {
        Ok(begun) => begun,
        Err(error) => return (Err(error), false),
    };
    let ended = begun.step(Step::Create).await;
    let stored = begun.store.get(&begun.event.secret, Select::Version(&begun.event.token)).is_ok();
    (ended, stored)
}

#[tokio::test]
async fn rule_18_a_pair_that_is_none_is_refused_before_anything_is_stored() {
    let (users, first) = Users::new(&Wire::default(), 0, None);
    let secret = json!({"key_id": "k1", "key": first.value.expose_secret()}).to_string();
    assert_eq!(create(&users, [&secret, ADMIN.1, "k1=k2"]).await, (Ok(()), true));
    let unproven = secret.replace("value of", "none of");
    let (bare, _) = Users::new(&Wire::default(), 0, None);
    bare.bare.lock().unwrap().push("k2".to_owned());
    let (malformed, unsupported) = (ErrorKind::Malformed, ErrorKind::Unsupported);
    let admins = [r#"{"key_id":"k2","key":"x"}"#, r#"{"key_id":"k1"}"#];
    for (users, texts, kind, says) in [
        (&users, [&secret, ADMIN.1, ""], malformed, "USER_PAIRS is not set"),
        (&users, [&secret, ADMIN.1, "k1=k1"], malformed, "pairs of different users"),
        (&users, [&secret, ADMIN.1, "k2=k3"], malformed, "names no pair with user \"k1\""),
        (&users, [&secret, ADMIN.1, "k1=k9"], ErrorKind::NotFound, "no user \"k9\""),
        (
            &users,
            [&unproven, ADMIN.1, "k1=k2"],
            ErrorKind::Rejected,
            "neither user \"k1\" nor \"k2\"",
        ),
        (
            &users,
            [&secret, admins[0], "k1=k2"],
            unsupported,
            "user \"k2\" of the pair is the admin",
        ),
        (
            &users,
            [&secret, admins[1], "k1=k2"],
            unsupported,
            "user \"k1\" of the pair is the admin",
        ),
        (&bare, [&secret, ADMIN.1, "k1=k2"], unsupported, "\"k1\" and \"k2\" differ in their tags"),
    ] {
        let (ended, stored) = create(users, texts).await;
        let error = ended.unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(says), "{error}");
        assert!(!stored, "{error}");
    }
}

#[tokio::test]
async fn two_names_of_one_user_are_found_before_the_second_is_promoted() {
    let (users, first) = Users::new(&Wire::default(), 0, Some(Defect::OneUser));
    let secret = json!({"key_id": "k1", "key": first.value.expose_secret()}).to_string();
    let begun = Begun::new(&users, [&secret, ADMIN.1, "k1=K1"]).unwrap();
    for step in [Step::Create, Step::Set] {
        begun.step(step).await.unwrap();
    }
    let error = begun.step(Step::Test).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let text = error.to_string();
    assert!(text.contains("\"k1\" and \"K1\" are one user at the vendor"), "{text}");
    assert!(text.contains("--version-stage AWSPENDING --remove-from-version-id"), "{text}");
}

#[tokio::test]
async fn users_that_differ_after_the_change_are_told_with_a_way_out() {
    let (users, first) = Users::new(&Wire::default(), 0, Some(Defect::ResetsTags));
    let secret = json!({"key_id": "k1", "key": first.value.expose_secret()}).to_string();
    let begun = Begun::new(&users, [&secret, ADMIN.1, "k1=k2"]).unwrap();
    for step in [Step::Create, Step::Set] {
        begun.step(step).await.unwrap();
    }
    let error = begun.step(Step::Test).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let text = error.to_string();
    assert!(text.contains("then retry; or discard this version with `aws"), "{text}");
}
