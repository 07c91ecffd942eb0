//! Secrets Manager asked as another role: of the account whose secrets these are.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sts::Client;

use super::{settings, store_error};
use crate::config::{Environment, refused};
use crate::error::Result;
use crate::store::{ASSUME_ROLE, StoreError};

pub(super) const ROLE: &str = "SECRETS_ROLE_ARN";
const EXTERNAL_ID: &str = "SECRETS_ROLE_EXTERNAL_ID";
/// As every AWS SDK names the endpoint of one service.
const ENDPOINT: &str = "AWS_ENDPOINT_URL_STS";

/// How long STS may take in all. The SDK waits 5 s for credentials, and would not say for which.
const TIME: Duration = Duration::from_secs(4);

/// The same settings, with the credentials of the role that `SECRETS_ROLE_ARN` names. Without one
/// they are as they were, and nothing is made ready: most functions have none.
///
/// # Errors
/// [`crate::ErrorKind::Malformed`], naming a variable that cannot be read.
pub(super) fn assumed(environment: &Environment, own: SdkConfig) -> Result<SdkConfig> {
    let external_id = environment.text(EXTERNAL_ID)?.map(str::to_owned);
    let endpoint = settings::endpoint(environment, &[ENDPOINT])?;
    let Some(role) = environment.text(ROLE)? else {
        return match external_id {
            Some(_) => Err(refused(EXTERNAL_ID, "is set, and SECRETS_ROLE_ARN is not")),
            None => Ok(own),
        };
    };
    if !is_role(role) {
        return Err(refused(ROLE, "is not the ARN of a role, as arn:aws:iam::ACCOUNT:role/NAME"));
    }
    // CloudTrail then says which function it was. A function's name fits: both have 64 characters
    // at most, and a session's has two at least.
    let function = environment.text("AWS_LAMBDA_FUNCTION_NAME")?.filter(|name| name.len() > 1);
    let mut sts = own.clone().into_builder();
    sts.set_endpoint_url(endpoint.map(str::to_owned));
    sts.set_timeout_config(Some(TimeoutConfig::builder().operation_timeout(TIME).build()));
    let role = AssumedRole {
        client: Client::new(&sts.build()),
        role: role.to_owned(),
        external_id,
        session: function.unwrap_or("fourstep").to_owned(),
    };
    let credentials = SharedCredentialsProvider::new(role);
    Ok(own.into_builder().credentials_provider(credentials).build())
}

fn is_role(arn: &str) -> bool {
    let mut parts = arn.splitn(6, ':');
    let mut is = |wanted: fn(&str) -> bool| parts.next().is_some_and(wanted);
    is(|part| part == "arn")
        && is(|part| part.starts_with("aws"))
        && is(|part| part == "iam")
        && is(str::is_empty)
        && is(|part| part.len() == 12 && part.bytes().all(|byte| byte.is_ascii_digit()))
        && is(|part| part.strip_prefix("role/").is_some_and(|name| !name.is_empty()))
}

/// Credentials of a role. The SDK keeps them until shortly before they end, then asks for others.
#[derive(Debug)]
struct AssumedRole {
    client: Client,
    role: String,
    external_id: Option<String>,
    session: String,
}

impl AssumedRole {
    async fn assume(&self) -> Result<Credentials, CredentialsError> {
        let request = self.client.assume_role().role_arn(&self.role);
        let request = request.role_session_name(&self.session);
        let answer = request.set_external_id(self.external_id.clone()).send().await;
        let answer = answer.map_err(|error| {
            let StoreError { code, message } = store_error(&error);
            let message = format!("{ASSUME_ROLE} of {}: {message}", self.role);
            CredentialsError::provider_error(StoreError::new(code, message))
        })?;
        let given = answer
            .credentials
            .ok_or_else(|| CredentialsError::unhandled("the answer of STS has no credentials"))?;
        Ok(Credentials::new(
            given.access_key_id,
            given.secret_access_key,
            Some(given.session_token),
            SystemTime::try_from(given.expiration).ok(),
            "AssumeRole",
        ))
    }
}

impl ProvideCredentials for AssumedRole {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.assume())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::aws::AwsStore;

    #[tokio::test]
    async fn what_is_no_role_is_refused_at_start_by_name() {
        for (variables, name) in [
            (&[(ROLE, "rotation")][..], ROLE),
            (&[(ROLE, "arn:aws:iam::44445555666:role/rotation")], ROLE),
            (&[(ROLE, "arn:aws:iam::444455556666:role/")], ROLE),
            (&[(ROLE, "arn:aws:iam::444455556666:user/rotation")], ROLE),
            (&[(ROLE, "arn:aws:sts::444455556666:assumed-role/rotation/x")], ROLE),
            (&[(EXTERNAL_ID, "shop")], EXTERNAL_ID),
            (&[(ENDPOINT, "sts.example")], ENDPOINT),
        ] {
            let error = AwsStore::connect(&variables.iter().copied().collect()).await.unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        for partition in ["aws", "aws-us-gov", "aws-cn"] {
            let role = format!("arn:{partition}:iam::444455556666:role/teams/rotation");
            let environment = Environment::from([(ROLE, role.as_str())]);
            AwsStore::connect(&environment).await.unwrap();
        }
    }
}
