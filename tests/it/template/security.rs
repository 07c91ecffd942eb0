//! What a security team may ask of the template: keys, limits, signatures, and ways in and out.

use serde_json::{Value, json};

use super::resolve::template;
use super::{EVERY, VPC, functions, of_type};

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/one";
const SIGNING: &str = "arn:aws:lambda:us-east-1:111122223333:code-signing-config:csc-1";

#[test]
fn each_option_is_on_every_resource_of_its_kind_and_only_if_it_is_given() {
    for (parameter, value, kind, property) in [
        ("LogKmsKeyArn", KEY, "AWS::Logs::LogGroup", "KmsKeyId"),
        ("TopicKmsKeyArn", KEY, "AWS::SNS::Topic", "KmsMasterKeyId"),
        ("EnvironmentKmsKeyArn", KEY, "AWS::Lambda::Function", "KmsKeyArn"),
        ("ReservedConcurrency", "2", "AWS::Lambda::Function", "ReservedConcurrentExecutions"),
        ("CodeSigningConfigArn", SIGNING, "AWS::Lambda::Function", "CodeSigningConfigArn"),
    ] {
        let Some(plain) = template(&[EVERY]) else { return };
        let asked = template(&[EVERY, (parameter, value)]).unwrap();
        for (template, expected) in [(plain, None), (asked, Some(&json!(value)))] {
            let resources = template.resources();
            let all = of_type(&resources, kind);
            assert!(!all.is_empty(), "{kind}");
            for (id, properties) in all {
                assert_eq!(properties.get(property), expected, "{id}: {parameter}");
            }
        }
    }
}

#[test]
fn nobody_publishes_to_the_topic_without_tls() {
    let Some(template) = template(&[]) else { return };
    let resources = template.resources();
    let policy = &resources["AlarmTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"];
    let denied: Vec<&Value> =
        policy.as_array().unwrap().iter().filter(|one| one["Effect"] == "Deny").collect();
    let condition = json!({"Bool": {"aws:SecureTransport": "false"}});
    assert_eq!(denied.len(), 1);
    assert_eq!((&denied[0]["Principal"], &denied[0]["Condition"]), (&json!("*"), &condition));
}

/// EC2 gives a group without rules one that lets everything out.
#[test]
fn the_endpoint_s_group_says_that_nothing_goes_out() {
    let endpoint = [("VpcId", "vpc-1"), ("CreateSecretsManagerEndpoint", "true")];
    let Some(template) = template(&[VPC, endpoint].concat()) else { return };
    let resources = template.resources();
    assert!(!functions(&resources).is_empty());
    let group = &resources["SecretsManagerEndpointGroup"]["Properties"];
    let out = group["SecurityGroupEgress"].as_array().unwrap();
    assert_eq!(out.iter().map(|rule| &rule["CidrIp"]).collect::<Vec<_>>(), ["127.0.0.1/32"]);
}
