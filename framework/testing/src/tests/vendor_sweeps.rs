//! The framework's rotators of vendor keys in every sweep: with labels, without, under a limit, at
//! an eventually consistent vendor, at one that does not say when a key was made.

use std::time::Duration;

use fourstep::vendor::Ownership;

use super::vendor::{CAPPED, Issuing, LABELS, NO_LABELS, SLOW, Updating};
use super::vendor_issuer::Defect;
use super::vendor_keys::Manner;
use super::{assert_refuted, assert_safe};
use crate::models::Terms;
use crate::{Testbed, conformance};

const TOLD: Manner = Manner {
    ownership: Ownership::Labels,
    cap: None,
    ages: true,
    grace: Duration::ZERO,
    admin: false,
};
const BY_ADMIN: Manner = Manner { admin: true, ..TOLD };

/// The vendor's limit, and what the rotator is told of it.
fn two(labels: bool, ownership: Ownership, cap: Option<usize>) -> Issuing {
    let terms = Terms { labels, cap: Some(2), delay: 0 };
    Issuing::at(terms).told(Manner { ownership, cap, ..TOLD }).alone()
}

#[test]
fn beyond_17_keys_with_labels_survive_every_sweep() {
    assert_safe(&Issuing::at(LABELS));
}

#[test]
fn keys_that_are_known_late_survive_every_sweep() {
    assert_safe(&Issuing::at(SLOW));
}

#[test]
fn keys_under_a_limit_survive_every_sweep() {
    assert_safe(&Issuing::at(CAPPED));
    assert_safe(&Issuing::at(CAPPED).told(Manner { cap: Some(3), ..TOLD }));
}

#[test]
fn keys_under_a_limit_of_two_survive_every_sweep() {
    assert_safe(&two(true, Ownership::Labels, None));
    assert_safe(&two(true, Ownership::Labels, Some(2)));
}

#[test]
fn keys_without_labels_under_a_limit_of_two_survive_where_the_account_is_for_the_secret_only() {
    assert_safe(&two(false, Ownership::Account, Some(2)));
}

#[test]
fn keys_that_an_admin_makes_survive_every_sweep() {
    assert_safe(&Issuing::at(LABELS).told(BY_ADMIN));
    assert_safe(&Issuing::at(CAPPED).told(Manner { cap: Some(3), ..BY_ADMIN }));
    assert_safe(&Issuing::at(SLOW).told(BY_ADMIN));
    // So does a function's own role ask for the access keys of AWS IAM.
    let account = Manner { ownership: Ownership::Account, cap: Some(2), ..BY_ADMIN };
    assert_safe(&two(false, Ownership::Account, Some(2)).told(account));
}

#[test]
fn keys_without_labels_survive_every_sweep() {
    assert_safe(&Issuing::at(NO_LABELS));
}

#[test]
fn keys_whose_age_only_their_labels_tell_survive_every_sweep() {
    assert_safe(&Issuing::at(LABELS).told(Manner { ages: false, ..TOLD }));
    assert_safe(&Issuing::at(CAPPED).told(Manner { ages: false, ..TOLD }));
}

#[test]
fn a_key_that_is_updated_in_place_survives_every_sweep() {
    assert_safe(&Updating(None));
}

#[tokio::test(start_paused = true)]
async fn every_shape_keeps_the_contract_verb_by_verb() {
    let account = Manner { ownership: Ownership::Account, ..TOLD };
    let shapes: [Box<dyn Testbed>; 12] = [
        Box::new(Issuing::at(LABELS)),
        Box::new(Issuing::at(LABELS).told(Manner { ages: false, ..TOLD })),
        Box::new(Issuing::at(SLOW)),
        Box::new(Issuing::at(LABELS).told(BY_ADMIN)),
        Box::new(Issuing::at(SLOW).told(BY_ADMIN)),
        Box::new(Issuing::at(CAPPED)),
        Box::new(two(true, Ownership::Labels, None)),
        Box::new(two(true, Ownership::Labels, Some(2))),
        Box::new(two(false, Ownership::Account, Some(2))),
        Box::new(Issuing::at(NO_LABELS)),
        Box::new(Issuing::at(NO_LABELS).told(account).alone()),
        Box::new(Updating(None)),
    ];
    for shape in shapes {
        conformance(&*shape).await.assert_safe();
    }
    // What fails there is noticed: no key without label and age can be put in order.
    let ageless =
        Issuing::at(NO_LABELS).told(Manner { ownership: Ownership::Stored, ages: false, ..TOLD });
    assert_refuted(&ageless, "a healthy finishSecret fails").await;
    let careless = Issuing::at(LABELS).with(Defect::NeverDiscards);
    assert_refuted(&careless, "discard leaves a credential behind").await;
}
