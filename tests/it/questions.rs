//! `fourstep inspect`, `preflight` and `plan`: what a function answers without changing anything.

use serde_json::{Value, json};

use crate::support::postgres::server;
use crate::support::program::{SecretFile, binary, fourstep, secret_file};

/// What is printed, and whether it was a success.
async fn asked(question: &str, file: &SecretFile, more: &[&str]) -> (String, bool) {
    let rotator = binary("rotate-postgres");
    let (rotator, file) = (rotator.to_str().unwrap(), file.path.to_str().unwrap());
    let mut all = vec![question, "--rotator", rotator, "--secret", file];
    all.extend_from_slice(more);
    let output = fourstep(&all).await;
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shown}");
    (shown, output.status.success())
}

#[tokio::test]
async fn preflight_of_a_healthy_secret_says_that_a_rotation_would_succeed() {
    let Some(server) = server() else { return };
    let user = server.user("preflight").await;
    let file = secret_file(&server.document(&user).to_string());
    let before = std::fs::read_to_string(&file.path).unwrap();
    let (shown, fine) = asked("preflight", &file, &[]).await;
    assert_eq!(shown, "A rotation would succeed. Nothing was changed.\n");
    assert!(fine);
    let (shown, fine) = asked("preflight", &file, &["--json"]).await;
    let answer: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&answer["ready"], &answer["findings"]), (&json!(true), &json!([])));
    assert!(fine && !shown.contains(&user.password));
    assert_eq!(std::fs::read_to_string(&file.path).unwrap(), before);
    assert!(server.logs_in(&user.name, &user.password).await);
}

#[tokio::test]
async fn preflight_says_what_would_fail_and_fails_itself() {
    let Some(server) = server() else { return };
    let user = server.user("preflight_wrong").await;
    let mut document = server.document(&user);
    document["password"] = json!("not-the-password");
    let file = secret_file(&document.to_string());
    let (shown, fine) = asked("preflight", &file, &[]).await;
    assert!(shown.starts_with("fails  Rejected: AWSCURRENT does not log in"), "{shown}");
    assert!(shown.ends_with("A rotation would fail. Nothing was changed.\n"), "{shown}");
    assert!(!fine && !shown.contains("not-the-password"), "{shown}");
    document["engine"] = json!("mysql");
    let file = secret_file(&document.to_string());
    let (shown, fine) = asked("preflight", &file, &["--json"]).await;
    let answer: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(answer["findings"][0]["kind"], "Malformed", "{shown}");
    assert!(!fine);
}

#[tokio::test]
async fn preflight_warns_of_a_pair_that_would_be_rotated_as_one_user() {
    let Some(server) = server() else { return };
    let user = server.user("preflight_pair").await;
    let mut document = server.document(&user);
    document["masterarn"] = json!("admin");
    let file = secret_file(&document.to_string());
    let (shown, fine) = asked("preflight", &file, &[]).await;
    assert!(shown.starts_with("warns  the secret names an admin in \"masterarn\""), "{shown}");
    assert!(fine && shown.contains("alternating-users"), "{shown}");
}

#[tokio::test]
async fn inspect_shows_which_version_logs_in() {
    let Some(server) = server() else { return };
    let user = server.user("inspected").await;
    let file = secret_file(&server.document(&user).to_string());
    let (shown, fine) = asked("inspect", &file, &[]).await;
    assert!(fine && shown.contains("AWSCURRENT") && shown.contains("yes"), "{shown}");
    assert!(shown.contains(&format!("user {:?}, 0 sessions open\n", user.name)), "{shown}");
}

#[tokio::test]
async fn a_plan_of_one_user_is_a_new_password_alone() {
    let Some(server) = server() else { return };
    let user = server.user("planned").await;
    let file = secret_file(&server.document(&user).to_string());
    let (shown, fine) = asked("plan", &file, &[]).await;
    assert_eq!(shown, "Nothing but a new password. Nothing was changed.\n");
    assert!(fine);
}

#[tokio::test]
async fn b5_settings_that_guess_and_names_that_nothing_reads_are_findings_and_in_the_log() {
    let Some(server) = server() else { return };
    let user = server.user("preflight_settings").await;
    let file = secret_file(&server.document(&user).to_string());
    let slips = ["--env", "PASSWORD_LENGHT=40", "--env", "EXCLUDE_LOWERCASE=true"];
    let weak = ["--env", "EXCLUDE_UPPERCASE=true", "--env", "EXCLUDE_PUNCTUATION=true"];
    let more = [&slips[..], &weak, &["--env", "PASSWORD_LENGTH=8"]].concat();
    let (shown, fine) = asked("preflight", &file, &more).await;
    let warned = |text: &str, what: &str| {
        text.lines().any(|line| line.starts_with("warns") && line.contains(what))
    };
    // "LENGHT" is near PASSWORD_LENGTH, and eight digits have 27 bits.
    assert!(fine && warned(&shown, "PASSWORD_LENGHT"), "{shown}");
    assert!(warned(&shown, "passwords of 27 bits"), "{shown}");
    let (shown, _) = asked("preflight", &file, &[]).await;
    assert!(!shown.contains("warns"), "{shown}");
    // A rotation says so in its log line, which `replay --json` passes on.
    let rotator = binary("rotate-postgres");
    let (rotator, path) = (rotator.to_str().unwrap(), file.path.to_str().unwrap());
    let all = [&["replay", "--json", "--rotator", rotator, "--secret", path][..], &more].concat();
    let output = fourstep(&all).await;
    let lines = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{lines}");
    let created = lines.lines().find(|line| line.contains("createSecret")).unwrap();
    assert!(created.contains("PASSWORD_LENGHT") && created.contains("27 bits"), "{created}");
}
