//! Runs every scenario in every way it can go.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::remote::Testbed;
use super::report::{Report, Section, Violation};
use super::scenarios::Scenario;
use super::wire::{Menu, Wire};
use super::world::{Deed, World};
use crate::step::Step;

/// After so many violations a scenario is left: the next ones would tell the same.
const ENOUGH: usize = 3;

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// One fault at a time, and races with few changes of turn: for every build.
    Short,
    /// All pairs of faults over three rotations, and races with more changes of turn.
    Full,
    /// Besides, all races, and pairs where something interferes or stands still: by hand.
    Long,
}

/// Plays rotations at a modelled remote, stopped and disturbed at every possible moment.
///
/// In every run, after every call: some version of the secret that must log in does
/// ([`Overlap`](super::Overlap) says which), and the remote has no complaint. At the end of every
/// run: the rotation converged, exactly the kept credentials work, and two more rotations succeed.
///
/// The same testbed gives the same runs: there is no chance in it. Its remotes must be models that
/// work over the [`Wire`] they are given; for a real remote there is
/// [`conformance`](super::conformance).
pub fn sweep(testbed: &dyn Testbed, effort: Effort) -> Report {
    sweep_until(testbed, effort, &|_| false)
}

/// Plays no further scenario once a violation is enough.
pub(super) fn sweep_until(
    testbed: &dyn Testbed,
    effort: Effort,
    enough: &(dyn Fn(&Violation) -> bool + Sync),
) -> Report {
    let scenarios = scenarios(effort);
    let queue: Mutex<VecDeque<_>> = Mutex::new(scenarios.iter().enumerate().collect());
    let sections = Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(1, usize::from).min(scenarios.len());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    // Not in a `while let`, which would hold the lock while the scenario runs.
                    let next = locked(&queue).pop_front();
                    let Some((at, (name, scenario))) = next else { break };
                    let section = explore(testbed, name, *scenario);
                    if section.violations.iter().any(enough) {
                        locked(&queue).clear();
                    }
                    locked(&sections).push((at, section));
                }
            });
        }
    });
    let mut sections = locked(&sections).split_off(0);
    sections.sort_by_key(|(at, _)| *at);
    let mut report = Report::default();
    for (_, section) in sections {
        report.add(section);
    }
    report
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every run of one scenario.
fn explore(testbed: &dyn Testbed, name: &'static str, scenario: Scenario) -> Section {
    let mut section = Section { name, runs: 0, calls: 0, violations: Vec::new() };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let wire = Wire::default();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            section.violations.push(Violation::of_kit(&wire, &error));
            return section;
        }
    };
    loop {
        let played = runtime.block_on(async {
            let mut world = World::new(testbed, &wire).await?;
            scenario.play(&mut world).await
        });
        section.runs += 1;
        let mut line = wire.line();
        section.calls += line.calls;
        if let Err(violation) = played {
            section.violations.push(violation);
        }
        if section.violations.len() == ENOUGH || !line.next_run() {
            return section;
        }
    }
}

fn scenarios(effort: Effort) -> Vec<(&'static str, Scenario)> {
    use Scenario::{Afterwards, CancelledTwice, Frozen, FrozenAndCancelled, Interference, Race};
    let full = effort != Effort::Short;
    let more = u32::from(effort == Effort::Long);
    let rotations =
        |rotations, times, faults, menu| Scenario::Rotations { rotations, times, faults, menu };
    let turns = match effort {
        Effort::Short => 3,
        Effort::Full => 5,
        Effort::Long => u32::MAX,
    };
    let faults = 1 + u32::from(full);
    let mut list = vec![("stale reads after an edit", Scenario::StaleAfterEdit { faults })];
    if full {
        list.push(("two crashes in three rotations", rotations(3, 1, 2, Menu::Crashes)));
    }
    for (step, race, frozen, cancelled) in [
        (
            Step::Create,
            "race: createSecret",
            "frozen in createSecret",
            "frozen in createSecret, cancelled",
        ),
        (Step::Set, "race: setSecret", "frozen in setSecret", "frozen in setSecret, cancelled"),
        (Step::Test, "race: testSecret", "frozen in testSecret", "frozen in testSecret, cancelled"),
        (
            Step::Finish,
            "race: finishSecret",
            "frozen in finishSecret",
            "frozen in finishSecret, cancelled",
        ),
    ] {
        list.push((race, Race { step, turns }));
        list.push((frozen, Frozen { step, faults: more }));
        list.push((cancelled, FrozenAndCancelled { step, faults: more }));
    }
    let once = u32::from(full) + more;
    for (name, deed) in [
        ("cancelled between any two calls", Deed::Cancel),
        ("edited between any two calls", Deed::Edit),
        ("rolled back between any two calls", Deed::RollBack),
        ("forgotten between any two calls", Deed::Forget),
    ] {
        list.push((name, Interference { deed, faults: once }));
    }
    for (name, deed) in [
        ("rolled back after a rotation", Deed::RollBack),
        ("edited after a rotation", Deed::Edit),
        ("forgotten after a rotation", Deed::Forget),
    ] {
        list.push((name, Afterwards { deed, faults: 1 + u32::from(full) }));
    }
    list.push(("cancelled twice", CancelledTwice));
    list.push(("one crash in three rotations", rotations(3, 1, 1, Menu::Crashes)));
    list.push(("one crash, every step twice", rotations(3, 2, 1, Menu::Crashes)));
    list.push(("one crash, the same process for all", Scenario::Warm { faults: 1 }));
    list.push(("stale reads", rotations(3, 1, 1 + u32::from(full), Menu::StaleReads)));
    list
}
