//! The change of a password: whose it is, and the statement that sets it.

use fourstep::users::{Change, Login};
use fourstep::{Error, ErrorKind, Fence, Invocation, SecretString};

use crate::errors;
use crate::password::{Literal, PasswordFormat};
use crate::session::{Failure, Session};
use crate::sql;
use crate::transaction::{self, UNCHANGED};

/// A change of one user's password, made ready.
pub struct Prepared {
    pub(crate) user: String,
    literal: Literal,
    /// Whether the same statement lets the user in.
    lets_in: bool,
}

/// Refuses a session that is another user's, or on a server that cannot be changed; notes the
/// server's version.
pub(crate) async fn own_account(
    session: &mut Session,
    login: &Login,
    cx: &Invocation,
) -> Result<(), Error> {
    let [user, replica, version] = session
        .ask(
            "the question who and where this is",
            "SELECT session_user::pg_catalog.text, \
             pg_catalog.pg_is_in_recovery()::pg_catalog.text, \
             pg_catalog.current_setting('server_version_num')",
            cx,
        )
        .await
        .map_err(|error| error.caused_by(UNCHANGED))?;
    let obstacles = [
        other_user(login, user.as_deref()),
        on_replica(replica.as_deref()),
        too_old(version.as_deref()),
    ];
    obstacles.into_iter().flatten().next().map_or(Ok(()), Err)?;
    session.version = number(version.as_deref()).unwrap_or_default();
    Ok(())
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

/// Makes ready the statement that sets a user's password and, if so, lets it in. To be done before
/// the transaction: the 4096 rounds of SCRAM take a while on a small function.
///
/// # Errors
/// Those of [`PasswordFormat::check`].
pub(crate) fn prepare(
    session: &Session,
    (user, lets_in): (&str, bool),
    (password, format): (&SecretString, PasswordFormat),
    cx: &Invocation,
) -> Result<Prepared, Error> {
    sql::check_name("username", user)?;
    format.check(session.channel())?;
    if format == PasswordFormat::Plaintext {
        cx.warn(
            "POSTGRES_PASSWORD_FORMAT is plaintext: if the server logs statements, it logs the \
             password",
        );
    }
    Ok(Prepared { user: user.to_owned(), literal: format.literal(user, password), lets_in })
}

/// Sends the statement that holds the password. The only place that does. Where a stranger holds the
/// account's lock, the role's row, which this statement locks, stands for it: so the fence is passed
/// again behind it.
pub(crate) async fn set(
    session: &mut Session,
    prepared: &Prepared,
    fence: &dyn Fence,
    cx: &Invocation,
) -> Result<Change, Error> {
    let made = alter(session, prepared, cx).await?;
    if made == Change::Made && session.unlocked {
        fence.pass().await?;
    }
    Ok(made)
}

/// How long a rehearsal may wait for others, and keep them waiting.
const BRIEFLY: &str = "SET LOCAL lock_timeout = '300ms'";

/// Makes the change, and rolls it back.
///
/// # Errors
/// Those that the change would meet.
pub(crate) async fn rehearse(
    session: &mut Session,
    prepared: &Prepared,
    cx: &Invocation,
) -> Result<(), Error> {
    let what = "the beginning of a rehearsal";
    transaction::begin(session, &[], cx).await?;
    session.run(what, BRIEFLY.to_owned(), cx).await.map_err(|failure| failure.of(what))?;
    let made = alter(session, prepared, cx).await;
    transaction::roll_back(session, cx).await;
    match made? {
        Change::Made => Ok(()),
        Change::Refused(why) => Err(why),
    }
}

async fn alter(
    session: &mut Session,
    prepared: &Prepared,
    cx: &Invocation,
) -> Result<Change, Error> {
    let Prepared { user, literal, lets_in } = prepared;
    let alter =
        if *lets_in { sql::let_in(user, literal) } else { sql::alter_password(user, literal) };
    match session.run("ALTER ROLE", alter, cx).await {
        Ok(_) => Ok(Change::Made),
        Err(Failure::Refused(refusal)) => errors::of_alter(&refusal).map(Change::Refused),
        Err(Failure::Lost(error) | Failure::Late(error)) => {
            Err(error.caused_by("nothing was committed"))
        }
    }
}
