//! Amazon Redshift: what it does otherwise than PostgreSQL, of which it has the protocol.
//!
//! It has no advisory locks, and no change that compares, so a change begins on a session that was
//! just opened, and the fence comes last. Each statement stands for itself: what its transactions undo
//! was not seen. Sources: Amazon Redshift Database Developer Guide (CREATE USER, ALTER USER,
//! statement_timeout, PG_USER, SVV_USER_GRANTS, SVV_ROLE_GRANTS, names and identifiers), and AWS's driver
//! redshift_connector. docs/redshift.md says what of it was tested, and against what.

mod accounts;
mod defaults;
mod options;
mod pair;
mod read;
mod rights;
mod views;

use std::collections::BTreeSet;
use std::time::Duration;

use fourstep::net::not_a;
use fourstep::users::{Change, Dialect};
use fourstep::{Error, ErrorKind, Finding, Invocation, PasswordPolicy, Result, SecretString, Seen};

use crate::change::{Prepared, UNCHANGED, other_user};
use crate::errors::{self, Moment, ServerError};
use crate::password::Literal;
use crate::session::{At, Failure, Session};
use crate::sql;

pub(crate) use accounts::{accounts, objections};
pub(crate) use pair::{assess, differences};

/// How AWS's secrets name Redshift.
pub(crate) const ENGINE: &str = "redshift";

/// How its secrets are read.
pub(crate) const DIALECT: Dialect = Dialect {
    engines: &[ENGINE],
    default_port: 5439,
    default_dbname: Some("dev"),
    longest_name: 127,
    most_older_logins: 8,
    besides: &[],
};

/// What preflight says of every user.
const LATE_CHANGE: &str = "Amazon Redshift has no lock and no change that compares, so that a function \
    which was frozen may set an older password over a newer one, until the next rotation; and the change \
    is not rehearsed there";

/// The policy as far as Redshift takes such passwords. Source: CREATE USER, "PASSWORD".
pub(crate) fn policy(policy: PasswordPolicy) -> Result<PasswordPolicy> {
    policy.mixed(8..=64, "'\"\\/@")
}

/// What the names that [`check_name`] refuses have.
pub(crate) const UNFIT: &str = "a capital letter, a backslash or a control character";

/// Refuses a name that Redshift would read as another: it folds capital letters of ASCII, in quotation
/// marks too, unless the session's enable_case_sensitive_identifier says otherwise, and takes a backslash
/// in a text for the beginning of an escape. Two control characters stand for other things here: U+0001 in
/// statements that are not rendered yet, U+001E between settings.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if !name.contains(|c: char| c.is_ascii_uppercase() || matches!(c, '\\' | '\u{1}' | '\u{1e}')) {
        return Ok(());
    }
    let what = format!(
        "the secret's field \"username\" has {UNFIT}, which Amazon Redshift reads otherwise"
    );
    Err(Error::new(ErrorKind::Malformed, what).caused_by(
        "write it as it stands in pg_user; a user whose name has one there cannot be rotated",
    ))
}

/// The salt and the server's nonce of a challenge by digest.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for another algorithm than SHA-256, and for a challenge that is cut off.
pub(crate) fn read_challenge(challenge: &[u8]) -> Result<(&[u8], &[u8])> {
    let number = |bytes: &[u8; 4]| usize::try_from(u32::from_be_bytes(*bytes)).ok();
    let part = |bytes| {
        let (length, rest): (&[u8; 4], &[u8]) = <[u8]>::split_first_chunk(bytes)?;
        rest.split_at_checked(number(length)?)
    };
    let two = |rest| {
        let (salt, rest) = part(rest)?;
        Some((salt, part(rest)?.0))
    };
    match challenge.split_first_chunk() {
        Some((&[0, 0, 0, 0], rest)) => two(rest).ok_or_else(|| not_a("Amazon Redshift")),
        _ => {
            let what = "the server asks for a digest by another algorithm than SHA-256";
            Err(Error::new(ErrorKind::Unsupported, what))
        }
    }
}

/// The error of a server that asks as Redshift does, for a secret of another engine.
pub(crate) fn unexpected() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the server asks for the password as Amazon Redshift does; if it is that, write \"redshift\" in \
         the secret's field \"engine\"",
    )
}

/// The error of another server, for a secret of Redshift.
pub(crate) fn not_redshift() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the server is not Amazon Redshift, as the secret's field \"engine\" says; correct that field or \
         \"host\"",
    )
}

/// Sorts an error that ended a login. A wrong password has the code that PostgreSQL had before 9.0, and
/// is told by the server's routine.
///
/// # Errors
/// Everything but a refused password, for which the reason is returned.
pub(crate) fn of_login(refusal: &ServerError, moment: Moment) -> Result<String> {
    match (refusal.code.as_str(), refusal.routine.as_str(), moment) {
        ("28000", "auth_failed", Moment::Answered) => {
            Ok("refused with SQLSTATE 28000 (a wrong password, \
             one past VALID UNTIL, a user with PASSWORD DISABLE, or no such user)"
                .to_owned())
        }
        _ => errors::of_login(refusal, moment),
    }
}

/// Refuses a session at another server.
pub(crate) async fn identify(session: &mut Session, cx: &Invocation) -> Result<()> {
    let what = "the question which server this is";
    let (version,): (String,) = session.ask(what, "SELECT pg_catalog.version()", cx).await?;
    match version.contains("Redshift") {
        true => Ok(()),
        false => Err(not_redshift()),
    }
}

/// Refuses a session that is another user's.
pub(crate) async fn own_account(at: &mut At<'_>) -> Result<()> {
    let asked =
        at.session.ask("the question who this is", "SELECT session_user::text", at.cx).await;
    let (user,): (String,) = asked.map_err(|error| error.caused_by(UNCHANGED))?;
    other_user(&at.login, &user).map_or(Ok(()), Err)
}

/// Makes ready the change of this user's password.
///
/// # Errors
/// Those of [`Literal::digest`].
pub(crate) fn prepare(user: &str, password: &SecretString) -> Result<Prepared> {
    check_name(user)?;
    let literal = Literal::digest(password)?;
    Ok(Prepared { user: user.to_owned(), literal, lets_in: false, locks: Vec::new() })
}

/// The one limit that Redshift has for statements. It has none for waiting and for idle transactions.
pub(crate) async fn begin(session: &mut Session, left: Duration, cx: &Invocation) -> Result<()> {
    let what = "the limit of the change";
    let set = session.run(what, limit(left), cx).await;
    set.map_err(|failure| failure.of(what).caused_by(UNCHANGED))
}

fn limit(left: Duration) -> String {
    // Zero would mean no limit.
    format!("SET statement_timeout TO {}", left.as_millis().clamp(1, 900_000))
}

/// Begins a transaction that may only read.
pub(crate) fn begin_probe(left: Duration) -> String {
    format!("BEGIN READ ONLY; {}", limit(left))
}

/// Sends the statement that holds the digest.
pub(crate) async fn set(
    session: &mut Session,
    (user, digest): (&str, &Literal),
    cx: &Invocation,
) -> Result<Change> {
    match session.run("ALTER USER", sql::set_digest(user, digest), cx).await {
        Ok(()) => Ok(Change::Made),
        Err(Failure::Refused(refusal)) if is_concurrent(&refusal) => {
            let what =
                "another session changed users at the same moment; nothing was changed, retry";
            Err(Error::new(ErrorKind::Conflict, what).caused_by(refusal.state()))
        }
        Err(Failure::Refused(refusal)) => errors::of_alter(&refusal).map(Change::Refused),
        Err(Failure::Lost(cause)) => {
            let what = "the password may or may not have been changed, and a retry finds out";
            Err(Error::new(cause.kind(), what).caused_by(cause))
        }
    }
}

/// Told by its text, which comes in English: of its code nothing is documented.
fn is_concurrent(refusal: &ServerError) -> bool {
    refusal.message.text().contains("concurrent transaction")
}

/// Runs a statement of an assessment, which holds no secret.
pub(crate) async fn run(session: &mut Session, statement: &str, cx: &Invocation) -> Result<()> {
    // What ran before it stays, and is no harm: the user that is changed is at rest.
    let again = "what was run before it stays, and the retry goes on from there";
    let done = session.run(statement, statement, cx).await;
    done.map_err(|failure| match failure {
        Failure::Refused(refusal) if is_concurrent(&refusal) => {
            let what = format!("{statement}: another session changed users at the same moment");
            Error::new(ErrorKind::Conflict, what).caused_by(refusal.state()).caused_by(again)
        }
        Failure::Refused(refusal) if refusal.code == "42501" => {
            let what = format!("{statement}: the admin may not do this");
            Error::new(ErrorKind::Forbidden, what).caused_by(refusal.state()).caused_by(again)
        }
        // Not a replica, as at PostgreSQL.
        Failure::Refused(refusal) if refusal.code == "0A000" => {
            let what = format!("{statement}: Amazon Redshift does not support this");
            Error::new(ErrorKind::Unsupported, what).caused_by(refusal.state()).caused_by(
                "have an administrator make the two users equal in it, and see that neither is given it again",
            )
        }
        Failure::Refused(refusal) => errors::of_admin(statement, &refusal).caused_by(again),
        Failure::Lost(error) => error.caused_by(again),
    })
}

/// What would make a change of one's own password fail.
pub(crate) async fn preflight(at: &mut At<'_>) -> Result<Vec<Finding>> {
    let own = own_account(at).await.err().map(Finding::Fails);
    Ok(own.into_iter().chain([late_change()]).collect())
}

/// What an operator should know of every user.
pub(crate) fn late_change() -> Finding {
    Finding::Warns(LATE_CHANGE.to_owned())
}

/// When VALID UNTIL comes, by the session's own row of PG_USER, and the session's process. Neither is asked of
/// STV_SESSIONS in one statement: what only the leader node has is not combined with what all nodes have
/// (Database Developer Guide, "SQL functions supported on the leader node").
const ENDS_IN: &str = "SELECT CAST(pg_backend_pid() AS bigint), CASE WHEN valuntil <> 'infinity' THEN \
    CAST(date_part('epoch', CAST(valuntil AS timestamp)) - date_part('epoch', CAST(now() AS timestamp)) \
    AS bigint) END FROM pg_catalog.pg_user WHERE usename = session_user";

/// What the session tells of its user. What cannot be read is unknown: of STV_SESSIONS an ordinary user sees its
/// own rows, with the first 50 bytes of its name, and whether every serverless namespace has it was not tried.
pub(crate) async fn seen(at: &mut At<'_>) -> Seen {
    let what = "a look at the sessions";
    let asked = at.session.ask(what, ENDS_IN, at.cx).await;
    let (own, ends_in): (Option<i64>, Option<i64>) = asked.unwrap_or_default();
    let query = format!(
        "SELECT CAST(process AS bigint) FROM pg_catalog.stv_sessions WHERE user_name = {} LIMIT {}",
        sql::quote(&at.login.username),
        Seen::MOST
    );
    let rows: Vec<(i64,)> = at.session.rows(what, query, at.cx).await.unwrap_or_default();
    let all: BTreeSet<_> = rows.iter().map(|(one,)| one.unsigned_abs()).collect();
    let own = own.map(i64::unsigned_abs).filter(|own| all.contains(own));
    Seen { sessions: own.map(|own| (own, all)), ends_in, ..Seen::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_be_another_is_refused() {
        check_name("app:é \"'").unwrap();
        for wrong in ["App", "a\\", "a\u{1}", "a\u{1e}"] {
            assert!(check_name(wrong).unwrap_err().to_string().contains(UNFIT), "{wrong:?}");
        }
    }

    #[test]
    fn a_challenge_is_read_or_refused() {
        let challenge = b"\0\0\0\0\0\0\0\x02ab\0\0\0\x01c";
        assert_eq!(read_challenge(challenge).unwrap(), (&b"ab"[..], &b"c"[..]));
        for cut in 0..challenge.len() {
            read_challenge(&challenge[..cut]).unwrap_err();
        }
        for wrong in [&b"\0\0\0\0\xff\xff\xff\xffab\0\0\0\x01c"[..], b"\0\0\0\x01\0\0\0\0\0\0\0\0"]
        {
            read_challenge(wrong).unwrap_err();
        }
    }

    #[test]
    fn a_wrong_password_is_told_by_code_routine_and_moment() {
        let error = |code: &str, routine: &str| ServerError {
            code: code.to_owned(),
            routine: routine.to_owned(),
            ..ServerError::default()
        };
        of_login(&error("28000", "auth_failed"), Moment::Answered).unwrap();
        for (code, routine, moment) in [
            ("28000", "auth_failed", Moment::Before),
            ("28000", "auth_failed", Moment::LetIn),
            ("28000", "ClientAuthentication", Moment::Answered),
            ("3D000", "", Moment::Answered),
        ] {
            of_login(&error(code, routine), moment).unwrap_err();
        }
    }
}
