//! The command at an account: Secrets Manager as `fourstep serve` has it, in front of which Lambda and
//! CloudWatch Logs answer what a test says. The command itself is the real binary.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod attach;
mod credentials;
mod doctor;
mod doctor_left;
mod fleet;
mod front;
mod hostile;
mod many;
mod migrate;
mod migrate_late;
mod migrate_left;
mod migrate_page;
mod migrate_stopped;
mod run;

use std::collections::BTreeSet;
use std::sync::Arc;

use fourstep::SecretId;
use fourstep::store::{AWSCURRENT, AWSPREVIOUS};
use fourstep_local::NewSecret;
use serde_json::{Value, json};

use front::{CANARY, ESCAPE, Scene, fourstep, served};

#[tokio::test]
async fn the_function_that_a_secret_names_is_asked() {
    let scene = Arc::new(Scene::default());
    *scene.preflight.lock().unwrap() = Some(json!({"ready": true, "findings": []}));
    scene.stuck("app/db", "accepted", "rejected", "rejected");
    let url = served(&scene, &["app/db"]).await;
    *scene.busy.lock().unwrap() = 2;
    let (said, output) = fourstep(&url, &["inspect", "app/db"], "").await;
    assert!(said.contains("AWSCURRENT") && said.contains("yes"), "{said}");
    assert!(output.status.success(), "{said}");
    let (said, output) = fourstep(&url, &["preflight", "app/db"], "").await;
    assert_eq!(said, "A rotation would succeed. Nothing was changed.\n");
    assert!(output.status.success());
    let (said, output) = fourstep(&url, &["plan", "app/db", "--json"], "").await;
    assert!(said.contains("\"plan\":[]"), "{said}");
    assert!(output.status.success());
    let used: Vec<_> = scene.calls.lock().unwrap().iter().cloned().collect();
    assert_eq!(used, ["lambda:InvokeFunction", "secretsmanager:DescribeSecret"]);
    let (said, output) = fourstep(&url, &["inspect", "nothing"], "").await;
    assert!(said.contains("ResourceNotFoundException"), "{said}");
    assert_eq!(output.status.code(), Some(2));
}

/// Name, what logs in (AWSCURRENT, AWSPENDING, AWSPREVIOUS), the strategy, or the form that the function
/// says, and the advice.
const FLEET: [(&str, [&str; 3], &str, &str); 12] = [
    ("one/untouched", ["accepted", "rejected", "rejected"], "single-user", "discard"),
    ("one/empty", ["accepted", "empty", "rejected"], "single-user", "discard"),
    ("one/applied", ["rejected", "accepted", "rejected"], "single-user", "retry"),
    ("one/previous", ["rejected", "rejected", "accepted"], "single-user", "retry"),
    ("one/none", ["rejected", "rejected", "rejected"], "single-user", "discard"),
    ("two/changed", ["rejected", "accepted", "rejected"], "alternating-users", "retry"),
    ("dual/changed", ["rejected", "rejected", "accepted"], "dual-password", "retry"),
    ("one/unknown", ["unknown", "accepted", "accepted"], "single-user", ""),
    ("keys/issued", ["accepted", "accepted", "accepted"], "form: keys", "discard"),
    ("keys/revoked", ["rejected", "accepted", "rejected"], "form: keys", "retry"),
    ("keys/older", ["rejected", "rejected", "accepted"], "form: keys", "discard"),
    ("keys/none", ["rejected", "rejected", "rejected"], "form: keys", ""),
];

#[tokio::test]
async fn each_row_of_the_table_is_named_and_only_what_is_safe_is_mended() {
    let mut called = BTreeSet::new();
    for (name, [current, pending, previous], strategy, advice) in FLEET {
        let scene = Arc::new(Scene::default());
        *scene.strategy.lock().unwrap() = strategy.to_owned();
        let [now, next] = scene.stuck(name, current, pending, previous);
        let before = scene.labels(name);
        let url = served(&scene, &[]).await;
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        let look = ["doctor", name, "--stuck-after", "0", "--json"];
        let (said, output) = fourstep(&url, &look, "").await;
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        let seen: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(seen["advice"].as_str().unwrap_or_default(), advice, "{name}: {said}");
        assert_eq!(seen["troubles"][0]["kind"], "stuck", "{name}: {said}");
        assert_eq!(scene.labels(name), before, "{name}: a look changed something");

        // Nobody says yes: nothing is done.
        let fix = ["doctor", name, "--stuck-after", "0", "--fix"];
        let (said, _) = fourstep(&url, &fix, "n\n").await;
        assert_eq!(scene.labels(name), before, "{name}: {said}");

        let (said, output) = fourstep(&url, &[&fix[..], &["--yes"]].concat(), "").await;
        called.extend(scene.calls.lock().unwrap().iter().cloned());
        let after = scene.labels(name);
        if advice.is_empty() {
            assert_eq!(after, before, "{name}: {said}");
            assert_eq!(output.status.code(), Some(1), "{name}: {said}");
            continue;
        }
        assert_eq!(output.status.code(), Some(0), "{name}: {said}");
        assert!(said.contains("mended"), "{name}: {said}");
        match advice {
            "retry" => assert_eq!(after[AWSCURRENT], next, "{name}"),
            _ => assert!(after[AWSCURRENT] != now && after[AWSCURRENT] != next, "{name}"),
        }
        assert_eq!(after[AWSPREVIOUS], now, "{name}");
    }
    // Of one secret no list is needed.
    called.insert("secretsmanager:ListSecrets".to_owned());
    let [_, looks, mends, _] = &policies()[..] else { panic!("not four policies") };
    assert_eq!(called, looks | mends, "docs/doctor.md has the policies");
}

#[tokio::test]
async fn a_rotation_that_was_turned_off_is_not_turned_on() {
    for (current, previous, advice) in [
        ("accepted", "rejected", "discard"),
        ("rejected", "accepted", ""),
        // Nothing would follow that makes AWSCURRENT log in.
        ("rejected", "rejected", ""),
    ] {
        let scene = Arc::new(Scene::default());
        scene.stuck("off", current, "rejected", previous);
        let id = SecretId::parse("off").unwrap();
        scene.store.cancel_rotation(&id).unwrap();
        let url = served(&scene, &[]).await;
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        let (said, _) =
            fourstep(&url, &["doctor", "off", "--stuck-after", "0", "--json"], "").await;
        let seen: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(seen["advice"].as_str().unwrap_or_default(), advice, "{said}");
        assert!(!said.contains("rotate-secret"), "{said}");
        fourstep(&url, &["doctor", "off", "--stuck-after", "0", "--fix", "--yes"], "").await;
        assert_eq!(scene.store.describe(&id).unwrap().rotation_enabled, Some(false));
        assert!(!scene.calls.lock().unwrap().contains("secretsmanager:RotateSecret"));
    }
}

#[tokio::test]
async fn every_secret_of_a_region_is_looked_at_with_the_last_failure_of_each() {
    let scene = Arc::new(Scene::default());
    scene.stuck("a/stuck", "accepted", "rejected", "rejected");
    scene
        .store
        .create("b/quiet", NewSecret { value: Some(CANARY.into()), ..NewSecret::default() })
        .unwrap();
    let arn = scene.store.describe(&SecretId::parse("a/stuck").unwrap()).unwrap().arn;
    let line = |secret: &str, why: &str| {
        json!({"outcome": "failed", "secret": secret, "step": "setSecret", "error_type": "Tls", "why": why})
            .to_string()
    };
    *scene.log.lock().unwrap() = vec![
        "START RequestId".to_owned(),
        line(&arn, "the first"),
        line(&arn, &format!("the last{ESCAPE}")),
        line("another", "another's"),
        format!("{{{ESCAPE}"),
    ];
    let url = served(&scene, &["a/stuck", "b/quiet"]).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let (said, output) = fourstep(&url, &["doctor", "--stuck-after", "0"], "").await;
    assert_eq!(output.status.code(), Some(1));
    for part in [
        "a/stuck\n",
        "setSecret: Tls: the last",
        "advice (AWSCURRENT accepted): discard",
        "aws secretsmanager rotate-secret --secret-id arn:",
        "--region us-east-1",
        "us-east-1: 2 secrets looked at; something is wrong with 1, of which --fix mends 1.\n",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("b/quiet") && !said.contains("another's"), "{said}");
    let (said, _) = fourstep(&url, &["doctor"], "").await;
    assert!(said.contains("something is wrong with 0"), "a rotation may still end: {said}");
    let used: Vec<_> = scene.calls.lock().unwrap().iter().cloned().collect();
    assert_eq!(used, LOOKS, "docs/doctor.md has the policy");
    for (runtime, word) in [("python3.9", "is not Fourstep's"), ("none", "does not exist")] {
        *scene.runtime.lock().unwrap() = Some(runtime.to_owned());
        let (said, output) = fourstep(&url, &["doctor", "a/stuck"], "").await;
        assert!(said.contains(word), "{said}");
        assert_eq!(output.status.code(), Some(1));
    }
}

/// What doctor calls without `--fix`.
const LOOKS: [&str; 6] = [
    "lambda:GetFunctionConfiguration",
    "lambda:InvokeFunction",
    "logs:FilterLogEvents",
    "secretsmanager:DescribeSecret",
    "secretsmanager:ListSecretVersionIds",
    "secretsmanager:ListSecrets",
];

/// The actions of each policy on the page, in its order.
pub fn policies() -> Vec<BTreeSet<String>> {
    policies_of(include_str!("../../../docs/doctor.md"))
}

/// The same of another page.
pub fn policies_of(page: &str) -> Vec<BTreeSet<String>> {
    let blocks = page.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap());
    let actions = |block: &str| {
        let policy: Value = serde_json::from_str(block).unwrap();
        let actions = policy["Statement"][0]["Action"].as_array().unwrap();
        actions.iter().map(|one| one.as_str().unwrap().to_owned()).collect()
    };
    blocks.map(actions).collect()
}

/// Those of `--fix` and of `attach` are compared where these run.
#[test]
fn the_page_s_policies_are_what_is_called() {
    let names = |names: &[&str]| names.iter().map(|one| (*one).to_owned()).collect::<BTreeSet<_>>();
    let [asks, looks, ..] = &policies()[..] else { panic!("not four policies") };
    assert_eq!(*asks, names(&["lambda:InvokeFunction", "secretsmanager:DescribeSecret"]));
    assert_eq!(*looks, names(&LOOKS));
}
