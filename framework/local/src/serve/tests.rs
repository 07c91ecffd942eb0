//! The protocol as a plain HTTP client sees it.

use std::time::Duration;

use async_trait::async_trait;
use fourstep::store::{StoreError, StoreErrorCode};
use fourstep::{SecretId, VersionId};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::*;
use crate::{Fault, NewSecret, StartedRotation};

mod around;
mod lists;
mod operations;
mod properties;

const ONE: &str = "11111111-1111-4111-8111-111111111111";
const TWO: &str = "22222222-2222-4222-8222-222222222222";
const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:rotator";
/// No error may ever quote it.
const CANARY: &str = "canary-value";

struct Reply {
    status: u16,
    error_type: Option<String>,
    body: Value,
}

impl Reply {
    /// The error's name and message, checked to be told in the header as well.
    fn error(&self) -> (&str, &str) {
        let name = self.body["__type"].as_str().unwrap();
        assert_eq!(self.error_type.as_deref(), Some(name));
        (name, self.body["Message"].as_str().unwrap())
    }
}

async fn started(on_rotate: Option<Arc<dyn OnRotate>>) -> Server {
    let store = Arc::new(MemoryStore::new());
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    start(listen, store, on_rotate).await.unwrap()
}

/// One request on a connection of its own; `None` if no whole answer came back.
async fn raw(server: &Server, target: &str, body: &str) -> Option<Reply> {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-amz-target: {target}\r\n\
         content-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // The server may answer, and close, before it has read a body that is too large.
    let _sent = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _read = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let header = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim_start_matches(": ").to_owned())
    };
    let body = serde_json::from_str(body).ok()?;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Some(Reply { status, error_type: header("x-amzn-errortype"), body })
}

async fn call(server: &Server, operation: &str, body: Value) -> Reply {
    raw(server, &format!("secretsmanager.{operation}"), &body.to_string()).await.unwrap()
}

/// A call that must be refused: the error's name, and its message without the canary.
async fn refused(server: &Server, operation: &str, body: Value) -> (String, String) {
    let reply = call(server, operation, body).await;
    assert_eq!(reply.status, 400, "{}", reply.body);
    assert!(!reply.body.to_string().contains(CANARY), "{}", reply.body);
    let (name, message) = reply.error();
    (name.to_owned(), message.to_owned())
}

async fn created() -> Server {
    let server = started(None).await;
    let one = json!({"Name": "app/db", "SecretString": CANARY, "ClientRequestToken": ONE,
                     "Tags": [{"Key": "team", "Value": "a"}]});
    assert_eq!(call(&server, "CreateSecret", one).await.status, 200);
    server
}

#[tokio::test]
async fn a_rotation_over_http_in_the_shapes_of_aws() {
    let server = created().await;
    let id = json!("app/db");
    let rotate = json!({"SecretId": id, "ClientRequestToken": TWO, "RotationLambdaARN": FUNCTION,
                        "RotationRules": {"AutomaticallyAfterDays": 30}});
    assert_eq!(call(&server, "RotateSecret", rotate).await.body["VersionId"], TWO);
    let put = json!({"SecretId": id, "ClientRequestToken": TWO, "SecretString": "two",
                     "VersionStages": ["AWSPENDING"], "RotationToken": "r".repeat(36)});
    let put = call(&server, "PutSecretValue", put).await;
    assert_eq!(put.body["VersionStages"], json!(["AWSPENDING"]));
    let promote = json!({"SecretId": id, "VersionStage": "AWSCURRENT", "MoveToVersionId": TWO,
                         "RemoveFromVersionId": ONE});
    call(&server, "UpdateSecretVersionStage", promote).await;
    let detail = call(&server, "DescribeSecret", json!({"SecretId": id})).await.body;
    assert_eq!(
        detail["VersionIdsToStages"],
        json!({ONE: ["AWSPREVIOUS"], TWO: ["AWSCURRENT", "AWSPENDING"]})
    );
    assert_eq!(detail["RotationRules"], json!({"AutomaticallyAfterDays": 30}));
    assert_eq!(detail["RotationEnabled"], json!(true));
    assert_eq!(detail["Tags"], json!([{"Key": "team", "Value": "a"}]));
    assert!(detail["CreatedDate"].as_f64().unwrap() > 1.7e9);
    assert!(detail.get("LastRotatedDate").is_none());
    let read = call(&server, "GetSecretValue", json!({"SecretId": detail["ARN"]})).await.body;
    assert_eq!((&read["SecretString"], &read["VersionId"]), (&json!("two"), &json!(TWO)));
    let cancelled = call(&server, "CancelRotateSecret", json!({"SecretId": id})).await.body;
    assert!(cancelled.get("VersionId").is_none(), "{cancelled}");
    assert_eq!(server.calls()["UpdateSecretVersionStage"], 1);
}

#[tokio::test]
async fn binary_values_and_deprecated_versions() {
    let server = created().await;
    for token in [TWO, "33333333-3333-4333-8333-333333333333"] {
        let put = json!({"SecretId": "app/db", "ClientRequestToken": token,
                         "SecretBinary": "AP8="});
        assert_eq!(call(&server, "PutSecretValue", put).await.status, 200);
    }
    let read = call(&server, "GetSecretValue", json!({"SecretId": "app/db"})).await.body;
    assert_eq!((&read["SecretBinary"], read.get("SecretString")), (&json!("AP8="), None));
    for (deprecated, count) in [(false, 2), (true, 3)] {
        let list = json!({"SecretId": "app/db", "IncludeDeprecated": deprecated});
        let rows = call(&server, "ListSecretVersionIds", list).await.body["Versions"].clone();
        assert_eq!(rows.as_array().unwrap().len(), count);
    }
    let tag = json!({"SecretId": "app/db", "Tags": [{"Key": "team", "Value": "b"}]});
    call(&server, "TagResource", tag).await;
    let gone = json!({"SecretId": "app/db", "ForceDeleteWithoutRecovery": true});
    assert!(call(&server, "DeleteSecret", gone).await.body["DeletionDate"].is_number());
    let missing = refused(&server, "DescribeSecret", json!({"SecretId": "app/db"})).await;
    assert_eq!(missing.0, "ResourceNotFoundException");
}

#[tokio::test]
async fn limits_and_types_are_refused_without_quoting_a_value() {
    let server = created().await;
    let put = |key: &str, value: Value| {
        let mut body = json!({"SecretId": "app/db", "ClientRequestToken": TWO,
                              "SecretString": CANARY});
        body[key] = value;
        body
    };
    let labels: Vec<_> = (0..21).map(|number| format!("label{number}")).collect();
    for (body, name) in [
        (put("SecretId", json!("x".repeat(2049))), "ValidationException"),
        (put("SecretId", json!(null)), "ValidationException"),
        (put("SecretId", json!(7)), "SerializationException"),
        (put("ClientRequestToken", json!("x".repeat(31))), "InvalidParameterException"),
        (put("ClientRequestToken", json!("x".repeat(65))), "InvalidParameterException"),
        (put("SecretString", json!("")), "ValidationException"),
        (put("SecretString", json!(CANARY.repeat(6000))), "ValidationException"),
        (put("SecretString", json!({ CANARY: 1 })), "SerializationException"),
        (put("SecretString", json!(null)), "InvalidRequestException"),
        (put("SecretBinary", json!("AP8=")), "InvalidParameterException"),
        (put("VersionStages", json!([])), "ValidationException"),
        (put("VersionStages", json!(labels)), "ValidationException"),
        (put("VersionStages", json!(["x".repeat(257)])), "ValidationException"),
        (put("RotationToken", json!(CANARY)), "ValidationException"),
        (
            json!({"SecretId": "app/db", "ClientRequestToken": TWO, "SecretBinary": CANARY}),
            "SerializationException",
        ),
    ] {
        assert_eq!(refused(&server, "PutSecretValue", body.clone()).await.0, name, "{body}");
    }
    let largest = json!({"SecretId": "app/db", "ClientRequestToken": TWO,
                         "SecretString": "\u{1}".repeat(65_536)});
    assert_eq!(call(&server, "PutSecretValue", largest).await.status, 200);
}

#[tokio::test]
async fn a_missing_token_is_named_as_aws_does() {
    let server = created().await;
    let text = "You must provide a ClientRequestToken value. We recommend a UUID-type value.";
    for (operation, name) in [
        ("PutSecretValue", "InvalidRequestException"),
        ("RotateSecret", "InvalidParameterException"),
    ] {
        let body = json!({"SecretId": "app/db", "SecretString": "x"});
        assert_eq!(refused(&server, operation, body).await, (name.into(), text.into()));
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let server = created().await;
    let put = "secretsmanager.PutSecretValue";
    for (target, body, status, name) in [
        ("secretsmanager.AssociateCrossAccountReplica", "{}", 400, "UnknownOperationException"),
        ("DescribeSecret", "{}", 400, "UnknownOperationException"),
        (put, "{\"SecretString\": canary-value", 400, "SerializationException"),
        (put, "[]", 400, "SerializationException"),
        (put, "", 400, "SerializationException"),
    ] {
        let reply = raw(&server, target, body).await.unwrap();
        assert_eq!((reply.status, reply.error().0), (status, name), "{target} {body}");
        assert!(!reply.body.to_string().contains(CANARY));
    }
    assert_eq!(server.calls()["UnknownOperation"], 2);
    let huge = "x".repeat(LARGEST_BODY + 1);
    // The connection may break off before the client has read why.
    if let Some(reply) = raw(&server, put, &huge).await {
        assert_eq!(reply.status, 413);
    }
}

#[tokio::test]
async fn faults_of_the_store_reach_the_client() {
    let server = created().await;
    let describe = || call(&server, "DescribeSecret", json!({"SecretId": "app/db"}));
    for (code, status, name) in [
        (StoreErrorCode::Throttled, 400, "ThrottlingException"),
        (StoreErrorCode::Internal, 500, "InternalServiceError"),
        (StoreErrorCode::AccessDenied, 400, "AccessDeniedException"),
    ] {
        server.store().set_faults(move |_, _| Fault::Fail(StoreError::new(code, "on purpose")));
        let reply = describe().await;
        assert_eq!((reply.status, reply.error()), (status, (name, "on purpose")));
    }
    server.store().set_faults(|_, _| Fault::LoseAnswer);
    let put = json!({"SecretId": "app/db", "ClientRequestToken": TWO, "SecretString": "two"});
    let lost = raw(&server, "secretsmanager.PutSecretValue", &put.to_string()).await;
    assert!(lost.is_none());
    server.store().clear_faults();
    let read = call(&server, "GetSecretValue", json!({"SecretId": "app/db"})).await;
    assert_eq!(read.body["SecretString"], "two");
}

struct Told(mpsc::UnboundedSender<StartedRotation>);

#[async_trait]
impl OnRotate for Told {
    async fn rotation_started(&self, store: &Arc<MemoryStore>, rotation: StartedRotation) {
        let secret = SecretId::parse(&rotation.arn).unwrap();
        if rotation.test_only {
            store.end_test(&secret, &rotation.version).unwrap();
        }
        self.0.send(rotation).unwrap();
    }
}

#[tokio::test]
async fn the_one_who_plays_rotations_is_told() {
    let (sender, mut told) = mpsc::unbounded_channel();
    let server = started(Some(Arc::new(Told(sender)))).await;
    let new = NewSecret { value: Some(CANARY.into()), ..NewSecret::default() };
    server.store().create("app/db", new).unwrap();
    for (immediately, test_only) in [(false, true), (true, false)] {
        let rotate = json!({"SecretId": "app/db", "ClientRequestToken": TWO,
                            "RotationLambdaARN": FUNCTION, "RotateImmediately": immediately});
        assert_eq!(call(&server, "RotateSecret", rotate).await.status, 200);
        let rotation = told.recv().await.unwrap();
        assert_eq!((rotation.test_only, rotation.version.as_str()), (test_only, TWO));
    }
    let secret = SecretId::parse("app/db").unwrap();
    let labels = server.store().describe(&secret).unwrap().labels;
    assert_eq!(labels[&VersionId::from_store(TWO)], ["AWSPENDING"]);
}

#[tokio::test]
async fn a_stopped_server_listens_no_more() {
    let server = created().await;
    let address = server.address();
    // An idle connection does not hold it up.
    let _idle = TcpStream::connect(address).await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), server.stop()).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn what_scripts_and_other_tools_ask_besides_a_rotation() {
    let server = created().await;
    let named = |body: &Value| body["SecretList"][0]["Name"].clone();
    let update = json!({"SecretId": "app/db", "SecretString": "two", "ClientRequestToken": TWO,
                        "Description": "orders", "KmsKeyId": "alias/app"});
    assert_eq!(call(&server, "UpdateSecret", update).await.body["VersionId"], TWO);
    let detail = call(&server, "DescribeSecret", json!({"SecretId": "app/db"})).await.body;
    assert_eq!(
        (&detail["KmsKeyId"], &detail["Description"]),
        (&json!("alias/app"), &json!("orders"))
    );
    assert_eq!(detail["VersionIdsToStages"], json!({ONE: ["AWSPREVIOUS"], TWO: ["AWSCURRENT"]}));
    for (filter, found) in [
        (json!([]), true),
        (json!([{"Key": "name", "Values": ["app/"]}]), true),
        (json!([{"Key": "name", "Values": ["APP/"]}]), false),
        (json!([{"Key": "name", "Values": ["!app/"]}]), false),
        (
            json!([{"Key": "tag-key", "Values": ["te"]}, {"Key": "all", "Values": ["b", "ord"]}]),
            true,
        ),
        (json!([{"Key": "tag-value", "Values": ["z"]}]), false),
    ] {
        let listed = call(&server, "ListSecrets", json!({"Filters": filter})).await.body;
        assert_eq!(named(&listed) == "app/db", found, "{filter}: {listed}");
    }
    let several = json!({"SecretIdList": ["app/db", "app/none"]});
    let several = call(&server, "BatchGetSecretValue", several).await.body;
    assert_eq!(several["SecretValues"][0]["SecretString"], "two");
    assert_eq!(several["Errors"][0]["ErrorCode"], "ResourceNotFoundException");
    let untag = json!({"SecretId": "app/db", "TagKeys": ["team", "none"]});
    call(&server, "UntagResource", untag).await;
    let detail = call(&server, "DescribeSecret", json!({"SecretId": "app/db"})).await.body;
    assert_eq!(detail["Tags"], json!([]));
    let policy = call(&server, "GetResourcePolicy", json!({"SecretId": "app/db"})).await.body;
    assert_eq!((&policy["Name"], policy.get("ResourcePolicy")), (&json!("app/db"), None));
    call(&server, "DeleteSecret", json!({"SecretId": "app/db"})).await;
    assert_eq!(call(&server, "ListSecrets", json!({})).await.body["SecretList"], json!([]));
    call(&server, "RestoreSecret", json!({"SecretId": "app/db"})).await;
    assert_eq!(named(&call(&server, "ListSecrets", json!({})).await.body), "app/db");
}

#[tokio::test]
async fn a_random_password_is_as_it_was_asked_for() {
    let server = started(None).await;
    let asked =
        json!({"PasswordLength": 40, "ExcludePunctuation": true, "ExcludeCharacters": "abc"});
    let made = call(&server, "GetRandomPassword", asked).await.body;
    let made = made["RandomPassword"].as_str().unwrap();
    assert_eq!(made.len(), 40);
    assert!(made.chars().all(|one| one.is_ascii_alphanumeric() && !"abc".contains(one)), "{made}");
}
