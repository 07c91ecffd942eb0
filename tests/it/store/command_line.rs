//! A store that asks the AWS CLI: what people and scripts use against `fourstep serve`.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fourstep::store::{
    AWSCURRENT, AWSPENDING, SecretDescription, SecretStore, Select, StoreError, StoreErrorCode,
    StoredVersion, VersionSummary,
};
use fourstep::{ExposeSecret, RotationToken, SecretId, SecretValue, VersionId};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::skip;

pub struct CommandLine {
    program: String,
    endpoint: String,
}

impl CommandLine {
    /// The CLI that scripts/test found, or None after skipping aloud.
    pub fn find(endpoint: &str) -> Option<Self> {
        match std::env::var("FOURSTEP_TEST_AWS") {
            Ok(program) => Some(Self { program, endpoint: endpoint.to_owned() }),
            Err(_) => {
                skip("FOURSTEP_TEST_AWS");
                None
            }
        }
    }

    /// Runs one operation. The input goes by a file: arguments are visible to every process.
    pub async fn run(&self, operation: &str, input: &Value) -> Result<Value, StoreError> {
        self.run_with(operation, input, &[]).await
    }

    async fn run_with(
        &self,
        operation: &str,
        input: &Value,
        more: &[&str],
    ) -> Result<Value, StoreError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), input.to_string()).unwrap();
        let output = Command::new(&self.program)
            .args(["--endpoint-url", &self.endpoint, "--output", "json", "secretsmanager"])
            .args([operation, "--cli-input-json", &format!("file://{}", file.path().display())])
            .args(more)
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_MAX_ATTEMPTS", "1")
            .env("AWS_PAGER", "")
            .output()
            .await
            .unwrap();
        if output.status.success() {
            return Ok(serde_json::from_slice(&output.stdout).unwrap_or_default());
        }
        Err(complaint(&String::from_utf8_lossy(&output.stderr)))
    }
}

/// `An error occurred (CODE) when calling the X operation (reached max retries: 0): MESSAGE`
fn complaint(text: &str) -> StoreError {
    let parsed = (|| {
        let (_, rest) = text.split_once("An error occurred (")?;
        let (code, rest) = rest.split_once(')')?;
        let (_, message) = rest.split_once(": ")?;
        let message = message.split_once("): ").map_or(message, |(_, message)| message);
        Some((code, message.trim_end()))
    })();
    let (name, message) = parsed.unwrap_or_else(|| panic!("the CLI failed otherwise: {text}"));
    let code = match name {
        "ResourceNotFoundException" => StoreErrorCode::NotFound,
        "ResourceExistsException" => StoreErrorCode::AlreadyExists,
        "InvalidParameterException" | "ValidationException" => StoreErrorCode::InvalidParameter,
        "InvalidRequestException" => StoreErrorCode::InvalidRequest,
        "AccessDeniedException" => StoreErrorCode::AccessDenied,
        "DecryptionFailure" => StoreErrorCode::DecryptionFailure,
        "EncryptionFailure" => StoreErrorCode::EncryptionFailure,
        "LimitExceededException" => StoreErrorCode::LimitExceeded,
        "ThrottlingException" => StoreErrorCode::Throttled,
        "InternalServiceError" => StoreErrorCode::Internal,
        _ => StoreErrorCode::Other,
    };
    StoreError::new(code, message)
}

/// The CLI prints times as ISO 8601 with fractions: enough of it to put versions in order.
fn time(text: Option<&Value>) -> Option<SystemTime> {
    match text? {
        Value::Number(seconds) => {
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds.as_f64()?))
        }
        Value::String(text) => {
            // 2026-11-22T02:05:10.123456+00:00: every digit in order is a number that grows.
            let digits: String =
                text.split('+').next()?.chars().filter(char::is_ascii_digit).collect();
            let padded = format!("{digits:0<20}");
            Some(SystemTime::UNIX_EPOCH + Duration::from_nanos(padded[2..].parse().ok()?))
        }
        _ => None,
    }
}

fn labels(row: &Value) -> Vec<String> {
    let labels = row.as_array().into_iter().flatten().filter_map(Value::as_str);
    labels.map(str::to_owned).collect()
}

#[async_trait]
impl SecretStore for CommandLine {
    async fn describe_secret(&self, secret: &SecretId) -> Result<SecretDescription, StoreError> {
        let answer = self.run("describe-secret", &json!({"SecretId": secret.as_str()})).await?;
        let stages = answer["VersionIdsToStages"].as_object().cloned().unwrap_or_default();
        let tags = answer["Tags"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(SecretDescription {
            arn: text(&answer["ARN"]),
            rotation_enabled: answer["RotationEnabled"].as_bool(),
            rotates_every_days: None,
            labels: stages.iter().map(|(id, on)| (VersionId::from_store(id), labels(on))).collect(),
            tags: tags.iter().map(|tag| (text(&tag["Key"]), text(&tag["Value"]))).collect(),
            ..SecretDescription::default()
        })
    }

    async fn get_secret_value(
        &self,
        secret: &SecretId,
        select: Select<'_>,
    ) -> Result<StoredVersion, StoreError> {
        let mut input = json!({"SecretId": secret.as_str()});
        if let Select::Version(version) | Select::VersionWithLabel(version, _) = select {
            input["VersionId"] = version.as_str().into();
        }
        if let Select::Label(label) | Select::VersionWithLabel(_, label) = select {
            input["VersionStage"] = label.into();
        }
        let answer = self.run("get-secret-value", &input).await?;
        Ok(StoredVersion {
            version: VersionId::from_store(answer["VersionId"].as_str().unwrap()),
            value: match answer["SecretString"].as_str() {
                Some(text) => SecretValue::from(text),
                None => {
                    let encoded = answer["SecretBinary"].as_str().unwrap();
                    SecretValue::Binary(STANDARD.decode(encoded).unwrap().into())
                }
            },
            created: time(answer.get("CreatedDate")),
        })
    }

    async fn put_pending(
        &self,
        secret: &SecretId,
        token: &VersionId,
        value: &SecretValue,
        rotation_token: Option<&RotationToken>,
    ) -> Result<(), StoreError> {
        let mut input = json!({
            "SecretId": secret.as_str(),
            "ClientRequestToken": token.as_str(),
            "VersionStages": [AWSPENDING],
        });
        // Version 1 of the CLI takes bytes in its JSON as they are, version 2 as base64: both take
        // a file of them.
        let bytes = tempfile::NamedTempFile::new().unwrap();
        let path = format!("fileb://{}", bytes.path().display());
        let mut more = Vec::new();
        match value {
            SecretValue::Text(text) => input["SecretString"] = text.expose_secret().into(),
            SecretValue::Binary(value) => {
                std::fs::write(bytes.path(), value.expose_secret()).unwrap();
                more.extend(["--secret-binary", &path]);
            }
        }
        if let Some(rotation_token) = rotation_token {
            input["RotationToken"] = rotation_token.expose().into();
        }
        self.run_with("put-secret-value", &input, &more).await.map(drop)
    }

    async fn move_current(
        &self,
        secret: &SecretId,
        to: &VersionId,
        from: &VersionId,
    ) -> Result<(), StoreError> {
        let input = json!({
            "SecretId": secret.as_str(),
            "VersionStage": AWSCURRENT,
            "MoveToVersionId": to.as_str(),
            "RemoveFromVersionId": from.as_str(),
        });
        self.run("update-secret-version-stage", &input).await.map(drop)
    }

    async fn remove_pending(&self, secret: &SecretId, from: &VersionId) -> Result<(), StoreError> {
        let input = json!({
            "SecretId": secret.as_str(),
            "VersionStage": AWSPENDING,
            "RemoveFromVersionId": from.as_str(),
        });
        self.run("update-secret-version-stage", &input).await.map(drop)
    }

    async fn list_versions(&self, secret: &SecretId) -> Result<Vec<VersionSummary>, StoreError> {
        let input = json!({"SecretId": secret.as_str(), "IncludeDeprecated": true});
        let answer = self.run("list-secret-version-ids", &input).await?;
        let rows = answer["Versions"].as_array().cloned().unwrap_or_default();
        Ok(rows
            .iter()
            .map(|row| VersionSummary {
                version: VersionId::from_store(row["VersionId"].as_str().unwrap()),
                labels: labels(&row["VersionStages"]),
                created: time(row.get("CreatedDate")),
            })
            .collect())
    }
}
