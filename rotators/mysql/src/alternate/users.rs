//! A user's accounts as an admin sees them: one for each host pattern, with rights and settings.

use std::collections::{BTreeMap, BTreeSet};

use fourstep::{Error, ErrorKind, Turn};

use crate::alternate::rights::{self, ALL, AccountName, Object, Right, Rights};
use crate::alternate::settings::{self, Settings};
use crate::alternate::text::text;
use crate::server::Flavour;
use crate::session::{Failure, Session};

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) rights: Rights,
    /// MariaDB keeps one that was revoked, to no effect.
    pub(crate) default_roles: BTreeSet<AccountName>,
    pub(crate) settings: Settings,
}

/// A user's accounts by their host patterns.
pub(crate) type User = BTreeMap<String, Account>;

/// Everything that one user may do and is set to. Empty if there is no such user.
///
/// # Errors
/// [`ErrorKind::Forbidden`] if the admin may not see it.
pub(crate) async fn read(session: &mut Session, user: &str, turn: &Turn) -> Result<User, Error> {
    let mut accounts = User::new();
    for (host, settings) in settings_of(session, user, turn).await? {
        let name = AccountName::new(user, &host);
        let rights = rights_of(session, &name, turn).await?;
        let default_roles = default_roles(session, &name, turn).await?;
        accounts.insert(host, Account { rights, default_roles, settings });
    }
    Ok(accounts)
}

/// The settings of a user's accounts, by their host patterns.
pub(crate) async fn settings_of(
    session: &mut Session,
    user: &str,
    turn: &Turn,
) -> Result<BTreeMap<String, Settings>, Error> {
    let flavour = session.server.flavour;
    let rows = look(session, &settings::query(flavour, user), turn).await?;
    let read = |row| settings::read(flavour, row).ok_or_else(not_understood);
    rows.into_iter().map(read).collect()
}

/// What an account or a role may do, without what it has through roles.
pub(crate) async fn rights_of(
    session: &mut Session,
    name: &AccountName,
    turn: &Turn,
) -> Result<Rights, Error> {
    let rights = shown(session, &format!("SHOW GRANTS FOR {}", name.sql()), turn).await?;
    if !rights.iter().any(is_all) {
        return Ok(rights);
    }
    let rows = privileges(session, name, turn).await?;
    written_out(rights, rows).ok_or_else(not_understood)
}

fn is_all(right: &Right) -> bool {
    matches!(right, Right::Held { name, .. } if name == ALL)
}

/// Rights with what stands behind the abbreviation for all of an object's: by these rows, of which
/// each is a schema, a table and a privilege.
fn written_out(rights: Rights, rows: Vec<[Option<String>; 3]>) -> Option<Rights> {
    let (abbreviated, mut written_out): (Rights, Rights) = rights.into_iter().partition(is_all);
    for [object @ .., privilege] in rows {
        let on = match object {
            [None, _] => Object::Server,
            [Some(schema), None] => Object::Schema(schema),
            [Some(schema), Some(table)] => Object::Table(schema, table),
        };
        let all = Right::Held { on: on.clone(), name: ALL.to_owned(), column: None };
        if abbreviated.contains(&all) {
            let name = privilege.filter(|name| rights::is_privilege(name))?;
            written_out.insert(Right::Held { on, name, column: None });
        }
    }
    Some(written_out)
}

/// The session's own rights, with those of the roles that are in force.
pub(crate) async fn own_rights(session: &mut Session, turn: &Turn) -> Result<Rights, Error> {
    shown(session, "SHOW GRANTS", turn).await
}

async fn shown(session: &mut Session, statement: &str, turn: &Turn) -> Result<Rights, Error> {
    let rows = look(session, statement, turn).await?;
    let lines = rows.iter().flatten().flatten().map(String::as_str);
    rights::read(lines).ok_or_else(not_understood)
}

/// Schema, table and name of each privilege on the server, a schema or a table. Here the server
/// writes out what SHOW GRANTS abbreviates.
async fn privileges(
    session: &mut Session,
    name: &AccountName,
    turn: &Turn,
) -> Result<Vec<[Option<String>; 3]>, Error> {
    let grantee = name.grantee();
    let from = |table: &str, object: &str| {
        format!(
            "SELECT GRANTEE, {object}, PRIVILEGE_TYPE FROM information_schema.{table}_PRIVILEGES \
             WHERE GRANTEE = {}",
            text(&grantee)
        )
    };
    let query = [
        from("USER", "NULL, NULL"),
        from("SCHEMA", "TABLE_SCHEMA, NULL"),
        from("TABLE", "TABLE_SCHEMA, TABLE_NAME"),
    ];
    let mut found = Vec::new();
    for row in look(session, &query.join(" UNION ALL "), turn).await? {
        let [whose, schema, table, privilege] = row.try_into().map_err(|_| not_understood())?;
        // The server compares without case here.
        if whose.as_deref() == Some(grantee.as_str()) {
            found.push([schema, table, privilege]);
        }
    }
    Ok(found)
}

async fn default_roles(
    session: &mut Session,
    name: &AccountName,
    turn: &Turn,
) -> Result<BTreeSet<AccountName>, Error> {
    let (user, host) = (text(&name.user), text(name.host.as_deref().unwrap_or_default()));
    let query = match session.server.flavour {
        Flavour::Mysql => format!(
            "SELECT DEFAULT_ROLE_USER, DEFAULT_ROLE_HOST FROM mysql.default_roles \
             WHERE USER = {user} AND HOST = {host}"
        ),
        Flavour::Mariadb => format!(
            "SELECT JSON_VALUE(Priv, '$.default_role'), NULL FROM mysql.global_priv \
             WHERE User = {user} AND Host = {host} \
             AND COALESCE(JSON_VALUE(Priv, '$.default_role'), '') <> ''"
        ),
    };
    let mut roles = BTreeSet::new();
    for row in look(session, &query, turn).await? {
        let [user, host] = row.try_into().map_err(|_| not_understood())?;
        roles.insert(AccountName { user: user.ok_or_else(not_understood)?, host });
    }
    Ok(roles)
}

/// Which of these tables exist, each with its columns. A right on what was dropped stays behind, and
/// cannot be given to anybody.
pub(crate) async fn columns(
    session: &mut Session,
    tables: &BTreeSet<(String, String)>,
    turn: &Turn,
) -> Result<BTreeMap<(String, String), BTreeSet<String>>, Error> {
    if tables.is_empty() {
        return Ok(BTreeMap::new());
    }
    let pair = |(schema, table): &(String, String)| format!("({}, {})", text(schema), text(table));
    let query = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS \
         WHERE (TABLE_SCHEMA, TABLE_NAME) IN ({})",
        tables.iter().map(pair).collect::<Vec<_>>().join(", ")
    );
    let mut found: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for row in look(session, &query, turn).await? {
        let row: [Option<String>; 3] = row.try_into().map_err(|_| not_understood())?;
        let [Some(schema), Some(table), Some(column)] = row else { return Err(not_understood()) };
        found.entry((schema, table)).or_default().insert(column);
    }
    Ok(found)
}

/// A query that only shows something.
pub(crate) async fn look(
    session: &mut Session,
    query: &str,
    turn: &Turn,
) -> Result<Vec<Vec<Option<String>>>, Error> {
    let what = "a look at the server's users";
    let answer = session.run(what, query, turn).await;
    answer.map_err(|failure| match failure {
        Failure::Refused(refusal) if matches!(refusal.number, 1044 | 1142 | 1143 | 1227) => {
            let what = "the admin may not see what the server's users may do";
            let own = AccountName::new(session.server.user(), session.server.host());
            let way = format!("have this run: GRANT SELECT ON mysql.* TO {}", own.sql());
            Error::new(ErrorKind::Forbidden, what).caused_by(way).caused_by(refusal.code())
        }
        failure => failure.of(what),
    })
}

fn not_understood() -> Error {
    let what = "what the server says of its users is not understood";
    Error::new(ErrorKind::Unsupported, what).caused_by("report it, with the server's version")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_privileges_are_written_out_by_names_that_can_stand_in_a_statement() {
        let all = || rights::read(["GRANT ALL PRIVILEGES ON `app`.* TO `s1`@`%`"]).unwrap();
        let row = |name: &str| vec![[Some("app".to_owned()), None, Some(name.to_owned())]];
        let select = rights::read(["GRANT SELECT ON `app`.* TO `s1`@`%`"]);
        assert_eq!(written_out(all(), row("SELECT")), select);
        for name in ["SELECT ON *.* TO 'x'@'%' -- ", "SELECT, SUPER", "select", "", "GRANT\nOPTION"]
        {
            assert_eq!(written_out(all(), row(name)), None, "{name}");
        }
    }
}
