//! `{"Fourstep": "preflight", "SecretId": ...}` and `{"Fourstep": "plan", ...}`: whether a rotation
//! would succeed, and what it would do. They read only, and show no value.

use serde_json::{Value, json};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::event::Question;
use crate::ids::SecretId;
use crate::inspect::inspect;
use crate::invocation::{Invocation, shortened};
use crate::replicas;
use crate::rotator::{Finding, InspectContext};
use crate::secret::Current;
use crate::store::{SecretClient, SecretDescription};

/// The most findings of an answer, which Lambda bounds at 6 MB, and the longest of them in bytes.
const MOST_FINDINGS: usize = 200;
const LONGEST_FINDING: usize = 20_000;

/// The most bytes of a plan: some are escaped.
const LONGEST_PLAN: usize = 4 << 20;

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
    ) -> Result<Value> {
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
async fn preflight(engine: &Engine<'_>, secret: &SecretId, cx: &Invocation) -> Result<Value> {
    let calls = engine.calls(secret, cx);
    // A step has no more time than this.
    let mut obstacles = Vec::from_iter(cx.enough_for_a_change().err());
    let (description, current) = looked(&calls).await?;
    cx.rotates_every(description.rotates_every_days);
    let subject = InspectContext { calls: &calls, current: &current, description: &description };
    let found = engine.rotator().preflight(&subject, cx).await;
    let mut warnings = Vec::new();
    let found = found.unwrap_or_else(|error| vec![Finding::Fails(error)]);
    let waits = engine.waits_for_replicas();
    for finding in replicas::findings(&description, waits).into_iter().chain(found) {
        match finding {
            Finding::Fails(error) => obstacles.push(error),
            Finding::Warns(warning) => warnings.push(warning),
        }
    }
    warnings.extend(cx.stats().warnings);
    let (ready, findings) = (obstacles.is_empty(), listed(&obstacles, warnings));
    let mut answer = json!({"secret": description.arn, "ready": ready, "findings": findings});
    if let (Some(untried), Some(fields)) = (engine.rotator().untried(), answer.as_object_mut()) {
        fields.insert("untried".to_owned(), untried.into());
    }
    Ok(answer)
}

/// The findings that fit into an answer, and how many do not.
fn listed(obstacles: &[Error], warnings: Vec<String>) -> Vec<Value> {
    let fails = obstacles.iter().map(|error| {
        let finding = shortened(error.to_string(), LONGEST_FINDING);
        json!({"severity": "fails", "kind": error.kind().name(), "finding": finding})
    });
    let warns = warnings
        .into_iter()
        .map(|text| json!({"severity": "warns", "finding": shortened(text, LONGEST_FINDING)}));
    let mut findings: Vec<Value> = fails.chain(warns).collect();
    let left_out = findings.len().saturating_sub(MOST_FINDINGS);
    if left_out > 0 {
        findings.truncate(MOST_FINDINGS);
        let more = format!("and {left_out} more findings, which are left out");
        findings.push(json!({"severity": "warns", "finding": more}));
    }
    findings
}

/// The lines that fit into an answer, and how many do not.
fn bounded(mut lines: Vec<String>) -> Vec<String> {
    let mut bytes = 0;
    let fit = lines.iter().take_while(|line| {
        bytes += line.len() + 8;
        bytes <= LONGEST_PLAN
    });
    let fit = fit.count();
    if fit < lines.len() {
        let more =
            format!("-- and {} more lines, for which the answer has no room", lines.len() - fit);
        lines.truncate(fit);
        lines.push(more);
    }
    lines
}

/// Answers a plan event.
///
/// # Errors
/// Those of reading the secret, and of [`Rotator::plan`](crate::Rotator::plan).
async fn plan(engine: &Engine<'_>, secret: &SecretId, cx: &Invocation) -> Result<Value> {
    let calls = engine.calls(secret, cx);
    let (description, current) = looked(&calls).await?;
    let subject = InspectContext { calls: &calls, current: &current, description: &description };
    let lines = bounded(engine.rotator().plan(&subject, cx).await?);
    Ok(json!({"secret": description.arn, "plan": lines}))
}

async fn looked(calls: &SecretClient<'_>) -> Result<(SecretDescription, Current)> {
    let (description, current) = futures_util::join!(calls.describe(), calls.current());
    Ok((description?, current?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn findings_fit_into_an_answer() {
        let all = |count: usize, length: usize| {
            let text = "a".repeat(length);
            let fails = |_| Error::new(ErrorKind::Forbidden, text.as_str());
            listed(&(0..count).map(fails).collect::<Vec<_>>(), vec![text.clone(); count])
        };
        assert_eq!(all(3, 9).len(), 6);
        let many = all(500, 30_000);
        assert!(json!(many).to_string().len() < 5 << 20, "{}", many.len());
        assert_eq!(many[0]["severity"], "fails");
        assert!(many[0]["finding"].as_str().unwrap().ends_with("... and 10000 bytes more"));
        let more = "and 800 more findings, which are left out";
        assert_eq!(many.last().unwrap()["finding"], more);
    }

    #[test]
    fn a_plan_fits_into_an_answer() {
        let line = "GRANT SELECT ON orders TO app_clone;".to_owned();
        assert_eq!(bounded(vec![line.clone(); 3]).len(), 3);
        let many = bounded(vec![line; 500_000]);
        assert!(json!(many).to_string().len() < 5 << 20, "{}", many.len());
        let more = format!("-- and {} more lines", 500_001 - many.len());
        assert!(many.last().unwrap().starts_with(&more));
    }
}
