//! What a database is asked to do with the other user of a pair.

use crate::error::{Error, ErrorKind, Result};
use crate::users::{Accounts, Ownership, Pair};

/// A recorded password of a user that logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// AWSPENDING's, which an earlier run of this rotation must have set: proof by itself.
    Pending,
    /// An older version's, which the user may have from elsewhere: proof together with a claim.
    Older,
}

impl Proof {
    /// Whether this makes a user that nothing else proves the secret's.
    pub(crate) fn is_enough_for(self, ownership: Ownership) -> bool {
        match ownership {
            Ownership::Claimed => true,
            Ownership::Unproven => self == Self::Pending,
            Ownership::Absent | Ownership::Ours | Ownership::Adopted | Ownership::Anothers => false,
        }
    }
}

/// What is to become of one user of a pair.
#[derive(Debug, Clone, Copy)]
pub struct Install<'a> {
    /// The pair of the secret.
    pub pair: Pair<'a>,
    /// The user to be made equal and given a password.
    pub target: &'a str,
    /// The user to take everything from. The target itself where only its password is to be set
    /// again.
    pub source: &'a str,
    /// Which recorded password of the target logged in, if one did.
    pub proof: Option<Proof>,
    /// Whether open sessions of the target end the rotation (`REFUSE_OPEN_SESSIONS`), rather than
    /// being warned about.
    pub refuse_open_sessions: bool,
}

impl Install<'_> {
    /// What is to become of the target, by what was found behind the lock.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the target is not ours, [`ErrorKind::Conflict`] if the source
    /// is gone.
    pub fn authorize(&self, accounts: &Accounts) -> Result<Ownership> {
        let Self { pair, target, source, .. } = *self;
        if !accounts.contains_key(source) {
            let what = format!("user {source:?} is gone; retry");
            return Err(Error::new(ErrorKind::Conflict, what));
        }
        pair.uses_password(accounts, target).and(pair.uses_password(accounts, source))?;
        // What the source is, the target would become.
        pair.ownership(accounts, source, target)?;
        if target == source {
            // Proven by whoever asks for it; what is never touched is refused all the same.
            pair.ownership(accounts, target, source)?;
            return Ok(Ownership::Ours);
        }
        match pair.ownership(accounts, target, source)? {
            ownership if self.proof.is_some_and(|proof| proof.is_enough_for(ownership)) => {
                Ok(Ownership::Adopted)
            }
            Ownership::Unproven | Ownership::Claimed | Ownership::Anothers => {
                Err(pair.not_ours(accounts, target, source))
            }
            ownership => Ok(ownership),
        }
    }
}
