//! The state behind the store: secrets, their versions, and which version holds which label.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fourstep::store::{AWSCURRENT, AWSPREVIOUS, StoreError, StoreErrorCode, VersionSummary};
use fourstep::{RotationToken, SecretId, SecretValue, VersionId};
use rand::TryRng;

use super::errors;
use super::types::{RotationRules, SecretDetail};

/// How many earlier states of a secret are kept for stale reads.
const REMEMBERED: usize = 32;

#[derive(Clone)]
pub(super) struct Version {
    /// None for the placeholder that RotateSecret makes.
    pub(super) value: Option<SecretValue>,
    pub(super) created: SystemTime,
    /// Made to test a schedule, and to be removed afterwards.
    pub(super) temporary: bool,
    pub(super) rotation_token: Option<RotationToken>,
}

/// One secret. Labels map to versions and not the other way round: that a label is on at most one
/// version then holds by construction.
#[derive(Clone)]
pub(super) struct Record {
    pub(super) detail: SecretDetail,
    pub(super) versions: BTreeMap<VersionId, Version>,
    pub(super) labels: BTreeMap<String, VersionId>,
}

impl Record {
    pub(super) fn new(name: &str, arn: String, tags: BTreeMap<String, String>) -> Self {
        let detail = SecretDetail { arn, name: name.to_owned(), tags, ..SecretDetail::default() };
        Self { detail, versions: BTreeMap::new(), labels: BTreeMap::new() }
    }

    pub(super) fn holder(&self, label: &str) -> Option<&VersionId> {
        self.labels.get(label)
    }

    pub(super) fn labels_of(&self, version: &VersionId) -> Vec<String> {
        self.labels
            .iter()
            .filter(|(_, on)| *on == version)
            .map(|(label, _)| label.clone())
            .collect()
    }

    /// Moves a label. AWSCURRENT leaves AWSPREVIOUS on the version it came from.
    pub(super) fn attach(&mut self, label: &str, to: &VersionId) {
        let from = self.labels.insert(label.to_owned(), to.clone());
        if let Some(from) = from.filter(|from| label == AWSCURRENT && from != to) {
            self.labels.insert(AWSPREVIOUS.to_owned(), from);
        }
    }

    pub(super) fn detach(&mut self, label: &str) {
        self.labels.remove(label);
    }

    pub(super) fn add(&mut self, id: &VersionId, value: Option<SecretValue>, clock: &mut Clock) {
        let created = clock.tick();
        let version = Version { value, created, temporary: false, rotation_token: None };
        self.versions.insert(id.clone(), version);
        self.detail.last_changed = Some(created);
    }

    /// What DescribeSecret shows: every labelled version, empty ones included.
    pub(super) fn described(&self) -> SecretDetail {
        let mut detail = self.detail.clone();
        for (label, version) in &self.labels {
            detail.labels.entry(version.clone()).or_default().push(label.clone());
        }
        detail
    }

    pub(super) fn summaries(&self, include_deprecated: bool) -> Vec<VersionSummary> {
        let all = self.versions.iter().map(|(id, version)| VersionSummary {
            version: id.clone(),
            labels: self.labels_of(id),
            created: Some(version.created),
        });
        all.filter(|summary| include_deprecated || !summary.labels.is_empty()).collect()
    }

    /// Refuses what AWS refuses on a secret that waits for its deletion.
    pub(super) fn alive(&self) -> Result<(), StoreError> {
        match self.detail.deleted {
            Some(_) => Err(errors::marked_for_deletion()),
            None => Ok(()),
        }
    }

    /// The rotation function, of a secret that may still be rotated.
    pub(super) fn function(&self) -> Result<Option<String>, StoreError> {
        self.alive()?;
        Ok(self.detail.rotation_lambda_arn.clone())
    }

    pub(super) fn set_rotation(&mut self, lambda_arn: &str, rules: Option<RotationRules>) {
        self.detail.rotation_enabled = Some(true);
        self.detail.rotation_lambda_arn = Some(lambda_arn.to_owned());
        self.detail.rotation_rules = rules.or(self.detail.rotation_rules.take());
    }
}

/// Strictly increasing times, a millisecond apart at least: what AWS's timestamps can tell apart,
/// so that "the newest version" is defined however fast versions are made.
#[derive(Default)]
pub(super) struct Clock {
    last: u64,
}

impl Clock {
    pub(super) fn tick(&mut self) -> SystemTime {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.last = now.max(self.last.saturating_add(1));
        UNIX_EPOCH + Duration::from_millis(self.last)
    }
}

/// A secret and what it was before each of its last writes, the latest in front.
pub(super) struct Entry {
    now: Record,
    before: VecDeque<Record>,
}

#[derive(Default)]
pub(super) struct State {
    secrets: BTreeMap<String, Entry>,
    pub(super) clock: Clock,
}

impl State {
    pub(super) fn insert(&mut self, record: Record) {
        let entry = Entry { now: record, before: VecDeque::new() };
        self.secrets.insert(entry.now.detail.name.clone(), entry);
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.secrets.remove(name);
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Record> {
        self.secrets.values().map(|entry| &entry.now)
    }

    pub(super) fn named(&self, name: &str) -> Option<&Record> {
        self.secrets.get(name).map(|entry| &entry.now)
    }

    /// The secret as it was before its last `stale` writes; as it is for 0.
    pub(super) fn read(&self, id: &SecretId, stale: usize) -> Result<&Record, StoreError> {
        let entry = self.secrets.get(&self.name(id)?).ok_or_else(errors::no_secret)?;
        let old = stale
            .checked_sub(1)
            .and_then(|index| entry.before.get(index).or_else(|| entry.before.back()));
        Ok(old.unwrap_or(&entry.now))
    }

    /// Changes a secret wholly or, when `work` fails, not at all.
    pub(super) fn write<T>(
        &mut self,
        id: &SecretId,
        work: impl FnOnce(&mut Record, &mut Clock) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let name = self.name(id)?;
        let entry = self.secrets.get_mut(&name).ok_or_else(errors::no_secret)?;
        let mut next = entry.now.clone();
        let answer = work(&mut next, &mut self.clock)?;
        entry.before.push_front(std::mem::replace(&mut entry.now, next));
        entry.before.truncate(REMEMBERED);
        Ok(answer)
    }

    /// A secret is found by name, by ARN, or by ARN without the random suffix.
    fn name(&self, id: &SecretId) -> Result<String, StoreError> {
        let id = id.as_str();
        if self.secrets.contains_key(id) {
            return Ok(id.to_owned());
        }
        let mut all = self.secrets.values().map(|entry| &entry.now.detail);
        let found = all.find(|detail| {
            let suffix = detail.arn.strip_prefix(id);
            suffix.is_some_and(|suffix| suffix.is_empty() || is_random_suffix(suffix))
        });
        found.map(|detail| detail.name.clone()).ok_or_else(errors::no_secret)
    }
}

fn is_random_suffix(suffix: &str) -> bool {
    let letters = suffix.strip_prefix('-').filter(|letters| letters.len() == 6);
    letters.is_some_and(|letters| letters.bytes().all(|byte| byte.is_ascii_alphabetic()))
}

/// Six letters for an ARN.
pub(super) fn random_suffix() -> Result<String, StoreError> {
    let letter = |byte: u8| match byte % 52 {
        upper @ 0..26 => char::from(b'A' + upper),
        lower => char::from(b'a' + lower - 26),
    };
    Ok(random::<6>()?.map(letter).iter().collect())
}

/// An id for a version nobody named, in the form of a UUID.
pub(super) fn random_version() -> Result<VersionId, StoreError> {
    let number = u128::from_be_bytes(random::<16>()?);
    let hex = format!("{number:032x}");
    let mut id = String::with_capacity(36);
    for (index, digit) in hex.chars().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            id.push('-');
        }
        // The version digit of a random UUID.
        id.push(if index == 12 { '4' } else { digit });
    }
    Ok(VersionId::from_store(id))
}

fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], StoreError> {
    let mut bytes = [0; LENGTH];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(|_| {
        StoreError::new(StoreErrorCode::Internal, "the operating system gives no random numbers")
    })?;
    Ok(bytes)
}
