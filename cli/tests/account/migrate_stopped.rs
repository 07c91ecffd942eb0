//! `fourstep migrate` that is killed, and what AWS or the file may say that it should not.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::fleet::{arn, file, fleet};
use super::front::{CANARY, ESCAPE, Scene, Stop, fourstep, served, started};

pub const MOVE: [&str; 7] =
    ["migrate", "--function", "fourstep-postgres", "--move", "--yes", "a/postgres", "--file"];

pub const OLD: &str = "SecretsManagerRDSPostgreSQLRotationSingleUser";

pub fn kept(path: &Path) -> Value {
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    file["moves"][0].clone()
}

/// Runs the command, and kills it where its next RotateSecret, or the one after that, got no answer.
pub async fn killed(scene: &Arc<Scene>, url: &str, arguments: &[&str], stop: Stop) {
    *scene.stop.lock().unwrap() = Some(stop);
    let mut child = started(url, arguments);
    scene.stopped.notified().await;
    child.kill().await.unwrap();
}

#[tokio::test]
async fn a_move_that_was_killed_before_its_call_is_made_by_the_next_run() {
    let (scene, _) = fleet();
    let (_folder, path) = file();
    let before = scene.state("a/postgres");
    let url = served(&scene, &[]).await;
    let run = [&MOVE[..], &[path.to_str().unwrap()]].concat();
    killed(&scene, &url, &run, Stop::Before).await;
    assert_eq!(scene.state("a/postgres"), before);
    assert_eq!((&kept(&path)["outcome"], &kept(&path)["ended"]), (&"moved".into(), &false.into()));
    let (said, _) =
        fourstep(&url, &[&MOVE[..3], &["--file", path.to_str().unwrap()]].concat(), "").await;
    assert!(said.contains("1 moves of") && said.contains("did not end"), "{said}");
    let (said, _) = fourstep(&url, &run, "").await;
    assert!(
        said.contains("a/postgres: not moved: the old function rotates it, as before"),
        "{said}"
    );
    assert!(said.contains("a/postgres: moved: a rotation would succeed"), "{said}");
    assert_eq!(scene.state("a/postgres").1, arn("fourstep-postgres"));
    assert_eq!(kept(&path)["ended"], true);
}

#[tokio::test]
async fn a_move_that_was_killed_after_its_call_is_ended_by_the_next_run() {
    for fine in [true, false] {
        let (scene, _) = fleet();
        *scene.test.lock().unwrap() = Some((fine, "so it was"));
        let (_folder, path) = file();
        let before = scene.state("a/postgres");
        let url = served(&scene, &[]).await;
        let run = [&MOVE[..], &[path.to_str().unwrap()]].concat();
        killed(&scene, &url, &run, Stop::After).await;
        assert_eq!(scene.state("a/postgres").1, arn("fourstep-postgres"));
        assert_eq!(kept(&path)["ended"], false);
        if fine {
            let (said, output) = fourstep(&url, &run, "").await;
            assert!(output.status.success(), "{said}");
            assert!(said.contains("a/postgres: moved: so it was; every 30 days"), "{said}");
            let (labels, function, rules) = scene.state("a/postgres");
            assert_eq!((labels, rules), (before.0, before.2));
            assert_eq!(function, arn("fourstep-postgres"));
            assert_eq!(scene.asked.lock().unwrap().len(), 1, "it is not moved twice");
        } else {
            // The next run puts it back, and is killed there, before and after the call.
            killed(&scene, &url, &run, Stop::Before).await;
            assert_eq!(kept(&path)["outcome"], "not moved");
            killed(&scene, &url, &run, Stop::After).await;
            let look = [&MOVE[..3], &["--file", path.to_str().unwrap(), "--wave", "1"]].concat();
            let (said, _) = fourstep(&url, &look, "n\n").await;
            assert!(said.contains("a/postgres: not moved: the old function rotates it"), "{said}");
            assert_eq!(scene.state("a/postgres"), before);
            assert_eq!(kept(&path)["ended"], true);
        }
        assert_eq!(*scene.rotations.lock().unwrap(), 0);
    }
}

#[tokio::test]
async fn a_way_back_that_was_killed_is_gone_by_the_next_run() {
    for stop in [Stop::Before, Stop::After] {
        let (scene, _) = fleet();
        let (_folder, path) = file();
        let file = path.to_str().unwrap();
        let before = scene.state("a/postgres");
        let url = served(&scene, &[]).await;
        fourstep(&url, &[&MOVE[..], &[file]].concat(), "").await;
        let back = ["migrate", "--back", file, "--yes"];
        killed(&scene, &url, &back, stop).await;
        let (said, output) = fourstep(&url, &back, "").await;
        assert!(output.status.success(), "{stop:?}: {said}");
        assert!(said.contains("a/postgres: back: the old function rotates it"), "{stop:?}: {said}");
        assert_eq!(scene.state("a/postgres"), before, "{stop:?}");
        let ended = (kept(&path)["outcome"].clone(), kept(&path)["ended"].clone());
        assert_eq!(ended, ("back".into(), true.into()));
        let (said, _) = fourstep(&url, &back, "").await;
        assert!(said.contains("put back 0, not 0"), "{said}");
    }
}

/// What DescribeSecret says may be a moment old.
#[tokio::test]
async fn a_function_that_is_seen_late_is_waited_for() {
    let (scene, _) = fleet();
    *scene.late.lock().unwrap() = 2;
    let (_folder, path) = file();
    let url = served(&scene, &[]).await;
    let run = [&MOVE[..], &[path.to_str().unwrap()]].concat();
    let (said, output) = fourstep(&url, &run, "").await;
    assert!(output.status.success(), "{said}");
    assert_eq!((&kept(&path)["outcome"], &kept(&path)["ended"]), (&"moved".into(), &true.into()));
}

/// Nor is an answer that was lost a refusal: what is not seen yet may come.
#[tokio::test]
async fn a_call_without_an_answer_is_not_called_refused() {
    for (late, ended) in [(2, true), (50, false)] {
        let (scene, _) = fleet();
        *scene.late.lock().unwrap() = late;
        *scene.stop.lock().unwrap() = Some(Stop::Lost);
        let (_folder, path) = file();
        let url = served(&scene, &[]).await;
        let run = [&MOVE[..], &[path.to_str().unwrap()]].concat();
        let (said, output) = fourstep(&url, &run, "").await;
        assert_eq!(output.status.code(), Some(i32::from(!ended)), "{said}");
        assert_eq!(kept(&path)["ended"], ended, "{said}");
        assert_eq!(said.contains("a/postgres: not known"), !ended, "{said}");
        *scene.late.lock().unwrap() = 0;
        let (said, output) = fourstep(&url, &run, "").await;
        assert!(output.status.success(), "{said}");
        assert_eq!(kept(&path)["ended"], true, "{said}");
        assert_eq!(scene.asked.lock().unwrap().len(), 1, "it is not moved twice");
    }
}

#[tokio::test]
async fn without_an_outcome_in_time_it_is_not_called_moved() {
    let (scene, _) = fleet();
    *scene.test.lock().unwrap() = None;
    let (_folder, path) = file();
    let url = served(&scene, &[]).await;
    let run = [&MOVE[..], &[path.to_str().unwrap(), "--wait", "0"]].concat();
    let (said, output) = fourstep(&url, &run, "").await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("not known: our function rotates it")
            && said.contains("moves.json a/postgres --region us-east-1"),
        "{said}"
    );
    // The version of the test is still there: its own is taken off, and the secret is as it was.
    let back = ["migrate", "--back", path.to_str().unwrap(), "--yes"];
    let (said, output) = fourstep(&url, &back, "").await;
    assert!(output.status.success(), "{said}");
    assert_eq!(scene.state("a/postgres").1, arn(OLD));
    assert!(!scene.labels("a/postgres").contains_key("AWSPENDING"));
}

#[tokio::test]
async fn a_file_that_is_none_is_refused_before_anything_is_changed() {
    let (scene, _) = fleet();
    let (folder, path) = file();
    let url = served(&scene, &[]).await;
    fourstep(&url, &[&MOVE[..], &[path.to_str().unwrap()]].concat(), "").await;
    let whole: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let calls = scene.asked.lock().unwrap().len();
    let mut files = vec![
        ("".to_owned(), "it is no JSON"),
        ("[]".to_owned(), "\"format\" is not"),
        (r#"{"format": "fourstep migrate 1", "moves": 1}"#.to_owned(), "\"moves\" is no list"),
    ];
    for (field, value, words) in [
        ("secret", json!("x"), "moves[0]: \"secret\" is no ARN of secretsmanager"),
        ("old_function", json!("arn:aws:s3:::x"), "\"old_function\" is no ARN of lambda"),
        ("new_function", json!(7), "\"new_function\" is no text"),
        ("outcome", json!(ESCAPE), "\"outcome\" is"),
        ("ended", json!("yes"), "\"ended\" is no boolean"),
        ("at", json!("now"), "\"at\" is no number"),
        ("old_rules", json!({"days": "x"}), "\"days\" is no number"),
    ] {
        let mut file = whole.clone();
        file["moves"][0][field] = value;
        files.push((file.to_string(), words));
    }
    for (text, words) in files {
        std::fs::write(&path, &text).unwrap();
        for run in [&["migrate", "--back"][..], &MOVE[..]] {
            let (said, output) =
                fourstep(&url, &[run, &[path.to_str().unwrap()]].concat(), "").await;
            assert_eq!(output.status.code(), Some(2), "{text}: {said}");
            assert!(said.contains(words), "{words}: {said}");
        }
    }
    let gone = folder.path().join("gone.json");
    let (said, _) = fourstep(&url, &["migrate", "--back", gone.to_str().unwrap()], "").await;
    assert!(said.contains("gone.json"), "{said}");
    assert_eq!(scene.asked.lock().unwrap().len(), calls);
}

/// A generator of numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, most: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }

    /// What no API should answer.
    fn value(&mut self, depth: usize) -> Value {
        let long = "x".repeat(9_000);
        let texts = ["", ESCAPE, "true", "arn:aws:lambda", "python3.9", "provided.al2023", &long];
        match self.next(if depth == 0 { 4 } else { 6 }) {
            0 => Value::Null,
            1 => json!(i64::MIN),
            2 => json!(self.next(2) == 0),
            3 => json!(texts[self.next(texts.len())]),
            4 => json!([self.value(depth - 1), self.value(depth - 1)]),
            _ => json!({"Variables": self.value(depth - 1), ESCAPE: self.value(depth - 1)}),
        }
    }
}

/// Every field of Lambda's answers in turn is what it should not be: the command says something, shows no
/// value and nothing that a terminal acts upon, and moves nothing that it does not know.
#[tokio::test]
async fn whatever_the_apis_say_nothing_leaks_and_nothing_ends_badly() {
    let mut numbers = Numbers(7);
    let fields = [
        "Runtime",
        "Handler",
        "Description",
        "FunctionName",
        "FunctionArn",
        "Environment",
        "VpcConfig",
        "LoggingConfig",
    ];
    for round in 0..48 {
        let (scene, _) = fleet();
        let field = fields[round % fields.len()];
        let name = [OLD, "fourstep-postgres"][round / fields.len() % 2];
        let value = numbers.value(2);
        scene.functions.lock().unwrap().get_mut(name).unwrap()[field] = value.clone();
        scene.tags.lock().unwrap().insert(OLD.to_owned(), numbers.value(2));
        *scene.preflight.lock().unwrap() =
            Some(json!({"ready": numbers.value(1), "findings": numbers.value(2)}));
        let (_folder, path) = file();
        let url = served(&scene, &[]).await;
        let run = [&MOVE[..], &[path.to_str().unwrap(), "--json", "--wait", "0"]].concat();
        let (said, output) = fourstep(&url, &run, "").await;
        let code = output.status.code();
        assert!(matches!(code, Some(0..=2)), "{name} {field} {value}: {code:?} {said}");
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(!kept.contains(CANARY), "{kept}");
        assert_eq!(*scene.rotations.lock().unwrap(), 0);
        if name == OLD && field == "Runtime" && value != "python3.9" {
            assert_eq!(scene.state("a/postgres").1, arn(OLD), "{value}: {said}");
        }
    }
}
