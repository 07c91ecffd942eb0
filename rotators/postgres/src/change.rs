//! The change of a password: whose it is, and what sets it.

use fourstep::users::{Change, Login};
use fourstep::{Error, ErrorKind, Invocation, Result, SecretString};

use crate::errors;
use crate::password::{Literal, PasswordFormat};
use crate::session::{At, Failure, Kind, Session};
use crate::{Postgres, redshift, sql, verifier};

/// What is added to an error from before the statement.
pub(crate) const UNCHANGED: &str = "nothing was changed";

/// A change of one user's password, made ready.
pub struct Prepared {
    pub(crate) user: String,
    pub(crate) literal: Literal,
    /// Whether the same statement lets the user in.
    pub(crate) lets_in: bool,
    /// The names of the locks.
    pub(crate) locks: Vec<String>,
}

/// Refuses a session that is another user's, or on a server that cannot be changed; notes the
/// server's version.
pub(crate) async fn own_account(at: &mut At<'_>) -> Result<()> {
    if at.session.kind == Kind::Redshift {
        return redshift::own_account(at).await;
    }
    // Not by the view of all settings, whose making may take longer than the user's own statement_timeout.
    let query = "SELECT session_user::pg_catalog.text, pg_catalog.pg_is_in_recovery(), \
         pg_catalog.current_setting('server_version_num')::pg_catalog.int4, \
         pg_catalog.current_setting('scram_iterations', true)";
    let asked = at.session.ask("the question who and where this is", query, at.cx).await;
    let (user, replica, version, rounds): (String, bool, i32, Option<String>) =
        asked.map_err(|error| error.caused_by(UNCHANGED))?;
    at.session.version = version;
    at.session.rounds = verifier::rounds(rounds.as_deref());
    obstacles(&at.login, (&user, replica, version)).into_iter().next().map_or(Ok(()), Err)
}

/// Refuses a session of another user's.
pub(crate) fn other_user(login: &Login, user: &str) -> Option<Error> {
    (user != login.username).then(|| {
        // As behind a pooler that maps users. Not whose: what a server says must not be printed, it
        // may have heard the password.
        let user = &login.username;
        let what = format!("the session does not belong to {user:?}; look at the pooler's users");
        Error::new(ErrorKind::Mismatch, what)
    })
}

/// What stands in the way of any change: whose session it is, whether the server is in recovery,
/// as Aurora's readers are, and its version.
pub(crate) fn obstacles(login: &Login, (user, replica, version): (&str, bool, i32)) -> Vec<Error> {
    let other_user = other_user(login, user);
    let unsupported = |what| Error::new(ErrorKind::Unsupported, what);
    let on_replica = replica.then(|| {
        unsupported("the server is a read-only replica; point the secret's \"host\" at the writer")
    });
    // As PostgreSQL before 10: it would take the verifier for the password itself and lock the user out.
    let too_old = (version < 100_000).then(|| {
        unsupported(
            "the server is older than PostgreSQL 10 and does not know SCRAM-SHA-256; upgrade it",
        )
    });
    [other_user, on_replica, too_old].into_iter().flatten().collect()
}

impl Postgres {
    /// Makes ready the statement that sets a user's password and, if so, lets it in. To be done before
    /// the transaction: the rounds of SCRAM take a while on a small function.
    ///
    /// # Errors
    /// Those of [`PasswordFormat::check`] and [`PasswordFormat::literal`].
    pub(crate) fn prepare(
        &self,
        session: &Session,
        (user, lets_in): (&str, bool),
        password: &SecretString,
        cx: &Invocation,
    ) -> Result<Prepared> {
        if session.kind == Kind::Redshift {
            return redshift::prepare(user, password);
        }
        sql::check_name("username", user)?;
        self.format.check(session.channel)?;
        if self.format == PasswordFormat::Plaintext {
            cx.warn(
                "POSTGRES_PASSWORD_FORMAT is plaintext: if the server logs statements, it logs the \
                 password",
            );
        }
        let literal = self.format.literal(user, password, session.rounds)?;
        Ok(Prepared { user: user.to_owned(), literal, lets_in, locks: vec![user.to_owned()] })
    }
}

/// Sends the statement that holds the password. The only place that does.
pub(crate) async fn alter(
    session: &mut Session,
    prepared: &Prepared,
    cx: &Invocation,
) -> Result<Change> {
    let Prepared { user, literal, lets_in, .. } = prepared;
    if session.kind == Kind::Redshift {
        return redshift::set(session, (user, literal), cx).await;
    }
    match session.run("ALTER ROLE", sql::set_password(user, literal, *lets_in), cx).await {
        Ok(()) => Ok(Change::Made),
        Err(Failure::Refused(refusal)) => errors::of_alter(&refusal).map(Change::Refused),
        Err(failure) => Err(failure.of("ALTER ROLE").caused_by("nothing was committed")),
    }
}
