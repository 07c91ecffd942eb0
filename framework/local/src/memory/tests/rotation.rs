//! Rule 8, and how a rotation begins, ends, is tested and is cancelled.

use super::*;
use StoreErrorCode::{AccessDenied, InvalidRequest};

fn test_only(number: u32) -> NewRotation {
    NewRotation { immediately: false, ..NewRotation::now(&version(number), FUNCTION) }
}

#[test]
fn rule_8_without_a_function_nothing_rotates() {
    let store = store();
    let new = NewRotation { lambda_arn: None, ..NewRotation::now(&version(2), "") };
    let text = "No Lambda rotation function ARN is associated with this secret.";
    assert_eq!(refused(store.rotate(&secret(), &new)), (InvalidRequest, text.into()));
    assert_eq!(store.describe(&secret()).unwrap().rotation_enabled, None);
}

#[test]
fn rule_8_a_function_that_cannot_be_invoked_leaves_no_trace() {
    let store = store();
    store.set_invokable(|function| function != FUNCTION);
    let answer = store.rotate(&secret(), &NewRotation::now(&version(2), FUNCTION));
    let text = "Secrets Manager cannot invoke the specified Lambda function. Ensure that the \
                function policy grants access to the principal secretsmanager.amazonaws.com.";
    assert_eq!(refused(answer), (AccessDenied, text.into()));
    let detail = store.describe(&secret()).unwrap();
    assert_eq!((detail.rotation_enabled, detail.rotation_lambda_arn), (None, None));
    assert_eq!(labels(&store), ["1: AWSCURRENT"]);
}

#[test]
fn rule_8_an_unfinished_rotation_blocks_the_next() {
    let store = rotating();
    let blocked = "A previous rotation isn't complete. That rotation will be reattempted.";
    for new in [NewRotation::now(&version(3), FUNCTION), test_only(3)] {
        let answer = store.rotate(&secret(), &new);
        assert_eq!(refused(answer), (InvalidRequest, blocked.into()));
    }
    store.update_stage(&secret(), AWSPENDING, None, Some(&version(2))).unwrap();
    store.rotate(&secret(), &NewRotation::now(&version(3), FUNCTION)).unwrap();
    assert_eq!(labels(&store), ["1: AWSCURRENT", "2", "3: AWSPENDING"]);
}

#[test]
fn a_whole_rotation_twice_with_either_end_and_what_was_stored_reused() {
    for pending in [PendingLabel::Removed, PendingLabel::Left] {
        let store = store();
        let rules = RotationRules { automatically_after_days: Some(7), ..Default::default() };
        let first = NewRotation::now(&version(2), FUNCTION);
        store.rotate(&secret(), &NewRotation { rules: Some(rules.clone()), ..first }).unwrap();
        assert!(store.describe(&secret()).unwrap().labels.contains_key(&version(2)));
        for number in 2..=3 {
            let (old, new) = (version(number - 1), version(number));
            if number == 3 {
                let again = NewRotation { lambda_arn: None, ..NewRotation::now(&new, "") };
                let started = store.rotate(&secret(), &again).unwrap();
                assert_eq!((started.lambda_arn.as_str(), started.test_only), (FUNCTION, false));
                assert_eq!(store.describe(&secret()).unwrap().labels[&old], [AWSCURRENT]);
            }
            let unfinished = store.finish_rotation(&secret(), &new, pending);
            assert_eq!(refused(unfinished).0, InvalidRequest);
            store.put(&secret(), NewValue::labelled(&new, "new", &[AWSPENDING])).unwrap();
            store.update_stage(&secret(), AWSCURRENT, Some(&new), Some(&old)).unwrap();
            store.finish_rotation(&secret(), &new, pending).unwrap();
            let holds = if pending == PendingLabel::Left { Some(&new) } else { None };
            let detail = store.describe(&secret()).unwrap();
            assert_eq!(SecretDescription::from(detail.clone()).holder(AWSPENDING), holds);
            assert_eq!(detail.labels[&old], [AWSPREVIOUS]);
            assert_eq!(detail.rotation_rules, Some(rules.clone()));
            assert!(detail.last_rotated.is_some());
        }
    }
}

#[test]
fn a_token_that_has_a_value_cannot_begin_a_rotation() {
    let store = store();
    let answer = store.rotate(&secret(), &NewRotation::now(&version(1), FUNCTION));
    assert_eq!(refused(answer).0, InvalidRequest);
    assert_eq!(text(&store, Select::Label(AWSCURRENT)).unwrap(), "one");
}

#[test]
fn a_test_runs_on_a_copy_that_is_removed_afterwards() {
    let store = store();
    let started = store.rotate(&secret(), &test_only(2)).unwrap();
    assert!(started.test_only);
    assert_eq!(text(&store, Select::VersionWithLabel(&version(2), AWSPENDING)).unwrap(), "one");
    assert_eq!(store.describe(&secret()).unwrap().rotation_enabled, Some(true));
    store.end_test(&secret(), &version(2)).unwrap();
    store.end_test(&secret(), &version(1)).unwrap();
    assert_eq!(labels(&store), ["1: AWSCURRENT"]);
    assert_eq!(store.describe(&secret()).unwrap().last_rotated, None);
}

#[test]
fn cancelling_turns_rotation_off_and_leaves_the_labels() {
    let store = store();
    assert_eq!(refused(store.cancel_rotation(&secret())).0, InvalidRequest);
    let store = rotating();
    store.put(&secret(), NewValue::labelled(&version(2), "two", &[AWSPENDING])).unwrap();
    assert_eq!(store.cancel_rotation(&secret()).unwrap().version, Some(version(2)));
    assert_eq!(labels(&store), ["1: AWSCURRENT", "2: AWSPENDING"]);
    assert_eq!(store.describe(&secret()).unwrap().rotation_enabled, Some(false));
}
