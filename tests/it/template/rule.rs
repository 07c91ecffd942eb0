//! How a failure is noticed: the alarms, and the rule on what Secrets Manager itself reports.

use serde_json::{Value, json};

use super::resolve::template;
use super::{functions, of_type};

#[test]
fn alarms_are_there_unless_switched_off() {
    let Some(on) = template(&[]) else { return };
    let resources = on.resources();
    for (id, function) in functions(&resources) {
        let errors = &resources[&format!("{id}Errors")]["Properties"];
        let slow = &resources[&format!("{id}Slow")]["Properties"];
        for (alarm, metric) in [(errors, "Errors"), (slow, "Duration")] {
            assert_eq!(alarm["MetricName"], metric);
            assert_eq!(alarm["Namespace"], "AWS/Lambda");
            assert_eq!(alarm["Dimensions"], json!([{"Name": "FunctionName", "Value": id}]));
            assert_eq!(alarm["AlarmActions"], json!(["AlarmTopic"]));
        }
        let timeout = function["Timeout"].as_u64().unwrap() * 1000;
        let near = slow["Threshold"].as_u64().unwrap();
        assert!(near < timeout && near > timeout / 2, "{near} of {timeout} ms");
    }
    assert_eq!(of_type(&resources, "AWS::SNS::Subscription"), []);
    let address = ("AlarmEmail", "someone@example.com");
    let told = template(&[address]).unwrap().resources();
    assert_eq!(told["AlarmSubscription"]["Properties"]["Endpoint"], address.1);
    let off = template(&[("Alarms", "false"), address]).unwrap();
    for kind in
        ["AWS::CloudWatch::Alarm", "AWS::Events::Rule", "AWS::SNS::Topic", "AWS::SNS::Subscription"]
    {
        assert_eq!(of_type(&off.resources(), kind), [], "{kind}");
    }
    assert!(!off.outputs().contains_key("AlarmTopicArn"));
}

/// A service event in the shape that CloudTrail delivers: what was asked and answered is null,
/// because nobody asked.
pub(super) fn event(name: &str, error: Option<&str>) -> Value {
    let secret = "arn:aws:secretsmanager:us-east-1:111122223333:secret:app/db-AbCdEf";
    let version = "11111111-1111-4111-8111-111111111111";
    let mut detail = json!({
        "eventVersion": "1.11",
        "userIdentity": {"accountId": "111122223333", "invokedBy": "secretsmanager.amazonaws.com"},
        "eventTime": "2026-01-01T03:00:00Z",
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "sourceIPAddress": "secretsmanager.amazonaws.com",
        "userAgent": "secretsmanager.amazonaws.com",
        "requestParameters": null,
        "responseElements": null,
        "additionalEventData": {"SecretId": secret},
        "requestID": format!("Rotation-{secret}-{version}"),
        "eventID": "22222222-2222-4222-8222-222222222222",
        "readOnly": false,
        "eventType": "AwsServiceEvent",
        "managementEvent": true,
        "recipientAccountId": "111122223333",
        "eventCategory": "Management",
    });
    if let Some(error) = error {
        detail["errorMessage"] = json!(error);
    }
    json!({
        "version": "0",
        "id": "33333333-3333-4333-8333-333333333333",
        "detail-type": "AWS Service Event via CloudTrail",
        "source": "aws.secretsmanager",
        "account": "111122223333",
        "time": "2026-01-01T03:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": detail,
    })
}

/// Matches as EventBridge does, for patterns of plain texts: every field of the pattern must be in
/// the event with one of the values listed. Source: Amazon EventBridge User Guide, "Event patterns".
pub(super) fn matches(pattern: &Value, event: &Value) -> bool {
    pattern.as_object().unwrap().iter().all(|(name, wanted)| match (wanted, &event[name]) {
        (Value::Object(_), inner) => inner.is_object() && matches(wanted, inner),
        (Value::Array(values), found) => {
            assert!(values.iter().all(Value::is_string), "{values:?} is not known here");
            values.contains(found)
        }
        (other, _) => panic!("{other} is no pattern"),
    })
}

#[test]
fn the_rule_matches_failures_and_nothing_else() {
    let Some(template) = template(&[]) else { return };
    let resources = template.resources();
    let rules = of_type(&resources, "AWS::Events::Rule");
    let [(_, rule)] = rules[..] else { panic!("{rules:?}") };
    let pattern = &rule["EventPattern"];
    let failed = event(
        "RotationFailed",
        Some(
            "Error when executing lambda arn:aws:lambda:us-east-1:111122223333:function:\
             fourstep-postgres during createSecret step",
        ),
    );
    assert!(matches(pattern, &failed));
    assert!(matches(pattern, &event("RotationAbandoned", None)));
    assert!(!matches(pattern, &event("RotationSucceeded", None)));
    assert!(!matches(pattern, &event("RotationStarted", None)));
    // What a person did is told under another type; a rule on that one would never match.
    let mut called = failed.clone();
    called["detail-type"] = json!("AWS API Call via CloudTrail");
    assert!(!matches(pattern, &called));
    let mut other = failed;
    other["source"] = json!("aws.rds");
    assert!(!matches(pattern, &other));
    assert_eq!(rule["Targets"][0]["Arn"], "AlarmTopic");
    let published = &resources["AlarmTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"];
    let mut who: Vec<&str> = published
        .as_array()
        .unwrap()
        .iter()
        .map(|statement| statement["Principal"]["Service"].as_str().unwrap())
        .collect();
    who.sort_unstable();
    assert_eq!(who, ["cloudwatch.amazonaws.com", "events.amazonaws.com"]);
}
