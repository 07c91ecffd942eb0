//! Statements, put together from parts that cannot break out of them.
//!
//! Sources: Transact-SQL reference, "Constants", "Database Identifiers", "Backslash (Line
//! Continuation)", "ALTER LOGIN", "ALTER USER", "sp_getapplock", "SET LOCK_TIMEOUT".

use std::time::Duration;

use fourstep::{Error, ErrorKind, ExposeSecret, Result, SecretString};

/// The longest password, in units of UTF-16. Source: "Password Policy".
pub(crate) const LONGEST_PASSWORD: usize = 128;

/// The longest name of an account or a database, in units of UTF-16. Source: "Database Identifiers".
pub(crate) const LONGEST_NAME: usize = 128;

/// What a password belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A login of the server.
    Login,
    /// A user of a contained database, who logs in to that alone.
    ContainedUser,
}

/// An account, by the name that the server has for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) kind: Kind,
    pub(crate) name: String,
}

/// What the name of a login's lock begins with: it is taken in the database master, where every login
/// meets; that of a contained user in its own.
const LOGIN_LOCK: &str = "login:";

impl Account {
    /// The name of its lock. A server whose names have no case takes both for one.
    pub(crate) fn lock(&self) -> String {
        let name = self.name.to_lowercase();
        match self.kind {
            Kind::Login => format!("{LOGIN_LOCK}{name}"),
            Kind::ContainedUser => format!("user:{name}"),
        }
    }

    /// For messages.
    pub(crate) fn shown(&self) -> String {
        let kind = if self.kind == Kind::Login { "login" } else { "contained user" };
        format!("{kind} {:?}", self.name)
    }
}

/// The sessions of the login, which only whoever may see the server's state is shown beside its own; nothing
/// for others. Sources: SQL Server documentation, "sys.dm_exec_sessions", "HAS_PERMS_BY_NAME": that answers
/// null for a permission that an older version has not.
pub(crate) const SESSIONS: &str = "SELECT CONVERT(nvarchar(12), @@SPID), CONVERT(nvarchar(12), s.session_id) \
    FROM sys.dm_exec_sessions AS s WHERE s.original_login_name = ORIGINAL_LOGIN() \
    AND (HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW SERVER STATE') = 1 \
    OR HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW SERVER PERFORMANCE STATE') = 1)";

/// A statement that carries a password. Has no `Debug`. That the server keeps ALTER LOGIN's text out of its
/// traces is believed after SQL Server's documentation, "SQL Trace"; of ALTER USER none says so.
pub(crate) struct Statement(String);

impl Statement {
    /// The text, for the one place that sends it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Sets a password; with `old`, only if that is the present one.
    ///
    /// # Errors
    /// Those of [`text`].
    pub(crate) fn set_password(
        account: &Account,
        password: &SecretString,
        old: Option<&SecretString>,
    ) -> Result<Self> {
        let kind = if account.kind == Kind::Login { "LOGIN" } else { "USER" };
        let password = text("password", password.expose_secret())?;
        let name = name(&account.name);
        let mut statement = format!("ALTER {kind} {name} WITH PASSWORD = {password}");
        if let Some(old) = old {
            let old = text("password", old.expose_secret())?;
            statement.push_str(&format!(" OLD_PASSWORD = {old}"));
        }
        Ok(Self(statement))
    }
}

/// A name, whatever is in it.
pub(crate) fn name(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

/// A text. `field` is the secret's, in which it stands.
///
/// # Errors
/// [`ErrorKind::Unsupported`] of one with a backslash before the end of a line: the server takes both out.
pub(crate) fn text(field: &str, text: &str) -> Result<String> {
    if text.contains("\\\n") || text.contains("\\\r") {
        let what = format!(
            "the secret's field {field:?} has a backslash before the end of a line, which SQL Server \
             takes out of a statement; nothing was changed"
        );
        return Err(Error::new(ErrorKind::Unsupported, what));
    }
    Ok(format!("N'{}'", text.replace('\'', "''")))
}

/// Sets up a session in which no setting of the server makes a difference: a statement stands for itself,
/// and waits no longer than this for what others hold.
pub(crate) fn limits(wait: Duration) -> String {
    format!(
        "SET NOCOUNT ON; SET XACT_ABORT ON; SET IMPLICIT_TRANSACTIONS OFF; SET LOCK_TIMEOUT {}",
        milliseconds(wait)
    )
}

/// Takes a lock, which ends with the session: 0 or 1 where it is taken.
///
/// # Errors
/// Those of [`text`].
pub(crate) fn lock(lock: &str, wait: Duration) -> Result<String> {
    let place = if lock.starts_with(LOGIN_LOCK) { "master.." } else { "" };
    let resource = text("username", &format!("fourstep:{lock}"))?;
    Ok(format!(
        "DECLARE @taken int; EXEC @taken = {place}sp_getapplock @Resource = {resource}, \
         @LockMode = N'Exclusive', @LockOwner = N'Session', @LockTimeout = {}; \
         SELECT CONVERT(nvarchar(12), @taken)",
        milliseconds(wait)
    ))
}

/// At most a quarter of an hour, the longest that a function runs.
fn milliseconds(time: Duration) -> u128 {
    time.as_millis().min(900_000)
}

/// Whose session this is, and where. `authenticating_database_id` is 0 of a login, and the database of a
/// contained user. Source: Transact-SQL reference, "sys.dm_exec_sessions", which shows a session itself.
pub(crate) const IDENTITY: &str = "SELECT CONVERT(nvarchar(128), s.original_login_name), \
    CONVERT(nvarchar(128), s.login_name), CONVERT(nvarchar(12), s.authenticating_database_id), \
    CONVERT(nvarchar(12), DB_ID()), CONVERT(nvarchar(128), USER_NAME()), \
    CONVERT(nvarchar(20), DATABASEPROPERTYEX(DB_NAME(), N'Updateability')), \
    CONVERT(nvarchar(12), SERVERPROPERTY(N'IsHadrEnabled')) \
    FROM sys.dm_exec_sessions AS s WHERE s.session_id = @@SPID";

/// Whether the password of the session's login expires, when, and how old it is. Source: "LOGINPROPERTY",
/// which answers a login about itself.
pub(crate) const EXPIRATION: &str = "SELECT CONVERT(nvarchar(12), l.is_expiration_checked), \
    CONVERT(nvarchar(12), LOGINPROPERTY(l.name, N'DaysUntilExpiration')), \
    CONVERT(nvarchar(12), DATEDIFF(day, CONVERT(datetime, LOGINPROPERTY(l.name, N'PasswordLastSetTime')), \
    GETDATE())) FROM sys.sql_logins AS l WHERE l.name = ORIGINAL_LOGIN()";

/// What an admin may do to others, whether the database has contained users, and whether the admin sees
/// the roles of others in the database, and roles of the server that somebody made. Sources: "Metadata
/// Visibility Configuration", "sys.database_role_members", "sys.server_role_members".
pub(crate) const RIGHTS: &str = "SELECT \
    CONVERT(nvarchar(12), HAS_PERMS_BY_NAME(NULL, NULL, N'ALTER ANY LOGIN')), \
    CONVERT(nvarchar(12), HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), N'DATABASE', N'ALTER ANY USER')), \
    CONVERT(nvarchar(12), d.containment), \
    CONVERT(nvarchar(12), HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), N'DATABASE', N'VIEW DEFINITION')), \
    CONVERT(nvarchar(12), HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW ANY DEFINITION')) \
    FROM sys.databases AS d WHERE d.database_id = DB_ID()";

/// The contained user of this name, which is a text; and whether it asks this.
pub(crate) fn contained_user(user: &str) -> String {
    format!(
        "SELECT CONVERT(nvarchar(128), p.name), \
         CONVERT(nvarchar(12), CASE WHEN p.name = USER_NAME() THEN 1 ELSE 0 END) \
         FROM sys.database_principals AS p WHERE p.name = {user} AND p.authentication_type = 2"
    )
}

/// The login of this name, which is a text; whether it asks this, is disabled, or locked out.
pub(crate) fn login(user: &str) -> String {
    format!(
        "SELECT CONVERT(nvarchar(128), l.name), \
         CONVERT(nvarchar(12), CASE WHEN l.name = ORIGINAL_LOGIN() THEN 1 ELSE 0 END), \
         CONVERT(nvarchar(12), l.is_disabled), CONVERT(nvarchar(12), LOGINPROPERTY(l.name, N'IsLocked')) \
         FROM sys.sql_logins AS l WHERE l.name = {user}"
    )
}

/// The roles, and the rights, that make more than an application's of an account. Sources: "Server-Level
/// Roles", "Database-Level Roles".
pub(crate) fn powerful(kind: Kind) -> [[&'static str; 3]; 2] {
    match kind {
        Kind::Login => [
            ["sysadmin", "securityadmin", "##MS_LoginManager##"],
            ["CONTROL SERVER", "ALTER ANY LOGIN", "IMPERSONATE ANY LOGIN"],
        ],
        Kind::ContainedUser => [
            ["db_owner", "db_securityadmin", "db_accessadmin"],
            ["CONTROL", "ALTER ANY USER", "ALTER ANY ROLE"],
        ],
    }
}

/// Which of [`powerful`] the account of this name has, those that come by other roles included. The views
/// have different collations, which a UNION must not.
pub(crate) fn powers(kind: Kind, user: &str) -> String {
    let (whose, side, condition) = match kind {
        Kind::Login => ("sql_logins", "server", ""),
        Kind::ContainedUser => ("database_principals", "database", "p.class = 0 AND "),
    };
    let [roles, rights] =
        powerful(kind).map(|names| names.map(|name| format!("N'{name}'")).join(", "));
    format!(
        "WITH held AS (SELECT u.principal_id FROM sys.{whose} AS u WHERE u.name = {user} \
         UNION ALL SELECT m.role_principal_id FROM sys.{side}_role_members AS m \
         JOIN held AS h ON m.member_principal_id = h.principal_id) \
         SELECT CONVERT(nvarchar(128), r.name) COLLATE Latin1_General_BIN2 FROM held AS h \
         JOIN sys.{side}_principals AS r \
         ON r.principal_id = h.principal_id WHERE r.name IN ({roles}) \
         UNION SELECT CONVERT(nvarchar(128), p.permission_name) COLLATE Latin1_General_BIN2 FROM held AS h \
         JOIN sys.{side}_permissions AS p ON p.grantee_principal_id = h.principal_id \
         WHERE {condition}p.state IN ('G', 'W') AND p.permission_name IN ({rights})"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn account(kind: Kind, name: &str) -> Account {
        Account { kind, name: name.to_owned() }
    }

    #[test]
    fn parity_24_a_login_is_altered_as_one_and_a_contained_user_as_another() {
        let set = |kind, old: Option<&SecretString>| {
            let statement = Statement::set_password(&account(kind, "a]b"), &"n'ew".into(), old);
            statement.unwrap().expose().to_owned()
        };
        let old = SecretString::from("o'ld");
        let expected = "ALTER LOGIN [a]]b] WITH PASSWORD = N'n''ew' OLD_PASSWORD = N'o''ld'";
        assert_eq!(set(Kind::Login, Some(&old)), expected);
        assert_eq!(set(Kind::ContainedUser, None), "ALTER USER [a]]b] WITH PASSWORD = N'n''ew'");
    }

    #[test]
    fn the_lock_of_a_login_is_the_same_from_every_database() {
        let wait = Duration::from_millis(1500);
        let login = lock(&account(Kind::Login, "O'App").lock(), wait).unwrap();
        assert!(login.contains("EXEC @taken = master..sp_getapplock"), "{login}");
        assert!(login.contains("N'fourstep:login:o''app'"), "{login}");
        assert!(login.contains("@LockTimeout = 1500;"), "{login}");
        let user = lock(&account(Kind::ContainedUser, "login:x").lock(), wait).unwrap();
        assert!(user.contains("EXEC @taken = sp_getapplock"), "{user}");
    }

    /// What the server reads of a text or a name in quotation marks, up to where it ends.
    fn read(quoted: &str, end: char) -> (String, String) {
        let (mut read, mut rest) = (String::new(), quoted.chars().peekable());
        while let Some(one) = rest.next() {
            if one == end && rest.next_if_eq(&end).is_none() {
                break;
            }
            read.push(one);
        }
        (read, rest.collect())
    }

    proptest! {
        #[test]
        fn nothing_breaks_out(value in "[a'\\]\\[;\\\\\u{e9}\n -]{0,20}") {
            let quoted = name(&value);
            prop_assert_eq!(read(&quoted[1..], ']'), (value.clone(), String::new()));
            if let Ok(quoted) = text("username", &value) {
                prop_assert_eq!(read(&quoted[2..], '\''), (value, String::new()));
            } else {
                prop_assert!(value.contains("\\\n"));
            }
        }
    }
}
