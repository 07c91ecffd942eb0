//! The template in each partition of AWS: no name in it is another partition's.

use serde_json::{Value, json};

use super::resolve::{Place, template};
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
        let mut all = Vec::new();
        texts(&resources, &mut all);
        let arns: Vec<_> = all.iter().filter(|text| text.starts_with("arn:")).collect();
        assert!(arns.len() > 20, "{}", arns.len());
        for arn in arns {
            assert!(arn.starts_with(&format!("arn:{partition}:")), "{arn}");
            assert!(arn.contains(&format!(":{region}:")) || arn.contains(":iam::"), "{arn}");
        }
        assert!(all.iter().all(|text| region == "us-east-1" || !text.contains("us-east-1")));
        let via = format!("secretsmanager.{region}.{suffix}");
        assert!(all.contains(&via.as_str()), "{via}");
        // China's too: of the names that begin otherwise there, this is none.
        let service = format!("com.amazonaws.{region}.secretsmanager");
        assert!(all.contains(&service.as_str()), "{service}");
        // Services are principals by one name everywhere.
        let principals = all.iter().filter(|text| text.contains(".amazonaws.com"));
        for name in principals.filter(|text| **text != via) {
            assert!(name.ends_with(".amazonaws.com"), "{name}");
        }
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
