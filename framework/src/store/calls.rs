//! The store as one invocation sees it: every call counted, bounded by the deadline, and its
//! errors named. The only things that the framework repeats, the bounded read of a pending value and the wait for
//! replicas, are here.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::{RotationToken, SecretId, VersionId};
use crate::invocation::Invocation;
use crate::replicas;
use crate::secret::{Current, Pending, Previous, Secret};
use crate::store::{
    AWSCURRENT, AWSPENDING, AWSPREVIOUS, NO_WAY, SecretDescription, SecretStore, Select,
    StoreError, StoredVersion, VersionSummary,
};
use crate::value::SecretValue;

/// How long a pending value that cannot be found yet is waited for: three pauses, 700 ms in all.
/// Reads after a write are only eventually consistent (aws-sdk-js-v3 issue 7701).
const PENDING_PAUSES: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400)];

/// How long a secret's replicas are left alone between two looks at them; the last goes on.
const REPLICA_PAUSES: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(3),
];

/// What is left of the deadline for what follows once the replicas are waited for.
const AFTER_REPLICAS: Duration = Duration::from_secs(1);

/// How a rotation stands whose version a replica will not get by itself.
const LOOKS_AGAIN: &str =
    "AWSCURRENT has moved, and a retry of finishSecret looks again (WAIT_FOR_REPLICAS)";

/// How many versions of a list are looked at. Secrets Manager keeps about 100.
const MOST_OTHERS: usize = 20;

/// The longest value, in bytes. Source: API Reference, PutSecretValue, SecretString.
const LONGEST_VALUE: usize = 65_536;

/// Refuses a value that the service would: its own refusal would be withheld, because it may quote it.
///
/// # Errors
/// [`ErrorKind::Malformed`].
pub(crate) fn check_length(value: &SecretValue) -> Result<()> {
    let length = value.expose_bytes().len();
    if length <= LONGEST_VALUE {
        return Ok(());
    }
    let what = format!(
        "with the new password the secret would be {length} bytes long, and Secrets Manager takes \
         {LONGEST_VALUE}; take something out of it"
    );
    Err(Error::new(ErrorKind::Malformed, what))
}

/// One secret in a store, as one invocation asks for it.
pub struct SecretClient<'a> {
    store: &'a dyn SecretStore,
    secret: &'a SecretId,
    cx: &'a Invocation,
}

impl<'a> SecretClient<'a> {
    /// The calls about this secret.
    pub fn new(store: &'a dyn SecretStore, secret: &'a SecretId, cx: &'a Invocation) -> Self {
        Self { store, secret, cx }
    }

    /// The same store and invocation, for another secret.
    pub(crate) fn about<'b>(&self, secret: &'b SecretId) -> SecretClient<'b>
    where
        'a: 'b,
    {
        SecretClient { store: self.store, secret, cx: self.cx }
    }

    pub(crate) fn secret(&self) -> &'a SecretId {
        self.secret
    }

    pub(crate) fn invocation(&self) -> &'a Invocation {
        self.cx
    }

    /// Its labels and tags.
    ///
    /// # Errors
    /// Those of DescribeSecret.
    pub async fn describe(&self) -> Result<SecretDescription> {
        let work = self.store.describe_secret(self.secret);
        self.named("DescribeSecret", work).await
    }

    /// AWSCURRENT, by label.
    ///
    /// # Errors
    /// Those of GetSecretValue.
    pub async fn current(&self) -> Result<Current> {
        let read = self.get(Select::Label(AWSCURRENT)).await;
        let (version, secret) = read.map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::new(
                ErrorKind::NotFound,
                "the secret has no AWSCURRENT value; store the working credential first",
            )
            .caused_by(error),
            _ => error,
        })?;
        Ok(Current::new(version, secret))
    }

    /// AWSPENDING under this token, once.
    pub(crate) async fn pending(&self, token: &VersionId) -> Result<Option<Pending>> {
        self.under_token(Select::VersionWithLabel(token, AWSPENDING)).await
    }

    /// AWSPENDING under this token, waited for briefly if it cannot be found yet.
    pub(crate) async fn pending_stored(&self, token: &VersionId) -> Result<Pending> {
        match self.pending(token).await? {
            Some(pending) => Ok(pending),
            None => self.waited(token, Select::VersionWithLabel(token, AWSPENDING)).await,
        }
    }

    /// Waits until every replica is in sync. The first look is not taken at once: the service may not have
    /// begun.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfTime`] where the deadline is too near to wait on, and [`ErrorKind::Unsupported`] at
    /// once for a replica that failed; both name the Regions.
    pub(crate) async fn until_replicated(&self) -> Result<()> {
        let last = REPLICA_PAUSES.last().copied().unwrap_or_default();
        let mut pauses = REPLICA_PAUSES.into_iter().chain(std::iter::repeat(last));
        let mut behind = "the replicas were not looked at".to_owned();
        loop {
            let pause = pauses.next().unwrap_or(last);
            if self.cx.deadline().remaining() < pause + AFTER_REPLICAS {
                return Err(Error::new(ErrorKind::OutOfTime, behind).caused_by(
                    "AWSCURRENT has moved, and a retry of finishSecret goes on waiting; if this repeats, \
                     raise the function's timeout",
                ));
            }
            tokio::time::sleep(pause).await;
            match replicas::not_in_sync(&self.describe().await?, LOOKS_AGAIN)? {
                None => return Ok(()),
                Some(regions) => behind = regions,
            }
        }
    }

    /// What is stored under this token, whatever its labels are by now: another run of finishSecret
    /// may have moved them. Once.
    pub(crate) async fn promotable(&self, token: &VersionId) -> Result<Option<Pending>> {
        self.under_token(Select::Version(token)).await
    }

    /// What was `read` so, waited for briefly if it cannot be found yet.
    pub(crate) async fn to_promote(
        &self,
        token: &VersionId,
        read: Result<Option<Pending>>,
    ) -> Result<Pending> {
        match read? {
            Some(pending) => Ok(pending),
            None => self.waited(token, Select::Version(token)).await,
        }
    }

    async fn under_token(&self, select: Select<'_>) -> Result<Option<Pending>> {
        let read = found(self.get(select).await)?;
        Ok(read.map(|(version, secret)| Pending::new(version, secret)))
    }

    async fn waited(&self, token: &VersionId, select: Select<'_>) -> Result<Pending> {
        for pause in PENDING_PAUSES {
            tokio::time::sleep(pause.min(self.cx.deadline().remaining())).await;
            if let Some(pending) = self.under_token(select).await? {
                return Ok(pending);
            }
        }
        Err(Error::new(ErrorKind::NotFound, format!("version {token} has no value"))
            .caused_by("createSecret has not stored one, or it cannot be read yet; retry"))
    }

    /// AWSPREVIOUS, by the version id the description names.
    pub(crate) async fn previous(
        &self,
        description: &SecretDescription,
    ) -> Result<Option<Previous>> {
        let Some(version) = description.holder(AWSPREVIOUS) else { return Ok(None) };
        self.version(version).await
    }

    /// Every labelled version's value. Only a version that is AWSPENDING and nothing else may have
    /// none: where another cannot be found, the read is stale, and what it holds is not known.
    pub(crate) async fn labelled(&self, description: &SecretDescription) -> Result<Vec<Previous>> {
        let mut labelled = Vec::new();
        for (version, labels) in &description.labels {
            match self.get(Select::Version(version)).await {
                Ok((version, secret)) => labelled.push(Previous::new(version, secret)),
                Err(error) if error.kind() == ErrorKind::NotFound && labels == &[AWSPENDING] => {}
                Err(error) => return Err(error),
            }
        }
        Ok(labelled)
    }

    /// The newest versions that carry none of AWS's labels.
    pub(crate) async fn others(&self) -> Result<Vec<Previous>> {
        let known = [AWSCURRENT, AWSPENDING, AWSPREVIOUS];
        self.newest(|one| !one.labels.iter().any(|on| known.contains(&on.as_str()))).await
    }

    /// Every labelled version's value, and those of the newest others.
    pub(crate) async fn stored_versions(
        &self,
        description: &SecretDescription,
    ) -> Result<Vec<Previous>> {
        let mut stored = self.labelled(description).await?;
        // Which are the others is said by the same description, since the list may be older; but
        // one that a rotation since then is about belongs to that.
        let newer = |one: &VersionSummary| {
            one.labels.iter().any(|label| label == AWSPENDING || label == AWSCURRENT)
        };
        let other =
            |one: &VersionSummary| !newer(one) && !description.labels.contains_key(&one.version);
        stored.extend(self.newest(other).await?);
        Ok(stored)
    }

    async fn newest(&self, wanted: impl Fn(&VersionSummary) -> bool) -> Result<Vec<Previous>> {
        let work = self.store.list_versions(self.secret);
        let mut versions = self.named("ListSecretVersionIds", work).await?;
        versions.retain(wanted);
        versions.sort_by_key(|version| std::cmp::Reverse(version.created));
        let mut newest = Vec::new();
        for summary in versions.iter().take(MOST_OTHERS) {
            match self.version(&summary.version).await {
                Ok(read) => newest.extend(read),
                // One that KMS does not decrypt any more must not hide those behind it.
                Err(error) if error.kind() == ErrorKind::Forbidden => {
                    self.cx.warn(format!("version {} was not read: {error}", summary.version));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(newest)
    }

    /// One version by id; `None` if it has no value.
    pub(crate) async fn version(&self, version: &VersionId) -> Result<Option<Previous>> {
        let read = found(self.get(Select::Version(version)).await)?;
        Ok(read.map(|(version, secret)| Previous::new(version, secret)))
    }

    pub(crate) async fn put_pending(
        &self,
        token: &VersionId,
        secret: &Secret,
        rotation_token: Option<&RotationToken>,
    ) -> Result<Result<(), StoreError>> {
        let value = secret.encode();
        check_length(&value)?;
        let work = self.store.put_pending(self.secret, token, &value, rotation_token);
        self.counted("PutSecretValue", work).await
    }

    pub(crate) async fn move_current(
        &self,
        to: &VersionId,
        from: &VersionId,
    ) -> Result<Result<(), StoreError>> {
        let work = self.store.move_current(self.secret, to, from);
        self.counted("UpdateSecretVersionStage", work).await
    }

    /// Takes AWSPENDING off a version whose value will never be applied.
    pub(crate) async fn remove_pending(&self, from: &VersionId) -> Result<()> {
        let work = self.store.remove_pending(self.secret, from);
        self.named("UpdateSecretVersionStage", work).await
    }

    async fn get(&self, select: Select<'_>) -> Result<(VersionId, Secret)> {
        let StoredVersion { version, value, .. } = self.stored(select).await?;
        Ok((version, Secret::of_value(&value)))
    }

    /// One version as it is stored.
    pub(crate) async fn stored(&self, select: Select<'_>) -> Result<StoredVersion> {
        self.named("GetSecretValue", self.store.get_secret_value(self.secret, select)).await
    }

    async fn named<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T> {
        self.counted(operation, work).await?.map_err(|error| error.during(operation))
    }

    async fn counted<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = T>,
    ) -> Result<T> {
        self.cx.count_call(operation);
        let bounded = self.cx.deadline().bound(operation, Duration::MAX, work).await;
        bounded.map_err(|error| error.caused_by(NO_WAY))
    }
}

fn found<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
