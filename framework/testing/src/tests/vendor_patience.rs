//! How often a vendor that learns late is asked: some lock an account for a wrong value too many.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fourstep::store::AWSPENDING;
use fourstep::vendor::{Caller, Update, UpdatedKey, Updater};
use fourstep::{
    Deadline, Engine, Error, ErrorKind, ExposeSecret, Invocation, Question, RotationEvent, Secret,
    SecretId, Step, Verdict, VersionId,
};
use fourstep_local::{MemoryStore, NewRotation, NewSecret};

use super::vendor_keys::Value;
use crate::Wire;
use crate::models::{Terms, Vendor};

const ATTEMPTS: usize = 4;

/// A vendor whose parts may learn late, and that counts what it refuses.
struct Late {
    value: Value,
    refused: Arc<AtomicUsize>,
    /// A policy that refuses every new value, even one that is set.
    strict: bool,
}

impl Late {
    fn count(&self, refused: bool) {
        self.refused.fetch_add(usize::from(refused), Ordering::Relaxed);
    }
}

#[async_trait]
impl Updater for Late {
    fn fields(&self) -> &[String] {
        self.value.fields()
    }

    fn propagation(&self) -> Duration {
        Duration::from_secs(20)
    }

    fn compares(&self) -> bool {
        true
    }

    fn attempts(&self) -> usize {
        ATTEMPTS
    }

    fn propose(&self, base: &Secret) -> Result<Secret, Error> {
        self.value.propose(base)
    }

    async fn update(
        &self,
        using: &Secret,
        to: &Secret,
        kept: &serde_json::Value,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<Update, Error> {
        if self.strict {
            return Ok(Update::Refused(Error::new(ErrorKind::Unsupported, "it was used before")));
        }
        let update = self.value.update(using, to, kept, caller, cx).await?;
        self.count(update == Update::Stale);
        Ok(update)
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict, Error> {
        let verdict = self.value.verify(secret, cx).await?;
        self.count(verdict != Verdict::Accepted);
        Ok(verdict)
    }
}

struct Fixture {
    store: MemoryStore,
    secret: SecretId,
    vendor: Vendor,
    token: VersionId,
    refused: Arc<AtomicUsize>,
    strict: bool,
}

impl Fixture {
    /// A rotation whose createSecret is done; `right`: AWSCURRENT holds what works.
    async fn begun(right: bool) -> Self {
        let vendor = Vendor::new(&Wire::default(), Terms::default());
        let key = vendor.arrange();
        let value = if right { key.value.expose_secret() } else { "changed by hand" };
        let store = MemoryStore::new();
        let value = format!(r#"{{"key_id":"{}","key":"{value}"}}"#, key.id);
        let new = NewSecret { value: Some(value.as_str().into()), ..NewSecret::default() };
        store.create("late", new).unwrap();
        let secret = SecretId::parse("late").unwrap();
        let token = VersionId::from_store(format!("{:032}", 1));
        let function = "arn:aws:lambda:us-east-1:000000000000:function:kit";
        store.rotate(&secret, &NewRotation::now(&token, function)).unwrap();
        let place = Self { store, secret, vendor, token, refused: Arc::default(), strict: false };
        place.step(Step::Create).await.unwrap();
        place
    }

    fn rotator(&self) -> UpdatedKey<Late> {
        let value = Value::new(self.vendor.clone(), true);
        UpdatedKey::new(Late { value, refused: Arc::clone(&self.refused), strict: self.strict })
    }

    async fn step(&self, step: Step) -> Result<(), Error> {
        let (secret, token) = (self.secret.clone(), self.token.clone());
        let event = RotationEvent { step, secret, token, rotation_token: None };
        let cx = Invocation::new(Deadline::after(Duration::from_secs(900)));
        Engine::new(&self.store, &self.rotator()).step(&event, &cx).await.map(drop)
    }

    fn refusals(&self) -> usize {
        self.refused.swap(0, Ordering::Relaxed)
    }

    fn is_pending(&self) -> bool {
        let labels = self.store.describe(&self.secret).unwrap().labels;
        labels.get(&self.token).is_some_and(|on| on.iter().any(|label| label == AWSPENDING))
    }
}

#[tokio::test(start_paused = true)]
async fn rule_04_no_step_has_more_values_refused_than_the_vendor_bears() {
    let place = Fixture::begun(false).await;
    let error = place.step(Step::Set).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    assert_eq!(place.refusals(), ATTEMPTS);
    let error = place.step(Step::Test).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    assert_eq!(place.refusals(), ATTEMPTS);
    // Whoever only looks asks once about each version, of which there are two.
    let cx = Invocation::new(Deadline::after(Duration::from_secs(900)));
    let rotator = place.rotator();
    let engine = Engine::new(&place.store, &rotator);
    engine.answer(Question::Inspect, &place.secret, &cx).await.unwrap();
    assert_eq!(place.refusals(), 2);
}

#[tokio::test(start_paused = true)]
async fn rule_15_a_value_that_an_earlier_run_set_is_not_given_up_when_it_is_refused() {
    for applied in [true, false] {
        let mut place = Fixture::begun(true).await;
        if applied {
            place.step(Step::Set).await.unwrap();
        }
        place.strict = true;
        let again = place.step(Step::Set).await;
        assert_eq!(again.is_ok(), applied);
        // Where parts learn late, the old value that works still is no proof either.
        assert!(place.is_pending());
    }
}
