//! What `fourstep plan` says of a vendor's keys, and what the rotation behind it does.

use std::collections::BTreeSet;

use fourstep_testing::Double;
use serde_json::{Value, json};

use super::doubles;
use super::support::{ADMIN, Files, redirected, specification};

/// The plan's lines, for which the vendor was only looked at.
async fn plan(files: &Files, double: &Double) -> Vec<String> {
    let asked = double.asked().len();
    let output = files.ask("plan").await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    let asked: Vec<_> = double.asked().into_iter().skip(asked).collect();
    assert!(!asked.is_empty() && asked.iter().all(|one| one.starts_with("GET")), "{asked:?}");
    let secret = files.secret();
    let document: Value = serde_json::from_str(&secret).unwrap();
    assert!(!text.contains(document["token"].as_str().unwrap()), "{text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    let lines = answer["plan"].as_array().unwrap().iter();
    lines.map(|line| line.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_keys_that_a_plan_says_are_revoked_are_revoked_and_no_others() {
    let double = Double::start(doubles::influxdb).await.unwrap();
    let key = double.arrange(None);
    double.arrange(Some("somebody else's"));
    let secret = json!({"masterarn": "admin", "authorization_id": key.id, "org_id": "org",
        "token": key.value});
    let text = redirected(&specification("influxdb.toml"), &double);
    let files = Files::new(&text, &secret.to_string(), Some(&json!({"token": ADMIN})));
    let mut all = 0;
    for _ in 0..4 {
        let lines = plan(&files, &double).await;
        let live: BTreeSet<_> = double.live().into_iter().collect();
        let issues = |line: &String| line.starts_with("createSecret issues a key with a label");
        assert!(lines.iter().any(issues), "{lines:?}");
        let last = lines.last().unwrap();
        assert!(last.starts_with("finishSecret leaves ") && !last.contains("id0"), "{lines:?}");
        let output = files.replay(true, &["--json"]).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let left: BTreeSet<_> = double.live().into_iter().collect();
        let gone: Vec<_> = live.difference(&left).collect();
        for id in &gone {
            let line = format!("finishSecret revokes key {id:?}");
            assert!(lines.contains(&line), "{id}: {lines:?}");
        }
        let revoked = lines.iter().filter(|line| line.starts_with("finishSecret revokes ")).count();
        assert_eq!(revoked, gone.len(), "{lines:?}");
        all += revoked;
    }
    assert!(all >= 2, "{all}");
}

#[tokio::test]
async fn a_plan_of_a_value_that_is_set_in_place_says_when_the_old_one_dies() {
    let double = Double::start(doubles::grafana).await.unwrap();
    let key = double.arrange(None);
    let text = redirected(&specification("grafana-password.toml"), &double);
    for (password, says) in [
        (key.value.as_str(), "setSecret sets it: AWSCURRENT's stops working then"),
        ("not the password", "AWSCURRENT's is refused"),
    ] {
        let secret = json!({"username": "rotated", "password": password});
        let files = Files::new(&text, &secret.to_string(), None);
        let asked = double.asked().len();
        let output = files.show("plan").await;
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(shown.contains("createSecret makes a new \"password\" and asks nobody"), "{shown}");
        assert!(shown.contains(says) && !shown.contains(password), "{shown}");
        let asked: Vec<_> = double.asked().into_iter().skip(asked).collect();
        assert!(asked.iter().all(|one| one.starts_with("GET")), "{asked:?}");
    }
    assert!(double.works(&key.value));
}
