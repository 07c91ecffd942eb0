//! The command, run at an address.

use std::process::{Output, Stdio};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::front::CANARY;

/// The command, started.
pub fn started(url: &str, arguments: &[&str]) -> tokio::process::Child {
    tokio::process::Command::new(env!("CARGO_BIN_EXE_fourstep"))
        .args(arguments)
        .env_clear()
        .envs([("AWS_ENDPOINT_URL", url), ("AWS_REGION", "us-east-1")])
        .envs([("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "key")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

pub async fn fourstep(url: &str, arguments: &[&str], input: &str) -> (String, Output) {
    let mut child = started(url, arguments);
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
    ended(child, String::new()).await
}

/// The same, which is answered yes once it has asked this and all has changed meanwhile.
pub async fn answered_late(
    url: &str,
    arguments: &[&str],
    question: &str,
    change: impl FnOnce(),
) -> (String, Output) {
    let mut child = started(url, arguments);
    let (mut said, mut piece) = (Vec::new(), [0; 256]);
    while !String::from_utf8_lossy(&said).contains(question) {
        let length = child.stderr.as_mut().unwrap().read(&mut piece).await.unwrap();
        assert!(length > 0, "{question}: {}", String::from_utf8_lossy(&said));
        said.extend(&piece[..length]);
    }
    change();
    child.stdin.take().unwrap().write_all(b"y\n").await.unwrap();
    ended(child, String::from_utf8_lossy(&said).into_owned()).await
}

pub async fn ended(child: tokio::process::Child, before: String) -> (String, Output) {
    let output = child.wait_with_output().await.unwrap();
    let said =
        [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned());
    let said = before + &said.concat();
    assert!(!said.contains(CANARY), "{said}");
    assert!(said.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{said:?}");
    (said, output)
}
