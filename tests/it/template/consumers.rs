//! examples/consumers.yaml: what begins it, and that nothing it does can be lost unnoticed.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::rule::{event, matches};
use crate::support::skip;

/// The stack as JSON, or None after skipping aloud. Python stands beside cfn-lint.
fn consumers() -> Option<Value> {
    let Ok(lint) = std::env::var("FOURSTEP_TEST_CFN_LINT") else {
        skip("FOURSTEP_TEST_CFN_LINT");
        return None;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let linted = Command::new(&lint).arg(root.join("examples/consumers.yaml")).output().unwrap();
    assert!(linted.status.success(), "{}", String::from_utf8_lossy(&linted.stdout));
    let output = Command::new(Path::new(&lint).with_file_name("python"))
        .arg(root.join("scripts/lib/transform.py"))
        .arg(root.join("examples/consumers.yaml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn consumers_follow_a_rotation_that_succeeded_and_nothing_that_looks_like_one() {
    let Some(stack) = consumers() else { return };
    let rule = &stack["Resources"]["Rotated"]["Properties"];
    let mut pattern = rule["EventPattern"].clone();
    let named = &mut pattern["detail"]["additionalEventData"]["SecretId"];
    assert_eq!(*named, json!({"Ref": "SecretArns"}));
    let succeeded = event("RotationSucceeded", None);
    *named = json!([succeeded["detail"]["additionalEventData"]["SecretId"]]);
    assert!(matches(&pattern, &succeeded));
    for name in ["RotationStarted", "RotationFailed", "RotationAbandoned", "TestRotationSucceeded"]
    {
        assert!(!matches(&pattern, &event(name, None)), "{name}");
    }
    // The call that begins a rotation, as CloudTrail tells it.
    let mut called = event("RotateSecret", None);
    called["detail-type"] = json!("AWS API Call via CloudTrail");
    called["detail"]["eventType"] = json!("AwsApiCall");
    assert!(!matches(&pattern, &called));
    called["detail"]["eventName"] = json!("RotationSucceeded");
    assert!(!matches(&pattern, &called), "a call of that name");
    let mut another = succeeded.clone();
    another["detail"]["additionalEventData"]["SecretId"] = json!("arn:another");
    assert!(!matches(&pattern, &another));
}

#[test]
fn what_consumers_cannot_be_told_is_kept() {
    let Some(stack) = consumers() else { return };
    let resources = &stack["Resources"];
    let targets = resources["Rotated"]["Properties"]["Targets"].as_array().unwrap();
    let [notice, recycle] = &targets[..] else { panic!("{targets:?}") };
    for target in [notice, &recycle["Fn::If"][1]] {
        let kept = json!({"Arn": {"Fn::GetAtt": ["DeadLetters", "Arn"]}});
        assert_eq!(target["DeadLetterConfig"], kept, "{target}");
        assert!(target["RetryPolicy"]["MaximumRetryAttempts"].as_u64() > Some(10), "{target}");
    }
    let machine = &resources["Recycle"]["Properties"]["Definition"];
    assert_eq!(machine["States"]["Both"]["Catch"][0]["Next"], "Keep");
    let text = stack.to_string();
    assert!(!text.contains("GetSecretValue") && !text.contains("kms:"), "it reads a secret");
}
