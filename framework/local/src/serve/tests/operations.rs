//! Each operation's own rules, in AWS's names and texts.

use super::*;
use crate::serve::operations::OPERATIONS;

/// The operations of the API reference before there were copies in other accounts.
const REFERENCE: [&str; 23] = [
    "BatchGetSecretValue",
    "CancelRotateSecret",
    "CreateSecret",
    "DeleteResourcePolicy",
    "DeleteSecret",
    "DescribeSecret",
    "GetRandomPassword",
    "GetResourcePolicy",
    "GetSecretValue",
    "ListSecretVersionIds",
    "ListSecrets",
    "PutResourcePolicy",
    "PutSecretValue",
    "RemoveRegionsFromReplication",
    "ReplicateSecretToRegions",
    "RestoreSecret",
    "RotateSecret",
    "StopReplicationToReplica",
    "TagResource",
    "UntagResource",
    "UpdateSecret",
    "UpdateSecretVersionStage",
    "ValidateResourcePolicy",
];

/// A call that is signed for a Region.
async fn from(server: &Server, region: &str, operation: &str, body: Value) -> Reply {
    let signature = format!("AWS4-HMAC-SHA256 Credential=key/20260101/{region}/secretsmanager/x");
    let target = format!("secretsmanager.{operation}\r\nauthorization: {signature}");
    raw(server, &target, &body.to_string()).await.unwrap()
}

async fn ok(server: &Server, operation: &str, body: Value) -> Value {
    let reply = call(server, operation, body).await;
    assert_eq!(reply.status, 200, "{operation}: {}", reply.body);
    reply.body
}

fn statuses(body: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = body["ReplicationStatus"].as_array().cloned().unwrap_or_default();
    let row = |row: &Value| format!("{} {}", text(&row["Region"]), text(&row["Status"]));
    rows.iter().map(row).collect()
}

#[tokio::test]
async fn every_operation_of_the_reference_is_served_and_another_is_refused_by_its_name() {
    for name in REFERENCE {
        assert!(OPERATIONS.contains(&name), "{name}");
    }
    let server = created().await;
    for operation in OPERATIONS {
        let reply = call(&server, operation, json!({})).await;
        assert_ne!(reply.body["__type"], "UnknownOperationException", "{operation}");
    }
    let long = "x".repeat(70);
    for (target, named) in [
        ("secretsmanager.ListSecretz", "does not have ListSecretz; it has: CreateSecret, "),
        ("secretsmanager.<b>\"$(a)\"", "does not have ba; "),
        ("kms.Encrypt", "does not have kmsEncrypt; "),
        ("", "does not have an operation without a name; "),
        (&long, &format!("does not have {}; ", "x".repeat(64))),
    ] {
        let reply = raw(&server, target, "{}").await.unwrap();
        let (name, message) = reply.error();
        assert_eq!(name, "UnknownOperationException");
        assert!(message.contains(named), "{message}");
    }
}

fn policy(effect: &str, principal: Value, condition: Value) -> Value {
    let mut statement = json!({"Effect": effect, "Action": "secretsmanager:*", "Resource": "*"});
    statement["Principal"] = principal;
    if !condition.is_null() {
        statement["Condition"] = condition;
    }
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

#[tokio::test]
async fn a_policy_is_kept_as_it_was_put_until_it_is_deleted() {
    let server = created().await;
    let id = || json!({"SecretId": "app/db"});
    // Blanks and all: Terraform compares texts.
    let text = policy("Allow", json!({"AWS": "000000000000"}), Value::Null).to_string() + " ";
    let put = json!({"SecretId": "app/db", "ResourcePolicy": text, "BlockPublicPolicy": true});
    assert_eq!(ok(&server, "PutResourcePolicy", put).await["PolicyName"], "default");
    assert_eq!(ok(&server, "GetResourcePolicy", id()).await["ResourcePolicy"], json!(text));
    let names = ok(&server, "ListResourcePolicies", id()).await;
    assert_eq!(names["ResourcePolicies"], json!([{"PolicyName": "default"}]));
    for (operation, name) in [
        ("PutResourcePolicy", "InvalidParameterException"),
        ("DeleteResourcePolicy", "InvalidParameterException"),
        ("GetResourcePolicy", "ResourceNotFoundException"),
    ] {
        let body = json!({"SecretId": "app/db", "PolicyName": "other", "ResourcePolicy": text});
        assert_eq!(refused(&server, operation, body).await.0, name, "{operation}");
    }
    for _ in 0..2 {
        ok(&server, "DeleteResourcePolicy", id()).await;
    }
    assert!(ok(&server, "GetResourcePolicy", id()).await.get("ResourcePolicy").is_none());
    assert_eq!(refused(&server, "PutResourcePolicy", id()).await.0, "ValidationException");
}

#[tokio::test]
async fn a_policy_is_judged_as_aws_judges_it() {
    let server = created().await;
    let fixed = || json!({"StringEquals": {"aws:SourceAccount": "000000000000"}});
    let user = "arn:aws:iam::000000000000:user/a";
    let (malformed, public) = ("MalformedPolicyDocumentException", "PublicPolicyException");
    let mut no_action = policy("Allow", json!("*"), Value::Null);
    no_action["Statement"][0]["Action"].take();
    no_action["Statement"][0].as_object_mut().unwrap().remove("Action");
    for (policy, error, words) in [
        (json!("{"), malformed, "contains a syntax error"),
        (json!([]), malformed, "contains a syntax error"),
        (json!({"Statement": []}), malformed, "contains a syntax error"),
        (json!({"Version": "2020-01-01", "Statement": [{}]}), malformed, "a syntax error"),
        (policy("AllowSomething", json!("*"), Value::Null), malformed, "a syntax error"),
        (policy("Allow", json!("somebody"), Value::Null), malformed, "a syntax error"),
        (no_action, malformed, "a syntax error"),
        (policy("Allow", json!({"AWS": "me"}), Value::Null), malformed, "unsupported principal"),
        (policy("Allow", json!({"Service": "me"}), Value::Null), malformed, "invalid service"),
        (policy("Allow", json!("*"), Value::Null), public, "broad access"),
        (policy("Allow", json!({"AWS": [user, "*"]}), Value::Null), public, "broad access"),
        (
            policy("Allow", json!("*"), json!({"StringLike": {"aws:SourceArn": "arn:*"}})),
            public,
            "broad access",
        ),
        (policy("Allow", json!("*"), fixed()), "", ""),
        (policy("Deny", json!("*"), Value::Null), "", ""),
        (policy("Allow", json!({"AWS": [user]}), Value::Null), "", ""),
        (policy("Allow", json!({"Service": "rds.amazonaws.com"}), Value::Null), "", ""),
    ] {
        let text = policy.as_str().map_or_else(|| policy.to_string(), str::to_owned);
        let body = |block: bool| json!({"SecretId": "app/db", "ResourcePolicy": text, "BlockPublicPolicy": block});
        let reply = call(&server, "PutResourcePolicy", body(true)).await;
        match error {
            "" => assert_eq!(reply.status, 200, "{text}: {}", reply.body),
            _ => {
                let (name, message) = reply.error();
                assert_eq!(name, error, "{text}");
                assert!(message.contains(words), "{message}");
            }
        }
        // By default a policy may let everybody in.
        let put = call(&server, "PutResourcePolicy", body(false)).await;
        assert_eq!(put.status == 200, error != malformed, "{text}");
        let judged = call(&server, "ValidateResourcePolicy", body(false)).await;
        assert_eq!(judged.status == 200, error != malformed, "{text}");
        if judged.status == 200 {
            assert_eq!(judged.body["PolicyValidationPassed"], json!(error.is_empty()), "{text}");
            let errors = judged.body["ValidationErrors"].as_array().unwrap().len();
            assert_eq!(errors, usize::from(!error.is_empty()));
        }
    }
}

#[tokio::test]
async fn a_copy_is_the_secret_as_its_region_sees_it() {
    let server = started(None).await;
    let new = json!({"Name": "app/db", "SecretString": "one", "ClientRequestToken": ONE,
        "KmsKeyId": "alias/app", "AddReplicaRegions": [{"Region": "eu-west-1", "KmsKeyId": "alias/eu"}]});
    let made = from(&server, "us-west-2", "CreateSecret", new).await.body;
    assert_eq!(statuses(&made), ["eu-west-1 InSync"]);
    let arn = made["ARN"].as_str().unwrap();
    assert!(arn.starts_with("arn:aws:secretsmanager:us-west-2:"), "{arn}");
    let id = || json!({"SecretId": "app/db"});
    let there = arn.replace("us-west-2", "eu-west-1");
    let copy = from(&server, "eu-west-1", "DescribeSecret", id()).await.body;
    assert_eq!((&copy["ARN"], &copy["KmsKeyId"]), (&json!(there), &json!("alias/eu")));
    assert_eq!(
        (&copy["PrimaryRegion"], copy.get("ReplicationStatus")),
        (&json!("us-west-2"), None)
    );
    // Its value is the primary's at every moment.
    ok(
        &server,
        "PutSecretValue",
        json!({"SecretId": arn, "SecretString": "two", "ClientRequestToken": TWO}),
    )
    .await;
    let read = from(&server, "eu-west-1", "GetSecretValue", id()).await.body;
    assert_eq!((&read["ARN"], &read["SecretString"]), (&json!(there), &json!("two")));
    let by_arn = ok(&server, "GetSecretValue", json!({"SecretId": there})).await;
    assert_eq!(by_arn["ARN"], json!(there));
    let primary = ok(&server, "DescribeSecret", id()).await;
    assert!(primary.get("LastAccessedDate").is_none(), "read in the other Region only");
    assert!(primary["ReplicationStatus"][0]["LastAccessedDate"].is_number(), "{primary}");
    assert_eq!(primary["PrimaryRegion"], "us-west-2");
    for operation in ["PutSecretValue", "DeleteSecret", "TagResource", "RotateSecret"] {
        let reply = from(&server, "eu-west-1", operation, id()).await;
        let text = "Operation not permitted on a replica secret. Call must be made in primary \
                    secret's region.";
        assert_eq!(reply.error(), ("InvalidParameterException", text), "{operation}");
    }
    let listed = from(&server, "eu-west-1", "ListSecrets", json!({})).await.body;
    assert_eq!(listed["SecretList"][0]["ARN"], json!(there));
}

#[tokio::test]
async fn regions_are_added_removed_and_let_go() {
    let server = created().await;
    let id = || json!({"SecretId": "app/db"});
    let arn = ok(&server, "DescribeSecret", id()).await["ARN"].as_str().unwrap().to_owned();
    let add = |regions: &[&str]| {
        let regions: Vec<_> = regions.iter().map(|region| json!({"Region": region})).collect();
        json!({"SecretId": "app/db", "AddReplicaRegions": regions})
    };
    for (regions, name) in [
        (vec!["eu-west-1", "us-east-1"], "InvalidParameterException"),
        (vec!["Europe"], "ValidationException"),
        (vec![], "ValidationException"),
    ] {
        assert_eq!(refused(&server, "ReplicateSecretToRegions", add(&regions)).await.0, name);
    }
    assert!(statuses(&ok(&server, "DescribeSecret", id()).await).is_empty(), "all or none");
    let added = ok(&server, "ReplicateSecretToRegions", add(&["eu-west-1", "eu-west-3"])).await;
    assert_eq!(statuses(&added), ["eu-west-1 InSync", "eu-west-3 InSync"]);
    assert_eq!(added["ReplicationStatus"][0]["KmsKeyId"], "alias/aws/secretsmanager");
    let kept = refused(&server, "DeleteSecret", id()).await;
    let text = format!(
        "You can't delete secret {arn} that still has replica regions [eu-west-1, eu-west-3]."
    );
    assert_eq!(kept, ("InvalidParameterException".into(), text));
    assert_eq!(
        refused(&server, "StopReplicationToReplica", id()).await.0,
        "InvalidParameterException"
    );
    // It is a secret of its own then: found by name in its Region, and by its ARN.
    let stopped = from(&server, "eu-west-1", "StopReplicationToReplica", id()).await.body;
    let there = arn.replace("us-east-1", "eu-west-1");
    assert_eq!(stopped, json!({"ARN": there}));
    let put = json!({"SecretId": "app/db", "SecretString": "own", "ClientRequestToken": TWO});
    assert_eq!(from(&server, "eu-west-1", "PutSecretValue", put).await.status, 200);
    assert_eq!(ok(&server, "GetSecretValue", id()).await["SecretString"], CANARY);
    let own = ok(&server, "GetSecretValue", json!({"SecretId": there})).await;
    assert_eq!(own["SecretString"], "own");
    let failed = ok(&server, "ReplicateSecretToRegions", add(&["eu-west-1"])).await;
    assert_eq!(statuses(&failed), ["eu-west-1 Failed", "eu-west-3 InSync"]);
    let mut over = add(&["eu-west-1"]);
    over["ForceOverwriteReplicaSecret"] = json!(true);
    let forced = ok(&server, "ReplicateSecretToRegions", over).await;
    assert_eq!(statuses(&forced), ["eu-west-1 InSync", "eu-west-3 InSync"]);
    let read = from(&server, "eu-west-1", "GetSecretValue", id()).await.body;
    assert_eq!(read["SecretString"], CANARY);
    let gone = json!({"SecretId": "app/db", "RemoveReplicaRegions": ["eu-west-1", "eu-west-3"]});
    let gone = ok(&server, "RemoveRegionsFromReplication", gone).await;
    assert_eq!(gone, json!({"ARN": arn, "ReplicationStatus": []}));
    ok(&server, "DeleteSecret", id()).await;
}
