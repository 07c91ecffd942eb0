//! Which users are more than an application's.
//!
//! Asked of the tables in which MySQL keeps rights, for what matters and nothing else: what it costs
//! does not grow with the rights that a user has.

use std::collections::BTreeMap;

use fourstep::{Invocation, Result};

use crate::alternate::accounts::powerful;
use crate::alternate::quoting::{AccountName, quote_literal};
use crate::alternate::read::table;
use crate::session::Session;

/// What is asked of an account and of every role that it reaches.
///
/// With any of these on the whole server a user is as good as an admin: it makes users, gives itself
/// roles, or acts as others; and so it is if it may write to the server's own tables. INSERT and
/// UPDATE on the whole server are not among them, although they reach those tables: many an
/// application has them. (MySQL 9.7 reference manual, section 8.2.2, "Privileges Provided by MySQL".)
const POWERFUL: &str = r"
SELECT who, CASE 'Y' WHEN Super_priv THEN 'SUPER' WHEN Create_user_priv THEN 'CREATE USER'
    WHEN Create_role_priv THEN 'CREATE ROLE' ELSE 'DROP ROLE' END
FROM reach JOIN mysql.user USING (User, Host)
WHERE 'Y' IN (Super_priv, Create_user_priv, Create_role_priv, Drop_role_priv)
UNION ALL
SELECT who, CONVERT(PRIV USING utf8mb4) FROM reach JOIN mysql.global_grants USING (User, Host)
WHERE PRIV IN ('ROLE_ADMIN', 'SYSTEM_USER', 'SET_USER_ID', 'SET_ANY_DEFINER',
    'PASSWORDLESS_USER_ADMIN')
UNION ALL
SELECT who, CONCAT(CASE 'Y' WHEN Insert_priv THEN 'INSERT' WHEN Update_priv THEN 'UPDATE'
    ELSE 'DELETE' END, ' on `', CONVERT(Db USING utf8mb4), '`.*')
FROM reach JOIN mysql.db USING (User, Host)
WHERE 'Y' IN (Insert_priv, Update_priv, Delete_priv) AND 'mysql' LIKE Db ESCAPE '\'
UNION ALL
SELECT who, CONCAT('the right to write to `mysql`.`', CONVERT(Table_name USING utf8mb4), '`')
FROM reach JOIN mysql.tables_priv USING (User, Host)
WHERE Db = 'mysql' AND (Table_priv REGEXP 'Insert|Update|Delete'
    OR Column_priv REGEXP 'Insert|Update')";

/// Why an account is as good as an admin, if it is.
pub(crate) async fn of_account(
    session: &mut Session,
    account: &AccountName,
    cx: &Invocation,
) -> Result<Option<String>> {
    let (user, host) =
        (quote_literal(&account.user), quote_literal(account.host.as_deref().unwrap_or_default()));
    let found = of(session, &format!("User = {user} AND Host = {host}"), cx).await?;
    Ok(found.into_values().next())
}

/// Of these accounts, the users of those that are as good as an admin, and why.
pub(crate) async fn of(
    session: &mut Session,
    accounts: &str,
    cx: &Invocation,
) -> Result<BTreeMap<String, String>> {
    let query = format!("{}{POWERFUL}", reach("User", accounts));
    let found = table(session, &query, cx).await?;
    Ok(found.into_iter().map(|[user, privilege]| (user, powerful(&privilege))).collect())
}

/// The beginning of a query about accounts and all roles that they reach, which it finds in `reach`:
/// `who` it began with, and `User` and `Host` of the account or role.
pub(crate) fn reach(who: &str, accounts: &str) -> String {
    format!(
        "WITH RECURSIVE reach (who, User, Host) AS (
            SELECT {who}, User, Host FROM mysql.user WHERE {accounts}
            UNION SELECT who, FROM_USER, FROM_HOST FROM reach JOIN mysql.role_edges
            ON TO_USER = User AND TO_HOST = Host)"
    )
}
