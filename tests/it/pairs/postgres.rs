//! The scene on PostgreSQL: a shop in two databases, a third that refuses connections, and an admin
//! that has `CREATEROLE` and, from version 16 on, `ADMIN OPTION` on the two users, and nothing else.

mod rounds;

use std::sync::atomic::AtomicU32;

use fourstep_local::NewSecret;
use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Connection, Executor, Row};

use super::restart_command;
use crate::alternating::fill;
use crate::support::postgres::{Server, User, further, server};
use crate::support::stage::Stage;

/// A shop with its application's user.
pub struct Shop {
    pub server: Server,
    pub stage: Stage,
    pub app: User,
    pub admin: User,
    /// Two that work, and one that refuses connections.
    pub databases: [String; 3],
    unique: String,
    works: AtomicU32,
    restart: String,
    /// Whether the server is one of those that nobody mends any more.
    old: bool,
}

/// A shop at a server that nobody else uses, so that it may be restarted. None after skipping aloud.
pub async fn restartable(name: &str) -> Option<Shop> {
    let server = further(name)?;
    let mut shop = Shop::open(&server).await;
    shop.restart = restart_command(name);
    Some(shop)
}

/// Every version, each once, for what needs no restart.
pub fn servers() -> Vec<Server> {
    [further("POSTGRES_OLD"), server(), further("POSTGRES18")].into_iter().flatten().collect()
}

/// What the shop has in each of its databases. `$far` logs in for the foreign table.
const DATABASE: &str = "
    CREATE SCHEMA shop AUTHORIZATION $owner;
    CREATE EXTENSION postgres_fdw;
    CREATE SERVER $loop FOREIGN DATA WRAPPER postgres_fdw
        OPTIONS (host '127.0.0.1', port '@port', dbname '@name');
    CREATE USER MAPPING FOR $app SERVER $loop OPTIONS (user '@far', password 'far-1');
    GRANT USAGE ON FOREIGN SERVER $loop TO $app;
    GRANT CREATE, TEMPORARY ON DATABASE $database TO $app;
    SET ROLE $owner;
    CREATE TABLE shop.orders (id serial, who name DEFAULT current_user, total int, note text);
    ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON shop.orders USING (who = current_user) WITH CHECK (who = current_user);
    CREATE TABLE shop.audit (id int, who text);
    CREATE TABLE shop.remote (a int);
    INSERT INTO shop.remote VALUES (7);
    GRANT USAGE ON SCHEMA shop TO $far;
    GRANT SELECT ON shop.remote TO $far;
    CREATE FUNCTION shop.tax(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2';
    REVOKE ALL ON FUNCTION shop.tax(int) FROM PUBLIC;
    CREATE TYPE shop.mood AS ENUM ('good');
    REVOKE USAGE ON TYPE shop.mood FROM PUBLIC;
    GRANT USAGE, CREATE ON SCHEMA shop TO $app;
    GRANT SELECT, INSERT, UPDATE ON shop.orders TO $app;
    GRANT USAGE ON SEQUENCE shop.orders_id_seq TO $app;
    GRANT SELECT (id) ON shop.audit TO $app;
    GRANT EXECUTE ON FUNCTION shop.tax(int) TO $app;
    GRANT USAGE ON TYPE shop.mood TO $app;
    ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO $app;
    SET ROLE $app;
    CREATE FOREIGN TABLE shop.far (a int) SERVER $loop
        OPTIONS (schema_name 'shop', table_name 'remote');
    ALTER DEFAULT PRIVILEGES FOR ROLE $app IN SCHEMA shop GRANT SELECT ON TABLES TO $readers;
    CREATE TABLE shop.made (n int, \"1\" int);
    CREATE TABLE shop.files (id oid);
    INSERT INTO shop.files VALUES (lo_create(0));
    CREATE FUNCTION shop.made() RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE VIEW shop.seen AS SELECT 1 AS n;
    CREATE TYPE shop.colour AS ENUM ('red');
    CREATE SCHEMA $own;
    RESET ROLE";

impl Shop {
    pub async fn open(server: &Server) -> Self {
        let shop = Self::bare(server).await;
        let names = |text: &str, database: &str| {
            text.replace("@port", &server.port.to_string())
                .replace("@name", database)
                .replace("@far", &format!("far{}", shop.unique))
        };
        server.arrange_quietly(&shop.fill("CREATE ROLE $far LOGIN PASSWORD 'far-1'")).await;
        for database in &shop.databases {
            shop.in_database(database, &names(DATABASE, database)).await;
        }
        let [_, _, closed] = &shop.databases;
        shop.in_database(closed, "GRANT CONNECT ON DATABASE $database TO $app").await;
        shop.arrange(
            "ALTER ROLE $app CONNECTION LIMIT 20 VALID UNTIL '2099-01-01';
             ALTER ROLE $app SET search_path = public, shop;
             ALTER ROLE $app IN DATABASE $first SET work_mem = '5MB';
             ALTER DATABASE $closed ALLOW_CONNECTIONS false",
        )
        .await;
        shop
    }

    /// A shop whose user has no rights yet, in databases that are empty.
    pub async fn bare(server: &Server) -> Self {
        let (app, admin) = (server.user("app").await, server.user("admin").await);
        let unique = admin.name.trim_start_matches("admin").to_owned();
        let databases = ["first", "second", "closed"].map(|name| format!("{name}{unique}"));
        let mut document = server.document(&app);
        document["dbname"] = json!(databases[0]);
        document["masterarn"] = json!("admin");
        let stage = Stage::new(&document, &[("ROTATION_STRATEGY", "alternating-users")]);
        let value = Some(server.document(&admin).to_string().as_str().into());
        stage.store.create("admin", NewSecret { value, ..NewSecret::default() }).unwrap();
        let (server, works) = (server.clone(), AtomicU32::new(0));
        let old = server.version().await < 12;
        let restart = String::new();
        let shop = Self { server, stage, app, admin, databases, unique, works, restart, old };
        shop.arrange("CREATE ROLE $owner; CREATE ROLE $readers; ALTER ROLE $admin CREATEROLE")
            .await;
        for database in &shop.databases {
            let create = fill("CREATE DATABASE $database OWNER $owner", &[("database", database)]);
            shop.arrange(&create).await;
        }
        if shop.server.version().await >= 16 {
            let grant = "GRANT $app TO $admin WITH ADMIN TRUE, INHERIT FALSE, SET FALSE";
            shop.arrange(grant).await;
        }
        shop
    }

    /// Fills in the names of this shop.
    pub fn fill(&self, sql: &str) -> String {
        let of = |name: &str| format!("{name}{}", self.unique);
        let made = ["owner", "readers", "far", "loop", "own"].map(of);
        let [owner, readers, far, server, own] = made.each_ref().map(String::as_str);
        let (clone, [first, second, closed]) = (self.clone_name(), &self.databases);
        let names = [
            ("clone", clone.as_str()),
            ("app", &self.app.name),
            ("admin", &self.admin.name),
            ("owner", owner),
            ("own", own),
            ("readers", readers),
            ("far", far),
            ("loop", server),
            ("first", first),
            ("second", second),
            ("closed", closed),
        ];
        fill(sql, &names)
    }

    /// Runs SQL as the superuser, with the shop's names filled in.
    pub async fn arrange(&self, sql: &str) {
        self.server.arrange(&self.fill(sql)).await;
    }

    /// The same in one of its databases, which is `$database`.
    pub async fn in_database(&self, database: &str, sql: &str) {
        let sql = fill(sql, &[("database", database)]);
        self.server.arrange_in(database, &self.fill(&sql)).await;
    }

    /// The user that is made.
    pub fn clone_name(&self) -> String {
        format!("{}_clone", self.app.name)
    }

    /// A session of a document's user.
    pub async fn session(&self, document: &Value, database: &str) -> Result<PgConnection, String> {
        let text = |field: &str| document[field].as_str().unwrap();
        let options = self.server.options(text("username"), text("password"), database);
        options.connect().await.map_err(|error| format!("login: {error}"))
    }

    /// The same by way of the pooler.
    pub async fn pooled_session(
        &self,
        document: &Value,
        name: &str,
    ) -> Result<PgConnection, String> {
        let text = |field: &str| document[field].as_str().unwrap();
        let options = self.server.options(text("username"), text("password"), name);
        let options = options.port(self.server.pooler);
        options.connect().await.map_err(|error| format!("login at the pooler: {error}"))
    }

    /// The role that owns what is not the application's.
    pub fn owner(&self) -> String {
        format!("owner{}", self.unique)
    }

    /// The number that a query of the superuser's answers.
    pub async fn count(&self, database: &str, query: &str) -> i64 {
        let mut connection = self.server.superuser_in(database).await;
        let row = connection.fetch_one(sqlx::AssertSqlSafe(self.fill(query))).await.unwrap();
        connection.close().await.unwrap();
        row.get(0)
    }
}

/// Runs SQL of several statements.
pub async fn run(session: &mut PgConnection, sql: &str) -> Result<(), String> {
    let query = sqlx::raw_sql(sqlx::AssertSqlSafe(sql));
    session.execute(query).await.map(drop).map_err(|error| error.to_string())
}
