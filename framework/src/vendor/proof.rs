//! What must be proven before an admin acts for a secret, and before a key without our mark goes.

use std::collections::BTreeSet;
use std::time::Duration;

use super::issued::{Key, TEST_TIME};
use super::{Caller, IssuedKeys, Issuer, Ownership};
use crate::error::{Error, ErrorKind};
use crate::rotator::{Known, Verdict};
use crate::secret::{Previous, Secret};
use crate::store::AWSPREVIOUS;
use crate::turn::Turn;

/// How many versions are asked about at most, AWSCURRENT's among them: some vendors lock whoever shows
/// wrong keys.
const MOST_ASKED: usize = 6;

impl<V: Issuer> IssuedKeys<V> {
    /// Every key and the age of this secret's, once it is proven that the secret's key works, that
    /// its id belongs to it, and that it is one of those listed.
    ///
    /// An admin lists, makes and revokes the keys of whatever account the secret names, so whoever
    /// may write the secret must show a working key of that account first.
    pub(super) async fn proven(
        &self,
        secret: &Secret,
        caller: &Caller<'_>,
        turn: &Turn,
    ) -> Result<(Vec<Key>, Duration), Error> {
        let id = self.vendor.id(secret)?;
        match self.refusal(secret, TEST_TIME, caller, turn).await? {
            None => self.keys_with(&id, caller, turn).await,
            Some(refusal) => Err(refusal),
        }
    }

    /// Why a secret proves nothing: the vendor refuses its key, or says that it is another one.
    async fn refusal(
        &self,
        secret: &Secret,
        most: Duration,
        caller: &Caller<'_>,
        turn: &Turn,
    ) -> Result<Option<Error>, Error> {
        let id = self.vendor.id(secret)?;
        if let Verdict::Rejected(why) = self.ask(secret, most, turn).await? {
            let what = format!("the vendor refuses AWSCURRENT's key {id:?}");
            return Ok(Some(Error::new(ErrorKind::Rejected, what).caused_by(format!(
                "{why}; nothing is made or revoked without proof, so store a key that works first"
            ))));
        }
        let other = self.vendor.belongs(secret, caller, turn).await? == Some(false);
        Ok(other.then(|| not_its_id(&id)))
    }

    /// The secret that stands for the account: AWSCURRENT, or, where its key is refused, another
    /// version that differs from it in the key only. A person may move AWSCURRENT to a version whose
    /// key is just being revoked, and the keys of the others work on.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] if no version's key works, [`ErrorKind::Mismatch`] if AWSCURRENT's is
    /// not the one that its id names, and those of the requests.
    pub(super) async fn standing(
        &self,
        known: &Known<'_>,
        admin: Option<&Secret>,
        turn: &Turn,
    ) -> Result<Secret, Error> {
        let current = known.current.secret();
        let caller = Caller { own: current, admin };
        let refusal = match self.refusal(current, TEST_TIME, &caller, turn).await? {
            None => return Ok(current.clone()),
            Some(refusal) if refusal.kind() != ErrorKind::Rejected => return Err(refusal),
            Some(refusal) => refusal,
        };
        let mut stored = known.stored().await?;
        let previous = known.description.holder(AWSPREVIOUS);
        stored.sort_by_key(|version| Some(version.version()) != previous);
        let others = stored.iter().filter(|one| self.same_account(current, one.secret()));
        for version in others.take(MOST_ASKED - 1) {
            let own = version.secret();
            let caller = Caller { own, admin };
            if self.refusal(own, Duration::ZERO, &caller, turn).await?.is_none() {
                turn.warn(format!(
                    "{refusal}; version {} has one, and it is used",
                    version.version()
                ));
                return Ok(own.clone());
            }
        }
        Err(refusal)
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
        turn: &Turn,
    ) -> Result<bool, Error> {
        for version in stored {
            let secret = version.secret();
            if self.vendor.id(secret).is_ok_and(|one| one == id)
                && self.vendor.belongs(secret, caller, turn).await? == Some(true)
                && self.vendor.verify(secret, turn).await? == Verdict::Accepted
            {
                return Ok(true);
            }
        }
        turn.warn(format!(
            "key {id:?} is kept: it has no label of ours, and the vendor does not say that it is \
             the key stored beside its id; revoke it by hand"
        ));
        Ok(false)
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
    ) -> Result<BTreeSet<String>, Error> {
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

    /// Revokes a key that was listed. Vendors answer in many ways for one that is gone: what is
    /// listed no more, is.
    pub(super) async fn revoke(
        &self,
        id: &str,
        caller: &Caller<'_>,
        turn: &Turn,
    ) -> Result<(), Error> {
        use ErrorKind::{OutOfTime, Throttled, Tls, Unreachable};
        let Err(error) = self.vendor.revoke(id, caller, turn).await else { return Ok(()) };
        if [OutOfTime, Throttled, Tls, Unreachable].contains(&error.kind()) {
            return Err(error);
        }
        match self.vendor.list(caller, turn).await {
            Ok(listed) if listed.iter().all(|key| key.id != id) => Ok(()),
            _ => Err(error),
        }
    }
}

pub(super) fn not_its_id(id: &str) -> Error {
    Error::new(ErrorKind::Mismatch, format!("AWSCURRENT's key is not the vendor's key {id:?}"))
        .caused_by("look at the field that holds its id")
}
