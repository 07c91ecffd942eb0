//! What an admin does to one user: sets its password, where that user is no more than an
//! application's.

use async_trait::async_trait;
use fourstep::users::driver::{lacks_rights, never_changed};
use fourstep::users::{Administered, Login};
use fourstep::{Error, ErrorKind, Finding, Invocation, Result};

use crate::alternate::extra;
use crate::change::{Prepared, own_account};
use crate::session::{At, Kind, Session};
use crate::sql::{self, quote_identifier};
use crate::{Postgres, accounts, preflight, redshift};

/// From this version on a CREATEROLE admin may change only roles that it has ADMIN OPTION on.
/// Source: PostgreSQL 16 release notes, "Privileges".
pub(crate) const ADMIN_OPTION: i32 = 160_000;

/// Refuses a user that is absent, or more than an application's.
async fn guard(session: &mut Session, user: &str, cx: &Invocation) -> Result<()> {
    let accounts = accounts::read(session, &[user], None, cx).await?;
    let account = accounts.get(user).ok_or_else(|| {
        let what = format!("role {user:?} does not exist");
        Error::new(ErrorKind::NotFound, what).caused_by("create it, or correct the name")
    })?;
    match (&account.other_login, &account.protected) {
        (Some(why), _) => {
            let what = format!("the password of user {user:?} is not what it logs in with");
            Err(Error::new(ErrorKind::Unsupported, what).caused_by(why))
        }
        (None, Some(why)) => Err(protected(user, why)),
        (None, None) => Ok(()),
    }
}

fn protected(user: &str, why: &str) -> Error {
    if !why.contains(accounts::BY_SUPERUSER) {
        return never_changed(format!("user {user:?}"), why);
    }
    Error::new(ErrorKind::Unsupported, format!("user {user:?} is never changed by an admin"))
        .caused_by(format!("{why}; rotate a user without that attribute"))
}

/// What the session's user lacks to alter these users and to make them members of each other: the
/// statements that give it and no more, each with the user that it is about, if it is about one. Those
/// that do not exist need nothing. An ADMIN OPTION of a role whose rights the admin does not inherit
/// lets it alter a user, and not make it a member.
pub(crate) async fn lacks(
    session: &mut Session,
    users: &[&str],
    cx: &Invocation,
) -> Result<Vec<(String, String)>> {
    let version = session.version;
    let names: Vec<_> = users.iter().map(|user| sql::quote(user)).collect();
    let query = format!(
        "SELECT session_user::text, own.rolcreaterole, role.rolname, \
         upper(pg_has_role(session_user, role.oid, 'USAGE')::text), \
         upper(pg_has_role(session_user, role.oid, '{}')::text) \
         FROM pg_roles AS own LEFT JOIN pg_roles AS role ON role.rolname IN ({}) \
         AND NOT EXISTS (SELECT FROM pg_auth_members AS m WHERE m.roleid = role.oid \
         AND m.admin_option AND pg_has_role(session_user, m.member, 'USAGE')) \
         WHERE own.rolname = session_user AND NOT own.rolsuper ORDER BY 3",
        sql::set_mode(version),
        names.join(", ")
    );
    let mut statements = Vec::new();
    type Row = (String, bool, Option<String>, Option<String>, Option<String>);
    for row in session.rows::<Row>("a look at the admin's rights", query, cx).await? {
        let (admin, creates, role, inherits, sets) = row;
        let admin = quote_identifier(&admin);
        if !creates && statements.is_empty() {
            statements.push((String::new(), format!("ALTER ROLE {admin} CREATEROLE")));
        }
        if version >= ADMIN_OPTION
            && let (Some(role), Some(inherits), Some(sets)) = (role, inherits, sets)
        {
            // What it has of the role stays, and it is given no more of it.
            let options = format!("WITH ADMIN TRUE, INHERIT {inherits}, SET {sets}");
            let grant = format!("GRANT {} TO {admin} {options}", quote_identifier(&role));
            statements.push((role, grant));
        }
    }
    Ok(statements)
}

/// What the session's user lacks to alter a role that exists, and what would keep that role out
/// whatever its password is.
async fn obstacles(session: &mut Session, user: &str, cx: &Invocation) -> Result<Vec<Error>> {
    let lacks = lacks(session, &[user], cx).await?;
    let query = format!(
        "SELECT rolcanlogin, rolvaliduntil < now() \
         FROM (VALUES (1)) AS one LEFT JOIN pg_roles ON rolname = {}",
        sql::quote(user)
    );
    let (let_in, expired): (Option<bool>, Option<bool>) =
        session.ask("a look at the user", query, cx).await?;
    let role = quote_identifier(user);
    let no_login = (let_in == Some(false)).then(|| {
        let what = format!("user {user:?} may not log in (NOLOGIN); nothing was changed");
        shut_out(what, &format!("ALTER ROLE {role} LOGIN"))
    });
    let expired = (expired == Some(true)).then(|| self::expired(user));
    let statements = lacks.iter().map(|(_, statement)| statement.as_str());
    let lacks = (!lacks.is_empty()).then(|| lacks_rights(statements));
    Ok([lacks, no_login, expired].into_iter().flatten().collect())
}

/// The error of a user whose time is over.
pub(crate) fn expired(user: &str) -> Error {
    let what = format!(
        "VALID UNTIL of user {user:?} has passed, so that the server refuses every password of it; \
         nothing was changed; set a time to come, or none"
    );
    shut_out(what, &format!("ALTER ROLE {} VALID UNTIL 'infinity'", quote_identifier(user)))
}

/// The error of a user whom no password lets in, with the statement that does.
fn shut_out(what: String, statement: &str) -> Error {
    Error::new(ErrorKind::Forbidden, what).caused_by(format!("have this run: {statement}"))
}

#[async_trait]
impl Administered for Postgres {
    async fn prepare_admin(&self, at: &mut At<'_>) -> Result<()> {
        own_account(at).await
    }

    async fn prepare_reset(&self, admin: &mut At<'_>, target: &Login) -> Result<Prepared> {
        if Kind::of(target) != admin.session.kind {
            let what =
                "the admin's secret and the user's differ in \"engine\"; correct one of them";
            return Err(Error::new(ErrorKind::Mismatch, what));
        }
        self.prepare(&admin.session, (&target.username, false), &target.password, admin.cx)
    }

    async fn objections(&self, admin: &mut At<'_>, user: &str) -> Result<Vec<Error>> {
        if admin.session.kind == Kind::Redshift {
            return redshift::objections(&mut admin.session, user, admin.cx).await;
        }
        // What gives the admin a hand in a user that is never changed is not advised: membership in one
        // that logs in otherwise would make the admin log in so, too.
        match guard(&mut admin.session, user, admin.cx).await {
            Err(error) => Ok(vec![error]),
            Ok(()) => obstacles(&mut admin.session, user, admin.cx).await,
        }
    }

    async fn remarks(
        &self,
        admin: &mut At<'_>,
        user: &str,
        partner: Option<&str>,
    ) -> Result<Vec<Finding>> {
        if admin.session.kind == Kind::Redshift {
            return Ok(vec![redshift::late_change()]);
        }
        let mut findings = preflight::of_role(&mut admin.session, user, admin.cx).await?;
        if let Some(partner) = partner {
            findings.extend(extra::mentions(&mut admin.session, partner, admin.cx).await?);
        }
        Ok(findings)
    }
}
