//! What the server knows of roles: their marks, who acts as whom, and which of them are more than an
//! application's.

use std::collections::btree_map::Entry;

use fourstep::users::{Account, Accounts, Login, Mark};
use fourstep::{Error, ErrorKind, Invocation, Result};

use crate::admin::ADMIN_OPTION;
use crate::session::Session;
use crate::sql::quote;

/// Roles with which a user is as good as an admin, whatever its attributes: Amazon RDS's own, and
/// those that reach the server's files and programs (PostgreSQL 18 documentation, section 21.5).
const POWERFUL: &str = "'rds_superuser', 'pg_execute_server_program', 'pg_read_server_files', \
                        'pg_write_server_files'";

/// Roles whose members log in with something else than their password, members of members included.
/// Source: RDS User Guide, "Creating a database account using IAM authentication" and "Using Kerberos
/// authentication with Amazon RDS for PostgreSQL".
const OTHER_LOGIN: &str = "'rds_iam', 'rds_ad'";

/// That of the session's user, as a column, outside of a transaction too.
pub(crate) fn own_role() -> String {
    format!(
        "(SELECT one.rolname::pg_catalog.text FROM pg_catalog.pg_roles AS one \
         JOIN pg_catalog.pg_roles AS me ON me.rolname OPERATOR(pg_catalog.=) session_user AND NOT me.rolsuper \
         WHERE one.rolname OPERATOR(pg_catalog.=) ANY (ARRAY[{OTHER_LOGIN}]::pg_catalog.name[]) \
         AND pg_catalog.pg_has_role(me.oid, one.oid, 'MEMBER') LIMIT 1)"
    )
}

/// The refusal of the session's user, if it is a member of such a role.
pub(crate) fn own_other_login(session: &Session, login: &Login) -> Option<Error> {
    let (user, role) = (&login.username, session.other_login.as_ref()?);
    let what = format!("the password of user {user:?} is not what it logs in with");
    Some(Error::new(ErrorKind::Unsupported, what).caused_by(not_its_password(user, role)))
}

/// Of a role that may not change its own password either.
pub(crate) const BY_SUPERUSER: &str = "only a superuser changes its password";

/// Who besides the admin can act as a role or give it away, but for who has the whole server anyway. A
/// role's comment can be written by whoever has ADMIN on it (by any maker of roles before PostgreSQL
/// 16), who from version 16 on is made a member of what it makes. Source: PostgreSQL 18 documentation,
/// COMMENT; section 21.3.
const STRANGERS: &str = "\
    LEFT JOIN (SELECT DISTINCT m.roleid, member.rolname FROM pg_auth_members AS m \
    JOIN pg_roles AS member ON member.oid = m.member \
    WHERE member.rolname <> session_user AND NOT member.rolsuper AND NOT EXISTS \
    (SELECT FROM pg_roles AS master WHERE master.rolname = 'rds_superuser' \
    AND pg_has_role(member.oid, master.oid, 'MEMBER'))) AS strangers ON strangers.roleid = one.oid";

/// A role: its name, its comment, whether it may log in, why it is never changed, one stranger, the
/// role that makes it log in otherwise, as which of those asked about it can act, and whether its mark
/// is the admin's to believe.
type Row = (String, Text, bool, Text, Text, Text, Vec<String>, bool);
type Text = Option<String>;

/// These roles, and every role whose comment names the secret. Inside a transaction of
/// [`sql::begin`](crate::sql::begin), which sets the search path.
///
/// A mark counts only where nobody but the admin and the partner that it names is a member of the
/// role, and from PostgreSQL 16 on only where the admin has ADMIN OPTION on it, as on each role that it
/// made: others could have written it to be given the secret's rights, and may be gone since.
pub(crate) async fn read(
    session: &mut Session,
    usernames: &[&str],
    secret: Option<&str>,
    cx: &Invocation,
) -> Result<Accounts> {
    let names: Vec<_> = usernames.iter().map(|name| quote(name)).collect();
    let names = names.join(", ");
    let mut wanted = format!("one.rolname IN ({names})");
    if let Some(secret) = secret {
        let secret = quote(secret);
        wanted += &format!(" OR strpos(shobj_description(one.oid, 'pg_authid'), {secret}) > 0");
    }
    let query = format!(
        "SELECT one.rolname, shobj_description(one.oid, 'pg_authid'), one.rolcanlogin, \
         CASE WHEN one.rolname = session_user THEN 'it is the admin itself' \
         WHEN one.rolsuper THEN 'it is a superuser' \
         WHEN one.rolcreaterole THEN 'it may create roles' \
         WHEN one.rolreplication THEN 'it may copy the whole server (REPLICATION)' || \
         CASE WHEN current_setting('server_version_num')::int < {ADMIN_OPTION} \
         THEN ', and before PostgreSQL 16 {BY_SUPERUSER}' ELSE '' END \
         WHEN left(one.rolname::text, 3) = 'pg_' THEN 'it is a role of the server''s own' \
         WHEN EXISTS (SELECT FROM pg_roles AS other \
         WHERE pg_has_role(one.oid, other.oid, 'MEMBER') AND (other.rolsuper OR \
         other.rolcreaterole OR other.rolname = session_user OR other.rolname IN ({POWERFUL}))) \
         THEN 'it is a member of a role that is an admin''s' END, strangers.rolname, \
         (SELECT other.rolname FROM pg_roles AS other WHERE NOT one.rolsuper \
         AND other.rolname IN ({OTHER_LOGIN}) AND pg_has_role(one.oid, other.oid, 'MEMBER') LIMIT 1), \
         ARRAY(SELECT other.rolname::text FROM pg_roles AS other \
         WHERE other.rolname IN ({names}) AND other.oid <> one.oid AND NOT one.rolsuper \
         AND pg_has_role(one.oid, other.oid, 'MEMBER')), \
         current_setting('server_version_num')::int < {ADMIN_OPTION} \
         OR pg_has_role(session_user, one.oid, 'MEMBER WITH ADMIN OPTION') \
         FROM pg_roles AS one {STRANGERS} WHERE {wanted}"
    );
    let mut accounts = Accounts::new();
    // A role has a row for each of its strangers.
    for row in session.rows::<Row>("a look at the roles", query, cx).await? {
        let (name, comment, usable, protected, stranger, other_login, acts_as, within_reach) = row;
        let other_login = other_login.map(|role| not_its_password(&name, &role));
        let account = match accounts.entry(name) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let mark = comment.as_deref().and_then(Mark::of_comment);
                let acts_as = acts_as.into_iter().collect();
                let account = Account { mark, acts_as, usable, ..Account::default() };
                entry.insert(Account { protected, other_login, ..account })
            }
        };
        let partner = account.mark.as_ref().map(|mark| mark.partner.as_str());
        let stranger = stranger.filter(|name| partner.is_some_and(|one| one != name));
        let beyond = partner.is_some() && !within_reach;
        if stranger.is_some() || beyond {
            account.mark = None;
            if secret.is_some() {
                cx.warn(disbelieved(stranger.as_deref()));
            }
        }
    }
    Ok(accounts)
}

fn not_its_password(user: &str, role: &str) -> String {
    format!(
        "it is a member of {role}, directly or through another role, and the server asks its members \
         for something else; take it out of that role, or stop rotating {user:?}"
    )
}

fn disbelieved(stranger: Option<&str>) -> String {
    let why = match stranger {
        Some(stranger) => format!(
            "{stranger:?}, who is neither the admin nor the other user, is a member of it; if it is \
             one, revoke that membership"
        ),
        None => {
            "the admin has no ADMIN OPTION on it, and so did not make it; if it is one, list it in \
                 ADOPT_USERS"
                .to_owned()
        }
    };
    format!(
        "a role whose comment names this secret is not taken for one of its users, because {why}"
    )
}
