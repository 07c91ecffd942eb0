//! A database server, as far as rotations are concerned: accounts, sessions, transactions, locks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Rights;
use super::mysql::DualPassword;
use crate::error::{Error, ErrorKind};
use crate::testing::{Lost, Wire};

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
    wire: Wire,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    accounts: Accounts,
    remembered: Accounts,
    /// Who holds which lock.
    locks: BTreeMap<String, u64>,
    /// Open sessions, and whether the server ends them when they stand still.
    sessions: BTreeMap<u64, bool>,
    opened: u64,
}

impl State {
    fn end(&mut self, session: u64) {
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

    fn state(&self) -> MutexGuard<'_, State> {
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
            state.sessions.insert(session, false);
            Ok(Some(session))
        });
        // The session is this server's until it is wrapped: a lost answer leaves it to an hour.
        Ok(opened.await??.map(|id| Session {
            server: self.clone(),
            id,
            user: user.to_owned(),
            transaction: None,
        }))
    }

    /// Ends the sessions that stand still and have limits.
    pub fn hour_passes(&self) {
        let mut state = self.state();
        let over: Vec<u64> =
            state.sessions.iter().filter(|(_, limited)| **limited).map(|(id, _)| *id).collect();
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

type Change = Box<dyn FnOnce(&mut Accounts) + Send + Sync>;

/// A session of one user. Dropping it closes the connection, unless its process vanishes with its
/// machine: then the server goes on waiting for it, as long as its limits let it.
pub struct Session {
    server: Server,
    id: u64,
    user: String,
    /// What COMMIT would do, inside a transaction.
    transaction: Option<Vec<Change>>,
}

impl Session {
    /// Who logged in.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Asks about the accounts, as committed.
    ///
    /// # Errors
    /// [`Trouble::Lost`].
    pub async fn ask<T>(
        &self,
        name: &str,
        question: impl FnOnce(&Accounts) -> T,
    ) -> Result<T, Trouble> {
        let answer = self.server.wire.call(name, || {
            let state = self.server.state();
            state.sessions.contains_key(&self.id).then(|| question(&state.accounts))
        });
        answer.await?.ok_or(Trouble::Lost)
    }

    /// Lets the server end this session when it stands still: a rotation must do so before it
    /// takes a lock, or a frozen process holds it for ever.
    ///
    /// # Errors
    /// [`Trouble::Lost`].
    pub async fn limit(&self) -> Result<(), Trouble> {
        self.session("set the limits", |state| {
            state.sessions.insert(self.id, true);
        })
        .await
    }

    /// Begins a transaction: changes are kept back until [`commit`](Self::commit).
    ///
    /// # Errors
    /// [`Trouble::Lost`].
    pub async fn begin(&mut self) -> Result<(), Trouble> {
        self.session("BEGIN", |_| ()).await?;
        self.transaction = Some(Vec::new());
        Ok(())
    }

    /// Takes a lock, waiting for whoever holds it. It is held until the session ends.
    ///
    /// # Errors
    /// [`Trouble::Lost`].
    pub async fn lock(&self, lock: &str) -> Result<(), Trouble> {
        let name = format!("lock {lock}");
        let taken = self.server.wire.wait(&name, || {
            let mut state = self.server.state();
            if !state.sessions.contains_key(&self.id) {
                return Some(false);
            }
            let holder = *state.locks.entry(lock.to_owned()).or_insert(self.id);
            (holder == self.id).then_some(true)
        });
        if taken.await? { Ok(()) } else { Err(Trouble::Lost) }
    }

    /// Changes the accounts: now, or at COMMIT inside a transaction.
    ///
    /// # Errors
    /// [`Trouble::Lost`].
    pub async fn change(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut Accounts) + Send + Sync + 'static,
    ) -> Result<(), Trouble> {
        if self.transaction.is_none() {
            return self.session(name, |state| change(&mut state.accounts)).await;
        }
        self.session(name, |_| ()).await?;
        if let Some(transaction) = &mut self.transaction {
            transaction.push(Box::new(change));
        }
        Ok(())
    }

    /// Changes the accounts at once, as a statement that commits by itself; its own answer.
    ///
    /// # Errors
    /// [`Trouble::Lost`].
    pub async fn execute<T>(
        &self,
        name: &str,
        statement: impl FnOnce(&mut Accounts) -> T,
    ) -> Result<T, Trouble> {
        self.session(name, |state| statement(&mut state.accounts)).await
    }

    /// Makes the transaction's changes, all at once, and gives the locks back.
    ///
    /// # Errors
    /// [`Trouble::Lost`]: the changes may have been made.
    pub async fn commit(&mut self) -> Result<(), Trouble> {
        let changes = self.transaction.take().unwrap_or_default();
        self.session("COMMIT", |state| {
            for change in changes {
                change(&mut state.accounts);
            }
            state.locks.retain(|_, holder| *holder != self.id);
        })
        .await
    }

    async fn session<T>(
        &self,
        name: &str,
        work: impl FnOnce(&mut State) -> T,
    ) -> Result<T, Trouble> {
        let done = self.server.wire.call(name, || {
            let mut state = self.server.state();
            state.sessions.contains_key(&self.id).then(|| work(&mut state))
        });
        done.await?.ok_or(Trouble::Lost)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.server.wire.line().vanishing {
            self.server.state().end(self.id);
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Session of {}", self.user)
    }
}
