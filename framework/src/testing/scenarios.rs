//! What may happen to rotations. Each scenario asks for choices, and is run once for each way they
//! can be answered.

use std::collections::VecDeque;
use std::sync::Arc;

use super::process::Process;
use super::report::What;
use super::service::TRIES;
use super::wire::Menu;
use super::world::{Checked, Deed, End, Promise, Stand, World};
use crate::ids::VersionId;
use crate::step::Step;
use crate::store::memory::PendingLabel;

/// One family of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scenario {
    /// Rotations in a row, each step delivered so many times, meeting so many faults.
    Rotations { rotations: u32, times: u32, faults: u32, menu: Menu },
    /// The same process for every step.
    Warm { faults: u32 },
    /// Two containers do one step, interleaved at every call; at most so many changes of turn.
    Race { step: Step, turns: u32 },
    /// A container stands still before one of its calls and wakes up at any later moment, while
    /// its rotation is repeated, and the next one goes on.
    Frozen { step: Step, faults: u32 },
    /// The same, but its rotation was cancelled meanwhile.
    FrozenAndCancelled { step: Step, faults: u32 },
    /// Two containers race setSecret after a rotation that was cancelled when it was applied.
    RaceAfterCancelled { turns: u32 },
    /// A container stands still in setSecret after such a rotation, and is cancelled itself.
    FrozenAfterCancelled,
    /// Something happens between any two calls of one of three rotations.
    Interference { deed: Deed, faults: u32 },
    /// Something happens after a rotation that succeeded.
    Afterwards { deed: Deed, faults: u32 },
    /// Somebody edited the secret, and the next rotation's reads are from before that.
    StaleAfterEdit { faults: u32 },
    /// Two rotations in a row are cancelled, each at any moment.
    CancelledTwice,
    /// Somebody delivers steps of a rotation by hand before its createSecret, in any order.
    Early,
}

impl Scenario {
    pub(super) async fn play(self, world: &mut World) -> Checked {
        match self {
            Self::Rotations { rotations, times, faults, menu } => {
                // Pairs of faults are many, and AWSPENDING's end makes little difference to them.
                world.left = match faults < 2 && world.wire.line().choices.yes() {
                    true => PendingLabel::Left,
                    false => PendingLabel::Removed,
                };
                faulty(world, menu, faults);
                for _ in 0..rotations {
                    world.whole(times).await?;
                }
                settle(world).await
            }
            Self::Warm { faults } => {
                world.warm = Some(Arc::from(world.remote.function()));
                faulty(world, Menu::Crashes, faults);
                for _ in 0..3 {
                    world.whole(1).await?;
                }
                settle(world).await
            }
            Self::Race { step, turns } => {
                world.whole(1).await?;
                race(world, step, turns).await
            }
            Self::RaceAfterCancelled { turns } => {
                cancelled(world).await?;
                race(world, Step::Set, turns).await
            }
            Self::FrozenAfterCancelled => {
                cancelled(world).await?;
                freeze(world, Step::Set).await?;
                world.perform(Deed::Cancel).await?;
                world.whole(1).await?;
                world.wake().await?;
                settle(world).await
            }
            Self::Frozen { step, faults } => {
                world.whole(1).await?;
                let token = freeze(world, step).await?;
                faulty(world, Menu::Crashes, faults);
                world.conclude(&token, 1).await?;
                world.whole(1).await?;
                world.wake().await?;
                settle(world).await
            }
            Self::FrozenAndCancelled { step, faults } => {
                world.whole(1).await?;
                freeze(world, step).await?;
                world.perform(Deed::Cancel).await?;
                if step == Step::Finish && world.remote.replaces() {
                    // Moving AWSCURRENT does not ask for AWSPENDING: what was cancelled, and
                    // replaced at the remote, may still be promoted by who comes late.
                    world.promise = Promise::Stored;
                }
                faulty(world, Menu::Crashes, faults);
                world.whole(1).await?;
                world.wake().await?;
                settle(world).await
            }
            Self::Interference { deed, faults } => {
                // Where there is nothing to administer, once is enough.
                if deed == Deed::Administer && !world.administer()? {
                    return Ok(());
                }
                world.remote.remember();
                world.deed = Some(deed);
                faulty(world, Menu::Crashes, faults);
                for _ in 0..2 {
                    world.whole(1).await?;
                }
                settle(world).await
            }
            Self::Afterwards { deed, faults } => {
                world.whole(1).await?;
                world.remote.remember();
                world.whole(1).await?;
                world.perform(deed).await?;
                faulty(world, Menu::Crashes, faults);
                world.whole(1).await?;
                settle(world).await
            }
            Self::StaleAfterEdit { faults } => {
                world.whole(1).await?;
                world.perform(Deed::Edit).await?;
                // The edit is done: what begins now owes everything.
                world.disturbed = false;
                faulty(world, Menu::StaleReads, faults);
                world.whole(1).await?;
                settle(world).await
            }
            Self::Early => {
                world.whole(1).await?;
                let token = world.begin()?;
                let mut steps = vec![Step::Set, Step::Test, Step::Finish];
                while !steps.is_empty() {
                    // The first answer is to deliver no more of them.
                    let Some(at) = world.wire.line().choices.pick(steps.len() + 1).checked_sub(1)
                    else {
                        break;
                    };
                    world.deliver(steps.remove(at), &token).await?;
                }
                world.conclude(&token, 1).await?;
                settle(world).await
            }
            Self::CancelledTwice => {
                for _ in 0..2 {
                    let token = world.begin()?;
                    for step in Step::ALL {
                        // Cancelled before this step; or else it is played.
                        if world.wire.line().choices.yes() {
                            break;
                        }
                        // The service goes on to no step after one that failed.
                        let End::Answered(Ok(_)) = world.deliver(step, &token).await? else {
                            break;
                        };
                    }
                    world.perform(Deed::Cancel).await?;
                }
                settle(world).await
            }
        }
    }
}

fn faulty(world: &World, menu: Menu, faults: u32) {
    let mut line = world.wire.line();
    (line.menu, line.faults) = (menu, faults);
}

/// No more faults: two more rotations must succeed at once, each from one delivery.
async fn settle(world: &mut World) -> Checked {
    world.wake().await?;
    world.deed = None;
    faulty(world, Menu::None, 0);
    world.whole(1).await?;
    world.disturbed = false;
    world.whole(1).await?;
    Ok(())
}

/// A rotation that is cancelled when it is applied: what it applied has no label any more.
async fn cancelled(world: &mut World) -> Checked {
    world.whole(1).await?;
    let token = world.begin()?;
    before(world, Step::Test, &token).await?;
    world.perform(Deed::Cancel).await
}

/// Plays the steps before this one, from the first again after a failure.
async fn before(world: &mut World, step: Step, token: &VersionId) -> Checked {
    'again: for _ in 0..TRIES {
        for before in Step::ALL.into_iter().take_while(|&one| one != step) {
            let End::Answered(Ok(_)) = world.deliver(before, token).await? else {
                world.remote.hour_passes();
                continue 'again;
            };
        }
        return Ok(());
    }
    Err(world.wrong(What::NeverConverges))
}

/// Plays a rotation up to `step` and leaves a container standing before one of its calls.
async fn freeze(world: &mut World, step: Step) -> Checked<VersionId> {
    world.administer()?;
    let token = world.begin()?;
    before(world, step, &token).await?;
    let mut frozen = world.process("B", step, &token);
    while !world.wire.line().choices.yes() {
        match world.advance(&mut frozen, true).await? {
            Stand::Ready | Stand::Blocked => {}
            Stand::Ended(_) => return Ok(token),
        }
    }
    world.wire.line().note("B stands still");
    world.frozen = Some(frozen);
    Ok(token)
}

/// Two containers are given the same step at once; the first in the queue has the turn.
async fn race(world: &mut World, step: Step, mut turns: u32) -> Checked {
    world.administer()?;
    let token = world.begin()?;
    before(world, step, &token).await?;
    let mut running: VecDeque<Process> =
        ["A", "B"].into_iter().map(|name| world.process(name, step, &token)).collect();
    let mut blocked = 0;
    loop {
        if running.len() == 2 && blocked == 0 && turns > 0 && world.wire.line().choices.yes() {
            running.rotate_left(1);
            turns -= 1;
        }
        let Some(mut process) = running.pop_front() else { break };
        match world.advance(&mut process, running.is_empty()).await? {
            Stand::Ended(_) => blocked = 0,
            Stand::Ready => {
                running.push_front(process);
                blocked = 0;
            }
            Stand::Blocked if blocked == 1 => return Err(world.wrong(What::Deadlock)),
            Stand::Blocked => {
                running.push_back(process);
                blocked += 1;
            }
        }
    }
    world.conclude(&token, 1).await?;
    settle(world).await
}
