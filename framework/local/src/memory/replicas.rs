//! Copies of a secret in other Regions, and its resource policy.
//!
//! A copy is what the primary secret is, seen from another Region: it has the primary's versions and
//! tags, and its own key and date of the last access. Nothing is copied before replication to it
//! stops, and so a copy is always in sync.
//!
//! Source: Secrets Manager API Reference, "ReplicateSecretToRegions", "RemoveRegionsFromReplication",
//! "StopReplicationToReplica", "ReplicationStatusType".

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use fourstep::SecretId;
use fourstep::store::StoreError;
use fourstep::store::{AWSCURRENT, AWSPENDING};

use super::record::{Record, State};
use super::types::{SecretDetail, Written};
use super::{Call, MemoryStore, errors};

/// A copy of a secret in another Region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretCopy {
    /// The Region.
    pub region: String,
    /// `KmsKeyId` there.
    pub key: Option<String>,
    /// Why there is no copy after all; absent where it is in sync.
    pub failed: Option<String>,
    /// The day on which a value was last read there.
    pub last_accessed: Option<SystemTime>,
}

/// What a request that is signed for a Region has before it.
pub(crate) enum Seen {
    /// The secret that it names, if there is one.
    AsNamed,
    /// Another secret of that name.
    Another(SecretId),
    /// The copy of a secret.
    Copy { primary: SecretId, region: String },
}

/// The Region of an ARN.
pub(crate) fn region_of(arn: &str) -> Option<&str> {
    arn.starts_with("arn:").then(|| arn.split(':').nth(3)).flatten()
}

/// The same ARN in another Region.
pub(crate) fn in_region(arn: &str, region: &str) -> String {
    let part = |(index, part)| if index == 3 { region } else { part };
    arn.split(':').enumerate().map(part).collect::<Vec<_>>().join(":")
}

impl SecretDetail {
    /// The Region in which the secret was made.
    pub fn region(&self) -> &str {
        region_of(&self.arn).unwrap_or_default()
    }

    /// `PrimaryRegion`: of a copy, and of a secret that has copies.
    pub fn primary_region(&self) -> Option<&str> {
        let own = (!self.copies.is_empty()).then(|| self.region());
        self.primary_region.as_deref().or(own)
    }

    /// `OwningService`: the one in front of `!` in the name (Secrets Manager User Guide, "Secrets
    /// managed by other AWS services"), or that of its tag.
    pub fn owning_service(&self) -> Option<&str> {
        let tag = self.tags.get("aws:secretsmanager:owningService").map(String::as_str);
        let service = self.name.split_once('!').map(|(service, _)| service);
        tag.or(service).filter(|service| !service.is_empty())
    }

    /// As DescribeSecret shows the copy in a Region.
    pub(crate) fn copy_in(mut self, region: &str) -> Self {
        let Some(copy) = self.copies.get(region).filter(|copy| copy.failed.is_none()) else {
            return self;
        };
        (self.key, self.last_accessed) = (copy.key.clone(), copy.last_accessed);
        self.primary_region = Some(self.region().to_owned());
        self.arn = in_region(&self.arn, region);
        self.copies.clear();
        self
    }
}

impl Record {
    /// Refuses to delete what still has copies.
    pub(super) fn unreplicated(&self) -> Result<(), StoreError> {
        let regions: Vec<&str> = self.detail.copies.keys().map(String::as_str).collect();
        if regions.is_empty() {
            return Ok(());
        }
        Err(errors::still_replicated(&self.detail.arn, &regions))
    }

    /// Adds copies, or none of them.
    pub(super) fn copy_to(
        &mut self,
        regions: &BTreeMap<String, Option<String>>,
        taken: &BTreeSet<String>,
    ) -> Result<(), StoreError> {
        if regions.contains_key(self.detail.region()) {
            return Err(errors::own_region());
        }
        for (region, key) in regions {
            let failed = taken.contains(region).then(errors::name_in_region);
            let before = self.detail.copies.get(region).and_then(|copy| copy.last_accessed);
            let (region, key) = (region.clone(), key.clone());
            let copy = SecretCopy { region: region.clone(), key, failed, last_accessed: before };
            self.detail.copies.insert(region, copy);
        }
        Ok(())
    }
}

impl State {
    /// The Regions that have a secret of this name of their own.
    pub(super) fn regions_with(&self, name: &str) -> BTreeSet<String> {
        let named = self.all().filter(|record| record.detail.name == name);
        named.map(|record| record.detail.region().to_owned()).collect()
    }

    fn seen_from(&self, id: &SecretId, region: &str) -> Option<Seen> {
        let arn = region_of(id.as_str());
        let region = arn.unwrap_or(region);
        let named = self.read(id, 0).ok();
        let own = |record: &&Record| {
            record.detail.name == id.as_str() && record.detail.region() == region
        };
        if arn.is_none()
            && let Some(own) = self.all().find(own)
            && named.is_none_or(|named| named.detail.arn != own.detail.arn)
        {
            return SecretId::parse(&own.detail.arn).ok().map(Seen::Another);
        }
        let named = named?;
        let copy = named.detail.copies.get(region).filter(|copy| copy.failed.is_none())?;
        let primary = SecretId::parse(&named.detail.arn).ok()?;
        Some(Seen::Copy { primary, region: copy.region.clone() })
    }
}

impl MemoryStore {
    /// How a request that is signed for a Region sees the secret that it names. An ARN names its
    /// Region itself. Where a Region has no secret of that name, it sees every other's.
    pub(crate) fn seen_from(&self, secret: &SecretId, region: &str) -> Seen {
        self.state().seen_from(secret, region).unwrap_or(Seen::AsNamed)
    }

    /// The copies of the secret with this ARN. No API call, so faults do not apply.
    pub(crate) fn copies(&self, arn: &str) -> Vec<SecretCopy> {
        let state = self.state();
        let record = state.all().find(|record| record.detail.arn == arn);
        record.into_iter().flat_map(|record| record.detail.copies.values().cloned()).collect()
    }

    /// ReplicateSecretToRegions: the Regions, each with the key of its copy. Where a Region has a
    /// secret of that name already, the copy fails, or takes its place if `overwrite` says so.
    ///
    /// # Errors
    /// NotFound; InvalidParameter for the secret's own Region; InvalidRequest if it waits for its
    /// deletion.
    pub fn replicate(
        &self,
        secret: &SecretId,
        regions: &BTreeMap<String, Option<String>>,
        overwrite: bool,
    ) -> Result<Written, StoreError> {
        self.served(Call::of("ReplicateSecretToRegions", secret), |_| {
            let mut state = self.state();
            let name = state.read(secret, 0)?.detail.name.clone();
            let taken = if overwrite { BTreeSet::new() } else { state.regions_with(&name) };
            let written = state.write(secret, |record, clock| {
                record.alive()?;
                record.copy_to(regions, &taken)?;
                record.detail.last_changed = Some(clock.tick());
                Ok(Written::about(record, None))
            })?;
            if overwrite {
                state.remove_all(|detail| {
                    detail.name == name
                        && detail.arn != written.arn
                        && regions.contains_key(detail.region())
                });
            }
            Ok(written)
        })
    }

    /// RemoveRegionsFromReplication: the copies there are gone.
    ///
    /// # Errors
    /// NotFound; InvalidRequest if the secret waits for its deletion.
    pub fn remove_copies(
        &self,
        secret: &SecretId,
        regions: &[String],
    ) -> Result<Written, StoreError> {
        self.write(Call::of("RemoveRegionsFromReplication", secret), secret, |record, clock| {
            record.alive()?;
            record.detail.copies.retain(|region, _| !regions.contains(region));
            record.detail.last_changed = Some(clock.tick());
            Ok(Written::about(record, None))
        })
    }

    /// StopReplicationToReplica: the copy in a Region becomes a secret of its own, with the versions
    /// that the primary has now. Its rotation is off, as AWS's "Promote a replica secret" has it. It is found by its ARN, and by its name from that Region.
    ///
    /// # Errors
    /// NotFound; InvalidParameter where that Region has no copy.
    pub fn promote(&self, secret: &SecretId, region: &str) -> Result<Written, StoreError> {
        self.served(Call::of("StopReplicationToReplica", secret), |_| {
            let mut state = self.state();
            let record = state.write(secret, |record, clock| {
                let mut own = record.clone();
                let copy = record.detail.copies.remove(region);
                let copy = copy.filter(|copy| copy.failed.is_none()).ok_or_else(errors::no_copy)?;
                own.detail.arn = in_region(&own.detail.arn, region);
                (own.detail.key, own.detail.last_accessed) = (copy.key, copy.last_accessed);
                own.detail.copies.clear();
                // A rotation of both would rotate one user of one database twice.
                own.detail.rotation_enabled = None;
                own.detail.rotation_lambda_arn = None;
                own.detail.rotation_rules = None;
                (own.detail.scheduled, own.detail.last_rotated) = (None, None);
                if own.holder(AWSPENDING) != own.holder(AWSCURRENT) {
                    own.detach(AWSPENDING);
                }
                own.detail.last_changed = Some(clock.tick());
                Ok(own)
            })?;
            let written = Written::about(&record, None);
            state.insert_as(&written.arn, record);
            Ok(written)
        })
    }

    /// PutResourcePolicy. Its text is kept as it is.
    ///
    /// # Errors
    /// NotFound; InvalidRequest if the secret waits for its deletion.
    pub fn put_policy(&self, secret: &SecretId, policy: &str) -> Result<Written, StoreError> {
        self.set_policy("PutResourcePolicy", secret, Some(policy.to_owned()))
    }

    /// DeleteResourcePolicy; there need not be one.
    ///
    /// # Errors
    /// As [`put_policy`](Self::put_policy).
    pub fn delete_policy(&self, secret: &SecretId) -> Result<Written, StoreError> {
        self.set_policy("DeleteResourcePolicy", secret, None)
    }

    fn set_policy(
        &self,
        operation: &'static str,
        secret: &SecretId,
        policy: Option<String>,
    ) -> Result<Written, StoreError> {
        self.write(Call::of(operation, secret), secret, |record, clock| {
            record.alive()?;
            record.policy = policy;
            record.detail.last_changed = Some(clock.tick());
            Ok(Written::about(record, None))
        })
    }

    /// GetResourcePolicy, or another operation that reads the policy.
    ///
    /// # Errors
    /// As [`put_policy`](Self::put_policy).
    pub(crate) fn policy(
        &self,
        operation: &'static str,
        secret: &SecretId,
    ) -> Result<(Written, Option<String>), StoreError> {
        self.read(Call::of(operation, secret), secret, |record| {
            record.alive()?;
            Ok((Written::about(record, None), record.policy.clone()))
        })
    }
}
