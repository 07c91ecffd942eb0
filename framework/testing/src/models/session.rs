//! A session at a modelled server: transactions and locks.

use std::fmt;
use std::time::Duration;

use super::server::State;
use super::{Accounts, Server, Trouble};

type Change = Box<dyn FnOnce(&mut Accounts) + Send + Sync>;

/// A session of one user. Dropping it closes the connection, unless its process vanishes with its
/// machine: then the server goes on waiting for it, as long as its limits let it.
pub struct Session {
    server: Server,
    id: u64,
    user: String,
    /// Of which its locks are, where they are not the server's.
    database: Option<String>,
    /// What COMMIT would do, inside a transaction.
    transaction: Option<Vec<Change>>,
    /// In which hour it was opened.
    opened: u64,
}

impl Session {
    pub(super) fn new(server: &Server, id: u64, user: &str) -> Self {
        let (server, user) = (server.clone(), user.to_owned());
        let opened = server.state().hours;
        Self { server, id, user, database: None, transaction: None, opened }
    }

    /// Who logged in.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// How long ago it was opened, in whole hours.
    pub(crate) fn age(&self) -> Duration {
        Duration::from_secs(3600 * (self.server.state().hours - self.opened))
    }

    /// This session in one database: its locks exclude those who are in there too, as PostgreSQL's
    /// advisory locks do.
    #[must_use]
    pub fn in_database(mut self, database: &str) -> Self {
        self.database = Some(database.to_owned());
        self
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
            state.sessions.entry(self.id).and_modify(|open| open.limited = true);
        })
        .await
    }

    /// Begins a transaction: changes are kept back until [`commit`](Self::commit). It is no call:
    /// nothing happens by it alone.
    pub fn begin(&mut self) {
        self.transaction = Some(Vec::new());
    }

    /// Takes a lock, waiting for whoever holds it. It is held until the session ends.
    ///
    /// # Errors
    /// [`Trouble::Lost`].
    pub async fn lock(&self, lock: &str) -> Result<(), Trouble> {
        let lock = match &self.database {
            Some(database) => format!("{database}/{lock}"),
            None => lock.to_owned(),
        };
        let name = format!("lock {lock}");
        let taken = self.server.wire.wait(&name, || {
            let mut state = self.server.state();
            if !state.sessions.contains_key(&self.id) {
                return Some(false);
            }
            let holder = *state.locks.entry(lock.clone()).or_insert(self.id);
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

    /// Forgets the transaction's changes and gives the locks back. It is no call where there are
    /// neither.
    ///
    /// # Errors
    /// [`Trouble::Lost`].
    pub async fn roll_back(&mut self) -> Result<(), Trouble> {
        let changes = self.transaction.take().unwrap_or_default();
        let locks = self.server.state().locks.values().any(|holder| *holder == self.id);
        if changes.is_empty() && !locks {
            return Ok(());
        }
        self.session("ROLLBACK", |state| state.locks.retain(|_, holder| *holder != self.id)).await
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
