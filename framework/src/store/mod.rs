//! Where secrets are stored: the five calls the engine makes, and what they answer.

mod advice;
pub mod aws;
mod calls;
#[cfg(test)]
pub(crate) mod fixed;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;

use crate::error::ErrorKind;
use crate::ids::{RotationToken, SecretId, VersionId};
use crate::value::SecretValue;

pub(crate) use advice::{ASSUME_ROLE, CREDENTIALS_OF, NO_WAY, OWN_ENDED, TO_ROLE};
pub use calls::SecretClient;
pub(crate) use calls::check_length;

/// The label of the version applications use.
pub const AWSCURRENT: &str = "AWSCURRENT";
/// The label of the version being rotated in.
pub const AWSPENDING: &str = "AWSPENDING";
/// The label of the version that was current before.
pub const AWSPREVIOUS: &str = "AWSPREVIOUS";

/// What the engine needs of Secrets Manager: five operations, each one API call. One of them,
/// UpdateSecretVersionStage, is here as the two uses that are made of it.
///
/// An implementation does not retry beyond what its client library does, and does not cache.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// DescribeSecret: which labels are on which versions. Shows versions that have no value yet.
    async fn describe_secret(&self, secret: &SecretId) -> Result<SecretDescription, StoreError>;

    /// GetSecretValue: one version's value. [`StoreErrorCode::NotFound`] if the label or version
    /// does not exist *or has no value yet*.
    async fn get_secret_value(
        &self,
        secret: &SecretId,
        select: Select<'_>,
    ) -> Result<StoredVersion, StoreError>;

    /// PutSecretValue under `token` with the single label AWSPENDING. Putting the same value again
    /// succeeds; another value under a used token is [`StoreErrorCode::AlreadyExists`].
    async fn put_pending(
        &self,
        secret: &SecretId,
        token: &VersionId,
        value: &SecretValue,
        rotation_token: Option<&RotationToken>,
    ) -> Result<(), StoreError>;

    /// UpdateSecretVersionStage: moves AWSCURRENT to `to`. [`StoreErrorCode::InvalidParameter`]
    /// if `from` does not hold it.
    async fn move_current(
        &self,
        secret: &SecretId,
        to: &VersionId,
        from: &VersionId,
    ) -> Result<(), StoreError>;

    /// UpdateSecretVersionStage: takes AWSPENDING off `from`. [`StoreErrorCode::InvalidParameter`]
    /// if that version does not hold it.
    async fn remove_pending(&self, secret: &SecretId, from: &VersionId) -> Result<(), StoreError>;

    /// ListSecretVersionIds with IncludeDeprecated: every version, unlabelled ones too.
    async fn list_versions(&self, secret: &SecretId) -> Result<Vec<VersionSummary>, StoreError>;
}

/// A shared store is a store.
#[async_trait]
impl<S: SecretStore + ?Sized> SecretStore for Arc<S> {
    async fn describe_secret(&self, secret: &SecretId) -> Result<SecretDescription, StoreError> {
        (**self).describe_secret(secret).await
    }

    async fn get_secret_value(
        &self,
        secret: &SecretId,
        select: Select<'_>,
    ) -> Result<StoredVersion, StoreError> {
        (**self).get_secret_value(secret, select).await
    }

    async fn put_pending(
        &self,
        secret: &SecretId,
        token: &VersionId,
        value: &SecretValue,
        rotation_token: Option<&RotationToken>,
    ) -> Result<(), StoreError> {
        (**self).put_pending(secret, token, value, rotation_token).await
    }

    async fn move_current(
        &self,
        secret: &SecretId,
        to: &VersionId,
        from: &VersionId,
    ) -> Result<(), StoreError> {
        (**self).move_current(secret, to, from).await
    }

    async fn remove_pending(&self, secret: &SecretId, from: &VersionId) -> Result<(), StoreError> {
        (**self).remove_pending(secret, from).await
    }

    async fn list_versions(&self, secret: &SecretId) -> Result<Vec<VersionSummary>, StoreError> {
        (**self).list_versions(secret).await
    }
}

/// Which version to read.
#[derive(Debug, Clone, Copy)]
pub enum Select<'a> {
    /// The version that carries this label.
    Label(&'a str),
    /// The version with this id.
    Version(&'a VersionId),
    /// The version with this id, only if it carries this label.
    VersionWithLabel(&'a VersionId, &'a str),
}

/// What DescribeSecret answers, as far as a rotation needs it.
#[derive(Debug, Clone, Default)]
pub struct SecretDescription {
    /// The full ARN.
    pub arn: String,
    /// Absent when rotation was never configured.
    pub rotation_enabled: Option<bool>,
    /// `RotationRules.AutomaticallyAfterDays`, which Secrets Manager computes from a schedule's
    /// expression, too. Absent when rotation was never configured.
    pub rotates_every_days: Option<u32>,
    /// The labels of every labelled version, empty ones included.
    pub labels: BTreeMap<VersionId, Vec<String>>,
    /// The secret's tags.
    pub tags: BTreeMap<String, String>,
    /// Where the secret is that this one is a replica of, or this one's own Region; absent if it was
    /// never replicated.
    pub primary_region: Option<String>,
    /// Its replicas in other Regions.
    pub replicas: Vec<Replica>,
}

/// A replica of a secret in another Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// The Region.
    pub region: String,
    /// `InSync`, `InProgress` or `Failed`.
    pub status: String,
    /// The service's own words about it.
    pub message: Option<String>,
    /// The KMS key that it was made with there; AWS's own for Secrets Manager if none is named.
    pub key: Option<String>,
}

impl SecretDescription {
    /// The version that carries `label`.
    pub fn holder(&self, label: &str) -> Option<&VersionId> {
        self.labels.iter().find(|(_, on)| on.iter().any(|one| one == label)).map(|(id, _)| id)
    }

    /// What it is once AWSCURRENT was moved to `version`: its former holder is AWSPREVIOUS.
    pub(crate) fn promoted(mut self, version: &VersionId) -> Self {
        let former = self.holder(AWSCURRENT).cloned();
        for labels in self.labels.values_mut() {
            labels.retain(|label| label != AWSCURRENT && label != AWSPREVIOUS);
        }
        for (holder, label) in [(former.as_ref(), AWSPREVIOUS), (Some(version), AWSCURRENT)] {
            if let Some(holder) = holder {
                self.labels.entry(holder.clone()).or_default().push(label.to_owned());
            }
        }
        self.labels.retain(|_, labels| !labels.is_empty());
        self
    }

    /// Whether `version` carries `label`.
    pub fn has(&self, version: &VersionId, label: &str) -> bool {
        self.labels.get(version).is_some_and(|on| on.iter().any(|one| one == label))
    }
}

/// What GetSecretValue answers.
#[derive(Debug, Clone)]
pub struct StoredVersion {
    /// The version that was read.
    pub version: VersionId,
    /// Its value.
    pub value: SecretValue,
    /// When it was created, if the store says so.
    pub created: Option<SystemTime>,
}

/// One row of ListSecretVersionIds.
#[derive(Debug, Clone)]
pub struct VersionSummary {
    /// The version.
    pub version: VersionId,
    /// Its labels; none for a deprecated version.
    pub labels: Vec<String>,
    /// When it was created, if the store says so.
    pub created: Option<SystemTime>,
}

/// Why a store call failed: a code to act on and the service's own message.
///
/// The message must not quote a secret value; [`aws`] withholds any that does.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreError {
    /// What to act on.
    pub code: StoreErrorCode,
    /// The service's message.
    pub message: String,
}

impl StoreError {
    /// An error with this code and message.
    pub fn new(code: StoreErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.message, self.code.name())
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl std::error::Error for StoreError {}

/// The codes of Secrets Manager's errors, and of failing to reach it.
///
/// Source: the errors each operation declares in the API reference; AccessDenied and throttling
/// are not declared there but common to all AWS services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorCode {
    /// ResourceNotFoundException.
    NotFound,
    /// ResourceExistsException.
    AlreadyExists,
    /// InvalidParameterException, ValidationException.
    InvalidParameter,
    /// InvalidRequestException.
    InvalidRequest,
    /// AccessDeniedException, unknown credentials.
    AccessDenied,
    /// ExpiredTokenException: the credentials of the call have ended.
    Expired,
    /// DecryptionFailure: KMS refused to decrypt.
    DecryptionFailure,
    /// EncryptionFailure: KMS refused to encrypt.
    EncryptionFailure,
    /// LimitExceededException.
    LimitExceeded,
    /// Any of the throttling codes.
    Throttled,
    /// InternalServiceError and other 5xx answers.
    Internal,
    /// No connection, no answer, or an unreadable one.
    Unreachable,
    /// A code that none of the above names.
    Other,
}

impl StoreErrorCode {
    /// Whether a request that ended so certainly changed nothing: the service answered, and it is
    /// not an answer that an earlier try of the same request can have led to.
    pub(crate) fn had_no_effect(self) -> bool {
        !matches!(
            self,
            Self::AlreadyExists
                | Self::Expired
                | Self::Throttled
                | Self::Internal
                | Self::Unreachable
                | Self::Other
        )
    }

    /// AWS's name for the code, or a plain one where AWS has none.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotFound => "ResourceNotFoundException",
            Self::AlreadyExists => "ResourceExistsException",
            Self::InvalidParameter => "InvalidParameterException",
            Self::InvalidRequest => "InvalidRequestException",
            Self::AccessDenied => "AccessDeniedException",
            Self::Expired => "ExpiredTokenException",
            Self::DecryptionFailure => "DecryptionFailure",
            Self::EncryptionFailure => "EncryptionFailure",
            Self::LimitExceeded => "LimitExceededException",
            Self::Throttled => "ThrottlingException",
            Self::Internal => "InternalServiceError",
            Self::Unreachable => "no answer",
            Self::Other => "unexpected error",
        }
    }

    /// The kind of error an operator sees.
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::NotFound => ErrorKind::NotFound,
            Self::AlreadyExists | Self::InvalidRequest => ErrorKind::Conflict,
            Self::InvalidParameter => ErrorKind::Malformed,
            Self::AccessDenied | Self::DecryptionFailure | Self::EncryptionFailure => {
                ErrorKind::Forbidden
            }
            Self::LimitExceeded | Self::Throttled => ErrorKind::Throttled,
            // Nobody has to give a permission: a retry has other credentials.
            Self::Expired | Self::Internal | Self::Unreachable | Self::Other => {
                ErrorKind::Unreachable
            }
        }
    }
}
