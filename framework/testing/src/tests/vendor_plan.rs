//! What a plan says of a vendor's keys is what the rotation behind it does.

use std::collections::BTreeSet;
use std::time::Duration;

use fourstep::store::{AWSCURRENT, AWSPENDING, Select};
use fourstep::vendor::Ownership;
use fourstep::{
    Engine, Error, ExposeSecret, Question, RotationEvent, SecretValue, Step, VersionId,
};
use fourstep_local::NewRotation;

use super::vendor_grace::{Fixture, invocation};
use super::vendor_keys::Keys;

const HALF_AN_HOUR: Duration = Duration::from_secs(1800);

impl Fixture {
    /// The plan's lines. It changes nothing, and shows no value.
    async fn plan(&self) -> Result<Vec<String>, Error> {
        let before = (self.listed().await, self.store.describe(&self.secret).unwrap().labels);
        let rotator = Keys::rotator(self.vendor.clone(), self.manner);
        let engine = Engine::new(&self.store, &rotator);
        let answer = engine.answer(Question::Plan, &self.secret, &invocation()).await?;
        let after = (self.listed().await, self.store.describe(&self.secret).unwrap().labels);
        assert_eq!(before, after, "{answer}");
        for version in after.1.keys() {
            let Ok(read) = self.store.get(&self.secret, Select::Version(version)) else { continue };
            let SecretValue::Text(text) = read.value else { panic!("no text") };
            let document: serde_json::Value = serde_json::from_str(text.expose_secret()).unwrap();
            assert!(!answer.to_string().contains(document["key"].as_str().unwrap()), "{answer}");
        }
        let lines = answer["plan"].as_array().unwrap().iter();
        Ok(lines.map(|line| line.as_str().unwrap().to_owned()).collect())
    }

    async fn listed(&self) -> BTreeSet<String> {
        self.vendor.list().await.unwrap().into_iter().map(|key| key.id).collect()
    }

    fn labelled(&self, label: &str) -> Option<VersionId> {
        let labels = self.store.describe(&self.secret).unwrap().labels;
        labels.into_iter().find(|(_, on)| on.iter().any(|one| one == label)).map(|(id, _)| id)
    }

    async fn step(&self, step: Step, token: &VersionId) -> Result<(), Error> {
        let (secret, token) = (self.secret.clone(), token.clone());
        let event = RotationEvent { step, secret, token, rotation_token: None };
        let rotator = Keys::rotator(self.vendor.clone(), self.manner);
        Engine::new(&self.store, &rotator).step(&event, &invocation()).await.map(drop)
    }
}

/// The keys that these lines say are revoked.
fn revoked(lines: &[String]) -> BTreeSet<String> {
    let id = |line: &String| {
        let (_, rest) = line.split_once(" revokes key \"")?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    lines.iter().filter_map(id).collect()
}

/// Plays rotations, of which each must do what was planned; how many failed as planned.
async fn play(place: &Fixture, rotations: u32) -> usize {
    let mut failed = 0;
    for number in 1..=rotations {
        let before = place.listed().await;
        let lines = place.plan().await.unwrap();
        let fails = lines.iter().find_map(|line| line.split_once(" would fail with "));
        let rotated = place.rotate(number - failed as u32).await;
        let after = place.listed().await;
        let gone: BTreeSet<_> = before.difference(&after).cloned().collect();
        match (fails, rotated) {
            (None, Ok(())) => assert_eq!(gone, revoked(&lines), "{lines:#?}"),
            (Some((_, why)), Err(error)) => {
                let cause = error.to_string();
                let (_, cause) = cause.split_once(": ").unwrap();
                assert!(why.starts_with(error.kind().name()) && why.ends_with(cause), "{why}");
                assert_eq!((lines.len(), gone.len()), (1, 0), "{lines:#?}");
                failed += 1;
            }
            (_, rotated) => panic!("{rotated:?} after {lines:#?}"),
        }
        if number % 3 == 0 {
            place.vendor.hour_passes();
        }
    }
    failed
}

#[tokio::test(start_paused = true)]
async fn a_rotation_does_what_the_plan_said_and_fails_where_it_said_so() {
    let mut failed = 0;
    for cap in [None, Some(2), Some(3)] {
        for grace in [Duration::ZERO, HALF_AN_HOUR] {
            for ownership in [Ownership::Labels, Ownership::Stored, Ownership::Account] {
                for admin in [false, true] {
                    let mut place = Fixture::new(cap, grace);
                    (place.manner.ownership, place.manner.admin) = (ownership, admin);
                    if cap == Some(3) && ownership != Ownership::Account {
                        place.vendor.arrange_stranger();
                    }
                    failed += play(&place, 8).await;
                    assert_eq!(place.vendor.complaint(), None);
                }
            }
        }
    }
    assert!(failed > 0, "some limits are reached within a grace period");
}

#[tokio::test]
async fn at_the_limit_the_key_that_goes_first_is_named_and_why_the_others_stay() {
    let place = Fixture::new(Some(2), Duration::ZERO);
    place.rotate(1).await.unwrap();
    let lines = place.plan().await.unwrap().join("\n");
    let label = lines.split_once("with a label \"").unwrap().1.split_once('"').unwrap().0;
    assert!(label.starts_with("fourstep-") && label.len() == 26, "{label}");
    expect_test::expect![[r#"
        createSecret revokes key "k1" first: the vendor lists 2 keys, and its limit is 2
        createSecret issues a key with a label "..."...
        finishSecret keeps key "k2": it is AWSPREVIOUS's then"#]]
    .assert_eq(&lines.replace(label, "..."));
    // Strangers' keys are counted and not named.
    let place = Fixture::new(Some(2), Duration::ZERO);
    place.vendor.arrange_stranger();
    expect_test::expect![[r#"createSecret would fail with Throttled: the vendor's limit of keys is reached: no key of this secret can be revoked; raise the limit or revoke another key"#]]
        .assert_eq(&place.plan().await.unwrap().join("\n"));
    let place = Fixture::new(None, HALF_AN_HOUR);
    place.vendor.arrange_stranger();
    place.rotate(1).await.unwrap();
    place.rotate(2).await.unwrap();
    let lines = place.plan().await.unwrap().join("\n");
    let label = lines.split_once("with a label \"").unwrap().1.split_once('"').unwrap().0;
    expect_test::expect![[r#"
        createSecret issues a key with a label "..."...
        finishSecret keeps key "k1": it may be in use until the grace period of 1800 s is over
        finishSecret keeps key "k3": it may be in use until the grace period of 1800 s is over
        finishSecret keeps key "k4": it is AWSPREVIOUS's then
        finishSecret leaves 1 more alone: nothing says that they are this secret's"#]]
    .assert_eq(&lines.replace(label, "..."));
}

#[tokio::test]
async fn a_rotation_under_way_issues_nothing_and_promotes_what_is_pending() {
    let place = Fixture::new(None, Duration::ZERO);
    place.rotate(1).await.unwrap();
    let function = "arn:aws:lambda:us-east-1:000000000000:function:kit";
    let token = VersionId::from_store(format!("{:032}", 2));
    place.store.rotate(&place.secret, &NewRotation::now(&token, function)).unwrap();
    let empty = place.plan().await.unwrap();
    assert!(empty[0].starts_with("createSecret revokes key \"k1\" first if"), "{empty:?}");
    assert!(empty[1].starts_with("createSecret issues a key"), "{empty:?}");
    place.step(Step::Create, &token).await.unwrap();
    assert_eq!(place.labelled(AWSPENDING), Some(token.clone()));
    let lines = place.plan().await.unwrap();
    expect_test::expect![[r#"
        createSecret issues nothing: version 00000000000000000000000000000002 is AWSPENDING and holds key "k3"
        finishSecret revokes key "k1"
        finishSecret keeps key "k2": it is AWSPREVIOUS's then
        finishSecret keeps key "k3": it is AWSCURRENT and AWSPENDING's then"#]].assert_eq(&lines.join("\n"));
    let before = place.listed().await;
    for step in [Step::Set, Step::Test, Step::Finish] {
        place.step(step, &token).await.unwrap();
    }
    let gone: BTreeSet<_> = before.difference(&place.listed().await).cloned().collect();
    assert_eq!(gone, revoked(&lines));
    assert_eq!(place.labelled(AWSCURRENT), Some(token));
}
