//! What each step does when something goes wrong.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fourstep::store::{AWSCURRENT, AWSPENDING, Select, StoreErrorCode};
use fourstep::{ErrorKind, ExposeSecret, Step};
use fourstep_local::{Fault, NewValue};

use super::scene::*;
use crate::support::stage::new_token;

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
    assert_eq!(effects[effects.len() - 2..], ["GetSecretValue", "discard v+"]);
}

#[tokio::test]
async fn parity_16_a_put_that_is_refused_without_another_value_fails_cleanly() {
    let scene = scene();
    scene.fault(|effect| {
        if effect.starts_with("Put") {
            error(StoreErrorCode::AlreadyExists)
        } else {
            Fault::Proceed
        }
    });
    let (result, effects) = scene.run(Step::Create).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(effects.last().map(String::as_str), Some("GetSecretValue token"));
}

#[tokio::test]
async fn what_was_proposed_and_surely_not_stored_is_given_up() {
    use StoreErrorCode::*;
    for code in [AccessDenied, EncryptionFailure, LimitExceeded, InvalidParameter] {
        let scene = scene();
        scene.fault(move |effect| match effect.starts_with("Put") {
            true => error(code),
            false => Fault::Proceed,
        });
        let (result, effects) = scene.run(Step::Create).await;
        assert_eq!(result.unwrap_err().kind(), code.kind());
        assert_eq!(
            effects[effects.len() - 2..],
            ["GetSecretValue token", "discard v+"],
            "{code:?}"
        );
    }
    // It may be stored, and whatever is stored must work.
    for code in [Throttled, Internal, Unreachable] {
        let scene = scene();
        scene.fault(move |effect| match effect.starts_with("Put") {
            true => error(code),
            false => Fault::Proceed,
        });
        let (result, effects) = scene.run(Step::Create).await;
        assert_eq!(result.unwrap_err().kind(), code.kind());
        assert!(!effects.iter().any(|effect| effect.starts_with("discard")), "{code:?}");
    }
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
            error.to_string().contains(label)
                && error.to_string().contains("the change was not made")
        );
        assert_eq!(scene.rotator.live.lock().unwrap().expose().unwrap(), "v");
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
async fn a_version_without_a_value_is_never_promoted() {
    let scene = scene();
    let before = scene.holder(AWSCURRENT);
    let (result, effects) = scene.run(Step::Finish).await;
    let refused = result.unwrap_err();
    assert_eq!((refused.kind(), refused.step()), (ErrorKind::NotFound, Some(Step::Finish)));
    assert!(refused.to_string().contains("has no value"), "{refused}");
    assert_eq!(effects, [&["DescribeSecret"][..], &["GetSecretValue token"; 4]].concat());
    assert_eq!(scene.holder(AWSCURRENT), before);
    // One that cannot be read is not promoted either, and nothing stands in the rotation's way.
    scene.done(&[Step::Create, Step::Set, Step::Test]).await;
    for (code, kind) in [
        (StoreErrorCode::AccessDenied, ErrorKind::Forbidden),
        (StoreErrorCode::Throttled, ErrorKind::Throttled),
    ] {
        scene.fault(move |effect| match effect {
            "GetSecretValue token" => error(code),
            _ => Fault::Proceed,
        });
        assert_eq!(scene.run(Step::Finish).await.0.unwrap_err().kind(), kind);
        assert_eq!(scene.holder(AWSCURRENT), before);
    }
    scene.fault(|_| Fault::Proceed);
    scene.done(&[Step::Finish]).await;
    assert_eq!(scene.holder(AWSCURRENT), Some(scene.token.clone()));
}

#[tokio::test]
async fn beyond_13_a_value_to_promote_that_cannot_be_read_yet_is_waited_for() {
    let scene = scene();
    scene.done(&[Step::Create, Step::Set, Step::Test]).await;
    let missing = Mutex::new(3);
    scene.fault(move |effect| {
        let mut missing = missing.lock().unwrap();
        if effect == "GetSecretValue token" && *missing > 0 {
            *missing -= 1;
            return error(StoreErrorCode::NotFound);
        }
        Fault::Proceed
    });
    scene.done(&[Step::Finish]).await;
    assert_eq!(scene.holder(AWSCURRENT), Some(scene.token.clone()));
}

#[tokio::test]
async fn a_token_that_is_current_is_finished_whatever_becomes_of_the_read() {
    let scene = scene();
    scene.done(&Step::ALL).await;
    let first = Mutex::new(true);
    scene.fault(move |effect| {
        match effect == "GetSecretValue token" && std::mem::take(&mut *first.lock().unwrap()) {
            true => error(StoreErrorCode::AccessDenied),
            false => Fault::Proceed,
        }
    });
    let (result, effects) = scene.run(Step::Finish).await;
    assert_eq!(result.unwrap().why, "this version is AWSCURRENT already");
    assert!(effects.iter().any(|effect| effect == "retire"));
}

#[tokio::test]
async fn beyond_12_no_change_is_begun_when_too_little_time_is_left() {
    let scene = scene();
    scene.done(&[Step::Create]).await;
    let scene = Scene { timeout: Duration::from_secs(4), ..scene };
    let (result, effects) = scene.run(Step::Set).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfTime);
    assert!(error.to_string().contains("did not begin the change"), "{error}");
    assert!(!effects.iter().any(|effect| effect == "apply"));
    assert_eq!(scene.rotator.live.lock().unwrap().expose().unwrap(), "v");
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
    let fourstep::SecretValue::Text(text) = stored.value else { panic!("text was stored") };
    assert_eq!(text.expose_secret(), canary);
}
