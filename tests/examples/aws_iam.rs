//! A rotator for a vendor in plain Rust, as an author would write it: the access keys of an AWS IAM
//! user, of which AWS allows two.
//!
//! The secret is `{"user_arn": "...", "access_key_id": "...", "secret_access_key": "..."}`, and the
//! user is for this secret only. The key changes itself: its user may list, create and delete its own access keys.
//! Facts are from the IAM User Guide ("Manage access keys for IAM users", "IAM and AWS STS quotas")
//! and the IAM and STS API References. What may be revoked when is not decided here, but by
//! [`IssuedKeys`].

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_sdk_iam::config::{BehaviorVersion, Region, SharedHttpClient};
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use fourstep::store::aws::http_client;
use fourstep::vendor::{Caller, Issued, IssuedKeys, Issuer, Label, ListedKey, Ownership, Terms};
use fourstep::{Environment, Error, ErrorKind, Invocation, Secret, Verdict};

const USER: &str = "user_arn";
const ID: &str = "access_key_id";
const KEY: &str = "secret_access_key";

/// The access keys of IAM users.
struct AccessKeys {
    terms: Terms,
    fields: Vec<String>,
    region: Region,
    endpoint: Option<String>,
    http: SharedHttpClient,
}

impl AccessKeys {
    fn read(environment: &Environment) -> Result<Self, Error> {
        let region = environment.text("AWS_REGION")?.unwrap_or("us-east-1").to_owned();
        Ok(Self {
            terms: Terms {
                // An access key has no label. So the user must be for this secret only.
                ownership: Ownership::Account,
                cap: Some(2),
                // "Changes that you make are not always immediately visible."
                propagation: Duration::from_secs(20),
                grace: Duration::ZERO,
            },
            fields: [ID, KEY].map(str::to_owned).to_vec(),
            region: Region::new(region),
            endpoint: environment.text("IAM_ENDPOINT")?.map(str::to_owned),
            http: http_client(environment)?,
        })
    }

    fn credentials(&self, secret: &Secret) -> Result<Credentials, Error> {
        let document = secret.document()?;
        let (id, key) = (document.required(ID)?, document.required(KEY)?);
        Ok(Credentials::new(id, key, None, None, "the rotated secret"))
    }

    fn iam(&self, secret: &Secret) -> Result<aws_sdk_iam::Client, Error> {
        let mut config = aws_sdk_iam::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(self.region.clone())
            .http_client(self.http.clone())
            .credentials_provider(self.credentials(secret)?);
        config.set_endpoint_url(self.endpoint.clone());
        Ok(aws_sdk_iam::Client::from_conf(config.build()))
    }

    fn sts(&self, secret: &Secret) -> Result<aws_sdk_sts::Client, Error> {
        let mut config = aws_sdk_sts::Config::builder()
            .behavior_version(aws_sdk_sts::config::BehaviorVersion::latest())
            .region(self.region.clone())
            .http_client(self.http.clone())
            .credentials_provider(self.credentials(secret)?);
        config.set_endpoint_url(self.endpoint.clone());
        Ok(aws_sdk_sts::Client::from_conf(config.build()))
    }
}

/// Waits for an answer of AWS no longer than the function may. Only the code of an error is kept.
async fn asked<T, E: ProvideErrorMetadata>(
    what: &str,
    cx: &Invocation,
    work: impl Future<Output = Result<T, SdkError<E>>>,
) -> Result<Result<T, String>, Error> {
    match cx.deadline().bound(what, Duration::from_secs(20), work).await? {
        Ok(answer) => Ok(Ok(answer)),
        Err(SdkError::ServiceError(error)) => match error.err().code() {
            Some(code) => Ok(Err(code.to_owned())),
            None => Err(Error::new(ErrorKind::Unreachable, format!("{what} failed"))),
        },
        Err(_) => Err(Error::new(ErrorKind::Unreachable, format!("no answer to {what}"))),
    }
}

/// What an operator does about a code.
fn refused(what: &str, code: &str) -> Error {
    let kind = match code {
        "AccessDenied" | "InvalidClientTokenId" | "SignatureDoesNotMatch" => ErrorKind::Forbidden,
        "Throttling" => ErrorKind::Throttled,
        "NoSuchEntity" => ErrorKind::NotFound,
        _ => ErrorKind::Unsupported,
    };
    Error::new(kind, format!("{what} was refused")).caused_by(code)
}

#[async_trait]
impl Issuer for AccessKeys {
    fn terms(&self) -> &Terms {
        &self.terms
    }

    fn fields(&self) -> &[String] {
        &self.fields
    }

    fn id(&self, secret: &Secret) -> Result<String, Error> {
        Ok(secret.document()?.required(ID)?.to_owned())
    }

    async fn issue(
        &self,
        base: &Secret,
        _label: &Label,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<Issued, Error> {
        let what = "CreateAccessKey";
        let work = self.iam(caller.own)?.create_access_key().send();
        match asked(what, cx, work).await? {
            Ok(answer) => {
                let lost = || Error::new(ErrorKind::Unsupported, "CreateAccessKey gave no key");
                let key = answer.access_key().ok_or_else(lost)?;
                let next = base.document()?.with(ID, key.access_key_id());
                Ok(Issued::Key(next.with(KEY, key.secret_access_key()).into()))
            }
            Err(code) if code == "LimitExceeded" => Ok(Issued::Full),
            Err(code) => Err(refused(what, &code)),
        }
    }

    async fn list(
        &self,
        each: &mut (dyn FnMut(ListedKey) + Send),
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<(), Error> {
        let what = "ListAccessKeys";
        let work = self.iam(caller.own)?.list_access_keys().send();
        let answer = asked(what, cx, work).await?.map_err(|code| refused(what, &code))?;
        let keys = answer.access_key_metadata().iter().filter_map(|key| {
            let created = SystemTime::try_from(*key.create_date()?).ok();
            Some(ListedKey {
                id: key.access_key_id()?.to_owned(),
                label: None,
                created,
                expires: None,
            })
        });
        keys.for_each(each);
        Ok(())
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict, Error> {
        let what = "GetCallerIdentity";
        let work = self.sts(secret)?.get_caller_identity().send();
        match asked(what, cx, work).await? {
            // A key that is somebody else's is not this secret's, whatever it may do.
            Ok(identity) if identity.arn() != Some(secret.document()?.required(USER)?) => {
                Ok(Verdict::Rejected("the key is another user's".to_owned()))
            }
            Ok(_) => Ok(Verdict::Accepted),
            // Nothing else is about the key: it needs no permission for this call.
            Err(code) if ["InvalidClientTokenId", "SignatureDoesNotMatch"].contains(&&*code) => {
                cx.count_rejected_login();
                Ok(Verdict::Rejected(code))
            }
            Err(code) => Err(refused(what, &code)),
        }
    }

    /// A request is signed with both, so none is let in with another key's id.
    async fn belongs(
        &self,
        _secret: &Secret,
        _caller: &Caller<'_>,
        _turn: &Invocation,
    ) -> Result<Option<bool>, Error> {
        Ok(Some(true))
    }

    async fn revoke(&self, id: &str, caller: &Caller<'_>, cx: &Invocation) -> Result<(), Error> {
        let what = "DeleteAccessKey";
        let work = self.iam(caller.own)?.delete_access_key().access_key_id(id).send();
        match asked(what, cx, work).await? {
            Err(code) if code != "NoSuchEntity" => Err(refused(what, &code)),
            _ => Ok(()),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    fourstep::run("aws_iam", |environment| Ok(IssuedKeys::new(AccessKeys::read(environment)?)))
        .await
}
