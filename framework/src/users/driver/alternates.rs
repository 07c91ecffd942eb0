//! What a backend writes for pairs of users that an admin keeps equal.

use async_trait::async_trait;
use secrecy::SecretString;

use super::Administered;
use crate::error::Result;
use crate::invocation::Invocation;
use crate::users::{Accounts, Assessment, Install, LoggedIn, Login, OpenSessions, Ownership};

/// A server on which an admin keeps two users equal, so that one is always at rest: for the strategy
/// alternating-users. What a change does, what preflight finds and what a plan shows all come from
/// one [`Assessment`].
#[async_trait]
pub trait Alternates: Administered {
    /// What [`assess`](Self::assess) found that [`prepare_install`](Self::prepare_install) needs.
    type Found: Send + Sync;

    /// What begins a comment in the language of a plan.
    const COMMENT: &'static str = "--";

    /// Whether what [`begin`](crate::users::Database::begin) begins is a transaction, so that a change can be rehearsed
    /// and rolled back. Each [`Part`](crate::users::Part) is one then. `admin` is the login that begins it.
    /// The default: it is none.
    fn transactions(&self, _admin: &Login) -> bool {
        false
    }

    /// Refuses a user name that the server would refuse or cut off. The default refuses none.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported), naming the limit and the way out.
    fn check_username(&self, _username: &str) -> Result<()> {
        Ok(())
    }

    /// What the server knows of these users, and of every user whose mark names this secret.
    async fn accounts(
        &self,
        admin: &mut LoggedIn<'_, Self::Session>,
        usernames: &[&str],
        secret: &str,
    ) -> Result<Accounts>;

    /// How many sessions of a user are open. The default: this kind of server does not tell.
    async fn open_sessions(
        &self,
        _admin: &mut LoggedIn<'_, Self::Session>,
        _user: &str,
    ) -> Result<OpenSessions> {
        Ok(OpenSessions::Untold)
    }

    /// Computes what makes the target of `install` as its source is, but for the password, and all
    /// that speaks against it. Creates it marked and unable to log in where it is absent; grants
    /// before it revokes. Every part may run twice. `ownership` is whose the target is, or `None` where
    /// that is an objection already.
    async fn assess(
        &self,
        admin: &mut LoggedIn<'_, Self::Session>,
        install: &Install<'_>,
        accounts: &Accounts,
        ownership: Option<Ownership>,
    ) -> Result<Assessment<Self::Found>>;

    /// Runs one statement of an assessment, which an error names.
    async fn run(&self, at: &mut LoggedIn<'_, Self::Session>, statement: &str) -> Result<()>;

    /// The same for a [`Step::spare`](super::Step) one: what it meets is warned about, and leaves an open
    /// transaction as it was. The default runs it as any other.
    async fn run_spare(&self, at: &mut LoggedIn<'_, Self::Session>, statement: &str) -> Result<()> {
        self.run(at, statement).await
    }

    /// Makes ready the password of the target and, in the same statement, what lets it in. Everything
    /// of the assessment was run.
    ///
    /// # Errors
    /// The target is not let in.
    async fn prepare_install(
        &self,
        admin: &mut LoggedIn<'_, Self::Session>,
        install: &Install<'_>,
        found: Self::Found,
        password: &SecretString,
    ) -> Result<Self::Prepared>;

    /// What `pending`, which was just installed, may do or is set to differently from `partner`, the
    /// other user of the pair: one line for each difference.
    async fn differences(
        &self,
        admin: &Login,
        pending: &Login,
        partner: &str,
        cx: &Invocation,
    ) -> Result<Vec<String>>;
}
