//! What `fourstep replay` and `fourstep serve` print, on both outputs.

use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use super::Planted;
use crate::support::hostile::echoing_server;
use crate::support::postgres::{Server, server};
use crate::support::program::{SecretFile, binary, secret_file};
use crate::support::stage::FUNCTION;

const LOUD: [&str; 6] = [
    "--env",
    "AWS_LAMBDA_LOG_LEVEL=TRACE",
    "--env",
    "RUST_LOG=trace",
    "--env",
    "ALLOW_WEAK_AUTHENTICATION=true",
];

/// A secret of a user of its own, with a canary in every value.
async fn planted_document(server: &Server) -> (Planted, Value) {
    let mut planted = Planted::default();
    let user = server.user_with("shown", &planted.new_one("the first password")).await;
    let mut document = server.document(&user);
    document["note"] = json!(planted.new_one("another field"));
    (planted, document)
}

/// Replays a secret; all that was printed.
async fn replay(file: &SecretFile, arguments: &[&str]) -> (Output, String) {
    let rotator = binary("rotate-postgres");
    let output = Command::new(binary("fourstep"))
        .args(["replay", "--rotator", rotator.to_str().unwrap(), "--secret"])
        .arg(&file.path)
        .args(LOUD)
        .args(arguments)
        .env("RUST_LOG", "trace")
        .output()
        .await
        .unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let printed = format!("{out}\n{err}");
    (output, printed)
}

/// Whatever the secret file and its journal hold by now.
fn plant_files(planted: &mut Planted, file: &SecretFile) {
    let mut journal = file.path.clone().into_os_string();
    journal.push(".journal");
    let journal = std::fs::read_to_string(journal).unwrap_or_default();
    let journal = journal.lines().filter_map(|line| serde_json::from_str::<String>(line).ok());
    for text in journal.chain(std::fs::read_to_string(&file.path)) {
        let document = serde_json::from_str::<Value>(&text).unwrap_or_default();
        planted.add("the whole secret", text.trim());
        if let Some(password) = document["password"].as_str() {
            planted.add("a password", password);
        }
    }
}

#[tokio::test]
async fn rule_12_replay_prints_no_value_as_a_table_or_as_json() {
    let Some(server) = server() else { return };
    let wrong = json!("canary-that-never-was-right");
    let echoing = json!(echoing_server().await);
    for (field, value, succeeds) in [
        ("dbname", json!("postgres"), true),
        // The file's own password is looked for, whatever it is.
        ("password", wrong, false),
        ("port", echoing, false),
        ("ssl", json!(true), false),
        ("host", json!(null), false),
    ] {
        for arguments in [&["--rotations", "2"][..], &["--json", "--rotations", "2"]] {
            let (mut planted, mut document) = planted_document(&server).await;
            document[field] = value.clone();
            let file = secret_file(&document.to_string());
            plant_files(&mut planted, &file);
            let (output, printed) = replay(&file, arguments).await;
            assert_eq!(output.status.success(), succeeds, "{field}: {printed}");
            plant_files(&mut planted, &file);
            planted.assert_absent(&format!("replay {arguments:?} with {field}"), &printed);
        }
    }
    // A file that holds no JSON, and one that is resumed after half a rotation.
    let mut planted = Planted::default();
    let file = secret_file(&format!("{{\"password\": {}", planted.new_one("the text")));
    let (_, printed) = replay(&file, &[]).await;
    planted.assert_absent("replay of a text", &printed);
    let (mut planted, document) = planted_document(&server).await;
    let file = secret_file(&document.to_string());
    for arguments in [&["--step", "createSecret", "--step", "setSecret"][..], &["--json"]] {
        let (_, printed) = replay(&file, arguments).await;
        plant_files(&mut planted, &file);
        planted.assert_absent("half a replay", &printed);
    }
}

/// A running `fourstep serve`, and what it has printed so far.
struct Serving {
    child: Child,
    out: BufReader<ChildStdout>,
    err: BufReader<ChildStderr>,
    address: String,
    printed: String,
}

impl Serving {
    async fn start() -> Self {
        let rotator = binary("rotate-postgres");
        let mut child = Command::new(binary("fourstep"))
            .args(["serve", "--listen", "127.0.0.1:0", "--rotator", rotator.to_str().unwrap()])
            .args(LOUD)
            .env("RUST_LOG", "trace")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let err = BufReader::new(child.stderr.take().unwrap());
        let mut printed = String::new();
        out.read_line(&mut printed).await.unwrap();
        let address = printed.split("http://").nth(1).unwrap();
        let address = address.trim_end().trim_end_matches(". Its secrets are in memory only.");
        Self { child, out, err, address: address.to_owned(), printed }
    }

    /// One request; its body.
    async fn call(&self, operation: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let request = format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             x-amz-target: secretsmanager.{operation}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// Begins a rotation and waits until its end, or its first failure, is reported.
    async fn rotate(&mut self) {
        let rotate = json!({"SecretId": "s", "RotationLambdaARN": FUNCTION,
            "ClientRequestToken": uuid::Uuid::new_v4().to_string()});
        self.call("RotateSecret", &rotate.to_string()).await;
        while !["finishSecret:", "failed:"].iter().any(|end| self.printed.contains(end)) {
            assert!(self.err.read_line(&mut self.printed).await.unwrap() > 0, "it ended");
        }
    }

    /// Ends it; all that it printed.
    async fn end(mut self) -> String {
        self.child.start_kill().unwrap();
        self.out.read_to_string(&mut self.printed).await.unwrap();
        self.err.read_to_string(&mut self.printed).await.unwrap();
        self.printed
    }
}

#[tokio::test]
async fn rule_12_serve_prints_and_answers_errors_without_a_value() {
    let Some(server) = server() else { return };
    for wrong in [false, true] {
        let (mut planted, mut document) = planted_document(&server).await;
        let mut serving = Serving::start().await;
        if wrong {
            document["password"] = json!(planted.new_one("the wrong password"));
        }
        let text = document.to_string();
        planted.add("the whole secret", &text);
        let create = json!({"Name": "s", "SecretString": text}).to_string();
        serving.call("CreateSecret", &create).await;
        // Refused, and answered without a quote.
        for body in
            [create.as_str(), &create[..create.len() - 1], &create.replace("\"Name\"", "\"N\"")]
        {
            let answer = serving.call("CreateSecret", body).await;
            assert!(answer.contains("__type"), "{answer}");
            planted.assert_absent("an answer", &answer);
        }
        serving.rotate().await;
        let now = serving.call("GetSecretValue", r#"{"SecretId": "s"}"#).await;
        // A read answers with the value: so the search finds it where it is.
        let now: Value = serde_json::from_str(&now).unwrap();
        let stored = now["SecretString"].as_str().unwrap();
        planted.add("the secret that is current now", stored);
        assert!(!planted.found_in(&now.to_string()).is_empty());
        let printed = serving.end().await;
        let reported = if wrong { "setSecret: failed: Rejected" } else { "finishSecret: moved" };
        assert!(printed.contains(reported), "{printed}");
        planted.assert_absent("serve", &printed);
    }
}
