//! `fourstep serve`, used as people use it: through the AWS CLI and boto3.

mod doors;
mod invoked;
mod kept;
mod scheduled;
mod serving;

use std::process::Stdio;
use std::time::Duration;

use fourstep::store::StoreErrorCode;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::store::CommandLine;
use crate::support::postgres::server;
use crate::support::program::binary;
use crate::support::skip;
use crate::support::stage::{FUNCTION, new_token};

/// A running `fourstep serve`, stopped when dropped.
struct Serving {
    _child: Child,
    url: String,
    aws: CommandLine,
}

async fn serve(arguments: &[&str]) -> Option<Serving> {
    let mut child = Command::new(binary("fourstep"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next_line().await.unwrap().unwrap();
    let url = first.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
    let url = url.trim_end_matches('.').to_owned();
    let aws = CommandLine::find(&url)?;
    Some(Serving { _child: child, url, aws })
}

impl Serving {
    async fn ok(&self, operation: &str, input: Value) -> Value {
        self.aws.run(operation, &input).await.unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    async fn code(&self, operation: &str, input: Value) -> StoreErrorCode {
        self.aws.run(operation, &input).await.unwrap_err().code
    }
}

#[tokio::test]
async fn every_operation_works_from_the_aws_cli() {
    let Some(serving) = serve(&[]).await else { return };
    let created = serving
        .ok(
            "create-secret",
            json!({"Name": "app/db", "SecretString": "one", "Tags": [{"Key": "k", "Value": "v"}]}),
        )
        .await;
    let arn = created["ARN"].as_str().unwrap();
    assert!(
        arn.starts_with("arn:aws:secretsmanager:us-east-1:000000000000:secret:app/db-"),
        "{arn}"
    );
    let first = created["VersionId"].as_str().unwrap();
    let code = serving.code("create-secret", json!({"Name": "app/db", "SecretString": "x"})).await;
    assert_eq!(code, StoreErrorCode::AlreadyExists);

    serving
        .ok("tag-resource", json!({"SecretId": arn, "Tags": [{"Key": "team", "Value": "blue"}]}))
        .await;
    let put =
        serving.ok("put-secret-value", json!({"SecretId": "app/db", "SecretString": "two"})).await;
    let second = put["VersionId"].as_str().unwrap();
    assert_eq!(put["VersionStages"], json!(["AWSCURRENT"]));
    let read = serving.ok("get-secret-value", json!({"SecretId": "app/db"})).await;
    assert_eq!((&read["SecretString"], &read["VersionId"]), (&json!("two"), &json!(second)));

    let moved = json!({"SecretId": arn, "VersionStage": "AWSCURRENT", "MoveToVersionId": first, "RemoveFromVersionId": second});
    serving.ok("update-secret-version-stage", moved).await;
    let listed = serving.ok("list-secret-version-ids", json!({"SecretId": arn})).await;
    assert_eq!(listed["Versions"].as_array().unwrap().len(), 2);

    // No function was ever named.
    let code = serving.code("rotate-secret", json!({"SecretId": arn})).await;
    assert_eq!(code, StoreErrorCode::InvalidRequest);
    let token = new_token();
    let rotate = json!({"SecretId": arn, "RotationLambdaARN": FUNCTION, "ClientRequestToken": token.as_str(),
        "RotationRules": {"AutomaticallyAfterDays": 30}});
    assert_eq!(serving.ok("rotate-secret", rotate).await["VersionId"], json!(token.as_str()));
    let described = serving.ok("describe-secret", json!({"SecretId": arn})).await;
    assert_eq!(described["VersionIdsToStages"][token.as_str()], json!(["AWSPENDING"]));
    assert_eq!(described["RotationEnabled"], json!(true));
    let empty = json!({"SecretId": arn, "VersionStage": "AWSPENDING"});
    assert_eq!(serving.code("get-secret-value", empty).await, StoreErrorCode::NotFound);
    // A rotation that is not complete blocks the next one.
    assert_eq!(
        serving.code("rotate-secret", json!({"SecretId": arn})).await,
        StoreErrorCode::InvalidRequest
    );
    let cancelled = serving.ok("cancel-rotate-secret", json!({"SecretId": arn})).await;
    assert_eq!(cancelled["VersionId"], json!(token.as_str()));

    serving.ok("delete-secret", json!({"SecretId": arn, "RecoveryWindowInDays": 7})).await;
    assert_eq!(
        serving.code("get-secret-value", json!({"SecretId": arn})).await,
        StoreErrorCode::InvalidRequest
    );
    serving.ok("delete-secret", json!({"SecretId": arn, "ForceDeleteWithoutRecovery": true})).await;
    assert_eq!(
        serving.code("describe-secret", json!({"SecretId": arn})).await,
        StoreErrorCode::NotFound
    );
}

/// In the order in which Terraform's provider creates, reads anew, changes and destroys a secret and its
/// value, and with what else scripts and operators of clusters ask.
#[tokio::test]
async fn what_terraform_and_other_tools_call_works_from_the_aws_cli() {
    let Some(serving) = serve(&[]).await else { return };
    let token = new_token();
    let new =
        json!({"Name": "app/db", "Description": "orders", "ForceOverwriteReplicaSecret": false});
    let arn = serving.ok("create-secret", new).await["ARN"].clone();
    let id = json!({ "SecretId": arn });
    let nothing = serving.ok("describe-secret", id.clone()).await;
    assert_eq!(nothing["VersionIdsToStages"].as_object().map_or(0, serde_json::Map::len), 0);
    assert_eq!(serving.code("get-secret-value", id.clone()).await, StoreErrorCode::NotFound);
    let policy = serving.ok("get-resource-policy", id.clone()).await;
    assert_eq!((&policy["ARN"], policy.get("ResourcePolicy")), (&arn, None));

    let value =
        json!({"SecretId": arn, "SecretString": "one", "ClientRequestToken": token.as_str()});
    serving.ok("put-secret-value", value.clone()).await;
    // As after a lost answer.
    serving.ok("put-secret-value", value).await;
    let read = json!({"SecretId": arn, "VersionId": token.as_str(), "VersionStage": "AWSCURRENT"});
    assert_eq!(serving.ok("get-secret-value", read).await["SecretString"], "one");

    let tags = json!({"SecretId": arn, "Tags": [{"Key": "team", "Value": "a"}, {"Key": "k", "Value": "v"}]});
    serving.ok("tag-resource", tags).await;
    serving.ok("untag-resource", json!({"SecretId": arn, "TagKeys": ["k"]})).await;
    let update = json!({"SecretId": arn, "Description": "shop", "KmsKeyId": "alias/app"});
    let updated = serving.ok("update-secret", update).await;
    assert!(updated.get("VersionId").is_none(), "no value was given: {updated}");
    let described = serving.ok("describe-secret", id.clone()).await;
    assert_eq!(
        (&described["Description"], &described["KmsKeyId"], &described["Tags"]),
        (&json!("shop"), &json!("alias/app"), &json!([{"Key": "team", "Value": "a"}]))
    );
    let changed = json!({"SecretId": "app/db", "SecretString": "two"});
    assert!(serving.ok("update-secret", changed).await["VersionId"].is_string());

    let filters = json!({"Filters": [{"Key": "name", "Values": ["app/"]}, {"Key": "tag-key", "Values": ["team"]}]});
    assert_eq!(serving.ok("list-secrets", filters.clone()).await["SecretList"][0]["ARN"], arn);
    let several =
        serving.ok("batch-get-secret-value", json!({"SecretIdList": ["app/db", "app/none"]})).await;
    assert_eq!(several["SecretValues"][0]["SecretString"], "two");
    assert_eq!(several["Errors"][0]["SecretId"], "app/none");
    let drawn = json!({"PasswordLength": 20, "ExcludePunctuation": true});
    let drawn = serving.ok("get-random-password", drawn).await;
    assert_eq!(drawn["RandomPassword"].as_str().map(str::len), Some(20));

    serving.ok("delete-secret", json!({"SecretId": arn, "RecoveryWindowInDays": 30})).await;
    // Terraform asks until the secret is gone, and takes this date for it.
    assert!(!serving.ok("describe-secret", id.clone()).await["DeletedDate"].is_null());
    assert_eq!(serving.ok("list-secrets", filters).await["SecretList"], json!([]));
    serving.ok("restore-secret", id.clone()).await;
    assert_eq!(serving.ok("get-secret-value", id).await["SecretString"], "two");
}

/// Every operation that `every_operation_works_from_the_aws_cli` does not play for itself.
#[tokio::test]
async fn copies_policies_dates_lists_and_passwords_work_from_the_aws_cli() {
    let Some(serving) = serve(&[]).await else { return };
    let region = |name: &str| json!([{ "Region": name }]);
    let new =
        json!({"Name": "app/db", "SecretString": "one", "AddReplicaRegions": region("eu-west-1")});
    let made = serving.ok("create-secret", new).await;
    assert_eq!(made["ReplicationStatus"][0]["Status"], "InSync");
    let id = json!({"SecretId": made["ARN"]});
    let with = |field: &str, value: Value| {
        let mut body = id.clone();
        body[field] = value;
        body
    };
    let more = with("AddReplicaRegions", region("eu-west-3"));
    let more = serving.ok("replicate-secret-to-regions", more).await;
    assert_eq!(more["ReplicationStatus"].as_array().map(Vec::len), Some(2));
    let kept = serving.code("delete-secret", id.clone()).await;
    assert_eq!(kept, StoreErrorCode::InvalidParameter);
    let copy = made["ARN"].as_str().unwrap().replace("us-east-1", "eu-west-1");
    let copy = json!({ "SecretId": copy });
    assert_eq!(serving.ok("get-secret-value", copy.clone()).await["ARN"], copy["SecretId"]);
    let refused = serving
        .code("put-secret-value", json!({"SecretId": copy["SecretId"], "SecretString": "x"}));
    assert_eq!(refused.await, StoreErrorCode::InvalidParameter);
    let stopped = serving.ok("stop-replication-to-replica", copy.clone()).await;
    assert_eq!(stopped["ARN"], copy["SecretId"]);
    let left = with("RemoveReplicaRegions", json!(["eu-west-3"]));
    let left = serving.ok("remove-regions-from-replication", left).await;
    assert_eq!(left["ReplicationStatus"], json!([]));

    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*",
        "Principal": {"AWS": "000000000000"}, "Action": "secretsmanager:GetSecretValue"}]});
    let policy = policy.to_string();
    serving.ok("put-resource-policy", with("ResourcePolicy", json!(policy))).await;
    let read = serving.ok("get-resource-policy", id.clone()).await;
    assert_eq!(read["ResourcePolicy"], json!(policy));
    let judged = with("ResourcePolicy", json!(policy));
    let judged = serving.ok("validate-resource-policy", judged).await;
    assert_eq!(judged["PolicyValidationPassed"], json!(true));
    serving.ok("delete-resource-policy", id.clone()).await;
    let read = serving.ok("get-resource-policy", id.clone()).await;
    assert!(read.get("ResourcePolicy").is_none(), "{read}");

    let mut rotate = with("RotationLambdaARN", json!(FUNCTION));
    rotate["RotationRules"] =
        json!({"ScheduleExpression": "cron(0 3 ? * SUN *)", "Duration": "3h"});
    serving.ok("rotate-secret", rotate).await;
    let described = serving.ok("describe-secret", id.clone()).await;
    assert!(!described["NextRotationDate"].is_null(), "{described}");
    assert!(described.get("LastAccessedDate").is_none(), "only the copy was read: {described}");
    let list = json!({"Filters": [{"Key": "all", "Values": ["DB"]}], "SortOrder": "desc"});
    assert_eq!(
        serving.ok("list-secrets", list).await["SecretList"].as_array().map(Vec::len),
        Some(2)
    );
    let batch = json!({"Filters": [{"Key": "name", "Values": ["!other"]}], "MaxResults": 1});
    let batch = serving.ok("batch-get-secret-value", batch).await;
    assert_eq!(batch["SecretValues"].as_array().map(Vec::len), Some(1));
    let spaces = json!({"ExcludeLowercase": true, "ExcludeUppercase": true, "ExcludeNumbers": true,
        "ExcludePunctuation": true, "IncludeSpace": true, "PasswordLength": 4});
    assert_eq!(serving.ok("get-random-password", spaces).await["RandomPassword"], "    ");
}

/// A script of boto3's, which has classes of exceptions, dates and pages of its own.
async fn boto3(script: &str, arguments: &[&str]) {
    let Ok(python) = std::env::var("FOURSTEP_TEST_BOTO3_PYTHON") else {
        return skip("FOURSTEP_TEST_BOTO3_PYTHON");
    };
    let output = Command::new(python).args(["-c", script]).args(arguments).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && output.stdout == b"as AWS\n", "{said}");
}

#[tokio::test]
async fn what_scripts_in_python_call_works_from_boto3() {
    let Some(serving) = serve(&[]).await else { return };
    boto3(include_str!("boto3_client.py"), &[&serving.url]).await;
}

#[tokio::test]
async fn the_rules_of_each_operation_hold_from_boto3() {
    let Some(serving) = serve(&[]).await else { return };
    boto3(include_str!("boto3_operations.py"), &[&serving.url, "serve"]).await;
}

/// The same rules at a Secrets Manager that others wrote, but those that it is known not to keep.
#[tokio::test]
async fn the_rules_of_each_operation_hold_at_moto() {
    let Ok(url) = std::env::var("FOURSTEP_TEST_MOTO") else { return skip("FOURSTEP_TEST_MOTO") };
    boto3(include_str!("boto3_operations.py"), &[&url, "moto"]).await;
}

#[tokio::test]
async fn what_terraform_calls_works_in_its_order_from_boto3() {
    let Some(serving) = serve(&[]).await else { return };
    boto3(include_str!("boto3_terraform.py"), &[&serving.url]).await;
}

/// Waits until a rotation has ended as `ended` says it should.
async fn wait(serving: &Serving, ended: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..60 {
        let described = serving.ok("describe-secret", json!({"SecretId": "app/db"})).await;
        if ended(&described) {
            return described;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("the rotation did not end");
}

#[tokio::test]
async fn with_a_rotator_the_steps_are_played_in_the_background() {
    let Some(server) = server() else { return };
    let user = server.user("served").await;
    let rotator = binary("rotate-postgres");
    let Some(serving) =
        serve(&["--rotator", rotator.to_str().unwrap(), "--pending-label", "left"]).await
    else {
        return;
    };
    let document = server.document(&user).to_string();
    serving.ok("create-secret", json!({"Name": "app/db", "SecretString": document})).await;

    // A schedule without a rotation: testSecret only, and the temporary version goes again.
    let rotate = |immediately: bool| {
        json!({"SecretId": "app/db", "RotationLambdaARN": FUNCTION, "RotateImmediately": immediately,
            "RotationRules": {"AutomaticallyAfterDays": 30}})
    };
    serving.ok("rotate-secret", rotate(false)).await;
    let tested = wait(&serving, |described| {
        described["VersionIdsToStages"].as_object().is_some_and(|stages| stages.len() == 1)
    })
    .await;
    assert_eq!(tested["RotationEnabled"], json!(true));
    assert!(server.logs_in(&user.name, &user.password).await);

    let answer = serving.ok("rotate-secret", rotate(true)).await;
    let version = answer["VersionId"].as_str().unwrap();
    let done = wait(&serving, |described| described.get("LastRotatedDate").is_some()).await;
    let mut labels = done["VersionIdsToStages"][version].as_array().unwrap().clone();
    labels.sort_by_key(ToString::to_string);
    assert_eq!(labels, [json!("AWSCURRENT"), json!("AWSPENDING")]);
    let read = serving.ok("get-secret-value", json!({"SecretId": "app/db"})).await;
    let current: Value = serde_json::from_str(read["SecretString"].as_str().unwrap()).unwrap();
    assert!(server.logs_in(&user.name, current["password"].as_str().unwrap()).await);
    assert!(!server.logs_in(&user.name, &user.password).await);
}
