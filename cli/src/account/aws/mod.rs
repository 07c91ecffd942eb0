//! The calls to AWS, by the SDK's usual chain of variables, profiles, SSO and roles (docs/doctor.md). The only folder
//! of the command that names an SDK type.
//!
//! Secrets Manager is asked through its SDK, which the framework has anyway. Lambda and CloudWatch Logs
//! are asked by requests that are signed here (`signed.rs`): three calls are not worth two more SDKs.

mod credentials;
mod functions;
mod logs;
mod secrets;
mod signed;

use std::fmt;
use std::io;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_secretsmanager::Client;
use fourstep::Environment;
use fourstep::store::aws::http_client;

use credentials::Held;
pub use functions::Function;
pub use logs::{Failure, Tested};
pub use secrets::{Found, Replica, Rules, Selection};
use signed::Signed;

use super::text::clean;

/// How often a call is made while the service says that there are too many, or does not answer.
const MOST_TRIES: u32 = 6;

/// The variables of this process that concern TLS to AWS.
const CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// One Region of an account, and who asks.
pub struct Account {
    region: String,
    profile: Option<String>,
    secrets: Client,
    signed: Signed,
}

/// A call that was refused or not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// The service's name of the error, such as `AccessDeniedException`; empty if it never answered.
    pub code: String,
    /// What was called, the code and the service's message, harmless to print.
    pub message: String,
}

impl CallError {
    fn new(operation: &str, code: &str, message: &str) -> Self {
        let code = clean(code);
        let what = if code.is_empty() { "no answer" } else { code.as_str() };
        Self { message: clean(&format!("{operation}: {what}: {message}")), code }
    }

    /// Whether the thing that was asked about does not exist.
    pub fn is_missing(&self) -> bool {
        self.code.starts_with("ResourceNotFound")
    }
}

impl From<CallError> for io::Error {
    fn from(error: CallError) -> Self {
        Self::other(error.message)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Account").field("region", &self.region).finish_non_exhaustive()
    }
}

impl Account {
    /// Prepares the clients. Without a profile and a Region they are those of the environment and of
    /// the AWS configuration files.
    ///
    /// # Errors
    /// If there is no Region, no credentials, or `AWS_CA_BUNDLE` cannot be read.
    pub async fn connect(profile: Option<&str>, region: Option<&str>) -> io::Result<Self> {
        let bundle = std::env::var(CA_BUNDLE).ok().map(|path| (CA_BUNDLE.to_owned(), path));
        let environment: Environment = bundle.into_iter().collect();
        let http = http_client(&environment).map_err(io::Error::other)?;
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http.clone())
            .retry_config(RetryConfig::adaptive().with_max_attempts(MOST_TRIES));
        if let Some(profile) = profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        let shared: SdkConfig = loader.load().await;
        let Some(region) = shared.region().map(ToString::to_string) else {
            return Err(io::Error::other(
                "no Region: give --region, or set AWS_REGION, or one in the profile",
            ));
        };
        let held = Held::new(&shared, http, profile);
        // Before anything else is said, and once.
        held.found().await.map_err(io::Error::other)?;
        let held = SharedCredentialsProvider::new(held);
        let shared = shared.into_builder().credentials_provider(held.clone()).build();
        Ok(Self {
            secrets: Client::new(&shared),
            signed: Signed::new(&shared, &environment, &region, held)?,
            profile: profile.map(str::to_owned),
            region,
        })
    }

    /// The Region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// What the person types to have a secret looked at.
    pub fn doctor(&self, secret: &str) -> String {
        format!("fourstep doctor {}", self.of(secret))
    }

    /// The same without the command: the secret, and what reaches it.
    pub fn of(&self, secret: &str) -> String {
        format!("{} {}", super::text::word(secret), self.options())
    }

    /// What a command needs so that it reaches the same Region as the same caller.
    pub fn options(&self) -> String {
        let profile = self.profile.as_deref();
        let profile = profile.map(|one| format!(" --profile {}", super::text::word(one)));
        format!("--region {}{}", super::text::word(&self.region), profile.unwrap_or_default())
    }
}
