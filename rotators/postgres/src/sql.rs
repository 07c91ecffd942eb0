//! Statements, put together from parts that cannot break out of them.

use std::time::Duration;

use fourstep::{Error, ErrorKind, Result};

use crate::password::Literal;

/// The longest name of a role or database, in bytes: NAMEDATALEN - 1. The server cuts longer ones
/// off without a word and could so change another role. Source: PostgreSQL 18 documentation,
/// section 4.1.1.
pub(crate) const LONGEST_NAME: usize = 63;

/// The first half of the advisory lock's key; "four" in ASCII.
const LOCK_CLASS: i32 = 0x666f_7572;

/// Refuses a name that the server would cut off.
///
/// # Errors
/// [`ErrorKind::Malformed`], naming the secret's field.
pub(crate) fn check_name(field: &str, name: &str) -> Result<()> {
    if name.len() <= LONGEST_NAME {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Malformed, format!("the secret's field \"{field}\" is too long"))
        .caused_by(format!(
            "it has {} bytes and PostgreSQL cuts names off after {LONGEST_NAME}",
            name.len()
        )))
}

/// A name as an identifier, whatever is in it but NUL.
pub(crate) fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What `pg_has_role` is asked for who may SET ROLE: any member before memberships had options of
/// their own. Source: PostgreSQL 16 release notes, "Privileges".
pub(crate) fn set_mode(version: i32) -> &'static str {
    if version >= 160_000 { "SET" } else { "MEMBER" }
}

/// The change itself, which may let the user in too. The server keeps a string of a verifier's form as
/// it is, so neither the connection nor the statement log sees the password.
pub(crate) fn set_password(username: &str, password: &Literal, let_in: bool) -> String {
    let let_in = if let_in { "LOGIN " } else { "" };
    format!("ALTER ROLE {} {let_in}PASSWORD {}", quote_identifier(username), password.expose())
}

/// The same at Amazon Redshift, which keeps a digest of this form as it is.
pub(crate) fn set_digest(username: &str, digest: &Literal) -> String {
    format!("ALTER USER {} PASSWORD {}", quote_identifier(username), digest.expose())
}

/// A text as a literal, whatever is in it but NUL and whatever the server's settings.
pub(crate) fn quote(text: &str) -> String {
    postgres_protocol::escape::escape_literal(text).trim_start().to_owned()
}

/// Begins a transaction in which no setting of the role or the database can make a difference, and
/// which the server itself ends if this side falls silent.
///
/// `left` is the time until the function's deadline and `lock` how much of it may go into waiting
/// for a lock. If this container freezes, the server rolls back when it has waited `left` for the
/// next statement, or worked that long on one; until then it holds the account's lock, so a newer
/// rotation comes after it and is not undone by it.
pub(crate) fn begin(left: Duration, lock: Duration) -> String {
    // Zero would mean no limit.
    let [left, lock] = [left, lock].map(|time| time.as_millis().clamp(1, 900_000));
    // password_encryption: a password that is sent as it is must not be stored in a weaker form.
    // ROLE: a role setting can make a session act as another role, whose password would be out of
    // reach. The session's own user is what ALTER ROLE of one's own password looks at.
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
         SET LOCAL ROLE NONE; \
         SET LOCAL search_path = pg_catalog; \
         SET LOCAL client_min_messages = error; \
         SET LOCAL password_encryption = 'scram-sha-256'; \
         SET LOCAL statement_timeout = {left}; \
         SET LOCAL idle_in_transaction_session_timeout = {left}; \
         SET LOCAL lock_timeout = {lock}"
    )
}

/// How long a rehearsal may wait for others, and keep them waiting.
pub(crate) const BRIEFLY: &str = "SET LOCAL lock_timeout = '300ms'";

/// Takes the account's lock if nobody has it.
pub(crate) fn try_lock(username: &str) -> String {
    format!("SELECT pg_catalog.pg_try_advisory_xact_lock({LOCK_CLASS}, {})", lock_key(username))
}

/// Who has it: the process, its user, and whether that user could change the account's password. The
/// same key may be another account's, whose rotation changes nothing of this one. Inside a transaction.
pub(crate) fn lock_holder(username: &str) -> String {
    format!(
        "SELECT held.pid, who.usename::text, \
         own.rolsuper OR own.rolcreaterole OR who.usename = {} \
         FROM pg_locks AS held JOIN pg_stat_activity AS who ON who.pid = held.pid \
         JOIN pg_roles AS own ON own.oid = who.usesysid \
         WHERE held.locktype = 'advisory' AND held.objsubid = 2 AND held.granted \
         AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND held.classid = {LOCK_CLASS} AND held.objid = {}",
        quote(username),
        lock_key(username).cast_unsigned()
    )
}

/// Begins a transaction that may only read and in which the user's own settings hold.
pub(crate) fn begin_probe(limit: Duration) -> String {
    let limit = limit.as_millis().max(1);
    format!(
        "BEGIN READ ONLY; SET LOCAL statement_timeout = {limit}; SET LOCAL lock_timeout = {limit}; \
         SET LOCAL idle_in_transaction_session_timeout = {limit}"
    )
}

/// Waits for the account's lock, which the end of the transaction gives back.
///
/// Advisory locks are held per database: two secrets of one user with different `dbname`s do not
/// see each other here, but one of their ALTERs then fails with a concurrent update.
pub(crate) fn lock(username: &str) -> String {
    format!("SELECT pg_catalog.pg_advisory_xact_lock({LOCK_CLASS}, {})", lock_key(username))
}

/// The second half of the lock's key: FNV-1a (32 bits) of the name, the same in every version of
/// this program, so that different versions exclude each other. Two names that share a key wait
/// for each other, which is all that happens.
fn lock_key(username: &str) -> i32 {
    let hash = username
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash.cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    /// Reads an identifier back, as the server's lexer does.
    fn unquote(quoted: &str) -> Option<String> {
        let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
        let bare = inner.replace("\"\"", "");
        (!bare.contains('"')).then(|| inner.replace("\"\"", "\""))
    }

    proptest! {
        #[test]
        fn any_name_is_read_back_as_it_was(name in "[^\\x00]{0,63}") {
            let quoted = quote_identifier(&name);
            prop_assert_eq!(unquote(&quoted), Some(name));
        }
    }

    #[test]
    fn statements_are_as_written() {
        expect![[r#"ALTER ROLE "a""; DROP ROLE b; --" PASSWORD 'v'"#]].assert_eq(&set_password(
            "a\"; DROP ROLE b; --",
            &Literal::of("'v'"),
            false,
        ));
        let begin = begin(Duration::from_secs(20), Duration::ZERO).replace("; ", ";\n");
        expect![[r#"
            BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
            SET LOCAL ROLE NONE;
            SET LOCAL search_path = pg_catalog;
            SET LOCAL client_min_messages = error;
            SET LOCAL password_encryption = 'scram-sha-256';
            SET LOCAL statement_timeout = 20000;
            SET LOCAL idle_in_transaction_session_timeout = 20000;
            SET LOCAL lock_timeout = 1"#]]
        .assert_eq(&begin);
        expect!["SELECT pg_catalog.pg_advisory_xact_lock(1718580594, 527074092)"]
            .assert_eq(&lock("app"));
    }

    #[test]
    fn names_are_measured_in_bytes() {
        check_name("username", &"é".repeat(31)).unwrap();
        let error = check_name("username", &"é".repeat(32)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains("\"username\""), "{error}");
    }
}

#[cfg(test)]
mod live_tests;
