//! The kit, tried on what is known to be safe and on what is known to be broken.

mod admin_secret;
mod adversary;
mod alternation;
mod broken_engine;
mod broken_rotator;
mod by_admin;
mod careless;
mod database;
mod dual_password;
mod forged_pair;
mod install;
mod leaky;
mod managed;
mod password_set;
mod proxy;
mod rehearsed;
mod safeguards;
mod single_user;
mod stale_base;
mod takeover;
mod timelines;
mod two_passwords;
mod unlocked;
mod vendor;
mod vendor_grace;
mod vendor_hosts;
mod vendor_issuer;
mod vendor_keys;
mod vendor_paired;
mod vendor_patience;
mod vendor_plan;
mod vendor_rolled;
mod vendor_shared;
mod vendor_sweeps;
mod vendor_updater;

use super::sweep::{only, sweep_until};
use super::{Effort, Report, Testbed, conformance, sweep};

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
    let report = sweep_until(testbed, Effort::Short, &|what| what.to_string() == name);
    assert_names(&report, name);
}

/// The same by the conformance suite.
async fn assert_refuted(testbed: &dyn Testbed, name: &str) {
    assert_names(&conformance(testbed).await, name);
}

#[track_caller]
fn assert_names(report: &Report, name: &str) {
    let defects: Vec<String> = report.defects().iter().map(ToString::to_string).collect();
    assert!(defects.iter().any(|defect| defect == name), "{name} is not among {defects:?}");
}

/// The same where it is known which scenario finds the defect: the others are not played.
#[track_caller]
fn assert_caught_in(testbed: &dyn Testbed, scenario: &str, name: &str) {
    let Some(section) = only(testbed, Effort::Short, scenario) else {
        panic!("there is no scenario {scenario:?}");
    };
    assert_names(&Report { sections: vec![section] }, name);
}
