//! A set of passwords without any lock, as Redis has it, at one server and at several: the two strategies
//! over it, and what each part of them is for, with one defect at a time.

mod forged;
mod model;
mod remote;

use super::{assert_caught_in, assert_safe, effort, only};
use crate::{Effort, Report, conformance};
use model::Defect;
use remote::{Fate, SetOfPasswords};

fn sound(keeps_previous: bool) -> SetOfPasswords {
    SetOfPasswords { keeps_previous, servers: 1, fate: Fate::AllReturn, defect: None }
}

#[test]
fn dual_password_over_a_set_survives_every_sweep_without_a_lock() {
    assert_safe(&sound(true));
}

#[test]
fn single_user_by_admin_over_a_set_survives_every_sweep_without_a_lock() {
    assert_safe(&sound(false));
}

fn broken(keeps_previous: bool, defect: Defect) -> SetOfPasswords {
    SetOfPasswords { defect: Some(defect), ..sound(keeps_previous) }
}

#[test]
fn one_that_replaces_the_set_locks_out_a_client_of_the_current_password() {
    let broken = broken(true, Defect::Replaces);
    assert_caught_in(&broken, "one crash, every step twice", "AWSCURRENT does not log in");
}

#[test]
fn one_that_takes_away_whatever_is_there_takes_the_last_after_a_fail_over() {
    let broken = broken(false, Defect::TakesBlindly);
    assert_caught_in(&broken, "forgotten between any two calls", "no stored version logs in");
}

#[test]
fn one_that_takes_nothing_away_leaves_every_old_password_at_work() {
    let broken = broken(true, Defect::Keeps);
    assert_caught_in(
        &broken,
        "one crash, every step twice",
        "a credential that is not kept still works",
    );
}

#[tokio::test]
async fn both_strategies_over_a_set_conform() {
    for keeps_previous in [true, false] {
        conformance(&sound(keeps_previous)).await.assert_safe();
        conformance(&SetOfPasswords { servers: 3, ..sound(keeps_previous) }).await.assert_safe();
    }
}

/// What comes of the servers' own fates and of crashes at each of them; every scenario where there is time.
#[test]
fn servers_that_come_back_join_leave_and_are_away_are_met_in_every_step() {
    let testbed =
        |fate, keeps_previous| SetOfPasswords { servers: 2, fate, ..sound(keeps_previous) };
    let forgotten = "forgotten between any two calls";
    let mut scenarios = vec![(testbed(Fate::AllReturn, true), "one crash, every step twice")];
    for fate in [Fate::OneReturns, Fate::Joins, Fate::Leaves, Fate::IsAway] {
        scenarios.push((testbed(fate, true), forgotten));
    }
    scenarios.push((testbed(Fate::OneReturns, false), forgotten));
    for (testbed, scenario) in scenarios {
        let section = only(&testbed, effort(), scenario).unwrap();
        Report { sections: vec![section] }.assert_safe();
    }
    if effort() != Effort::Short {
        for keeps_previous in [true, false] {
            assert_safe(&testbed(Fate::AllReturn, keeps_previous));
        }
    }
}

#[test]
fn whoever_sees_one_server_of_two_promotes_what_does_not_work_at_the_other() {
    let broken = SetOfPasswords { servers: 2, ..broken(true, Defect::SeesOne) };
    assert_caught_in(&broken, "one crash, every step twice", "AWSCURRENT does not log in");
}

#[test]
fn whoever_does_not_look_again_before_the_promotion_leaves_a_server_as_it_came() {
    for fate in [Fate::OneReturns, Fate::Joins] {
        let broken = SetOfPasswords { servers: 2, fate, ..broken(true, Defect::Unconfirmed) };
        let left = "promoted although a server was left as it came";
        assert_caught_in(&broken, "forgotten between any two calls", left);
    }
}
