//! A memory store that two owners share.

use std::sync::Arc;

use async_trait::async_trait;
use fourstep::store::memory::MemoryStore;
use fourstep::store::{
    SecretDescription, SecretStore, Select, StoreError, StoredVersion, VersionSummary,
};
use fourstep::{RotationToken, SecretId, SecretString, VersionId};

pub struct Shared(pub Arc<MemoryStore>);

#[async_trait]
impl SecretStore for Shared {
    async fn describe_secret(&self, secret: &SecretId) -> Result<SecretDescription, StoreError> {
        self.0.describe_secret(secret).await
    }

    async fn get_secret_value(
        &self,
        secret: &SecretId,
        select: Select<'_>,
    ) -> Result<StoredVersion, StoreError> {
        self.0.get_secret_value(secret, select).await
    }

    async fn put_pending(
        &self,
        secret: &SecretId,
        token: &VersionId,
        value: &SecretString,
        rotation_token: Option<&RotationToken>,
    ) -> Result<(), StoreError> {
        self.0.put_pending(secret, token, value, rotation_token).await
    }

    async fn move_current(
        &self,
        secret: &SecretId,
        to: &VersionId,
        from: &VersionId,
    ) -> Result<(), StoreError> {
        self.0.move_current(secret, to, from).await
    }

    async fn list_versions(&self, secret: &SecretId) -> Result<Vec<VersionSummary>, StoreError> {
        self.0.list_versions(secret).await
    }
}
