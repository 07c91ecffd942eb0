//! `fourstep replay`, as a person runs it and as a script reads it.

use std::process::Output;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::postgres::{Server, User, server};
use crate::support::program::{SecretFile, binary, fourstep, secret_file};

pub(crate) async fn replay(file: &SecretFile, arguments: &[&str]) -> Output {
    let rotator = binary("rotate-postgres");
    let mut all = vec![
        "replay",
        "--rotator",
        rotator.to_str().unwrap(),
        "--secret",
        file.path.to_str().unwrap(),
    ];
    all.extend_from_slice(arguments);
    fourstep(&all).await
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn steps(output: &Output) -> Vec<Value> {
    lines(output).into_iter().filter(|line| line["event"] == "step").collect()
}

pub(crate) fn file_of(server: &Server, user: &User) -> SecretFile {
    secret_file(&server.document(user).to_string())
}

pub(crate) fn password(file: &SecretFile) -> String {
    let text = std::fs::read_to_string(&file.path).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["password"].as_str().unwrap().to_owned()
}

/// `AWSCURRENT accepted`, sorted, for one line of the report.
fn verdicts(line: &Value) -> Vec<String> {
    let rows = line["versions"].as_array().unwrap();
    let mut verdicts: Vec<String> = rows
        .iter()
        .map(|row| {
            format!(
                "{} {}",
                row["labels"].as_array().unwrap()[0].as_str().unwrap(),
                row["verdict"].as_str().unwrap()
            )
        })
        .collect();
    verdicts.sort();
    verdicts
}

#[tokio::test]
async fn two_rotations_are_reported_step_by_step_and_the_file_is_kept_up_to_date() {
    let Some(server) = server() else { return };
    for label in ["removed", "left"] {
        let user = server.user("replayed").await;
        let file = file_of(&server, &user);
        let output = replay(&file, &["--json", "--rotations", "2", "--pending-label", label]).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let steps = steps(&output);
        let names: Vec<&str> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
        assert_eq!(names, ["createSecret", "setSecret", "testSecret", "finishSecret"].repeat(2));
        assert!(
            steps
                .iter()
                .all(|step| step["ok"] == json!(true) && step["rejected_logins"] == json!(0))
        );
        assert_eq!(verdicts(&steps[0]), ["AWSCURRENT accepted", "AWSPENDING rejected"]);
        assert_eq!(verdicts(&steps[1]), ["AWSCURRENT rejected", "AWSPENDING accepted"]);
        assert_eq!(verdicts(&steps[3]), ["AWSCURRENT accepted", "AWSPREVIOUS rejected"]);
        assert_ne!(password(&file), user.password);
        assert!(server.logs_in(&user.name, &password(&file)).await);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!text.contains(&user.password) && !text.contains(&password(&file)));
        assert!(!file.path.with_extension("json.journal").exists());
    }
}

#[tokio::test]
async fn the_table_shows_labels_logins_calls_and_time() {
    let Some(server) = server() else { return };
    let user = server.user("table").await;
    let file = file_of(&server, &user);
    let output = replay(&file, &[]).await;
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for words in [
        "rotation 1 of 1, version ",
        "createSecret  done",
        "DescribeSecret 1, GetSecretValue 2, PutSecretValue 1; connections 0, refused logins 0",
        "DescribeSecret 2, GetSecretValue 2; connections 1, refused logins 0",
        " ms  ",
        "AWSCURRENT               yes",
        "AWSPENDING               no",
        "1 rotation played; the secret file holds what is current now",
    ] {
        assert!(text.contains(words), "{words}:\n{text}");
    }
}

#[tokio::test]
async fn every_step_twice_succeeds() {
    let Some(server) = server() else { return };
    let user = server.user("replaytwice").await;
    let file = file_of(&server, &user);
    let output = replay(&file, &["--json", "--twice", "--rotations", "2"]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let steps = steps(&output);
    assert_eq!(steps.len(), 16);
    assert!(steps.iter().skip(1).step_by(2).all(|step| step["ok"] == json!(true)));
    assert!(server.logs_in(&user.name, &password(&file)).await);
}

#[tokio::test]
async fn steps_before_createsecret_fail_and_the_table_says_why() {
    let Some(server) = server() else { return };
    let user = server.user("early").await;
    for step in ["setSecret", "testSecret", "finishSecret"] {
        let file = file_of(&server, &user);
        let output = replay(&file, &["--step", step]).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        for words in ["failed", "error type: NotFound", "has no value yet", "AWSCURRENT"] {
            assert!(text.contains(words), "{step}: {words}: {text}");
        }
        assert!(text.contains("A stored password logs in"), "{step}: {text}");
        assert_eq!(password(&file), user.password);
    }
    // Nobody set what it promotes, and the report says so.
    let file = file_of(&server, &user);
    let output = replay(&file, &["--step", "createSecret", "--step", "finishSecret"]).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("did not end with an AWSCURRENT that logs in"), "{text}");
    assert_eq!(password(&file), user.password);
    assert!(server.logs_in(&user.name, &user.password).await);
}

#[tokio::test]
async fn a_test_of_the_configuration_changes_nothing() {
    let Some(server) = server() else { return };
    let user = server.user("rehearse").await;
    let file = file_of(&server, &user);
    let output = replay(&file, &["--json", "--test-only"]).await;
    assert!(output.status.success());
    let steps = steps(&output);
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0]["why"], "the current secret logs in and a rotation would succeed");
    assert_eq!(password(&file), user.password);
    assert!(server.logs_in(&user.name, &user.password).await);
}

#[tokio::test]
async fn a_replay_that_stops_half_way_loses_no_password_and_the_next_one_recovers() {
    let Some(server) = server() else { return };
    let user = server.user("halfway").await;
    let file = file_of(&server, &user);
    let before = password(&file);
    let half = ["--twice", "--step", "createSecret", "--step", "setSecret"];
    // The password is changed and the rotation then abandoned, twice.
    for _ in 0..2 {
        let output = replay(&file, &half).await;
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        assert!(
            text.contains("did not end with an AWSCURRENT that logs in")
                && text.contains(".journal"),
            "{text}"
        );
        assert_eq!(password(&file), before, "only a finished rotation changes the file");
        assert!(!server.logs_in(&user.name, &before).await);
    }
    // The server is out of reach for a while: what is proposed meanwhile never becomes live.
    server.arrange(&format!("ALTER ROLE \"{}\" NOLOGIN", user.name)).await;
    for _ in 0..3 {
        assert_eq!(replay(&file, &half).await.status.code(), Some(1));
    }
    server.arrange(&format!("ALTER ROLE \"{}\" LOGIN", user.name)).await;
    let output = replay(&file, &["--json"]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(
        lines(&output).iter().any(|line| line["event"] == "resumed" && line["values"] == json!(5))
    );
    let why = steps(&output)[1]["why"].as_str().unwrap().to_owned();
    assert!(why.contains("logged in with AWSPREVIOUS"), "{why}");
    assert!(server.logs_in(&user.name, &password(&file)).await);
    assert!(!file.path.with_extension("json.journal").exists());
}

#[tokio::test]
async fn a_password_that_was_never_applied_does_not_replace_the_file() {
    let Some(server) = server() else { return };
    let user = server.user("unapplied").await;
    let file = file_of(&server, &user);
    let output = replay(&file, &["--step", "createSecret", "--step", "finishSecret"]).await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("did not end with an AWSCURRENT that logs in"), "{text}");
    assert_eq!(password(&file), user.password);
    assert!(server.logs_in(&user.name, &user.password).await);
}

#[tokio::test]
async fn the_live_password_of_another_account_stays_in_the_journal() {
    let Some(server) = server() else { return };
    let (first, second) = (server.user("first").await, server.user("second").await);
    let file = file_of(&server, &first);
    let half = ["--step", "createSecret", "--step", "setSecret"];
    assert!(replay(&file, &half).await.status.success());
    std::fs::write(&file.path, server.document(&second).to_string()).unwrap();
    let output = replay(&file, &[]).await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("log in as well"), "{text}");
    let journal = std::fs::read_to_string(file.path.with_extension("json.journal")).unwrap();
    let kept: Vec<&str> = journal.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(kept.len(), 1);
    let kept: String = serde_json::from_str(kept[0]).unwrap();
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept["username"], json!(first.name));
    assert!(server.logs_in(&first.name, kept["password"].as_str().unwrap()).await);
    assert!(server.logs_in(&second.name, &password(&file)).await);
}

#[tokio::test]
async fn a_rotation_that_cannot_begin_ends_the_report_with_what_is_in_the_journal() {
    let Some(server) = server() else { return };
    let user = server.user("second").await;
    let file = file_of(&server, &user);
    let half = ["--json", "--rotations", "2", "--step", "createSecret", "--step", "setSecret"];
    let output = replay(&file, &half).await;
    assert_eq!(output.status.code(), Some(1));
    let lines = lines(&output);
    assert!(lines.iter().any(|line| line["event"] == "refused"));
    let end = lines.last().unwrap();
    assert_eq!((&end["event"], &end["ok"]), (&json!("end"), &json!(false)));
    assert!(end["journal"].as_str().unwrap().ends_with(".journal"));
    let missing =
        fourstep(&["replay", "--json", "--rotator", "/bin/true", "--secret", "/no/such/file"])
            .await;
    let end: Value = serde_json::from_slice(&missing.stdout).unwrap();
    assert!(end["error"].as_str().unwrap().contains("/no/such/file"));
}

#[tokio::test]
async fn a_function_that_cannot_look_is_not_let_loose() {
    let file = secret_file("{}");
    let secret = file.path.to_str().unwrap();
    let output = fourstep(&["replay", "--rotator", "/bin/true", "--secret", secret]).await;
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("Nothing was begun") && !text.contains("rotation 1"), "{text}");
    let output = replay(&file, &["--env", "PASSWORD_LENGTH=none"]).await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("Nothing was begun") && text.contains("PASSWORD_LENGTH"), "{text}");
}

#[tokio::test]
async fn a_failed_step_ends_the_replay_with_status_1_and_says_why() {
    let Some(server) = server() else { return };
    let user = server.user("fails").await;
    let mut document = server.document(&user);
    document["password"] = json!("canary-wrong");
    let file = secret_file(&document.to_string());
    let output = replay(&file, &[]).await;
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    for words in [
        "setSecret     failed",
        "error type: Rejected",
        "the passwords of 2 versions were tried and refused",
        "No stored password logs in",
        "stopped here",
    ] {
        assert!(text.contains(words), "{words}:\n{text}");
    }
    assert!(!text.contains("canary") && !text.contains("[verify]"), "{text}");
    assert!(server.logs_in(&user.name, &user.password).await);
}

#[tokio::test]
async fn bad_arguments_are_named() {
    let file = secret_file("{}");
    for (arguments, words) in [
        (vec!["--step", "rotate"], "createSecret"),
        (vec!["--env", "NOVALUE"], "NAME=VALUE"),
        (vec!["--rotations", "0"], "0"),
        (vec!["--rotations", "2", "--test-only"], "--rotations: a test of the configuration"),
        (vec!["--timeout", "901"], "901"),
        (vec!["--arn", "app/db"], "must be the ARN of a secret"),
        (
            vec!["--arn", "arn:aws:secretsmanager:us-east-1:111122223333:secret:app/db"],
            "the six characters",
        ),
        (vec!["--sam"], "cannot be used with"),
        (vec!["--", "--skip-pull-image"], "cannot be used with"),
        (vec!["--listen", "192.0.2.1:0"], "cannot listen on 192.0.2.1:0"),
    ] {
        let output = replay(&file, &arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(words), "{text}");
    }
    for (rotator, secret, words) in [
        ("/no/such/binary", file.path.to_str().unwrap(), "/no/such/binary"),
        ("/bin/true", "/no/such/file", "/no/such/file"),
    ] {
        let output = fourstep(&["replay", "--rotator", rotator, "--secret", secret]).await;
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(words));
    }
}

/// scripts/test-sam plays what is well; here is what a person gets wrong before Docker is asked.
#[tokio::test]
async fn a_container_needs_an_address_it_can_reach_and_sam_itself() {
    let file = secret_file("{}");
    let arguments = ["replay", "--secret", file.path.to_str().unwrap(), "--sam"];
    let output = fourstep(&arguments).await;
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("--listen 172.17.0.1:0"), "{text}");
    let listening = [&arguments[..], &["--listen", "0.0.0.0:0"]].concat();
    let without_sam = Command::new(binary("fourstep")).args(listening).env("PATH", "").output();
    let output = without_sam.await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("sam: No such file"), "{text}");
}
