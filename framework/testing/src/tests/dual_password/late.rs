//! A container that comes late with a change that nothing is compared with: AWSCURRENT is the
//! secondary password, because a rotation was cancelled before.

use fourstep::Step;

use super::Dual;
use super::rotator::Defect;
use crate::Wire;
use crate::report::What;
use crate::simulation::{Checked, Intervention, Simulation, Standstill};

/// B stands still after so many calls of setSecret, its rotation is cancelled, the next one
/// succeeds, and B wakes up. False if B had ended before.
async fn late(dual: &Dual, calls: u32) -> Checked<bool> {
    let wire = Wire::default();
    let mut simulation = Simulation::new(dual, &wire).await?;
    for calls in [None, Some(calls)] {
        let token = simulation.begin()?;
        simulation.deliver(Step::Create, &token).await?;
        match calls {
            None => drop(simulation.deliver(Step::Set, &token).await?),
            Some(calls) => {
                let mut frozen = simulation.process("B", Step::Set, &token);
                for _ in 0..calls {
                    if let Standstill::Ended(_) = simulation.advance(&mut frozen, true).await? {
                        return Ok(false);
                    }
                }
                simulation.frozen = Some(frozen);
            }
        }
        simulation.perform(Intervention::Cancel).await?;
    }
    // Between two calls of A nothing is chosen to happen: B wakes up when all is done.
    simulation.whole(1).await?;
    simulation.wake().await?;
    simulation.whole(1).await?;
    Ok(true)
}

async fn violations(defect: Defect) -> Vec<(u32, What)> {
    let mut found = Vec::new();
    for calls in 0.. {
        match late(&Dual::with(defect), calls).await {
            Ok(true) => {}
            Ok(false) => break,
            Err(violation) => found.push((calls, violation.what)),
        }
    }
    found
}

#[tokio::test(start_paused = true)]
async fn the_lock_stops_a_late_change_that_nothing_is_compared_with() {
    assert_eq!(violations(Defect::None).await, []);
    // After the second fence, before ALTER USER.
    assert_eq!(violations(Defect::NoLock).await, [(9, What::CurrentDead)]);
}
