//! The operations on whole secrets: create, describe, tag, delete.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use fourstep::store::{AWSCURRENT, StoreError};
use fourstep::{SecretId, VersionId};

use super::record::{Record, State, random_suffix, random_version};
use super::types::{Deletion, NewSecret, NewValue, SecretDetail, Written};
use super::{Call, MemoryStore, errors, versions};

/// The Region of a secret whose maker names none.
const REGION: &str = "us-east-1";

/// A new secret's ARN.
fn new_arn(name: &str, region: &str) -> Result<String, StoreError> {
    let partition = match region.split('-').next() {
        Some("cn") => "aws-cn",
        Some("us") if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    let suffix = random_suffix()?;
    Ok(format!("arn:{partition}:secretsmanager:{region}:000000000000:secret:{name}-{suffix}"))
}

impl Written {
    pub(super) fn about(record: &Record, version: Option<VersionId>) -> Self {
        let labels = version.as_ref().map(|version| record.labels_of(version)).unwrap_or_default();
        let SecretDetail { arn, name, .. } = record.detail.clone();
        Self { arn, name, version, labels }
    }

    /// The answer about a secret that there is none of.
    fn absent(secret: &SecretId) -> Result<Self, StoreError> {
        let id = secret.as_str();
        let name = id.rsplit(':').next().unwrap_or(id).to_owned();
        let arn = if name == id { new_arn(id, REGION)? } else { id.to_owned() };
        Ok(Self { arn, name, version: None, labels: Vec::new() })
    }
}

impl MemoryStore {
    /// CreateSecret. With a value, the first version is AWSCURRENT. The same token and value again
    /// succeeds without effect.
    ///
    /// # Errors
    /// AlreadyExists if the name is taken; InvalidRequest while a secret of that name waits for
    /// its deletion.
    pub fn create(&self, name: &str, new: NewSecret) -> Result<Written, StoreError> {
        let token = new.token.clone();
        let call = Call::named("CreateSecret", name).on(token.as_ref(), None);
        self.served(call, |_| create(&mut self.state(), name, new))
    }

    /// DescribeSecret. Works while the secret waits for its deletion, too.
    ///
    /// # Errors
    /// NotFound.
    pub fn describe(&self, secret: &SecretId) -> Result<SecretDetail, StoreError> {
        self.read(Call::of("DescribeSecret", secret), secret, |record| Ok(record.described()))
    }

    /// TagResource: adds tags, and replaces the values of those that are there.
    ///
    /// # Errors
    /// NotFound; InvalidRequest if the secret waits for its deletion.
    pub fn tag(&self, secret: &SecretId, tags: BTreeMap<String, String>) -> Result<(), StoreError> {
        self.write(Call::of("TagResource", secret), secret, |record, clock| {
            record.alive()?;
            record.detail.tags.extend(tags);
            record.detail.last_changed = Some(clock.tick());
            Ok(())
        })
    }

    /// UntagResource: takes these tags off, those that are not there included.
    ///
    /// # Errors
    /// As [`tag`](Self::tag).
    pub fn untag(&self, secret: &SecretId, keys: &[String]) -> Result<(), StoreError> {
        self.write(Call::of("UntagResource", secret), secret, |record, clock| {
            record.alive()?;
            record.detail.tags.retain(|key, _| !keys.contains(key));
            record.detail.last_changed = Some(clock.tick());
            Ok(())
        })
    }

    /// UpdateSecret: a new description, a new key and a new value, each where one is given. The value
    /// becomes AWSCURRENT, as [`put`](Self::put) without labels has it.
    ///
    /// # Errors
    /// Those of [`put`](Self::put).
    pub fn update(&self, secret: &SecretId, new: NewSecret) -> Result<Written, StoreError> {
        let call = Call::of("UpdateSecret", secret).on(new.token.as_ref(), None);
        let token = new.token.clone();
        self.write(call, secret, |record, clock| {
            record.alive()?;
            let detail = &mut record.detail;
            detail.description = new.description.or(detail.description.take());
            detail.key = new.key.or(detail.key.take());
            detail.last_changed = Some(clock.tick());
            let Some(value) = new.value else { return Ok(Written::about(record, None)) };
            let token = token.map_or_else(random_version, Ok)?;
            versions::put(record, clock, NewValue::current(&token, value))
        })
    }

    /// RestoreSecret: takes back a deletion that has not come yet.
    ///
    /// # Errors
    /// NotFound.
    pub fn restore(&self, secret: &SecretId) -> Result<Written, StoreError> {
        self.write(Call::of("RestoreSecret", secret), secret, |record, clock| {
            (record.detail.deleted, record.detail.gone) = (None, None);
            record.detail.last_changed = Some(clock.tick());
            Ok(Written::about(record, None))
        })
    }

    /// ListSecrets, in one page, sorted by name; without those that wait for their deletion, unless
    /// they are asked for.
    ///
    /// # Errors
    /// Those of a fault.
    pub fn secrets(&self, deleted_too: bool) -> Result<Vec<SecretDetail>, StoreError> {
        self.served(Call::named("ListSecrets", ""), |_| {
            let state = self.state();
            let all = state.all().map(Record::described);
            Ok(all.filter(|detail| deleted_too || detail.deleted.is_none()).collect())
        })
    }

    /// DeleteSecret. Answers when the secret will be, or was, gone for good.
    ///
    /// # Errors
    /// NotFound, but not with [`Deletion::Now`]; InvalidParameter for a recovery window of less than
    /// 7 or more than 30 days, and while there are copies in other Regions; InvalidRequest if the
    /// secret waits for its deletion already.
    pub fn delete(
        &self,
        secret: &SecretId,
        how: Deletion,
    ) -> Result<(Written, SystemTime), StoreError> {
        self.served(Call::of("DeleteSecret", secret), |_| {
            let mut state = self.state();
            match how {
                Deletion::Now => {
                    let Ok(record) = state.read(secret, 0) else {
                        return Ok((Written::absent(secret)?, state.clock.tick()));
                    };
                    record.unreplicated()?;
                    let written = Written::about(record, None);
                    state.remove_all(|detail| detail.arn == written.arn);
                    Ok((written, state.clock.tick()))
                }
                Deletion::After(days) if !(7..=30).contains(&days) => {
                    Err(errors::recovery_window())
                }
                Deletion::After(days) => state.write(secret, |record, clock| {
                    record.alive()?;
                    record.unreplicated()?;
                    let now = clock.tick();
                    let gone = now + Duration::from_secs(u64::from(days) * 24 * 60 * 60);
                    (record.detail.deleted, record.detail.gone) = (Some(now), Some(gone));
                    Ok((Written::about(record, None), gone))
                }),
            }
        })
    }
}

fn create(state: &mut State, name: &str, new: NewSecret) -> Result<Written, StoreError> {
    let region = new.region.as_deref().unwrap_or(REGION);
    if let Some(taken) = state.named(name, region) {
        if taken.detail.deleted.is_some() {
            return Err(errors::name_waits_for_deletion());
        }
        return repeated(taken, &new).ok_or_else(|| errors::already_named(name));
    }
    let arn = match new.arn {
        Some(arn) => arn,
        None => new_arn(name, region)?,
    };
    let mut record = Record::new(name, arn, new.tags);
    record.detail.description = new.description;
    record.detail.key = new.key;
    record.detail.created = Some(state.clock.tick());
    record.detail.last_changed = record.detail.created;
    let taken = if new.overwrite { BTreeSet::new() } else { state.regions_with(name) };
    record.copy_to(&new.copies, &taken)?;
    let written = match new.value {
        None => Written::about(&record, None),
        Some(value) => {
            let token = new.token.map_or_else(random_version, Ok)?;
            versions::put(&mut record, &mut state.clock, NewValue::current(&token, value))?
        }
    };
    if new.overwrite {
        state.remove_all(|other| other.name == name && new.copies.contains_key(other.region()));
    }
    state.insert_as(name, record);
    Ok(written)
}

/// The answer to a CreateSecret that was sent twice, recognised by its token and its value.
fn repeated(taken: &Record, new: &NewSecret) -> Option<Written> {
    let token = new.token.as_ref()?;
    let stored = taken.versions.get(token)?.value.as_ref()?;
    let same = stored.same_as(new.value.as_ref()?) && taken.holder(AWSCURRENT) == Some(token);
    same.then(|| Written::about(taken, Some(token.clone())))
}
