//! What sweeps cannot see, because no invariant of theirs is about it: grace periods, and what an
//! operator reads at a vendor's limit.

use std::time::Duration;

use fourstep::store::AWSCURRENT;
use fourstep::vendor::Ownership;
use fourstep::{
    Deadline, Engine, Error, ErrorKind, ExposeSecret, Invocation, Question, RotationEvent,
    SecretId, SecretValue, Step, VersionId,
};
use fourstep_local::{MemoryStore, NewRotation, NewSecret, NewValue, PendingLabel};

use super::vendor_keys::{ADMIN, Keys, Manner};
use crate::Wire;
use crate::models::{IssuedKey, Terms, Vendor};

pub(super) struct Fixture {
    pub(super) store: MemoryStore,
    pub(super) secret: SecretId,
    pub(super) vendor: Vendor,
    pub(super) manner: Manner,
}

impl Fixture {
    pub(super) fn new(cap: Option<usize>, grace: Duration) -> Self {
        let vendor = Vendor::new(&Wire::default(), Terms { labels: true, cap, delay: 0 });
        let IssuedKey { id, value } = vendor.arrange();
        let value = format!(r#"{{"key_id":"{id}","key":"{}"}}"#, value.expose_secret());
        let store = MemoryStore::new();
        let new = NewSecret { value: Some(value.as_str().into()), ..NewSecret::default() };
        store.create("keys", new).unwrap();
        let new = NewSecret { value: Some(ADMIN.1.into()), ..NewSecret::default() };
        store.create(ADMIN.0, new).unwrap();
        let secret = SecretId::parse("keys").unwrap();
        let ownership = Ownership::Labels;
        let manner = Manner { ownership, cap, ages: true, grace, admin: false };
        Self { store, secret, vendor, manner }
    }

    pub(super) async fn rotate(&self, number: u32) -> Result<(), Error> {
        self.rotate_and_tell(number).await.map(drop)
    }

    /// The same; what was warned of.
    pub(super) async fn rotate_and_tell(&self, number: u32) -> Result<Vec<String>, Error> {
        let mut warnings = Vec::new();
        let function = "arn:aws:lambda:us-east-1:000000000000:function:kit";
        let token = VersionId::from_store(format!("{number:032}"));
        let began = self.store.rotate(&self.secret, &NewRotation::now(&token, function));
        // Else it is delivered again, as the service does.
        assert!(
            began.as_ref().err().is_none_or(|why| why.to_string().contains("will be reattempted"))
        );
        for step in Step::ALL {
            let (secret, token) = (self.secret.clone(), token.clone());
            let event = RotationEvent { step, secret, token, rotation_token: None };
            let rotator = Keys::rotator(self.vendor.clone(), self.manner);
            let cx = invocation();
            Engine::new(&self.store, &rotator).step(&event, &cx).await?;
            warnings.extend(cx.stats().warnings);
        }
        self.store.finish_rotation(&self.secret, &token, PendingLabel::Removed).unwrap();
        Ok(warnings)
    }
}

pub(super) fn invocation() -> Invocation {
    Invocation::new(Deadline::after(Duration::from_secs(60)))
}

const HALF_AN_HOUR: Duration = Duration::from_secs(1800);

#[tokio::test]
async fn beyond_17_a_key_within_its_grace_period_is_not_revoked_and_is_afterwards() {
    for (grace, live) in [(Duration::ZERO, [2, 2, 2]), (HALF_AN_HOUR, [2, 3, 4])] {
        let place = Fixture::new(None, grace);
        for (number, live) in (1..).zip(live) {
            place.rotate(number).await.unwrap();
            assert_eq!(place.vendor.live(), live, "rotation {number}, {grace:?}");
        }
        place.vendor.hour_passes();
        place.rotate(4).await.unwrap();
        // The previous key is an hour old, so whatever came before it has been out of use for that.
        assert_eq!(place.vendor.live(), 2);
    }
}

#[tokio::test]
async fn a_grace_period_longer_than_the_time_between_rotations_ends_for_each_key() {
    const THREE_HOURS: Duration = Duration::from_secs(3 * 3600);
    for ownership in [Ownership::Labels, Ownership::Stored] {
        let mut place = Fixture::new(None, THREE_HOURS);
        place.manner.ownership = ownership;
        for number in 1..=12 {
            place.rotate(number).await.unwrap();
            place.vendor.hour_passes();
        }
        // The current one, and those that were replaced now, an hour ago and two hours ago.
        assert_eq!(place.vendor.live(), 4, "{ownership:?}");
    }
}

#[tokio::test]
async fn nothing_is_minted_when_too_little_time_is_left_to_record_it() {
    let place = Fixture::new(None, Duration::ZERO);
    let rotator = Keys::rotator(place.vendor.clone(), place.manner);
    let token = VersionId::from_store(format!("{:032}", 1));
    let function = "arn:aws:lambda:us-east-1:000000000000:function:kit";
    place.store.rotate(&place.secret, &NewRotation::now(&token, function)).unwrap();
    let secret = place.secret.clone();
    let event = RotationEvent { step: Step::Create, secret, token, rotation_token: None };
    let cx = Invocation::new(Deadline::after(Duration::from_secs(3)));
    let error = Engine::new(&place.store, &rotator).step(&event, &cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfTime, "{error}");
    assert_eq!(place.vendor.live(), 1);
}

#[tokio::test]
async fn at_the_limit_a_key_within_its_grace_period_is_a_conflict_and_not_a_victim() {
    let place = Fixture::new(Some(2), HALF_AN_HOUR);
    place.rotate(1).await.unwrap();
    let error = place.rotate(2).await.unwrap_err();
    assert_eq!((error.kind(), error.step()), (ErrorKind::Conflict, Some(Step::Create)));
    assert!(error.to_string().contains("within its grace period of 1800 s"), "{error}");
    assert_eq!(place.vendor.live(), 2);
    place.vendor.hour_passes();
    place.rotate(2).await.unwrap();
    assert_eq!(place.vendor.live(), 2);
}

#[tokio::test]
async fn a_limit_that_strangers_have_used_up_says_what_to_do_and_touches_none_of_them() {
    let place = Fixture::new(Some(2), Duration::ZERO);
    place.vendor.arrange_stranger();
    let error = place.rotate(1).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "createSecret: the vendor's limit of keys is reached: no key of this secret can be \
         revoked; raise the limit or revoke another key"
    );
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert_eq!(place.vendor.complaint(), None);
}

#[tokio::test]
async fn preflight_says_when_the_vendor_refuses_the_current_key_and_does_not_list_it() {
    for (revoked, ready, says) in [(false, true, "[]"), (true, false, "does not list AWSCURRENT's")]
    {
        let mut place = Fixture::new(None, Duration::ZERO);
        // A vendor lists nothing for a key that it refuses.
        place.manner.admin = true;
        if revoked {
            place.vendor.revoke("k1").await.unwrap();
        }
        let rotator = Keys::rotator(place.vendor.clone(), place.manner);
        let engine = Engine::new(&place.store, &rotator);
        let answer =
            engine.answer(Question::Preflight, &place.secret, &invocation()).await.unwrap();
        assert_eq!(answer["ready"], ready, "{answer}");
        let findings = answer["findings"].to_string();
        assert!(findings.contains(says), "{findings}");
        assert_eq!(findings.contains("refuses AWSCURRENT's key"), revoked, "{findings}");
    }
}

/// A person moves AWSCURRENT back to a version whose key is gone.
fn roll_back_to_a_dead_key(place: &Fixture, revoked: &VersionId) {
    let detail = place.store.describe(&place.secret).unwrap();
    let current = detail.labels.iter().find(|(_, on)| on.contains(&AWSCURRENT.to_owned()));
    let current = current.map(|(version, _)| version.clone());
    let store = &place.store;
    store.update_stage(&place.secret, AWSCURRENT, Some(revoked), current.as_ref()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn rule_08_where_currents_key_is_gone_another_version_of_the_account_stands_for_it() {
    for admin in [false, true] {
        let mut place = Fixture::new(None, Duration::ZERO);
        place.manner.admin = admin;
        let first = place.store.describe(&place.secret).unwrap();
        let first = first.labels.into_keys().next().unwrap();
        for number in 1..=2 {
            place.rotate(number).await.unwrap();
        }
        assert_eq!(place.vendor.live(), 2, "the first one was revoked");
        roll_back_to_a_dead_key(&place, &first);
        place.rotate(3).await.unwrap();
        // Beside what is current the newest stays: whoever found AWSCURRENT's gone went back to it.
        assert_eq!(place.vendor.live(), 2);
        place.rotate(4).await.unwrap();
        assert_eq!(place.vendor.live(), 2, "it goes with the next");
    }
}

#[tokio::test(start_paused = true)]
async fn rule_08_a_version_of_another_account_stands_for_nothing() {
    let mut place = Fixture::new(None, Duration::ZERO);
    place.manner.admin = true;
    place.rotate(1).await.unwrap();
    let edited = r#"{"account":"another","key_id":"k1","key":"made up"}"#;
    let token = VersionId::from_store(format!("{:032}", 90));
    place
        .store
        .put(&place.secret, NewValue::current(&token, SecretValue::Text(edited.into())))
        .unwrap();
    let error = place.rotate(2).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    assert!(error.to_string().contains("nothing is made or revoked without proof"), "{error}");
    assert_eq!(place.vendor.live(), 2, "none was made");
}
