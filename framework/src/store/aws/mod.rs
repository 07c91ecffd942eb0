//! Secrets Manager through the AWS SDK. Only this folder and `rds/aws.rs` name an SDK type.

mod bus;
mod call;
mod errors;
mod http;
mod json;
mod role;
mod settings;

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::primitives::{Blob, DateTime};
use secrecy::ExposeSecret;

use self::errors::{store_error, without_quote};
use crate::config::Environment;
use crate::error::Result;
use crate::ids::{RotationToken, SecretId, VersionId};
use crate::store::{
    ASSUME_ROLE, AWSCURRENT, AWSPENDING, CREDENTIALS_OF, Replica, SecretDescription, SecretStore,
    Select, StoreError, StoreErrorCode, StoredVersion, TO_ROLE, VersionSummary,
};
use crate::value::SecretValue;

pub(crate) use self::bus::EventBus;
pub use self::call::{AwsCall, LazyClient, client_settings};
pub use self::http::{http_client, http_connector};
pub(crate) use self::json::JsonService;
pub use self::json::service_url;

/// What names the endpoint: AWS's templates, then every AWS SDK.
const ENDPOINTS: [&str; 2] = ["SECRETS_MANAGER_ENDPOINT", "AWS_ENDPOINT_URL_SECRETS_MANAGER"];

/// More pages of versions than a secret can have: about 100 labelled and unlabelled versions are
/// kept (Secrets Manager quotas), and those younger than a day.
const MOST_PAGES: usize = 50;

/// The store that Lambda functions use.
#[derive(Debug, Clone)]
pub struct AwsStore {
    client: Arc<Mutex<Client>>,
    /// As whom it calls, where that is not the function's own role.
    role: Option<String>,
}

impl AwsStore {
    /// Prepares a client from the environment: Region and credentials from the variables that Lambda
    /// sets, the endpoint from `SECRETS_MANAGER_ENDPOINT` where it is set (as AWS's templates have
    /// it), else from `AWS_ENDPOINT_URL_SECRETS_MANAGER` or `AWS_ENDPOINT_URL`, else the Region's
    /// own. With `SECRETS_ROLE_ARN` the calls are made as that role, for whose credentials STS is asked
    /// before the first of them. Nothing is connected to yet.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Malformed`], naming a variable that cannot be read.
    pub async fn connect(environment: &Environment) -> Result<Self> {
        let endpoint = settings::endpoint(environment, &ENDPOINTS)?;
        let shared = settings::shared(environment, endpoint).await?;
        let shared = role::assumed(environment, shared)?;
        let role = environment.text(role::ROLE)?.map(str::to_owned);
        Ok(Self { client: Arc::new(Mutex::new(Client::new(&shared))), role })
    }

    fn client(&self) -> Client {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What a failure means. Credentials that the service calls ended are not used again: the SDK
    /// would keep them until they end by the clock of this container, which may be late, and every
    /// retry that comes to it would fail. Another client has none yet.
    fn failure<E, R>(&self, error: &SdkError<E, R>) -> StoreError
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
        R: Debug + 'static,
    {
        let mut error = store_error(error);
        if error.code == StoreErrorCode::Expired {
            let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
            *client = Client::from_conf(client.config().clone());
        }
        // Where STS refused to give any credentials, the message says so already. Otherwise it says whose
        // they were: somebody else's policies are to be looked at than the function's own.
        let own = error.message.starts_with(ASSUME_ROLE);
        if let Some(role) = self.role.as_ref().filter(|_| !own) {
            match error.code {
                StoreErrorCode::Expired => {
                    error.message = format!("{CREDENTIALS_OF}{role}: {}", error.message);
                }
                StoreErrorCode::AccessDenied => {
                    error.message = format!("{TO_ROLE}{role}: {}", error.message);
                }
                _ => {}
            }
        }
        error
    }
}

#[async_trait]
impl SecretStore for AwsStore {
    async fn describe_secret(&self, secret: &SecretId) -> Result<SecretDescription, StoreError> {
        let request = self.client().describe_secret().secret_id(secret.as_str());
        let answer = request.send().await.map_err(|error| self.failure(&error))?;
        let labels = answer.version_ids_to_stages.unwrap_or_default();
        let tags = answer.tags.unwrap_or_default();
        let days = answer.rotation_rules.and_then(|rules| rules.automatically_after_days);
        Ok(SecretDescription {
            arn: answer.arn.unwrap_or_default(),
            rotation_enabled: answer.rotation_enabled,
            rotates_every_days: days.and_then(|days| days.try_into().ok()),
            labels: labels.into_iter().map(|(id, on)| (VersionId::from_store(id), on)).collect(),
            tags: tags.into_iter().filter_map(|tag| Some((tag.key?, tag.value?))).collect(),
            primary_region: answer.primary_region,
            replicas: answer
                .replication_status
                .unwrap_or_default()
                .into_iter()
                .filter_map(|one| {
                    let status = one.status.map(|status| status.as_str().to_owned())?;
                    let (message, key) = (one.status_message, one.kms_key_id);
                    Some(Replica { region: one.region?, status, message, key })
                })
                .collect(),
        })
    }

    async fn get_secret_value(
        &self,
        secret: &SecretId,
        select: Select<'_>,
    ) -> Result<StoredVersion, StoreError> {
        let request = self.client().get_secret_value().secret_id(secret.as_str());
        let request = match select {
            Select::Label(label) => request.version_stage(label),
            Select::Version(version) => request.version_id(version.as_str()),
            Select::VersionWithLabel(version, label) => {
                request.version_id(version.as_str()).version_stage(label)
            }
        };
        let answer = request.send().await.map_err(|error| self.failure(&error))?;
        let version = answer.version_id.ok_or_else(|| {
            StoreError::new(StoreErrorCode::Unreachable, "the answer names no VersionId")
        })?;
        Ok(StoredVersion {
            version: VersionId::from_store(version),
            value: match (answer.secret_string, answer.secret_binary) {
                (Some(text), _) => SecretValue::Text(text.into()),
                (None, Some(bytes)) => SecretValue::Binary(bytes.into_inner().into()),
                (None, None) => {
                    let what = "the answer holds neither SecretString nor SecretBinary";
                    return Err(StoreError::new(StoreErrorCode::Unreachable, what));
                }
            },
            created: answer.created_date.as_ref().and_then(system_time),
        })
    }

    async fn put_pending(
        &self,
        secret: &SecretId,
        token: &VersionId,
        value: &SecretValue,
        rotation_token: Option<&RotationToken>,
    ) -> Result<(), StoreError> {
        let request = self
            .client()
            .put_secret_value()
            .secret_id(secret.as_str())
            .client_request_token(token.as_str())
            .version_stages(AWSPENDING)
            .set_rotation_token(rotation_token.map(|token| token.expose().to_owned()));
        let request = match value {
            SecretValue::Text(text) => request.secret_string(text.expose_secret()),
            SecretValue::Binary(bytes) => request.secret_binary(Blob::new(bytes.expose_secret())),
        };
        request.send().await.map(drop).map_err(|error| without_quote(self.failure(&error)))
    }

    async fn move_current(
        &self,
        secret: &SecretId,
        to: &VersionId,
        from: &VersionId,
    ) -> Result<(), StoreError> {
        let request = self
            .client()
            .update_secret_version_stage()
            .secret_id(secret.as_str())
            .version_stage(AWSCURRENT)
            .move_to_version_id(to.as_str())
            .remove_from_version_id(from.as_str());
        request.send().await.map(|_| ()).map_err(|error| self.failure(&error))
    }

    async fn remove_pending(&self, secret: &SecretId, from: &VersionId) -> Result<(), StoreError> {
        let request = self
            .client()
            .update_secret_version_stage()
            .secret_id(secret.as_str())
            .version_stage(AWSPENDING)
            .remove_from_version_id(from.as_str());
        request.send().await.map(|_| ()).map_err(|error| self.failure(&error))
    }

    async fn list_versions(&self, secret: &SecretId) -> Result<Vec<VersionSummary>, StoreError> {
        let mut versions = Vec::new();
        let mut next = None;
        for _ in 0..MOST_PAGES {
            let request = self
                .client()
                .list_secret_version_ids()
                .secret_id(secret.as_str())
                .include_deprecated(true)
                .set_next_token(next);
            let page = request.send().await.map_err(|error| self.failure(&error))?;
            for row in page.versions.unwrap_or_default() {
                versions.extend(row.version_id.map(|id| VersionSummary {
                    version: VersionId::from_store(id),
                    labels: row.version_stages.unwrap_or_default(),
                    created: row.created_date.as_ref().and_then(system_time),
                }));
            }
            // An empty token is none, as the SDKs' own paginators have it.
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                break;
            }
        }
        Ok(versions)
    }
}

fn system_time(moment: &DateTime) -> Option<SystemTime> {
    SystemTime::try_from(*moment).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_endpoint_nobody_can_call_is_refused_at_start_by_name() {
        for name in ["SECRETS_MANAGER_ENDPOINT", "AWS_ENDPOINT_URL"] {
            for endpoint in
                ["not a url", "localhost:4566", "ftp://x", "http://", "https:///x", "http://a b"]
            {
                let environment = Environment::from([(name, endpoint)]);
                let error = AwsStore::connect(&environment).await.unwrap_err();
                assert!(error.to_string().contains(name), "{endpoint}: {error}");
            }
        }
    }

    /// The SDK's own text for this holds the request, body and all.
    #[tokio::test]
    async fn a_request_that_cannot_be_sent_is_not_quoted() {
        let http = http_client(&Environment::default()).unwrap();
        let client = |endpoint: &str| {
            let settings = aws_sdk_secretsmanager::Config::builder()
                .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
                .region(aws_config::Region::from_static("us-east-1"))
                .credentials_provider(aws_credential_types::Credentials::new(
                    "k", "s", None, None, "test",
                ))
                .http_client(http.clone())
                .endpoint_url(endpoint);
            let client = Arc::new(Mutex::new(Client::from_conf(settings.build())));
            AwsStore { client, role: None }
        };
        for endpoint in
            ["not a url", "localhost:4566", "ftp://x", "http://127.0.0.1:1", "http://no.invalid"]
        {
            let token = VersionId::from_store("t".repeat(32));
            let rotation_token =
                RotationToken::parse(&format!("canary-{}", "0".repeat(40))).unwrap();
            let value = SecretValue::from(r#"{"password":"canary"}"#);
            let secret = SecretId::parse("s").unwrap();
            let error = client(endpoint)
                .put_pending(&secret, &token, &value, Some(&rotation_token))
                .await
                .unwrap_err();
            assert_eq!(error.code, StoreErrorCode::Unreachable, "{error}");
            assert!(!error.message.contains("canary") && error.message.len() < 150, "{error}");
        }
    }
}
