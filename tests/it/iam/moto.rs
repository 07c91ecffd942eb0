//! rotate-iam's own process at an IAM and STS that others wrote. moto checks no signatures, and takes a key that it does
//! not know for that of a user of its own.

use aws_sdk_iam::config::{BehaviorVersion, Credentials, Region};
use fourstep::Environment;
use fourstep::store::aws::http_client;
use serde_json::{Value, json};

use crate::support::program::{binary, fourstep, secret_file};
use crate::support::skip;

async fn iam(url: &str) -> aws_sdk_iam::Client {
    let config = aws_sdk_iam::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(url)
        .http_client(http_client(&Environment::default()).unwrap())
        .credentials_provider(Credentials::new("root", "root", None, None, "test"));
    aws_sdk_iam::Client::from_conf(config.build())
}

/// The ARN of a role that functions may have.
pub async fn role(url: &str, name: &str) -> String {
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}]});
    let create = iam(url).await.create_role().role_name(name);
    // There already, perhaps.
    let _ = create.assume_role_policy_document(trust.to_string()).send().await;
    format!("arn:aws:iam::123456789012:role/{name}")
}

/// The ids of a user's keys.
async fn keys(iam: &aws_sdk_iam::Client, user: &str) -> Vec<String> {
    let listed = iam.list_access_keys().user_name(user).send().await.unwrap();
    let ids = listed.access_key_metadata().iter().map(|key| key.access_key_id().unwrap());
    ids.map(str::to_owned).collect()
}

#[tokio::test]
async fn an_iam_users_keys_are_rotated_under_a_limit_of_two() {
    let Ok(url) = std::env::var("FOURSTEP_TEST_MOTO") else {
        skip("FOURSTEP_TEST_MOTO");
        return;
    };
    let iam = iam(&url).await;
    let user = format!("rotated-{}", uuid::Uuid::new_v4());
    let made = iam.create_user().user_name(&user).send().await.unwrap();
    let arn = made.user().unwrap().arn().to_owned();
    let key = iam.create_access_key().user_name(&user).send().await.unwrap();
    let key = key.access_key().unwrap();
    let first = key.access_key_id().to_owned();
    let file = secret_file(
        &json!({"user_arn": arn, "access_key_id": first,
            "secret_access_key": key.secret_access_key()})
        .to_string(),
    );
    let rotator = binary("rotate-iam");
    let [iams, stss] = ["IAM", "STS"].map(|name| format!("AWS_ENDPOINT_URL_{name}={url}"));
    let arguments = [
        "replay",
        "--json",
        "--rotator",
        rotator.to_str().unwrap(),
        "--secret",
        file.path.to_str().unwrap(),
        "--env",
        &iams,
        "--env",
        &stss,
    ];
    // In one replay: the local Secrets Manager of the next one would not know AWSPREVIOUS's key.
    let output = fourstep(&[&arguments[..], &["--rotations", "3"]].concat()).await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let secret: Value =
        serde_json::from_str(&std::fs::read_to_string(&file.path).unwrap()).unwrap();
    let live = keys(&iam, &user).await;
    assert_eq!(live.len(), 2, "{text}");
    assert!(live.iter().any(|id| *id == secret["access_key_id"]) && !live.contains(&first));
    assert!(!text.contains(secret["secret_access_key"].as_str().unwrap()));

    // A key that was deleted by hand is refused.
    let gone = secret["access_key_id"].as_str().unwrap();
    iam.delete_access_key().user_name(&user).access_key_id(gone).send().await.unwrap();
    let output = fourstep(&arguments).await;
    assert_eq!(output.status.code(), Some(1));
}
