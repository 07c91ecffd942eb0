//! The templates in each partition of AWS: no name in them is another partition's.

use serde_json::{Value, json};

use super::consumers::definition;
use super::resolve::{Place, read, template};
use super::{EVERY, VPC, functions, of_type};

const PLACES: [Place; 3] = [
    ["aws", "il-central-1", "amazonaws.com"],
    ["aws-us-gov", "us-gov-west-1", "amazonaws.com"],
    ["aws-cn", "cn-northwest-1", "amazonaws.com.cn"],
];

/// Every text of a document.
fn texts<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, found)),
        _ => {}
    }
}

/// Fails on a name that is another place's; the rest, of which so many at least must be ARNs.
fn check(resources: &Value, [partition, region, suffix]: Place, fewest: usize) -> Vec<&str> {
    let mut all = Vec::new();
    texts(resources, &mut all);
    let arns: Vec<_> = all.iter().filter(|text| text.starts_with("arn:")).collect();
    assert!(arns.len() >= fewest, "{}", arns.len());
    for arn in arns {
        let parts: Vec<_> = arn.split(':').collect();
        assert_eq!(parts[1], partition, "{arn}");
        // IAM's have no Region, nor have the actions of state machines.
        assert!(parts[3] == region || parts[3].is_empty(), "{arn}");
    }
    for text in &all {
        assert!(!text.contains("us-east-1"), "{text}");
        assert!(partition == "aws" || !text.contains("arn:aws:"), "{text}");
        // Services are principals, and sources of events, by one name everywhere.
        let ours = text.contains(region);
        let known = if ours { suffix } else { ".amazonaws.com" };
        assert!(!text.contains(".amazonaws.com") || text.ends_with(known), "{text}");
    }
    all
}

#[test]
fn every_arn_and_endpoint_is_of_the_partition_that_the_stack_is_in() {
    for place in PLACES {
        let [partition, region, suffix] = place;
        let key = format!("arn:{partition}:kms:{region}:111122223333:key/one");
        let admin = format!("arn:{partition}:secretsmanager:{region}:111122223333:secret:a-AbCdEf");
        let role = format!("arn:{partition}:iam::444455556666:role/rotation");
        let changed = [
            EVERY,
            VPC[0],
            VPC[1],
            ("VpcId", "vpc-1"),
            ("CreateSecretsManagerEndpoint", "true"),
            ("KmsKeyArns", &key),
            ("AdminSecretArns", &admin),
            ("SecretsRoleArn", &role),
        ];
        let Some(template) = template(&changed) else { return };
        let template = template.at(place);
        assert!(template.broken_rules().is_empty());
        let resources = Value::Object(template.resources());
        let all = check(&resources, place, 21);
        let via = format!("secretsmanager.{region}.{suffix}");
        assert!(all.contains(&via.as_str()), "{via}");
        // China's too: of the names that begin otherwise there, this is none.
        let service = format!("com.amazonaws.{region}.secretsmanager");
        assert!(all.contains(&service.as_str()), "{service}");
    }
}

#[test]
fn what_follows_a_rotation_is_of_the_partition_that_the_stack_is_in() {
    for place in PLACES {
        let [partition, region, _] = place;
        let arn = |rest: &str| format!("arn:{partition}:{}", rest.replace('*', region));
        let secret = arn("secretsmanager:*:111122223333:secret:app-AbCdEf");
        let service = arn("ecs:*:111122223333:service/shop/web");
        let function = arn("lambda:*:111122223333:function:orders");
        let key = arn("kms:*:111122223333:key/one");
        let changed = [
            ("SecretArns", secret.as_str()),
            ("EcsServiceArns", &service),
            ("LambdaFunctionArns", &function),
            ("KmsKeyArn", &key),
        ];
        let Some(template) = read("FOURSTEP_TEST_CONSUMERS", &changed) else { return };
        let mut resources = template.at(place).resources();
        check(&definition(&resources), place, 6);
        // Its substitutions are among the texts; what is left is the text before them.
        let machine = resources["Consumers"]["Properties"].as_object_mut().unwrap();
        machine.remove("DefinitionString").unwrap();
        check(&Value::Object(resources), place, 6);
    }
}

#[test]
fn the_shape_of_aws_s_applications_is_of_the_partition_that_the_stack_is_in() {
    for place in PLACES {
        let [partition, region, suffix] = place;
        let endpoint = format!("https://secretsmanager.{region}.{suffix}");
        let key = format!("arn:{partition}:kms:{region}:111122223333:key/one");
        let admin = format!("arn:{partition}:secretsmanager:{region}:111122223333:secret:a-AbCdEf");
        let changed = [
            ("endpoint", endpoint.as_str()),
            ("functionName", "rotation"),
            ("vpcSubnetIds", "subnet-1"),
            ("vpcSecurityGroupIds", "sg-1"),
            ("kmsKeyArn", &key),
            ("masterSecretArn", &admin),
        ];
        let Some(template) = read("FOURSTEP_TEST_AWS_SHAPE", &changed) else { return };
        let resources = Value::Object(template.at(place).resources());
        let all = check(&resources, place, 4);
        assert!(all.contains(&format!("secretsmanager.{region}.{suffix}").as_str()), "{all:?}");
    }
}

#[test]
fn ipv6_and_the_kinds_of_endpoints_are_there_only_if_they_are_asked_for() {
    for (on, ipv6) in [("false", Value::Null), ("true", json!(true))] {
        let changed = [
            VPC[0],
            VPC[1],
            ("Ipv6AllowedForDualStack", on),
            ("UseDualstackEndpoints", on),
            ("UseFipsEndpoints", on),
        ];
        let Some(template) = template(&changed) else { return };
        let resources = template.resources();
        for (_, function) in functions(&resources) {
            assert_eq!(function["VpcConfig"]["Ipv6AllowedForDualStack"], ipv6);
            let variables = &function["Environment"]["Variables"];
            assert_eq!(variables["AWS_USE_DUALSTACK_ENDPOINT"], on);
            assert_eq!(variables["AWS_USE_FIPS_ENDPOINT"], on);
        }
        assert_eq!(of_type(&resources, "AWS::EC2::VPCEndpoint"), []);
    }
}
