//! The four steps over the memory store and a target made of a list, with every effect recorded.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use expect_test::{Expect, expect};
use fourstep::store::memory::{Fault, MemoryStore, NewRotation, NewSecret, NewValue};
use fourstep::store::{AWSCURRENT, AWSPENDING, Select, StoreError, StoreErrorCode};
use fourstep::{
    Applied, Current, Deadline, Effect, Engine, Error, ErrorKind, ExposeSecret, Fence, Finding,
    Keep, Known, Outcome, Pending, RotationEvent, RotationToken, Rotator, Secret, SecretId, Step,
    Turn, Verdict, VersionId, Versions,
};

use crate::support::stage::{FUNCTION, new_token};

/// A rotator of plain texts whose target is one string, writing down what it is asked.
struct Recorder {
    live: Mutex<String>,
    effects: Arc<Mutex<Vec<String>>>,
    kept: Mutex<Vec<String>>,
}

impl Recorder {
    fn note(&self, effect: &str) {
        self.effects.lock().unwrap().push(effect.to_owned());
    }
}

#[async_trait]
impl Rotator for Recorder {
    fn check(&self, _: &Current, _: &Pending) -> Result<(), Error> {
        self.note("check");
        Ok(())
    }

    async fn propose(&self, known: &Known<'_>, _: &Turn) -> Result<Secret, Error> {
        self.note("propose");
        let next = format!("{}+", known.current.secret().expose());
        Ok(Secret::decode(&next.into()))
    }

    async fn apply(
        &self,
        versions: &Versions<'_>,
        fence: &Fence<'_>,
        _: &Turn,
    ) -> Result<Applied, Error> {
        fence.pass().await?;
        self.note("apply");
        *self.live.lock().unwrap() = versions.pending().secret().expose();
        Ok(Applied::Changed("applied".to_owned()))
    }

    async fn verify(&self, secret: &Secret, _: &Turn) -> Result<Verdict, Error> {
        self.note("verify");
        if *self.live.lock().unwrap() == secret.expose() {
            Ok(Verdict::Accepted)
        } else {
            Ok(Verdict::Rejected("it is not the live one".to_owned()))
        }
    }

    async fn retire(&self, keep: &Keep<'_>, _: &Turn) -> Result<(), Error> {
        self.note("retire");
        let kept = keep.labelled().await?;
        *self.kept.lock().unwrap() = kept.iter().map(|version| version.secret().expose()).collect();
        Ok(())
    }

    async fn preflight(&self, _: &Current, _: &Turn) -> Result<Vec<Finding>, Error> {
        self.note("preflight");
        Ok(vec![Finding::Warns("the target is slow".to_owned())])
    }
}

struct Scene {
    store: Arc<MemoryStore>,
    rotator: Recorder,
    secret: SecretId,
    token: VersionId,
    timeout: Duration,
}

/// A secret with the value `v`, a rotation begun, and every store call and verb written down.
fn scene() -> Scene {
    let store = Arc::new(MemoryStore::new());
    let value = Some("v".into());
    // Versions are described in the order of their ids, so these are chosen.
    let first = Some(VersionId::from_store("00000000-first-version-0000000000000"));
    store.create("s", NewSecret { value, token: first, ..NewSecret::default() }).unwrap();
    let secret = SecretId::parse("s").unwrap();
    let token = VersionId::from_store("ffffffff-second-version-000000000000");
    store.rotate(&secret, &NewRotation::now(&token, FUNCTION)).unwrap();
    let effects = Arc::new(Mutex::new(Vec::new()));
    let rotator = Recorder {
        live: Mutex::new("v".to_owned()),
        effects: Arc::clone(&effects),
        kept: Mutex::default(),
    };
    let scene = Scene { store, rotator, secret, token, timeout: Duration::from_secs(60) };
    scene.fault(|_| Fault::Proceed);
    scene
}

impl Scene {
    /// Decides what becomes of each store call, by its description, and writes it down.
    fn fault(&self, decide: impl Fn(&str) -> Fault + Send + Sync + 'static) {
        let effects = Arc::clone(&self.rotator.effects);
        let token = self.token.clone();
        self.store.set_faults(move |_, call| {
            let version = match call.version {
                Some(version) if *version == token => " token",
                Some(_) => " other",
                None => "",
            };
            let label = call.label.map(|label| format!(" {label}")).unwrap_or_default();
            let effect = format!("{}{version}{label}", call.operation);
            effects.lock().unwrap().push(effect.clone());
            decide(&effect)
        });
    }

    async fn run(&self, step: Step) -> (Result<Outcome, Error>, Vec<String>) {
        self.rotator.effects.lock().unwrap().clear();
        let turn = Turn::new(Deadline::after(self.timeout));
        let event = RotationEvent {
            step,
            secret: self.secret.clone(),
            token: self.token.clone(),
            rotation_token: Some(RotationToken::parse(&"r".repeat(36)).unwrap()),
        };
        let result = Engine::new(&*self.store, &self.rotator).step(&event, &turn).await;
        (result, self.rotator.effects.lock().unwrap().clone())
    }

    /// Runs one step and compares its transcript: effects in order, then how it ended.
    async fn check(&self, step: Step, expected: &Expect) {
        let (result, effects) = self.run(step).await;
        let end = match result {
            Ok(Outcome { effect, why }) => format!("=> {}: {why}", effect.name()),
            Err(error) => format!("=> {}: {error}", error.kind()),
        };
        let text = format!("{}\n{end}\n", effects.join("\n")).replace(self.token.as_str(), "TOKEN");
        expected.assert_eq(&text);
    }

    async fn done(&self, steps: &[Step]) {
        for &step in steps {
            self.run(step).await.0.unwrap();
        }
    }

    fn holder(&self, label: &str) -> Option<VersionId> {
        let labels = self.store.describe(&self.secret).unwrap().labels;
        labels.into_iter().find(|(_, on)| on.iter().any(|one| one == label)).map(|(id, _)| id)
    }
}

fn error(code: StoreErrorCode) -> Fault {
    Fault::Fail(StoreError::new(code, "planted"))
}

#[tokio::test]
async fn a_healthy_rotation_step_by_step() {
    let scene = scene();
    scene
        .check(
            Step::Create,
            &expect![[r#"
                DescribeSecret
                GetSecretValue AWSCURRENT
                GetSecretValue token AWSPENDING
                propose
                PutSecretValue token AWSPENDING
                => done: stored the proposed secret as AWSPENDING
            "#]],
        )
        .await;
    scene
        .check(
            Step::Set,
            &expect![[r#"
                DescribeSecret
                GetSecretValue AWSCURRENT
                GetSecretValue token AWSPENDING
                check
                DescribeSecret
                apply
                => done: applied
            "#]],
        )
        .await;
    scene
        .check(
            Step::Test,
            &expect![[r#"
                DescribeSecret
                GetSecretValue AWSCURRENT
                GetSecretValue token AWSPENDING
                verify
                => done: the pending secret logs in
            "#]],
        )
        .await;
    let before = scene.holder(AWSCURRENT);
    scene
        .check(
            Step::Finish,
            &expect![[r#"
                DescribeSecret
                UpdateSecretVersionStage token AWSCURRENT
                retire
                GetSecretValue other
                GetSecretValue token
                => done: moved AWSCURRENT to this version
            "#]],
        )
        .await;
    assert_eq!(scene.holder(AWSCURRENT), Some(scene.token.clone()));
    assert_eq!(scene.holder("AWSPREVIOUS"), before);
    assert_eq!(scene.holder(AWSPENDING), Some(scene.token.clone()), "left to the service");
}

#[tokio::test]
async fn parity_06_a_token_that_is_current_changes_nothing_in_any_step() {
    let scene = scene();
    scene.done(&Step::ALL).await;
    for step in Step::ALL {
        let (result, effects) = scene.run(step).await;
        let outcome = result.unwrap();
        assert_eq!(outcome.effect, Effect::Nothing);
        assert_eq!(outcome.why, "this version is AWSCURRENT already");
        assert!(
            !effects.iter().any(|effect| effect.starts_with("Put") || effect.starts_with("Update"))
        );
        for verb in ["propose", "apply", "verify", "preflight"] {
            assert!(!effects.iter().any(|effect| effect == verb), "{step}: {verb}");
        }
        assert_eq!(effects.iter().any(|effect| effect == "retire"), step == Step::Finish);
    }
}

#[tokio::test]
async fn parity_33_a_repeated_finish_retires_again_and_keeps_every_labelled_version() {
    let scene = scene();
    scene.done(&Step::ALL).await;
    let custom = new_token();
    let value = NewValue::labelled(&custom, "mine", &["custom"]);
    scene.store.put(&scene.secret, value).unwrap();
    scene.done(&[Step::Finish]).await;
    let mut kept = scene.rotator.kept.lock().unwrap().clone();
    kept.sort();
    assert_eq!(kept, ["mine", "v", "v+"]);
}

#[tokio::test]
async fn parity_11_a_value_stored_already_is_kept() {
    let scene = scene();
    scene.done(&[Step::Create]).await;
    scene
        .check(
            Step::Create,
            &expect![[r#"
                DescribeSecret
                GetSecretValue AWSCURRENT
                GetSecretValue token AWSPENDING
                => nothing to do: a value is stored under this token already; it is kept
            "#]],
        )
        .await;
}

#[tokio::test]
async fn parity_16_a_lost_race_for_the_put_keeps_the_other_value() {
    let scene = scene();
    let token = scene.token.clone();
    let secret = scene.secret.clone();
    let effects = Arc::clone(&scene.rotator.effects);
    scene.store.set_faults(move |store, call| {
        effects.lock().unwrap().push(call.operation.to_owned());
        if call.operation == "PutSecretValue" {
            let other = NewValue::labelled(&token, "theirs", &[AWSPENDING]);
            store.put(&secret, other).unwrap();
        }
        Fault::Proceed
    });
    let (result, effects) = scene.run(Step::Create).await;
    assert_eq!(result.unwrap().why, "another run stored a value under this token; it is kept");
    assert_eq!(effects.last().map(String::as_str), Some("GetSecretValue"));
}

#[tokio::test]
async fn only_not_found_means_that_nothing_was_stored() {
    for code in [
        StoreErrorCode::Throttled,
        StoreErrorCode::Internal,
        StoreErrorCode::AccessDenied,
        StoreErrorCode::DecryptionFailure,
        StoreErrorCode::Unreachable,
        StoreErrorCode::InvalidRequest,
    ] {
        let scene = scene();
        scene.fault(move |effect| {
            if effect == "GetSecretValue token AWSPENDING" { error(code) } else { Fault::Proceed }
        });
        let (result, effects) = scene.run(Step::Create).await;
        assert_eq!(result.unwrap_err().kind(), code.kind());
        assert!(!effects.iter().any(|effect| effect == "propose"), "{code:?}");
    }
}

#[tokio::test]
async fn parity_13_a_secret_without_a_current_value_is_refused() {
    let store = Arc::new(MemoryStore::new());
    store.create("s", NewSecret::default()).unwrap();
    let scene = Scene { store, ..scene() };
    let refused = scene.store.rotate(&scene.secret, &NewRotation::now(&scene.token, FUNCTION));
    refused.unwrap();
    let (result, effects) = scene.run(Step::Create).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("store the working credential first"), "{error}");
    assert!(!effects.iter().any(|effect| effect.starts_with("Put") || effect == "propose"));
}

#[tokio::test]
async fn rule_02_a_stale_base_is_refused() {
    let scene = scene();
    let newer = new_token();
    scene.store.put(&scene.secret, NewValue::labelled(&newer, "edited", &[AWSCURRENT])).unwrap();
    for step in [Step::Create, Step::Set] {
        if step == Step::Set {
            let value = NewValue::labelled(&scene.token, "v+", &[AWSPENDING]);
            scene.store.put(&scene.secret, value).unwrap();
        }
        let behind = if step == Step::Set { 2 } else { 1 };
        scene.fault(move |effect| {
            if effect == "GetSecretValue AWSCURRENT" {
                Fault::Stale(behind)
            } else {
                Fault::Proceed
            }
        });
        let (result, effects) = scene.run(step).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Conflict, "{step}");
        for effect in ["propose", "apply", "PutSecretValue token AWSPENDING"] {
            assert!(!effects.iter().any(|done| done == effect), "{step}: {effect}");
        }
    }
}

#[tokio::test]
async fn rule_03_the_fence_stops_a_container_that_lost_its_labels() {
    // AWSPENDING taken away, or AWSCURRENT moved, between the first look and the change.
    for label in [AWSPENDING, AWSCURRENT] {
        let scene = scene();
        scene.done(&[Step::Create]).await;
        let secret = scene.secret.clone();
        let looks = Mutex::new(0);
        scene.store.set_faults(move |store, call| {
            if call.operation == "DescribeSecret" {
                *looks.lock().unwrap() += 1;
                if *looks.lock().unwrap() == 2 {
                    let value = NewValue::labelled(&new_token(), "theirs", &[label]);
                    store.put(&secret, value).unwrap();
                }
            }
            Fault::Proceed
        });
        let (result, _) = scene.run(Step::Set).await;
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(
            error.to_string().contains(label) && error.to_string().contains("nothing was changed")
        );
        assert_eq!(*scene.rotator.live.lock().unwrap(), "v");
    }
}

#[tokio::test]
async fn rule_16_a_lost_answer_to_the_promotion_is_found_out() {
    let scene = scene();
    scene.done(&[Step::Create, Step::Set, Step::Test]).await;
    // The SDK's own retry: the first attempt took effect, the second finds the label moved.
    let (token, secret) = (scene.token.clone(), scene.secret.clone());
    let effects = Arc::clone(&scene.rotator.effects);
    scene.store.set_faults(move |store, call| {
        effects.lock().unwrap().push(call.operation.to_owned());
        if call.operation == "UpdateSecretVersionStage" {
            let from = store.get(&secret, Select::Label(AWSCURRENT)).unwrap().version;
            store.update_stage(&secret, AWSCURRENT, Some(&token), Some(&from)).unwrap();
        }
        Fault::Proceed
    });
    let (result, effects) = scene.run(Step::Finish).await;
    assert_eq!(result.unwrap().why, "AWSCURRENT was moved to this version by an earlier attempt");
    assert!(effects.iter().any(|effect| effect == "retire"));
}

#[tokio::test]
async fn a_promotion_that_was_refused_for_another_reason_fails() {
    let scene = scene();
    scene.done(&[Step::Create, Step::Set, Step::Test]).await;
    scene.fault(|effect| {
        if effect.starts_with("Update") {
            error(StoreErrorCode::InvalidParameter)
        } else {
            Fault::Proceed
        }
    });
    let (result, effects) = scene.run(Step::Finish).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Conflict);
    assert!(!effects.iter().any(|effect| effect == "retire"), "nothing is retired unpromoted");
}

#[tokio::test]
async fn beyond_13_a_pending_value_that_cannot_be_read_yet_is_waited_for() {
    let scene = scene();
    scene.done(&[Step::Create]).await;
    for step in [Step::Set, Step::Test] {
        let missing = Mutex::new(2);
        scene.fault(move |effect| {
            let mut missing = missing.lock().unwrap();
            if effect == "GetSecretValue token AWSPENDING" && *missing > 0 {
                *missing -= 1;
                return error(StoreErrorCode::NotFound);
            }
            Fault::Proceed
        });
        let (result, effects) = scene.run(step).await;
        result.unwrap();
        let reads = effects.iter().filter(|effect| effect.ends_with("token AWSPENDING")).count();
        assert_eq!(reads, 3, "{step}");
    }
    // It is not waited for without end, and never in createSecret.
    scene.fault(|effect| {
        if effect == "GetSecretValue token AWSPENDING" {
            error(StoreErrorCode::NotFound)
        } else {
            Fault::Proceed
        }
    });
    let (result, effects) = scene.run(Step::Set).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(effects.iter().filter(|effect| effect.ends_with("token AWSPENDING")).count(), 4);
    let (_, effects) = scene.run(Step::Create).await;
    assert_eq!(
        effects.iter().filter(|effect| effect.ends_with("token AWSPENDING")).count(),
        2,
        "one read, one put: {effects:?}"
    );
}

#[tokio::test]
async fn beyond_12_no_change_is_begun_when_too_little_time_is_left() {
    let scene = Scene { timeout: Duration::from_secs(3), ..scene() };
    scene.done(&[Step::Create]).await;
    let (result, effects) = scene.run(Step::Set).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfTime);
    assert!(error.to_string().contains("nothing was changed"), "{error}");
    assert!(!effects.iter().any(|effect| effect == "apply"));
    assert_eq!(*scene.rotator.live.lock().unwrap(), "v");
}

#[tokio::test]
async fn beyond_14_the_rotation_token_is_forwarded() {
    let scene = scene();
    scene.done(&[Step::Create]).await;
    let forwarded = scene.store.forwarded_token(&scene.secret, &scene.token).unwrap();
    assert_eq!(forwarded.expose(), "r".repeat(36));
}

#[tokio::test]
async fn a_pending_secret_that_is_rejected_is_not_promoted() {
    let scene = scene();
    scene.done(&[Step::Create]).await;
    scene
        .check(
            Step::Test,
            &expect![[r#"
                DescribeSecret
                GetSecretValue AWSCURRENT
                GetSecretValue token AWSPENDING
                verify
                => Rejected: testSecret: the pending secret does not log in: it is not the live one
            "#]],
        )
        .await;
}

#[tokio::test]
async fn parity_32_a_test_of_the_configuration_rehearses_a_rotation() {
    let scene = scene();
    let token = new_token();
    scene.store.update_stage(&scene.secret, AWSPENDING, None, Some(&scene.token)).unwrap();
    let begin = NewRotation { immediately: false, ..NewRotation::now(&token, FUNCTION) };
    scene.store.rotate(&scene.secret, &begin).unwrap();
    let scene = Scene { token, ..scene };
    scene.fault(|_| Fault::Proceed);
    scene
        .check(
            Step::Test,
            &expect![[r#"
                DescribeSecret
                GetSecretValue AWSCURRENT
                GetSecretValue token AWSPENDING
                verify
                preflight
                => done: the current secret logs in and a rotation would succeed
            "#]],
        )
        .await;
}

#[tokio::test]
async fn a_value_is_never_part_of_an_error() {
    let scene = scene();
    let canary = "canary-value";
    scene
        .store
        .put(&scene.secret, NewValue::labelled(&new_token(), canary, &[AWSCURRENT]))
        .unwrap();
    for code in [StoreErrorCode::Throttled, StoreErrorCode::InvalidParameter, StoreErrorCode::Other]
    {
        scene.fault(
            move |effect| if effect.starts_with("Put") { error(code) } else { Fault::Proceed },
        );
        let text = scene.run(Step::Create).await.0.unwrap_err().to_string();
        assert!(!text.contains("canary") && !text.contains(&"r".repeat(36)), "{text}");
    }
    let stored = scene.store.get(&scene.secret, Select::Label(AWSCURRENT)).unwrap();
    assert!(!format!("{stored:?}").contains("canary"));
    let fourstep::store::memory::SecretValue::Text(text) = stored.value else {
        panic!("text was stored")
    };
    assert_eq!(text.expose_secret(), canary);
}
