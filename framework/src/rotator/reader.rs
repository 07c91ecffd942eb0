//! Reads secrets other than the one that is rotated.

use crate::error::Result;
use crate::ids::SecretId;
use crate::secret::Secret;
use crate::store::{SecretClient, SecretDescription};

/// Secrets other than the one that is rotated, such as an admin's. Authors read them, and never change them.
pub struct SecretReader<'a> {
    calls: &'a SecretClient<'a>,
}

impl<'a> SecretReader<'a> {
    /// As [`CreateContext::new`](super::CreateContext::new).
    pub fn new(client: &'a SecretClient<'a>) -> Self {
        Self { calls: client }
    }

    /// The calls about the secret that is rotated, by which a strategy finds those about the secrets that
    /// it keeps in step with it.
    pub(crate) fn calls(&self) -> &'a SecretClient<'a> {
        self.calls
    }

    /// The AWSCURRENT value of another secret.
    ///
    /// # Errors
    /// Those of GetSecretValue.
    pub async fn current(&self, secret: &SecretId) -> Result<Secret> {
        Ok(self.calls.about(secret).current().await?.secret().clone())
    }

    /// Labels and tags of another secret.
    ///
    /// # Errors
    /// Those of DescribeSecret.
    pub async fn describe(&self, secret: &SecretId) -> Result<SecretDescription> {
        self.calls.about(secret).describe().await
    }
}
