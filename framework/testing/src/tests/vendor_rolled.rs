//! Values that a vendor makes anew, in every sweep: in the slot that is not in use, and in the place
//! of one that works on for a time.

use std::time::Duration;

use async_trait::async_trait;
use fourstep::vendor::{Caller, RolledKey, Roller};
use fourstep::{Error, ErrorKind, Invocation, Rotator, Secret, Verdict};

use super::{assert_caught, assert_refuted, assert_safe};
use crate::models::Rolled;
use crate::{Effort, Overlap, Remote, Testbed, Wire, conformance};

const FIELDS: [&str; 2] = ["slot", "key"];

/// One safeguard left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    /// The vendor is told to make the value in use anew.
    RollsTheOneInUse,
    /// The old value is taken for the new one: the vendor is asked too early.
    ReadsBefore,
}

struct Values {
    vendor: Rolled,
    fields: Vec<String>,
    defect: Option<Defect>,
}

#[async_trait]
impl Roller for Values {
    fn fields(&self) -> &[String] {
        &self.fields
    }

    fn slots(&self) -> &[String] {
        self.vendor.names()
    }

    fn slot(&self, secret: &Secret) -> Result<String, Error> {
        let slot = secret.document()?.required("slot")?;
        match self.vendor.names().iter().any(|one| one == slot) || slot == "the one" {
            true => Ok(slot.to_owned()),
            false => Err(Error::new(ErrorKind::Malformed, "the vendor has no such slot")),
        }
    }

    async fn shown(
        &self,
        base: &Secret,
        slot: &str,
        _: &Caller<'_>,
        _: &Invocation,
    ) -> Result<Secret, Error> {
        let value = self.vendor.shown(slot).await?;
        let value = match self.defect {
            Some(Defect::ReadsBefore) if value.starts_with("value 3") => "value 2 of a slot",
            _ => &value,
        };
        Ok(base.document()?.with("slot", slot).with("key", value).into())
    }

    async fn roll(&self, slot: &str, caller: &Caller<'_>, _: &Invocation) -> Result<(), Error> {
        let slot = match self.defect {
            Some(Defect::RollsTheOneInUse) => self.slot(caller.own)?,
            _ => slot.to_owned(),
        };
        Ok(self.vendor.roll(&slot).await?)
    }

    fn propagation(&self) -> Duration {
        if self.vendor.learns_late() { Duration::from_secs(2) } else { Duration::ZERO }
    }

    async fn verify(&self, secret: &Secret, _: &Invocation) -> Result<Verdict, Error> {
        Ok(match self.vendor.verify(secret.document()?.required("key")?).await? {
            true => Verdict::Accepted,
            false => Verdict::Rejected("the vendor does not know the value".to_owned()),
        })
    }
}

/// Accounts whose values are made anew: with two slots, or with one value that works on.
struct Rolling {
    slots: bool,
    /// How often a new value must be asked for.
    delay: u32,
    defect: Option<Defect>,
}

#[async_trait]
impl Testbed for Rolling {
    fn overlap(&self) -> Overlap {
        Overlap::Full
    }

    /// Every step makes many calls.
    fn turns(&self, effort: Effort) -> u32 {
        if effort == Effort::Short { 2 } else { 5 }
    }

    async fn fresh(&self, wire: &Wire) -> Box<dyn Remote> {
        let vendor = if self.slots { Rolled::slots(wire) } else { Rolled::one(wire) };
        let vendor = vendor.late(self.delay);
        let first = vendor.standing("a");
        Box::new(Account { vendor, first, defect: self.defect })
    }
}

struct Account {
    vendor: Rolled,
    first: String,
    defect: Option<Defect>,
}

#[async_trait]
impl Remote for Account {
    fn rotator(&self) -> Box<dyn Rotator> {
        let fields = FIELDS.map(str::to_owned).to_vec();
        let (vendor, defect) = (self.vendor.clone(), self.defect);
        Box::new(RolledKey::new(Values { vendor, fields, defect }))
    }

    fn secret(&self) -> String {
        let slot = self.vendor.names().first().map_or("the one", String::as_str);
        format!(r#"{{"slot":"{slot}","key":"{}"}}"#, self.first)
    }

    async fn accepts(&self, secret: &Secret) -> bool {
        let key = secret.document().and_then(|one| one.required("key"));
        key.is_ok_and(|key| self.vendor.accepts(key))
    }

    fn credential(&self) -> &'static [&'static str] {
        &FIELDS
    }

    /// No vendor compares what it replaces.
    fn applies_late(&self) -> bool {
        true
    }

    fn overtakes(&self) -> bool {
        true
    }

    fn propagates(&self) -> bool {
        self.vendor.learns_late()
    }

    fn lingers(&self) -> bool {
        self.vendor.names().is_empty()
    }

    fn hour_passes(&self) {
        self.vendor.hour_passes();
    }
}

#[test]
fn two_slots_survive_every_sweep() {
    assert_safe(&Rolling { slots: true, delay: 0, defect: None });
}

#[test]
fn a_value_that_works_on_survives_every_sweep() {
    assert_safe(&Rolling { slots: false, delay: 0, defect: None });
}

#[test]
fn two_slots_of_a_vendor_that_learns_late_survive_every_sweep() {
    assert_safe(&Rolling { slots: true, delay: 2, defect: None });
}

#[test]
fn a_value_that_works_on_at_a_vendor_that_learns_late_survives_every_sweep() {
    assert_safe(&Rolling { slots: false, delay: 2, defect: None });
}

#[test]
fn a_slot_in_use_that_is_made_anew_is_caught() {
    let broken = Rolling { slots: true, delay: 0, defect: Some(Defect::RollsTheOneInUse) };
    assert_caught(&broken, "AWSCURRENT does not log in");
}

#[tokio::test(start_paused = true)]
async fn both_keep_the_contract_verb_by_verb() {
    for (slots, delay) in [(true, 0), (false, 0), (true, 2), (false, 2)] {
        conformance(&Rolling { slots, delay, defect: None }).await.assert_safe();
    }
    let broken = Rolling { slots: true, delay: 0, defect: Some(Defect::ReadsBefore) };
    assert_refuted(&broken, "a healthy createSecret fails").await;
}
