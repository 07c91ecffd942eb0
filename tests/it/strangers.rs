//! Other users of the machine, and web pages: neither reads a secret that a command of `fourstep`
//! has in its local Secrets Manager.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::support::postgres::server;
use crate::support::program::{SecretFile, binary, secret_file};

const SECRET: &str = "canary-of-the-secret";
const ADMIN: &str = "canary-of-the-admin";

/// A function that notes where its Secrets Manager is and by which key it asks there, and then waits.
/// `first`: what it does instead when it is started first.
fn function(folder: &Path, first: &str) -> PathBuf {
    let (path, notes) = (folder.join("function.sh"), folder.join("notes"));
    let notes = notes.display();
    let script = format!(
        "#!/bin/sh\nif [ -e '{notes}' ]; then again=yes; fi\n\
         echo \"$SECRETS_MANAGER_ENDPOINT $AWS_ACCESS_KEY_ID\" >>'{notes}'\n\
         if [ -z \"$again\" ]; then {first}; fi\nexec sleep 60\n"
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A command of `fourstep` that is under way: its function waits.
struct UnderWay {
    _child: Child,
    /// Where each of its functions had its Secrets Manager, and by which key it asks there.
    notes: Vec<(String, String)>,
}

/// Runs `fourstep` with this secret until its function was started that often.
async fn under_way(file: &SecretFile, words: &[&str], first: &str, starts: usize) -> UnderWay {
    let folder = file.path.parent().unwrap();
    let child = Command::new(binary("fourstep"))
        .args(words)
        .arg("--rotator")
        .arg(function(folder, first))
        .arg("--secret")
        .arg(&file.path)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    for _ in 0..300 {
        let text = std::fs::read_to_string(folder.join("notes")).unwrap_or_default();
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let notes: Vec<_> = whole
            .map(|line| line.trim_end().trim_start_matches("http://").split_once(' ').unwrap())
            .map(|(address, key)| (address.to_owned(), key.to_owned()))
            .collect();
        if notes.len() >= starts {
            return UnderWay { _child: child, notes };
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the function was not started");
}

/// The answer to GetSecretValue, asked with this Host and, if there is one, this access key id.
async fn read(address: &str, host: &str, key: Option<&str>, secret: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let signed = key.map(|key| {
        format!(
            "authorization: AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/secretsmanager/\
             aws4_request, SignedHeaders=host, Signature=0\r\n"
        )
    });
    let body = format!("{{\"SecretId\": \"{secret}\"}}");
    let request = format!(
        "POST / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{}\
         x-amz-target: secretsmanager.GetSecretValue\r\ncontent-length: {}\r\n\r\n{body}",
        signed.unwrap_or_default(),
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Whoever does not have the key, or comes by another name, gets nothing; the function does.
async fn is_closed(address: &str, key: &str, secret: &str, value: &str) {
    for other in [None, Some("local"), Some(""), Some(&key[1..])] {
        let answer = read(address, address, other, secret).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{other:?}: {answer}");
        assert!(answer.contains("\"UnrecognizedClientException\""), "{answer}");
        assert!(!answer.contains("canary"), "{answer}");
    }
    for host in ["evil.example", "evil.example:4566", "127.0.0.1.evil.example", ""] {
        let answer = read(address, host, Some(key), secret).await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && !answer.contains("canary"), "{answer}");
    }
    // The search finds it where it is.
    let answer = read(address, address, Some(key), secret).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(value), "{answer}");
}

#[tokio::test]
async fn nobody_but_the_function_reads_the_secrets_of_a_replay_or_a_question() {
    let document = format!("{{\"password\": \"{SECRET}\", \"masterarn\": \"admin\"}}");
    let mut keys = Vec::new();
    for command in ["replay", "inspect", "preflight", "plan"] {
        let file = secret_file(&document);
        let admin = secret_file(&format!("{{\"password\": \"{ADMIN}\"}}"));
        let words = [command, "--admin", admin.path.to_str().unwrap()];
        let under_way = under_way(&file, &words, ":", 1).await;
        let (address, key) = &under_way.notes[0];
        is_closed(address, key, "replay", SECRET).await;
        is_closed(address, key, "admin", ADMIN).await;
        assert!(!keys.contains(key), "each run has a key of its own");
        keys.push(key.clone());
    }
    // A function that asks AWS something as well has a key already.
    let file = secret_file(&document);
    let under_way =
        under_way(&file, &["inspect", "--env", "AWS_ACCESS_KEY_ID=AKIAOWN"], ":", 1).await;
    let (address, key) = &under_way.notes[0];
    assert_eq!(key, "AKIAOWN");
    is_closed(address, key, "replay", SECRET).await;
}

#[tokio::test]
async fn nobody_but_the_function_reads_the_secret_while_it_is_disturbed() {
    let Some(server) = server() else { return };
    let user = server.user_with("watched", "canary-password").await;
    let file = secret_file(&server.document(&user).to_string());
    let real = format!("exec '{}'", binary("rotate-postgres").display());
    let under_way = under_way(&file, &["replay", "--crash", "1"], &real, 2).await;
    let [(looked, key), (proxy, same)] = &under_way.notes[..] else { panic!() };
    assert_ne!(looked, proxy, "the second stands behind the proxies");
    assert_eq!(key, same);
    is_closed(looked, key, "replay", "canary-password").await;
    is_closed(proxy, key, "replay", "canary-password").await;
}

#[tokio::test]
async fn a_web_page_does_not_read_what_is_served_to_any_key() {
    let store = std::sync::Arc::new(fourstep_local::MemoryStore::new());
    let value = Some(SECRET.into());
    let new = fourstep_local::NewSecret { value, ..Default::default() };
    store.create("served", new).unwrap();
    let server =
        fourstep_local::serve::start(([127, 0, 0, 1], 0).into(), store, None).await.unwrap();
    let address = server.address().to_string();
    let port = server.address().port();
    for own in ["127.0.0.1", "localhost", "[::1]", "172.17.0.1", "host.docker.internal"] {
        for host in [own.to_owned(), format!("{own}:{port}")] {
            for key in [None, Some("local")] {
                let answer = read(&address, &host, key, "served").await;
                assert!(answer.contains(SECRET), "{host}: {answer}");
            }
        }
    }
    for foreign in ["evil.example", &format!("evil.example:{port}"), "localhost.evil.example"] {
        let answer = read(&address, foreign, Some("local"), "served").await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && !answer.contains(SECRET), "{answer}");
        assert!(answer.contains("localhost"), "it says what to use instead: {answer}");
    }
    assert_eq!(server.calls()["GetSecretValue"], 23);
}
