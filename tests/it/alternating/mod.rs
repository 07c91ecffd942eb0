//! Two users of which the second acts as the first, on real PostgreSQL 15 and 18, by an admin that is
//! no superuser and has what docs/postgres-admin.md says it needs, and no more.

mod beside;
mod carried;
mod conformance;
mod forgery;
mod gifts;
mod hostile;
mod kills;
mod laptop;
mod listeners;
mod ownership;
mod rights;
mod rotations;
mod strangers;
mod traps;

use fourstep::store::AWSCURRENT;
use fourstep::{Question, Step};
use fourstep_local::NewSecret;
use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Row};

use crate::support::postgres::{Server, User};
use crate::support::stage::Stage;

/// A shop: two databases of one owner, who logs in nowhere; an application's user with rights
/// there; an admin.
pub struct Shop {
    pub server: Server,
    pub stage: Stage,
    pub app: User,
    pub admin: User,
    /// A role that owns schemas and tables in both databases.
    pub owner: String,
    /// A role that the application's user is a member of.
    pub readers: String,
    pub databases: [String; 2],
}

/// What an admin needs of a role from PostgreSQL 16 on.
pub const ADMIN_ONLY: &str = "WITH ADMIN TRUE, INHERIT FALSE, SET FALSE";

/// Fills in the names of a shop.
pub fn fill(sql: &str, names: &[(&str, &str)]) -> String {
    let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    names
        .iter()
        .fold(sql.to_owned(), |sql, (key, name)| sql.replace(&format!("${key}"), &quote(name)))
}

impl Shop {
    /// A shop whose user has rights of every usual kind.
    pub async fn open(server: &Server, variables: &[(&str, &str)]) -> Self {
        let shop = Self::bare(server, "app", variables).await;
        for database in &shop.databases {
            shop.in_database(
                database,
                "CREATE SCHEMA \"Sales %\" AUTHORIZATION $owner;
                 SET ROLE $owner;
                 CREATE TABLE \"Sales %\".\"Or\"\"ders\" (id serial, total int, note text);
                 CREATE TABLE \"Sales %\".audit (id int, who text);
                 CREATE FUNCTION \"Sales %\".tax(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2';
                 CREATE PROCEDURE \"Sales %\".\"close it\"(INOUT a int) LANGUAGE sql AS 'SELECT 1';
                 REVOKE ALL ON FUNCTION \"Sales %\".tax(int) FROM PUBLIC;
                 CREATE TYPE \"Sales %\".mood AS ENUM ('good');
                 REVOKE USAGE ON TYPE \"Sales %\".mood FROM PUBLIC;
                 GRANT USAGE, CREATE ON SCHEMA \"Sales %\" TO $app;
                 GRANT SELECT, INSERT, UPDATE ON \"Sales %\".\"Or\"\"ders\" TO $app;
                 GRANT DELETE ON \"Sales %\".\"Or\"\"ders\" TO $app WITH GRANT OPTION;
                 GRANT SELECT (id), UPDATE (who) ON \"Sales %\".audit TO $app;
                 GRANT USAGE ON SEQUENCE \"Sales %\".\"Or\"\"ders_id_seq\" TO $app;
                 GRANT EXECUTE ON FUNCTION \"Sales %\".tax(int) TO $app;
                 GRANT EXECUTE ON PROCEDURE \"Sales %\".\"close it\"(int) TO $app;
                 GRANT USAGE ON TYPE \"Sales %\".mood TO $app;
                 ALTER DEFAULT PRIVILEGES IN SCHEMA \"Sales %\" GRANT SELECT ON TABLES TO $app;
                 RESET ROLE;
                 GRANT CREATE, TEMPORARY ON DATABASE $database TO $app",
            )
            .await;
        }
        shop.arrange(
            "GRANT $readers TO $app;
             ALTER ROLE $app CONNECTION LIMIT 20 VALID UNTIL '2099-01-01';
             ALTER ROLE $app SET search_path = \"Sales %\", public;
             ALTER ROLE $app SET statement_timeout = '9s';
             ALTER ROLE $app IN DATABASE $first SET work_mem = '5MB'",
        )
        .await;
        shop
    }

    /// A shop whose user, named with this stem, has no rights yet.
    pub async fn bare(server: &Server, stem: &str, variables: &[(&str, &str)]) -> Self {
        let app = server.user(stem).await;
        let admin = server.user("admin").await;
        let unique = admin.name.trim_start_matches("admin").to_owned();
        let [owner, readers] = ["owner", "readers"].map(|name| format!("{name}{unique}"));
        let databases = ["First DB ", "second"].map(|name| format!("{name}{unique}"));
        let mut document = server.document(&app);
        document["dbname"] = json!(databases[0]);
        document["masterarn"] = json!("admin");
        let always = [("ROTATION_STRATEGY", "alternating-users,single-user-by-admin")];
        let stage = Stage::new(&document, &[&always[..], variables].concat());
        let shop = Self { server: server.clone(), stage, app, admin, owner, readers, databases };
        let value = Some(server.document(&shop.admin).to_string().as_str().into());
        shop.stage.store.create("admin", NewSecret { value, ..NewSecret::default() }).unwrap();
        // What docs/postgres-admin.md says that an admin needs.
        shop.arrange("CREATE ROLE $owner; CREATE ROLE $readers; ALTER ROLE $admin CREATEROLE")
            .await;
        for database in &shop.databases {
            let create = fill("CREATE DATABASE $database OWNER $owner", &[("database", database)]);
            shop.arrange(&create).await;
        }
        if server.version().await >= 16 {
            shop.arrange(&format!("GRANT $app TO $admin {ADMIN_ONLY}")).await;
        }
        shop
    }

    /// Another configuration of the function.
    pub fn configure(&mut self, variables: &[(&str, &str)]) {
        let always = [("ROTATION_STRATEGY", "alternating-users")];
        let all = [&always[..], variables].concat();
        self.stage.rotator = rotate_postgres::strategies(&all.into_iter().collect()).unwrap();
    }

    fn names(&self) -> Vec<(&str, &str)> {
        vec![
            ("app_clone", "-"),
            ("app", &self.app.name),
            ("admin", &self.admin.name),
            ("owner", &self.owner),
            ("readers", &self.readers),
            ("first", &self.databases[0]),
            ("second", &self.databases[1]),
        ]
    }

    /// Runs SQL as the superuser, with the shop's names filled in.
    pub async fn arrange(&self, sql: &str) {
        let clone = self.clone_name();
        let sql = fill(sql, &[("clone", clone.as_str())]);
        self.server.arrange(&fill(&sql, &self.names())).await;
    }

    /// The same in one of its databases, which is `$database`.
    pub async fn in_database(&self, database: &str, sql: &str) {
        let clone = self.clone_name();
        let sql = fill(sql, &[("database", database), ("clone", clone.as_str())]);
        self.server.arrange_in(database, &fill(&sql, &self.names())).await;
    }

    /// The user that is made.
    pub fn clone_name(&self) -> String {
        format!("{}_clone", self.app.name)
    }

    /// A whole rotation; returns the document that is current after it.
    pub async fn rotate(&self) -> Value {
        self.stage.play(&Step::ALL).await;
        self.stage.document(AWSCURRENT)
    }

    /// createSecret and setSecret of a new rotation; what the first that fails says.
    pub async fn refusal(&self) -> String {
        let token = self.stage.begin();
        for step in [Step::Create, Step::Set] {
            let ended = self.stage.step(step, &token).await;
            if ended.result.is_err() {
                let error = ended.error();
                self.stage.cancel();
                return error;
            }
        }
        panic!("it was not refused");
    }

    /// Whether a document's user and password log in.
    pub async fn logs_in(&self, document: &Value) -> bool {
        let text = |field: &str| document[field].as_str().unwrap();
        self.server.logs_in(text("username"), text("password")).await
    }

    /// What the function's plan prints.
    pub async fn plan(&self) -> Vec<String> {
        let answer = self.stage.ask(Question::Plan).await;
        let lines = answer["plan"].as_array().unwrap().iter();
        lines.map(|line| line.as_str().unwrap().to_owned()).collect()
    }

    /// A session of the user that a version names, in this database.
    pub async fn session(&self, label: &str, database: &str) -> PgConnection {
        let document = self.stage.document(label);
        let text = |field: &str| document[field].as_str().unwrap();
        let options = self.server.options(text("username"), text("password"), database);
        options.connect().await.unwrap()
    }

    /// Runs SQL in such a session of its own.
    pub async fn as_user(&self, label: &str, database: &str, sql: &str) {
        let mut session = self.session(label, database).await;
        let run = session.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await;
        run.unwrap_or_else(|error| panic!("{label}: {error}: {sql}"));
        session.close().await.unwrap();
    }

    /// What one text column of one row says in such a session, or why it says nothing.
    pub async fn asks(&self, label: &str, database: &str, sql: &str) -> String {
        let mut session = self.session(label, database).await;
        let row = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_one(&mut session).await;
        session.close().await.unwrap();
        row.map_or_else(|error| error.to_string(), |row| row.get(0))
    }

    /// Makes the second user as AWS's template does, in whose SQL it is a member of the first.
    pub async fn as_awss_template(&self, password: &str) {
        let make = format!("CREATE ROLE \"{}\" LOGIN PASSWORD '{password}'", self.clone_name());
        self.server.arrange_quietly(&make).await;
        self.arrange("GRANT $app TO $clone").await;
        if self.server.version().await >= 16 {
            self.arrange(&format!("GRANT $clone TO $admin {ADMIN_ONLY}")).await;
        }
    }

    /// Has the secret name the second user.
    pub fn name_the_second(&self, password: &str) {
        let mut document = self.stage.document(AWSCURRENT);
        document["username"] = json!(self.clone_name());
        document["password"] = json!(password);
        self.stage.put_current(&document);
    }

    /// Removes the databases, in which the roles are mentioned.
    pub async fn close(self) {
        for database in &self.databases {
            let drop = fill("DROP DATABASE $database WITH (FORCE)", &[("database", database)]);
            self.server.arrange(&drop).await;
        }
    }
}
