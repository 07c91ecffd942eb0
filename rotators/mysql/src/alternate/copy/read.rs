//! A user's accounts as MariaDB shows them to an admin: one for each host pattern, with rights and
//! settings.

use std::collections::{BTreeMap, BTreeSet};

use fourstep::{Invocation, Result};

use crate::alternate::copy::rights::{self, ALL, Object, Right, Rights};
use crate::alternate::quoting::{AccountName, quote_literal};
use crate::alternate::read::{look, not_understood, settings_of, table};
use crate::alternate::settings::Settings;
use crate::session::Session;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) rights: Rights,
    /// One that was revoked is kept, to no effect.
    pub(crate) default_roles: BTreeSet<AccountName>,
    pub(crate) settings: Settings,
}

/// A user's accounts by their host patterns.
pub(crate) type User = BTreeMap<String, Account>;

/// Everything that one user may do and is set to. Empty if there is no such user.
///
/// # Errors
/// [`ErrorKind::Forbidden`] if the admin may not see it.
pub(crate) async fn read(session: &mut Session, user: &str, cx: &Invocation) -> Result<User> {
    let mut accounts = User::new();
    for (host, settings) in settings_of(session, user, cx).await? {
        let name = AccountName::new(user, &host);
        let mut rights = rights_of(session, &name, cx).await?;
        // Of these the tables may say otherwise, and are what counts at the next start.
        rights.retain(|right| !matches!(right, Right::Proxy { .. }));
        rights.extend(proxies(session, &name, cx).await?);
        let default_roles = default_roles(session, &name, cx).await?;
        accounts.insert(host, Account { rights, default_roles, settings });
    }
    Ok(accounts)
}

/// As which others an account may act.
async fn proxies(session: &mut Session, name: &AccountName, cx: &Invocation) -> Result<Rights> {
    let (user, host) =
        (quote_literal(&name.user), quote_literal(name.host.as_deref().unwrap_or_default()));
    let query = format!(
        "SELECT Proxied_user, Proxied_host, With_grant FROM mysql.proxies_priv \
         WHERE User = {user} AND Host = {host}"
    );
    let mut rights = Rights::new();
    for [user, host, option] in table(session, &query, cx).await? {
        let of = AccountName { user, host: Some(host) };
        rights.insert(Right::Proxy { of: of.clone(), option: false });
        if option == "1" {
            rights.insert(Right::Proxy { of, option: true });
        }
    }
    Ok(rights)
}

/// What an account or a role may do, without what it has through roles.
pub(crate) async fn rights_of(
    session: &mut Session,
    name: &AccountName,
    cx: &Invocation,
) -> Result<Rights> {
    let rights = shown(session, &format!("SHOW GRANTS FOR {}", name.sql()), cx).await?;
    if !rights.iter().any(is_all) {
        return Ok(rights);
    }
    let rows = privileges(session, name, cx).await?;
    written_out(rights, rows).ok_or_else(not_understood)
}

fn is_all(right: &Right) -> bool {
    matches!(right, Right::Held { name, .. } if name == ALL)
}

/// Rights with what stands behind the abbreviation for all of an object's: by these rows, of which
/// each is a schema, a table, a column and a privilege. What is held on columns beside all of a table
/// is not shown, and would come to light once one of all was taken.
fn written_out(rights: Rights, rows: Vec<[Option<String>; 4]>) -> Option<Rights> {
    let (abbreviated, mut written_out): (Rights, Rights) = rights.into_iter().partition(is_all);
    for [schema, table, column, privilege] in rows {
        let on = match [schema, table] {
            [None, _] => Object::Server,
            [Some(schema), None] => Object::Schema(schema),
            [Some(schema), Some(table)] => Object::Table(schema, table),
        };
        let all = Right::Held { on: on.clone(), name: ALL.to_owned(), column: None };
        if abbreviated.contains(&all) {
            let name = privilege.filter(|name| rights::is_privilege(name))?;
            written_out.insert(Right::Held { on, name, column });
        }
    }
    Some(written_out)
}

async fn shown(session: &mut Session, statement: &str, cx: &Invocation) -> Result<Rights> {
    let rows = look(session, statement, cx).await?;
    let lines = rows.iter().flatten().flatten().map(String::as_str);
    rights::read(lines)
}

/// Schema, table, column and name of each privilege. Here the server writes out what SHOW GRANTS
/// abbreviates.
async fn privileges(
    session: &mut Session,
    name: &AccountName,
    cx: &Invocation,
) -> Result<Vec<[Option<String>; 4]>> {
    let grantee = name.grantee();
    let from = |table: &str, object: &str| {
        format!(
            "SELECT GRANTEE, {object}, PRIVILEGE_TYPE FROM information_schema.{table}_PRIVILEGES \
             WHERE GRANTEE = {}",
            quote_literal(&grantee)
        )
    };
    let query = [
        from("USER", "NULL, NULL, NULL"),
        from("SCHEMA", "TABLE_SCHEMA, NULL, NULL"),
        from("TABLE", "TABLE_SCHEMA, TABLE_NAME, NULL"),
        from("COLUMN", "TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME"),
    ];
    let mut found = Vec::new();
    for row in look(session, &query.join(" UNION ALL "), cx).await? {
        let [whose, schema, table, column, privilege] =
            row.try_into().map_err(|_| not_understood())?;
        // The server compares without case here.
        if whose.as_deref() == Some(grantee.as_str()) {
            found.push([schema, table, column, privilege]);
        }
    }
    Ok(found)
}

async fn default_roles(
    session: &mut Session,
    name: &AccountName,
    cx: &Invocation,
) -> Result<BTreeSet<AccountName>> {
    let (user, host) =
        (quote_literal(&name.user), quote_literal(name.host.as_deref().unwrap_or_default()));
    let query = format!(
        "SELECT JSON_VALUE(Priv, '$.default_role') FROM mysql.global_priv \
         WHERE User = {user} AND Host = {host} \
         AND COALESCE(JSON_VALUE(Priv, '$.default_role'), '') <> ''"
    );
    let mut roles = BTreeSet::new();
    for row in look(session, &query, cx).await? {
        let [user] = row.try_into().map_err(|_| not_understood())?;
        roles.insert(AccountName { user: user.ok_or_else(not_understood)?, host: None });
    }
    Ok(roles)
}

/// Which of these tables exist, each with its columns. A right on what was dropped stays behind, and
/// cannot be given to anybody.
pub(crate) async fn columns(
    session: &mut Session,
    tables: &BTreeSet<(String, String)>,
    cx: &Invocation,
) -> Result<BTreeMap<(String, String), BTreeSet<String>>> {
    if tables.is_empty() {
        return Ok(BTreeMap::new());
    }
    let pair = |(schema, table): &(String, String)| {
        format!("({}, {})", quote_literal(schema), quote_literal(table))
    };
    let query = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS \
         WHERE (TABLE_SCHEMA, TABLE_NAME) IN ({})",
        tables.iter().map(pair).collect::<Vec<_>>().join(", ")
    );
    let mut found: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for row in look(session, &query, cx).await? {
        let row: [Option<String>; 3] = row.try_into().map_err(|_| not_understood())?;
        let [Some(schema), Some(table), Some(column)] = row else { return Err(not_understood()) };
        found.entry((schema, table)).or_default().insert(column);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_on_columns_beside_all_of_a_table_is_seen() {
        let all = rights::read(["GRANT ALL PRIVILEGES ON `app`.`t` TO `s1`@`%`"]).unwrap();
        let row = |column: Option<&str>, name: &str| {
            let [schema, table] = ["app", "t"].map(|part| Some(part.to_owned()));
            [schema, table, column.map(str::to_owned), Some(name.to_owned())]
        };
        let rows = vec![row(None, "SELECT"), row(Some("a"), "UPDATE")];
        let shown = rights::read(["GRANT SELECT, UPDATE (`a`) ON `app`.`t` TO `s1`@`%`"]);
        assert_eq!(written_out(all, rows), shown.ok());
    }

    #[test]
    fn all_privileges_are_written_out_by_names_that_can_stand_in_a_statement() {
        let all = || rights::read(["GRANT ALL PRIVILEGES ON `app`.* TO `s1`@`%`"]).unwrap();
        let row = |name: &str| vec![[Some("app".to_owned()), None, None, Some(name.to_owned())]];
        let select = rights::read(["GRANT SELECT ON `app`.* TO `s1`@`%`"]);
        assert_eq!(written_out(all(), row("SELECT")), select.ok());
        for name in ["SELECT ON *.* TO 'x'@'%' -- ", "SELECT, SUPER", "select", "", "GRANT\nOPTION"]
        {
            assert_eq!(written_out(all(), row(name)), None, "{name}");
        }
    }
}
