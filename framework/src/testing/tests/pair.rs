//! Two users kept equal: whose they are.

use super::admin::{Login, guard};
use super::install::Change;
use crate::error::{Error, ErrorKind};
use crate::rotator::Fence;
use crate::testing::models::{Account, Accounts, Mark, Server, Session};

/// What a pair's users are named by where nothing else is said. It proves nothing.
const SUFFIX: &str = "_clone";

/// How a server keeps what it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Commit {
    /// A transaction holds everything that is done in one database, as in PostgreSQL.
    PerDatabase,
    /// Every statement stands for itself, as in MySQL.
    PerStatement,
}

/// What may be wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    /// The password is set before the rights.
    PasswordFirst,
    /// A pending secret of the very user that is in use is applied.
    StaleBase,
    /// A pending secret that logs in ends setSecret.
    PendingFirst,
    /// All rights are taken away before any is given.
    RevokeAll,
    /// A user is ours because of its name.
    NameProves,
    /// A user that is made is not marked.
    NoMark,
    /// The fence is not passed.
    NoFence,
    /// Which user is next is kept in memory.
    Memory,
    /// A current secret that does not log in ends setSecret.
    NoRepair,
    /// A user that was made again but for its rights is taken to have them all.
    HalfMade,
}

/// Whose an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Absent,
    /// The mark on one of the two names the other and the secret.
    Ours,
    /// The function's configuration gives it to us; the mark is to be written.
    Adopted,
    Unproven,
}

#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) server: &'a Server,
    pub(super) commit: Commit,
    pub(super) secret: &'a str,
    /// Users that the function's configuration says are ours.
    pub(super) adopt: &'a [&'static str],
    pub(super) defect: Option<Defect>,
}

impl Pair<'_> {
    pub(super) fn mark(&self, partner: &str) -> Mark {
        Mark { partner: partner.to_owned(), secret: self.secret.to_owned() }
    }

    /// The user that alternates with this one.
    pub(super) fn other(&self, accounts: &Accounts, user: &str) -> Result<String, Error> {
        let account = accounts.get(user);
        let mark = account.and_then(|account| account.rights.mark.as_ref());
        if let Some(mark) = mark.filter(|mark| mark.secret == self.secret) {
            return Ok(mark.partner.clone());
        }
        let ours = Some(self.mark(user));
        if let Some((name, _)) = accounts.iter().find(|(_, one)| one.rights.mark == ours) {
            return Ok(name.clone());
        }
        match user.strip_suffix(SUFFIX) {
            None => Ok(format!("{user}{SUFFIX}")),
            // A user that is gone, as after a restored snapshot, can be nobody else's.
            Some(base) if account.is_none() || self.believes(user) => Ok(base.to_owned()),
            Some(_) => Err(unproven(user)),
        }
    }

    fn believes(&self, user: &str) -> bool {
        self.adopt.contains(&user) || self.defect == Some(Defect::NameProves)
    }

    /// Whose `user` is, in a pair with `partner`.
    pub(super) fn standing(
        &self,
        accounts: &Accounts,
        user: &str,
        partner: &str,
    ) -> Result<Standing, Error> {
        guard(accounts, user)?;
        let Some(account) = accounts.get(user) else { return Ok(Standing::Absent) };
        let names = |account: &Account, other| account.rights.mark == Some(self.mark(other));
        let linked =
            names(account, partner) || accounts.get(partner).is_some_and(|one| names(one, user));
        Ok(match linked {
            true => Standing::Ours,
            false if self.believes(user) || self.believes(partner) => Standing::Adopted,
            false => Standing::Unproven,
        })
    }

    /// Gives `target` what `source` has, then its password: whoever can log in can also work. A
    /// `session` of the admin may be at hand already; `proven` says that a recorded password of
    /// the target logged in.
    pub(super) async fn install(
        &self,
        session: Session,
        target: &Login,
        source: &str,
        proven: bool,
        fence: &Fence<'_>,
    ) -> Result<(), Error> {
        let change = Change { pair: *self, target, source, proven };
        match self.commit {
            Commit::PerDatabase => change.in_transactions(session, fence).await,
            Commit::PerStatement => change.in_statements(session, fence).await,
        }
    }
}

pub(super) fn unproven(user: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("user {user:?} is not known to be this secret's"))
        .caused_by("name it in ADOPT_USERS if it is, or choose another in USER_PAIRS")
}
