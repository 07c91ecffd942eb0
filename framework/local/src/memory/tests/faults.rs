//! Rule 9: what can go wrong between a caller and the service.

use std::sync::Mutex;

use super::*;

#[test]
fn a_hook_sees_every_call_and_nothing_secret() {
    let store = store();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    store.set_faults(move |_, call| {
        log.lock().unwrap().push(format!("{call:?}"));
        Fault::Proceed
    });
    store.put(&secret(), NewValue::labelled(&version(2), "canary", &[AWSPENDING])).unwrap();
    store.get(&secret(), Select::Version(&version(2))).unwrap();
    store.get(&secret(), Select::Label(AWSCURRENT)).unwrap();
    let seen = seen.lock().unwrap().join("\n");
    expect_test::expect![[r#"
        Call { operation: "PutSecretValue", ordinal: 2, ordinal_of_operation: 1, secret: "app/db", version: Some(VersionId("00000000-0000-4000-8000-000000000002")), label: Some("AWSPENDING") }
        Call { operation: "GetSecretValue", ordinal: 3, ordinal_of_operation: 1, secret: "app/db", version: Some(VersionId("00000000-0000-4000-8000-000000000002")), label: None }
        Call { operation: "GetSecretValue", ordinal: 4, ordinal_of_operation: 2, secret: "app/db", version: None, label: Some("AWSCURRENT") }"#]]
    .assert_eq(&seen);
    assert_eq!(store.calls()["GetSecretValue"], 2);
}

#[test]
fn a_failed_call_has_no_effect_and_a_lost_answer_has_one() {
    let store = rotating();
    let put = || store.put(&secret(), NewValue::labelled(&version(2), "two", &[AWSPENDING]));
    let throttled = StoreError::new(StoreErrorCode::Throttled, "Rate exceeded");
    let fault = throttled.clone();
    store.set_faults(move |_, _| Fault::Fail(fault.clone()));
    assert_eq!(put().unwrap_err(), throttled);
    store.clear_faults();
    assert!(text(&store, Select::Version(&version(2))).is_err());
    store.set_faults(|_, _| Fault::LoseAnswer);
    assert_eq!(refused(put()).0, StoreErrorCode::Unreachable);
    store.clear_faults();
    assert_eq!(text(&store, Select::Version(&version(2))).unwrap(), "two");
}

#[test]
fn a_stale_read_shows_the_secret_before_its_last_writes() {
    let store = store();
    let current = |writes| {
        store.set_faults(move |_, _| Fault::Stale(writes));
        text(&store, Select::Label(AWSCURRENT)).unwrap()
    };
    for number in 2..=3 {
        // A write is never stale.
        let new = NewValue::current(&version(number), number.to_string().as_str());
        store.put(&secret(), new).unwrap();
        assert_eq!(current(0), number.to_string());
    }
    assert_eq!([current(1), current(2), current(9)], ["2", "one", "one"]);
}

#[test]
fn a_hook_may_put_a_value_itself() {
    let store = store();
    store.set_faults(|store, call| {
        if call.operation == "DescribeSecret" {
            store.put(&secret(), NewValue::current(&version(7), "by hand")).unwrap();
        }
        Fault::Proceed
    });
    let detail = store.describe(&secret()).unwrap();
    assert_eq!(detail.labels[&version(7)], [AWSCURRENT]);
    // What the hook did is another client's doing.
    assert_eq!(store.calls().get("PutSecretValue"), None);
}

#[tokio::test]
async fn the_trait_is_the_same_store() {
    let memory = rotating();
    let store: &dyn SecretStore = &memory;
    let (one, two) = (version(1), version(2));
    let rotation_token = RotationToken::parse(&"r".repeat(36)).unwrap();
    let value = SecretValue::from("two");
    store.put_pending(&secret(), &two, &value, Some(&rotation_token)).await.unwrap();
    let select = Select::VersionWithLabel(&two, AWSPENDING);
    let read = store.get_secret_value(&secret(), select).await.unwrap();
    assert!(matches!(read.value, SecretValue::Text(text) if text.expose_secret() == "two"));
    store.move_current(&secret(), &two, &one).await.unwrap();
    let described = store.describe_secret(&secret()).await.unwrap();
    assert_eq!(described.holder(AWSCURRENT), Some(&two));
    assert_eq!(described.rotation_enabled, Some(true));
    assert_eq!(store.list_versions(&secret()).await.unwrap().len(), 2);
    let forwarded = memory.forwarded_token(&secret(), &two).unwrap();
    assert_eq!(forwarded.expose(), rotation_token.expose());
}
