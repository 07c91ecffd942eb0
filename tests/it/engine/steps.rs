//! What each step does, as a transcript.

use std::sync::Arc;

use expect_test::expect;
use fourstep::store::{AWSCURRENT, AWSPENDING, Select};
use fourstep::{Effect, ErrorKind, SecretValue, Step};
use fourstep_local::{Fault, MemoryStore, NewRotation, NewSecret, NewValue, PendingLabel};

use super::scene::*;
use crate::support::stage::{FUNCTION, new_token};

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
                GetSecretValue token
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
async fn bytes_are_rotated_unharmed_and_shown_by_no_step() {
    let bytes = |bytes: &[u8]| SecretValue::Binary(bytes.to_vec().into());
    let scene = scene_of(bytes(b"canary\xff"));
    for step in Step::ALL {
        let (result, effects) = scene.run(step).await;
        let shown = format!("{:?} {effects:?}", result.unwrap());
        assert!(!shown.contains("canary"), "{shown}");
    }
    let current = scene.store.get(&scene.secret, Select::Label(AWSCURRENT)).unwrap();
    assert!(current.value.same_as(&bytes(b"canary\xff+")));
    assert_eq!(scene.rotator.live.lock().unwrap().bytes().unwrap(), b"canary\xff+");
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
async fn rule_13_only_the_version_before_the_promoted_one_is_kept_by_the_finish_that_promotes() {
    let scene = scene();
    scene.done(&Step::ALL).await;
    scene.store.finish_rotation(&scene.secret, &scene.token, PendingLabel::Removed).unwrap();
    let next = Scene { token: new_token(), ..scene };
    next.store.rotate(&next.secret, &NewRotation::now(&next.token, FUNCTION)).unwrap();
    next.done(&Step::ALL).await;
    let mut kept = next.rotator.kept.lock().unwrap().clone();
    kept.sort();
    assert_eq!(kept, ["v+", "v++"], "not v, which was AWSPREVIOUS until then");
}
