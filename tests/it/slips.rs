//! Slips of the command line: each message says what was given, and what to type instead.

use std::path::Path;
use std::process::Output;

use tokio::process::Command;

use crate::support::program::binary;

const SECRET: &str = r#"{"engine": "postgres", "host": "localhost", "port": 1, "username": "app",
    "password": "canary-of-the-slips"}"#;

/// The error of a command that could not run. It says no password.
fn refused(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(!said.contains("canary-of-the-slips"), "{said}");
    said
}

async fn fourstep_in(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(binary("fourstep")).args(arguments).current_dir(folder).output().await.unwrap()
}

async fn preflight(folder: &Path, rotator: &str, secret: &str) -> Output {
    fourstep_in(folder, &["preflight", "--rotator", rotator, "--secret", secret]).await
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret.json"), SECRET).unwrap();
    folder
}

/// As everything else that is named on the command line.
#[tokio::test]
async fn a_bare_name_is_a_file_of_this_folder() {
    let folder = folder();
    std::os::unix::fs::symlink(binary("rotate-postgres"), folder.path().join("rotate")).unwrap();
    let output = preflight(folder.path(), "rotate", "secret.json").await;
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("A rotation would fail"), "{output:?}");
}

#[tokio::test]
async fn a_rotator_that_is_no_program_is_named_with_its_flag() {
    let folder = folder();
    for (rotator, what) in [
        (".", "this is a folder; name the program in it"),
        ("secret.json", "this file is no program"),
        ("rotate-nothing", "there is no such file; `cargo build --workspace` makes"),
        ("target/rotate-postgres", "there is no such file; `cargo build --workspace` makes"),
    ] {
        let said = refused(&preflight(folder.path(), rotator, "secret.json").await);
        let named = format!("fourstep: --rotator: {rotator}: {what}");
        assert!(said.contains(&named), "{said}");
    }
}

#[tokio::test]
async fn what_is_no_file_of_a_secret_is_said_with_the_way_to_one() {
    let folder = folder();
    let rotator = binary("rotate-postgres");
    let rotator = rotator.to_str().unwrap();
    for (secret, what) in [
        ("app/db", "there is no file app/db. If that is a secret in AWS"),
        ("nope.json", "--query SecretString --output text >secret.json)"),
        (SECRET, "takes the name of a file, and this is a value"),
    ] {
        let said = refused(&preflight(folder.path(), rotator, secret).await);
        assert!(said.contains("--secret") && said.contains(what), "{said}");
    }
    let with_admin = SECRET.replace("\"port\"", "\"masterarn\": \"admin\", \"port\"");
    std::fs::write(folder.path().join("pair.json"), with_admin).unwrap();
    let arguments =
        ["preflight", "--rotator", rotator, "--secret", "pair.json", "--admin", "nope.json"];
    let said = refused(&fourstep_in(folder.path(), &arguments).await);
    assert!(said.contains("--admin: there is no file nope.json"), "{said}");
}

#[tokio::test]
async fn a_misspelt_word_is_answered_with_the_one_that_is_meant() {
    let folder = folder();
    for (arguments, meant) in [
        (&["relay"][..], "'replay'"),
        (&["replay", "--rotater", "x"], "'--rotator'"),
        (&["serve", "--lisen", "x"], "'--listen'"),
    ] {
        let said = refused(&fourstep_in(folder.path(), arguments).await);
        assert!(said.contains("similar") && said.contains(meant), "{said}");
        // Behind `--` it would go to `sam`.
        assert!(!said.contains("as a value"), "{said}");
    }
}

/// A wrong path must not put a live key on the terminal.
#[tokio::test]
async fn spec_check_of_another_file_shows_no_line_of_it() {
    let folder = folder();
    let settings = "PASSWORD = \"canary-of-the-slips\"\nname = 7\n";
    std::fs::write(folder.path().join("settings.toml"), settings).unwrap();
    for file in ["secret.json", "settings.toml"] {
        let output = fourstep_in(folder.path(), &["spec", "check", file]).await;
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{shown}");
        assert!(shown.contains("this is no specification"), "{shown}");
        assert!(!shown.contains("canary") && !shown.contains("engine"), "{shown}");
    }
}

#[tokio::test]
async fn a_shipped_specification_is_found_by_its_name() {
    let folder = folder();
    let listed = fourstep_in(folder.path(), &["spec", "list"]).await;
    let listed = String::from_utf8(listed.stdout).unwrap();
    for (name, text) in rotate_api::SHIPPED {
        assert!(listed.lines().any(|line| line.starts_with(name)), "{listed}");
        let shown = fourstep_in(folder.path(), &["spec", "show", name]).await;
        assert_eq!(String::from_utf8(shown.stdout).unwrap(), text);
    }
    let said = refused(&fourstep_in(folder.path(), &["spec", "show", "sendgird"]).await);
    assert!(said.contains("there are azure-ai-search, "), "{said}");

    let rotator = binary("rotate-api");
    let asked = ["preflight", "--rotator", rotator.to_str().unwrap(), "--secret", "secret.json"];
    let asked = [&asked[..], &["--env", "ROTATION_SPEC=sendgird"]].concat();
    let output = fourstep_in(folder.path(), &asked).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("shipped are azure-ai-search, "), "{said}");

    let okta = fourstep_in(folder.path(), &["spec", "show", "okta-client-secret"]).await.stdout;
    std::fs::write(folder.path().join("okta.toml"), okta).unwrap();
    let output = fourstep_in(folder.path(), &["spec", "check", "okta.toml"]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains("base_url is a placeholder"), "{said}");
    let json = fourstep_in(folder.path(), &["spec", "check", "okta.toml", "--json"]).await.stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!((&json["ok"], &json["complaints"]), (&true.into(), &serde_json::json!([])));
    let json = fourstep_in(folder.path(), &["spec", "check", "secret.json", "--json"]).await;
    assert_eq!(json.status.code(), Some(1));
    assert!(!format!("{json:?}").contains("canary-of-the-slips"));
}
