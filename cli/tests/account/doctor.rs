//! `fourstep doctor`: what it does not mend, what it does not call mended, and which secrets and which part
//! of a log it reads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fourstep::SecretId;
use fourstep::store::AWSCURRENT;
use fourstep_local::RotationRules;
use serde_json::{Value, json};

use fourstep_cli::account::text::now;

use super::front::{Scene, answered_late, fourstep, served};

pub const FIX: [&str; 5] = ["doctor", "app/db", "--fix", "--stuck-after", "0"];

/// A stuck secret, whose rotation is on or off, and its versions: AWSCURRENT and AWSPENDING.
pub async fn stuck(
    [current, pending, previous]: [&str; 3],
    on: bool,
) -> (Arc<Scene>, [String; 2], String) {
    let scene = Arc::new(Scene::default());
    let versions = scene.stuck("app/db", current, pending, previous);
    if !on {
        scene.store.cancel_rotation(&SecretId::parse("app/db").unwrap()).unwrap();
    }
    let url = served(&scene, &[]).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    (scene, versions, url)
}

pub fn arn(scene: &Scene) -> String {
    scene.store.describe(&SecretId::parse("app/db").unwrap()).unwrap().arn
}

async fn advice(url: &str) -> String {
    let look = ["doctor", "app/db", "--json", "--stuck-after", "0"];
    let (said, _) = fourstep(url, &look, "").await;
    let seen: Value = serde_json::from_str(&said).unwrap();
    seen["advice"].as_str().unwrap_or_default().to_owned()
}

/// Secrets Manager's retry sets the password while somebody is asked, and moves no label.
#[tokio::test]
async fn what_changed_since_the_look_is_not_mended() {
    for other_version in [false, true] {
        let (scene, [now, next], url) = stuck(["accepted", "rejected", "rejected"], true).await;
        let before = scene.labels("app/db");
        let change = || {
            let mut verdicts = scene.verdicts.lock().unwrap();
            let verdict = |id: &String, text: &str| (id.clone(), text.to_owned());
            match other_version {
                true => {
                    drop(scene.rows.lock().unwrap().insert(now.clone(), json!({"version": "x"})))
                }
                false => verdicts.extend([verdict(&now, "rejected"), verdict(&next, "accepted")]),
            }
        };
        let (said, output) =
            answered_late(&url, &FIX, "discard app/db and rotate it now?", change).await;
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("not mended: the secret has changed meanwhile"), "{said}");
        assert_eq!(scene.labels("app/db"), before, "{said}");
        assert_eq!(*scene.rotations.lock().unwrap(), 0);
    }
}

#[tokio::test]
async fn a_rotation_of_which_a_step_has_just_ended_is_not_discarded() {
    let (scene, [_, next], url) = stuck(["accepted", "rejected", "rejected"], true).await;
    let before = scene.labels("app/db");
    let line = |version: &str, age: i64| {
        json!({"secret": arn(&scene), "step": "createSecret", "outcome": "done", "version": version, "age": age})
            .to_string()
    };
    let fix = ["doctor", "app/db", "--fix", "--yes", "--stuck-after", "2"];
    tokio::time::sleep(Duration::from_secs(3)).await;
    scene.log.lock().unwrap().push(line(&next, 0));
    let (said, output) = fourstep(&url, &fix, "").await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("not mended: a createSecret of this rotation has just ended"), "{said}");
    assert_eq!(scene.labels("app/db"), before, "{said}");
    // One of long ago, and one of another version.
    *scene.log.lock().unwrap() = vec![line(&next, 400), line("another", 0)];
    let (said, output) = fourstep(&url, &fix, "").await;
    assert!(output.status.success() && said.contains("mended"), "{said}");
}

#[tokio::test]
async fn what_the_function_would_refuse_is_not_promoted() {
    let logins = ["rejected", "accepted", "rejected"];
    let (scene, versions, url) = stuck(logins, true).await;
    assert_eq!(advice(&url).await, "retry", "the function compares the versions");
    drop((scene, versions));
    let (scene, [now, next], url) = stuck(logins, false).await;
    let age = |current: u64| {
        let rows = [
            (now.clone(), json!({"age_seconds": current})),
            (next.clone(), json!({"age_seconds": 60})),
        ];
        scene.rows.lock().unwrap().extend(rows);
    };
    age(59);
    assert_eq!(advice(&url).await, "", "AWSCURRENT was edited after the rotation began");
    age(60);
    let failed = |kind: &str| {
        let (secret, why) = (arn(&scene), "host differs");
        let line = json!({"secret": secret, "step": "setSecret", "outcome": "failed", "error_type": kind, "why": why});
        *scene.log.lock().unwrap() = vec![line.to_string()];
    };
    failed("Mismatch");
    assert_eq!(advice(&url).await, "");
    failed("Tls");
    *scene.sealed.lock().unwrap() = true;
    assert_eq!(advice(&url).await, "", "it is not known why it failed");
    *scene.sealed.lock().unwrap() = false;
    assert_eq!(advice(&url).await, "promote");
    let asked = *scene.questions.lock().unwrap();
    let (said, output) = fourstep(&url, &[&FIX[..], &["--yes"]].concat(), "").await;
    assert!(output.status.success() && said.contains("mended"), "{said}");
    assert_eq!(scene.labels("app/db")[AWSCURRENT], next);
    assert_eq!(*scene.questions.lock().unwrap(), asked + 3, "before, just before, and after it");
}

#[tokio::test]
async fn a_retry_that_the_function_refuses_is_not_advised() {
    let (scene, [now, next], url) = stuck(["rejected", "accepted", "rejected"], true).await;
    let before = scene.labels("app/db");
    let refuses = |version: &str, kind: &str, age: u64| {
        let line = json!({"secret": arn(&scene), "step": "setSecret", "outcome": "failed", "error_type": kind, "version": version, "why": "host differs", "age": 30});
        *scene.log.lock().unwrap() = vec![line.to_string()];
        scene.rows.lock().unwrap().insert(now.clone(), json!({"age_seconds": age}));
    };
    for (version, kind, age, expected) in [
        (next.as_str(), "Tls", 60, "retry"),
        ("another", "Mismatch", 60, "retry"),
        // Somebody has corrected AWSCURRENT.
        (&next, "Mismatch", 5, "retry"),
        (&next, "Mismatch", 60, ""),
    ] {
        refuses(version, kind, age);
        assert_eq!(advice(&url).await, expected, "{version} {kind} {age}");
    }
    let (said, output) = fourstep(&url, &[&FIX[..], &["--yes"]].concat(), "").await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("only AWSPENDING's password works: do not discard"), "{said}");
    assert_eq!((scene.labels("app/db"), *scene.rotations.lock().unwrap()), (before, 0));
}

/// After the first of its two calls the secret looks healthy.
#[tokio::test]
async fn a_discard_that_is_not_followed_by_a_rotation_says_what_is_left_to_do() {
    for rotation in ["denied", "unseen"] {
        let (scene, _, url) = stuck(["accepted", "rejected", "rejected"], true).await;
        *scene.rotation.lock().unwrap() = rotation;
        let (said, output) = fourstep(&url, &[&FIX[..], &["--yes"]].concat(), "").await;
        assert_eq!(output.status.code(), Some(1), "{said}");
        let words = match rotation {
            "denied" => {
                let command =
                    format!("rotate-secret --secret-id {} --region us-east-1", arn(&scene));
                assert_eq!(said.matches(&command).count(), 2, "advised, and left to do: {said}");
                assert!(!scene.labels("app/db").contains_key("AWSPENDING"), "{said}");
                "AWSPENDING was taken off, and no rotation is known to have begun (secretsmanager:RotateSecret: AccessDenied"
            }
            _ => "begun, and not seen to end (secretsmanager:DescribeSecret: AccessDenied",
        };
        assert!(said.contains(words), "{said}");
    }
}

/// A look logs in with every password, and the refused ones count towards a lock.
#[tokio::test]
async fn where_none_is_accepted_the_log_says_whether_a_password_has_changed() {
    let (scene, [_, next], url) = stuck(["rejected"; 3], true).await;
    let before = scene.labels("app/db");
    let set = || {
        let line =
            json!({"secret": arn(&scene), "step": "setSecret", "outcome": "done", "version": next});
        scene.log.lock().unwrap().push(line.to_string());
    };
    let (said, output) = answered_late(&url, &FIX, "discard app/db and rotate it now?", set).await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("not mended: a setSecret of this rotation has just ended"), "{said}");
    let promote = || {
        let id = SecretId::parse("app/db").unwrap();
        scene.log.lock().unwrap().clear();
        scene.store.cancel_rotation(&id).unwrap();
    };
    let (said, _) = answered_late(&url, &FIX, "discard app/db and rotate it now?", promote).await;
    assert!(said.contains("not mended: the secret has changed meanwhile"), "{said}");
    assert_eq!((scene.labels("app/db"), *scene.rotations.lock().unwrap()), (before, 0));

    let (scene, _, url) = stuck(["rejected"; 3], true).await;
    let (said, output) = fourstep(&url, &[&FIX[..], &["--yes"]].concat(), "").await;
    assert!(output.status.success() && said.contains("mended"), "{said}");
    assert_eq!(*scene.questions.lock().unwrap(), 2, "before, and after it");
}

#[tokio::test]
async fn only_a_secret_that_logs_in_is_called_mended() {
    for (rotation, words) in [
        ("refused", "not mended: AWSCURRENT was not seen to log in; AWSCURRENT does not log in"),
        ("hangs", "not ended yet"),
    ] {
        let (scene, _, url) = stuck(["rejected"; 3], true).await;
        *scene.rotation.lock().unwrap() = rotation;
        let (said, output) =
            fourstep(&url, &[&FIX[..], &["--yes", "--wait", "0"]].concat(), "").await;
        assert_eq!(output.status.code(), Some(1), "{rotation}: {said}");
        assert!(said.contains(words), "{rotation}: {said}");
        assert!(said.contains("something is wrong with 1"), "{rotation}: {said}");
    }
}

const TAGGED: [&str; 4] = ["a/it", "b/longer", "c/key", "d/apart"];

#[tokio::test]
async fn a_tag_is_the_whole_tag() {
    let scene = Arc::new(Scene::default());
    for (name, tags) in TAGGED.iter().zip([
        &[("team", "blue")][..],
        &[("team", "blueish")],
        &[("teams", "blue")],
        &[("team", "red"), ("was", "blue")],
    ]) {
        scene.rotated_by(name, "fourstep-postgres", RotationRules::default());
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let tags: BTreeMap<_, _> = tags.collect();
        scene.store.tag(&SecretId::parse(name).unwrap(), tags).unwrap();
    }
    let url = served(&scene, &TAGGED).await;
    for (tag, expected) in
        [("team=blue", &["a/it"][..]), ("team", &["a/it", "b/longer", "d/apart"]), ("!team", &[])]
    {
        let (said, _) = fourstep(&url, &["doctor", "--all", "--tag", tag], "").await;
        let seen: Vec<_> = TAGGED.into_iter().filter(|name| said.contains(name)).collect();
        assert_eq!(seen, expected, "{tag}: {said}");
    }
    let (said, output) = fourstep(&url, &["doctor", "b/longer", "--tag", "team=blue"], "").await;
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("cannot be used with"), "{said}");
}

#[tokio::test]
async fn functions_of_other_secrets_are_not_asked() {
    let scene = Arc::new(Scene::default());
    scene.rotated_by("a/ours", "fourstep-postgres", RotationRules::default());
    scene.rotated_by("b/another", "fourstep-mysql", RotationRules::default());
    let url = served(&scene, &["a/ours", "b/another"]).await;
    let look = ["doctor", "--all", "--ask", "--function", "fourstep-postgres"];
    let (said, _) = fourstep(&url, &look, "").await;
    assert!(said.contains("a/ours") && !said.contains("b/another"), "{said}");
    assert_eq!(*scene.questions.lock().unwrap(), 1, "{said}");
}

#[tokio::test]
async fn the_last_failure_is_the_last_of_a_long_log() {
    let (scene, _, url) = stuck(["accepted", "rejected", "rejected"], true).await;
    *scene.paged.lock().unwrap() = 1;
    let failures = |seconds: i64| {
        let line = |number: i64| {
            let (secret, why) = (arn(&scene), format!("number {number};"));
            json!({"secret": secret, "step": "setSecret", "outcome": "failed", "error_type": "Tls", "why": why, "age": number * seconds})
                .to_string()
        };
        *scene.log.lock().unwrap() = (1..40).map(line).collect();
    };
    let look = ["doctor", "app/db", "--stuck-after", "0"];
    for part in [1_000, 20_000] {
        failures(part);
        let (said, _) = fourstep(&url, &look, "").await;
        assert!(said.contains("setSecret: Tls: number 1;"), "{said}");
    }
    failures(10);
    let (said, _) = fourstep(&url, &look, "").await;
    assert!(
        said.contains("not asked: logs:FilterLogEvents") && said.contains("to its end"),
        "{said}"
    );
    assert!(!said.contains("last failure"), "{said}");
}

#[tokio::test]
async fn a_rotation_that_is_overdue_and_a_copy_out_of_sync_are_told_of_each_region_by_itself() {
    let scene = Arc::new(Scene::default());
    let days = RotationRules { automatically_after_days: Some(30), ..RotationRules::default() };
    for name in ["a/late", "b/soon"] {
        scene.rotated_by(name, "fourstep-postgres", days.clone());
    }
    let copy =
        |region, status, why| json!({"Region": region, "Status": status, "StatusMessage": why});
    let copies = json!([
        copy("eu-west-2", "Failed", "the key is disabled"),
        copy("eu-west-3", "InSync", "fine"),
    ]);
    let late = json!({"NextRotationDate": now() - 7_205, "ReplicationStatus": copies});
    // Within the hour in which Secrets Manager tries again.
    let soon = json!({"NextRotationDate": now() - 1_800});
    scene.besides.lock().unwrap().extend([("a/late".into(), late), ("b/soon".into(), soon)]);
    let url = served(&scene, &["a/late", "b/soon"]).await;
    let regions = ["doctor", "--all", "--region", "us-east-1", "--region", "eu-west-1"];
    let (said, output) = fourstep(&url, &regions, "").await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    for (part, times) in [
        ("overdue: a rotation was due 2 hours ago", 1),
        ("a copy is out of sync: eu-west-2 the key is disabled", 1),
        ("eu-west-3", 0),
        ("b/soon\n  rotation on", 2),
        ("us-east-1: 2 secrets looked at; something is wrong with 1.", 1),
        ("eu-west-1: 1 secret looked at; something is wrong with 0.", 1),
    ] {
        assert_eq!(said.matches(part).count(), times, "{part}: {said}");
    }
    let (said, _) = fourstep(&url, &["doctor", "a/late", "--json"], "").await;
    let seen: Value = serde_json::from_str(&said).unwrap();
    let troubles = seen["troubles"].as_array().unwrap().iter();
    let kinds: Vec<_> = troubles.map(|one| &one["kind"]).collect();
    assert_eq!(kinds, ["overdue", "replica"], "{said}");
}
