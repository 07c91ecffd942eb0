//! consumers.yaml: which events it hears, whom it reaches, and that it can do nothing else.

use serde_json::{Map, Value, json};

use super::of_type;
use super::resolve::read;
use super::rule::{SECRET, event, matches};

const SERVICES: &str = "arn:aws:ecs:us-east-1:111122223333:service/shop/web,\
                        arn:aws:ecs:us-east-1:111122223333:service/shop/worker";
const FUNCTION: &str = "arn:aws:lambda:us-east-1:111122223333:function:orders";

fn resources(changed: &[(&str, &str)]) -> Option<Map<String, Value>> {
    Some(
        read("FOURSTEP_TEST_CONSUMERS", &[&[("SecretArns", SECRET)], changed].concat())?
            .resources(),
    )
}

/// The state machine's definition, its substitutions filled in.
pub fn definition(resources: &Map<String, Value>) -> Value {
    let machine = &resources["Consumers"]["Properties"];
    let mut text = machine["DefinitionString"].as_str().unwrap().to_owned();
    for (name, value) in machine["DefinitionSubstitutions"].as_object().unwrap() {
        text = text.replace(&format!("${{{name}}}"), value.as_str().unwrap());
    }
    assert!(!text.contains("${"), "{text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_rule_hears_that_a_rotation_succeeded_and_nothing_that_looks_like_it() {
    let Some(resources) = resources(&[]) else { return };
    let pattern = &resources["RotationSucceeded"]["Properties"]["EventPattern"];
    let succeeded = event("RotationSucceeded", None);
    assert!(matches(pattern, &succeeded));
    for other in [
        "RotationStarted",
        "RotationFailed",
        "RotationAbandoned",
        "RotateSecret",
        "TestRotationSucceeded",
    ] {
        assert!(!matches(pattern, &event(other, None)), "{other}");
    }
    let with = |pointer: &str, value: Value| {
        let mut changed = succeeded.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        changed
    };
    for (pointer, value) in [
        ("/detail-type", json!("AWS API Call via CloudTrail")),
        ("/source", json!("custom.secretsmanager")),
        ("/detail/eventSource", json!("rds.amazonaws.com")),
        // Another secret, and the same without its last letters.
        ("/detail/additionalEventData/SecretId", json!(format!("{SECRET}2"))),
        ("/detail/additionalEventData/SecretId", json!(SECRET.trim_end_matches("-AbCdEf"))),
        ("/detail/additionalEventData", json!(null)),
    ] {
        assert!(!matches(pattern, &with(pointer, value)), "{pointer}");
    }
}

#[test]
fn each_consumer_is_reached_by_itself_and_what_fails_is_kept() {
    let both = [("EcsServiceArns", SERVICES), ("LambdaFunctionArns", FUNCTION)];
    let Some(resources) = resources(&both) else { return };
    let definition = definition(&resources);
    let lists = &definition["States"]["Who"]["Parameters"];
    assert_eq!(lists["services"], json!(SERVICES.split(',').collect::<Vec<_>>()));
    assert_eq!(lists["functions"], json!([FUNCTION]));
    let mut actions = Vec::new();
    for (list, tell) in [("Services", "TellOfService"), ("Functions", "TellOfFunction")] {
        let states = definition["States"][list]["ItemProcessor"]["States"].as_object().unwrap();
        for (name, state) in states {
            assert_eq!(state["Retry"][0]["ErrorEquals"], json!(["States.ALL"]), "{name}");
            if name != tell {
                assert_eq!(state["Catch"][0]["Next"], tell);
            }
            actions.push(state["Resource"].as_str().unwrap().to_owned());
        }
    }
    actions.sort();
    actions.dedup();
    // What the state machine calls is what its role allows, for these consumers alone.
    assert_eq!(
        actions,
        [
            "arn:aws:states:::aws-sdk:ecs:updateService",
            "arn:aws:states:::aws-sdk:lambda:updateFunctionConfiguration",
            "arn:aws:states:::sqs:sendMessage",
        ]
    );
    let role =
        &resources["ConsumersRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"];
    assert_eq!(
        role,
        &json!([
            {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "Undelivered.Arn"},
            {"Effect": "Allow", "Action": "ecs:UpdateService",
             "Resource": SERVICES.split(',').collect::<Vec<_>>()},
            {"Effect": "Allow", "Action": "lambda:UpdateFunctionConfiguration", "Resource": [FUNCTION]},
        ])
    );
    for target in resources["RotationSucceeded"]["Properties"]["Targets"].as_array().unwrap() {
        assert_eq!(target["DeadLetterConfig"]["Arn"], "Undelivered.Arn", "{target}");
        assert!(target["RetryPolicy"]["MaximumRetryAttempts"].as_u64().unwrap() > 100, "{target}");
    }
}

/// Lambda answers with a function's variables, and an execution's record keeps the whole answer.
#[test]
fn what_executions_record_is_under_the_key_that_is_given() {
    let key = "arn:aws:kms:us-east-1:111122223333:key/one";
    let functions = ("LambdaFunctionArns", FUNCTION);
    let Some(plain) = resources(&[functions]) else { return };
    assert_eq!(plain["Consumers"]["Properties"].get("EncryptionConfiguration"), None);
    let sealed = resources(&[functions, ("KmsKeyArn", key)]).unwrap();
    assert_eq!(
        sealed["Consumers"]["Properties"]["EncryptionConfiguration"],
        json!({"Type": "CUSTOMER_MANAGED_KMS_KEY", "KmsKeyId": key, "KmsDataKeyReusePeriodSeconds": 300})
    );
    // Whoever starts an execution uses it, and the execution itself.
    let uses = json!({"Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": key});
    for role in ["StartRole", "ConsumersRole"] {
        let policy = &sealed[role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"];
        assert!(policy.as_array().unwrap().contains(&uses), "{role}");
        assert!(!plain[role].to_string().contains("kms:"), "{role}");
    }
}

/// A stack that only tells, and one of a single kind of consumer.
#[test]
fn what_is_not_asked_for_is_not_there() {
    let Some(told) = resources(&[("NoticeEmail", "someone@example.com")]) else { return };
    assert_eq!(of_type(&told, "AWS::StepFunctions::StateMachine"), []);
    assert_eq!(of_type(&told, "AWS::IAM::Role"), []);
    assert_eq!(told["RotationSucceeded"]["Properties"]["Targets"].as_array().unwrap().len(), 1);
    assert_eq!(told["NoticeSubscription"]["Properties"]["Endpoint"], "someone@example.com");
    let services = resources(&[("EcsServiceArns", SERVICES)]).unwrap();
    assert_eq!(definition(&services)["States"]["Who"]["Parameters"]["functions"], json!([]));
    let policies = services["ConsumersRole"]["Properties"]["Policies"].to_string();
    assert!(policies.contains("ecs:UpdateService") && !policies.contains("lambda:"), "{policies}");
    assert_eq!(of_type(&services, "AWS::SNS::Subscription"), []);
}
