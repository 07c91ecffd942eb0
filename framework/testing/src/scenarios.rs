//! What may happen to rotations. Each scenario asks for choices, and is run once for each way they
//! can be answered.

use std::collections::VecDeque;
use std::sync::Arc;

use fourstep::{Step, VersionId};
use fourstep_local::PendingLabel;

use super::process::Process;
use super::remote::Testbed;
use super::report::What;
use super::service::TRIES;
use super::simulation::{Checked, End, Intervention, Promise, Simulation, Standstill};
use super::wire::{Menu, Wire};

/// One family of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scenario {
    /// Rotations in a row, each step delivered so many times, meeting so many faults.
    Rotations { rotations: u32, times: u32, faults: u32, menu: Menu },
    /// The same process for every step.
    Warm { faults: u32, menu: Menu },
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
    Interference { intervention: Intervention, faults: u32 },
    /// Something happens after a rotation that succeeded.
    Afterwards { intervention: Intervention, faults: u32 },
    /// Somebody edited the secret, and the next rotation's reads are from before that.
    StaleAfterEdit { faults: u32 },
    /// Two rotations in a row are cancelled, each at any moment.
    CancelledTwice,
    /// Somebody delivers steps of a rotation by hand before its createSecret, in any order.
    Early,
    /// No stored credential works: nothing succeeds, and nothing is changed.
    LockedOut { times: u32, warm: bool, faults: u32, menu: Menu },
    /// The same, while two containers do one step.
    LockedOutRace { step: Step, turns: u32 },
}

impl Scenario {
    /// Where it is played.
    pub(super) async fn simulation(
        self,
        testbed: &dyn Testbed,
        wire: &Wire,
    ) -> Checked<Simulation> {
        match self {
            Self::LockedOut { .. } | Self::LockedOutRace { .. } => {
                Simulation::locked_out(testbed.fresh(wire).await, testbed.overlap(), wire).await
            }
            _ => Simulation::new(testbed, wire).await,
        }
    }

    pub(super) async fn play(self, simulation: &mut Simulation) -> Checked {
        match self {
            Self::Rotations { rotations, times, faults, menu } => {
                // Pairs of faults are many, and AWSPENDING's end makes little difference to them.
                simulation.left = match faults < 2 && simulation.wire.line().enumerator.yes() {
                    true => PendingLabel::Left,
                    false => PendingLabel::Removed,
                };
                faulty(simulation, menu, faults);
                for _ in 0..rotations {
                    simulation.whole(times).await?;
                }
                settle(simulation).await
            }
            Self::Warm { faults, menu } => {
                simulation.warm = Some(Arc::from(simulation.remote.function()));
                faulty(simulation, menu, faults);
                for _ in 0..3 {
                    simulation.whole(1).await?;
                }
                settle(simulation).await
            }
            Self::Race { step, turns } => {
                simulation.whole(1).await?;
                race(simulation, step, turns).await
            }
            Self::RaceAfterCancelled { turns } => {
                cancelled(simulation).await?;
                race(simulation, Step::Set, turns).await
            }
            Self::FrozenAfterCancelled => {
                cancelled(simulation).await?;
                freeze(simulation, Step::Set).await?;
                simulation.perform(Intervention::Cancel).await?;
                simulation.whole(1).await?;
                simulation.wake().await?;
                settle(simulation).await
            }
            Self::Frozen { step, faults } => {
                simulation.whole(1).await?;
                let token = freeze(simulation, step).await?;
                faulty(simulation, Menu::Crashes, faults);
                simulation.conclude(&token, 1).await?;
                simulation.whole(1).await?;
                simulation.wake().await?;
                settle(simulation).await
            }
            Self::FrozenAndCancelled { step, faults } => {
                simulation.whole(1).await?;
                freeze(simulation, step).await?;
                simulation.perform(Intervention::Cancel).await?;
                if step == Step::Finish && simulation.remote.replaces() {
                    // Moving AWSCURRENT does not ask for AWSPENDING: what was cancelled, and
                    // replaced at the remote, may still be promoted by who comes late.
                    simulation.promise = Promise::Stored;
                }
                faulty(simulation, Menu::Crashes, faults);
                simulation.whole(1).await?;
                simulation.wake().await?;
                settle(simulation).await
            }
            Self::Interference { intervention, faults } => {
                // Where there is nothing to administer, once is enough.
                if intervention == Intervention::Administer && !simulation.administer()? {
                    simulation.wire.line().skip("the remote has nothing to administer");
                    return Ok(());
                }
                if !remembers(simulation, intervention) {
                    return Ok(());
                }
                simulation.intervention = Some(intervention);
                faulty(simulation, Menu::Crashes, faults);
                for _ in 0..2 {
                    simulation.whole(1).await?;
                }
                settle(simulation).await
            }
            Self::Afterwards { intervention, faults } => {
                simulation.whole(1).await?;
                if !remembers(simulation, intervention) {
                    return Ok(());
                }
                simulation.whole(1).await?;
                simulation.perform(intervention).await?;
                faulty(simulation, Menu::Crashes, faults);
                simulation.whole(1).await?;
                settle(simulation).await
            }
            Self::StaleAfterEdit { faults } => {
                simulation.whole(1).await?;
                simulation.perform(Intervention::Edit).await?;
                // The edit is done: what begins now owes everything.
                simulation.disturbed = false;
                faulty(simulation, Menu::StaleReads, faults);
                simulation.whole(1).await?;
                settle(simulation).await
            }
            Self::Early => {
                simulation.whole(1).await?;
                let token = simulation.begin()?;
                let mut steps = vec![Step::Set, Step::Test, Step::Finish];
                while !steps.is_empty() {
                    // The first answer is to deliver no more of them.
                    let Some(at) =
                        simulation.wire.line().enumerator.pick(steps.len() + 1).checked_sub(1)
                    else {
                        break;
                    };
                    simulation.deliver(steps.remove(at), &token).await?;
                }
                simulation.conclude(&token, 1).await?;
                settle(simulation).await
            }
            Self::LockedOut { times, warm, faults, menu } => {
                simulation.warm = warm.then(|| Arc::from(simulation.remote.function()));
                let token = simulation.begin()?;
                faulty(simulation, menu, faults);
                // No more deliveries than there are faults and one: where refused logins lock
                // accounts, every delivery takes some.
                for _ in 0..=faults {
                    if simulation.try_rotation(&token, times).await? {
                        return Err(simulation.wrong(What::Check(
                            "a rotation succeeds although no stored credential works".to_owned(),
                        )));
                    }
                    simulation.remote.hour_passes();
                }
                Ok(())
            }
            Self::LockedOutRace { step, turns } => {
                let token = simulation.begin()?;
                for before in Step::ALL.into_iter().take_while(|&one| one != step) {
                    simulation.deliver(before, &token).await?;
                }
                interleave(simulation, step, &token, turns).await
            }
            Self::CancelledTwice => {
                for _ in 0..2 {
                    let token = simulation.begin()?;
                    for step in Step::ALL {
                        // Cancelled before this step; or else it is played.
                        if simulation.wire.line().enumerator.yes() {
                            break;
                        }
                        // The service goes on to no step after one that failed.
                        let End::Answered(Ok(_)) = simulation.deliver(step, &token).await? else {
                            break;
                        };
                    }
                    simulation.perform(Intervention::Cancel).await?;
                }
                settle(simulation).await
            }
        }
    }
}

/// Whether what happens can happen at this remote, which keeps its state for it. Nothing is lost yet.
fn remembers(simulation: &Simulation, intervention: Intervention) -> bool {
    simulation.remote.remember();
    let able = intervention != Intervention::Forget || simulation.remote.forget();
    if !able {
        simulation.wire.line().skip("the remote cannot forget");
    }
    able
}

fn faulty(simulation: &Simulation, menu: Menu, faults: u32) {
    let mut line = simulation.wire.line();
    (line.menu, line.faults) = (menu, faults);
}

/// No more faults: two more rotations must succeed at once, each from one delivery.
async fn settle(simulation: &mut Simulation) -> Checked {
    simulation.wake().await?;
    simulation.intervention = None;
    faulty(simulation, Menu::None, 0);
    simulation.whole(1).await?;
    simulation.disturbed = false;
    simulation.whole(1).await?;
    Ok(())
}

/// A rotation that is cancelled when it is applied: what it applied has no label any more.
async fn cancelled(simulation: &mut Simulation) -> Checked {
    simulation.whole(1).await?;
    let token = simulation.begin()?;
    before(simulation, Step::Test, &token).await?;
    simulation.perform(Intervention::Cancel).await
}

/// Plays the steps before this one, from the first again after a failure.
async fn before(simulation: &mut Simulation, step: Step, token: &VersionId) -> Checked {
    'again: for _ in 0..TRIES {
        for before in Step::ALL.into_iter().take_while(|&one| one != step) {
            let End::Answered(Ok(_)) = simulation.deliver(before, token).await? else {
                simulation.remote.hour_passes();
                continue 'again;
            };
        }
        return Ok(());
    }
    Err(simulation.wrong(What::NeverConverges))
}

/// Plays a rotation up to `step` and leaves a container standing before one of its calls.
async fn freeze(simulation: &mut Simulation, step: Step) -> Checked<VersionId> {
    simulation.administer()?;
    let token = simulation.begin()?;
    before(simulation, step, &token).await?;
    let mut frozen = simulation.process("B", step, &token);
    while !simulation.wire.line().enumerator.yes() {
        match simulation.advance(&mut frozen, true).await? {
            Standstill::Ready | Standstill::Blocked => {}
            Standstill::Ended(_) => return Ok(token),
        }
    }
    simulation.wire.line().note("B stands still");
    simulation.frozen = Some(frozen);
    Ok(token)
}

/// Two containers are given the same step at once; the first in the queue has the turn.
async fn race(simulation: &mut Simulation, step: Step, turns: u32) -> Checked {
    simulation.administer()?;
    let token = simulation.begin()?;
    before(simulation, step, &token).await?;
    interleave(simulation, step, &token, turns).await?;
    simulation.conclude(&token, 1).await?;
    settle(simulation).await
}

async fn interleave(
    simulation: &mut Simulation,
    step: Step,
    token: &VersionId,
    mut turns: u32,
) -> Checked {
    let mut running: VecDeque<Process> =
        ["A", "B"].into_iter().map(|name| simulation.process(name, step, token)).collect();
    let mut blocked = 0;
    loop {
        if running.len() == 2
            && blocked == 0
            && turns > 0
            && simulation.wire.line().enumerator.yes()
        {
            running.rotate_left(1);
            turns -= 1;
        }
        let Some(mut process) = running.pop_front() else { return Ok(()) };
        match simulation.advance(&mut process, running.is_empty()).await? {
            Standstill::Ended(_) => blocked = 0,
            Standstill::Ready => {
                running.push_front(process);
                blocked = 0;
            }
            Standstill::Blocked if blocked == 1 => return Err(simulation.wrong(What::Deadlock)),
            Standstill::Blocked => {
                running.push_back(process);
                blocked += 1;
            }
        }
    }
}
