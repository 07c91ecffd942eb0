//! What holds whatever is done.

use super::*;
use proptest::prelude::*;

/// One random call, right or wrong.
#[derive(Debug, Clone)]
enum Operation {
    Put(u32, String, Vec<&'static str>),
    Move(&'static str, Option<u32>, Option<u32>),
    Rotate(u32, bool),
    Finish(u32, bool),
    EndTest(u32),
    Cancel,
}

const LABELS: [&str; 5] = [AWSCURRENT, AWSPENDING, AWSPREVIOUS, "blue", "green"];

fn operation() -> impl Strategy<Value = Operation> {
    let number = || 1_u32..6;
    let label = || prop::sample::select(&LABELS[..]);
    let labels = prop::collection::vec(label(), 0..3);
    let version = || prop::option::of(number());
    prop_oneof![
        4 => (number(), "[ab]", labels).prop_map(|(n, v, l)| Operation::Put(n, v, l)),
        6 => (label(), version(), version()).prop_map(|(l, t, f)| Operation::Move(l, t, f)),
        2 => (number(), any::<bool>()).prop_map(|(n, now)| Operation::Rotate(n, now)),
        1 => (number(), any::<bool>()).prop_map(|(n, left)| Operation::Finish(n, left)),
        1 => number().prop_map(Operation::EndTest),
        1 => Just(Operation::Cancel),
    ]
}

fn run(store: &MemoryStore, operation: &Operation) -> Result<(), StoreError> {
    match operation {
        Operation::Put(number, value, labels) => {
            let new = NewValue::labelled(&version(*number), value.as_str(), labels);
            store.put(&secret(), new).map(drop)
        }
        Operation::Move(label, to, from) => {
            let (to, from) = (to.map(version), from.map(version));
            store.update_stage(&secret(), label, to.as_ref(), from.as_ref()).map(drop)
        }
        Operation::Rotate(number, immediately) => {
            let new = NewRotation::now(&version(*number), FUNCTION);
            let new = NewRotation { immediately: *immediately, ..new };
            store.rotate(&secret(), &new).map(drop)
        }
        Operation::Finish(number, left) => {
            let pending = if *left { PendingLabel::Left } else { PendingLabel::Removed };
            store.finish_rotation(&secret(), &version(*number), pending)
        }
        Operation::EndTest(number) => store.end_test(&secret(), &version(*number)),
        Operation::Cancel => store.cancel_rotation(&secret()).map(drop),
    }
}

/// Every version's value, empty for a placeholder.
fn values(store: &MemoryStore) -> BTreeMap<VersionId, Option<String>> {
    let all = store.list(&secret(), true).unwrap().versions;
    let read = |id: VersionId| {
        let value = text(store, Select::Version(&id)).ok();
        (id, value)
    };
    all.into_iter().map(|row| read(row.version)).collect()
}

proptest! {
    #[test]
    fn labels_are_unique_values_immutable_and_failures_without_effect(
        operations in prop::collection::vec(operation(), 1..40)
    ) {
        let store = store();
        for operation in &operations {
            let (labels_before, values_before) = (labels(&store), values(&store));
            let answer = run(&store, operation);
            let rows = store.list(&secret(), true).unwrap().versions;
            let values_after = values(&store);
            if answer.is_err() {
                prop_assert_eq!(&labels_before, &labels(&store));
                prop_assert_eq!(&values_before, &values_after);
            }
            for label in LABELS {
                let on = rows.iter().filter(|row| row.labels.iter().any(|one| one == label));
                prop_assert!(on.count() <= 1, "{label} is on two versions");
            }
            for (id, before) in values_before {
                match (operation, values_after.get(&id)) {
                    (Operation::EndTest(_), None) => {}
                    (_, after) if before.is_some() => prop_assert_eq!(Some(&before), after),
                    _ => {}
                }
            }
            let held = rows.iter().any(|row| row.labels.iter().any(|one| one == AWSCURRENT));
            prop_assert!(held, "AWSCURRENT is on no version");
        }
        let mut times: Vec<_> =
            store.list(&secret(), true).unwrap().versions.into_iter().map(|row| row.created).collect();
        let count = times.len();
        times.sort();
        times.dedup();
        prop_assert_eq!(times.len(), count);
    }
}
