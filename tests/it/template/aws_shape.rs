//! deploy/aws-shape.yaml in the place of AWS's rotation application.

use serde_json::{Value, json};

use super::permissions::{comparable, statements};
use super::resolve::{Template, read, template};
use super::{VPC, of_type};

/// What AWS CDK's `SecretRotation` passes to AWS's application, the optional ones second.
/// Source: aws-cdk-lib 2.276.0, aws-secretsmanager/lib/secret-rotation. deploy/cdk synthesizes it.
const ALWAYS: [(&str, &str); 4] = [
    ("endpoint", "https://secretsmanager.us-east-1.amazonaws.com"),
    ("functionName", "StackDatabaseRotation1A2B3C4D"),
    ("vpcSubnetIds", "subnet-1,subnet-2"),
    ("vpcSecurityGroupIds", "sg-1,sg-2"),
];
const MASTER: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:admin-AbCdEf";
const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/one";
const SOMETIMES: [(&str, &str); 5] = [
    ("excludeCharacters", "/@"),
    ("kmsKeyArn", KEY),
    ("masterSecretArn", MASTER),
    ("masterSecretKmsKeyArn", KEY),
    // AWS's name for it where a schedule makes the function.
    ("superuserSecretArn", MASTER),
];

/// A stack of somebody who has AWS's application.
const STACK: &str = r#"
  Rotation:
    Type: AWS::Serverless::Application
    Properties:
      Location:
        ApplicationId: arn:aws:serverlessrepo:us-east-1:297356227824:applications/SecretsManagerRDSPostgreSQLRotationSingleUser
        SemanticVersion: 1.1.671
      Parameters:
        endpoint: !Sub https://secretsmanager.${AWS::Region}.${AWS::URLSuffix}
        functionName: shop-rotation
        vpcSubnetIds: subnet-1,subnet-2
        vpcSecurityGroupIds: sg-1
  Schedule:
    Type: AWS::SecretsManager::RotationSchedule
    Properties:
      RotationLambdaARN: !GetAtt Rotation.Outputs.RotationLambdaARN
"#;

fn shape(changed: &[(&str, &str)]) -> Option<Template> {
    read("FOURSTEP_TEST_AWS_SHAPE", &[&ALWAYS, changed].concat())
}

#[test]
fn whoever_has_aws_s_application_changes_its_location() {
    let Some(shape) = shape(&[]) else { return };
    let location = STACK.split("Location:\n").nth(1).unwrap().split("      Parameters").next();
    let ours = STACK.replace(location.unwrap(), "");
    let ours = ours.replace("Location:", "Location: packaged.yaml");
    let line = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (before, after) = (line(STACK), line(&ours));
    let kept = before.iter().filter(|line| after.contains(line)).count();
    // The property Location, in its two forms; nothing else.
    assert_eq!((before.len() - kept, after.len() - kept), (3, 1));
    let passed = STACK.split("Parameters:\n").nth(1).unwrap().split("  Schedule").next().unwrap();
    for line in passed.lines() {
        let name = line.trim().split(':').next().unwrap();
        assert!(shape.parameters().contains(&name), "{name}");
    }
    assert!(STACK.contains(".Outputs.RotationLambdaARN"));
    assert_eq!(shape.outputs()["RotationLambdaARN"]["Value"], "Rotator.Arn");
}

#[test]
fn it_takes_what_aws_s_takes_and_needs_no_more() {
    let adopted = ("adoptUsers", "app_clone");
    let Some(shape) = shape(&[&SOMETIMES[..], &[adopted]].concat()) else { return };
    for name in shape.parameters() {
        let has_default = shape.definition(name).get("Default").is_some();
        let always = ALWAYS.iter().any(|(passed, _)| *passed == name);
        assert!(has_default || always, "{name} would have to be given beside AWS's");
    }
    let resources = shape.resources();
    let function = &resources["Rotator"]["Properties"];
    assert_eq!(
        function["Environment"]["Variables"],
        json!({
            "SECRETS_MANAGER_ENDPOINT": ALWAYS[0].1,
            "EXCLUDE_CHARACTERS": "/@",
            // The one thing that a pair of AWS's needs besides.
            "ADOPT_USERS": "app_clone",
            "WAIT_FOR_REPLICAS": "false",
            "ALLOW_BLUE_GREEN": "false",
            "ROTATION_STRATEGY": "alternating-users",
        })
    );
    assert_eq!(
        function["VpcConfig"],
        json!({"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1", "sg-2"]})
    );
}

/// AWS has an application for one user and one for several; what is passed says which it was.
#[test]
fn two_users_take_turns_where_an_admin_is_given() {
    for (given, strategy) in [
        (&[][..], "single-user"),
        (&[("masterSecretArn", MASTER)], "alternating-users"),
        (&[("superuserSecretArn", MASTER)], "alternating-users"),
    ] {
        let Some(shape) = shape(given) else { return };
        let resources = shape.resources();
        let variables = &resources["Rotator"]["Properties"]["Environment"]["Variables"];
        assert_eq!(variables["ROTATION_STRATEGY"], strategy);
        assert_eq!(resources.contains_key("AdminSecretPolicy"), !given.is_empty());
    }
}

/// In place of AWS's, CloudFormation makes the new function before it deletes the old one.
#[test]
fn the_old_function_s_name_is_taken_only_if_asked() {
    let Some(plain) = shape(&[]) else { return };
    let named = shape(&[("useFunctionName", "true")]).unwrap();
    let name =
        |shape: &Template| shape.resources()["Rotator"]["Properties"]["FunctionName"].clone();
    assert_eq!((name(&plain), name(&named)), (Value::Null, json!(ALWAYS[1].1)));
}

#[test]
fn its_role_may_do_what_that_of_template_yaml_may() {
    let given = [("kmsKeyArn", KEY), ("masterSecretArn", MASTER)];
    let Some(shape) = shape(&given) else { return };
    let changed = [VPC[0], VPC[1], ("KmsKeyArns", KEY), ("AdminSecretArns", MASTER)];
    let template = template(&changed).unwrap().resources();
    let resources = shape.resources();
    let attached = of_type(&resources, "AWS::IAM::Policy").into_iter().map(|(_, policy)| policy);
    let inline = resources["Role"]["Properties"]["Policies"].as_array().unwrap().iter();
    let ours = attached.chain(inline);
    let ours = ours.flat_map(|one| one["PolicyDocument"]["Statement"].as_array().unwrap());
    assert_eq!(comparable(ours.collect()), comparable(statements(&template, "RotatePostgres")));
    // Not AWS's own for the network, which its applications attach: it allows every log group.
    assert_eq!(resources["Role"]["Properties"].get("ManagedPolicyArns"), None);
    // What allows the network is there before the function is.
    let inline = resources["Role"]["Properties"]["Policies"].to_string();
    assert!(inline.contains("ec2:CreateNetworkInterface"), "{inline}");
    let denied = &resources["DeniedNetwork"]["Properties"]["PolicyDocument"]["Statement"][0];
    assert_eq!(denied["Condition"]["ArnLike"]["lambda:SourceFunctionArn"], "Rotator.Arn");
}
