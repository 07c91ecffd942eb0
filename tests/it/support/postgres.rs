//! A real PostgreSQL server, arranged by its superuser.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions, Connection, Executor, Row};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::skip;

/// The server that scripts/test starts.
#[derive(Clone)]
pub struct Server {
    pub host: String,
    pub port: u16,
    pub ca: String,
    pub other_ca: String,
    /// A read-only replica of it, on the same host. Its certificate has expired.
    pub replica: u16,
    /// A pooler in front of it, on the same host.
    pub pooler: u16,
    arranger: String,
    password: String,
    log: String,
}

/// The server, or None after skipping aloud.
pub fn server() -> Option<Server> {
    let variable = |name: &str| std::env::var(format!("FOURSTEP_TEST_POSTGRES_{name}")).ok();
    let port = |name: &str| variable(name)?.parse().ok();
    let server = (|| {
        Some(Server {
            host: variable("HOST")?,
            port: port("PORT")?,
            ca: variable("CA")?,
            other_ca: variable("OTHER_CA")?,
            replica: port("REPLICA_PORT").unwrap_or_default(),
            pooler: port("POOLER_PORT").unwrap_or_default(),
            arranger: variable("ARRANGER")?,
            password: variable("ARRANGER_PASSWORD")?,
            log: variable("LOG")?,
        })
    })();
    if server.is_none() {
        skip("FOURSTEP_TEST_POSTGRES_HOST and its companions");
    }
    server
}

/// PostgreSQL 15 and 18, each by itself: a CREATEROLE admin may do less from version 16 on. The second
/// is missing, after skipping aloud, where it could not be installed.
pub fn both_versions() -> Vec<Server> {
    [server(), further("POSTGRES18")].into_iter().flatten().collect()
}

/// Another server that scripts/test starts, by its name there, or None after skipping aloud.
pub fn further(name: &str) -> Option<Server> {
    let server = server()?;
    let variable = |what: &str| std::env::var(format!("FOURSTEP_TEST_{name}_{what}")).ok();
    let further = (|| {
        Some(Server {
            port: variable("PORT")?.parse().ok()?,
            ca: variable("CA")?,
            log: variable("LOG")?,
            replica: 0,
            pooler: 0,
            ..server
        })
    })();
    if further.is_none() {
        skip(&format!("FOURSTEP_TEST_{name}_PORT and its companions"));
    }
    further
}

/// Held by whoever uses the oldest server, which one test restarts.
static OLDEST: RwLock<()> = RwLock::const_new(());

/// Keeps the oldest server from being restarted.
pub async fn undisturbed() -> RwLockReadGuard<'static, ()> {
    OLDEST.read().await
}

/// Waits until nobody else uses the oldest server.
pub async fn alone() -> RwLockWriteGuard<'static, ()> {
    OLDEST.write().await
}

/// The server with a replica and a pooler beside it, or None after skipping aloud.
pub fn server_with_neighbours() -> Option<Server> {
    let server = server()?;
    if server.replica == 0 || server.pooler == 0 {
        skip("FOURSTEP_TEST_POSTGRES_REPLICA_PORT or FOURSTEP_TEST_POSTGRES_POOLER_PORT");
        return None;
    }
    Some(server)
}

/// A user of the server, made for one test.
#[derive(Clone)]
pub struct User {
    pub name: String,
    pub password: String,
}

static USERS: AtomicU32 = AtomicU32::new(0);

async fn run(connection: &mut PgConnection, sql: &str) {
    let query = sqlx::raw_sql(sqlx::AssertSqlSafe(sql));
    connection.execute(query).await.unwrap_or_else(|error| panic!("{error}"));
}

impl Server {
    /// The major version.
    pub async fn version(&self) -> u32 {
        self.setting("server_version_num").await.parse::<u32>().unwrap() / 10_000
    }

    /// Runs SQL as the superuser, in this database.
    pub async fn arrange_in(&self, database: &str, sql: &str) {
        let mut connection = self.superuser_in(database).await;
        run(&mut connection, sql).await;
        connection.close().await.unwrap();
    }

    /// Runs SQL as the superuser.
    pub async fn arrange(&self, sql: &str) {
        let mut connection = self.superuser().await;
        run(&mut connection, sql).await;
        connection.close().await.unwrap();
    }

    /// As [`arrange`](Self::arrange), for statements that hold a password: the server, which these
    /// tests have log everything, is told beforehand to keep nothing of it.
    pub async fn arrange_quietly(&self, sql: &str) {
        let mut connection = self.superuser().await;
        for setting in [
            "log_statement = none",
            "log_min_duration_statement = -1",
            "pg_stat_statements.track = none",
        ] {
            run(&mut connection, &format!("SET {setting}")).await;
        }
        run(&mut connection, sql).await;
        connection.close().await.unwrap();
    }

    /// A session of the superuser.
    pub async fn superuser(&self) -> PgConnection {
        self.superuser_in("postgres").await
    }

    /// A session of the superuser in this database.
    pub async fn superuser_in(&self, database: &str) -> PgConnection {
        self.options(&self.arranger, &self.password, database).connect().await.unwrap()
    }

    /// A new user with this stem in its name and a password that holds the canary.
    pub async fn user(&self, stem: &str) -> User {
        self.user_with(stem, &format!("canary-{}", uuid::Uuid::new_v4())).await
    }

    /// A new user with this password.
    pub async fn user_with(&self, stem: &str, password: &str) -> User {
        // Names must differ between the tests of one run, and between runs on one server.
        let number = USERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("{stem}{}_{number}", std::process::id());
        let quoted = name.replace('"', "\"\"");
        let literal = password.replace('\'', "''");
        self.arrange_quietly(&format!("CREATE ROLE \"{quoted}\" LOGIN PASSWORD '{literal}'")).await;
        User { name, password: password.to_owned() }
    }

    /// The password of the superuser, which the pooler's own users have too.
    pub fn arrangers_password(&self) -> String {
        self.password.clone()
    }

    /// The secret document of a user, in plaintext mode.
    pub fn document(&self, user: &User) -> Value {
        json!({
            "engine": "postgres",
            "host": self.host,
            "port": self.port,
            "username": user.name,
            "password": user.password,
            "dbname": "postgres",
            "ssl": false,
        })
    }

    /// Whether this user and password log in; any other failure than a wrong password is a panic.
    pub async fn logs_in(&self, user: &str, password: &str) -> bool {
        let mut tries = 0;
        loop {
            match self.options(user, password, "postgres").connect().await {
                Ok(connection) => {
                    connection.close().await.unwrap();
                    return true;
                }
                Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("28P01") => {
                    return false;
                }
                // Other tests use connections too.
                Err(sqlx::Error::Database(error))
                    if error.code().as_deref() == Some("53300") && tries < 50 =>
                {
                    tries += 1;
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// A shell's words that run SQL from a file as the superuser.
    pub fn shell(&self, database: &str, file: &Path) -> String {
        let Self { host, port, arranger, password, .. } = self;
        format!(
            "PGPASSWORD='{password}' psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --host={host} \
             --port={port} --username='{arranger}' --dbname='{database}' --file='{}'",
            file.display()
        )
    }

    /// As [`logs_in`](Self::logs_in), for names that the driver cannot put into SCRAM: asked of
    /// psql, which leaves the name out as the protocol wants it.
    pub async fn logs_in_somehow(&self, user: &str, password: &str) -> bool {
        let output = tokio::process::Command::new("psql")
            .args(["--no-psqlrc", "--no-password", "--quiet", "--command", "SELECT 1", "postgres"])
            .env("PGHOST", &self.host)
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", user)
            .env("PGPASSWORD", password)
            .env("PGSSLMODE", "disable")
            .output()
            .await
            .unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() || complaint.contains("password authentication failed"),
            "{complaint}"
        );
        output.status.success()
    }

    /// The stored verifier of a user: changes with every ALTER ROLE ... PASSWORD.
    pub async fn verifier(&self, user: &User) -> String {
        let mut connection = self.superuser().await;
        let query =
            sqlx::query("SELECT rolpassword FROM pg_authid WHERE rolname = $1").bind(&user.name);
        query.fetch_one(&mut connection).await.unwrap().get(0)
    }

    /// Waits until a session of this user is in such a state.
    pub async fn wait_for_session(&self, user: &User, state: &str) {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = ";
        self.wait_for(&format!("{sql}'{}' AND {state}", user.name)).await;
    }

    /// Waits until this query of the superuser's says something other than 0.
    async fn wait_for(&self, query: &str) {
        assert!(self.comes_to(query).await, "it did not come to this: {query}");
    }

    /// Whether this query of the superuser's says something other than 0 within two minutes.
    async fn comes_to(&self, query: &str) -> bool {
        let mut connection = self.superuser().await;
        for _ in 0..6000 {
            let row = connection.fetch_one(sqlx::AssertSqlSafe(query)).await.unwrap();
            if row.get::<i64, _>(0) != 0 {
                connection.close().await.unwrap();
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        false
    }

    /// Waits until the replica has all that was done here so far.
    pub async fn replica_has_all(&self) {
        let position = self.text("SELECT pg_current_wal_flush_lsn()::text").await;
        let replica = Self { port: self.replica, ..self.clone() };
        let sql = "SELECT count(*) FROM pg_last_wal_replay_lsn() AS at WHERE at >=";
        if !replica.comes_to(&format!("{sql} '{position}'")).await {
            let followers =
                "SELECT coalesce(json_agg(f)::text, 'nobody') FROM pg_stat_replication f";
            panic!("the replica is behind {position}; who follows: {}", self.text(followers).await);
        }
    }

    /// What the server has logged so far about this user.
    pub fn log_about(&self, user: &str) -> String {
        let bytes = std::fs::read(&self.log).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        text.lines().filter(|line| line.contains(user)).collect::<Vec<_>>().join("\n")
    }

    /// How much the server has logged so far, in bytes.
    pub fn log_length(&self) -> u64 {
        std::fs::metadata(&self.log).unwrap().len()
    }

    /// Where the server writes its log.
    pub fn log_path(&self) -> PathBuf {
        self.log.clone().into()
    }

    /// What the server has logged since its log was this long, other tests' doings included.
    pub fn log_since(&self, length: u64) -> String {
        let bytes = std::fs::read(&self.log).unwrap();
        String::from_utf8_lossy(&bytes[usize::try_from(length).unwrap()..]).into_owned()
    }

    /// Every statement that pg_stat_statements keeps.
    pub async fn kept_statements(&self) -> String {
        let mut connection = self.superuser().await;
        let rows = sqlx::query("SELECT query FROM pg_stat_statements").fetch_all(&mut connection);
        let rows = rows.await.unwrap();
        rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
    }

    /// The text that this query of the superuser's answers with.
    pub async fn text(&self, query: &str) -> String {
        let mut connection = self.superuser().await;
        connection.fetch_one(sqlx::AssertSqlSafe(query)).await.unwrap().get(0)
    }

    /// A setting as a new session of the superuser has it.
    pub async fn setting(&self, name: &str) -> String {
        let mut connection = self.superuser().await;
        let query = sqlx::query("SELECT current_setting($1)").bind(name);
        query.fetch_one(&mut connection).await.unwrap().get(0)
    }

    /// Connection options for anyone, without TLS.
    pub fn options(&self, user: &str, password: &str, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username(user)
            .password(password)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
            .disable_statement_logging()
    }
}
