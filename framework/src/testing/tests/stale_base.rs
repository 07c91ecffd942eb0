//! F9: a pending secret that was made of an outdated AWSCURRENT names the user that is in use.
//! Two safeguards stop it, and each is needed: without the first the rotation does not converge,
//! without both AWSCURRENT dies.

use std::sync::Mutex;

use async_trait::async_trait;
use secrecy::SecretString;

use super::alternating::Alternating;
use super::assert_caught_in;
use super::pair::{Commit, Defect};
use crate::engine::{Engine, Outcome};
use crate::error::Error;
use crate::event::RotationEvent;
use crate::ids::{RotationToken, SecretId, VersionId};
use crate::rotator::Rotator;
use crate::secret::Secret;
use crate::step::Step;
use crate::store::{
    AWSCURRENT, SecretDescription, SecretStore, Select, StoreError, StoredVersion, VersionSummary,
};
use crate::testing::models::{Server, SharedServer};
use crate::testing::{Function, Overlap, Remote, Testbed, Wire};
use crate::turn::Turn;

/// A store whose DescribeSecret agrees with whatever GetSecretValue said was current: the engine
/// cannot see that a base is stale.
struct Agreeing<'a> {
    store: &'a dyn SecretStore,
    current: Mutex<Option<VersionId>>,
}

#[async_trait]
impl SecretStore for Agreeing<'_> {
    async fn describe_secret(&self, secret: &SecretId) -> Result<SecretDescription, StoreError> {
        let mut description = self.store.describe_secret(secret).await?;
        // The engine reads both at once, this first.
        let current = std::future::poll_fn(|_| match self.current.lock().unwrap().clone() {
            Some(current) => std::task::Poll::Ready(current),
            None => std::task::Poll::Pending,
        });
        let current = current.await;
        for labels in description.labels.values_mut() {
            labels.retain(|label| label != AWSCURRENT);
        }
        description.labels.entry(current).or_default().push(AWSCURRENT.to_owned());
        Ok(description)
    }

    async fn get_secret_value(
        &self,
        secret: &SecretId,
        select: Select<'_>,
    ) -> Result<StoredVersion, StoreError> {
        let stored = self.store.get_secret_value(secret, select).await?;
        if matches!(select, Select::Label(AWSCURRENT)) {
            *self.current.lock().unwrap() = Some(stored.version.clone());
        }
        Ok(stored)
    }

    async fn put_pending(
        &self,
        secret: &SecretId,
        token: &VersionId,
        value: &SecretString,
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

/// An engine that builds on a stale base.
struct Credulous(Box<dyn Rotator>);

#[async_trait]
impl Function for Credulous {
    async fn step(
        &self,
        store: &dyn SecretStore,
        event: &RotationEvent,
        turn: &Turn,
    ) -> Result<Outcome, Error> {
        let agreeing = Agreeing { store, current: Mutex::default() };
        match event.step {
            Step::Create => Engine::new(&agreeing, &*self.0).step(event, turn).await,
            _ => Engine::new(store, &*self.0).step(event, turn).await,
        }
    }
}

struct Broken(Option<Defect>);

#[async_trait]
impl Testbed for Broken {
    fn overlap(&self) -> Overlap {
        Overlap::Full
    }

    async fn fresh(&self, wire: &Wire) -> Box<dyn Remote> {
        let defect = self.0;
        let rotator = move |server: &Server| -> Box<dyn Rotator> {
            Box::new(Alternating::new(server, Commit::PerStatement, defect))
        };
        Box::new(BrokenRemote(SharedServer::new(Overlap::Full, rotator).fresh(wire).await))
    }
}

/// The remote with another function before it.
struct BrokenRemote(Box<dyn Remote>);

#[async_trait]
impl Remote for BrokenRemote {
    fn rotator(&self) -> Box<dyn Rotator> {
        self.0.rotator()
    }

    fn secret(&self) -> String {
        self.0.secret()
    }

    async fn accepts(&self, secret: &Secret) -> bool {
        self.0.accepts(secret).await
    }

    fn credential(&self) -> &'static [&'static str] {
        self.0.credential()
    }

    fn function(&self) -> Box<dyn Function> {
        Box::new(Credulous(self.rotator()))
    }
}

#[test]
fn a_stale_base_that_is_refused_by_setsecret_only_wedges_the_rotation() {
    assert_caught_in(&Broken(None), "stale reads", "repeating the rotation never succeeds");
}

#[test]
fn a_stale_base_that_nobody_refuses_kills_the_user_in_use() {
    let broken = Broken(Some(Defect::StaleBase));
    assert_caught_in(&broken, "stale reads", "AWSCURRENT does not log in");
}
