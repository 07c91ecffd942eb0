//! A target made of one string, a store in memory, and a transcript of what is done to both.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use expect_test::Expect;
use fourstep::store::{StoreError, StoreErrorCode};
use fourstep::{
    Applied, CreateContext, Deadline, Engine, Error, Fence, Finding, InspectContext, Invocation,
    Outcome, RetireContext, RotationEvent, RotationToken, Rotator, Secret, SecretId, SecretValue,
    SetContext, Step, Verdict, VersionId,
};
use fourstep_local::{Fault, MemoryStore, NewRotation, NewSecret};

use crate::support::stage::FUNCTION;

/// A rotator whose target is one value, a text or bytes, writing down what it is asked.
pub(super) struct Recorder {
    pub(super) live: Mutex<Secret>,
    pub(super) effects: Arc<Mutex<Vec<String>>>,
    pub(super) kept: Mutex<Vec<String>>,
}

impl Recorder {
    fn note(&self, effect: &str) {
        self.effects.lock().unwrap().push(effect.to_owned());
    }
}

#[async_trait]
impl Rotator for Recorder {
    fn check(&self, _: &SetContext<'_>) -> Result<(), Error> {
        self.note("check");
        Ok(())
    }

    async fn propose(&self, known: &CreateContext<'_>, _: &Invocation) -> Result<Secret, Error> {
        self.note("propose");
        let current = known.current.secret();
        Ok(match current.bytes() {
            Ok(bytes) => Secret::of_bytes([bytes, b"+"].concat()),
            Err(_) => Secret::decode(&format!("{}+", current.expose()?).into()),
        })
    }

    async fn discard(
        &self,
        proposed: &Secret,
        _: &CreateContext<'_>,
        _: &Invocation,
    ) -> Result<(), Error> {
        self.note(&format!("discard {}", proposed.expose().unwrap()));
        Ok(())
    }

    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        _: &Invocation,
    ) -> Result<Applied, Error> {
        fence.pass().await?;
        self.note("apply");
        *self.live.lock().unwrap() = versions.pending().secret().clone();
        Ok(Applied::Changed("applied".to_owned()))
    }

    async fn verify(&self, secret: &Secret, _: &Invocation) -> Result<Verdict, Error> {
        self.note("verify");
        if *self.live.lock().unwrap() == *secret {
            Ok(Verdict::Accepted)
        } else {
            Ok(Verdict::Rejected("it is not the live one".to_owned()))
        }
    }

    async fn retire(&self, keep: &RetireContext<'_>, _: &Invocation) -> Result<(), Error> {
        self.note("retire");
        let kept = keep.labelled().await?;
        let texts = kept.iter().map(|version| version.secret().expose().unwrap_or_default());
        *self.kept.lock().unwrap() = texts.collect();
        Ok(())
    }

    async fn preflight(
        &self,
        _: &InspectContext<'_>,
        _: &Invocation,
    ) -> Result<Vec<Finding>, Error> {
        self.note("preflight");
        Ok(vec![Finding::Warns("the target is slow".to_owned())])
    }
}

pub(super) struct Scene {
    pub(super) store: Arc<MemoryStore>,
    pub(super) rotator: Recorder,
    pub(super) secret: SecretId,
    pub(super) token: VersionId,
    pub(super) timeout: Duration,
}

/// A secret with the value `v`, a rotation begun, and every store call and verb written down.
pub(super) fn scene() -> Scene {
    scene_of("v".into())
}

/// The same with another value.
pub(super) fn scene_of(value: SecretValue) -> Scene {
    let live = Mutex::new(Secret::of_value(&value));
    let store = Arc::new(MemoryStore::new());
    let value = Some(value);
    // Versions are described in the order of their ids, so these are chosen.
    let first = Some(VersionId::from_store("00000000-first-version-0000000000000"));
    store.create("s", NewSecret { value, token: first, ..NewSecret::default() }).unwrap();
    let secret = SecretId::parse("s").unwrap();
    let token = VersionId::from_store("ffffffff-second-version-000000000000");
    store.rotate(&secret, &NewRotation::now(&token, FUNCTION)).unwrap();
    let effects = Arc::new(Mutex::new(Vec::new()));
    let rotator = Recorder { live, effects: Arc::clone(&effects), kept: Mutex::default() };
    let scene = Scene { store, rotator, secret, token, timeout: Duration::from_secs(60) };
    scene.fault(|_| Fault::Proceed);
    scene
}

impl Scene {
    /// Decides what becomes of each store call, by its description, and writes it down.
    pub(super) fn fault(&self, decide: impl Fn(&str) -> Fault + Send + Sync + 'static) {
        let effects = Arc::clone(&self.rotator.effects);
        let token = self.token.clone();
        self.store.set_faults(move |_, call| {
            let version = match call.version {
                Some(version) if *version == token => " token",
                Some(_) => " other",
                None => "",
            };
            let label = call.label.map(|label| format!(" {label}")).unwrap_or_default();
            let effect = format!("{}{version}{label}", call.operation);
            effects.lock().unwrap().push(effect.clone());
            decide(&effect)
        });
    }

    pub(super) async fn run(&self, step: Step) -> (Result<Outcome, Error>, Vec<String>) {
        self.rotator.effects.lock().unwrap().clear();
        let cx = Invocation::new(Deadline::after(self.timeout));
        let event = RotationEvent {
            step,
            secret: self.secret.clone(),
            token: self.token.clone(),
            rotation_token: Some(RotationToken::parse(&"r".repeat(36)).unwrap()),
        };
        let result = Engine::new(&*self.store, &self.rotator).step(&event, &cx).await;
        (result, self.rotator.effects.lock().unwrap().clone())
    }

    /// Runs one step and compares its transcript: effects in order, then how it ended.
    pub(super) async fn check(&self, step: Step, expected: &Expect) {
        let (result, effects) = self.run(step).await;
        let end = match result {
            Ok(Outcome { effect, why }) => format!("=> {}: {why}", effect.name()),
            Err(error) => format!("=> {}: {error}", error.kind()),
        };
        let text = format!("{}\n{end}\n", effects.join("\n")).replace(self.token.as_str(), "TOKEN");
        expected.assert_eq(&text);
    }

    pub(super) async fn done(&self, steps: &[Step]) {
        for &step in steps {
            self.run(step).await.0.unwrap();
        }
    }

    pub(super) fn holder(&self, label: &str) -> Option<VersionId> {
        let labels = self.store.describe(&self.secret).unwrap().labels;
        labels.into_iter().find(|(_, on)| on.iter().any(|one| one == label)).map(|(id, _)| id)
    }
}

pub(super) fn error(code: StoreErrorCode) -> Fault {
    Fault::Fail(StoreError::new(code, "planted"))
}
