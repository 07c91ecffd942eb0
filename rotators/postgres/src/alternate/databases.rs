//! In which databases the second user owns or holds anything, and who has a session open.

use fourstep::{Invocation, Result};

use crate::session::Session;
use crate::sql::quote;

/// A database in which the second user is mentioned.
#[derive(Debug)]
pub(crate) struct Concerned {
    pub(crate) name: String,
    /// Whether it is the session's own, which stands for what belongs to the whole server too.
    pub(crate) here: bool,
    /// Whether anybody may enter it, and whether the admin may.
    pub(crate) open: bool,
    pub(crate) enterable: bool,
    /// Whether it owns anything there that can be handed over: default privileges and user mappings
    /// cannot.
    pub(crate) owns: bool,
}

/// Asks the catalogue that says where a role is mentioned. It is the whole server's.
pub(crate) async fn concerned(
    session: &mut Session,
    second: &str,
    cx: &Invocation,
) -> Result<Vec<Concerned>> {
    let query = format!(
        "SELECT d.datname, d.datname = current_database(), d.datallowconn, \
         has_database_privilege(session_user, d.oid, 'CONNECT'), \
         bool_or(s.deptype = 'o' AND s.classid NOT IN \
         ('pg_default_acl'::regclass, 'pg_user_mapping'::regclass)) \
         FROM pg_shdepend AS s JOIN pg_database AS d \
         ON d.oid = s.dbid OR s.dbid = 0 AND d.datname = current_database() \
         WHERE s.refclassid = 'pg_authid'::regclass \
         AND s.refobjid = (SELECT oid FROM pg_roles WHERE rolname = {}) \
         GROUP BY d.oid, d.datname, d.datallowconn ORDER BY 2 DESC, 1",
        quote(second)
    );
    let rows = session.rows("a look at the databases", query, cx).await?;
    let concerned =
        |(name, here, open, enterable, owns)| Concerned { name, here, open, enterable, owns };
    Ok(rows.into_iter().map(concerned).collect())
}

/// How many sessions of a user are open.
pub(crate) async fn sessions(session: &mut Session, user: &str, cx: &Invocation) -> Result<u64> {
    let query = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = {}", quote(user));
    let (count,): (i64,) = session.ask("a look at the open sessions", query, cx).await?;
    Ok(count.unsigned_abs())
}
