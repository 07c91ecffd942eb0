//! The change of one's own password: one transaction, behind a lock and the fence.

use std::future::Future;
use std::time::Duration;

use fourstep::users::{Change, Login};
use fourstep::{CHANGE_TIME, Error, ErrorKind, SecretString, Turn};

use crate::errors;
use crate::password::{Literal, PasswordFormat};
use crate::session::{Failure, Session};
use crate::sql;

/// The least time that must be left to send COMMIT: below it the change is rolled back, because
/// its outcome might not be heard.
const COMMIT_TIME: Duration = Duration::from_secs(1);

/// How long a rollback may take. The end of the connection has the same effect.
const ROLLBACK_TIME: Duration = Duration::from_secs(1);

/// What is added to an error from before the statement.
const UNCHANGED: &str = "nothing was changed";

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
        Ok(()) => transact(&mut session, login, new, gate, turn).await,
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

/// Refuses a session that is another user's, or on a server that cannot be changed.
async fn own_account(session: &mut Session, login: &Login, turn: &Turn) -> Result<(), Error> {
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
    obstacles.into_iter().flatten().next().map_or(Ok(()), Err)
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
    let number: Option<u32> = version.and_then(|version| version.parse().ok());
    number.is_none_or(|number| number < 100_000).then(|| {
        Error::new(
            ErrorKind::Unsupported,
            "the server is older than PostgreSQL 10 and does not know SCRAM-SHA-256; upgrade it",
        )
    })
}

async fn transact(
    session: &mut Session,
    login: &Login,
    new: NewPassword<'_>,
    gate: impl Future<Output = Result<(), Error>>,
    turn: &Turn,
) -> Result<Change, Error> {
    new.format.check(session.terms())?;
    if new.format == PasswordFormat::Plaintext {
        turn.warn(
            "POSTGRES_PASSWORD_FORMAT is plaintext: if the server logs statements, it logs the \
             password",
        );
    }
    // Made before the transaction: the 4096 rounds of SCRAM take a while on a small function.
    let literal = new.format.literal(&login.username, new.password);
    let prepared = prepare(session, login, &literal, gate, turn).await;
    if !matches!(prepared, Ok(Change::Made)) {
        roll_back(session, turn).await;
        return prepared;
    }
    let left = turn.deadline().remaining();
    if left < COMMIT_TIME {
        roll_back(session, turn).await;
        return Err(Error::new(ErrorKind::OutOfTime, "rolled back; nothing was changed")
            .caused_by(format!("{:.1} s are left, too little to commit", left.as_secs_f64())));
    }
    session.run("COMMIT", "COMMIT".to_owned(), turn).await.map(|_| Change::Made).map_err(
        |failure| match failure {
            Failure::Refused(refusal) if !errors::leaves_commit_open(&refusal) => {
                errors::of_statement("COMMIT", &refusal)
            }
            failure => Error::new(
                ErrorKind::Unreachable,
                "the password may or may not have been changed, and a retry finds out",
            )
            .caused_by(failure.of("COMMIT")),
        },
    )
}

fn unchanged(failure: Failure, what: &str) -> Error {
    failure.of(what).caused_by(UNCHANGED)
}

/// Everything up to COMMIT.
async fn prepare(
    session: &mut Session,
    login: &Login,
    password: &Literal,
    gate: impl Future<Output = Result<(), Error>>,
    turn: &Turn,
) -> Result<Change, Error> {
    turn.enough_for_a_change()?;
    let left = turn.deadline().remaining();
    // Waiting for a lock must leave the time that a change needs.
    let lock = left.saturating_sub(CHANGE_TIME);
    let what = "the beginning of a transaction";
    session.run(what, sql::begin(left, lock), turn).await.map_err(|fail| unchanged(fail, what))?;
    let what = "the account's lock";
    session
        .run(what, sql::lock(&login.username), turn)
        .await
        .map_err(|fail| unchanged(fail, what))?;
    gate.await?;
    let alter = sql::alter_password(&login.username, password);
    match session.run("ALTER ROLE", alter, turn).await {
        Ok(_) => Ok(Change::Made),
        Err(Failure::Refused(refusal)) => errors::of_alter(&refusal).map(Change::Refused),
        Err(Failure::Lost(error) | Failure::Late(error)) => {
            Err(error.caused_by("nothing was committed"))
        }
    }
}

/// Gives the lock back before the error is reported. Where this fails, the end of the connection
/// does the same.
async fn roll_back(session: &mut Session, turn: &Turn) {
    if turn.deadline().remaining().is_zero() {
        return;
    }
    let rollback = session.run("ROLLBACK", "ROLLBACK".to_owned(), turn);
    let _ = tokio::time::timeout(ROLLBACK_TIME, rollback).await;
}
