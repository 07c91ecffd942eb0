//! The kit, tried on what is known to be safe and on what is known to be broken.

mod broken_engine;
mod safeguards;
mod single_user;
mod vendor;
mod vendor_issuer;
mod vendor_updater;

use super::sweep::sweep_until;
use super::{Effort, Testbed, Violation, sweep};

/// How much to try: little in every build of the tests, more when asked for.
fn effort() -> Effort {
    match std::env::var("FOURSTEP_SWEEP").as_deref() {
        Ok("long") => Effort::Long,
        Ok("full") => Effort::Full,
        _ => Effort::Short,
    }
}

/// Sweeps what should be safe and shows what was tried.
#[track_caller]
fn assert_safe(testbed: &dyn Testbed) {
    let report = sweep(testbed, effort());
    eprintln!("{report}");
    report.assert_safe();
}

/// Sweeps what is broken: one of its defects must be known by this name.
#[track_caller]
fn assert_caught(testbed: &dyn Testbed, name: &str) {
    let known = |violation: &Violation| violation.what.to_string() == name;
    let report = sweep_until(testbed, Effort::Short, &known);
    let defects: Vec<String> = report.defects().iter().map(ToString::to_string).collect();
    assert!(defects.iter().any(|defect| defect == name), "{name} is not among {defects:?}");
}
