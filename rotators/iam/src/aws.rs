//! IAM and STS through the AWS SDK, which knows their endpoints in every partition. No other file of this crate
//! names an SDK type.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sdk_iam::Client as Iam;
use aws_sdk_iam::config::Region;
use aws_sdk_iam::config::retry::RetryConfig;
use aws_sdk_iam::config::timeout::TimeoutConfig;
use aws_sdk_sts::Client as Sts;
use fourstep::store::aws::{AwsCall, LazyClient};
use fourstep::vendor::ListedKey;
use fourstep::{
    Environment, Error, ErrorKind, ExposeSecret, Invocation, Result, Secret, SecretString,
};

use crate::user::User;
use crate::{ID, KEY};

/// Refusals that are answers. Sources: IAM API Reference, the errors of these actions; AWS STS API Reference,
/// "Common Errors".
const NO_USER: &str = "NoSuchEntity";
const FULL: &str = "LimitExceeded";
const KEY_REFUSED: &[&str] = &["InvalidClientTokenId", "SignatureDoesNotMatch"];

/// How long CreateAccessKey may take; the function's own time ends it earlier.
const PATIENCE: Duration = Duration::from_secs(20);

/// An access key: the id, which is no secret, and what signs.
pub(crate) struct AccessKey {
    id: String,
    secret: SecretString,
}

impl AccessKey {
    /// The one that a secret holds.
    pub(crate) fn of(secret: &Secret) -> Result<Self> {
        let (id, key) = (Self::id(secret)?, secret.document()?.required(KEY)?);
        // Neither can be sent in a header.
        if key.chars().any(|one| one.is_whitespace() || one.is_control()) {
            let what = format!("the secret's field {KEY:?} holds a space or a line break");
            return Err(Error::new(ErrorKind::Malformed, what));
        }
        Ok(Self { id, secret: SecretString::from(key) })
    }

    /// The id that a secret holds. It stands in errors, and AWS's errors quote it, so what is no id is not taken
    /// for one: people swap the two fields. Source: IAM API Reference, "AccessKey", the pattern of `AccessKeyId`,
    /// and of what it allows the capital letters and digits that ids are of.
    pub(crate) fn id(secret: &Secret) -> Result<String> {
        let id = secret.document()?.required(ID)?;
        let legal = |one: u8| one.is_ascii_uppercase() || one.is_ascii_digit();
        if (16..=128).contains(&id.len()) && id.bytes().all(legal) {
            return Ok(id.to_owned());
        }
        let what = format!("the secret's field {ID:?} is no access key's id");
        Err(Error::new(ErrorKind::Malformed, what).caused_by(format!(
            "it must be as AKIAIOSFODNN7EXAMPLE; look whether it and {KEY:?} are swapped"
        )))
    }

    /// The secret with this key in the place of its own.
    pub(crate) fn put_into(&self, base: &Secret) -> Result<Secret> {
        let next = base.document()?.with(ID, &self.id);
        Ok(next.with(KEY, self.secret.expose_secret()).into())
    }
}

/// The real APIs.
pub(crate) struct Aws {
    iam: LazyClient<Iam>,
    sts: LazyClient<SdkConfig>,
}

fn call(operation: &'static str, known: &'static [&'static str]) -> AwsCall {
    AwsCall { name: "IAM", service: Some("iam"), operation, known, sends_secret: false }
}

/// Where requests to IAM are signed for, although they go to an endpoint of one's own: IAM is one service for a
/// partition. Without such an endpoint the SDK knows. Source: IAM User Guide, "IAM endpoints and quotas".
fn home(region: &str) -> Option<&'static str> {
    const HOMES: [(&str, Option<&str>); 5] = [
        ("cn-", Some("cn-north-1")),
        ("us-gov-", Some("us-gov-west-1")),
        ("us-iso", None),
        ("eu-iso", None),
        ("eusc-", None),
    ];
    let own = HOMES.iter().find(|(partition, _)| region.starts_with(partition));
    own.map_or(Some("us-east-1"), |(_, home)| *home)
}

fn no_user(user: &User) -> Error {
    let what = format!("there is no user {:?} in the function's account", user.arn);
    Error::new(ErrorKind::NotFound, what).caused_by("correct \"user_arn\", or make the user")
}

impl Aws {
    /// Reads the endpoints; the rest is read once it is needed.
    pub(crate) fn of(environment: &Environment) -> Result<Self> {
        let iam = LazyClient::read(environment, "AWS_ENDPOINT_URL_IAM")?;
        Ok(Self { iam, sts: LazyClient::read(environment, "AWS_ENDPOINT_URL_STS")? })
    }

    /// As the function's role: no key of a user needs a permission to make others.
    async fn iam(&self) -> Result<&Iam> {
        let make = |settings: &SdkConfig| {
            let mut config = aws_sdk_iam::config::Builder::from(settings);
            if settings.endpoint_url().is_some()
                && let Some(home) = settings.region().and_then(|region| home(region.as_ref()))
            {
                config.set_region(Some(Region::new(home)));
            }
            Iam::from_conf(config.build())
        };
        self.iam.get(make).await
    }

    /// Signed with a user's key, not as the function's role.
    async fn sts(&self, key: &AccessKey) -> Result<Sts> {
        let settings = self.sts.get(SdkConfig::clone).await?;
        let (id, secret) = (key.id.as_str(), key.secret.expose_secret());
        let own = Credentials::new(id, secret, None, None, "the rotated secret");
        let config = aws_sdk_sts::config::Builder::from(settings).credentials_provider(own);
        Ok(Sts::from_conf(config.build()))
    }

    /// The ARN that STS names for a key; or the code by which it refuses the key. Nobody needs a permission to
    /// ask. Source: AWS STS API Reference, "GetCallerIdentity".
    pub(crate) async fn identity(
        &self,
        key: &AccessKey,
        cx: &Invocation,
    ) -> Result<Result<String, &'static str>> {
        let operation = "GetCallerIdentity";
        let known = KEY_REFUSED;
        let call = AwsCall { name: "STS", service: None, operation, known, sends_secret: true };
        let work = self.sts(key).await?;
        let answer = call.answer(work.get_caller_identity().send(), cx).await.map_err(|error| {
            match error.kind() {
                ErrorKind::Forbidden => error.caused_by(
                    "it is asked with the secret's own key: look at the policy of the VPC endpoint for STS",
                ),
                _ => error,
            }
        })?;
        Ok(answer.map(|identity| identity.arn().unwrap_or_default().to_owned()))
    }

    /// A new key; none where the user has as many as it may.
    pub(crate) async fn create(&self, user: &User, cx: &Invocation) -> Result<Option<AccessKey>> {
        let call = call("CreateAccessKey", &[FULL, NO_USER]);
        // Once: a repeated request would make a second key if only the answer to the first was lost.
        // It is waited for longer than others, since nobody knows a key that comes too late.
        let patient = TimeoutConfig::builder().operation_attempt_timeout(PATIENCE).build();
        let once = aws_sdk_iam::config::Builder::new()
            .retry_config(RetryConfig::disabled())
            .timeout_config(patient);
        let request = self.iam().await?.create_access_key().user_name(&user.name).customize();
        match call.answer(request.config_override(once).send(), cx).await? {
            Ok(answer) => {
                let lost = || Error::new(ErrorKind::Unsupported, "CreateAccessKey gave no key");
                let key = answer.access_key.ok_or_else(lost)?;
                let secret = SecretString::from(key.secret_access_key);
                Ok(Some(AccessKey { id: key.access_key_id, secret }))
            }
            Err(FULL) => Ok(None),
            Err(_) => Err(no_user(user)),
        }
    }

    /// The user's keys, inactive ones too: all of them, since a page has room for more than the two that there
    /// may be.
    pub(crate) async fn list(&self, user: &User, cx: &Invocation) -> Result<Vec<ListedKey>> {
        let call = call("ListAccessKeys", &[NO_USER]);
        let request = self.iam().await?.list_access_keys().user_name(&user.name);
        let answer = call.answer(request.send(), cx).await?.map_err(|_| no_user(user))?;
        if answer.is_truncated() {
            let what = format!("the user {:?} has more access keys than a page", user.arn);
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        let keys = answer.access_key_metadata().iter().filter_map(|key| {
            let id = key.access_key_id()?.to_owned();
            let created = key.create_date().and_then(|date| SystemTime::try_from(*date).ok());
            Some(ListedKey { id, label: None, created, expires: None })
        });
        Ok(keys.collect())
    }

    /// Deletes a key. One that is gone already is no error.
    pub(crate) async fn delete(&self, user: &User, id: &str, cx: &Invocation) -> Result<()> {
        let call = call("DeleteAccessKey", &[NO_USER]);
        let request = self.iam().await?.delete_access_key().user_name(&user.name);
        call.answer(request.access_key_id(id).send(), cx).await.map(drop)
    }
}
