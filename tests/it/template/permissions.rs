//! What the roles allow, beside what rotations really call.

use std::collections::BTreeSet;

use fourstep::Step;
use fourstep::store::AWSPENDING;
use fourstep_local::PendingLabel;
use serde_json::{Map, Value, json};

use super::resolve::template;
use super::{EVERY, VPC, functions, of_type};
use crate::support::postgres::server;
use crate::support::stage::Stage;

/// What Secrets Manager does with a customer managed key in the caller's name. Sources: AWS Secrets
/// Manager User Guide, "Secret encryption and decryption" for the calls, and "Lambda rotation
/// function execution role permissions" for kms:DescribeKey, which it asks for beside them.
pub const KMS: [(&str, &[&str]); 2] = [
    ("GetSecretValue", &["kms:Decrypt"]),
    ("PutSecretValue", &["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]),
];

/// The statements of a function's own policies and of the managed ones that are attached to it.
pub fn statements<'a>(resources: &'a Map<String, Value>, function: &str) -> Vec<&'a Value> {
    let role = &resources[&format!("{function}Role")]["Properties"];
    let attached = role["ManagedPolicyArns"].as_array().unwrap().iter();
    let attached = attached.map(|id| &resources[id.as_str().unwrap()]["Properties"]);
    let inline = role["Policies"].as_array().unwrap().iter();
    inline
        .chain(attached)
        .flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap())
        .collect()
}

/// Statements of two templates as they can be compared: each in one form, without the names of the
/// function and of its log, which are each template's own.
pub fn comparable(statements: Vec<&Value>) -> Vec<Value> {
    let mut all: Vec<Value> = statements.into_iter().cloned().collect();
    for statement in &mut all {
        for name in [
            "StringEquals/secretsmanager:resource~1AllowRotationLambdaArn",
            "ArnLike/lambda:SourceFunctionArn",
        ] {
            if let Some(function) = statement.pointer_mut(&format!("/Condition/{name}")) {
                *function = json!("the function");
            }
        }
        for field in ["Action", "Resource"] {
            statement[field] = json!(listed(&statement[field]));
        }
        if statement["Action"].to_string().contains("logs:") {
            statement["Resource"] = json!("its log");
        }
    }
    all.sort_by_key(ToString::to_string);
    all
}

fn listed(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        many => many.as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect(),
    }
}

/// Each action that statements allow, and on what.
pub fn allow<'a>(statements: &[&'a Value]) -> impl Iterator<Item = (&'a str, &'a Value)> {
    statements.iter().filter(|statement| statement["Effect"] == "Allow").flat_map(|statement| {
        listed(&statement["Action"]).into_iter().map(move |action| (action, &statement["Resource"]))
    })
}

/// The actions of one service that statements allow.
fn allowed<'a>(statements: &[&'a Value], service: &str) -> BTreeSet<&'a str> {
    let actions = allow(statements).map(|(action, _)| action);
    actions.filter(|action| action.split(':').next() == Some(service)).collect()
}

fn services(statements: &[&Value]) -> BTreeSet<String> {
    let actions = statements.iter().flat_map(|statement| listed(&statement["Action"]));
    actions.map(|action| action.split(':').next().unwrap().to_owned()).collect()
}

fn with(changed: &[(&str, &str)]) -> Option<Map<String, Value>> {
    template(changed).map(|template| template.resources())
}

/// Every call of a rotation that goes well, and of one that finds its password in a version that
/// has lost its labels.
pub async fn recorded() -> Option<BTreeSet<&'static str>> {
    let server = server()?;
    let user = server.user("permitted").await;
    let stage = Stage::new(&server.document(&user), &[]);
    let mut calls = BTreeSet::new();
    let healthy = stage.begin();
    for step in Step::ALL {
        calls.extend(stage.step(step, &healthy).await.stats.calls.into_keys());
    }
    stage.store.finish_rotation(&stage.secret, &healthy, PendingLabel::Removed).unwrap();
    let cancelled = stage.play(&[Step::Create, Step::Set]).await;
    stage.store.cancel_rotation(&stage.secret).unwrap();
    stage.store.update_stage(&stage.secret, AWSPENDING, None, Some(&cancelled)).unwrap();
    let recovered = stage.begin();
    for step in Step::ALL {
        let ended = stage.step(step, &recovered).await;
        ended.why();
        calls.extend(ended.stats.calls.into_keys());
    }
    Some(calls)
}

/// Only secrets that name the function, and only its own log.
#[test]
fn a_role_reaches_no_further_than_its_function() {
    let Some(resources) = with(&[]) else { return };
    for (id, function) in functions(&resources) {
        let statements = statements(&resources, id);
        assert_eq!(services(&statements), ["logs", "secretsmanager"].map(str::to_owned).into());
        let secrets = statements.iter().find(|one| one["Condition"].is_object()).unwrap();
        assert_eq!(secrets["Resource"], "arn:aws:secretsmanager:us-east-1:111122223333:secret:*");
        let name = function["FunctionName"].as_str().unwrap();
        let function = format!("arn:aws:lambda:us-east-1:111122223333:function:{name}");
        assert_eq!(
            secrets["Condition"],
            json!({"StringEquals": {"secretsmanager:resource/AllowRotationLambdaArn": function}})
        );
        let rest: Vec<&&Value> =
            statements.iter().filter(|one| one["Condition"].is_null()).collect();
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0]["Resource"], format!("{id}Logs.Arn"));
    }
}

#[tokio::test]
async fn what_is_called_is_what_is_allowed() {
    let Some(resources) = with(&[]) else { return };
    let Some(calls) = recorded().await else { return };
    let called: Vec<String> = calls.iter().map(|call| format!("secretsmanager:{call}")).collect();
    let called: BTreeSet<&str> = called.iter().map(String::as_str).collect();
    for (id, _) in functions(&resources) {
        assert_eq!(allowed(&statements(&resources, id), "secretsmanager"), called, "{id}");
    }
    let keys =
        "arn:aws:kms:us-east-1:111122223333:key/one,arn:aws:kms:us-east-1:111122223333:key/two";
    let resources = with(&[("KmsKeyArns", keys)]).unwrap();
    let needed: BTreeSet<&str> = KMS
        .iter()
        .filter(|(call, _)| calls.contains(call))
        .flat_map(|(_, actions)| actions.iter().copied())
        .collect();
    for (id, _) in functions(&resources) {
        assert_eq!(allowed(&statements(&resources, id), "kms"), needed);
        assert_eq!(allowed(&statements(&resources, id), "secretsmanager"), called);
    }
    // The role that another account's secrets are reached by.
    let example = include_str!("../../../examples/secrets-of-another-account.yaml");
    let lines = || example.lines().map(str::trim);
    let secrets = lines().filter_map(|line| line.strip_prefix("- "));
    let secrets = secrets.filter(|action| action.starts_with("secretsmanager:"));
    assert_eq!(secrets.collect::<BTreeSet<_>>(), called);
    let keys = lines().filter_map(|line| line.strip_prefix("Action: [")?.strip_suffix(']'));
    assert_eq!(keys.flat_map(|line| line.split(", ")).collect::<BTreeSet<_>>(), needed);
}

/// GetCallerIdentity needs no permission, and a user's own key makes it.
#[tokio::test]
async fn what_rotate_iam_calls_is_what_its_parameter_allows() {
    let user = "arn:aws:iam::111122223333:user/app";
    let Some(resources) = with(&[EVERY, ("IamUserArns", user)]) else { return };
    if !crate::iam::has_credentials() {
        return;
    }
    let all = statements(&resources, "RotateIam");
    let allowed = ["iam", "secretsmanager"].map(|service| allowed(&all, service));
    let allowed: BTreeSet<String> = allowed.into_iter().flatten().map(str::to_owned).collect();
    let mut called = crate::iam::calls().await;
    assert!(called.remove("GetCallerIdentity"));
    let action = |call: &&str| match call.contains("AccessKey") {
        true => format!("iam:{call}"),
        false => format!("secretsmanager:{call}"),
    };
    assert_eq!(called.iter().map(action).collect::<BTreeSet<String>>(), allowed);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tells_a_bus_is_what_its_parameter_allows() {
    let Some(resources) = with(&[EVERY, ("RotationEventBus", "rotations")]) else { return };
    let Some((mut called, bus)) = crate::event_bus::recorded().await else { return };
    let Some(rotation) = recorded().await else { return };
    called.retain(|call| !rotation.contains(call.as_str()));
    let called: BTreeSet<String> = called.iter().map(|call| format!("events:{call}")).collect();
    for (id, function) in functions(&resources) {
        let all = statements(&resources, id);
        let on = allow(&all).filter(|(action, _)| action.starts_with("events:"));
        let (allowed, on): (BTreeSet<_>, Vec<_>) =
            on.map(|(action, on)| (action.to_owned(), on)).unzip();
        assert_eq!(allowed, called, "{id}");
        let arn = json!(format!("arn:aws:events:us-east-1:111122223333:event-bus/{bus}"));
        assert_eq!(on, [&arn], "{id}");
        assert_eq!(function["Environment"]["Variables"]["ROTATION_EVENT_BUS"], bus.as_str());
    }
}

/// Whether a parameter adds to a function's role.
pub(super) fn concerns(parameter: &str, function: &str) -> bool {
    match parameter {
        // Databases' admins are none of a vendor's business, and the other way round; IAM is asked as the role.
        "AdminSecretArns" => function != "RotateApi" && function != "RotateIam",
        "ApiAdminSecretArns" => function == "RotateApi",
        // No proxy stands in front of the others.
        "ProxySecretArns" => function == "RotatePostgres" || function == "RotateMysql",
        // Nobody else has users that an API manages.
        "ManagedUserArns" => function == "RotateRedis",
        "IamUserArns" => function == "RotateIam",
        _ => true,
    }
}

/// What a parameter adds to the roles, and to what; nothing else changes.
#[test]
fn a_permission_is_there_only_if_its_parameter_is() {
    let Some(plain) = with(&[EVERY]) else { return };
    let admin = "arn:aws:secretsmanager:us-east-1:111122223333:secret:admin-AbCdEf";
    let key = "arn:aws:kms:us-east-1:111122223333:key/one";
    let user = "arn:aws:elasticache:us-east-1:111122223333:user:app";
    let iam = "arn:aws:iam::111122223333:user/app";
    let role = "arn:aws:iam::444455556666:role/rotation";
    let bus = "arn:aws:events:us-east-1:111122223333:event-bus/rotations";
    for (changed, action, resource) in [
        (&[("AdminSecretArns", admin)][..], "secretsmanager:GetSecretValue", json!([admin])),
        (&[("ProxySecretArns", admin)][..], "secretsmanager:PutSecretValue", json!([admin])),
        (&[("ManagedUserArns", user)][..], "elasticache:ModifyUser", json!([user])),
        (&[("IamUserArns", iam)][..], "iam:CreateAccessKey", json!([iam])),
        (&[("ApiAdminSecretArns", admin)][..], "secretsmanager:GetSecretValue", json!([admin])),
        (&[("KmsKeyArns", key)][..], "kms:Decrypt", json!([key])),
        (&[("SecretsRoleArn", role)][..], "sts:AssumeRole", json!(role)),
        (&[("RotationEventBus", "rotations")][..], "events:PutEvents", json!(bus)),
        (&VPC[..], "ec2:CreateNetworkInterface", json!("*")),
    ] {
        let resources = with(&[changed, &[EVERY]].concat()).unwrap();
        assert_eq!(of_type(&resources, "AWS::IAM::ManagedPolicy").len(), 1, "{action}");
        for (id, _) in functions(&resources) {
            let own = statements(&plain, id);
            let all = statements(&resources, id);
            let added: Vec<&Value> = all.into_iter().filter(|one| !own.contains(one)).collect();
            let whose = changed[0].0;
            if !concerns(whose, id) {
                assert!(added.is_empty(), "{id} {added:?}");
                continue;
            }
            assert_eq!(added[0]["Resource"], resource);
            assert!(listed(&added[0]["Action"]).contains(&action), "{added:?}");
            let rest = added[1..].iter().filter(|statement| statement["Effect"] != "Deny");
            let rest: Vec<_> = rest.flat_map(|statement| listed(&statement["Action"])).collect();
            // Which database a secret that RDS or Redshift manages is of: what they are asked (`rds/aws.rs`,
            // `rds/serverless.rs`).
            let finds = [
                "rds:DescribeBlueGreenDeployments",
                "rds:DescribeDBClusters",
                "rds:DescribeDBInstances",
                "redshift-serverless:GetNamespace",
                "redshift-serverless:GetWorkgroup",
            ];
            assert_eq!(rest, if whose == "AdminSecretArns" { &finds[..] } else { &[] });
        }
    }
    let resources = with(&[("KmsKeyArns", key)]).unwrap();
    let (_, policy) = of_type(&resources, "AWS::IAM::ManagedPolicy")[0];
    assert_eq!(
        policy["PolicyDocument"]["Statement"][0]["Condition"],
        json!({"StringEquals": {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"}})
    );
}

/// The role's account is whose Secrets Manager calls, and nobody else's may.
#[test]
fn the_secrets_of_another_account_come_with_its_secrets_manager() {
    let role = "arn:aws:iam::444455556666:role/rotation";
    let changed = [("SecretsRoleArn", role), ("SecretsRoleExternalId", "shop")];
    let Some(resources) = with(&changed) else { return };
    for (id, function) in functions(&resources) {
        let permission = &resources[&format!("{id}Permission")]["Properties"];
        assert_eq!(permission["SourceAccount"], "444455556666");
        let variables = &function["Environment"]["Variables"];
        assert_eq!(variables["SECRETS_ROLE_ARN"], role);
        assert_eq!(variables["SECRETS_ROLE_EXTERNAL_ID"], "shop");
    }
    let broken = template(&changed[1..]).unwrap();
    assert_eq!(broken.broken_rules(), ["ExternalIdHasRole"]);
    assert!(template(&changed).unwrap().broken_rules().is_empty());
}
