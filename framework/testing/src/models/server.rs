//! A database server, as far as rotations are concerned: its accounts, and who is in.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fourstep::{Error, ErrorKind};

use super::mysql::DualPassword;
use super::{Rights, Session};
use crate::{Lost, Wire};

/// Every account of a server, by its name.
pub type Accounts = BTreeMap<String, Account>;

/// One account.
///
/// `Debug` leaves the passwords out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// The password that logs in.
    pub password: String,
    /// What MySQL keeps of an account besides.
    pub dual: DualPassword,
    /// What else there is to it, where rotations are concerned with that.
    pub rights: Rights,
}

/// A server in memory. Clones are the same server.
///
/// A statement takes effect at once, or at COMMIT after [`Session::begin`]. A lock belongs to a
/// session and goes with it; a session goes with its process.
#[derive(Clone)]
pub struct Server {
    pub(super) wire: Wire,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) accounts: Accounts,
    remembered: Accounts,
    /// Who holds which lock.
    pub(super) locks: BTreeMap<String, u64>,
    pub(super) sessions: BTreeMap<u64, Open>,
    opened: u64,
    /// How many hours have passed.
    pub(super) hours: u64,
}

/// An open session.
pub(super) struct Open {
    user: String,
    /// Whether the server ends it when it stands still.
    pub(super) limited: bool,
}

impl State {
    pub(super) fn end(&mut self, session: u64) {
        self.sessions.remove(&session);
        self.locks.retain(|_, holder| *holder != session);
    }
}

/// Why a statement did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The connection was lost: the statement may have taken effect.
    Lost,
    /// The server refused the statement, which had no effect.
    Refused(String),
}

impl From<Lost> for Trouble {
    fn from(_: Lost) -> Self {
        Self::Lost
    }
}

impl From<Lost> for Error {
    fn from(_: Lost) -> Self {
        Self::new(ErrorKind::Unreachable, "the connection was lost")
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Lost => Lost.into(),
            Trouble::Refused(why) => Self::new(ErrorKind::Unsupported, why),
        }
    }
}

impl Server {
    /// A server with these accounts, at the end of this wire.
    pub fn new(wire: &Wire, accounts: Accounts) -> Self {
        let state = State { accounts, ..State::default() };
        Self { wire: wire.clone(), state: Arc::new(Mutex::new(state)) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the accounts, or arranges them, past the wire: for tests, not for rotators.
    pub fn arrange<T>(&self, work: impl FnOnce(&mut Accounts) -> T) -> T {
        work(&mut self.state().accounts)
    }

    /// Whether this login would succeed, past the wire.
    pub fn accepts(&self, user: &str, password: &str) -> bool {
        self.state().accounts.get(user).is_some_and(|account| account.accepts(password))
    }

    /// How many sessions of this user are open, past the wire.
    pub fn sessions(&self, user: &str) -> usize {
        self.state().sessions.values().filter(|open| open.user == user).count()
    }

    /// Opens a session; `None` if the server refuses the password.
    ///
    /// # Errors
    /// [`Trouble::Lost`]; [`Trouble::Refused`] if the account is locked, whatever the password.
    pub async fn log_in(&self, user: &str, password: &str) -> Result<Option<Session>, Trouble> {
        let name = format!("log in as {user}");
        let opened = self.wire.call(&name, || -> Result<_, Trouble> {
            let mut state = self.state();
            let Some(account) = state.accounts.get_mut(user) else { return Ok(None) };
            if !account.log_in(password)? {
                return Ok(None);
            }
            state.opened += 1;
            let session = state.opened;
            state.sessions.insert(session, Open { user: user.to_owned(), limited: false });
            Ok(Some(session))
        });
        // The session is this server's until it is wrapped: a lost answer leaves it to an hour.
        Ok(opened.await??.map(|id| Session::new(self, id, user)))
    }

    /// Ends the sessions that stand still and have limits.
    pub fn hour_passes(&self) {
        let mut state = self.state();
        state.hours += 1;
        let over: Vec<u64> =
            state.sessions.iter().filter(|(_, open)| open.limited).map(|(id, _)| *id).collect();
        for session in over {
            state.end(session);
        }
    }

    /// Keeps the accounts as they are for [`forget`](Self::forget).
    pub fn remember(&self) {
        let mut state = self.state();
        state.remembered = state.accounts.clone();
    }

    /// Fails over to a server that knows only what was there at the last
    /// [`remember`](Self::remember). Every session is lost.
    pub fn forget(&self) {
        let mut state = self.state();
        state.accounts = state.remembered.clone();
        state.sessions.clear();
        state.locks.clear();
    }
}

impl Account {
    /// An account with this password.
    pub fn with_password(password: &str) -> Self {
        Self { password: password.to_owned(), ..Self::default() }
    }

    /// Whether this password logs in.
    pub fn accepts(&self, password: &str) -> bool {
        self.is_live() && !self.locked_out() && self.is_password(password)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Account({:?})", self.rights)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Server")
    }
}
