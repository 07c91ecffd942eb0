//! What holds for every command: where it reads from, how it ends, what it prints, what helps.

use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::program::binary;

/// Nobody listens there.
const SECRET: &str = r#"{"engine": "postgres", "host": "127.0.0.1", "port": 1, "username": "app",
    "password": "canary-of-the-command", "ssl": false}"#;

async fn given(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(binary("fourstep"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
    let output = child.wait_with_output().await.unwrap();
    assert!(!format!("{output:?}").contains("canary-of-the-command"));
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn rotator() -> String {
    binary("rotate-postgres").display().to_string()
}

#[tokio::test]
async fn what_changes_nothing_reads_a_pipe_and_writes_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let rotator = rotator();
    for (arguments, word) in [
        (&["preflight"][..], "A rotation would fail"),
        (&["inspect"], "AWSCURRENT"),
        (&["replay", "--test-only"], "Nothing was begun"),
    ] {
        let all = [arguments, &["--rotator", &rotator, "--secret", "-"]].concat();
        let output = given(folder.path(), &all, SECRET).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stdout).contains(word), "{output:?}");
        assert!(entries(folder.path()).is_empty(), "{all:?}");
    }
    let script = "fourstep preflight --rotator \"$1\" --secret <(cat)";
    let path = format!(
        "{}:{}",
        binary("fourstep").parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    std::fs::write(folder.path().join("secret.json"), SECRET).unwrap();
    let input = std::fs::File::open(folder.path().join("secret.json")).unwrap();
    let output = Command::new("bash")
        .args(["-c", script, "bash", &rotator])
        .env("PATH", path)
        .current_dir(folder.path())
        .stdin(input)
        .output()
        .await
        .unwrap();
    assert!(text(&output.stdout).contains("A rotation would fail"), "{output:?}");
    let file = ["preflight", "--rotator", &rotator, "--secret", "secret.json"];
    given(folder.path(), &file, "").await;
    let file = ["replay", "--test-only", "--rotator", &rotator, "--secret", "secret.json"];
    given(folder.path(), &file, "").await;
    assert_eq!(entries(folder.path()), ["secret.json"], "no lock is needed to look");
}

#[tokio::test]
async fn what_writes_back_refuses_a_pipe_and_a_flood_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let rotator = rotator();
    let output =
        given(folder.path(), &["replay", "--rotator", &rotator, "--secret", "-"], SECRET).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("there is no file to write it to"), "{output:?}");
    assert!(entries(folder.path()).is_empty());
    let flood = "x".repeat(70_000);
    let output =
        given(folder.path(), &["inspect", "--rotator", &rotator, "--secret", "-"], &flood).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("more than a secret can"), "{output:?}");
}

#[tokio::test]
async fn what_could_not_run_ends_alike_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let rotator = rotator();
    let of = ["--rotator", &rotator, "--secret", "nope.json"];
    for arguments in [
        [&["preflight"][..], &of].concat(),
        [&["inspect"][..], &of].concat(),
        [&["plan"][..], &of].concat(),
        [&["replay"][..], &of].concat(),
        [&["replay", "--crash", "all"][..], &of].concat(),
        vec!["replay", "--rotator", "nothing", "--secret", "nope.json"],
        vec!["spec", "check", "nope.toml"],
        vec!["serve", "--rotator", "nothing", "--listen", "127.0.0.1:0"],
    ] {
        let arguments = [&arguments[..], &["--json"]].concat();
        let output = given(folder.path(), &arguments, "").await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?} {output:?}");
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&said["event"], &said["ok"]), (&"end".into(), &false.into()), "{arguments:?}");
        let error = said["error"].as_str().unwrap();
        assert_eq!(text(&output.stderr), format!("fourstep: {error}\n"));
    }
}

/// Every example of every help is a command line that is understood.
#[tokio::test]
async fn each_help_has_an_example_that_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let mut examples = 0;
    for command in [
        &[][..],
        &["serve"],
        &["replay"],
        &["inspect"],
        &["preflight"],
        &["plan"],
        &["doctor"],
        &["migrate"],
        &["new"],
        &["completions"],
        &["man"],
    ] {
        let output = given(folder.path(), &[command, &["--help"]].concat(), "").await;
        let help = text(&output.stdout);
        let parts = help.lines().flat_map(|line| line.split("&&"));
        let lines = parts.filter_map(|part| part.trim().strip_prefix("fourstep "));
        let before = examples;
        for line in lines {
            let ours = line.split(['>', '|']).next().unwrap();
            let words: Vec<_> = ours.split_whitespace().chain(["--help"]).collect();
            let output = given(folder.path(), &words, "").await;
            assert!(output.status.success(), "{line}: {output:?}");
            examples += 1;
        }
        assert!(examples > before, "{command:?} has no example:\n{help}");
    }
}

#[tokio::test]
async fn completions_and_manual_pages_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let output = given(folder.path(), &["completions", shell], "").await;
        let script = text(&output.stdout);
        assert!(script.contains("preflight") && script.contains("test-only"), "{shell}");
    }
    let bash = given(folder.path(), &["completions", "bash"], "").await;
    std::fs::write(folder.path().join("completion"), &bash.stdout).unwrap();
    let words = "source ./completion; COMP_WORDS=(fourstep pre); COMP_CWORD=1; \
                 _fourstep fourstep pre fourstep; echo \"${COMPREPLY[*]}\"";
    let completed =
        Command::new("bash").args(["-c", words]).current_dir(folder.path()).output().await.unwrap();
    assert_eq!(text(&completed.stdout).trim(), "preflight", "{completed:?}");

    assert!(given(folder.path(), &["man", "."], "").await.status.success());
    for page in ["fourstep", "fourstep-replay", "fourstep-preflight", "fourstep-spec-check"] {
        let page = std::fs::read_to_string(folder.path().join(format!("{page}.1"))).unwrap();
        assert!(page.contains(".TH "), "{page}");
    }
}

/// On a terminal of 70 columns, which `script` makes.
#[tokio::test]
async fn a_terminal_gets_colours_and_lines_that_fit() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret.json"), SECRET).unwrap();
    let asked = format!(
        "stty cols 70 rows 40; {} replay --test-only --rotator {} --secret secret.json",
        binary("fourstep").display(),
        rotator()
    );
    for (name, value, coloured) in [("TERM", "xterm", true), ("NO_COLOR", "1", false)] {
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &asked, "/dev/null"]);
        script.env("TERM", "xterm").env_remove("NO_COLOR").env(name, value);
        let output = script.current_dir(folder.path()).stdin(Stdio::null()).output().await.unwrap();
        let said = text(&output.stdout);
        let (above, cause) = said.split_once("The cause: ").unwrap();
        assert!(above.contains("see the last line"), "{said}");
        // The error and its page, folded, and nothing else.
        assert!(cause.lines().count() <= 6 && cause.contains("What to do: "), "{said}");
        assert_eq!(said.contains("\u{1b}[31m"), coloured, "{said}");
        let plain = said.replace("\u{1b}[31m", "").replace("\u{1b}[0m", "");
        for line in plain.lines().filter(|line| !line.contains('`')) {
            assert!(line.trim_end().chars().count() <= 70, "{line}");
        }
    }
}
