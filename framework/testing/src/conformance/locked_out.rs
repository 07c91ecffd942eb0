//! No stored credential works: how most rotations of production end that do not succeed, and where
//! an error is most tempted to say what it tried.

use std::time::Duration;

use fourstep::{Deadline, Engine, ErrorKind, Invocation, Question, Step};

use super::verbs::{MOST_CALLS, finds};
use crate::simulation::{Checked, End, Simulation};
use crate::wire::CallOutcome;

/// How long an answer may take.
const TIME: Duration = Duration::from_secs(60);

/// Each step but the promotion, with each of its calls failing once; then what an operator asks.
/// Whatever is changed at the remote meanwhile, the world's own look after every call finds.
pub(super) async fn steps(simulation: &mut Simulation) -> Checked {
    let before = simulation.remote.credentials().await;
    let token = simulation.begin()?;
    let mut created = false;
    for step in [Step::Create, Step::Set, Step::Test] {
        for fate in [CallOutcome::Refuse, CallOutcome::LoseAnswer] {
            for at in 1..=MOST_CALLS {
                simulation.wire.line().fail_at(at, fate);
                simulation.deliver(step, &token).await?;
                if !simulation.wire.line().failed() {
                    break;
                }
            }
        }
        let end = simulation.deliver(step, &token).await?;
        match (step, end) {
            (Step::Create, end) => created = matches!(end, End::Answered(Ok(_))),
            (_, End::Answered(Ok(_))) => {
                let what = format!("{step} succeeds although no stored credential works");
                return finds(simulation, &what);
            }
            // Nothing disturbed it, and the kind is what sends an operator to the right page.
            (Step::Set, End::Answered(Err(error)))
                if created && error.kind() != ErrorKind::Rejected =>
            {
                let what = format!(
                    "setSecret calls it {} and not Rejected that no stored credential works",
                    error.kind()
                );
                return finds(simulation, &what);
            }
            _ => {}
        }
    }
    if questions(simulation).await {
        return finds(simulation, "preflight finds nothing although no stored credential works");
    }
    simulation.check().await?;
    if simulation.remote.credentials().await != before {
        return finds(simulation, "credentials change although no stored one works");
    }
    Ok(())
}

/// Asks all that an operator may ask, and writes down what is answered. True if a rotation is said
/// to succeed.
pub(super) async fn questions(simulation: &Simulation) -> bool {
    let mut ready = false;
    simulation.wire.line().release();
    for question in [Question::Inspect, Question::Preflight, Question::Plan] {
        let rotator = simulation.remote.rotator();
        let cx = Invocation::new(Deadline::after(TIME));
        let engine = Engine::new(simulation.memory(), &*rotator);
        let answer = simulation.heard(engine.answer(question, &simulation.secret, &cx)).await;
        simulation.wire.line().transcript.extend(cx.stats().warnings);
        simulation.wire.line().note(match &answer {
            Ok(answer) => format!("{question:?}: {answer}"),
            Err(error) => format!("{question:?}: {}: {error}", error.kind()),
        });
        ready |= answer.is_ok_and(|answer| answer.get("ready") == Some(&true.into()));
    }
    ready
}
