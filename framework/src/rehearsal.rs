//! `{"Fourstep": "preflight", "SecretId": ...}` and `{"Fourstep": "plan", ...}`: whether a rotation
//! would succeed, and what it would do. They read only, and show no value.

use serde_json::{Value, json};

use crate::engine::Engine;
use crate::error::Error;
use crate::event::Question;
use crate::ids::SecretId;
use crate::inspect::inspect;
use crate::invocation::Invocation;
use crate::rotator::{Finding, InspectContext};
use crate::secret::Current;
use crate::store::{SecretClient, SecretDescription};

impl Engine<'_> {
    /// Answers a question about a secret: inspect, preflight or plan. Reads only, and shows no
    /// value.
    ///
    /// # Errors
    /// Those of reading the secret; of [`Rotator::plan`](crate::Rotator::plan) for a plan.
    pub async fn answer(
        &self,
        question: Question,
        secret: &SecretId,
        cx: &Invocation,
    ) -> Result<Value, Error> {
        match question {
            Question::Inspect => inspect(self, secret, cx).await,
            Question::Preflight => preflight(self, secret, cx).await,
            Question::Plan => plan(self, secret, cx).await,
        }
    }
}

/// Answers a preflight event: every finding, the ones that would fail a rotation first.
///
/// # Errors
/// Those of reading the secret. What keeps a rotation from succeeding is a finding, not an error.
async fn preflight(
    engine: &Engine<'_>,
    secret: &SecretId,
    cx: &Invocation,
) -> Result<Value, Error> {
    let calls = engine.calls(secret, cx);
    // A step has no more time than this.
    let mut obstacles = Vec::from_iter(cx.enough_for_a_change().err());
    let (description, current) = looked(&calls).await?;
    let subject = InspectContext { calls: &calls, current: &current, description: &description };
    let found = engine.rotator().preflight(&subject, cx).await;
    let mut warnings = Vec::new();
    for finding in found.unwrap_or_else(|error| vec![Finding::Fails(error)]) {
        match finding {
            Finding::Fails(error) => obstacles.push(error),
            Finding::Warns(warning) => warnings.push(warning),
        }
    }
    warnings.extend(cx.stats().warnings);
    let ready = obstacles.is_empty();
    let fails = obstacles.iter().map(|error| {
        json!({"severity": "fails", "kind": error.kind().name(), "finding": error.to_string()})
    });
    let warns = warnings.iter().map(|text| json!({"severity": "warns", "finding": text}));
    let findings: Vec<Value> = fails.chain(warns).collect();
    Ok(json!({"secret": description.arn, "ready": ready, "findings": findings}))
}

/// Answers a plan event.
///
/// # Errors
/// Those of reading the secret, and of [`Rotator::plan`](crate::Rotator::plan).
async fn plan(engine: &Engine<'_>, secret: &SecretId, cx: &Invocation) -> Result<Value, Error> {
    let calls = engine.calls(secret, cx);
    let (description, current) = looked(&calls).await?;
    let subject = InspectContext { calls: &calls, current: &current, description: &description };
    let lines = engine.rotator().plan(&subject, cx).await?;
    Ok(json!({"secret": description.arn, "plan": lines}))
}

async fn looked(calls: &SecretClient<'_>) -> Result<(SecretDescription, Current), Error> {
    let (description, current) = futures_util::join!(calls.describe(), calls.current());
    Ok((description?, current?))
}
