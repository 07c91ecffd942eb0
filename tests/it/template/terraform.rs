//! deploy/terraform beside template.yaml: what its function and its role are.

use serde_json::{Value, json};

use super::permissions::{comparable, statements};
use super::resolve::template;
use super::{EVERY, VPC, functions};

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/one";
const USER: &str = "arn:aws:elasticache:us-east-1:111122223333:user:app";
const ROLE: &str = "arn:aws:iam::444455556666:role/rotation";
const ADMIN: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:admin-AbCdEf";

fn file(name: &str) -> String {
    let path = format!("{}/../deploy/terraform/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The statements of a policy, with what Terraform's `templatefile` puts into it.
fn policy(name: &str) -> Vec<Value> {
    let mut text = file(&format!("policies/{name}.json"));
    for (variable, value) in [
        ("partition", "aws"),
        ("region", "us-east-1"),
        ("account", "111122223333"),
        ("dns_suffix", "amazonaws.com"),
        ("function", "fourstep"),
        ("log_group", "arn:aws:logs:us-east-1:111122223333:log-group:/aws/lambda/fourstep"),
        ("jsonencode(keys)", &json!([KEY]).to_string()),
        ("jsonencode(secrets)", &json!([ADMIN]).to_string()),
        ("jsonencode(users)", &json!([USER]).to_string()),
        ("jsonencode(role)", &json!(ROLE).to_string()),
    ] {
        text = text.replace(&format!("${{{variable}}}"), value);
    }
    let policy: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    policy["Statement"].as_array().unwrap().clone()
}

#[test]
fn the_module_s_roles_may_do_what_those_of_template_yaml_may() {
    for (function, admin, parameter) in [
        ("RotatePostgres", "admin", "AdminSecretArns"),
        ("RotateApi", "api-admin", "ApiAdminSecretArns"),
        ("RotatePostgres", "proxy-secrets", "ProxySecretArns"),
        ("RotateRedis", "managed-users", "ManagedUserArns"),
        ("RotateIam", "iam-users", "IamUserArns"),
        ("RotatePostgres", "secrets-role", "SecretsRoleArn"),
    ] {
        let value = match admin {
            "managed-users" | "iam-users" => USER,
            "secrets-role" => ROLE,
            _ => ADMIN,
        };
        let changed = [EVERY, VPC[0], VPC[1], ("KmsKeyArns", KEY), (parameter, value)];
        let Some(template) = template(&changed) else { return };
        let resources = template.resources();
        let module = ["rotate", "vpc", "kms", admin].map(policy).concat();
        let module = comparable(module.iter().collect());
        assert_eq!(module, comparable(statements(&resources, function)), "{function}");
    }
}

/// Who makes the role by hand makes the same for the network.
#[test]
fn the_network_s_policy_is_on_the_page_for_other_means() {
    let page = include_str!("../../../docs/deploy-without-sam.md");
    let blocks = page.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let shown = blocks.filter(|block| block.contains("ec2:")).map(serde_json::from_str::<Value>);
    let shown: Vec<Value> = shown.map(Result::unwrap).collect();
    let [network] = &shown[..] else { panic!("{shown:?}") };
    let network = network["Statement"].as_array().unwrap().iter().collect();
    assert_eq!(comparable(network), comparable(policy("vpc").iter().collect()));
    assert!(!page.contains("policy/service-role/"));
}

/// The role that somebody makes by hand is what template.yaml makes where nothing is chosen.
#[test]
fn the_role_on_the_page_for_other_means_is_that_of_template_yaml() {
    let Some(template) = template(&[EVERY]) else { return };
    let resources = template.resources();
    let page = include_str!("../../../docs/deploy-without-sam.md");
    let blocks = page.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let [rotate] = blocks.filter(|block| !block.contains("ec2:")).collect::<Vec<_>>()[..] else {
        panic!("there is one policy beside the network's")
    };
    let rotate: Value = serde_json::from_str(rotate).unwrap();
    let rotate = comparable(rotate["Statement"].as_array().unwrap().iter().collect());
    let (_, trust) = page.split_once("--assume-role-policy-document '").unwrap();
    let trust: Value = serde_json::from_str(trust.split('\'').next().unwrap()).unwrap();
    for (id, _) in functions(&resources) {
        assert_eq!(rotate, comparable(statements(&resources, id)), "{id}");
        let role = &resources[&format!("{id}Role")]["Properties"];
        assert_eq!(trust, role["AssumeRolePolicyDocument"], "{id}");
    }
}

/// What a function needs to work at all, by both ways in.
#[test]
fn the_module_s_function_is_that_of_template_yaml() {
    let Some(template) = template(&[]) else { return };
    let resources = template.resources();
    let main = file("main.tf");
    let argument = |name: &str| {
        let line = main.lines().find(|line| line.trim_start().starts_with(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name}")).split("= ").nth(1).unwrap().trim_matches('"')
    };
    for (_, function) in functions(&resources) {
        assert_eq!(function["Runtime"], argument("runtime"));
        assert_eq!(function["Handler"], argument("handler"));
        assert_eq!(function["MemorySize"].to_string(), argument("memory_size"));
        // The last word: it is longer where users are managed.
        assert_eq!(
            Some(&*function["Timeout"].to_string()),
            argument("timeout").split(' ').next_back()
        );
        assert_eq!(function["LoggingConfig"]["LogFormat"], argument("log_format"));
    }
    let (permission, rest) = main.split_once("resource \"aws_lambda_permission\"").unwrap();
    assert!(!permission.contains("source_account"));
    let permission = rest.split_once("\n}").unwrap().0;
    assert!(permission.contains("source_account") && !permission.contains("source_arn  "));
    // The account whose Secrets Manager calls is that of the role that is assumed there.
    assert!(permission.contains("try(split(\":\", var.secrets_role_arn)[4], "), "{permission}");
    // IAM knows no Region: a role of the function's own name could be made in one Region only.
    let role = main.split("resource \"aws_iam_role\" ").nth(1).unwrap();
    let role = role.split("\n}").next().unwrap();
    assert!(role.contains("\n  name_prefix ") && !role.contains("\n  name  "), "{role}");
}

/// A variable that needs permissions besides is an argument of its own, which brings them.
#[test]
fn what_environment_alone_could_not_do_the_module_refuses_there() {
    let main = file("main.tf");
    let conditions: Vec<&str> =
        main.lines().filter_map(|line| line.trim().strip_prefix("condition     = ")).collect();
    for refused in [
        "!contains(keys(var.environment), \"SECRETS_ROLE_ARN\")",
        "var.secrets_role_arn == null || length(var.secrets) == 0",
        "var.secrets_role_external_id == null || var.secrets_role_arn != null",
        "length(var.proxy_secrets) == 0 || contains([\"postgres\", \"mysql\"], var.rotator)",
    ] {
        assert!(conditions.contains(&refused), "{refused}");
    }
}
