//! What the server knows of roles: their marks, and which of them are more than an application's.

use fourstep::users::{Account, Accounts, Mark};
use fourstep::{Error, Turn};

use crate::session::Session;
use crate::sql::quote;

/// Roles with which a user is as good as an admin, whatever its attributes: Amazon RDS's own, and
/// those that reach the server's files and programs (PostgreSQL 18 documentation, section 21.5).
const POWERFUL: &str = "'rds_superuser', 'pg_execute_server_program', 'pg_read_server_files', \
                        'pg_write_server_files'";

/// These roles, and every role whose comment names the secret. Inside a transaction of
/// [`transaction::begin`](crate::transaction::begin), which sets the search path.
pub(crate) async fn read(
    session: &mut Session,
    usernames: &[&str],
    secret: Option<&str>,
    turn: &Turn,
) -> Result<Accounts, Error> {
    let names: Vec<_> = usernames.iter().map(|name| quote(name)).collect();
    let mut wanted = format!("one.rolname IN ({})", names.join(", "));
    if let Some(secret) = secret {
        let secret = quote(secret);
        wanted += &format!(" OR strpos(shobj_description(one.oid, 'pg_authid'), {secret}) > 0");
    }
    let query = format!(
        "SELECT one.rolname::text, shobj_description(one.oid, 'pg_authid'), \
         one.rolcanlogin::text, \
         CASE WHEN one.rolname = session_user THEN 'it is the admin itself' \
         WHEN one.rolsuper THEN 'it is a superuser' \
         WHEN one.rolcreaterole THEN 'it may create roles' \
         WHEN one.rolreplication THEN 'it may copy the whole server (REPLICATION; \
         before PostgreSQL 16 only a superuser changes its password)' \
         WHEN starts_with(one.rolname::text, 'pg_') THEN 'it is a role of the server''s own' \
         WHEN EXISTS (SELECT FROM pg_roles AS other \
         WHERE pg_has_role(one.oid, other.oid, 'MEMBER') AND (other.rolsuper OR \
         other.rolcreaterole OR other.rolname = session_user OR other.rolname IN ({POWERFUL}))) \
         THEN 'it is a member of a role that is an admin''s' END \
         FROM pg_roles AS one WHERE {wanted}"
    );
    let rows = session.rows::<4>("a look at the roles", query, turn).await?;
    let account = |[name, comment, usable, barred]: [Option<String>; 4]| {
        let mark = comment.as_deref().and_then(Mark::of_comment);
        let usable = usable.as_deref() == Some("true");
        (name.unwrap_or_default(), Account { mark, barred, usable })
    };
    Ok(rows.into_iter().map(account).collect())
}
