//! A host that changed: keys at two hosts, of which the secret names one, and a person who names the
//! other one there at any moment. Both number their keys alike.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use fourstep::vendor::{Caller, Issued, IssuedKeys, Issuer, Label, ListedKey, Ownership, Terms};
use fourstep::{Error, ErrorKind, ExposeSecret, Invocation, Rotator, Secret, Verdict};

use super::vendor::{LABELS, NO_LABELS};
use super::vendor_issuer::{FIELDS, key};
use super::vendor_keys::{Keys, Manner};
use super::{assert_caught, assert_safe};
use crate::models::{self, IssuedKey, Vendor};
use crate::{Overlap, Remote, Testbed, Wire};

struct Hosts {
    a: Keys,
    b: Keys,
    /// An id of one host is taken for that of a key at the other: the safeguard left out.
    blind: bool,
}

fn host(secret: &Secret) -> Result<String, Error> {
    Ok(secret.document()?.required("host")?.to_owned())
}

impl Hosts {
    fn at(&self, secret: &Secret) -> Result<&Keys, Error> {
        match host(secret)?.as_str() {
            "a" => Ok(&self.a),
            "b" => Ok(&self.b),
            _ => Err(Error::new(ErrorKind::Malformed, "there is no such host")),
        }
    }

    fn clock(&self) -> SystemTime {
        self.a.clock().max(self.b.clock())
    }
}

#[async_trait]
impl Issuer for Hosts {
    fn terms(&self) -> &Terms {
        self.a.terms()
    }

    fn fields(&self) -> &[String] {
        self.a.fields()
    }

    fn id(&self, secret: &Secret) -> Result<String, Error> {
        Ok(key(secret)?.id)
    }

    async fn issue(
        &self,
        base: &Secret,
        label: &Label,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<Issued, Error> {
        self.at(caller.own)?.issue(base, label, caller, cx).await
    }

    async fn list(
        &self,
        each: &mut (dyn FnMut(ListedKey) + Send),
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<(), Error> {
        self.at(caller.own)?.list(each, caller, cx).await
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict, Error> {
        self.at(secret)?.verify(secret, cx).await
    }

    async fn belongs(
        &self,
        _: &Secret,
        _: &Caller<'_>,
        _: &Invocation,
    ) -> Result<Option<bool>, Error> {
        Ok(Some(true))
    }

    fn same_place(&self, version: &Secret, own: &Secret) -> bool {
        self.blind || matches!((host(version), host(own)), (Ok(one), Ok(other)) if one == other)
    }

    async fn revoke(&self, id: &str, caller: &Caller<'_>, cx: &Invocation) -> Result<(), Error> {
        self.at(caller.own)?.revoke(id, caller, cx).await
    }
}

/// Accounts at two hosts, with keys of others at each.
struct Moving {
    terms: models::Terms,
    blind: bool,
}

#[async_trait]
impl Testbed for Moving {
    fn overlap(&self) -> Overlap {
        Overlap::Full
    }

    async fn fresh(&self, wire: &Wire) -> Box<dyn Remote> {
        let [a, b] = [Vendor::new(wire, self.terms), Vendor::new(wire, self.terms)];
        let first = a.arrange();
        a.arrange_stranger();
        // What is the secret's at the one host is another's at the other.
        b.arrange_stranger();
        b.arrange_stranger();
        let other = b.arrange();
        let ownership = if self.terms.labels { Ownership::Labels } else { Ownership::Stored };
        let manner = Manner {
            ownership,
            cap: self.terms.cap,
            ages: true,
            grace: Duration::ZERO,
            admin: false,
        };
        let moved = AtomicBool::new(false);
        Box::new(Accounts { a, b, first, other, manner, blind: self.blind, moved })
    }
}

struct Accounts {
    a: Vendor,
    b: Vendor,
    first: IssuedKey,
    other: IssuedKey,
    manner: Manner,
    blind: bool,
    /// Whether the secret names the other host since.
    moved: AtomicBool,
}

fn document(host: &str, key: &IssuedKey) -> String {
    let IssuedKey { id, value } = key;
    format!(r#"{{"host":"{host}","key_id":"{id}","key":"{}"}}"#, value.expose_secret())
}

#[async_trait]
impl Remote for Accounts {
    fn rotator(&self) -> Box<dyn Rotator> {
        let [a, b] = [&self.a, &self.b].map(|vendor| Keys::new(vendor.clone(), self.manner));
        Box::new(IssuedKeys::by_clock(Hosts { a, b, blind: self.blind }, Hosts::clock))
    }

    fn secret(&self) -> String {
        document("a", &self.first)
    }

    fn edited(&self, _: &Secret) -> Option<String> {
        self.moved.store(true, Ordering::Relaxed);
        Some(document("b", &self.other))
    }

    /// What works at the host that the secret named before is nobody's to revoke from here.
    fn lingers(&self) -> bool {
        self.moved.load(Ordering::Relaxed)
    }

    async fn accepts(&self, secret: &Secret) -> bool {
        let (Ok(host), Ok(key)) = (host(secret), key(secret)) else { return false };
        let vendor = if host == "a" { &self.a } else { &self.b };
        vendor.accepts(&key.id, key.value.expose_secret())
    }

    fn credential(&self) -> &'static [&'static str] {
        &FIELDS
    }

    fn complaint(&self) -> Option<String> {
        self.a.complaint().or_else(|| self.b.complaint())
    }

    fn hour_passes(&self) {
        self.a.hour_passes();
        self.b.hour_passes();
    }
}

#[test]
fn rule_25_a_host_that_changed_survives_every_sweep() {
    // Under a limit room is made at the one host while versions hold keys of the other.
    for terms in [models::Terms { cap: Some(4), ..LABELS }, NO_LABELS] {
        assert_safe(&Moving { terms, blind: false });
    }
}

#[test]
fn rule_25_an_id_of_another_host_that_is_taken_for_a_keys_of_this_one_is_caught() {
    let broken = Moving { terms: LABELS, blind: true };
    assert_caught(&broken, "a stranger's key was revoked");
}
