//! Accounts that refused logins lock.

use fourstep::{ErrorKind, Step};

use super::rotator::Defect;
use super::{Dual, assert_caught_in};
use crate::Wire;
use crate::models::PasswordRules;
use crate::process::Progress;
use crate::report::What;
use crate::simulation::{Checked, Intervention, Simulation};

fn locking(defect: Defect, failed_login_attempts: u32) -> Dual {
    Dual { defect, rules: PasswordRules { failed_login_attempts, ..PasswordRules::default() } }
}

/// AWSCURRENT and AWSPREVIOUS hold the same password, which the server forgot.
async fn forgotten(dual: &Dual, wire: &Wire) -> Checked<Simulation> {
    let mut simulation = Simulation::new(dual, wire).await?;
    simulation.whole(1).await?;
    simulation.remote.remember();
    simulation.whole(1).await?;
    simulation.perform(Intervention::Edit).await?;
    simulation.perform(Intervention::Forget).await?;
    Ok(simulation)
}

fn refused(wire: &Wire) -> usize {
    let line = wire.line();
    let since = line.transcript.iter().rev().take_while(|one| !one.contains("begins"));
    since.filter(|one| one.contains("log in as")).count()
}

#[tokio::test(start_paused = true)]
async fn a_password_that_was_refused_is_not_tried_again_in_the_step() {
    let wire = Wire::default();
    let mut simulation = forgotten(&locking(Defect::None, 3), &wire).await.unwrap();
    simulation.whole(1).await.unwrap();
    let wire = Wire::default();
    let mut simulation = forgotten(&locking(Defect::TriesTwice, 3), &wire).await.unwrap();
    assert_eq!(simulation.whole(1).await.unwrap_err().what, What::StoredDead);
}

#[tokio::test(start_paused = true)]
async fn the_answer_of_a_locked_account_ends_the_step() {
    let wire = Wire::default();
    let mut simulation = forgotten(&locking(Defect::None, 2), &wire).await.unwrap();
    let token = simulation.begin().unwrap();
    simulation.deliver(Step::Create, &token).await.unwrap();
    let mut process = simulation.process("A", Step::Set, &token);
    let Progress::Ended(Err(error)) = process.advance(&wire, 1_000, true).await else {
        panic!("the step did not fail");
    };
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains("the account is locked"), "{error}");
    assert_eq!(refused(&wire), 2);
}

#[test]
fn an_account_that_locks_after_four_refused_logins_is_locked_by_one_crash() {
    let name = "no stored version logs in";
    assert_caught_in(&locking(Defect::None, 4), "forgotten after a rotation", name);
}
