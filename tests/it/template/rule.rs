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

#[test]
fn a_dashboard_is_made_where_it_is_asked_for_and_shows_what_the_functions_write() {
    let Some(plain) = template(&[]) else { return };
    let kind = "AWS::CloudWatch::Dashboard";
    assert_eq!(of_type(&plain.resources(), kind), []);
    let resources = template(&[("Dashboard", "true")]).unwrap().resources();
    let body = resources["RotationDashboard"]["Properties"]["DashboardBody"].as_str().unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    let widgets = body["widgets"].as_array().unwrap();
    let charts = widgets.iter().filter(|widget| widget["type"] == "metric");
    let mut shown = Vec::new();
    for chart in charts.map(|widget| &widget["properties"]) {
        let expression = chart["metrics"][0][0]["expression"].as_str().unwrap();
        let rest = expression.strip_prefix("SEARCH('{Fourstep,FunctionName,step} MetricName=\"");
        shown.push(rest.unwrap().split_once("\"', '").unwrap().0);
        for mark in chart["annotations"]["horizontal"].as_array().into_iter().flatten() {
            let times = functions(&resources).into_iter().map(|(_, one)| one["Timeout"].clone());
            assert!(
                times.into_iter().all(|time| json!(time.as_u64().unwrap() * 1000) == mark["value"])
            );
        }
    }
    shown.sort_unstable();
    assert_eq!(shown, ["Duration", "Duration", "Failures", "RejectedLogins"]);
    // The names stand in the log line's own source, as metrics.
    let source = include_str!("../../../framework/src/log.rs");
    assert!(source.contains("\"Fourstep\"") && source.contains("[[\"FunctionName\", \"step\"]]"));
    for name in shown {
        assert!(source.contains(&format!("(\"{name}\",")), "{name}");
    }
}

/// The secret that the events are about.
pub(super) const SECRET: &str =
    "arn:aws:secretsmanager:us-east-1:111122223333:secret:app/db-AbCdEf";

/// A service event in the shape that CloudTrail delivers: what was asked and answered is null,
/// because nobody asked.
pub(super) fn event(name: &str, error: Option<&str>) -> Value {
    let secret = SECRET;
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
    // The first run of a schedule that does not rotate at once. Source of the names: AWS Secrets Manager User
    // Guide, "AWS CloudTrail entries for Secrets Manager".
    assert!(matches(pattern, &event("TestRotationFailed", None)));
    for well in
        ["RotationSucceeded", "RotationStarted", "TestRotationSucceeded", "TestRotationStarted"]
    {
        assert!(!matches(pattern, &event(well, None)), "{well}");
    }
    // The other ways in have the same words; deploy/cdk/test compares those of CDK with Terraform's.
    let names = pattern["detail"]["eventName"].to_string().replace(',', ", ");
    for other in [
        include_str!("../../../deploy/terraform/alarms.tf"),
        include_str!("../../../docs/deploy-without-sam.md"),
    ] {
        assert!(other.contains(&names), "{names}");
    }
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
        .filter(|statement| statement["Effect"] == "Allow")
        .map(|statement| statement["Principal"]["Service"].as_str().unwrap())
        .collect();
    who.sort_unstable();
    assert_eq!(who, ["cloudwatch.amazonaws.com", "events.amazonaws.com"]);
}
