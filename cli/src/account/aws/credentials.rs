//! Credentials of whoever runs the command: found once, held until they end soon, and what to do if there are
//! none.
//!
//! The SDK's chain fetches them anew at each call. A role, or a login by SSO, would be asked for with each request
//! that is signed here.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_config::profile::{ProfileFileCredentialsProvider, load};
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as Provided;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::os_shim_internal::{Env, Fs};
use tokio::sync::Mutex;

use super::signed::cause;
use crate::account::text::{clean, word};

/// How long before their end credentials are fetched again.
const SOON: Duration = Duration::from_secs(300);

/// The most profiles that are followed from one to the next.
const MOST_PROFILES: usize = 10;

/// Where they come from, and those that were found last.
pub(super) struct Held {
    of: SharedCredentialsProvider,
    profile: Option<String>,
    last: Mutex<Option<Credentials>>,
}

impl Held {
    /// A profile that the person names is the only source, as it is for the AWS CLI. In the SDK's chain variables go
    /// before it, and the machine's own role takes the place of one that does not exist.
    pub(super) fn new(shared: &SdkConfig, http: SharedHttpClient, profile: Option<&str>) -> Self {
        let named = profile.map(|name| {
            let rest = ProviderConfig::without_region()
                .with_region(shared.region().cloned())
                .with_use_fips(shared.use_fips())
                .with_use_dual_stack(shared.use_dual_stack())
                .with_http_client(http);
            let builder = ProfileFileCredentialsProvider::builder().profile_name(name);
            SharedCredentialsProvider::new(builder.configure(&rest).build())
        });
        let of = named.or_else(|| shared.credentials_provider());
        let of = of.unwrap_or_else(|| SharedCredentialsProvider::new(Nobody));
        Self { of, profile: profile.map(str::to_owned), last: Mutex::default() }
    }

    /// Those that are held, or new ones; else why there are none.
    pub(super) async fn found(&self) -> Result<Credentials, String> {
        let mut last = self.last.lock().await;
        let soon = SystemTime::now() + SOON;
        if let Some(held) = last.as_ref().filter(|one| one.expiry().is_none_or(|end| end > soon)) {
            return Ok(held.clone());
        }
        match self.of.provide_credentials().await {
            Ok(found) => Ok(last.insert(found).clone()),
            Err(error) => Err(self.missing(&error).await),
        }
    }

    async fn missing(&self, error: &CredentialsError) -> String {
        let why = clean(&cause(error));
        let next = match (error, self.logs_in().await) {
            // What the SDK says of a token, of its file, and what AWS answers to one that it does not take.
            (_, Some(name))
                if ["SSO", "sso/cache", "Unauthorized"].iter().any(|one| why.contains(one)) =>
            {
                format!(": aws sso login --profile {}", word(&name))
            }
            (CredentialsError::CredentialsNotLoaded(_), _) => {
                ": name a profile, or set AWS_ACCESS_KEY_ID and what belongs to it".to_owned()
            }
            _ => String::new(),
        };
        format!("no credentials: {why}{next}")
    }

    /// The profile that is logged in to by SSO: the one that is used, or one that it takes credentials from.
    async fn logs_in(&self) -> Option<String> {
        let name = self.profile.clone().map(Into::into);
        // The files where they usually are.
        let files = Default::default();
        let profiles = load(&Fs::real(), &Env::real(), &files, name).await.ok()?;
        let mut name = profiles.selected_profile();
        for _ in 0..MOST_PROFILES {
            let one = profiles.get_profile(name)?;
            if one.get("sso_session").or_else(|| one.get("sso_start_url")).is_some() {
                return Some(name.to_owned());
            }
            name = one.get("source_profile")?;
        }
        None
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Held").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl ProvideCredentials for Held {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        Provided::new(async { self.found().await.map_err(CredentialsError::provider_error) })
    }
}

/// A configuration without any source.
#[derive(Debug)]
struct Nobody;

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        Provided::ready(Err(CredentialsError::not_loaded_no_source()))
    }
}
