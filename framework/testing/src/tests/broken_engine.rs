//! The engine with one safeguard taken out, so that the kit is seen to miss it. The engine itself
//! is the real one: the safeguard is made useless by what the store answers to it.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use fourstep::store::{
    AWSCURRENT, AWSPENDING, AWSPREVIOUS, SecretClient, SecretDescription, SecretStore, Select,
    StoreError, StoreErrorCode, StoredVersion, VersionSummary,
};
use fourstep::{
    Effect, Engine, Error, ErrorKind, Invocation, Outcome, RetireContext, RotationEvent,
    RotationToken, Rotator, Secret, SecretId, SecretValue, Step, VersionId,
};

use crate::{Function, Overlap, Remote, Testbed, Wire};

/// What is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Safeguard {
    /// The token is compared with the labels: its version is always shown as AWSPENDING.
    Token,
    /// createSecret compares the version it read with the one that is current.
    FreshBase,
    /// createSecret looks for the value stored under its token.
    PendingLookup,
    /// finishSecret looks at the value that it promotes.
    PromotedValue,
    /// finishSecret retires again when the version is current already.
    RetireAgain,
    /// retire is told the labels by what was promoted, not by reading them again.
    PromotedLabels,
    /// A step whose credentials for the store ended has failed.
    Ended,
    /// Its error says that they ended.
    EndedIsSaid,
}

/// A testbed whose function lacks a safeguard.
pub(super) struct Without<T>(pub(super) Safeguard, pub(super) T);

#[async_trait]
impl<T: Testbed> Testbed for Without<T> {
    fn overlap(&self) -> Overlap {
        self.1.overlap()
    }

    async fn fresh(&self, wire: &Wire) -> Box<dyn Remote> {
        Box::new(Undone(self.0, self.1.fresh(wire).await))
    }
}

struct Undone(Safeguard, Box<dyn Remote>);

#[async_trait]
impl Remote for Undone {
    fn rotator(&self) -> Box<dyn Rotator> {
        self.1.rotator()
    }

    fn secret(&self) -> String {
        self.1.secret()
    }

    fn other_secrets(&self) -> Vec<(&'static str, String)> {
        self.1.other_secrets()
    }

    async fn accepts(&self, secret: &Secret) -> bool {
        self.1.accepts(secret).await
    }

    fn credential(&self) -> &'static [&'static str] {
        self.1.credential()
    }

    async fn credentials(&self) -> Option<usize> {
        self.1.credentials().await
    }

    fn complaint(&self) -> Option<String> {
        self.1.complaint()
    }

    fn unsettled(&self) -> Option<String> {
        self.1.unsettled()
    }

    fn replaces(&self) -> bool {
        self.1.replaces()
    }

    fn administer(&self, current: &Secret) -> bool {
        self.1.administer(current)
    }

    fn out_of_reach(&self) -> Option<String> {
        self.1.out_of_reach()
    }

    fn hour_passes(&self) {
        self.1.hour_passes();
    }

    fn remember(&self) {
        self.1.remember();
    }

    fn forget(&self) -> bool {
        self.1.forget()
    }

    fn function(&self) -> Box<dyn Function> {
        Box::new(BrokenEngine { safeguard: self.0, rotator: self.1.rotator() })
    }
}

struct BrokenEngine {
    safeguard: Safeguard,
    rotator: Box<dyn Rotator>,
}

#[async_trait]
impl Function for BrokenEngine {
    async fn step(
        &self,
        store: &dyn SecretStore,
        event: &RotationEvent,
        cx: &Invocation,
    ) -> Result<Outcome, Error> {
        let done = |why: &str| Ok(Outcome { effect: Effect::Done, why: why.to_owned() });
        let calls = SecretClient::new(store, &event.secret, cx);
        if event.step == Step::Finish {
            let labels = calls.describe().await?;
            let already = labels.has(&event.token, AWSCURRENT);
            if self.safeguard == Safeguard::RetireAgain && already {
                return done("not retired again");
            }
            if self.safeguard == Safeguard::PromotedLabels {
                if let Some(from) = labels.holder(AWSCURRENT).filter(|_| !already) {
                    let moved = store.move_current(&event.secret, &event.token, from).await;
                    moved.map_err(|error| Error::new(error.code.kind(), error.message))?;
                }
                self.retire_by_label(&calls, cx).await?;
                return done("retired by the labels as they were read");
            }
        }
        let (safeguard, token) = (self.safeguard, event.token.clone());
        let told = Told { store, safeguard, step: event.step, token, current: Mutex::default() };
        let ended = Engine::new(&told, &*self.rotator).step(event, cx).await;
        match (safeguard, ended) {
            (Safeguard::Ended, Err(error)) if is_expired(&error) => done("done, for all it knows"),
            (Safeguard::EndedIsSaid, Err(error)) if is_expired(&error) => {
                Err(Error::new(ErrorKind::Forbidden, error.to_string()))
            }
            (_, ended) => ended,
        }
    }
}

fn is_expired(error: &Error) -> bool {
    error.to_string().contains(StoreErrorCode::Expired.name())
}

impl BrokenEngine {
    /// Keeps what AWSCURRENT and AWSPREVIOUS are said to be, as AWS's own templates read them.
    async fn retire_by_label(
        &self,
        calls: &SecretClient<'_>,
        cx: &Invocation,
    ) -> Result<(), Error> {
        let mut description = calls.describe().await?;
        description.labels.retain(|_, labels| labels.iter().any(|label| label != AWSPENDING));
        for labels in description.labels.values_mut() {
            labels.retain(|label| label == AWSCURRENT || label == AWSPREVIOUS);
        }
        let Some(promoted) = description.holder(AWSCURRENT).cloned() else { return Ok(()) };
        self.rotator.retire(&RetireContext::new(calls, description, &promoted), cx).await
    }
}

/// A store that tells the engine what makes a safeguard useless.
struct Told<'a> {
    store: &'a dyn SecretStore,
    safeguard: Safeguard,
    step: Step,
    token: VersionId,
    /// Which version the last description called current.
    current: Mutex<Option<VersionId>>,
}

#[async_trait]
impl SecretStore for Told<'_> {
    async fn describe_secret(&self, secret: &SecretId) -> Result<SecretDescription, StoreError> {
        let mut description = self.store.describe_secret(secret).await?;
        if self.safeguard == Safeguard::Token && !description.has(&self.token, AWSCURRENT) {
            for labels in description.labels.values_mut() {
                labels.retain(|label| label != AWSPENDING);
            }
            description.labels.insert(self.token.clone(), vec![AWSPENDING.to_owned()]);
        }
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = description.holder(AWSCURRENT).cloned();
        Ok(description)
    }

    async fn get_secret_value(
        &self,
        secret: &SecretId,
        select: Select<'_>,
    ) -> Result<StoredVersion, StoreError> {
        let own = matches!(select, Select::Version(version) | Select::VersionWithLabel(version, _)
            if *version == self.token);
        let (lookup, create) = (self.safeguard == Safeguard::PendingLookup, Step::Create);
        if own && lookup && self.step == create {
            return Err(StoreError::new(StoreErrorCode::NotFound, "not looked up"));
        }
        if own && self.safeguard == Safeguard::Token {
            return self.store.get_secret_value(secret, Select::Version(&self.token)).await;
        }
        let stored = self.store.get_secret_value(secret, select).await;
        let unseen = own && self.safeguard == Safeguard::PromotedValue && self.step == Step::Finish;
        if unseen && stored.as_ref().is_err_and(|error| error.code == StoreErrorCode::NotFound) {
            let (version, value) = (self.token.clone(), SecretValue::from("any"));
            return Ok(StoredVersion { version, value, created: None });
        }
        let mut stored = stored?;
        if self.safeguard == Safeguard::FreshBase && matches!(select, Select::Label(AWSCURRENT)) {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            stored.version = current.clone().unwrap_or(stored.version);
        }
        Ok(stored)
    }

    async fn put_pending(
        &self,
        secret: &SecretId,
        token: &VersionId,
        value: &SecretValue,
        rotation_token: Option<&RotationToken>,
    ) -> Result<(), StoreError> {
        self.store.put_pending(secret, token, value, rotation_token).await
    }

    async fn move_current(
        &self,
        secret: &SecretId,
        to: &VersionId,
        from: &VersionId,
    ) -> Result<(), StoreError> {
        self.store.move_current(secret, to, from).await
    }

    async fn remove_pending(&self, secret: &SecretId, from: &VersionId) -> Result<(), StoreError> {
        self.store.remove_pending(secret, from).await
    }

    async fn list_versions(&self, secret: &SecretId) -> Result<Vec<VersionSummary>, StoreError> {
        self.store.list_versions(secret).await
    }
}
