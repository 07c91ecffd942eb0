//! docs/serve.md, and what docs/operate.md says of a stuck rotation, played at `fourstep serve`.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::blocks::typed;
use super::commands::Reader;
use crate::support::postgres::server;
use crate::support::skip;

const COMMANDS: &str = "tests/it/documents/commands.rs";

/// The pages' commands are for version 2 of the AWS CLI; version 1 has no such flag, as the page says.
async fn for_this_cli(block: &str) -> String {
    let aws = std::env::var("FOURSTEP_TEST_AWS").unwrap();
    let output = Command::new(aws).arg("--version").output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    match String::from_utf8_lossy(&said).contains("aws-cli/1.") {
        true => block.replace("--cli-binary-format raw-in-base64-out ", ""),
        false => block.to_owned(),
    }
}

/// What the page's first command starts, on any free port, and where it is.
async fn started(reader: &Reader, command: &str, tag: &str) -> (Child, String) {
    let command = reader.own(command, tag);
    let mut words = command.split_whitespace();
    let mut service = Command::new(reader.folder.path().join(words.next().unwrap()))
        .args(words)
        .args(["--listen", "127.0.0.1:0", "--json"])
        .current_dir(reader.folder.path())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(service.stdout.take().unwrap()).read_line(&mut line).await.unwrap();
    let listening: Value = serde_json::from_str(&line).unwrap();
    (service, listening["url"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_page_of_serve_can_be_followed() {
    let Some(server) = server() else { return };
    if std::env::var_os("FOURSTEP_TEST_AWS").is_none() {
        return skip("FOURSTEP_TEST_AWS");
    }
    let replay = typed(COMMANDS, "docs/replay.md");
    let [arrange, ..] = &replay[..] else { panic!("other blocks") };
    let [serve, ask, keep, invoke, preflight] = &typed(file!(), "docs/serve.md")[..] else {
        panic!("other blocks")
    };
    let reader = Reader::new(server);
    reader.types(arrange, "serve").await;
    // The file as the page before has it.
    let secret = replay[1].split_once("target/debug").unwrap().0;
    reader.types(secret, "serve").await;
    let (mut service, url) = started(&reader, serve, "serve").await;
    // Each block is a shell of its own here; a reader's keeps its variables.
    let of_service = |block: &str| block.replace("http://127.0.0.1:4566", &url);
    let (variables, _) = ask.split_once("aws secretsmanager").unwrap();
    let before = reader.secret();
    // A reader waits two seconds; a busy machine may need more.
    let ask = ask.replace("sleep 2", "until aws secretsmanager describe-secret --secret-id app/db --query VersionIdsToStages | grep -q AWSPREVIOUS; do sleep 1; done");
    let said = reader.types(&of_service(&ask), "serve").await;
    assert!(said.contains("AWSPREVIOUS"), "{said}");
    let preflight = of_service(preflight);
    let said = reader.types(&preflight, "serve").await;
    assert!(said.contains("A rotation would succeed."), "{said}");
    let invoke = for_this_cli(&format!("{variables}{invoke}")).await;
    let said = reader.types(&of_service(&invoke), "serve").await;
    assert!(said.contains("\"verdict\":\"accepted\"") && said.contains("AWSCURRENT"), "{said}");
    reader.types(&of_service(&format!("{variables}{keep}")), "serve").await;
    let kept = reader.secret();
    assert_ne!(kept, before);
    // What it kept is there for the next process, and the file is not read again.
    service.kill().await.unwrap();
    std::fs::write(reader.folder.path().join("secret.json"), before).unwrap();
    let (_service, second) = started(&reader, serve, "serve").await;
    let said = reader.types(&preflight.replace(&url, &second), "serve").await;
    assert!(said.contains("A rotation would succeed."), "{said}");
}

/// What the CLI wrote of an inspection: the verdicts of AWSCURRENT and AWSPENDING, and every row.
fn verdicts(said: &str) -> (Option<String>, Option<String>, Vec<Value>) {
    let answer = said.lines().find(|line| line.contains("\"versions\"")).unwrap_or_default();
    // The CLI's own answer may follow on the same line.
    let mut answers = serde_json::Deserializer::from_str(answer).into_iter::<Value>();
    let answer = answers.next().unwrap().unwrap();
    let rows = answer["versions"].as_array().unwrap().clone();
    let verdict = |label: &str| {
        let mut all = rows.iter();
        let row = all.find(|row| row["labels"].as_array().unwrap().contains(&json!(label)));
        row.map(|row| row["verdict"].as_str().unwrap().to_owned())
    };
    (verdict("AWSCURRENT"), verdict("AWSPENDING"), rows.clone())
}

/// The table of docs/operate.md: inspect first, and what is right for two of its rows.
#[tokio::test]
async fn a_stuck_rotation_is_practised_by_lambda_invoke_as_the_runbook_has_it() {
    let Some(server) = server() else { return };
    if std::env::var_os("FOURSTEP_TEST_AWS").is_none() {
        return skip("FOURSTEP_TEST_AWS");
    }
    let [inspect] = &typed(file!(), "docs/operate.md")[..] else { panic!("other blocks") };
    let discard = typed(COMMANDS, "docs/operate.md").remove(0);
    let user = server.user("practised").await;
    let document = server.document(&user);
    let reader = Reader::new(server);
    let folder = reader.folder.path();
    std::fs::write(folder.join("secret.json"), document.to_string()).unwrap();
    let serve = "target/debug/fourstep serve --rotator target/debug/rotate-postgres --secret app/db=secret.json";
    let (_service, url) = started(&reader, serve, "stuck").await;
    let set = format!(
        "export AWS_ENDPOINT_URL={url} AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local\n\
         export AWS_DEFAULT_REGION=us-east-1 function=rotate-postgres\n"
    );
    let types = async |block: &str| reader.types(&format!("{set}{block}"), "stuck").await;
    let inspects = async || verdicts(&types(&for_this_cli(inspect).await).await);
    let accepted = Some("accepted".to_owned());
    types(&format!(
        "aws secretsmanager rotate-secret --secret-id app/db --no-rotate-immediately \
         --rotation-lambda-arn {}",
        crate::support::stage::FUNCTION
    ))
    .await;
    let settled = async |current: &Option<String>| {
        for _ in 0..100 {
            let (now, pending, _) = inspects().await;
            if pending.is_none() && now == *current {
                return;
            }
        }
        panic!("the rotation does not end");
    };
    settled(&accepted).await;

    // AWSCURRENT rejected, AWSPENDING accepted: the password was set, and nothing was promoted.
    let put = |name: &str, password: &str| {
        let mut pending = document.clone();
        pending["password"] = json!(password);
        std::fs::write(folder.join(name), pending.to_string()).unwrap();
        format!(
            "aws secretsmanager put-secret-value --secret-id app/db --secret-string file://{name} \
             --version-stages AWSPENDING --client-request-token {}",
            uuid::Uuid::new_v4()
        )
    };
    types(&put("pending.json", "the-pending-password")).await;
    reader
        .server
        .arrange_quietly(&format!("ALTER ROLE \"{}\" PASSWORD 'the-pending-password'", user.name))
        .await;
    let (current, pending, _) = inspects().await;
    assert_eq!((current.as_deref(), pending), (Some("rejected"), accepted.clone()));
    let retry = "aws secretsmanager rotate-secret --secret-id app/db";
    let said = types(&format!("! {retry} 2>&1")).await;
    assert!(said.contains("will be reattempted"), "{said}");
    settled(&accepted).await;
    assert!(reader.server.logs_in(&user.name, "the-pending-password").await);

    // AWSCURRENT accepted: nothing was changed, and what is pending is discarded.
    types(&put("pending.json", "never-set")).await;
    let (current, pending, rows) = inspects().await;
    assert_eq!((current, pending.as_deref()), (accepted.clone(), Some("rejected")));
    let row = rows.iter().find(|row| row["labels"] == json!(["AWSPENDING"])).unwrap();
    types(&discard.replace("PENDING_VERSION", row["version"].as_str().unwrap())).await;
    settled(&accepted).await;
    assert!(!reader.server.logs_in(&user.name, "the-pending-password").await, "it did not rotate");
}
