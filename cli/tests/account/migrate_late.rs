//! `fourstep migrate`: what happens while somebody is asked, and what one secret is to the others.

use std::sync::Arc;
use std::time::Duration;

use fourstep_cli::account::text::now;
use serde_json::json;

use super::fleet::{arn, file, fleet};
use super::front::{answered_late, fourstep, served};
use super::migrate_stopped::{MOVE, OLD};

#[tokio::test]
async fn a_window_that_opens_while_somebody_is_asked_leaves_the_secret_where_it_is() {
    let (scene, _) = fleet();
    let (_folder, path) = file();
    let file = path.to_str().unwrap();
    let url = served(&scene, &[]).await;
    let soon = || {
        let due = json!({"NextRotationDate": now() + 7_000});
        scene.besides.lock().unwrap().insert("a/postgres".to_owned(), due);
    };
    let each =
        ["migrate", "--function", "fourstep-postgres", "--move", "a/postgres", "--file", file];
    let (said, output) = answered_late(&url, &each, "move a/postgres to", soon).await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("a/postgres: not moved: its rotation is due within 1 hour"), "{said}");
    assert!(scene.asked.lock().unwrap().is_empty() && !path.exists(), "{said}");

    scene.besides.lock().unwrap().clear();
    let (said, _) = fourstep(&url, &[&MOVE[..], &[file]].concat(), "").await;
    assert!(said.contains("a/postgres: moved"), "{said}");
    let question = "give a/postgres back to";
    let (said, output) = answered_late(&url, &["migrate", "--back", file], question, soon).await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("a/postgres: left: its rotation is due within 1 hour"), "{said}");
    assert_eq!(scene.state("a/postgres").1, arn("fourstep-postgres"));
    // Whoever names it knows.
    scene.besides.lock().unwrap().clear();
    let named = ["migrate", "--back", file, "a/postgres"];
    let (said, output) = answered_late(&url, &named, question, soon).await;
    assert!(output.status.success() && said.contains("put back 1, not 0"), "{said}");
}

#[tokio::test]
async fn a_window_that_opens_keeps_no_other_secret_of_a_wave_from_being_moved() {
    let (scene, _) = fleet();
    let (_folder, path) = file();
    let url = served(&scene, &["a/postgres", "b/mysql"]).await;
    let soon = || {
        let due = json!({"NextRotationDate": now() + 7_000});
        scene.besides.lock().unwrap().insert("a/postgres".to_owned(), due);
    };
    let wave = ["migrate", "--function", "fourstep-postgres", "--function", "fourstep-mysql"];
    let wave = [&wave[..], &["--wave", "2", "--file", path.to_str().unwrap()]].concat();
    let (said, output) = answered_late(&url, &wave, "move these 2", soon).await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("a/postgres: not moved: its rotation is due within 1 hour"), "{said}");
    assert!(said.contains("b/mysql: moved") && said.contains("moved 1, not 1"), "{said}");
}

#[tokio::test]
async fn one_secret_that_cannot_be_put_back_keeps_no_other_from_it() {
    let (scene, _) = fleet();
    let (_folder, path) = file();
    let file = path.to_str().unwrap();
    let url = served(&scene, &["a/postgres", "b/mysql", "c/pair"]).await;
    let all = ["migrate", "--function", "fourstep-postgres", "--function", "fourstep-mysql"];
    let all = [&all[..], &["--move", "--yes", "--file", file]].concat();
    let (said, output) = fourstep(&url, &all, "").await;
    assert!(output.status.success() && said.contains("moved 3, not 0"), "{said}");
    scene.functions.lock().unwrap().get_mut(OLD).unwrap()["refused"] = true.into();
    let (said, output) = fourstep(&url, &["migrate", "--back", file, "--yes"], "").await;
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("a/postgres") && said.contains("AccessDenied"), "{said}");
    assert!(said.contains("put back 2, not 0"), "{said}");
    assert_eq!(scene.state("a/postgres").1, arn("fourstep-postgres"));
    assert_eq!(scene.state("c/pair").1, arn("mine"));
}

/// A schedule that is set again is tested again, and that test may fail where the first did not.
#[tokio::test]
async fn what_the_second_test_leaves_is_taken_off_and_told() {
    let (scene, _) = fleet();
    *scene.forgets.lock().unwrap() = true;
    let (_folder, path) = file();
    let before = scene.labels("c/pair");
    let url = served(&scene, &[]).await;
    let first = Arc::clone(&scene);
    let turn = tokio::spawn(async move {
        while first.log.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        *first.test.lock().unwrap() = Some((false, "not again"));
    });
    let file = path.to_str().unwrap();
    let run =
        ["migrate", "--function", "fourstep-postgres", "--move", "--yes", "c/pair", "--file", file];
    let (said, output) = fourstep(&url, &run, "").await;
    turn.await.unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the schedule was set again, and Secrets Manager's test of"), "{said}");
    assert_eq!(scene.asked.lock().unwrap().len(), 2, "{said}");
    assert_eq!(scene.labels("c/pair"), before, "{said}");
}
