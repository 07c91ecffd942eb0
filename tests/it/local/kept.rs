//! Secrets of `fourstep serve` that outlive it: in its store's file, and those that files bring.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::serving::{Serving, refused};

const CANARY: &str = "canary-value";

/// A folder, and a store's file in it that is not there yet.
fn place() -> (tempfile::TempDir, PathBuf, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fourstep.store");
    let name = path.to_str().unwrap().to_owned();
    (folder, path, name)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn what_a_store_keeps_is_there_after_its_process_was_killed() {
    let (_folder, path, store) = place();
    let serving = Serving::start(&["--store", &store]).await;
    assert!(serving.out().contains("fourstep.store, in plain text"), "{}", serving.out());
    let new = json!({"Name": "app/db", "SecretString": CANARY, "Description": "orders", "KmsKeyId": "alias/a",
        "Tags": [{"Key": "team", "Value": "blue"}]});
    serving.ok("CreateSecret", new).await;
    serving.ok("CreateSecret", json!({"Name": "app/bytes", "SecretBinary": "AJ+Slg=="})).await;
    serving.ok("CreateSecret", json!({"Name": "app/old", "SecretString": "x"})).await;
    serving.ok("DeleteSecret", json!({"SecretId": "app/old"})).await;
    let rotate = json!({"SecretId": "app/db", "ClientRequestToken": "t".repeat(32),
        "RotationLambdaARN": "arn:aws:lambda:us-east-1:000000000000:function:f",
        "RotationRules": {"ScheduleExpression": "rate(10 days)", "Duration": "3h"}});
    serving.ok("RotateSecret", rotate).await;
    let label = json!({"SecretId": "app/db", "SecretString": "two", "VersionStages": ["mine"],
        "ClientRequestToken": "u".repeat(32)});
    serving.ok("PutSecretValue", label).await;
    let asked = [
        ("GetSecretValue", json!({"SecretId": "app/db"})),
        ("GetSecretValue", json!({"SecretId": "app/db", "VersionStage": "mine"})),
        ("GetSecretValue", json!({"SecretId": "app/bytes"})),
        ("ListSecretVersionIds", json!({"SecretId": "app/db", "IncludeDeprecated": true})),
        ("DescribeSecret", json!({"SecretId": "app/db"})),
        ("DescribeSecret", json!({"SecretId": "app/old"})),
        ("ListSecrets", json!({"IncludePlannedDeletion": true})),
    ];
    let mut before = Vec::new();
    for (operation, body) in &asked {
        before.push(serving.ok(operation, body.clone()).await);
    }
    serving.kill().await;
    assert_eq!(mode(&path), 0o600);
    let again = Serving::start(&["--store", &store]).await;
    again.says("has 3 secrets").await;
    for ((operation, body), before) in asked.iter().zip(before) {
        assert_eq!(again.ok(operation, body.clone()).await, before, "{operation} {body}");
    }
}

#[tokio::test]
async fn two_serves_do_not_share_a_store() {
    let (_folder, _, store) = place();
    let first = Serving::start(&["--store", &store]).await;
    first.ok("CreateSecret", json!({"Name": "app/db", "SecretString": "one"})).await;
    let said = refused(&["--store", &store]).await;
    assert!(said.contains("another `fourstep serve` uses it"), "{said}");
    first.ok("PutSecretValue", json!({"SecretId": "app/db", "SecretString": "two", "ClientRequestToken": "t".repeat(32)})).await;
    first.kill().await;
    let second = Serving::start(&["--store", &store]).await;
    let read = second.ok("GetSecretValue", json!({"SecretId": "app/db"})).await;
    assert_eq!(read["SecretString"], "two");
}

#[tokio::test]
async fn a_store_that_others_may_read_or_that_is_broken_is_refused_and_left_alone() {
    let (folder, path, store) = place();
    let serving = Serving::start(&["--store", &store]).await;
    serving.ok("CreateSecret", json!({"Name": "app/db", "SecretString": CANARY})).await;
    serving.kill().await;
    let sound = fs::read_to_string(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let said = refused(&["--store", &store]).await;
    assert!(said.contains("0640") && said.contains(&format!("chmod 600 {store}")), "{said}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(refused(&["--store", link.to_str().unwrap()]).await.contains("symbolic link"));
    let at = sound.lines().position(|line| line.contains(CANARY)).unwrap() + 1;
    let unquoted = sound.replace(&format!("\"{CANARY}\""), CANARY);
    let number = sound.replace("\"text\": \"", "\"text\": 7, \"canary\": \"");
    for (broken, line) in [(unquoted, at), (number, at), (sound[..sound.len() / 2].to_owned(), 0)] {
        fs::write(&path, &broken).unwrap();
        let said = refused(&["--store", &store]).await;
        let place = if line > 0 { format!("line {line}, column ") } else { ", column ".to_owned() };
        assert!(said.contains(&place) && !said.contains("canary"), "{said}");
        assert_eq!(fs::read_to_string(&path).unwrap(), broken, "it was changed");
    }
}

/// Values that grow, on secrets of their own, until the process is gone; the last that was answered.
async fn write(serving: Arc<Serving>, secret: u64, last: Arc<AtomicU64>) {
    loop {
        let value = last.load(Ordering::SeqCst) + 1;
        let put = json!({"SecretId": format!("app/{secret}"), "SecretString": value.to_string(),
            "ClientRequestToken": format!("{value:0>32}")});
        match serving.asked("PutSecretValue", &put).await {
            Some(reply) if reply.status == 200 => last.store(value, Ordering::SeqCst),
            _ => return,
        }
    }
}

#[tokio::test]
async fn a_kill_among_many_writes_loses_nothing_that_was_answered() {
    const WRITERS: u64 = 4;
    let (_folder, path, store) = place();
    let lasts: Vec<_> = (0..WRITERS).map(|_| Arc::new(AtomicU64::new(1))).collect();
    let serving = Serving::start(&["--store", &store]).await;
    for secret in 0..WRITERS {
        let new = json!({"Name": format!("app/{secret}"), "SecretString": "1"});
        serving.ok("CreateSecret", new).await;
    }
    serving.kill().await;
    for round in 0..5 {
        let serving = Arc::new(Serving::start(&["--store", &store]).await);
        let writers: Vec<_> = (0..WRITERS)
            .map(|secret| {
                let last = Arc::clone(&lasts[usize::try_from(secret).unwrap()]);
                tokio::spawn(write(Arc::clone(&serving), secret, last))
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(400 + 37 * round)).await;
        let id = serving.child.id().unwrap().to_string();
        let killed = tokio::process::Command::new("kill").args(["-9", &id]).status().await.unwrap();
        assert!(killed.success());
        for writer in writers {
            writer.await.unwrap();
        }
        drop(serving);
        assert_eq!(mode(&path), 0o600);
        // The lock is free once the process is gone.
        let again = Serving::start(&["--store", &store]).await;
        assert!(!path.with_extension("store.new").exists(), "half a file stays");
        for (secret, last) in lasts.iter().enumerate() {
            let read =
                again.ok("GetSecretValue", json!({"SecretId": format!("app/{secret}")})).await;
            let stored: u64 = read["SecretString"].as_str().unwrap().parse().unwrap();
            let answered = last.load(Ordering::SeqCst);
            // One more may have been written and not answered.
            assert!((answered..=answered + 1).contains(&stored), "{stored}, answered {answered}");
            last.store(stored, Ordering::SeqCst);
        }
        again.kill().await;
    }
    let all: u64 = lasts.iter().map(|last| last.load(Ordering::SeqCst)).sum();
    assert!(all > 20, "only {all} writes");
}

#[tokio::test]
async fn a_change_that_cannot_be_written_is_answered_so_and_written_with_the_next() {
    let (_folder, path, store) = place();
    let serving = Serving::start(&["--store", &store]).await;
    // Nothing can be written in its place, whoever tries.
    let next = path.with_extension("store.new");
    fs::create_dir(&next).unwrap();
    let reply = serving.asked("CreateSecret", &json!({"Name": "a", "SecretString": CANARY})).await;
    let reply = reply.unwrap();
    assert_eq!(reply.status, 500, "{}", reply.body);
    let said = reply.json()["Message"].as_str().unwrap().to_owned();
    assert!(said.contains("in memory only") && said.contains("fourstep.store"), "{said}");
    assert!(!said.contains(CANARY));
    fs::remove_dir(&next).unwrap();
    serving.ok("CreateSecret", json!({"Name": "b", "SecretString": "x"})).await;
    serving.kill().await;
    let again = Serving::start(&["--store", &store]).await;
    assert_eq!(again.ok("GetSecretValue", json!({"SecretId": "a"})).await["SecretString"], CANARY);
}

#[tokio::test]
async fn a_secret_of_a_file_is_there_from_the_start_unless_the_store_has_it() {
    let (folder, _, store) = place();
    let (text, bytes) = (folder.path().join("a.json"), folder.path().join("b.bin"));
    fs::write(&text, format!("{CANARY}\n")).unwrap();
    fs::write(&bytes, [0, 159, 146, 150]).unwrap();
    let (text, bytes) = (text.to_str().unwrap(), bytes.to_str().unwrap());
    let (secret, binary) = (format!("app/db={text}"), format!("app/bytes={bytes}"));
    let given = ["--secret", &secret, "--binary", &binary, "--store", &store];
    let serving = Serving::start(&given).await;
    let read = serving.ok("GetSecretValue", json!({"SecretId": "app/db"})).await;
    assert_eq!(read["SecretString"], CANARY);
    let arn = read["ARN"].clone();
    let read = serving.ok("GetSecretValue", json!({"SecretId": "app/bytes"})).await;
    assert_eq!(read["SecretBinary"], "AJ+Slg==");
    let put =
        json!({"SecretId": "app/db", "SecretString": "two", "ClientRequestToken": "t".repeat(32)});
    serving.ok("PutSecretValue", put).await;
    serving.kill().await;
    let again = Serving::start(&given).await;
    again.says("app/db is there already").await;
    let read = again.ok("GetSecretValue", json!({"SecretId": "app/db"})).await;
    assert_eq!(read["SecretString"], "two");
    assert!(!again.err().contains(CANARY) && !again.out().contains(CANARY));
    // Marks at a target name the ARN: without a store it is the same every time, too.
    let without = Serving::start(&["--secret", &secret]).await;
    let read: Value = without.ok("GetSecretValue", json!({"SecretId": "app/db"})).await;
    assert_eq!((&read["ARN"], &read["SecretString"]), (&arn, &json!(CANARY)));
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_named_without_its_value() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        format!("app/db={}", path.display())
    };
    let bytes = file("bytes", b"canary\xff");
    let empty = file("empty", b"\n");
    let long = file("long", "canary".repeat(11_000).as_bytes());
    for (given, what) in [
        (bytes.as_str(), "add --binary"),
        (&empty, "the file is empty"),
        (&long, "65536 bytes"),
        ("app/db=nowhere.json", "there is no file nowhere.json"),
        ("canary", "takes NAME=FILE"),
        ("{\"password\": \"canary\"}", "this is a value"),
        ("app/db={\"password\": \"canary\"}", "this is a value"),
        ("a canary=secret.json", "takes NAME=FILE"),
    ] {
        let said = refused(&["--secret", given]).await;
        assert!(said.contains(what), "{given}: {said}");
        assert!(!said.contains("canary"), "{given}: {said}");
    }
}
