//! A secret that never changes, for this crate's own tests: the whole double is in `fourstep-local`,
//! which is built of this crate.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{SecretDescription, SecretStore, Select, StoreError, StoreErrorCode};
use super::{StoredVersion, VersionSummary};
use crate::ids::{RotationToken, SecretId, VersionId};
use crate::value::SecretValue;

/// What every secret of this store holds.
pub(crate) struct FixedSecret {
    pub(crate) description: SecretDescription,
    pub(crate) values: BTreeMap<VersionId, SecretValue>,
}

impl FixedSecret {
    /// Versions with one label each, and perhaps a value.
    pub(crate) fn new(versions: &[(&str, &str, Option<&str>)]) -> Self {
        let id = |id: &str| VersionId::from_store(id);
        let labels = versions.iter().map(|(one, label, _)| (id(one), vec![(*label).to_owned()]));
        let labels = labels.collect();
        let valued = |(one, _, value): &(&str, _, Option<&str>)| Some((id(one), (*value)?.into()));
        let description = SecretDescription {
            arn: "arn".to_owned(),
            rotation_enabled: Some(true),
            labels,
            ..SecretDescription::default()
        };
        Self { description, values: versions.iter().filter_map(valued).collect() }
    }
}

fn read_only() -> StoreError {
    StoreError::new(StoreErrorCode::AccessDenied, "this secret never changes")
}

#[async_trait]
impl SecretStore for FixedSecret {
    async fn describe_secret(&self, _: &SecretId) -> Result<SecretDescription, StoreError> {
        Ok(self.description.clone())
    }

    async fn get_secret_value(
        &self,
        _: &SecretId,
        select: Select<'_>,
    ) -> Result<StoredVersion, StoreError> {
        let version = match select {
            Select::Label(label) => self.description.holder(label),
            Select::Version(version) => Some(version),
            Select::VersionWithLabel(version, label) => {
                self.description.has(version, label).then_some(version)
            }
        };
        let stored = version.and_then(|version| self.values.get_key_value(version));
        let (version, value) =
            stored.ok_or_else(|| StoreError::new(StoreErrorCode::NotFound, "no value"))?;
        Ok(StoredVersion { version: version.clone(), value: value.clone(), created: None })
    }

    async fn put_pending(
        &self,
        _: &SecretId,
        _: &VersionId,
        _: &SecretValue,
        _: Option<&RotationToken>,
    ) -> Result<(), StoreError> {
        Err(read_only())
    }

    async fn move_current(
        &self,
        _: &SecretId,
        _: &VersionId,
        _: &VersionId,
    ) -> Result<(), StoreError> {
        Err(read_only())
    }

    async fn remove_pending(&self, _: &SecretId, _: &VersionId) -> Result<(), StoreError> {
        Err(read_only())
    }

    async fn list_versions(&self, _: &SecretId) -> Result<Vec<VersionSummary>, StoreError> {
        Err(read_only())
    }
}
