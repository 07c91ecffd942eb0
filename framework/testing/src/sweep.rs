//! Runs every scenario in every way it can go.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use fourstep::Step;

use super::conformance::{conformance, leaks};
use super::remote::Testbed;
use super::report::{Report, Section, What};
use super::scenarios::Scenario;
use super::simulation::Intervention;
use super::wire::{Menu, Wire};

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

/// The whole proof for a rotator at a model: [`conformance`](super::conformance), then [`sweep`].
///
/// ```
/// use fourstep_testing::{Effort, models::SinglePassword, prove};
///
/// prove(&SinglePassword, Effort::Short).assert_safe();
/// ```
pub fn prove(testbed: &dyn Testbed, effort: Effort) -> Report {
    let mut report = Report::default();
    // A thread of its own: the caller may be inside a runtime already.
    thread::scope(|scope| {
        scope.spawn(|| match kits_runtime() {
            Ok(runtime) => report = runtime.block_on(conformance(testbed)),
            Err(error) => report.add(Section::failed("conformance", &error)),
        });
    });
    report.append(sweep(testbed, effort));
    report
}

/// A runtime whose clock stands still unless everybody waits.
fn kits_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
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

/// The same, given up as soon as something wrong is what was looked for.
pub(super) fn sweep_until(
    testbed: &dyn Testbed,
    effort: Effort,
    sought: &(dyn Fn(&What) -> bool + Sync),
) -> Report {
    let found = AtomicBool::new(false);
    let over = |section: &Section| {
        if section.violations.iter().any(|violation| sought(&violation.what)) {
            found.store(true, Ordering::Relaxed);
        }
        section.violations.len() == ENOUGH || found.load(Ordering::Relaxed)
    };
    let scenarios = scenarios(testbed, effort);
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
                    let section = explore(testbed, name, *scenario, &over);
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

/// One scenario alone, by its name: for defects of which it is known where they show.
#[cfg(test)]
pub(super) fn only(testbed: &dyn Testbed, effort: Effort, name: &str) -> Option<Section> {
    let mut scenarios = scenarios(testbed, effort).into_iter();
    let (name, scenario) = scenarios.find(|(one, _)| *one == name)?;
    Some(explore(testbed, name, scenario, &|section| section.violations.len() == ENOUGH))
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every run of one scenario.
fn explore(
    testbed: &dyn Testbed,
    name: &'static str,
    scenario: Scenario,
    over: &dyn Fn(&Section) -> bool,
) -> Section {
    let wire = Wire::default();
    let runtime = match kits_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return Section::failed(name, &error),
    };
    let mut section = Section::new(name);
    loop {
        let played = runtime.block_on(async {
            let mut simulation = scenario.simulation(testbed, &wire).await?;
            scenario.play(&mut simulation).await?;
            leaks::glance(&mut simulation)
        });
        section.count(&wire, played);
        if over(&section) || !wire.line().next_run() {
            return section;
        }
    }
}

fn scenarios(testbed: &dyn Testbed, effort: Effort) -> Vec<(&'static str, Scenario)> {
    use Scenario::{
        Afterwards, CancelledTwice, Frozen, FrozenAfterCancelled, FrozenAndCancelled, Interference,
        Race, RaceAfterCancelled,
    };
    let full = effort != Effort::Short;
    let more = u32::from(effort == Effort::Long);
    let rotations =
        |rotations, times, faults, menu| Scenario::Rotations { rotations, times, faults, menu };
    let turns = testbed.turns(effort);
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
    list.push((
        "race: setSecret, after a cancelled one",
        RaceAfterCancelled { turns: turns.min(3) },
    ));
    list.push(("frozen in setSecret, after a cancelled one", FrozenAfterCancelled));
    let once = u32::from(full) + more;
    for (name, intervention) in [
        ("cancelled between any two calls", Intervention::Cancel),
        ("edited between any two calls", Intervention::Edit),
        ("rolled back between any two calls", Intervention::RollBack),
        ("forgotten between any two calls", Intervention::Forget),
        ("administered between any two calls", Intervention::Administer),
    ] {
        list.push((name, Interference { intervention, faults: once }));
    }
    for (name, intervention) in [
        ("rolled back after a rotation", Intervention::RollBack),
        ("edited after a rotation", Intervention::Edit),
        ("forgotten after a rotation", Intervention::Forget),
    ] {
        list.push((name, Afterwards { intervention, faults: 1 + u32::from(full) }));
    }
    let locked_out = |times, warm, faults, menu| Scenario::LockedOut { times, warm, faults, menu };
    for (name, scenario) in [
        ("nothing works: crashes", locked_out(1, false, faults, Menu::Crashes)),
        ("nothing works: every step twice", locked_out(2, false, 1, Menu::Crashes)),
        ("nothing works: the same process for all", locked_out(1, true, 1, Menu::Crashes)),
        ("nothing works: stale reads", locked_out(1, false, 1, Menu::StaleReads)),
        ("nothing works: credentials for the store end", locked_out(1, false, 1, Menu::Expiry)),
        (
            "nothing works: race, createSecret",
            Scenario::LockedOutRace { step: Step::Create, turns },
        ),
        ("nothing works: race, setSecret", Scenario::LockedOutRace { step: Step::Set, turns }),
        ("nothing works: race, testSecret", Scenario::LockedOutRace { step: Step::Test, turns }),
    ] {
        list.push((name, scenario));
    }
    list.push(("cancelled twice", CancelledTwice));
    list.push(("steps before createSecret", Scenario::Early));
    list.push(("one crash in three rotations", rotations(3, 1, 1, Menu::Crashes)));
    list.push(("one crash, every step twice", rotations(3, 2, 1, Menu::Crashes)));
    list.push((
        "one crash, the same process for all",
        Scenario::Warm { faults: 1, menu: Menu::Crashes },
    ));
    list.push((
        "credentials for the store end",
        rotations(3, 1, 1 + u32::from(full), Menu::Expiry),
    ));
    list.push((
        "the same, the same process for all",
        Scenario::Warm { faults: 1, menu: Menu::Expiry },
    ));
    list.push(("stale reads", rotations(3, 1, 1 + u32::from(full), Menu::StaleReads)));
    list
}
