//! `fourstep doctor`: what it leaves to a person, and how it says so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fourstep::store::AWSPENDING;
use fourstep::{SecretId, VersionId};
use fourstep_cli::account::text::now;
use fourstep_local::{NewSecret, NewValue};
use serde_json::{Value, json};

use super::doctor::{FIX, arn, stuck};
use super::front::{Scene, fourstep, served};

/// What a person reads who looks as usual, not long after.
async fn seen(url: &str) -> (String, Option<i32>) {
    let (said, output) = fourstep(url, &["doctor", "app/db"], "").await;
    (said, output.status.code())
}

#[tokio::test]
async fn a_rotation_that_no_retry_mends_is_told_at_once_and_not_begun_again() {
    let (scene, [now, _], url) = stuck(["rejected"; 3], true).await;
    scene.rows.lock().unwrap().insert(now.clone(), json!({"user": "app"}));
    *scene.rotation.lock().unwrap() = "fails";
    let begun = Instant::now();
    let (said, output) = fourstep(&url, &[&FIX[..], &["--yes", "--wait", "60"]].concat(), "").await;
    assert!(begun.elapsed() < Duration::from_secs(50), "it waited for a rotation that had failed");
    assert_eq!(output.status.code(), Some(1), "{said}");
    let failed = "not mended: the rotation that was begun has failed: setSecret: Rejected: 3 versions were tried\n";
    let by_hand = "left to a person (none accepted): let an administrator set the password that AWSCURRENT \
                   holds for user \"app\"";
    let retry = format!("rotate-secret --secret-id {} --region us-east-1\n", arn(&scene));
    let value = format!(
        "get-secret-value --secret-id {} --region us-east-1 --version-stage AWSCURRENT",
        arn(&scene)
    );
    let again = "  fourstep doctor app/db --region us-east-1 --stuck-after 0\n";
    for part in [failed, by_hand, &value, &retry, again] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // The new rotation is seconds old, and is shown as what it is.
    let (said, code) = seen(&url).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("stuck: AWSPENDING") && said.contains(by_hand), "{said}");
    assert!(
        said.ends_with("us-east-1: 1 secret looked at; something is wrong with 1.\n"),
        "{said}"
    );
    assert!(!said.contains("advice"), "{said}");
    let labels = scene.labels("app/db");
    let (said, _) = fourstep(&url, &[&FIX[..], &["--yes"]].concat(), "").await;
    assert!(said.contains("nothing was changed"), "{said}");
    assert_eq!((scene.labels("app/db"), *scene.rotations.lock().unwrap()), (labels, 1));
}

#[tokio::test]
async fn a_failure_that_may_pass_is_waited_for() {
    let (scene, [_, next], url) = stuck(["accepted", "rejected", "rejected"], true).await;
    let failed = |version: &str, step: &str, kind: &str| {
        let line = json!({"secret": arn(&scene), "step": step, "outcome": "failed", "version": version, "error_type": kind, "why": "because", "at": now()});
        *scene.log.lock().unwrap() = vec![line.to_string()];
    };
    for (version, step, kind, over) in [
        (next.as_str(), "setSecret", "Unreachable", false),
        (&next, "setSecret", "a new word", false),
        ("another", "setSecret", "Rejected", false),
        // A question of somebody's.
        (&next, "plan", "Rejected", false),
        (&next, "setSecret", "Forbidden", true),
    ] {
        failed(version, step, kind);
        let (said, code) = seen(&url).await;
        assert_eq!(code, Some(i32::from(over)), "{version} {step} {kind}: {said}");
        assert_eq!(said.contains("stuck: "), over, "{said}");
    }
}

#[tokio::test]
async fn without_a_function_of_ours_it_says_what_to_look_at_and_what_to_type() {
    for (runtime, parts) in [
        (
            "none",
            [
                "does not exist: arn:aws:lambda",
                "and deploy the function again, or turn rotation off",
            ],
        ),
        (
            "python3.9",
            [
                "its log: /aws/lambda/fourstep-postgres",
                "fourstep migrate app/db --region us-east-1",
            ],
        ),
    ] {
        let (scene, [_, next], url) = stuck(["accepted", "rejected", "rejected"], true).await;
        *scene.runtime.lock().unwrap() = Some(runtime.to_owned());
        let (said, output) = fourstep(&url, &FIX, "").await;
        assert_eq!(output.status.code(), Some(1), "{said}");
        let discard = format!("--version-stage AWSPENDING --remove-from-version-id {next}");
        let left = "left to a person: try yourself what AWSCURRENT and AWSPENDING hold";
        for part in parts.into_iter().chain([left, &discard, "nothing was changed"]) {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert_eq!(*scene.questions.lock().unwrap(), 0, "{said}");
        assert!(said.contains("get-secret-value --secret-id"), "{said}");
        // Nobody goes on with a rotation whose function is gone, however young it is.
        let (said, _) = seen(&url).await;
        assert_eq!(said.contains("stuck: "), runtime == "none", "{said}");
        assert_eq!(said.contains("stuck after 20 minutes"), runtime != "none", "{said}");
    }
}

#[tokio::test]
async fn each_row_that_is_left_has_words_of_its_own() {
    let admin = "let an administrator set the password that AWSCURRENT holds for its user";
    let off = "rotation is off, so that nothing tries again";
    let vendor = "make a key at the vendor, and store it with put-secret-value";
    let doctor = "fourstep doctor app/db --region us-east-1 --fix";
    for (logins, on, form, parts) in [
        (["rejected", "rejected", "accepted"], false, "one password", [off, admin, doctor]),
        (["rejected", "accepted", "rejected"], false, "two users", [off, admin, doctor]),
        (["rejected", "rejected", "rejected"], false, "one password", [off, admin, doctor]),
        (["rejected", "rejected", "rejected"], true, "keys", [vendor, "none accepted", doctor]),
        (
            ["rejected", "accepted", "rejected"],
            false,
            "keys",
            [
                off,
                "the key of AWSPENDING works: store that value",
                "--version-stage AWSPENDING --query",
            ],
        ),
        (
            ["rejected", "rejected", "accepted"],
            true,
            "of its own",
            ["how the secret is rotated", "A stuck rotation", doctor],
        ),
        (
            ["unknown", "accepted", "accepted"],
            true,
            "two users",
            ["could not be tried", "correct the cause", doctor],
        ),
    ] {
        let (scene, _, url) = stuck(logins, on).await;
        *scene.strategy.lock().unwrap() = format!("form: {form}");
        let (said, output) = fourstep(&url, &FIX[..2], "").await;
        // What nobody tries again is stuck at once.
        assert_eq!(output.status.code(), Some(i32::from(!on)), "{said}");
        let (said, _) = fourstep(&url, &FIX, "").await;
        for part in parts.into_iter().chain(["left to a person", "nothing was changed"]) {
            assert!(said.contains(part), "{logins:?} {on} {form}: {part}: {said}");
        }
    }
}

#[tokio::test]
async fn whoever_says_no_reads_that_nothing_was_changed_and_versions_stand_in_one_order() {
    let (scene, _, url) = stuck(["rejected", "accepted", "rejected"], true).await;
    let before = scene.labels("app/db");
    let (said, output) = fourstep(&url, &FIX, "n\n").await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("  nothing was changed: the answer was not y"), "{said}");
    assert_eq!(scene.labels("app/db"), before);
    let at = |part: &str| said.find(part).unwrap_or_else(|| panic!("{part}: {said}"));
    assert!(at("\n  AWSCURRENT rejected") < at("\n  AWSPENDING accepted"), "{said}");
    assert!(at("\n  AWSPENDING accepted") < at("\n  AWSPREVIOUS rejected"), "{said}");
    assert!(said.contains("will be reattempted"), "what the answer of a retry means: {said}");
    // What is printed can be typed, and means what was asked.
    let typed =
        said.lines().find_map(|line| line.trim().strip_prefix("fourstep ")).map(str::to_owned);
    assert_eq!(typed, None, "it is asked here: {said}");
    let (said, _) = fourstep(&url, &["doctor", "app/db", "--stuck-after", "0"], "").await;
    let typed = said.lines().find_map(|line| line.trim().strip_prefix("fourstep ")).unwrap();
    let typed: Vec<_> = typed.split(' ').collect();
    let (json, _) = fourstep(&url, &["doctor", "app/db", "--json", "--stuck-after", "0"], "").await;
    let (said, output) = fourstep(&url, &typed, "y\n").await;
    assert!(output.status.success() && said.contains("  mended\n"), "{typed:?}: {said}");
    let said = json;
    let seen: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(seen["commands"].as_array().unwrap().len(), 1, "{said}");
    assert_eq!(seen["left_to_a_person"], json!([]), "{said}");
}

#[tokio::test]
async fn a_version_that_somebody_left_pending_where_nothing_rotates_is_told_with_the_way_out() {
    let scene = Arc::new(Scene::default());
    let id = SecretId::parse("app/db").unwrap();
    let value = Some("{}".into());
    scene.store.create("app/db", NewSecret { value, ..NewSecret::default() }).unwrap();
    let token = VersionId::from_store(uuid::Uuid::new_v4().to_string());
    let labels = vec![AWSPENDING.to_owned()];
    let pending = NewValue { token, value: "{}".into(), labels, rotation_token: None };
    let version = scene.store.put(&id, pending).unwrap().version.unwrap();
    let url = served(&scene, &[]).await;
    let (said, output) = fourstep(&url, &["doctor", "app/db"], "").await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    let discard = format!("AWSPENDING --remove-from-version-id {}", version.as_str());
    for part in ["rotation never set up", "left to a person: try yourself what", &discard] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("migrate") && !said.contains("cancel"), "{said}");
}

/// Secrets Manager has tried again, and is setting the password.
#[tokio::test]
async fn a_rotation_that_goes_on_after_its_failure_is_under_way() {
    let (scene, [_, next], url) = stuck(["accepted", "rejected", "rejected"], true).await;
    let line = |step: &str, outcome: &str, age: i64| {
        json!({"secret": arn(&scene), "step": step, "outcome": outcome, "version": next, "error_type": "Forbidden", "why": "because", "at": now() - age}).to_string()
    };
    *scene.log.lock().unwrap() = vec![line("createSecret", "failed", 60)];
    let (said, code) = seen(&url).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains(
            "# first correct the cause of the last failure: every rotation ends as Forbidden"
        ),
        "{said}"
    );
    assert!(said.contains("by hand, if the function's log has no step of this version"), "{said}");
    scene.log.lock().unwrap().push(line("createSecret", "done", 5));
    let (said, code) = seen(&url).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("a rotation is under way") && !said.contains("advice"), "{said}");
    // Whoever waits for a mended secret waits on.
    let (said, output) = fourstep(&url, &["doctor", "app/db", "--fix", "--yes"], "").await;
    assert_eq!((output.status.code(), *scene.rotations.lock().unwrap()), (Some(1), 0), "{said}");
}

/// The failure was there before the retry, which still runs.
#[tokio::test]
async fn an_old_failure_is_not_the_new_retry_s() {
    let (scene, [_, next], url) = stuck(["rejected", "accepted", "rejected"], true).await;
    let line = json!({"secret": arn(&scene), "step": "setSecret", "outcome": "failed", "version": next, "error_type": "Forbidden", "why": "because", "at": now() - 60});
    *scene.log.lock().unwrap() = vec![line.to_string()];
    *scene.rotation.lock().unwrap() = "hangs";
    let asked = *scene.questions.lock().unwrap();
    let fix = ["doctor", "app/db", "--fix", "--yes", "--wait", "1"];
    let (said, output) = fourstep(&url, &fix, "").await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("not ended yet") && !said.contains("has failed"), "{said}");
    assert_eq!(*scene.questions.lock().unwrap(), asked + 2, "no login while it may run: {said}");
}

#[tokio::test]
async fn a_secret_that_was_named_by_its_arn_is_named_so_again() {
    let (scene, _, url) = stuck(["accepted", "rejected", "rejected"], true).await;
    let arn = arn(&scene);
    let (said, _) = fourstep(&url, &["doctor", &arn, "--stuck-after", "0"], "").await;
    assert!(said.contains(&format!("fourstep doctor {arn} --region us-east-1 --fix")), "{said}");
}

/// The alarm names a secret with which nothing is stuck: AWSPENDING was taken off, and nobody logs in.
#[tokio::test]
async fn a_named_secret_that_is_not_stuck_is_asked_whether_it_logs_in() {
    for (form, expected) in [("one password", "rotate-secret"), ("keys", "get-secret-value")] {
        let (scene, [_, next], url) = stuck(["rejected", "rejected", "accepted"], true).await;
        *scene.strategy.lock().unwrap() = format!("form: {form}");
        let (id, next) = (SecretId::parse("app/db").unwrap(), VersionId::parse(&next).unwrap());
        scene.store.update_stage(&id, AWSPENDING, None, Some(&next)).unwrap();
        let (said, output) = fourstep(&url, &["doctor"], "").await;
        assert_eq!(output.status.code(), Some(0), "{said}");
        let (said, code) = seen(&url).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("AWSCURRENT does not log in"), "{said}");
        let left = said.split_once("left to a person").map(|(_, left)| left).unwrap_or_default();
        assert!(left.contains(expected) && left.contains("fourstep doctor app/db"), "{said}");
    }
}
