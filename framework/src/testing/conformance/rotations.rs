//! Whole rotations, watched after every call.

use std::sync::Arc;

use super::verbs::finds;
use crate::ids::VersionId;
use crate::step::Step;
use crate::store::AWSPENDING;
use crate::testing::report::What;
use crate::testing::wire::Fate;
use crate::testing::world::{Checked, End, Stand, World};

/// More remote calls than a step makes.
const MOST_CALLS: u64 = 50;

/// Rotations in a row, every step so many times, a process of its own each time.
pub(super) async fn in_a_row(world: &mut World, rotations: u32, times: u32) -> Checked {
    for _ in 0..rotations {
        let token = world.begin()?;
        for step in Step::ALL {
            for time in 1..=times {
                match (step, time) {
                    (Step::Set, 1) => set(world, &token).await?,
                    (_, 1) => succeeds(world, step, &token).await?,
                    // A repeated step may have to find out what works.
                    _ => again(world, step, &token).await?,
                }
            }
        }
        world.done(&token).await?;
    }
    Ok(())
}

/// One process for all steps of all rotations, as a warm container.
pub(super) async fn by_one_process(world: &mut World) -> Checked {
    world.warm = Some(Arc::from(world.remote.function()));
    in_a_row(world, 3, 1).await
}

/// setSecret, call by call: before the pending secret begins to work, DescribeSecret must have been
/// asked a second time. Where credentials begin to work by themselves, that tells nothing.
async fn set(world: &mut World, token: &VersionId) -> Checked {
    let Some(pending) = world.holder(AWSPENDING)? else {
        return finds(world, "createSecret stores nothing");
    };
    let worked = world.remote.propagates() || world.accepts(Some(&pending)).await?;
    let mut process = world.process("A", Step::Set, token);
    loop {
        let stand = world.advance(&mut process, true).await?;
        if !worked && world.accepts(Some(&pending)).await? && world.wire.line().describes < 2 {
            return Err(world.wrong(What::NoFence));
        }
        if let Stand::Ended(end) = stand {
            return ended(world, Step::Set, &end);
        }
    }
}

/// A rotation in which each call of setSecret fails once: it says why, and the retry goes on.
pub(super) async fn failing(world: &mut World) -> Checked {
    let token = world.begin()?;
    succeeds(world, Step::Create, &token).await?;
    for at in 1..=MOST_CALLS {
        world.wire.line().fail_at(at, Fate::Refuse);
        world.deliver(Step::Set, &token).await?;
        if !world.wire.line().failed() {
            break;
        }
    }
    world.conclude(&token, 1).await.map(drop)
}

async fn again(world: &mut World, step: Step, token: &VersionId) -> Checked {
    match world.deliver(step, token).await? {
        End::Answered(Ok(_)) => Ok(()),
        _ => finds(world, &format!("a repeated {step} fails")),
    }
}

async fn succeeds(world: &mut World, step: Step, token: &VersionId) -> Checked {
    let end = world.deliver(step, token).await?;
    ended(world, step, &end)
}

fn ended(world: &World, step: Step, end: &End) -> Checked {
    match end {
        End::Answered(Ok(_)) if world.refused > 0 => {
            finds(world, &format!("a healthy {step} makes a login that fails"))
        }
        End::Answered(Ok(_)) => Ok(()),
        _ => finds(world, &format!("a healthy {step} fails")),
    }
}
