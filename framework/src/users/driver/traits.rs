//! What a backend writes: the parts of a change at one kind of database server.
//!
//! [`Driver`](super::Driver) puts them together, and so owns their order. What it does is not done
//! here: it bounds a login in time, names it in errors, counts it where it is refused, takes the
//! locks before it asks, passes the fence, ends what was begun, and closes sessions.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;

use super::End;
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::{Invocation, Seen};
use crate::password::PasswordPolicy;
use crate::rotator::{Fence, Finding};
use crate::users::{Attempt, Change, Dialect, LoggedIn, Login};

/// A server whose users change their own passwords: for the strategy single-user.
#[async_trait]
pub trait Database: Send + Sync {
    /// Variables of other functions that this one would have to ignore, each with why it has no use for
    /// it. A function on which one is set does not start.
    const NOT_HERE: &[(&str, &str)] = &[];

    /// An open session of one user. Dropping it closes the connection, gives back its locks and
    /// rolls back what was begun.
    type Session: Send;

    /// A change of one password, made ready: of which accounts, and in the form in which the server
    /// is given it. It holds the password, or what is as good.
    type Prepared: Send + Sync;

    /// How this server's secrets are read.
    fn dialect(&self) -> &Dialect;

    /// The function's `policy`, as far as the server of `login` takes such passwords. The default leaves
    /// it as it is.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the setting that leaves no password; nothing was stored.
    fn policy(&self, _login: &Login, policy: PasswordPolicy) -> Result<PasswordPolicy> {
        Ok(policy)
    }

    /// Whether users of this server may log in by something else than their password: then createSecret asks
    /// what preflight asks before one is stored, the admin too, at the price of a login.
    fn may_log_in_otherwise(&self, _login: &Login) -> bool {
        false
    }

    /// The same of AWSCURRENT's session alone, also where a user may not change its own password.
    fn asks_before_proposing(&self, login: &Login) -> bool {
        self.may_log_in_otherwise(login)
    }

    /// Opens a session. One call is at most one login at the server.
    ///
    /// [`Attempt::Refused`] only for a wrong password; a name, network, TLS or permission failure
    /// is an error, and so is a login for which the server did not check the password
    /// ([`ErrorKind::Unsupported`]).
    async fn log_in(&self, login: &Login, cx: &Invocation) -> Result<Attempt<Self::Session>>;

    /// As [`log_in`](Self::log_in), at a proxy that knows passwords of its own and answers for the server:
    /// it proves what the proxy knows, and nothing of the server. So nothing is asked that only the
    /// server itself can answer. The session is closed, and serves nothing else. The default is for a
    /// server at whose logins no such thing is asked.
    ///
    /// # Errors
    /// As those of [`log_in`](Self::log_in).
    async fn log_in_at_proxy(
        &self,
        login: &Login,
        cx: &Invocation,
    ) -> Result<Attempt<Self::Session>> {
        self.log_in(login, cx).await
    }

    /// Says goodbye to the server and waits until it has given the locks back. The default drops the
    /// session.
    async fn close(&self, session: Self::Session) {
        drop(session);
    }

    /// Refuses a session with which nobody can work, although the password was right: one that has
    /// expired. It proves whose the account is, but is nothing to be promoted. The default refuses none.
    ///
    /// # Errors
    /// What keeps it from working.
    fn usable(&self, _session: &Self::Session) -> Result<()> {
        Ok(())
    }

    /// What a session that was just opened tells of its user: which sessions that has open, and when it
    /// ends by itself. Asked by an inspection only, at the price of a question. The default tells
    /// nothing.
    ///
    /// # Errors
    /// Whatever kept it from being found; the inspection goes on without.
    async fn seen(&self, _at: &mut LoggedIn<'_, Self::Session>) -> Result<Seen> {
        Ok(Seen::default())
    }

    /// Makes a change of the session user's own password ready, or refuses it: the session is
    /// somebody else's, the server is read-only or too old, the account logs in otherwise.
    ///
    /// # Errors
    /// Nothing was changed.
    async fn prepare_own(
        &self,
        at: &mut LoggedIn<'_, Self::Session>,
        password: &SecretString,
    ) -> Result<Self::Prepared>;

    /// The names of the locks under which this change is made, in the order in which to take them. The
    /// default has none: a server that knows no locks that are named.
    fn locks(&self, _prepared: &Self::Prepared) -> Vec<String> {
        Vec::new()
    }

    /// Whether a login can succeed by a change that the server may still lose: made by the primary, and
    /// confirmed by no majority. A retry then sets a pending password that logs in already once more,
    /// and waits for the confirmation; twice has the effect of once.
    fn may_lose_a_change(&self) -> bool {
        false
    }

    /// How long ago a session was opened, at a server without locks and without a change that compares:
    /// there the driver logs in anew before a change that would begin on a session of more than a
    /// moment. `None`, the default, where locks or the change itself make that needless.
    fn age(&self, _session: &Self::Session) -> Option<Duration> {
        None
    }

    /// Sets the limits that the server itself holds the session to, by the invocation's deadline; begins a
    /// transaction where the server has such; and takes these locks, of which there are none for a
    /// question. Comes again in one session, after [`end`](Self::end). The default only asks whether
    /// there is time.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfTime`] where too little is left for a change, [`ErrorKind::Conflict`] where
    /// another session has a lock.
    async fn begin(&self, at: &mut LoggedIn<'_, Self::Session>, _locks: &[String]) -> Result<()> {
        at.cx.enough_for_a_change()
    }

    /// Sends the change, which twice must be as once. `fence` was passed immediately before; where a
    /// second statement must follow because the first one changed nothing, it is passed again.
    ///
    /// # Errors
    /// Nothing was changed, or the error says that it is not known. That the server refuses this very
    /// password is no error but [`Change::Refused`].
    async fn set(
        &self,
        at: &mut LoggedIn<'_, Self::Session>,
        prepared: &Self::Prepared,
        fence: &dyn Fence,
    ) -> Result<Change>;

    /// Ends what [`begin`](Self::begin) began. The default has nothing to end: a server where each
    /// statement stands for itself.
    ///
    /// # Errors
    /// Where it is committed, those of the commit, with `unknown` where its answer is lost.
    async fn end(&self, _at: &mut LoggedIn<'_, Self::Session>, _end: End) -> Result<()> {
        Ok(())
    }

    /// Finds what would undo any change of a password afterwards, though the server makes it: a copy of
    /// the server that is about to take its place without it. Asked before a change, outside of what
    /// [`begin`](Self::begin) begins. The default finds nothing.
    ///
    /// # Errors
    /// Whatever kept it from being found.
    async fn outlook(&self, _at: &mut LoggedIn<'_, Self::Session>) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    /// Finds what would make a change of the session user's own password fail. The default finds
    /// nothing.
    async fn preflight(&self, _at: &mut LoggedIn<'_, Self::Session>) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    /// Makes the change of the session user's own password to `password`, and undoes it, so that
    /// whatever the server has against it is known beforehand. Nobody is kept waiting. The default does
    /// nothing: a server where nothing can be undone.
    ///
    /// # Errors
    /// Those that the change would meet.
    async fn rehearse(
        &self,
        _at: &mut LoggedIn<'_, Self::Session>,
        _password: &SecretString,
    ) -> Result<()> {
        Ok(())
    }

    /// Asks the function owner's question (`PROBE_QUERY`) in a transaction that may only read.
    /// `limit` is the most that it may take; the driver enforces it too. The default refuses: a
    /// server without queries.
    ///
    /// # Errors
    /// By what the server answers. Neither the question nor an answer is quoted.
    async fn ask_probe(
        &self,
        _at: &mut LoggedIn<'_, Self::Session>,
        _query: &str,
        _limit: Duration,
    ) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "this kind of server takes no PROBE_QUERY"))
    }
}

/// A server on which an admin sets other users' passwords: for the strategy single-user-by-admin.
#[async_trait]
pub trait Administered: Database {
    /// Whether an admin logs in to the user's database, because that is where locks and catalogues
    /// are. The login of a [`LoggedIn`] names that database in any case.
    const ADMIN_ENTERS_DATABASE: bool = true;

    /// Prepares a session of an admin's: asks which server this is, and refuses one on which nothing
    /// can be changed. The default accepts any.
    async fn prepare_admin(&self, _at: &mut LoggedIn<'_, Self::Session>) -> Result<()> {
        Ok(())
    }

    /// Makes ready to set `target`'s password on its account. Refuses an account that is absent, or
    /// whose password could not be set in this way.
    ///
    /// # Errors
    /// Nothing was changed.
    async fn prepare_reset(
        &self,
        admin: &mut LoggedIn<'_, Self::Session>,
        target: &Login,
    ) -> Result<Self::Prepared>;

    /// By which of the names of [`Database::locks`] an admin's change of the very account is locked, which the
    /// password of this session proved: for a server that can have two accounts by one name. An admin changes
    /// no other. The default is for one where the name says which it is.
    fn proven(&self, _session: &Self::Session) -> Option<String> {
        None
    }

    /// All that speaks against an admin's change of this user: it is more than an application's (the
    /// admin itself, a superuser, one that may make roles), no password would let it in, the admin
    /// lacks a right. Asked behind the lock.
    async fn objections(
        &self,
        admin: &mut LoggedIn<'_, Self::Session>,
        user: &str,
    ) -> Result<Vec<Error>>;

    /// What an operator should know of this user beside that. `partner` is the other user of a pair.
    /// The default has nothing to say. An error becomes a warning.
    async fn remarks(
        &self,
        _admin: &mut LoggedIn<'_, Self::Session>,
        _user: &str,
        _partner: Option<&str>,
    ) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
}
