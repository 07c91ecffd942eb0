//! What must be proven before an admin acts for a secret, and before a key without our mark goes.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::issued::{Key, TEST_TIME};
use super::listing::{Listing, Wanted};
use super::{Caller, IssuedKeys, Issuer, Ownership};
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::rotator::{CreateContext, Verdict};
use crate::secret::{Previous, Secret};
use crate::store::{AWSCURRENT, AWSPREVIOUS};

/// How many versions are asked about at most, AWSCURRENT's among them: some vendors lock whoever shows
/// wrong keys.
const MOST_ASKED: usize = 6;

impl<V: Issuer> IssuedKeys<V> {
    /// Every key and the moment of this secret's, once it is proven that the secret's key works, that
    /// its id belongs to it, and that it is one of those listed.
    ///
    /// An admin lists, makes and revokes the keys of whatever account the secret names, so whoever
    /// may write the secret must show a working key of that account first.
    pub(super) async fn proven(
        &self,
        secret: &Secret,
        label: &str,
        wanted: Wanted<'_>,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<(Listing, SystemTime)> {
        let id = self.vendor.id(secret)?;
        match self.refusal(secret, label, TEST_TIME, caller, cx).await? {
            None => self.keys_with(&id, wanted, caller, cx).await,
            Some(refusal) => Err(refusal),
        }
    }

    /// Why a secret proves nothing: the vendor refuses its key, or says that it is another one.
    async fn refusal(
        &self,
        secret: &Secret,
        label: &str,
        most: Duration,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<Option<Error>> {
        let id = self.vendor.id(secret)?;
        if let Verdict::Rejected(why) = self.ask(secret, most, cx).await? {
            let what = format!("the vendor refuses {label}'s key {id:?}");
            return Ok(Some(Error::new(ErrorKind::Rejected, what).caused_by(format!(
                "{why}; nothing is made or revoked without proof, so store a key that works first, \
                 or verify by another request if this one works elsewhere"
            ))));
        }
        self.another(secret, None, caller, cx).await
    }

    /// What the vendor says against the id beside a key that works. Where it does not say whose the
    /// id is, it must at least be listed, if `keys` are.
    async fn another(
        &self,
        secret: &Secret,
        keys: Option<&[Key]>,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<Option<Error>> {
        let id = self.vendor.id(secret)?;
        let unlisted = || keys.is_some_and(|keys| keys.iter().all(|key| key.id != id));
        match self.vendor.belongs(secret, caller, cx).await {
            Ok(Some(true)) => Ok(None),
            Ok(told) => Ok((told == Some(false) || unlisted()).then(|| self.not_its_id(&id))),
            // The key works, so it has an id; it is not this one.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(Some(self.not_its_id(&id).caused_by(error)))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether another than the key asks: what it may do is not bound to the account that the key is of.
    pub(super) fn above(&self, caller: &Caller<'_>) -> bool {
        caller.admin.is_some() || self.vendor.asks_for_itself()
    }

    /// Whether nothing is to be asked before a key makes the next one: the vendor lets it in or not,
    /// and does not say whose its id is. An admin is let in whatever the secret holds.
    pub(super) async fn speaks_for_itself(&self, caller: &Caller<'_>, cx: &Invocation) -> bool {
        let told = || self.vendor.belongs(caller.own, caller, cx);
        !self.above(caller) && matches!(told().await, Ok(None))
    }

    /// What speaks against the id that a secret holds: its key works, and is another one. A key that
    /// is refused may have had any id, and is in use no more.
    pub(super) async fn misnamed(
        &self,
        secret: &Secret,
        keys: Option<&[Key]>,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<Option<Error>> {
        match self.vendor.verify(secret, cx).await {
            Ok(Verdict::Accepted) => self.another(secret, keys, caller, cx).await,
            Ok(Verdict::Rejected(_)) => Ok(None),
            Err(error) if error.kind() == ErrorKind::Mismatch => Ok(Some(error)),
            // No key is recorded, and the id is kept by itself.
            Err(error) if error.kind() == ErrorKind::Malformed => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Why no key may go: a labelled version, other than that of a proven secret, holds a key that
    /// works and another id than that key's. Under its own id nothing keeps the key.
    pub(super) async fn disagreement<'a>(
        &self,
        versions: impl Iterator<Item = &'a Previous>,
        proven: &Secret,
        (keys, caller): (&[Key], &Caller<'_>),
        cx: &Invocation,
    ) -> Result<Option<Error>> {
        for version in versions.filter(|one| one.secret() != proven) {
            let secret = version.secret();
            if self.vendor.id(secret).is_err() || !self.vendor.same_place(secret, proven) {
                continue;
            }
            let about = |error: Error| error.while_doing(format!("version {}", version.version()));
            let found = self.misnamed(secret, Some(keys), caller, cx).await.map_err(about)?;
            if let Some(error) = found {
                return Ok(Some(about(error)));
            }
        }
        Ok(None)
    }

    /// The error about a key that works and has another id.
    pub(super) fn not_its_id(&self, id: &str) -> Error {
        let what = format!("the key that is recorded is not the vendor's key {id:?}");
        Error::new(ErrorKind::Mismatch, what).caused_by(match self.vendor.id_field() {
            Some(field) => format!("correct the secret's field {field:?}; nothing was revoked"),
            None => "look at the field that holds its id; nothing was revoked".to_owned(),
        })
    }

    /// The secret that stands for the account: AWSCURRENT, or, where its key is refused, another
    /// version that differs from it in the key only. A person may move AWSCURRENT to a version whose
    /// key is just being revoked, and the keys of the others work on.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] if no version's key works, [`ErrorKind::Mismatch`] if AWSCURRENT's is
    /// not the one that its id names, and those of the requests.
    pub(super) async fn working_version(
        &self,
        known: &CreateContext<'_>,
        admin: Option<&Secret>,
        cx: &Invocation,
    ) -> Result<Secret> {
        let current = known.current.secret();
        let caller = Caller { own: current, admin };
        let refusal = match self.refusal(current, AWSCURRENT, TEST_TIME, &caller, cx).await {
            Ok(None) => return Ok(current.clone()),
            Ok(Some(refusal)) if refusal.kind() == ErrorKind::Rejected => refusal,
            Ok(Some(error)) | Err(error) => return Err(error.while_doing("AWSCURRENT")),
        };
        let mut stored = known.stored().await?;
        let previous = known.description.holder(AWSPREVIOUS);
        stored.sort_by_key(|version| Some(version.version()) != previous);
        let others = stored.iter().filter(|one| self.same_account(current, one.secret()));
        for version in others.take(MOST_ASKED - 1) {
            let own = version.secret();
            let caller = Caller { own, admin };
            let refused = match self.refusal(own, "the version", Duration::ZERO, &caller, cx).await
            {
                // Its key works under another id, so it proves nothing.
                Err(error) if error.kind() == ErrorKind::Mismatch => continue,
                refused => refused?,
            };
            if refused.is_none() && self.differ_in_id_only(current, own) {
                let id = self.vendor.id(own)?;
                let what = format!("version {} holds the same key as {id:?}", version.version());
                let error = self.not_its_id(&self.vendor.id(current)?).while_doing("AWSCURRENT");
                return Err(error.caused_by(what));
            }
            if refused.is_none() {
                cx.warn(format!(
                    "{refusal}; version {} has one, and it is used",
                    version.version()
                ));
                return Ok(own.clone());
            }
        }
        Err(refusal)
    }

    /// Whether two secrets hold one key: by its id, or under two.
    pub(super) fn same_key(&self, one: &Secret, other: &Secret) -> bool {
        let ids = (self.vendor.id(one), self.vendor.id(other));
        matches!(ids, (Ok(one), Ok(other)) if one == other) || self.differ_in_id_only(one, other)
    }

    /// Whether two secrets hold one key under two ids, of which one was mistyped.
    fn differ_in_id_only(&self, one: &Secret, other: &Secret) -> bool {
        let (Some(field), Ok(a), Ok(b)) =
            (self.vendor.id_field(), one.document(), other.document())
        else {
            return false;
        };
        one != other && a.difference(b, &[field]).is_none()
    }

    /// Whether another version holds another key of the account that `current` is about.
    fn same_account(&self, current: &Secret, other: &Secret) -> bool {
        let (Ok(one), Ok(another)) = (current.document(), other.document()) else { return false };
        let fields: Vec<&str> = self.vendor.fields().iter().map(String::as_str).collect();
        one.difference(another, &fields).is_none()
            && current != other
            && self.vendor.id(other).is_ok()
    }

    /// Whether a key without our mark may go: a version holds its id, and the vendor says that the
    /// key stored beside it is that one. Ids are pasted by people, and may be another key's.
    pub(super) async fn held(
        &self,
        id: &str,
        stored: &[Previous],
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<bool> {
        for version in stored {
            let secret = version.secret();
            if self.vendor.id(secret).is_ok_and(|one| one == id)
                && self.vendor.same_place(secret, caller.own)
                && self.vendor.belongs(secret, caller, cx).await? == Some(true)
            {
                match self.vendor.verify(secret, cx).await {
                    Ok(Verdict::Accepted) => return Ok(true),
                    Err(error) if error.kind() == ErrorKind::Mismatch => {}
                    verdict => drop(verdict?),
                }
            }
        }
        cx.warn(format!(
            "key {id:?} is kept: it has no label of ours, and the vendor does not say that it is \
             the key stored beside its id; if nothing uses it, revoke it by hand"
        ));
        Ok(false)
    }

    /// Which keys are never revoked where the vendor does not say whose id stands beside a key.
    pub(super) fn stays(&self, id: &str) -> Option<String> {
        let untold = format!("this vendor does not say whether AWSCURRENT's key is {id:?}");
        match self.vendor.terms().ownership {
            Ownership::Labels => {
                Some(format!("{untold}, so it is never revoked if it carries no label of ours"))
            }
            Ownership::Stored => {
                Some(format!("{untold}, and keys carry no label: none is ever revoked"))
            }
            Ownership::Account => None,
        }
    }

    /// The ids of the keys that versions hold of the server that `own` is about.
    pub(super) fn recorded(&self, stored: &[Previous], own: &Secret) -> BTreeSet<String> {
        self.ids(stored.iter().filter(|one| self.vendor.same_place(one.secret(), own)))
    }

    /// The ids of the keys that versions hold. One that holds none is nothing of ours.
    pub(super) fn ids<'a>(&self, versions: impl Iterator<Item = &'a Previous>) -> BTreeSet<String> {
        versions.filter_map(|version| self.vendor.id(version.secret()).ok()).collect()
    }

    /// The ids that may not go, since labelled versions hold them.
    ///
    /// # Errors
    /// Where every key of the account may go, one for a version whose id cannot be read: nobody
    /// can say which key it is.
    pub(super) fn kept<'a>(
        &self,
        versions: impl Iterator<Item = &'a Previous>,
    ) -> Result<BTreeSet<String>> {
        let mut kept = BTreeSet::new();
        for version in versions {
            match self.vendor.id(version.secret()) {
                Ok(id) => drop(kept.insert(id)),
                Err(error) if self.vendor.terms().ownership == Ownership::Account => {
                    return Err(error.while_doing(format!(
                        "cannot tell which key the labelled version {} holds; give it one or take \
                         its label away",
                        version.version()
                    )));
                }
                Err(_) => {}
            }
        }
        Ok(kept)
    }

    /// Revokes a key that was made and will not be recorded. An answer that was read wrongly may name
    /// any key, AWSCURRENT's among them.
    pub(super) async fn give_up(
        &self,
        proposed: &Secret,
        current: &Secret,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<()> {
        let id = self.vendor.id(proposed)?;
        if self.vendor.id(current).is_ok_and(|own| own == id) {
            return Err(self.not_its_id(&id));
        }
        match self.misnamed(proposed, None, caller, cx).await? {
            None => self.vendor.revoke(&id, caller, cx).await,
            Some(error) => Err(error),
        }
    }

    /// Revokes a key that was listed. Vendors answer in many ways for one that is gone: what is
    /// listed no more, is.
    pub(super) async fn revoke(
        &self,
        id: &str,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<()> {
        use ErrorKind::{OutOfTime, Throttled, Tls, Unreachable};
        let Err(error) = self.vendor.revoke(id, caller, cx).await else { return Ok(()) };
        if [OutOfTime, Throttled, Tls, Unreachable].contains(&error.kind()) {
            return Err(error);
        }
        match self.still_listed(&[id].into(), Duration::ZERO, caller, cx).await {
            Ok(None) => Ok(()),
            _ => Err(error),
        }
    }
}
