//! The change of a password: one transaction, behind a lock and the fence.

use std::future::Future;

use fourstep::users::{Change, Login};
use fourstep::{Error, ErrorKind, SecretString, Turn};

use crate::errors;
use crate::password::{Literal, PasswordFormat};
use crate::session::{Failure, Session};
use crate::sql;
use crate::transaction::{self, UNCHANGED};

/// A password to be set, and the form in which the server gets it.
#[derive(Clone, Copy)]
pub(crate) struct NewPassword<'a> {
    pub(crate) password: &'a SecretString,
    pub(crate) format: PasswordFormat,
}

/// Sets the session user's password. `gate` is passed behind the account's lock and immediately
/// before the change.
///
/// # Errors
/// With any error but a lost connection at COMMIT, which says so, nothing was changed.
pub(crate) async fn change_own_password(
    mut session: Session,
    login: &Login,
    new: NewPassword<'_>,
    gate: impl Future<Output = Result<(), Error>> + Send,
    turn: &Turn,
) -> Result<Change, Error> {
    let outcome = match own_account(&mut session, login, turn).await {
        Ok(_) => transact(&mut session, login, new, gate, turn).await,
        Err(refused) => Err(refused),
    };
    session.close(turn).await;
    let named = |error: Error| {
        error.while_doing(format!("cannot change the password of {}", login.account()))
    };
    match outcome.map_err(named)? {
        Change::Refused(why) => Ok(Change::Refused(named(why))),
        Change::Made => Ok(Change::Made),
    }
}

/// Refuses a session that is another user's, or on a server that cannot be changed. Returns the
/// server's version as `server_version_num` has it.
pub(crate) async fn own_account(
    session: &mut Session,
    login: &Login,
    turn: &Turn,
) -> Result<u32, Error> {
    let [user, replica, version] = session
        .ask(
            "the question who and where this is",
            "SELECT session_user::pg_catalog.text, \
             pg_catalog.pg_is_in_recovery()::pg_catalog.text, \
             pg_catalog.current_setting('server_version_num')",
            turn,
        )
        .await
        .map_err(|error| error.caused_by(UNCHANGED))?;
    let obstacles = [
        other_user(login, user.as_deref()),
        on_replica(replica.as_deref()),
        too_old(version.as_deref()),
    ];
    obstacles.into_iter().flatten().next().map_or(Ok(()), Err)?;
    Ok(number(version.as_deref()).unwrap_or_default())
}

/// The error of a session that does not belong to the secret's user, as behind a pooler that maps
/// users.
pub(crate) fn other_user(login: &Login, session_user: Option<&str>) -> Option<Error> {
    let user = session_user.unwrap_or_default();
    (user != login.username).then(|| {
        Error::new(
            ErrorKind::Mismatch,
            // Not whose: what a server says must not be printed, it may have heard the password.
            format!(
                "the session does not belong to {:?}; look at the pooler's users",
                login.username
            ),
        )
    })
}

/// The error of a server that can only be read. `replica` is what `pg_is_in_recovery` says, which
/// is true on Aurora's readers as well.
pub(crate) fn on_replica(replica: Option<&str>) -> Option<Error> {
    (replica != Some("false")).then(|| {
        Error::new(
            ErrorKind::Unsupported,
            "the server is a read-only replica; point the secret's \"host\" at the writer",
        )
    })
}

/// The error of a server that does not know SCRAM verifiers, as PostgreSQL before 10 and Amazon
/// Redshift: it would take the verifier for the password itself and lock the user out.
pub(crate) fn too_old(version: Option<&str>) -> Option<Error> {
    number(version).is_none_or(|number| number < 100_000).then(|| {
        Error::new(
            ErrorKind::Unsupported,
            "the server is older than PostgreSQL 10 and does not know SCRAM-SHA-256; upgrade it",
        )
    })
}

fn number(version: Option<&str>) -> Option<u32> {
    version?.parse().ok()
}

async fn transact(
    session: &mut Session,
    login: &Login,
    new: NewPassword<'_>,
    gate: impl Future<Output = Result<(), Error>>,
    turn: &Turn,
) -> Result<Change, Error> {
    let literal = literal(session, &login.username, new, turn)?;
    let prepared = prepare(session, login, &literal, gate, turn).await;
    finish(session, prepared, turn).await
}

/// Everything up to COMMIT.
async fn prepare(
    session: &mut Session,
    login: &Login,
    password: &Literal,
    gate: impl Future<Output = Result<(), Error>>,
    turn: &Turn,
) -> Result<Change, Error> {
    transaction::enter(session, &login.username, turn).await?;
    gate.await?;
    let alter = sql::alter_password(&login.username, password);
    set(session, alter, turn).await
}

/// The password as it goes into the statement. To be made before the transaction: the 4096 rounds
/// of SCRAM take a while on a small function.
///
/// # Errors
/// Those of [`PasswordFormat::check`].
pub(crate) fn literal(
    session: &Session,
    username: &str,
    new: NewPassword<'_>,
    turn: &Turn,
) -> Result<Literal, Error> {
    new.format.check(session.terms())?;
    if new.format == PasswordFormat::Plaintext {
        turn.warn(
            "POSTGRES_PASSWORD_FORMAT is plaintext: if the server logs statements, it logs the \
             password",
        );
    }
    Ok(new.format.literal(username, new.password))
}

/// Sends the statement that holds the password. The only place that does.
pub(crate) async fn set(
    session: &mut Session,
    alter: String,
    turn: &Turn,
) -> Result<Change, Error> {
    match session.run("ALTER ROLE", alter, turn).await {
        Ok(_) => Ok(Change::Made),
        Err(Failure::Refused(refusal)) => errors::of_alter(&refusal).map(Change::Refused),
        Err(Failure::Lost(error) | Failure::Late(error)) => {
            Err(error.caused_by("nothing was committed"))
        }
    }
}

/// Commits what was made, and rolls anything else back.
pub(crate) async fn finish(
    session: &mut Session,
    prepared: Result<Change, Error>,
    turn: &Turn,
) -> Result<Change, Error> {
    if !matches!(prepared, Ok(Change::Made)) {
        transaction::roll_back(session, turn).await;
        return prepared;
    }
    let open = "the password may or may not have been changed";
    transaction::commit(session, open, turn).await.map(|()| Change::Made)
}
