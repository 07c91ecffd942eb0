//! Rule 6: moving labels by UpdateSecretVersionStage.

use super::*;
use StoreErrorCode::{InvalidParameter, NotFound};

/// Version 1 current, 2 pending, 3 blue.
fn three() -> MemoryStore {
    let store = rotating();
    store.put(&secret(), NewValue::labelled(&version(2), "two", &[AWSPENDING])).unwrap();
    store.put(&secret(), NewValue::labelled(&version(3), "three", &["blue"])).unwrap();
    store
}

#[test]
fn the_holder_must_be_named() {
    let store = three();
    let (one, two) = (version(1), version(2));
    let expected = format!(
        "The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is currently \
         attached to version {one}, so you must explicitly reference that version in \
         RemoveFromVersionId."
    );
    let answer = store.update_stage(&secret(), AWSCURRENT, Some(&two), None);
    assert_eq!(refused(answer), (InvalidParameter, expected));
    let answer = store.update_stage(&secret(), AWSCURRENT, Some(&two), Some(&two));
    let expected = format!("Staging label AWSCURRENT isn't currently attached to version {two}.");
    assert_eq!(refused(answer), (InvalidParameter, expected));
    assert_eq!(labels(&store), ["1: AWSCURRENT", "2: AWSPENDING", "3: blue"]);
}

#[test]
fn awscurrent_takes_awsprevious_along_and_nothing_else() {
    let store = three();
    let (one, two, three) = (version(1), version(2), version(3));
    store.update_stage(&secret(), AWSCURRENT, Some(&two), Some(&one)).unwrap();
    assert_eq!(labels(&store), ["1: AWSPREVIOUS", "2: AWSCURRENT, AWSPENDING", "3: blue"]);
    // Sent again because its answer was lost, the move is refused.
    let again = store.update_stage(&secret(), AWSCURRENT, Some(&two), Some(&one));
    assert_eq!(refused(again).0, InvalidParameter);
    store.update_stage(&secret(), AWSCURRENT, Some(&three), Some(&two)).unwrap();
    assert_eq!(labels(&store), ["1", "2: AWSPENDING, AWSPREVIOUS", "3: AWSCURRENT, blue"]);
}

#[test]
fn a_label_is_detached_and_attached() {
    let store = three();
    let (one, two) = (version(1), version(2));
    store.update_stage(&secret(), AWSPENDING, None, Some(&two)).unwrap();
    assert_eq!(labels(&store), ["1: AWSCURRENT", "2", "3: blue"]);
    // On no version, so nobody has to be named; on the very version, so nothing moves.
    for _ in 0..2 {
        store.update_stage(&secret(), "green", Some(&one), None).unwrap();
        assert_eq!(labels(&store), ["1: AWSCURRENT, green", "2", "3: blue"]);
    }
    assert_eq!(refused(store.update_stage(&secret(), "grey", None, None)).0, InvalidParameter);
}

#[test]
fn awscurrent_is_never_left_nowhere_nor_put_on_what_is_not_there() {
    let store = three();
    let (one, nine) = (version(1), version(9));
    let answer = store.update_stage(&secret(), AWSCURRENT, None, Some(&one));
    let expected = "You can only move staging label AWSCURRENT to a different secret version. It \
                    can’t be completely removed.";
    assert_eq!(refused(answer), (InvalidParameter, expected.into()));
    let answer = store.update_stage(&secret(), AWSCURRENT, Some(&nine), Some(&one));
    assert_eq!(refused(answer).0, NotFound);
    assert_eq!(labels(&store), ["1: AWSCURRENT", "2: AWSPENDING", "3: blue"]);
}

#[test]
fn a_version_holds_twenty_labels_and_no_more() {
    let store = store();
    for number in 2..=20 {
        store.update_stage(&secret(), &format!("label{number}"), Some(&version(1)), None).unwrap();
    }
    let answer = store.update_stage(&secret(), "label21", Some(&version(1)), None);
    assert_eq!(refused(answer).0, StoreErrorCode::LimitExceeded);
    assert_eq!(store.describe(&secret()).unwrap().labels[&version(1)].len(), 20);
}
