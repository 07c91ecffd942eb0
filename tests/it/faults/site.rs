//! What a fault asks of the server that it stands on, whichever kind that is.

use async_trait::async_trait;
use serde_json::Value;
use sqlx::{Connection, Row};

use crate::support::postgres::User;
use crate::support::stage::Stage;
use crate::support::{mysql, postgres};

/// A server with users whose passwords are rotated.
#[async_trait]
pub trait Site: Clone + Send + Sync + 'static {
    fn host(&self) -> &str;

    fn port(&self) -> u16;

    async fn new_user(&self) -> User;

    fn document(&self, user: &User) -> Value;

    /// A stage for this secret, and the function for this kind of server.
    fn stage(&self, document: &Value, variables: &[(&str, &str)]) -> Stage;

    /// Runs SQL as the administrator, who is logged nowhere.
    async fn arrange(&self, sql: &str);

    /// A user that may do to this user what its admin has to.
    async fn new_admin(&self, user: &User) -> User;

    /// A name that begins as this user's and has no room for a suffix.
    fn long_name(&self, user: &User) -> String;

    /// What the server keeps of these users, of those that there are: something else after every
    /// change of a password, and for every other user.
    async fn kept(&self, users: &[String]) -> String;

    /// How these users may log in, and as whom they can act: a line for each, which begins with two
    /// names, as they stand in statements.
    async fn standing(&self, users: &[String]) -> String;

    async fn logs_in(&self, user: &str, password: &str) -> bool;
}

#[async_trait]
impl Site for postgres::Server {
    fn host(&self) -> &str {
        &self.host
    }

    fn port(&self) -> u16 {
        self.port
    }

    async fn new_user(&self) -> User {
        self.user("fault").await
    }

    fn document(&self, user: &User) -> Value {
        self.document(user)
    }

    fn stage(&self, document: &Value, variables: &[(&str, &str)]) -> Stage {
        Stage::new(document, variables)
    }

    async fn arrange(&self, sql: &str) {
        self.arrange_quietly(sql).await;
    }

    async fn new_admin(&self, user: &User) -> User {
        let admin = self.user("admin").await;
        let rights = format!(
            "ALTER ROLE \"{1}\" CREATEROLE; GRANT \"{0}\" TO \"{1}\" WITH ADMIN OPTION",
            user.name, admin.name
        );
        self.arrange_quietly(&rights).await;
        admin
    }

    fn long_name(&self, user: &User) -> String {
        format!("{:x<60}", user.name)
    }

    async fn kept(&self, users: &[String]) -> String {
        let mut connection = self.superuser().await;
        let query = "SELECT COALESCE(string_agg(concat_ws(' ', rolname, rolpassword, rolcanlogin, \
                     shobj_description(oid, 'pg_authid')), ', ' ORDER BY rolname), '') \
                     FROM pg_authid WHERE rolname = ANY ($1)";
        let row = sqlx::query(query).bind(users).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        row.get(0)
    }

    async fn standing(&self, users: &[String]) -> String {
        let mut connection = self.superuser().await;
        let query = "SELECT COALESCE(string_agg(line, E'\\n'), '') FROM ( \
                     SELECT concat_ws(E'\\t', rolname, rolname, rolcanlogin, rolsuper, rolcreaterole, \
                     rolvaliduntil) AS line FROM pg_roles WHERE rolname = ANY ($1) UNION ALL \
                     SELECT concat_ws(E'\\t', one.rolname, other.rolname) FROM pg_roles AS one, \
                     pg_roles AS other WHERE one.rolname = ANY ($1) AND NOT one.rolsuper \
                     AND one.oid <> other.oid AND pg_has_role(one.oid, other.oid, 'MEMBER')) AS lines";
        let row = sqlx::query(query).bind(users).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        row.get(0)
    }

    async fn logs_in(&self, user: &str, password: &str) -> bool {
        self.logs_in(user, password).await
    }
}

#[async_trait]
impl Site for mysql::Server {
    fn host(&self) -> &str {
        &self.host
    }

    fn port(&self) -> u16 {
        self.port
    }

    async fn new_user(&self) -> User {
        self.user("fault").await
    }

    fn document(&self, user: &User) -> Value {
        self.document(user)
    }

    fn stage(&self, document: &Value, variables: &[(&str, &str)]) -> Stage {
        self.stage(document, variables)
    }

    async fn arrange(&self, sql: &str) {
        self.arrange(sql).await;
    }

    async fn new_admin(&self, _: &User) -> User {
        let admin = self.user("admin").await;
        let account = format!("'{}'@'127.%'", admin.name);
        let roles = if self.is_mysql() { ", ROLE_ADMIN" } else { "" };
        let rights = format!(
            "GRANT CREATE USER{roles} ON *.* TO {account}; GRANT SELECT ON mysql.* TO {account};"
        );
        self.arrange(&rights).await;
        admin
    }

    fn long_name(&self, user: &User) -> String {
        let most = if self.is_mysql() { 30 } else { 125 };
        format!("{:x<most$}", user.name)
    }

    async fn kept(&self, users: &[String]) -> String {
        let columns = match self.is_mysql() {
            true => "user, host, HEX(authentication_string), user_attributes, account_locked",
            false => "user, host, authentication_string",
        };
        let users: Vec<_> = users.iter().map(|user| format!("'{user}'")).collect();
        let of = format!("FROM mysql.user WHERE user IN ({}) ORDER BY 1, 2", users.join(", "));
        self.arrange(&format!("SELECT {columns} {of}")).await
    }

    async fn standing(&self, users: &[String]) -> String {
        let users: Vec<_> = users.iter().map(|user| format!("'{user}'")).collect();
        let users = users.join(", ");
        let (standing, roles) = match self.is_mysql() {
            true => (
                "user, host, plugin, account_locked, create_user_priv, super_priv, grant_priv \
                 FROM mysql.user",
                "SELECT to_user, from_user FROM mysql.role_edges WHERE to_user",
            ),
            false => (
                "user, host, JSON_VALUE(priv, '$.plugin'), JSON_VALUE(priv, '$.account_locked'), \
                 JSON_VALUE(priv, '$.access') FROM mysql.global_priv",
                "SELECT user, role FROM mysql.roles_mapping WHERE user",
            ),
        };
        self.arrange(&format!("SELECT {standing} WHERE user IN ({users}); {roles} IN ({users})"))
            .await
    }

    async fn logs_in(&self, user: &str, password: &str) -> bool {
        self.logs_in(user, password).await
    }
}
