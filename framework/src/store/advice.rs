//! What a failed call to Secrets Manager means, and what an operator does about it.

use super::{StoreError, StoreErrorCode};
use crate::error::Error;

/// What the message of a failure begins with that was met on the way to a role's credentials.
pub(crate) const ASSUME_ROLE: &str = "AssumeRole";

/// What the message of a refusal begins with that was met with the credentials of a role.
pub(crate) const CREDENTIALS_OF: &str = "the credentials of ";

/// What the message of a refusal begins with that a role met, and not the function's own.
pub(crate) const TO_ROLE: &str = "as the role ";

/// What to do where the function's or the shell's own credentials have ended.
pub(crate) const OWN_ENDED: &str = "the function's or the shell's own credentials ended: get new ones, \
                                    as a new container of the function has, then retry";

/// What to look at where Secrets Manager cannot be reached.
pub(crate) const NO_WAY: &str = "look at the function's way to Secrets Manager (VPC endpoint or NAT \
                                 gateway, security groups, DNS)";

impl StoreError {
    /// The engine's error for this store error, naming the call.
    pub(crate) fn during(&self, operation: &str) -> Error {
        let error = Error::new(self.code.kind(), format!("{operation} failed")).caused_by(self);
        match self.advice() {
            Some(advice) => error.caused_by(advice),
            None => error,
        }
    }

    /// What an operator does about it, where the service's own words do not say so.
    fn advice(&self) -> Option<&'static str> {
        let assuming = self.message.starts_with(ASSUME_ROLE);
        Some(match self.code {
            StoreErrorCode::AccessDenied if assuming => {
                "let the trust policy of the role in SECRETS_ROLE_ARN name the function's role (and \
                 SECRETS_ROLE_EXTERNAL_ID, if it asks for one), and let the function's role call \
                 sts:AssumeRole on it"
            }
            StoreErrorCode::Unreachable if assuming => {
                "look at the function's way to STS (VPC endpoint or NAT gateway, security groups, DNS)"
            }
            StoreErrorCode::AccessDenied if self.message.starts_with(TO_ROLE) => {
                match self.is_about_kms() {
                    true => {
                        "let this role, which SECRETS_ROLE_ARN names, use the secret's KMS key \
                         (kms:Decrypt, and kms:GenerateDataKey for a secret that it writes; in the role's and in \
                         the key's policy)"
                    }
                    false => {
                        "look at the policies of this role, which SECRETS_ROLE_ARN names, and of the \
                         secret"
                    }
                }
            }
            StoreErrorCode::AccessDenied if self.is_about_kms() => {
                "let the function's role use the secret's KMS key (kms:Decrypt, and \
                 kms:GenerateDataKey for a secret that it writes; in the role's and in the key's policy)"
            }
            StoreErrorCode::AccessDenied => {
                "look at the policies of the function's role and of the secret"
            }
            StoreErrorCode::DecryptionFailure | StoreErrorCode::EncryptionFailure => {
                "look at the secret's KMS key: whether it is enabled, and its policy"
            }
            StoreErrorCode::Expired if self.message.starts_with(CREDENTIALS_OF) => {
                "the credentials of this call have ended; retry, which is done with new ones"
            }
            StoreErrorCode::Expired => OWN_ENDED,
            StoreErrorCode::Throttled => "retry later",
            StoreErrorCode::LimitExceeded => "look at the quotas of Secrets Manager",
            StoreErrorCode::Internal => "retry, and look at AWS's service health",
            StoreErrorCode::Unreachable => NO_WAY,
            StoreErrorCode::NotFound
            | StoreErrorCode::AlreadyExists
            | StoreErrorCode::InvalidParameter
            | StoreErrorCode::InvalidRequest
            | StoreErrorCode::Other => return None,
        })
    }

    /// Whether a key is refused, as the service says that ("Access to KMS is not allowed") or the key's
    /// policy does. The message may begin with a role's name: neither a space nor a colon is in one.
    fn is_about_kms(&self) -> bool {
        ["Access to KMS", "kms:"].iter().any(|word| self.message.contains(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_named_after_kms_is_not_taken_for_a_refused_key() {
        for (said, key) in [
            ("Access to KMS is not allowed", true),
            ("User: u is not authorized to perform: kms:Decrypt on this resource", true),
            (
                "User: arn:aws:sts::1:assumed-role/app-KMS-x/f is not authorized to perform: a:B",
                false,
            ),
        ] {
            for before in ["", "as the role arn:aws:iam::1:role/app-KMS-reader: "] {
                let message = format!("{before}{said}");
                let error = StoreError { code: StoreErrorCode::AccessDenied, message };
                let told = error.during("GetSecretValue").to_string();
                assert_eq!(told.contains("KMS key"), key, "{told}");
                assert_eq!(told.contains("SECRETS_ROLE_ARN"), !before.is_empty(), "{told}");
            }
        }
    }
}
