//! What must hold at every point, and what was found there.

use fourstep::store::AWSCURRENT;
use fourstep::{Step, VersionId};
use serde_json::Value;

use super::points::{Disturbance, Point};
use crate::events;
use crate::function::{EXITED, Invocation, KILLED, TIMED_OUT};
use crate::replay::local::versions;

/// Something that must not happen, under a name that a script can look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) name: &'static str,
    pub(super) why: String,
}

impl Violation {
    pub(super) fn new(name: &'static str, why: impl Into<String>) -> Self {
        Self { name, why: why.into() }
    }
}

/// What became of one point.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) point: Point,
    pub(super) disturbance: Disturbance,
    /// How the disturbed step ended.
    pub(super) ended: String,
    /// How many times the rotation was played again.
    pub(super) retries: u32,
    /// Whether it came to its end.
    pub(super) converged: bool,
    /// Whether the file holds what is current, which was seen to log in.
    pub(super) settled: bool,
    pub(super) violations: Vec<Violation>,
}

impl Row {
    pub(super) fn new(point: &Point, disturbance: Disturbance) -> Self {
        Self {
            point: point.clone(),
            disturbance,
            ended: "not reached".to_owned(),
            retries: 0,
            converged: false,
            settled: false,
            violations: Vec::new(),
        }
    }

    pub(super) fn violated(&mut self, name: &'static str, why: impl Into<String>) {
        self.violations.push(Violation::new(name, why));
    }
}

/// How a disturbed step ended, and whether it may end so. It may succeed, where the call did not
/// matter or had taken effect; what it is worth then is seen by looking.
pub(super) fn ending(
    disturbance: Disturbance,
    invocation: &Invocation,
) -> (String, Option<Violation>) {
    let (kind, message) = match &invocation.answer {
        Ok(answer) => {
            let outcome = match events::text(answer, "outcome") {
                // Its last words to a database need no answer, so it may be faster than the kill.
                _ if disturbance == Disturbance::Kill => "answered first",
                "" => "done",
                outcome => outcome,
            };
            return (outcome.to_owned(), None);
        }
        Err((kind, message)) => (kind.as_str(), message),
    };
    let violation = match kind {
        KILLED => return ("killed".to_owned(), None),
        TIMED_OUT => Some(Violation::new(
            "no-report",
            format!("the function did not report before its time was over: {message}"),
        )),
        EXITED => Some(Violation::new("no-report", message.clone())),
        // It reported before the process could be killed, and may have had any reason.
        _ if expected(disturbance).is_empty() || expected(disturbance).contains(&kind) => None,
        _ => Some(Violation::new(
            "wrong-kind",
            format!(
                "reported {kind}, which sends whoever reads it the wrong way; expected {}: \
                 {message}",
                expected(disturbance).join(" or ")
            ),
        )),
    };
    (kind.to_owned(), violation)
}

/// The kinds of error that say what was done to the function.
fn expected(disturbance: Disturbance) -> &'static [&'static str] {
    match disturbance {
        Disturbance::Kill => &[],
        Disturbance::Throttling => &["Throttled", "OutOfTime"],
        Disturbance::ServerError | Disturbance::Slow | Disturbance::Reset => {
            &["Unreachable", "OutOfTime"]
        }
    }
}

/// Whether somebody can log in after a step: some labelled version must.
pub(super) fn access(step: Step, inspection: &Invocation) -> Result<(), Violation> {
    let answer = inspection.answer.as_ref().map_err(|(kind, message)| {
        let why = format!("after {step} the function could not look: {kind}: {message}");
        Violation::new("not-seen", why)
    })?;
    if versions(inspection).iter().any(|version| version.accepted) {
        return Ok(());
    }
    let rows = answer.get("versions").and_then(Value::as_array).into_iter().flatten();
    let mut unknown = rows.filter(|row| events::text(row, "verdict") == "unknown");
    Err(match unknown.next() {
        Some(row) => {
            let why = events::text(row, "why");
            let why = format!("after {step} it is unknown whether any version logs in: {why}");
            Violation::new("not-seen", why)
        }
        None => Violation::new("locked-out", format!("after {step} no labelled version logs in")),
    })
}

/// Whether a rotation ended as it must: AWSCURRENT is the new version and logs in.
pub(super) fn promoted(token: &VersionId, inspection: &Invocation) -> Result<(), Violation> {
    let rows = versions(inspection);
    let why = match rows.iter().find(|version| version.has(AWSCURRENT)) {
        Some(current) if &current.id == token && current.accepted => return Ok(()),
        Some(current) if &current.id == token => {
            "AWSCURRENT is the new version and does not log in"
        }
        _ => "AWSCURRENT is not the new version",
    };
    Err(Violation::new("wrong-current", why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::Answer;
    use serde_json::json;
    use std::time::Duration;

    fn invocation(answer: Answer) -> Invocation {
        Invocation { answer, lines: Vec::new(), output: String::new(), duration: Duration::ZERO }
    }

    fn failed(kind: &str) -> Invocation {
        invocation(Err((kind.to_owned(), "why".to_owned())))
    }

    #[test]
    fn a_fault_must_be_reported_as_what_it_is() {
        for (disturbance, kind, violation) in [
            (Disturbance::Kill, "Killed", None),
            (Disturbance::Kill, "Conflict", None),
            (Disturbance::Kill, "Runtime.ExitError", Some("no-report")),
            (Disturbance::Throttling, "Throttled", None),
            (Disturbance::Throttling, "Unreachable", Some("wrong-kind")),
            (Disturbance::Reset, "Unreachable", None),
            (Disturbance::Reset, "Rejected", Some("wrong-kind")),
            (Disturbance::Slow, "OutOfTime", None),
            (Disturbance::Slow, "Sandbox.Timedout", Some("no-report")),
            (Disturbance::ServerError, "Unhandled", Some("wrong-kind")),
        ] {
            let found = ending(disturbance, &failed(kind)).1.map(|violation| violation.name);
            assert_eq!(found, violation, "{disturbance:?} {kind}");
        }
        for (disturbance, ended) in
            [(Disturbance::Reset, "done"), (Disturbance::Kill, "answered first")]
        {
            let answer = invocation(Ok(json!({})));
            assert_eq!(ending(disturbance, &answer), (ended.to_owned(), None));
        }
    }

    #[test]
    fn somebody_must_log_in_and_in_the_end_the_new_version() {
        let looked = |rows: Value| invocation(Ok(json!({"versions": rows})));
        let row = |id: &str, label: &str, verdict: &str| json!({"version": id, "labels": [label], "verdict": verdict});
        let (new, old) = (VersionId::from_store("new"), VersionId::from_store("old"));
        let after = looked(json!([
            row("old", "AWSPREVIOUS", "rejected"),
            row("new", "AWSCURRENT", "accepted"),
        ]));
        assert_eq!((access(Step::Set, &after), promoted(&new, &after)), (Ok(()), Ok(())));
        assert_eq!(promoted(&old, &after).unwrap_err().name, "wrong-current");
        let nobody = looked(json!([row("new", "AWSCURRENT", "rejected")]));
        assert_eq!(access(Step::Set, &nobody).unwrap_err().name, "locked-out");
        assert_eq!(promoted(&new, &nobody).unwrap_err().name, "wrong-current");
        let unknown = looked(json!([row("new", "AWSCURRENT", "unknown")]));
        assert_eq!(access(Step::Set, &unknown).unwrap_err().name, "not-seen");
        assert_eq!(access(Step::Set, &failed("Internal")).unwrap_err().name, "not-seen");
    }
}
