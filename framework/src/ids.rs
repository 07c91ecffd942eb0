//! The identifiers that travel through a rotation, each a type of its own.
//!
//! Source of the limits: the API reference of Secrets Manager, PutSecretValue and DescribeSecret.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, ErrorKind, Result};

/// The secret's ARN or name: 1 to 2,048 printable ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SecretId(String);

impl SecretId {
    /// Checks the limits above.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the field `SecretId`.
    pub fn parse(id: &str) -> Result<Self> {
        printable("SecretId", id, 1, 2048)?;
        Ok(Self(id.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The id of one version of a secret; for a rotation, its `ClientRequestToken`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId(String);

impl VersionId {
    /// Checks an id that arrived in an event: 32 to 64 printable ASCII characters.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the field `ClientRequestToken`.
    pub fn parse(id: &str) -> Result<Self> {
        printable("ClientRequestToken", id, 32, 64)?;
        Ok(Self(id.to_owned()))
    }

    /// Takes an id that a store returned, as it is.
    pub fn from_store(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The token that lets a function in another account put a value. Sensitive: never logged.
#[derive(Clone)]
pub struct RotationToken(SecretString);

impl RotationToken {
    /// Checks 36 to 256 letters, digits or hyphens.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the field `RotationToken`, without its value.
    pub fn parse(token: &str) -> Result<Self> {
        let legal = token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !legal || !(36..=256).contains(&token.len()) {
            return Err(malformed("RotationToken", "must be 36 to 256 letters, digits or hyphens"));
        }
        Ok(Self(token.into()))
    }

    /// The token itself, to be sent to Secrets Manager and nowhere else.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for RotationToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RotationToken(redacted)")
    }
}

fn printable(field: &'static str, value: &str, least: usize, most: usize) -> Result<()> {
    if value.is_empty() {
        return Err(malformed(field, "is empty"));
    }
    if !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(malformed(field, "contains characters that are not printable ASCII"));
    }
    if !(least..=most).contains(&value.len()) {
        let limits = format!("must be {least} to {most} characters long");
        return Err(malformed(field, &limits));
    }
    Ok(())
}

/// A [`ErrorKind::Malformed`] error about one field of the event. `what` must not quote it.
pub(crate) fn malformed(field: &'static str, what: &str) -> Error {
    Error::new(ErrorKind::Malformed, format!("the event's {field} {what}"))
}
