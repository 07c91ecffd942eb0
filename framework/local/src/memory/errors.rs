//! The errors of Secrets Manager, in its own words where they are known.
//!
//! Source: messages recorded from AWS by the test suites of moto and LocalStack and quoted in
//! public issues; the rest, marked below, is ours.

use fourstep::VersionId;
use fourstep::store::{Select, StoreError, StoreErrorCode as Code};

pub(super) fn no_secret() -> StoreError {
    StoreError::new(Code::NotFound, "Secrets Manager can't find the specified secret.")
}

pub(super) fn no_value(select: Select<'_>) -> StoreError {
    let what = match select {
        Select::Label(label) | Select::VersionWithLabel(_, label) => {
            format!("staging label: {label}")
        }
        Select::Version(version) => format!("VersionId: {version}"),
    };
    let message = format!("Secrets Manager can't find the specified secret value for {what}");
    StoreError::new(Code::NotFound, message)
}

pub(super) fn label_not_on_version() -> StoreError {
    StoreError::new(
        Code::InvalidRequest,
        "You provided a VersionStage that is not associated to the provided VersionId.",
    )
}

pub(super) fn token_in_use(token: &VersionId, arn: &str) -> String {
    format!(
        "You can't use ClientRequestToken {token} because that value is already in use for a \
         version of secret {arn}."
    )
}

/// Ours: AWS's own text would echo the value.
pub(super) fn value_length() -> StoreError {
    let message = "The secret value must be 1 to 65536 bytes long.";
    StoreError::new(Code::InvalidParameter, message)
}

pub(super) fn already_named(name: &str) -> StoreError {
    let message = format!("The operation failed because the secret {name} already exists.");
    StoreError::new(Code::AlreadyExists, message)
}

pub(super) fn name_waits_for_deletion() -> StoreError {
    StoreError::new(
        Code::InvalidRequest,
        "You can't create this secret because a secret with this name is already scheduled for \
         deletion.",
    )
}

pub(super) fn marked_for_deletion() -> StoreError {
    StoreError::new(
        Code::InvalidRequest,
        "You can't perform this operation on the secret because it was marked for deletion.",
    )
}

pub(super) fn own_region() -> StoreError {
    StoreError::new(Code::InvalidParameter, "Invalid replica region.")
}

/// What a copy's `StatusMessage` says.
pub(super) fn name_in_region() -> String {
    "Replication failed: Secret with this name already exists in this region.".to_owned()
}

pub(super) fn still_replicated(arn: &str, regions: &[&str]) -> StoreError {
    let regions = regions.join(", ");
    let message =
        format!("You can't delete secret {arn} that still has replica regions [{regions}].");
    StoreError::new(Code::InvalidParameter, message)
}

/// Ours: AWS's words are not known.
pub(super) fn no_copy() -> StoreError {
    let message = "Operation not permitted on a secret that is no replica. Call must be made in the \
                   replica's region, or name the replica's ARN.";
    StoreError::new(Code::InvalidParameter, message)
}

pub(super) fn recovery_window() -> StoreError {
    StoreError::new(
        Code::InvalidParameter,
        "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
    )
}

pub(super) fn remove_from_missing(label: &str, holder: &VersionId) -> StoreError {
    let message = format!(
        "The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently \
         attached to version {holder}, so you must explicitly reference that version in \
         RemoveFromVersionId."
    );
    StoreError::new(Code::InvalidParameter, message)
}

pub(super) fn not_attached(label: &str, version: &VersionId) -> StoreError {
    let message = format!("Staging label {label} isn't currently attached to version {version}.");
    StoreError::new(Code::InvalidParameter, message)
}

pub(super) fn current_stays() -> StoreError {
    // The apostrophe is AWS's own.
    StoreError::new(
        Code::InvalidParameter,
        "You can only move staging label AWSCURRENT to a different secret version. It can’t be \
         completely removed.",
    )
}

/// Ours: AWS's words are not known.
pub(super) fn nothing_to_move(label: &str) -> StoreError {
    let message = format!("Staging label {label} isn't attached to any version.");
    StoreError::new(Code::InvalidParameter, message)
}

/// AWS's limit of labels on one version; the words are ours.
pub(super) fn too_many_labels() -> StoreError {
    StoreError::new(Code::LimitExceeded, "A version can't have more than 20 staging labels.")
}

pub(super) fn no_function() -> StoreError {
    StoreError::new(
        Code::InvalidRequest,
        "No Lambda rotation function ARN is associated with this secret.",
    )
}

pub(super) fn not_invokable() -> StoreError {
    StoreError::new(
        Code::AccessDenied,
        "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function \
         policy grants access to the principal secretsmanager.amazonaws.com.",
    )
}

pub(super) fn rotation_under_way() -> StoreError {
    StoreError::new(
        Code::InvalidRequest,
        "A previous rotation isn't complete. That rotation will be reattempted.",
    )
}

/// Ours: what a caller of [`super::MemoryStore::finish_rotation`] did wrong.
pub(super) fn not_finished(token: &VersionId) -> StoreError {
    let message = format!("version {token} is not AWSCURRENT, so its rotation did not succeed");
    StoreError::new(Code::InvalidRequest, message)
}
