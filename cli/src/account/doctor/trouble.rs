//! What can be wrong with a secret, in words.

use crate::account::text::{count, length};

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// AWSPENDING is on a version that is not current, for so many seconds.
    Stuck(i64),
    /// The next rotation should have been so many seconds ago.
    Overdue(i64),
    /// There is no such function; its name.
    NoFunction(String),
    /// The function is another's; what it is.
    NotOurs(String),
    /// A copy in another Region is not as the secret is.
    Replica(String),
    /// The function reported an error when it was asked.
    CannotLook(String),
    /// AWS could not be asked about a part.
    NotAsked(String),
    /// AWSCURRENT does not log in, and no rotation is stuck.
    LockedOut(String),
    /// The user whose password the next rotation replaces, and how many sessions it has open.
    InUse(String, i64),
    /// The user or the key of AWSCURRENT, and in how many seconds it ends by itself: before the next
    /// rotation.
    Ends(String, i64),
}

impl Trouble {
    /// A word for machines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Stuck(_) => "stuck",
            Self::Overdue(_) => "overdue",
            Self::NoFunction(_) => "no-function",
            Self::NotOurs(_) => "not-ours",
            Self::Replica(_) => "replica",
            Self::CannotLook(_) => "cannot-look",
            Self::NotAsked(_) => "not-asked",
            Self::LockedOut(_) => "locked-out",
            Self::InUse(..) => "in-use",
            Self::Ends(..) => "ends",
        }
    }

    /// A sentence for people.
    pub fn text(&self) -> String {
        match self {
            Self::Stuck(age) => {
                format!(
                    "stuck: AWSPENDING is on a version that is not current, for {}",
                    length(*age)
                )
            }
            Self::Overdue(age) => format!("overdue: a rotation was due {} ago", length(*age)),
            Self::NoFunction(name) => format!("the rotation function does not exist: {name}"),
            Self::NotOurs(kind) => format!("the rotation function is not Fourstep's: {kind}"),
            Self::Replica(what) => format!("a copy is out of sync: {what}"),
            Self::CannotLook(why) => format!("the function could not look: {why}"),
            Self::NotAsked(what) => format!("not asked: {what}"),
            Self::LockedOut(why) => format!("AWSCURRENT does not log in: {why}"),
            Self::InUse(user, open) => format!(
                "in use: the next rotation replaces the password of user {user:?}, which has {} open: \
                 its clients have not read the secret since the last rotation",
                count(*open, "session")
            ),
            Self::Ends(login, ends) if *ends < 0 => {
                format!("{login} ended {} ago", length(ends.saturating_neg()))
            }
            Self::Ends(login, ends) => {
                format!("{login} ends in {}, before the next rotation", length(*ends))
            }
        }
    }
}
