//! What template.yaml lets a person set, beside what deploy/ does: nothing that is new in one place is
//! forgotten in the others. Read as text, because a name is all that counts here.

use std::collections::BTreeMap;

const TEMPLATE: &str = include_str!("../../../template.yaml");
const SHAPE: &str = include_str!("../../../deploy/aws-shape.yaml");
const INSTALL: &str = include_str!("../../../docs/install.md");
const MODULE: &str = include_str!("../../../deploy/terraform/main.tf");
const INPUTS: &str = include_str!("../../../deploy/terraform/variables.tf");
const CONSTRUCT: &str = include_str!("../../../deploy/cdk/lib/rotator.ts");

/// Parameters that do more than give a variable its value, each with the Terraform module's input and the
/// CDK construct's property that do the same. Empty: it is left to Terraform and CDK themselves, or to the
/// page that is named.
const MORE: [(&str, &str, &str); 32] = [
    ("Rotators", "rotator", "target"),
    ("Architecture", "architecture", "architecture"),
    ("PermissionsBoundary", "permissions_boundary", ""),
    ("LogLevel", "", ""),
    ("LogRetentionDays", "log_retention_days", "logRetention"),
    ("SubnetIds", "subnet_ids", "vpcSubnets"),
    ("SecurityGroupIds", "security_group_ids", "securityGroups"),
    ("VpcId", "vpc_id", "vpc"),
    ("CreateSecretsManagerEndpoint", "", ""),
    ("EndpointClientCidr", "", ""),
    ("Ipv6AllowedForDualStack", "", ""),
    ("UseDualstackEndpoints", "", ""),
    ("UseFipsEndpoints", "", ""),
    ("KmsKeyArns", "kms_key_arns", ""),
    ("AdminSecretArns", "admin_secret_arns", "admin"),
    ("ProxySecretArns", "proxy_secrets", "proxySecrets"),
    ("ManagedUserArns", "managed_user_arns", "managedUsers"),
    ("IamUserArns", "iam_user_arns", "iamUsers"),
    ("SecretsRoleArn", "secrets_role_arn", "secretsRoleArn"),
    ("SecretsRoleExternalId", "secrets_role_external_id", "secretsRoleExternalId"),
    // With Terraform and CDK the variable, and a policy of the role's beside it: docs/consumers.md.
    ("RotationEventBus", "", ""),
    ("TlsCaBundleLayer", "layers", "layers"),
    ("SecretsManagerEndpoint", "", ""),
    ("ApiAdminSecretArns", "admin_secret_arns", "admin"),
    ("Alarms", "alarms", ""),
    ("AlarmEmail", "alarm_email", "alarmTopic"),
    ("Dashboard", "", ""),
    ("LogKmsKeyArn", "log_kms_key_arn", "logKey"),
    ("TopicKmsKeyArn", "topic_kms_key_arn", ""),
    ("EnvironmentKmsKeyArn", "environment_kms_key_arn", "environmentKey"),
    ("ReservedConcurrency", "reserved_concurrency", "reservedConcurrentExecutions"),
    ("CodeSigningConfigArn", "code_signing_config_arn", "codeSigningConfig"),
];

/// Parameters that a template declares.
fn parameters() -> Vec<&'static str> {
    let (_, rest) = TEMPLATE.split_once("\nParameters:\n").unwrap();
    let (declared, _) = rest.split_once("\nConditions:\n").unwrap();
    let lines = declared.lines().filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'));
    lines.filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric())).collect()
}

/// The variable that a line sets, and what it is set to.
fn variable(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.trim().split_once(": ")?;
    let upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    (name.contains('_') && name.bytes().all(upper)).then_some((name, value))
}

#[test]
fn each_setting_is_offered_in_aws_s_shape_or_named_among_those_that_are_not() {
    let ours: BTreeMap<_, _> = TEMPLATE.lines().filter_map(variable).collect();
    let theirs: BTreeMap<_, _> = SHAPE.lines().filter_map(variable).collect();
    assert!(ours.len() > 30 && theirs.len() > 5, "{ours:?} {theirs:?}");
    let (_, section) = INSTALL.split_once("\n## In the place of AWS's application\n").unwrap();
    for name in ours.keys() {
        let (offered, named) = (theirs.contains_key(name), section.contains(&format!("`{name}`")));
        assert!(offered != named, "{name}: offered is {offered}, named as missing is {named}");
    }
    assert!(theirs.keys().all(|name| ours.contains_key(name)), "{theirs:?}");
}

#[test]
fn each_parameter_is_a_variable_alone_or_has_its_like_in_terraform_and_cdk() {
    // Every variable can be set there.
    assert!(MODULE.contains("\n      var.environment\n"));
    assert!(CONSTRUCT.contains("return { ...made, ...props.environment };"));
    let (_, made) = TEMPLATE.split_once("\nConditions:\n").unwrap();
    let other: Vec<_> = made.lines().filter(|line| variable(line).is_none()).collect();
    let other = other.join("\n");
    let more = parameters().into_iter().filter(|name| {
        let ends = |(at, used): (usize, &str)| {
            other.as_bytes().get(at + used.len()).is_none_or(|byte| !byte.is_ascii_alphanumeric())
        };
        [format!("!Ref {name}"), format!("${{{name}")]
            .iter()
            .any(|used| other.match_indices(used.as_str()).any(ends))
    });
    assert_eq!(more.collect::<Vec<_>>(), MORE.map(|(name, ..)| name));
    for (name, input, property) in MORE {
        let declared = input.is_empty() || INPUTS.contains(&format!("variable \"{input}\" {{"));
        assert!(declared, "{name}: Terraform's module has no {input}");
        let declared = property.is_empty()
            || CONSTRUCT.contains(&format!("readonly {property}?: "))
            || CONSTRUCT.contains(&format!("readonly {property}: "));
        assert!(declared, "{name}: the construct has no {property}");
    }
}
