//! Whole rotations, watched after every call.

use std::sync::Arc;

use fourstep::store::AWSPENDING;
use fourstep::{Step, VersionId};

use super::verbs::finds;
use crate::report::What;
use crate::simulation::{Checked, End, Simulation, Standstill};
use crate::wire::CallOutcome;

/// More remote calls than a step makes.
const MOST_CALLS: u64 = 50;

/// Rotations in a row, every step so many times, a process of its own each time.
pub(super) async fn in_a_row(simulation: &mut Simulation, rotations: u32, times: u32) -> Checked {
    for _ in 0..rotations {
        let token = simulation.begin()?;
        for step in Step::ALL {
            for time in 1..=times {
                match (step, time) {
                    (Step::Set, 1) => set(simulation, &token).await?,
                    (_, 1) => succeeds(simulation, step, &token).await?,
                    // A repeated step may have to find out what works.
                    _ => again(simulation, step, &token).await?,
                }
            }
        }
        simulation.done(&token).await?;
    }
    Ok(())
}

/// One process for all steps of all rotations, as a warm container.
pub(super) async fn by_one_process(simulation: &mut Simulation) -> Checked {
    simulation.warm = Some(Arc::from(simulation.remote.function()));
    in_a_row(simulation, 3, 1).await
}

/// setSecret, call by call: before the pending secret begins to work, DescribeSecret must have been
/// asked a second time. Where credentials begin to work by themselves, that tells nothing.
async fn set(simulation: &mut Simulation, token: &VersionId) -> Checked {
    let Some(pending) = simulation.holder(AWSPENDING)? else {
        return finds(simulation, "createSecret stores nothing");
    };
    if simulation.remote.propagates() {
        simulation
            .wire
            .line()
            .gap("credentials begin to work by themselves: the fence is not seen");
    }
    let worked = simulation.remote.propagates() || simulation.accepts(Some(&pending)).await?;
    let mut process = simulation.process("A", Step::Set, token);
    loop {
        let stand = simulation.advance(&mut process, true).await?;
        if !worked
            && simulation.accepts(Some(&pending)).await?
            && simulation.wire.line().describes < 2
        {
            return Err(simulation.wrong(What::NoFence));
        }
        if let Standstill::Ended(end) = stand {
            return ended(simulation, Step::Set, &end);
        }
    }
}

/// A rotation in which each call of setSecret fails once: it says why, and the retry goes on.
pub(super) async fn failing(simulation: &mut Simulation) -> Checked {
    let token = simulation.begin()?;
    succeeds(simulation, Step::Create, &token).await?;
    for at in 1..=MOST_CALLS {
        simulation.wire.line().fail_at(at, CallOutcome::Refuse);
        simulation.deliver(Step::Set, &token).await?;
        if !simulation.wire.line().failed() {
            if at == 1 {
                simulation.wire.line().skip("no call to the remote goes over the wire");
            }
            break;
        }
    }
    simulation.conclude(&token, 1).await.map(drop)
}

async fn again(simulation: &mut Simulation, step: Step, token: &VersionId) -> Checked {
    match simulation.deliver(step, token).await? {
        End::Answered(Ok(_)) => Ok(()),
        _ => finds(simulation, &format!("a repeated {step} fails")),
    }
}

async fn succeeds(simulation: &mut Simulation, step: Step, token: &VersionId) -> Checked {
    let end = simulation.deliver(step, token).await?;
    ended(simulation, step, &end)
}

fn ended(simulation: &Simulation, step: Step, end: &End) -> Checked {
    match end {
        End::Answered(Ok(_)) if simulation.refused > 0 => {
            finds(simulation, &format!("a healthy {step} makes a login that fails"))
        }
        End::Answered(Ok(_)) => Ok(()),
        _ => finds(simulation, &format!("a healthy {step} fails")),
    }
}
