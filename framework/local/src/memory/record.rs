//! The state behind the store: secrets, their versions, and which version holds which label.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fourstep::store::{
    AWSCURRENT, AWSPENDING, AWSPREVIOUS, StoreError, StoreErrorCode, VersionSummary,
};
use fourstep::{RotationToken, SecretId, SecretValue, VersionId};
use rand::TryRng;

use super::errors;
use super::replicas::in_region;
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
    /// The day on which it was last read.
    pub(super) accessed: Option<SystemTime>,
}

/// One secret. Labels map to versions and not the other way round: that a label is on at most one
/// version then holds by construction.
#[derive(Clone)]
pub(super) struct Record {
    pub(super) detail: SecretDetail,
    pub(super) versions: BTreeMap<VersionId, Version>,
    pub(super) labels: BTreeMap<String, VersionId>,
    /// The resource policy.
    pub(super) policy: Option<String>,
}

impl Record {
    pub(super) fn new(name: &str, arn: String, tags: BTreeMap<String, String>) -> Self {
        let detail = SecretDetail { arn, name: name.to_owned(), tags, ..SecretDetail::default() };
        Self { detail, versions: BTreeMap::new(), labels: BTreeMap::new(), policy: None }
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
        if let Some(version) = self.versions.get_mut(to)
            && label != AWSPENDING
        {
            // What somebody labels stays, whatever becomes of the test that made it.
            version.temporary = false;
        }
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
        let (rotation_token, accessed) = (None, None);
        let version = Version { value, created, temporary: false, rotation_token, accessed };
        self.versions.insert(id.clone(), version);
        self.detail.last_changed = Some(created);
    }

    /// What DescribeSecret shows: every labelled version, empty ones included.
    pub(super) fn described(&self) -> SecretDetail {
        let mut detail = self.detail.clone();
        let current = self.holder(AWSCURRENT).and_then(|id| self.versions.get(id));
        detail.current_since = current.map(|version| version.created);
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

    pub(super) fn set_rotation(
        &mut self,
        lambda_arn: &str,
        rules: Option<RotationRules>,
        now: SystemTime,
    ) {
        // A rotation that only begins, and may fail, leaves the schedule where it is.
        if rules.is_some() || self.detail.rotation_enabled != Some(true) {
            self.detail.scheduled = Some(now);
        }
        self.detail.rotation_enabled = Some(true);
        self.detail.rotation_lambda_arn = Some(lambda_arn.to_owned());
        self.detail.rotation_rules = rules.or(self.detail.rotation_rules.take());
    }
}

/// How far in the future a time is given by a clock that was wrong, in milliseconds.
const CLOCK_IS_WRONG: u64 = 10 * 60 * 1000;

/// Strictly increasing times, a millisecond apart at least: what AWS's timestamps can tell apart,
/// so that "the newest version" is defined however fast versions are made.
#[derive(Default)]
pub(super) struct Clock {
    last: u64,
}

impl Clock {
    /// Midnight of the day that it is, in UTC: as exactly as AWS tells when a value was read.
    fn today() -> SystemTime {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        UNIX_EPOCH + Duration::from_secs(now - now % (24 * 60 * 60))
    }

    pub(super) fn tick(&mut self) -> SystemTime {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        // A clock that was far ahead for a while must not stop what waits for a date.
        let last = if self.last > now.saturating_add(CLOCK_IS_WRONG) { 0 } else { self.last };
        self.last = now.max(last.saturating_add(1));
        UNIX_EPOCH + Duration::from_millis(self.last)
    }

    /// Gives no time from now on that is not behind this one.
    pub(super) fn pass(&mut self, milliseconds: u64) {
        self.last = self.last.max(milliseconds);
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
    /// How many changes there were: whoever keeps the store elsewhere sees by it that there is a new one.
    pub(super) revision: u64,
}

impl State {
    /// A secret is kept under its name; one that was another's copy, whose name is taken, under
    /// its ARN.
    pub(super) fn insert_as(&mut self, key: &str, record: Record) {
        let entry = Entry { now: record, before: VecDeque::new() };
        self.revision += 1;
        self.secrets.insert(key.to_owned(), entry);
    }

    pub(super) fn remove_all(&mut self, which: impl Fn(&SecretDetail) -> bool) {
        self.revision += 1;
        self.secrets.retain(|_, entry| !which(&entry.now.detail));
    }

    /// Every secret with what it is kept under.
    pub(super) fn kept(&self) -> impl Iterator<Item = (&str, &Record)> {
        self.secrets.iter().map(|(key, entry)| (key.as_str(), &entry.now))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Record> {
        self.secrets.values().map(|entry| &entry.now)
    }

    /// The secret of this name: the one that all see, or that Region's own.
    pub(super) fn named(&self, name: &str, region: &str) -> Option<&Record> {
        let own = |record: &&Record| record.detail.name == name && record.detail.region() == region;
        let named = self.secrets.get(name).map(|entry| &entry.now);
        named.or_else(|| self.all().find(own))
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
        self.revision += 1;
        Ok(answer)
    }

    /// Notes that a value was read, by the day: no write, so stale reads do not go behind it.
    pub(super) fn accessed(&mut self, id: &SecretId, version: &VersionId, copy: Option<&str>) {
        let Some(entry) = self.name(id).ok().and_then(|name| self.secrets.get_mut(&name)) else {
            return;
        };
        let today = Some(Clock::today());
        let detail = &mut entry.now.detail;
        let of_secret = match copy.and_then(|region| detail.copies.get_mut(region)) {
            Some(copy) => &mut copy.last_accessed,
            None => &mut detail.last_accessed,
        };
        let of_version = entry.now.versions.get_mut(version).map(|version| &mut version.accessed);
        for day in std::iter::once(of_secret).chain(of_version) {
            // It is kept as a change is, once a day.
            self.revision += u64::from(*day != today);
            *day = today;
        }
    }

    /// A secret is found by name, by ARN, or by ARN without the random suffix, and by those of its
    /// copies.
    fn name(&self, id: &SecretId) -> Result<String, StoreError> {
        let id = id.as_str();
        if self.secrets.contains_key(id) {
            return Ok(id.to_owned());
        }
        let names = |arn: &str| {
            let suffix = arn.strip_prefix(id);
            suffix.is_some_and(|suffix| suffix.is_empty() || is_random_suffix(suffix))
        };
        let of_a_copy = |detail: &SecretDetail| {
            detail.copies.keys().any(|region| names(&in_region(&detail.arn, region)))
        };
        let details = || self.secrets.iter().map(|(key, entry)| (key, &entry.now.detail));
        let found = details().find(|(_, detail)| names(&detail.arn));
        let found = found.or_else(|| details().find(|(_, detail)| of_a_copy(detail)));
        found.map(|(key, _)| key.clone()).ok_or_else(errors::no_secret)
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
