//! Rotations that `fourstep serve` begins without being asked: those that are due, and those that an earlier
//! process did not bring to an end.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::serving::{Serving, unreachable};
use crate::support::postgres::server;
use crate::support::program::binary;
use crate::support::stage::FUNCTION;

/// Makes everything that a store's file knows older.
fn age(store: &Path, days: u64) {
    fn older(value: &mut Value, days: u64) {
        let times = ["created", "last_changed", "last_rotated", "scheduled"];
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value.as_u64() {
                        Some(time) if times.contains(&name.as_str()) => {
                            *value = json!(time - days * 24 * 60 * 60 * 1000);
                        }
                        _ => older(value, days),
                    }
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| older(value, days)),
            _ => {}
        }
    }
    let mut saved: Value = serde_json::from_str(&fs::read_to_string(store).unwrap()).unwrap();
    older(&mut saved, days);
    fs::write(store, saved.to_string()).unwrap();
}

/// Sets a schedule. Without a rotator it is not tested, and the version of the test is taken away.
async fn schedule(serving: &Serving, secret: &str, rules: Value) {
    let rotate = json!({"SecretId": secret, "RotationLambdaARN": FUNCTION, "RotationRules": rules,
        "RotateImmediately": false, "ClientRequestToken": "t".repeat(32)});
    serving.ok("RotateSecret", rotate).await;
}

/// Secrets with these schedules, in a store that is so many days old.
async fn aged(secrets: &[(&str, Value)], document: &str, days: u64) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("fourstep.store");
    let name = store.to_str().unwrap().to_owned();
    let serving = Serving::start(&["--store", &name]).await;
    for (secret, rules) in secrets {
        serving.ok("CreateSecret", json!({"Name": secret, "SecretString": document})).await;
        schedule(&serving, secret, rules.clone()).await;
    }
    serving.kill().await;
    age(&store, days);
    (folder, name)
}

#[tokio::test]
async fn what_is_due_is_begun_and_nothing_else() {
    let rotator = binary("rotate-postgres");
    let rotator = rotator.to_str().unwrap();
    let document = unreachable().to_string();
    let secrets = [
        ("days", json!({"AutomaticallyAfterDays": 30})),
        ("rate", json!({"ScheduleExpression": "rate(12 hours)"})),
        ("cron", json!({"ScheduleExpression": "cron(0 3 * * ? *)", "Duration": "3h"})),
        ("later", json!({"AutomaticallyAfterDays": 90})),
    ];
    let (_folder, store) = aged(&secrets, &document, 40).await;
    // Nobody plays rotations here.
    let serving = Serving::start(&["--store", &store]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!serving.err().contains("due by"), "{}", serving.err());
    serving.kill().await;
    let serving = Serving::start(&["--store", &store, "--rotator", rotator]).await;
    for name in ["days", "rate", "cron"] {
        serving.says("setSecret: failed: Unreachable").await;
        let described = serving.ok("DescribeSecret", json!({"SecretId": name})).await;
        let stages = described["VersionIdsToStages"].as_object().unwrap();
        let pending = stages.iter().find(|(_, on)| **on == json!(["AWSPENDING"])).unwrap().0;
        let said = serving.says(&format!("{name} {pending}: due by its schedule")).await;
        serving.says(&format!("{name} {pending} createSecret: stored")).await;
        assert_eq!(said.matches(&format!("{name} {pending}: due")).count(), 1, "{said}");
    }
    let described = serving.ok("DescribeSecret", json!({"SecretId": "later"})).await;
    assert_eq!(described["VersionIdsToStages"].as_object().unwrap().len(), 1);
    assert!(!serving.err().lines().any(|line| line.starts_with("later ")), "{}", serving.err());
    // What did not come to an end is in the way of the next, and is played again by the next process.
    let before = serving.err().matches("due by its schedule").count();
    serving.kill().await;
    let serving = Serving::start(&["--store", &store, "--rotator", rotator]).await;
    serving.says("playing 3 rotations again").await;
    serving.says("setSecret: failed: Unreachable").await;
    assert_eq!((before, serving.err().matches("due by").count()), (3, 0), "{}", serving.err());
}

/// As the runbook has it: the answer is an error, and the retry has begun.
#[tokio::test]
async fn rotate_secret_plays_a_rotation_again_that_did_not_come_to_an_end() {
    let rotator = binary("rotate-postgres");
    let serving = Serving::start(&["--rotator", rotator.to_str().unwrap()]).await;
    let document = unreachable().to_string();
    serving.ok("CreateSecret", json!({"Name": "app/db", "SecretString": document})).await;
    let rotate = json!({"SecretId": "app/db", "RotationLambdaARN": FUNCTION, "ClientRequestToken": "t".repeat(32)});
    serving.ok("RotateSecret", rotate.clone()).await;
    serving.says("gave up after 3 tries").await;
    let again = json!({"SecretId": "app/db", "ClientRequestToken": "u".repeat(32)});
    let reply = serving.asked("RotateSecret", &again).await.unwrap();
    assert_eq!(reply.status, 400);
    assert!(reply.body.contains("will be reattempted"), "{}", reply.body);
    for _ in 0..150 {
        if serving.err().matches("setSecret: failed").count() > 3 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it was not played again: {}", serving.err());
}

#[tokio::test]
async fn a_rotation_that_is_due_changes_the_password_and_the_date_of_the_next() {
    let Some(server) = server() else { return };
    let user = server.user("due").await;
    let document = server.document(&user).to_string();
    let secrets = [("app/db", json!({"ScheduleExpression": "rate(10 days)"}))];
    let (_folder, store) = aged(&secrets, &document, 11).await;
    let rotator = binary("rotate-postgres");
    let given = ["--store", &store, "--rotator", rotator.to_str().unwrap()];
    let serving = Serving::start(&given).await;
    serving.says("finishSecret: moved AWSCURRENT").await;
    let read = serving.ok("GetSecretValue", json!({"SecretId": "app/db"})).await;
    let current: Value = serde_json::from_str(read["SecretString"].as_str().unwrap()).unwrap();
    assert!(server.logs_in(&user.name, current["password"].as_str().unwrap()).await);
    assert!(!server.logs_in(&user.name, &user.password).await);
    let next = |described: &Value| described["NextRotationDate"].as_f64().unwrap();
    let described = serving.ok("DescribeSecret", json!({"SecretId": "app/db"})).await;
    let rotated = described["LastRotatedDate"].as_f64().unwrap();
    assert!(next(&described) > rotated + 9.0 * 24.0 * 3600.0, "{described}");
    // And what was made is what the next process has.
    serving.kill().await;
    let again = Serving::start(&given).await;
    assert_eq!(again.ok("GetSecretValue", json!({"SecretId": "app/db"})).await, read);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!again.err().contains("due by"), "{}", again.err());
}
