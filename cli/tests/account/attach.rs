//! `fourstep attach`: what it refuses, what it changes, and what it puts back.

use std::sync::Arc;

use fourstep::SecretId;
use fourstep::store::AWSCURRENT;
use fourstep_local::NewSecret;
use serde_json::{Value, json};

use super::front::{CANARY, FUNCTION, Scene, fourstep, served};
use super::policies;

const ATTACH: [&str; 4] = ["attach", "app/db", "--function", "fourstep-postgres"];
const MONTHLY: [&str; 2] = ["--schedule", "rate(30 days)"];

/// A secret that no function rotates.
fn scene(test: Option<(bool, &'static str)>) -> Arc<Scene> {
    let scene = Arc::new(Scene::default());
    *scene.test.lock().unwrap() = test;
    let value = Some(CANARY.into());
    scene.store.create("app/db", NewSecret { value, ..NewSecret::default() }).unwrap();
    scene
}

fn rotation(scene: &Scene) -> (Option<bool>, Option<String>) {
    let detail = scene.store.describe(&SecretId::parse("app/db").unwrap()).unwrap();
    (detail.rotation_enabled, detail.rotation_lambda_arn)
}

#[tokio::test]
async fn the_function_is_asked_then_attached_and_its_test_is_waited_for() {
    let fine = json!({"ready": true, "findings": []});
    // Of a function that may read the secret already, and of one that may not yet.
    for preflight in [Some(fine), None] {
        let scene = scene(Some((true, "a rotation would succeed")));
        let before = scene.labels("app/db");
        *scene.preflight.lock().unwrap() = preflight;
        let url = served(&scene, &[]).await;
        let (said, output) = fourstep(&url, &[&ATTACH[..], &MONTHLY].concat(), "").await;
        assert!(output.status.success(), "{said}");
        assert!(said.contains("attached: a rotation would succeed"), "{said}");
        assert_eq!(rotation(&scene), (Some(true), Some(FUNCTION.to_owned())));
        assert_eq!(scene.labels("app/db"), before, "nothing rotates");
        // Again, with the schedule that it has by now.
        let (said, output) = fourstep(&url, &[&ATTACH[..], &["--json"]].concat(), "").await;
        assert!(output.status.success(), "{said}");
        let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        assert_eq!(last["outcome"], "attached");
    }
}

#[tokio::test]
async fn what_would_fail_is_not_attached_and_what_failed_is_put_back() {
    let scene = scene(Some((false, "cannot log in")));
    let finding = json!({"severity": "fails", "kind": "Tls", "finding": "no authority"});
    *scene.preflight.lock().unwrap() = Some(json!({"ready": false, "findings": [finding]}));
    let url = served(&scene, &[]).await;
    let attach = [&ATTACH[..], &MONTHLY].concat();
    let (said, output) = fourstep(&url, &attach, "").await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no authority") && said.contains("nothing was changed"), "{said}");
    assert!(!scene.calls.lock().unwrap().contains("secretsmanager:RotateSecret"));

    *scene.preflight.lock().unwrap() = None;
    let before = scene.labels("app/db");
    let (said, output) = fourstep(&url, &attach, "").await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot log in. Rotation is off, as before"), "{said}");
    assert_eq!(rotation(&scene).0, Some(false));
    assert_eq!(scene.labels("app/db"), before);
    assert_eq!(*scene.calls.lock().unwrap(), policies()[3]);
}

/// A secret that another function rotates keeps it, where ours does not pass.
#[tokio::test]
async fn another_function_and_its_schedule_are_put_back() {
    let scene = scene(Some((true, "fine")));
    let url = served(&scene, &[]).await;
    fourstep(&url, &[&ATTACH[..], &MONTHLY].concat(), "").await;
    *scene.test.lock().unwrap() = Some((false, "cannot log in"));
    scene.log.lock().unwrap().clear();
    let weekly = ["--schedule", "rate(7 days)"];
    let (said, output) = fourstep(&url, &[&ATTACH[..], &weekly].concat(), "").await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("again, as before"), "{said}");
    let detail = scene.store.describe(&SecretId::parse("app/db").unwrap()).unwrap();
    let rules = detail.rotation_rules.unwrap();
    assert_eq!(rules.schedule_expression.as_deref(), Some("rate(30 days)"));
}

#[tokio::test]
async fn what_is_no_function_no_secret_or_under_way_is_refused_before_anything_is_changed() {
    let refused = async |scene: &Arc<Scene>, arguments: &[&str], words: &str| {
        let url = served(scene, &[]).await;
        let (said, output) = fourstep(&url, arguments, "").await;
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(!scene.calls.lock().unwrap().contains("secretsmanager:RotateSecret"));
    };
    let whole = [&ATTACH[..], &MONTHLY].concat();
    let fresh = scene(None);
    refused(&fresh, &ATTACH, "--schedule 'rate(30 days)'").await;
    refused(&fresh, &["attach", "nothing", "--function", "f"], "ResourceNotFoundException").await;
    *fresh.runtime.lock().unwrap() = Some("python3.13".to_owned());
    refused(&fresh, &whole, "no function of Fourstep's").await;
    *fresh.runtime.lock().unwrap() = Some("none".to_owned());
    refused(&fresh, &whole, "there is no function fourstep-postgres").await;
    let stuck = Arc::new(Scene::default());
    stuck.stuck("app/db", "accepted", "rejected", "rejected");
    refused(&stuck, &whole, "fourstep doctor app/db").await;
    assert!(stuck.labels("app/db").contains_key(AWSCURRENT));
}

#[tokio::test]
async fn without_an_outcome_in_time_it_says_where_to_look() {
    let scene = scene(None);
    let url = served(&scene, &[]).await;
    let wait = [&ATTACH[..], &MONTHLY, &["--wait", "0"]].concat();
    let (said, output) = fourstep(&url, &wait, "").await;
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("no outcome of its test") && said.contains("preflight"), "{said}");
}
