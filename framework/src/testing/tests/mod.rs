//! The kit, tried on what is known to be safe and on what is known to be broken.

use super::models::SinglePassword;
use super::{Effort, sweep};

#[test]
fn the_single_user_strategy_survives_every_sweep() {
    let effort = match std::env::var("FOURSTEP_SWEEP").as_deref() {
        Ok("long") => Effort::Long,
        Ok("full") => Effort::Full,
        _ => Effort::Short,
    };
    let report = sweep(&SinglePassword, effort);
    eprintln!("{report}");
    report.assert_safe();
}
