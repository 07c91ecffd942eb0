//! The keys of an account, as far as they are looked at: those of strangers may be any number.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::issued::Key;
use super::retention::is_another_s;
use super::{Caller, IssuedKeys, Issuer, Label, ListedKey, Ownership, admin, pauses, wait};
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::{Invocation, Seen};
use crate::net::within;
use crate::rotator::SecretReader;
use crate::secret::Secret;

/// How many keys are kept that nothing is known of: an account may have more than fit into memory.
const MOST_KEPT: usize = 1_000;

/// How many keys are kept in all. Whoever may name a key at the vendor may name it like ours.
const MOST: usize = 20_000;

/// The most that a look at when a key ends may take: a list may have any number of pages.
const LOOK_TIME: Duration = Duration::from_secs(5);

/// Which keys are kept however many there are.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    ids: &'a BTreeSet<String>,
    /// Those with a label of this one's secret too.
    own: Option<&'a Label>,
}

impl<'a> Wanted<'a> {
    /// Those with these ids.
    pub(super) fn ids(ids: &'a BTreeSet<String>) -> Self {
        Self { ids, own: None }
    }

    /// Those with these ids, and those with a label of the secret that this one is of.
    pub(super) fn ours(own: &'a Label, ids: &'a BTreeSet<String>) -> Self {
        Self { ids, own: Some(own) }
    }
}

/// What an account has.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    /// Its keys.
    pub(super) keys: Vec<Key>,
    /// How many more there are, none of them wanted.
    pub(super) left_out: usize,
}

impl Listing {
    /// How many keys there are.
    pub(super) fn count(&self) -> usize {
        self.keys.len() + self.left_out
    }

    /// When a key was issued, if it is listed.
    pub(super) fn issued(&self, id: &str) -> Option<SystemTime> {
        self.keys.iter().find(|key| key.id == id).map(|key| key.issued)
    }
}

impl Listing {
    /// What to know of a key that ends by itself before the next rotation, so many days from now.
    pub(super) fn ends_early(&self, id: &str, days: u32, now: SystemTime) -> Option<String> {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        let ends = self.keys.iter().find(|key| key.id == id)?.expires?;
        let left = ends.duration_since(now).unwrap_or_default();
        (left < DAY * days).then(|| {
            format!(
                "AWSCURRENT's key {id:?} ends by itself in {} days, and the next rotation may be \
                 {days} days away: rotate more often, or have keys made that end later",
                left.as_secs() / DAY.as_secs()
            )
        })
    }

    /// What to know of a key with another secret's label.
    pub(super) fn carries_another_s(&self, id: &str, own: &Label) -> Option<String> {
        let key = self.keys.iter().find(|key| key.id == id)?;
        is_another_s(key, own).then(|| {
            format!(
                "AWSCURRENT's key {id:?} carries another secret's label, as where a replica was promoted or a \
                 value copied: no rotation here revokes it, and those of that secret may. Turn that \
                 secret's rotation off; if it is gone, revoke this key at the vendor once nothing uses it"
            )
        })
    }
}

impl<V: Issuer> IssuedKeys<V> {
    /// Every key, each with its moment: the vendor's word, or that in the label. Those that are wanted are
    /// among them however many there are.
    ///
    /// # Errors
    /// Those of the vendor; [`ErrorKind::Unsupported`] if more than [`MOST`] are to be kept.
    pub(super) async fn keys(
        &self,
        wanted: Wanted<'_>,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<Listing> {
        // Before it: a key that is made while others are read must not be older than these.
        let now = (self.clock)(&self.vendor);
        let terms = self.vendor.terms();
        let all = terms.cap.is_some() || terms.ownership == Ownership::Account;
        // Pages shift while they are read, and a limit counts a key once.
        let (mut seen, mut listed) = (BTreeSet::new(), Vec::new());
        let (mut left_out, mut too_many) = (0, false);
        let mut each = |key: ListedKey| {
            let label = key.label.as_deref().and_then(Label::read);
            let ours =
                label.as_ref().zip(wanted.own).is_some_and(|(one, own)| one.same_secret(own));
            let kept = all || ours || wanted.ids.contains(&key.id) || seen.len() < MOST_KEPT;
            match kept {
                true if seen.contains(&key.id) => {}
                true if seen.len() == MOST => too_many = true,
                true => {
                    seen.insert(key.id.clone());
                    listed.push((key, label));
                }
                false => left_out += 1,
            }
        };
        self.vendor.list(&mut each, caller, cx).await?;
        if too_many {
            let what =
                format!("more than {MOST} keys count as this secret's, or for the vendor's limit");
            return Err(Error::new(ErrorKind::Unsupported, what)
                .caused_by("nothing was revoked; revoke those that nothing uses at the vendor"));
        }
        let keys = listed.into_iter().map(|(key, label)| self.dated(key, label, now));
        Ok(Listing { keys: keys.collect::<Result<_, _>>()?, left_out })
    }

    fn dated(&self, key: ListedKey, label: Option<Label>, now: SystemTime) -> Result<Key> {
        let issued = key.created.or_else(|| Some(label.as_ref()?.issued()));
        let issued = match (issued, self.vendor.terms().ownership) {
            (Some(issued), _) => issued,
            // Whatever we issue carries a label with its moment: this one was there before.
            (None, Ownership::Labels) => SystemTime::UNIX_EPOCH,
            (None, _) => {
                let what = format!("the vendor does not say when key {:?} was issued", key.id);
                return Err(Error::new(ErrorKind::Unsupported, what)
                    .caused_by("without labels nothing else tells older keys from newer ones"));
            }
        };
        let age = now.duration_since(issued).unwrap_or_default();
        Ok(Key { id: key.id, label, issued, age, expires: key.expires })
    }

    /// Every key, once the secret's own is among them, and the moment of that.
    pub(super) async fn keys_with(
        &self,
        own: &str,
        wanted: Wanted<'_>,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<(Listing, SystemTime)> {
        let mut ids = wanted.ids.clone();
        ids.insert(own.to_owned());
        let wanted = Wanted { ids: &ids, ..wanted };
        let mut pauses = pauses(self.vendor.terms().propagation);
        loop {
            let listing = self.keys(wanted, caller, cx).await?;
            if let Some(issued) = listing.issued(own) {
                return Ok((listing, issued));
            }
            if !wait(&mut pauses, cx).await {
                return Err(not_listed(own, self.vendor.id_field()));
            }
        }
    }

    /// Notes for an inspection which key of a secret was let in, and when that ends by itself, where the
    /// vendor tells; it goes on without.
    pub(super) async fn note_end(
        &self,
        secret: &Secret,
        secrets: &SecretReader<'_>,
        cx: &Invocation,
    ) {
        let (true, Ok(user)) = (self.vendor.tells_ends(), self.vendor.id(secret)) else { return };
        let look = async {
            let admin = admin(self.vendor.admin(secret), secrets).await?;
            let caller = Caller { own: secret, admin: admin.as_ref() };
            self.keys(Wanted::ids(&[user.clone()].into()), &caller, cx).await
        };
        let listing = within(cx, "a look at the keys", LOOK_TIME, look).await.flatten();
        let key = |listing: Listing| listing.keys.into_iter().find(|key| key.id == user);
        let expires = listing.ok().and_then(key).and_then(|key| key.expires);
        let now = (self.clock)(&self.vendor);
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let ends_in = expires.map(|expires| match expires.duration_since(now) {
            Ok(left) => seconds(left),
            Err(past) => -seconds(past.duration()),
        });
        cx.note_seen(Seen { user, sessions: None, ends_in });
    }

    /// Whether one of these keys is listed; the first of them. Whoever answers that a key is revoked
    /// may not have done it, or later.
    pub(super) async fn still_listed(
        &self,
        ids: &BTreeSet<&str>,
        most: Duration,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<Option<String>> {
        let mut pauses = pauses(most);
        loop {
            let mut left = None;
            let mut each = |key: ListedKey| {
                if ids.contains(key.id.as_str()) {
                    left = Some(key.id);
                }
            };
            self.vendor.list(&mut each, caller, cx).await?;
            if left.is_none() || !wait(&mut pauses, cx).await {
                return Ok(left);
            }
        }
    }
}

pub(super) fn newer(id: &str) -> String {
    format!("key {id:?} is kept: a run may be about to record it, and a later rotation revokes it")
}

pub(super) fn not_gone(id: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("the vendor lists key {id:?}, which it says is revoked"),
    )
    .caused_by("AWSCURRENT was moved; if it stays so, revoke that key by hand")
}

pub(super) fn not_listed(id: &str, field: Option<&str>) -> Error {
    let field =
        field.map_or_else(|| "the field".to_owned(), |field| format!("the field {field:?}"));
    Error::new(ErrorKind::NotFound, format!("the vendor does not list key {id:?}")).caused_by(
        format!("it is this secret's; nothing was revoked, so look at {field} with its id"),
    )
}
