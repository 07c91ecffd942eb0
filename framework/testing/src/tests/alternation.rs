//! Alternating users, tried.
//!
//! | sequence | where it is played |
//! |---|---|
//! | F3, a late container | frozen in setSecret, and cancelled; planted: [`Carelessness::NoFence`] |
//! | F6a, b, a half-made user | one crash; cancelled twice; planted: [`Defect::NoMark`] |
//! | F6c, a pair after an edit | edited after a rotation; `takeover` |
//! | F6, F7, somebody else's user | `takeover`; planted: [`Defect::NameProves`] |
//! | F8, a powerful user | `takeover` |
//! | F9, a stale base | stale reads; planted in `stale_base`: [`Carelessness::StaleBase`] |
//! | F10, a dead AWSCURRENT | forgotten, at any moment and after a rotation; frozen in finishSecret, cancelled; planted: [`Carelessness::NoRepair`], [`Defect::HalfMade`] |
//! | F11, late or missing rights | frozen in and race for setSecret, after rights were changed; planted: [`Defect::RevokeAll`] |
//! | F12, rights changed meanwhile | administered between any two calls; planted: [`Carelessness::PendingFirst`] |
//! | F13, several databases | every scenario, with [`Commit::PerDatabase`]; planted: [`Carelessness::PasswordFirst`] |
//! | rule 11, memory | the same process for all; planted: [`Carelessness::Memory`] |

use fourstep::{Environment, Rotator};

use super::careless::{self, Carelessness};
use super::database::{Commit, Defect, Model, Policy};
use super::{assert_caught, assert_caught_in, assert_safe};
use crate::models::{Server, SharedServer};
use crate::sweep::only;
use crate::{Effort, Overlap, conformance};

fn testbed(
    commit: Commit,
    defect: Option<Defect>,
    with: Option<Carelessness>,
) -> SharedServer<impl Fn(&Server) -> Box<dyn Rotator> + Clone + Send + Sync> {
    SharedServer::new(Overlap::Full, move |server| {
        careless::alternating(Model::new(server, commit, defect), &Environment::default(), with)
    })
}

#[test]
fn alternating_users_over_several_databases_survive_every_sweep() {
    assert_safe(&testbed(Commit::PerDatabase, None, None));
}

#[test]
fn alternating_users_without_transactions_survive_every_sweep() {
    assert_safe(&testbed(Commit::PerStatement, None, None));
}

#[test]
fn alternating_users_survive_where_no_password_may_be_used_again() {
    assert_safe(&SharedServer::new(Overlap::Full, |server: &Server| {
        let model = Model::with_policy(server, Commit::PerStatement, Policy::History);
        careless::alternating(model, &Environment::default(), None)
    }));
}

#[tokio::test]
async fn alternating_users_conform() {
    for commit in [Commit::PerDatabase, Commit::PerStatement] {
        conformance(&testbed(commit, None, None)).await.assert_safe();
    }
}

#[test]
fn rights_given_after_the_password_leave_a_live_user_without_them() {
    for commit in [Commit::PerDatabase, Commit::PerStatement] {
        let broken = testbed(commit, None, Some(Carelessness::PasswordFirst));
        assert_caught(&broken, "a live user lacks its rights");
    }
}

#[test]
fn a_pending_secret_that_is_tried_first_is_never_made_equal_again() {
    for commit in [Commit::PerDatabase, Commit::PerStatement] {
        let broken = testbed(commit, None, Some(Carelessness::PendingFirst));
        let scenario = "administered between any two calls";
        assert_caught_in(&broken, scenario, "repeating the rotation never succeeds");
    }
}

#[test]
fn rights_that_are_taken_before_they_are_given_are_missed() {
    let broken = testbed(Commit::PerStatement, Some(Defect::RevokeAll), None);
    assert_caught_in(&broken, "one crash in three rotations", "a live user lacks its rights");
}

#[test]
fn a_user_without_a_mark_is_refused_for_ever_when_it_is_half_made() {
    let broken = testbed(Commit::PerStatement, Some(Defect::NoMark), None);
    let name = "repeating the rotation never succeeds";
    assert_caught_in(&broken, "one crash in three rotations", name);
}

#[test]
fn a_user_without_a_mark_is_refused_for_ever_after_a_cancelled_rotation() {
    let broken = testbed(Commit::PerDatabase, Some(Defect::NoMark), None);
    assert_caught_in(&broken, "cancelled twice", "the next rotation never succeeds");
}

#[test]
fn a_late_container_that_passes_no_fence_undoes_a_finished_rotation() {
    for commit in [Commit::PerDatabase, Commit::PerStatement] {
        let broken = testbed(commit, None, Some(Carelessness::NoFence));
        let scenario = "frozen in setSecret, cancelled";
        assert_caught_in(&broken, scenario, "AWSCURRENT does not log in");
    }
}

#[test]
fn who_is_next_must_not_be_remembered() {
    let broken = testbed(Commit::PerStatement, None, Some(Carelessness::Memory));
    let scenario = "one crash, the same process for all";
    assert_caught_in(&broken, scenario, "repeating the rotation never succeeds");
}

#[test]
fn a_current_secret_that_was_lost_must_be_set_again() {
    for commit in [Commit::PerDatabase, Commit::PerStatement] {
        let broken = testbed(commit, None, Some(Carelessness::NoRepair));
        let scenario = "forgotten after a rotation";
        assert_caught_in(&broken, scenario, "the next rotation never succeeds");
    }
}

#[test]
fn a_user_that_was_made_again_by_half_does_not_count_as_whole() {
    for commit in [Commit::PerDatabase, Commit::PerStatement] {
        let broken = testbed(commit, Some(Defect::HalfMade), None);
        // A fail-over and a crash: one fault more than a short sweep has.
        let section = only(&broken, Effort::Full, "forgotten between any two calls").unwrap();
        let first = section.violations.first().map(|violation| violation.what.to_string());
        assert_eq!(first.as_deref(), Some("a live user lacks its rights"));
    }
}
