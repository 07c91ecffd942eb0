//! The engine's own safeguards, each taken out where its loss shows.

use super::broken_engine::{Safeguard, Without};
use super::vendor::{CAPPED, Issuing, LABELS, Updating};
use super::vendor_issuer::Defect;
use super::{assert_caught, assert_caught_in};
use crate::Effort;
use crate::models::SinglePassword;
use crate::sweep::only;

const NEVER_CONVERGES: &str = "repeating the rotation never succeeds";

#[test]
fn a_token_that_is_not_compared_is_caught() {
    let name = "no labelled version logs in";
    assert_caught(&Without(Safeguard::Token, SinglePassword), name);
    assert_caught(&Without(Safeguard::Token, Updating(None)), name);
    let issuing = Without(Safeguard::Token, Issuing::at(LABELS));
    assert_caught(&issuing, "the steps succeeded but the version is not current");
}

#[test]
fn f9_a_stale_base_is_caught() {
    assert_caught(&Without(Safeguard::FreshBase, SinglePassword), NEVER_CONVERGES);
    assert_caught(&Without(Safeguard::FreshBase, Updating(None)), NEVER_CONVERGES);
    assert_caught(&Without(Safeguard::FreshBase, Issuing::at(LABELS)), NEVER_CONVERGES);
}

#[test]
fn a_pending_value_that_is_not_looked_up_is_caught() {
    assert_caught(&Without(Safeguard::PendingLookup, SinglePassword), NEVER_CONVERGES);
    assert_caught(&Without(Safeguard::PendingLookup, Updating(None)), NEVER_CONVERGES);
    assert_caught(&Without(Safeguard::PendingLookup, Issuing::at(LABELS)), NEVER_CONVERGES);
    assert_caught(&Without(Safeguard::PendingLookup, Issuing::at(CAPPED)), NEVER_CONVERGES);
}

#[test]
fn a_promotion_of_a_version_without_a_value_is_caught() {
    let name = "AWSCURRENT does not log in";
    assert_caught(&Without(Safeguard::PromotedValue, SinglePassword), name);
}

/// They ask their vendor for what they promote.
#[test]
fn keys_that_are_confirmed_need_no_look_at_the_value_that_is_promoted() {
    let early = "steps before createSecret";
    let updating = Without(Safeguard::PromotedValue, Updating(None));
    let issuing = Without(Safeguard::PromotedValue, Issuing::at(LABELS));
    for section in [only(&updating, Effort::Short, early), only(&issuing, Effort::Short, early)] {
        let section = section.unwrap();
        assert!(section.runs > 10 && section.violations.is_empty(), "{section:?}");
    }
}

#[test]
fn a_retire_that_is_not_repeated_is_caught() {
    let broken = Without(Safeguard::RetireAgain, Issuing::at(LABELS));
    assert_caught(&broken, "a credential that is not kept still works");
}

#[test]
fn a_step_that_takes_credentials_that_ended_for_done_is_caught() {
    let name = "the steps succeeded but the version is not current";
    let scenario = "credentials for the store end";
    assert_caught_in(&Without(Safeguard::Ended, SinglePassword), scenario, name);
    let name = "a credential that is not kept still works";
    assert_caught_in(&Without(Safeguard::Ended, Issuing::at(LABELS)), scenario, name);
}

/// As where an expired token was taken for a missing permission.
#[test]
fn credentials_that_ended_and_are_called_something_else_are_caught() {
    let name = "credentials that ended are not named as the cause";
    let broken = Without(Safeguard::EndedIsSaid, SinglePassword);
    assert_caught_in(&broken, "credentials for the store end", name);
    assert_caught_in(&broken, "nothing works: credentials for the store end", name);
}

#[test]
fn f4_a_retire_by_labels_read_again_is_caught() {
    let broken = Issuing::at(LABELS).with(Defect::RevokesNewer);
    let broken = Without(Safeguard::PromotedLabels, broken);
    assert_caught(&broken, "AWSCURRENT does not log in");
}
