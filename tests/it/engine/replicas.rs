//! finishSecret and a secret's replicas in other Regions, where the function is to wait for them.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use expect_test::expect_file;
use fourstep::store::{
    AWSCURRENT, Replica, SecretDescription, SecretStore, Select, StoreError, StoreErrorCode,
    StoredVersion, VersionSummary,
};
use fourstep::{
    Deadline, Effect, Engine, Error, ErrorKind, Invocation, Outcome, RotationEvent, RotationToken,
    SecretId, SecretValue, Step, VersionId,
};
use fourstep_local::{Fault, MemoryStore};

use super::scene::*;
use crate::support::fault_table::FaultTable;

/// What the service says of two replicas, look by look; the last goes on.
type Said = &'static [[&'static str; 2]];

/// The store, of a secret with two replicas.
struct Replicated<'a> {
    store: &'a MemoryStore,
    said: Mutex<VecDeque<[&'static str; 2]>>,
}

#[async_trait]
impl SecretStore for Replicated<'_> {
    async fn describe_secret(&self, secret: &SecretId) -> Result<SecretDescription, StoreError> {
        let description = self.store.describe_secret(secret).await?;
        let mut said = self.said.lock().unwrap();
        let now = if said.len() > 1 { said.pop_front() } else { said.front().copied() };
        let regions = ["eu-west-1", "eu-west-2"].into_iter().zip(now.into_iter().flatten());
        let replicas = regions.map(|(region, status)| Replica {
            region: region.to_owned(),
            status: status.to_owned(),
            message: (status == "Failed").then(|| "the key is disabled".to_owned()),
            key: None,
        });
        Ok(SecretDescription { replicas: replicas.collect(), ..description })
    }

    async fn get_secret_value(
        &self,
        secret: &SecretId,
        select: Select<'_>,
    ) -> Result<StoredVersion, StoreError> {
        self.store.get_secret_value(secret, select).await
    }

    async fn put_pending(
        &self,
        _: &SecretId,
        _: &VersionId,
        _: &SecretValue,
        _: Option<&RotationToken>,
    ) -> Result<(), StoreError> {
        panic!("finishSecret stores nothing")
    }

    async fn move_current(
        &self,
        secret: &SecretId,
        to: &VersionId,
        from: &VersionId,
    ) -> Result<(), StoreError> {
        self.store.move_current(secret, to, from).await
    }

    async fn remove_pending(&self, _: &SecretId, _: &VersionId) -> Result<(), StoreError> {
        panic!("finishSecret takes no AWSPENDING off")
    }

    async fn list_versions(&self, secret: &SecretId) -> Result<Vec<VersionSummary>, StoreError> {
        self.store.list_versions(secret).await
    }
}

/// A scene in which all but finishSecret is done.
async fn tested() -> Scene {
    let scene = scene();
    scene.done(&[Step::Create, Step::Set, Step::Test]).await;
    scene
}

/// finishSecret, where the replicas are as is said; and what was done, in order.
async fn finish(
    scene: &Scene,
    wait: bool,
    seconds: f64,
    said: Said,
) -> (Result<Outcome, Error>, Vec<String>) {
    step(scene, Step::Finish, wait, seconds, said).await
}

async fn step(
    scene: &Scene,
    step: Step,
    wait: bool,
    seconds: f64,
    said: Said,
) -> (Result<Outcome, Error>, Vec<String>) {
    scene.rotator.effects.lock().unwrap().clear();
    let store =
        Replicated { store: &scene.store, said: Mutex::new(said.iter().copied().collect()) };
    let (secret, token) = (scene.secret.clone(), scene.token.clone());
    let event = RotationEvent { step, secret, token, rotation_token: None };
    let cx = Invocation::new(Deadline::after(Duration::from_secs_f64(seconds)));
    let engine = Engine::new(&store, &scene.rotator).waiting_for_replicas(wait);
    let result = engine.step(&event, &cx).await;
    (result, scene.rotator.effects.lock().unwrap().clone())
}

fn moved(scene: &Scene) -> bool {
    scene.holder(AWSCURRENT).as_ref() == Some(&scene.token)
}

/// How often the labels were asked for between the promotion and the end of the old.
fn looks(effects: &[String]) -> usize {
    let place = |begins: &str| effects.iter().position(|one| one.starts_with(begins)).unwrap();
    let between = &effects[place("UpdateSecretVersionStage")..place("retire")];
    between.iter().filter(|one| one.starts_with("DescribeSecret")).count()
}

const LAGS: Said = &[["InSync", "InProgress"]];
const FAILED: Said = &[["InSync", "Failed"]];
const LATE: Said = &[
    ["InSync", "InSync"],
    ["InProgress", "InProgress"],
    ["InSync", "InProgress"],
    ["InSync", "InSync"],
];

#[tokio::test]
async fn finish_waits_for_every_replica_before_anything_old_goes() {
    let scene = tested().await;
    let began = Instant::now();
    let (result, effects) = finish(&scene, true, 30.0, LATE).await;
    assert_eq!(result.unwrap().effect, Effect::Done);
    assert_eq!(looks(&effects), 3, "{effects:?}");
    assert!(began.elapsed() > Duration::from_secs(3));
    assert!(moved(&scene));
}

#[tokio::test]
async fn nothing_is_waited_for_and_no_call_made_unless_it_is_asked_for_and_there_are_replicas() {
    let late: Said = &[["InProgress", "Failed"]];
    for (wait, said) in [(false, late), (true, &[])] {
        let scene = tested().await;
        let (result, effects) = finish(&scene, wait, 30.0, said).await;
        assert_eq!(result.unwrap().effect, Effect::Done);
        assert_eq!(looks(&effects), 0, "{effects:?}");
    }
}

#[tokio::test]
async fn a_retry_goes_on_waiting_although_awscurrent_has_moved() {
    let scene = tested().await;
    for _ in 0..2 {
        let (result, effects) = finish(&scene, true, 4.0, &[["InSync", "InProgress"]]).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.step()), (ErrorKind::OutOfTime, Some(Step::Finish)));
        let text = error.to_string();
        assert!(text.contains("not in sync yet: eu-west-2"), "{text}");
        assert!(text.contains("AWSCURRENT has moved, and a retry"), "{text}");
        assert!(moved(&scene) && !effects.contains(&"retire".to_owned()), "{effects:?}");
    }
    let (result, effects) = finish(&scene, true, 30.0, LATE).await;
    assert_eq!(result.unwrap().effect, Effect::Nothing);
    assert_eq!(effects.iter().filter(|one| *one == "retire").count(), 1, "{effects:?}");
}

#[tokio::test]
async fn a_replica_that_failed_is_named_at_once() {
    let scene = tested().await;
    let began = Instant::now();
    let said: Said = &[["InSync", "InSync"], ["InProgress", "Failed"]];
    let error = finish(&scene, true, 60.0, said).await.0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let text = error.to_string();
    assert!(
        text.contains("the replica in eu-west-2") && text.contains("the key is disabled"),
        "{text}"
    );
    assert!(began.elapsed() < Duration::from_secs(10) && moved(&scene));
}

/// Whichever call fails, or loses its answer: a retry ends it, and not before the replicas have it.
#[tokio::test]
async fn a_wait_that_is_broken_off_anywhere_is_taken_up_again() {
    let said: Said =
        &[["InSync", "InProgress"], ["InProgress", "InProgress"], ["InSync", "InSync"]];
    for lost in [false, true] {
        let mut failing = 0;
        loop {
            let scene = tested().await;
            let calls = Mutex::new(0);
            scene.store.set_faults(move |_, _| {
                let mut calls = calls.lock().unwrap();
                *calls += 1;
                match (*calls - 1 == failing, lost) {
                    (false, _) => Fault::Proceed,
                    (true, true) => Fault::LoseAnswer,
                    (true, false) => error(StoreErrorCode::Unreachable),
                }
            });
            let (first, _) = finish(&scene, true, 30.0, said).await;
            if first.is_ok() && failing > 4 {
                break;
            }
            if first.is_err() {
                finish(&scene, true, 30.0, said).await.0.unwrap();
            }
            assert!(moved(&scene), "{failing} {lost}");
            failing += 1;
        }
    }
}

/// The next rotation would replace what a Region that lags may still answer with.
#[tokio::test]
async fn no_rotation_begins_while_a_replica_lags() {
    for said in [LAGS, FAILED] {
        let (result, effects) = step(&scene(), Step::Create, true, 30.0, said).await;
        let error = result.unwrap_err().to_string();
        assert!(error.contains("nothing was stored"), "{error}");
        assert!(!effects.iter().any(|one| one == "propose"), "{effects:?}");
    }
}

/// What docs/errors.md quotes (tests/it/faults/guide.rs).
#[tokio::test]
async fn every_error_about_replicas_is_in_the_table() {
    let mut table = FaultTable::default();
    let mut add = async |name: &str, step_of: Step, said: Said| {
        let scene = if step_of == Step::Finish { tested().await } else { scene() };
        let error = step(&scene, step_of, true, 4.0, said).await.0.unwrap_err();
        let arn = scene.store.describe(&scene.secret).unwrap().arn;
        table.mask([(&arn, "SECRET")]);
        table.add(name, error.kind(), error.to_string());
    };
    add("a replica that lags before a rotation", Step::Create, LAGS).await;
    add("a replica that failed before a rotation", Step::Create, FAILED).await;
    add("a replica that lags after the promotion", Step::Finish, LAGS).await;
    add("a replica that failed after the promotion", Step::Finish, FAILED).await;
    expect_file!["replicas.txt"].assert_eq(&table.text);
}
