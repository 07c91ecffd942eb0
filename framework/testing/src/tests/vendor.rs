//! Vendor keys: issued with and without labels, under a limit, and updated in place.
//!
//! Which sequence is met where, by the name of the scenario, and which test plants the defect:
//!
//! | sequence | scenario | planted in |
//! |---|---|---|
//! | F2, an updater's cancelled value is the one that works | cancelled between any two calls; cancelled twice | `f2_an_updater_...` |
//! | F3, an update comes late | frozen in setSecret, and cancelled | `f3_an_updater_...` |
//! | F4 a, retire by labels that are read again, and stale | stale reads; frozen in finishSecret | `safeguards::f4_a_retire_by_labels_...` |
//! | F4 b, retire goes on late, or is repeated, when a newer key exists | frozen in finishSecret, and cancelled | `f4_a_retire_that_revokes_...` |
//! | retire is lost with the answer to the promotion | one crash in three rotations | `safeguards::a_retire_that_is_not_...` |
//! | F5, createSecret deletes the key that another run records | race: createSecret; frozen in createSecret | `f5_an_orphan_...` |
//! | F5, a late run finds another's value recorded | race: createSecret; frozen in createSecret | `a_key_left_where_...` |
//! | F9, a stale base reverts an edit | stale reads after an edit | `safeguards::f9_...` |
//! | the answer to issue is lost, with room for more | one crash in three rotations | `a_retire_that_misses_...` |
//! | the same at the limit | one crash in three rotations | `an_orphan_that_fills_...` |
//! | the limit is reached by a stranger's key | every one | `a_slot_freed_with_...` |
//! | at the limit, a cancelled run promotes late the key that was freed | frozen in finishSecret, cancelled | `a_key_that_a_late_promotion_...` |
//!
//! Without labels, a key whose answer was lost cannot be told from a stranger's: it stays, and
//! under a tight limit no rotation can succeed until a person revokes it. So there is no testbed
//! without labels under a limit, but for an account without strangers.
//!
//! Where no defect is planted, the rotator is the framework's own: see `vendor_sweeps.rs`.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use fourstep::vendor::{Ownership, UpdatedKey};
use fourstep::{ExposeSecret, Rotator, Secret};

use super::assert_caught;
use super::vendor_issuer::{Defect, FIELDS, Issuer, key};
use super::vendor_keys::{ADMIN, Keys, Manner, Value};
use super::vendor_updater::{self, Updater};
use crate::models::{IssuedKey, Terms, Vendor};
use crate::{Overlap, Remote, Testbed, Wire};

/// A vendor that keeps labels and sets no limit.
pub(super) const LABELS: Terms = Terms { labels: true, cap: None, delay: 0 };
/// Room for current and previous, and for a stranger's key.
pub(super) const CAPPED: Terms = Terms { cap: Some(3), ..LABELS };
pub(super) const SLOW: Terms = Terms { delay: 2, ..LABELS };
pub(super) const NO_LABELS: Terms = Terms { labels: false, ..LABELS };

/// Accounts at a vendor with these terms, rotated by the issuer.
pub(super) struct Issuing {
    terms: Terms,
    manner: Manner,
    defect: Option<Defect>,
    strangers: bool,
}

impl Issuing {
    /// The framework's rotator, told what these terms say but for the limit.
    pub(super) fn at(terms: Terms) -> Self {
        let ownership = if terms.labels { Ownership::Labels } else { Ownership::Stored };
        let grace = Duration::ZERO;
        let manner = Manner { ownership, cap: None, ages: true, grace, admin: false };
        Self { terms, manner, defect: None, strangers: true }
    }

    pub(super) fn told(self, manner: Manner) -> Self {
        Self { manner, ..self }
    }

    /// An account with keys of this secret only.
    pub(super) fn alone(self) -> Self {
        Self { strangers: false, ..self }
    }

    pub(super) fn with(self, defect: Defect) -> Self {
        Self { defect: Some(defect), ..self }
    }
}

#[async_trait]
impl Testbed for Issuing {
    fn overlap(&self) -> Overlap {
        Overlap::Full
    }

    async fn fresh(&self, wire: &Wire) -> Box<dyn Remote> {
        let vendor = Vendor::new(wire, self.terms);
        let first = vendor.arrange();
        if self.strangers {
            vendor.arrange_stranger();
        }
        let Self { manner, defect, .. } = *self;
        let counted = manner.ownership == Ownership::Labels && manner.grace.is_zero();
        Box::new(Account { vendor, first, counted, manner, defect })
    }
}

struct Account {
    vendor: Vendor,
    first: IssuedKey,
    /// Whether a key that no version holds can be told to be ours.
    counted: bool,
    manner: Manner,
    defect: Option<Defect>,
}

#[async_trait]
impl Remote for Account {
    fn rotator(&self) -> Box<dyn Rotator> {
        let (vendor, defect) = (self.vendor.clone(), self.defect);
        match defect {
            None => Box::new(Keys::rotator(vendor, self.manner)),
            Some(_) => Box::new(Issuer { vendor, defect, remembered: Mutex::default() }),
        }
    }

    fn secret(&self) -> String {
        let IssuedKey { id, value } = &self.first;
        format!(r#"{{"key_id":"{id}","key":"{}"}}"#, value.expose_secret())
    }

    fn other_secrets(&self) -> Vec<(&'static str, String)> {
        self.manner.admin.then(|| (ADMIN.0, ADMIN.1.to_owned())).into_iter().collect()
    }

    async fn accepts(&self, secret: &Secret) -> bool {
        key(secret).is_ok_and(|key| self.vendor.accepts(&key.id, key.value.expose_secret()))
    }

    fn credential(&self) -> &'static [&'static str] {
        &FIELDS
    }

    async fn credentials(&self) -> Option<usize> {
        self.counted.then(|| self.vendor.live())
    }

    fn complaint(&self) -> Option<String> {
        self.vendor.complaint()
    }

    fn propagates(&self) -> bool {
        self.vendor.learns_late()
    }

    fn hour_passes(&self) {
        self.vendor.hour_passes();
    }
}

/// One key whose value the caller sets.
pub(super) struct Updating(pub(super) Option<vendor_updater::Defect>);

#[async_trait]
impl Testbed for Updating {
    fn overlap(&self) -> Overlap {
        Overlap::None
    }

    async fn fresh(&self, wire: &Wire) -> Box<dyn Remote> {
        let vendor = Vendor::new(wire, Terms::default());
        let first = vendor.arrange();
        vendor.arrange_stranger();
        let manner = Issuing::at(Terms::default()).manner;
        let account = Account { vendor, first, counted: true, manner, defect: None };
        Box::new(OneKey(account, self.0))
    }
}

struct OneKey(Account, Option<vendor_updater::Defect>);

#[async_trait]
impl Remote for OneKey {
    fn rotator(&self) -> Box<dyn Rotator> {
        let vendor = self.0.vendor.clone();
        match self.1 {
            None => Box::new(UpdatedKey::new(Value::new(vendor, true))),
            // Not a defect of the reference rotator: what the framework's does at such a vendor.
            Some(vendor_updater::Defect::Overwrites) => {
                Box::new(UpdatedKey::new(Value::new(vendor, false)))
            }
            defect => Box::new(Updater { vendor, defect }),
        }
    }

    fn secret(&self) -> String {
        self.0.secret()
    }

    async fn accepts(&self, secret: &Secret) -> bool {
        self.0.accepts(secret).await
    }

    fn credential(&self) -> &'static [&'static str] {
        &["key"]
    }

    async fn credentials(&self) -> Option<usize> {
        self.0.credentials().await
    }

    fn complaint(&self) -> Option<String> {
        self.0.complaint()
    }

    fn hour_passes(&self) {
        self.0.hour_passes();
    }

    fn remember(&self) {
        self.0.vendor.remember();
    }

    fn forget(&self) -> bool {
        self.0.vendor.forget();
        true
    }
}

fn caught(terms: Terms, defect: Defect, name: &str) {
    assert_caught(&Issuing::at(terms).with(defect), name);
}

#[test]
fn f4_a_retire_that_revokes_newer_keys_is_caught() {
    caught(LABELS, Defect::RevokesNewer, "AWSCURRENT does not log in");
    // Without labels, `RetireContext::stored` leaves out what a newer rotation is about.
}

#[test]
fn a_retire_that_misses_a_key_whose_answer_was_lost_is_caught() {
    let name = "a credential is left over that no kept version names";
    caught(LABELS, Defect::MissesTheUnrecorded, name);
}

#[test]
fn f5_an_orphan_deleted_too_early_is_caught() {
    caught(LABELS, Defect::DeletesYoungOrphans, "repeating the rotation never succeeds");
    caught(CAPPED, Defect::FreesYoungKeys, "repeating the rotation never succeeds");
}

#[test]
fn a_key_that_a_late_promotion_needs_freed_too_early_is_caught() {
    caught(CAPPED, Defect::FreesYoungKeys, "AWSCURRENT does not log in");
}

#[test]
fn an_orphan_that_fills_the_limit_for_ever_is_caught() {
    caught(CAPPED, Defect::NeverFreesOrphans, "repeating the rotation never succeeds");
}

#[test]
fn a_slot_freed_with_a_strangers_key_is_caught() {
    caught(CAPPED, Defect::FreesAnyKey, "a stranger's key was revoked");
}

#[test]
fn a_key_left_where_another_run_stored_its_own_is_caught() {
    let name = "a credential is left over that no kept version names";
    caught(LABELS, Defect::NeverDiscards, name);
}

#[test]
fn a_key_kept_in_memory_between_steps_is_caught() {
    caught(LABELS, Defect::Remembers, "repeating the rotation never succeeds");
}

#[test]
fn a_key_that_is_promoted_without_being_asked_about_is_caught() {
    caught(SLOW, Defect::TakesOnTrust, "AWSCURRENT does not log in");
}

#[test]
fn f2_an_updater_that_does_not_look_for_a_cancelled_value_is_caught() {
    let broken = Updating(Some(vendor_updater::Defect::ForgetsTheCancelled));
    assert_caught(&broken, "the next rotation never succeeds");
}

#[test]
fn an_updater_that_does_not_ask_whether_pending_works_is_caught() {
    let broken = Updating(Some(vendor_updater::Defect::NeverAsksPending));
    assert_caught(&broken, "repeating the rotation never succeeds");
}

#[test]
fn f3_an_updater_that_does_not_name_the_old_value_is_caught() {
    let broken = Updating(Some(vendor_updater::Defect::Overwrites));
    assert_caught(&broken, "AWSCURRENT does not log in");
}
