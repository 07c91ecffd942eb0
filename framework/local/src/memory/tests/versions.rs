//! Rules 1 to 5: reading and putting versions; and secrets as a whole.

use super::*;
use StoreErrorCode::{AlreadyExists, InvalidParameter, InvalidRequest, NotFound};

#[test]
fn rule_1_a_version_without_the_label_asked_for() {
    let store = rotating();
    let answer = store.get(&secret(), Select::VersionWithLabel(&version(1), AWSPENDING));
    let text = "You provided a VersionStage that is not associated to the provided VersionId.";
    assert_eq!(refused(answer), (InvalidRequest, text.into()));
}

#[test]
fn rule_2_what_cannot_be_found_is_named() {
    let store = rotating();
    let (one, two, nine) = (version(1), version(2), version(9));
    let missing = "Secrets Manager can't find the specified secret value for";
    let label = format!("{missing} staging label: AWSPENDING");
    for (select, expected) in [
        (Select::Label("blue"), format!("{missing} staging label: blue")),
        (Select::Version(&nine), format!("{missing} VersionId: {nine}")),
        (Select::VersionWithLabel(&nine, AWSCURRENT), format!("{missing} VersionId: {nine}")),
        // The placeholder of a rotation has no value.
        (Select::Label(AWSPENDING), label.clone()),
        (Select::VersionWithLabel(&two, AWSPENDING), label),
        (Select::Version(&two), format!("{missing} VersionId: {two}")),
    ] {
        assert_eq!(refused(store.get(&secret(), select)), (NotFound, expected));
    }
    let unknown = SecretId::parse("app/other").unwrap();
    let text = "Secrets Manager can't find the specified secret.";
    assert_eq!(refused(store.describe(&unknown)), (NotFound, text.into()));
    assert_eq!(refused(store.get(&unknown, Select::Version(&one))), (NotFound, text.into()));
}

#[test]
fn rule_4_a_value_is_written_once() {
    let store = rotating();
    let (one, two) = (version(1), version(2));
    let arn = store.describe(&secret()).unwrap().arn;
    let pending = |value: &str| NewValue::labelled(&two, value, &[AWSPENDING]);
    store.put(&secret(), pending("two")).unwrap();
    // Neither the repeated put nor the refused ones move a label.
    let again = store.put(&secret(), NewValue::current(&two, "two")).unwrap();
    assert_eq!(again.labels, [AWSPENDING]);
    for (token, new) in [(&two, pending("other")), (&one, NewValue::current(&one, "other"))] {
        let expected = format!(
            "You can't use ClientRequestToken {token} because that value is already in use for a \
             version of secret {arn}."
        );
        assert_eq!(refused(store.put(&secret(), new)), (AlreadyExists, expected));
    }
    let binary = SecretValue::Binary(b"two".to_vec().into());
    let other_kind = store.put(&secret(), NewValue::current(&two, binary));
    assert_eq!(refused(other_kind).0, AlreadyExists);
    assert_eq!(text(&store, Select::Version(&two)).unwrap(), "two");
    assert_eq!(labels(&store), ["1: AWSCURRENT", "2: AWSPENDING"]);
}

#[test]
fn rule_5_a_put_without_labels_becomes_current_and_abandons_a_rotation() {
    let store = rotating();
    store.put(&secret(), NewValue::labelled(&version(3), "three", &["blue"])).unwrap();
    store.put(&secret(), NewValue::current(&version(4), "four")).unwrap();
    assert_eq!(labels(&store), ["1: AWSPREVIOUS", "2", "3: blue", "4: AWSCURRENT"]);
    store.put(&secret(), NewValue::current(&version(5), "five")).unwrap();
    assert_eq!(labels(&store), ["1", "2", "3: blue", "4: AWSPREVIOUS", "5: AWSCURRENT"]);
}

#[test]
fn rule_5_a_put_on_top_of_a_finished_rotation_takes_awspending_off() {
    let store = rotating();
    store.put(&secret(), NewValue::labelled(&version(2), "two", &[AWSPENDING])).unwrap();
    let (one, two) = (version(1), version(2));
    store.update_stage(&secret(), AWSCURRENT, Some(&two), Some(&one)).unwrap();
    store.finish_rotation(&secret(), &two, PendingLabel::Left).unwrap();
    assert_eq!(labels(&store), ["1: AWSPREVIOUS", "2: AWSCURRENT, AWSPENDING"]);
    store.put(&secret(), NewValue::current(&version(3), "three")).unwrap();
    assert_eq!(labels(&store), ["1", "2: AWSPREVIOUS", "3: AWSCURRENT"]);
}

#[test]
fn rule_5_a_put_with_labels_moves_exactly_these() {
    let store = store();
    let put = |number, stages: &[&str]| {
        store.put(&secret(), NewValue::labelled(&version(number), "v", stages)).unwrap();
        labels(&store)
    };
    assert_eq!(put(2, &["blue", AWSPENDING]), ["1: AWSCURRENT", "2: AWSPENDING, blue"]);
    assert_eq!(put(3, &["blue"]), ["1: AWSCURRENT", "2: AWSPENDING", "3: blue"]);
    assert_eq!(
        put(4, &[AWSCURRENT]),
        ["1: AWSPREVIOUS", "2: AWSPENDING", "3: blue", "4: AWSCURRENT"]
    );
}

#[test]
fn rule_5_the_first_version_is_current_whatever_its_labels() {
    let store = MemoryStore::new();
    store.create("app/db", NewSecret::default()).unwrap();
    store.put(&secret(), NewValue::labelled(&version(1), "one", &["blue"])).unwrap();
    assert_eq!(labels(&store), ["1: AWSCURRENT, blue"]);
}

#[test]
fn rule_7_a_deprecated_version_is_hidden_but_can_be_read() {
    let store = store();
    for number in 2..=3 {
        store.put(&secret(), NewValue::current(&version(number), "later")).unwrap();
    }
    assert_eq!(text(&store, Select::Version(&version(1))).unwrap(), "one");
    assert!(!store.describe(&secret()).unwrap().labels.contains_key(&version(1)));
    assert_eq!(store.list(&secret(), false).unwrap().versions.len(), 2);
    let all = store.list(&secret(), true).unwrap().versions;
    assert_eq!(all.len(), 3);
    assert!(all.is_sorted_by(|one, two| one.created < two.created), "{all:?}");
}

#[test]
fn a_secret_is_found_by_name_arn_and_arn_without_suffix() {
    let store = store();
    let arn = store.describe(&secret()).unwrap().arn;
    let (stem, suffix) = arn.rsplit_once('-').unwrap();
    assert_eq!(stem, "arn:aws:secretsmanager:us-east-1:000000000000:secret:app/db");
    assert!(suffix.len() == 6 && suffix.bytes().all(|byte| byte.is_ascii_alphabetic()));
    for id in [arn.as_str(), stem, "app/db"] {
        assert_eq!(store.describe(&SecretId::parse(id).unwrap()).unwrap().arn, arn);
    }
    for id in [&stem[..stem.len() - 1], "app/d", "arn:aws:secretsmanager:"] {
        assert_eq!(refused(store.describe(&SecretId::parse(id).unwrap())).0, NotFound);
    }
}

#[test]
fn creating_twice_succeeds_only_with_the_same_token_and_value() {
    let store = store();
    let new = |number, value: &str| NewSecret {
        value: Some(value.into()),
        token: Some(version(number)),
        ..NewSecret::default()
    };
    assert_eq!(store.create("app/db", new(1, "one")).unwrap().version, Some(version(1)));
    for other in [new(1, "other"), new(2, "one"), NewSecret::default()] {
        let text = "The operation failed because the secret app/db already exists.";
        assert_eq!(refused(store.create("app/db", other)), (AlreadyExists, text.into()));
    }
}

#[test]
fn a_secret_that_waits_for_its_deletion_can_be_described_only() {
    let store = store();
    assert_eq!(refused(store.delete(&secret(), Deletion::After(6))).0, InvalidParameter);
    store.delete(&secret(), Deletion::After(7)).unwrap();
    assert!(store.describe(&secret()).unwrap().deleted.is_some());
    let marked =
        "You can't perform this operation on the secret because it was marked for deletion.";
    let answers = [
        store.get(&secret(), Select::Label(AWSCURRENT)).map(drop),
        store.put(&secret(), NewValue::current(&version(2), "two")).map(drop),
        store.rotate(&secret(), &NewRotation::now(&version(2), FUNCTION)).map(drop),
        store.tag(&secret(), BTreeMap::new()),
    ];
    for answer in answers {
        assert_eq!(refused(answer), (InvalidRequest, marked.into()));
    }
    assert_eq!(refused(store.create("app/db", NewSecret::default())).0, InvalidRequest);
    store.delete(&secret(), Deletion::Now).unwrap();
    assert_eq!(refused(store.describe(&secret())).0, NotFound);
}
