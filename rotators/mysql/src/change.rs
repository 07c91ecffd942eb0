//! The change of one's own password: behind a lock, the fence, and limits that the server enforces.
//!
//! MySQL and MariaDB commit such a statement by itself. So whatever is to be checked is checked
//! before it, and there is nothing to roll back.

use std::time::Duration;

use fourstep::users::Swap;
use fourstep::users::driver::unknown;
use fourstep::{Error, ErrorKind, Fence, Invocation, Result, SecretString};

use crate::Mysql;
use crate::errors;
use crate::password::PasswordFormat;
use crate::preflight::other_methods;
use crate::server::Flavour;
use crate::session::{Failure, Session};
use crate::sql::{self, LONGEST_PASSWORD, Statement};

/// What is added to an error from before the statement.
pub(crate) const UNCHANGED: &str = "nothing was changed";

/// ER_SPECIFIC_ACCESS_DENIED_ERROR.
const NO_PRIVILEGE: u16 = 1227;

/// ER_SUBQUERY_NO_1_ROW.
const NOT_ONE_ROW: u16 = 1242;

/// A change of one user's password, made ready.
pub struct Prepared {
    /// The names of the locks.
    pub(crate) locks: Vec<String>,
    pub(crate) how: How,
}

/// How it is made.
pub(crate) enum How {
    /// By the session's own user, whose password becomes this one.
    Own(SecretString),
    /// By an admin's statement; `discard` drops an older password that is valid beside it.
    Others { statement: Statement, discard: Option<String> },
}

impl Mysql {
    /// Refuses a session whose user's password cannot be changed.
    pub(crate) async fn changeable(&self, session: &mut Session, cx: &Invocation) -> Result<()> {
        let weak = || self.obstacle_of(session, session.terms.plugin);
        let obstacle = session.server.obstacle().or_else(weak);
        let obstacle = match (obstacle, session.server.flavour) {
            (None, Flavour::Mariadb) if !session.server.expired => {
                other_methods(session, cx).await.unwrap_or_else(Some)
            }
            (obstacle, _) => obstacle,
        };
        obstacle.map_or(Ok(()), |error| Err(error.caused_by(UNCHANGED)))
    }

    /// The change of an account with one password, and of one that is to have one again.
    pub(crate) async fn set_own(
        &self,
        session: &mut Session,
        password: &SecretString,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Swap> {
        if session.server.expired {
            backslash(password, session).map_or(Ok(()), Err)?;
        }
        if session.server.flavour == Flavour::Mariadb {
            if self.format == PasswordFormat::Plaintext {
                cx.warn(
                    "MARIADB_PASSWORD_FORMAT is plaintext: if the server logs statements, it logs \
                     the password",
                );
            }
            return exchange(session, &self.format.statement(password), cx).await;
        }
        // REPLACE because the account may require it.
        let opened_with = session.terms.password.clone();
        let swap = Statement::alter_user(password, Some(&opened_with), false);
        let mut swapped = exchange(session, &swap, cx).await?;
        let two = swapped == Swap::NotPrimary;
        if two {
            // Without a lock nobody knows by whom it was changed.
            if session.server.expired {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "another session changed the password at the same moment; retry",
                ));
            }
            // The session was opened by the secondary password of two.
            let set = Statement::alter_user(password, None, false);
            fence.pass().await?;
            swapped = exchange(session, &set, cx).await?;
        }
        if swapped == Swap::Made {
            discard(session, two, cx).await;
        }
        Ok(swapped)
    }
}

/// The error of a password that cannot be written before the session is set up.
fn backslash(password: &SecretString, session: &Session) -> Option<Error> {
    let passwords = [password, &session.terms.password];
    let any = passwords.into_iter().any(sql::has_backslash);
    (any && session.server.flavour == Flavour::Mysql)
        .then(|| errors::expired().caused_by(UNCHANGED))
}

/// The lock of a user of MariaDB's who may do nothing but change its own password.
pub(crate) async fn lock_unasked(
    session: &mut Session,
    wait: Duration,
    cx: &Invocation,
) -> Result<()> {
    let what = "the account's lock";
    match session.run(what, &sql::lock_unasked(wait), cx).await {
        Ok(_) => Ok(()),
        Err(Failure::Refused(refusal)) if refusal.number == NOT_ONE_ROW => Err(lock_held()),
        Err(failure) => Err(failure.of(what).caused_by(UNCHANGED)),
    }
}

/// The error of a lock that another session has. Whoever logs in at the server can take it and keep
/// it, so its holder is named.
pub(crate) async fn held(session: &mut Session, account: &str, cx: &Invocation) -> Error {
    let error = lock_held();
    let holder = session.ask("the lock's holder", &sql::lock_holder(account), cx).await;
    // Only a number is repeated: the server was sent the password.
    let holder = holder.ok().and_then(|[holder]| holder?.parse::<u64>().ok());
    match holder {
        Some(holder) => error.caused_by(format!(
            "the server's connection {holder} has it; if that is no rotation, an administrator ends \
             it with KILL {holder}"
        )),
        // Given back meanwhile, or not to be found out.
        None => error,
    }
}

fn lock_held() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "another rotation of this account holds the lock; nothing was changed, retry",
    )
}

/// Sends the statement that changes a password: the only place that does.
pub(crate) async fn exchange(
    session: &mut Session,
    statement: &Statement,
    cx: &Invocation,
) -> Result<Swap> {
    if let Some(bytes) = statement.too_long() {
        let what = format!(
            "the new password has {bytes} bytes, and MySQL takes no more than {LONGEST_PASSWORD}; \
             nothing was changed"
        );
        return Ok(Swap::Refused(Error::new(ErrorKind::Unsupported, what)));
    }
    match session.run("the change of the password", statement.expose(), cx).await {
        Ok(_) => Ok(Swap::Made),
        Err(Failure::Refused(refusal)) => {
            errors::of_password_change(&session.look_behind(refusal, cx).await)
        }
        Err(Failure::Lost(cause)) => Err(unknown("the password", cause)),
    }
}

/// Drops a password that another strategy retained, so that an old one does not live on. Where
/// nothing shows that there are `two`, an account without the privilege has none, unless an
/// administrator gave it one or took the privilege.
async fn discard(session: &mut Session, two: bool, cx: &Invocation) {
    match session.run("DISCARD OLD PASSWORD", sql::DISCARD, cx).await {
        Ok(_) => {}
        Err(Failure::Refused(refusal)) if refusal.number == NO_PRIVILEGE && !two => {}
        Err(Failure::Refused(refusal)) => cx.warn(format!(
            "the password was changed, but an older one {} logging in beside it: the server refused \
             to drop it ({}); an administrator must run ALTER USER ... DISCARD OLD PASSWORD for the \
             account",
            if two { "goes on" } else { "may go on" },
            refusal.code()
        )),
        Err(Failure::Lost(error)) => cx.warn(format!(
            "the password was changed, but whether an older one was dropped is not known: {error}"
        )),
    }
}

/// The error of an account that demands its primary password for a change, which no version that
/// was tried holds.
pub(crate) fn current_required() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the account demands its primary password for a change (PASSWORD REQUIRE CURRENT), and the \
         secret does not hold it; nothing was changed, an administrator must set the password",
    )
}
