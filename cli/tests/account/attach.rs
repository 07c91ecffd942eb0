//! `fourstep attach`: what it refuses, what it changes, and what it puts back.

use std::sync::Arc;

use fourstep::store::AWSCURRENT;
use fourstep::{SecretId, VersionId};
use fourstep_local::{NewRotation, NewSecret, RotationRules};
use serde_json::{Value, json};
use tokio::process::Child;

use super::fleet::{arn, file, fleet};
use super::front::{CANARY, FUNCTION, Scene, Stop, fourstep, served, started};
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
    assert!(said.contains("cannot log in. Rotation is off, as before; the function and"), "{said}");
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
    // The function that is put back is tested, too, and fails here.
    assert!(said.contains("test of it did not succeed: look into its log"), "{said}");
    assert!(!scene.labels("app/db").contains_key("AWSPENDING"), "{said}");
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
    // Pasted, a flag for a name would mend all others.
    let flag = Arc::new(Scene::default());
    flag.stuck("--fix", "accepted", "rejected", "rejected");
    let arn = flag.store.describe(&SecretId::parse("--fix").unwrap()).unwrap().arn;
    let by_arn = [&["attach", arn.as_str(), "--function", "fourstep-postgres"], &MONTHLY[..]];
    refused(&flag, &by_arn.concat(), &format!("fourstep doctor {arn} --region")).await;
}

/// The name stands in two commands: to look into it, and to put it back.
#[tokio::test]
async fn what_migrate_has_pasted_names_a_secret_like_a_flag_by_its_arn() {
    let (scene, _) = fleet();
    let (_folder, path) = file();
    let file = path.to_str().unwrap();
    let days = RotationRules { automatically_after_days: Some(7), ..RotationRules::default() };
    scene.rotated_by("--yes", super::migrate_stopped::OLD, days);
    let secret = SecretId::parse("--yes").unwrap();
    let arn = scene.store.describe(&secret).unwrap().arn;
    let url = served(&scene, &[]).await;
    let ours = ["migrate", "--function", "fourstep-postgres", "--file", file];
    // Its test says nothing.
    *scene.test.lock().unwrap() = None;
    let silent = [&ours[..], &["--move", "--wait", "0", &arn]].concat();
    let (said, _) = fourstep(&url, &silent, "y\n").await;
    assert!(said.contains(&format!("fourstep migrate --back {file} {arn} --region")), "{said}");
    // AWSPENDING is on the version of that test.
    let (said, _) = fourstep(&url, &[&ours[..], &[&arn]].concat(), "").await;
    assert!(said.contains(&format!("fourstep doctor {arn} --region")), "{said}");
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

/// Any function that runs a program of its own answers something.
#[tokio::test]
async fn an_answer_of_another_function_is_not_taken_for_ready() {
    for (answer, status) in [
        (json!({"statusCode": 200}), 1),
        (json!({"ready": "true"}), 1),
        (json!("hello"), 2),
        (json!({"ready": true, "secret": "another"}), 2),
    ] {
        let scene = scene(Some((true, "fine")));
        *scene.preflight.lock().unwrap() = Some(answer.clone());
        let url = served(&scene, &[]).await;
        let (said, output) = fourstep(&url, &[&ATTACH[..], &MONTHLY].concat(), "").await;
        assert_eq!(output.status.code(), Some(status), "{answer}: {said}");
        assert!(scene.asked.lock().unwrap().is_empty(), "{answer}: {said}");
        attached(&scene, "fourstep-postgres", Some("rate(3 days)"));
        let (said, output) = fourstep(&url, &["preflight", "app/db"], "").await;
        assert_eq!(output.status.code(), Some(status), "{answer}: {said}");
        assert!(!said.contains("would succeed"), "{answer}: {said}");
    }
}

/// Gives the secret a function, as somebody does.
fn attached(scene: &Scene, function: &str, schedule: Option<&str>) {
    let id = SecretId::parse("app/db").unwrap();
    let token = VersionId::from_store(uuid::Uuid::new_v4().to_string());
    let rules = schedule.map(|one| fourstep_local::RotationRules {
        schedule_expression: Some(one.to_owned()),
        ..fourstep_local::RotationRules::default()
    });
    let lambda_arn = Some(arn(function));
    let rotation = NewRotation { token: token.clone(), lambda_arn, rules, immediately: false };
    scene.store.rotate(&id, &rotation).unwrap();
    scene.store.end_test(&id, &token).unwrap();
}

#[tokio::test]
async fn whoever_cannot_learn_the_outcome_changes_nothing() {
    let scene = scene(Some((true, "fine")));
    *scene.sealed.lock().unwrap() = true;
    let url = served(&scene, &[]).await;
    let (said, output) = fourstep(&url, &[&ATTACH[..], &MONTHLY].concat(), "").await;
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("logs:FilterLogEvents: AccessDenied"), "{said}");
    assert!(scene.asked.lock().unwrap().is_empty(), "{said}");
}

#[tokio::test]
async fn the_outcome_is_seen_whatever_the_clocks_and_the_answer_are() {
    for (behind, stop, late) in
        [(1_800, None, 0), (0, Some(Stop::Lost), 0), (0, Some(Stop::Lost), 2)]
    {
        let scene = scene(Some((true, "fine")));
        (*scene.behind.lock().unwrap(), *scene.stop.lock().unwrap()) = (behind, stop);
        *scene.late.lock().unwrap() = late;
        let url = served(&scene, &[]).await;
        let wait = [&ATTACH[..], &MONTHLY, &["--wait", "0"]].concat();
        let (said, output) = fourstep(&url, &wait, "").await;
        assert!(output.status.success() && said.contains("attached: fine"), "{stop:?}: {said}");
        assert_eq!(rotation(&scene), (Some(true), Some(FUNCTION.to_owned())));
    }
}

/// A run that has attached the function and waits for the outcome.
async fn waits(scene: &Arc<Scene>, url: &str) -> Child {
    let child = started(url, &[&ATTACH[..], &MONTHLY].concat());
    while rotation(scene).1.as_deref() != Some(FUNCTION) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    child
}

#[tokio::test]
async fn an_error_after_the_call_says_what_is_attached() {
    let scene = scene(None);
    let url = served(&scene, &[]).await;
    let child = waits(&scene, &url).await;
    *scene.sealed.lock().unwrap() = true;
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("app/db is attached, and logs:FilterLogEvents: AccessDenied"), "{said}");
    let was = "us-east-1; it was no function, no schedule, rotation off";
    assert!(said.contains("fourstep preflight app/db --region us-east-1"), "{said}");
    assert!(said.contains(was), "{said}");
}

/// Other secrets' lines may fill more pages than are read.
#[tokio::test]
async fn an_outcome_that_was_found_counts_although_the_log_goes_on() {
    let scene = scene(None);
    attached(&scene, "before", Some("rate(3 days)"));
    let url = served(&scene, &[]).await;
    let child = waits(&scene, &url).await;
    *scene.paged.lock().unwrap() = 1;
    let line =
        json!({"step": "testSecret", "secret": "another", "version": "v", "outcome": "done"});
    let ours = json!({
        "step": "testSecret", "version": scene.labels("app/db")["AWSPENDING"], "outcome": "done",
        "secret": scene.store.describe(&SecretId::parse("app/db").unwrap()).unwrap().arn,
        "why": "fine", "age": 100,
    });
    let lines = std::iter::once(ours.to_string()).chain((0..40).map(|_| line.to_string()));
    *scene.log.lock().unwrap() = lines.collect();
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains("attached: fine"), "{said}");
}

/// The test of the version that the last call named has failed.
fn fails(scene: &Scene) {
    let secret = scene.store.describe(&SecretId::parse("app/db").unwrap()).unwrap().arn;
    let asked = scene.asked.lock().unwrap();
    let version = &asked.last().unwrap()["ClientRequestToken"];
    let line = json!({"step": "testSecret", "secret": secret, "version": version, "outcome": "failed", "why": "no"});
    scene.log.lock().unwrap().push(line.to_string());
}

#[tokio::test]
async fn what_somebody_changed_meanwhile_is_left() {
    for (function, words) in [
        (Some("somebody-s"), "somebody gave it another function since"),
        (None, "somebody turned its rotation off since"),
    ] {
        let scene = scene(None);
        attached(&scene, "before", Some("rate(3 days)"));
        let url = served(&scene, &[]).await;
        let child = waits(&scene, &url).await;
        let id = SecretId::parse("app/db").unwrap();
        let pending = VersionId::from_store(scene.labels("app/db")["AWSPENDING"].clone());
        scene.store.end_test(&id, &pending).unwrap();
        match function {
            Some(function) => attached(&scene, function, None),
            None => drop(scene.store.cancel_rotation(&id).unwrap()),
        }
        let left = rotation(&scene);
        fails(&scene);
        let output = child.wait_with_output().await.unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(words), "{said}");
        assert_eq!(rotation(&scene), left, "{said}");
    }
}

#[tokio::test]
async fn a_function_without_a_schedule_is_put_back_and_a_label_that_is_gone_keeps_none_from_it() {
    let scene = scene(Some((false, "cannot log in")));
    attached(&scene, "before", None);
    *scene.races.lock().unwrap() = true;
    let url = served(&scene, &[]).await;
    let (said, output) = fourstep(&url, &[&ATTACH[..], &MONTHLY].concat(), "").await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("had no schedule, and has rate(30 days) now"), "{said}");
    assert_eq!(rotation(&scene), (Some(true), Some(arn("before"))));
    assert!(!scene.labels("app/db").contains_key("AWSPENDING"));
}
