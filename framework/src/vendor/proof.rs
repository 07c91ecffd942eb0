//! What must be proven before an admin acts for a secret, and before a key without our mark goes.

use std::collections::BTreeSet;
use std::time::Duration;

use super::issued::{Key, TEST_TIME};
use super::{Caller, IssuedKeys, Issuer, Ownership};
use crate::error::{Error, ErrorKind};
use crate::rotator::Verdict;
use crate::secret::{Previous, Secret};
use crate::turn::Turn;

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
        if let Verdict::Rejected(why) = self.ask(secret, TEST_TIME, turn).await? {
            let what = format!("the vendor refuses AWSCURRENT's key {id:?}");
            return Err(Error::new(ErrorKind::Rejected, what).caused_by(format!(
                "{why}; nothing is made or revoked without proof, so store a key that works first"
            )));
        }
        if self.vendor.belongs(secret, caller, turn).await? == Some(false) {
            return Err(not_its_id(&id));
        }
        self.keys_with(&id, caller, turn).await
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
