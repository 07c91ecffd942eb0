//! Real MongoDB servers, and an independent one of today's protocol, arranged by their administrator
//! through a client that shares no code with rotate-mongodb: `scripts/lib/mongodb_client.py`.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use fourstep::Environment;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::RwLock;

use super::accounts::Accounts;
use super::logs::Logs;
use super::skip;
use super::stage::Stage;

pub use super::postgres::User;

/// A server that scripts/test starts.
#[derive(Clone)]
pub struct Server {
    pub port: u16,
    /// The folder of certificates, logs and process ids.
    dir: String,
    client: String,
    pub arranger: User,
}

/// The role that lets a user change its own password.
pub const OWN: &str = "ownPassword";

static USERS: AtomicU32 = AtomicU32::new(0);

fn variable(name: &str) -> Option<String> {
    std::env::var(format!("FOURSTEP_TEST_MONGODB{name}")).ok()
}

/// A server by its name in scripts/test, or None after skipping aloud.
fn server(name: &str) -> Option<Server> {
    let server = (|| {
        let (arranger, password) = (variable("_ARRANGER")?, variable("_ARRANGER_PASSWORD")?);
        Some(Server {
            port: variable(&format!("{name}_PORT"))?.parse().ok()?,
            dir: variable("_DIR")?,
            client: variable("_CLIENT")?,
            arranger: User { name: arranger, password },
        })
    })();
    if server.is_none() {
        skip(&format!("FOURSTEP_TEST_MONGODB{name}_PORT and its companions"));
    }
    server
}

/// MongoDB 3.6 by itself.
pub fn mongodb() -> Option<Server> {
    server("")
}

/// The primary of a replica set with a secondary and an arbiter.
pub fn replica_set() -> Option<Server> {
    server("_SET")
}

/// The secondary.
pub fn secondary() -> Option<Server> {
    server("_OTHER")
}

/// A mongos.
pub fn mongos() -> Option<Server> {
    server("_MONGOS")
}

/// SecantusDB: today's protocol, SCRAM-SHA-256, without customData and privileges in its answers.
pub fn secantus() -> Option<Server> {
    server("_NEW")
}

/// Written by who disturbs the replica set, read by who counts on it.
pub static SET: RwLock<()> = RwLock::const_new(());

/// Every one that is MongoDB.
pub fn servers() -> Vec<Server> {
    [mongodb(), replica_set(), mongos()].into_iter().flatten().collect()
}

impl Server {
    /// Runs a command as this user, in a session of its own if `anew`.
    pub async fn ask(&self, user: &User, source: &str, database: &str, command: Value) -> Value {
        let mut stream = BufReader::new(TcpStream::connect(&self.client).await.unwrap());
        let asked = json!({
            "port": self.port, "user": user.name, "password": user.password, "source": source,
            "database": database, "tls": true, "command": command,
            "anew": user.name != self.arranger.name,
        });
        stream.write_all(format!("{asked}\n").as_bytes()).await.unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Runs a command as the administrator.
    pub async fn arrange_in(&self, database: &str, command: Value) -> Value {
        let answer = self.ask(&self.arranger, "admin", database, command.clone()).await;
        assert!(answer["ok"].is_object(), "{command}: {answer}");
        answer["ok"].clone()
    }

    pub async fn arrange(&self, command: Value) -> Value {
        self.arrange_in("admin", command).await
    }

    /// A role with these privileges in this database, which may be there already.
    pub async fn role(&self, database: &str, name: &str, privileges: Value) {
        let command = json!({"createRole": name, "privileges": privileges, "roles": []});
        let answer = self.ask(&self.arranger, "admin", database, command).await;
        let there = [11000, 51002].contains(&answer["error"].as_i64().unwrap_or(0));
        assert!(answer["ok"].is_object() || there, "{answer}");
    }

    pub fn name(stem: &str) -> String {
        let number = USERS.fetch_add(1, Ordering::Relaxed);
        format!("{stem}{}_{number}", std::process::id())
    }

    /// A new user that may change its own password.
    pub async fn user(&self, stem: &str) -> User {
        let own = json!([{"resource": {"db": "admin", "collection": ""}, "actions": ["changeOwnPassword"]}]);
        self.role("admin", OWN, own).await;
        self.user_with(stem, "admin", json!([OWN])).await
    }

    /// A new user in this database, with these roles and a password that holds the canary.
    pub async fn user_with(&self, stem: &str, database: &str, roles: Value) -> User {
        let password = format!("canary-{}", uuid::Uuid::new_v4());
        let user = User { name: Self::name(stem), password };
        self.create(&user, database, roles).await;
        user
    }

    pub async fn create(&self, user: &User, database: &str, roles: Value) {
        let command = json!({"createUser": user.name, "pwd": user.password, "roles": roles});
        self.arrange_in(database, command).await;
    }

    /// A new admin without root.
    pub async fn admin(&self) -> User {
        self.user_with("admin", "admin", json!(["userAdminAnyDatabase", "clusterMonitor"])).await
    }

    /// What the server says of a user.
    pub async fn info(&self, database: &str, user: &str) -> Value {
        let command = json!({
            "usersInfo": [{"user": user, "db": database}], "showPrivileges": true,
            "showAuthenticationRestrictions": true,
        });
        self.arrange_in(database, command).await["users"][0].clone()
    }

    /// What the server keeps of a user: something else after every change of a password.
    pub async fn kept(&self, user: &str) -> String {
        let command = json!({"find": "system.users", "filter": {"user": user}});
        self.arrange(command).await["cursor"]["firstBatch"].to_string()
    }

    /// Whether this user and password log in; any other failure than a refused login is a panic.
    pub async fn logs_in_at(&self, database: &str, user: &str, password: &str) -> bool {
        let user = User { name: user.to_owned(), password: password.to_owned() };
        let mut answer = json!(null);
        // A member that has just changed its part closes every connection.
        for _ in 0..30 {
            answer = self.ask(&user, database, "admin", json!({"connectionStatus": 1})).await;
            if answer["error"] != 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        }
        assert!(answer["ok"].is_object() || answer["error"] == 18, "{answer}");
        answer["ok"].is_object()
    }

    pub async fn logs_in(&self, user: &str, password: &str) -> bool {
        self.logs_in_at("admin", user, password).await
    }

    /// The secret document of a user, over verified TLS.
    pub fn document(&self, user: &User) -> Value {
        json!({
            "engine": "mongo", "host": "localhost", "port": self.port,
            "username": user.name, "password": user.password, "ssl": true,
        })
    }

    /// What a function needs to trust this server.
    pub fn variables(&self) -> Vec<(String, String)> {
        vec![("TLS_CA_BUNDLE".to_owned(), self.file("tls/ca.pem"))]
    }

    /// A stage for a secret with this document, and rotate-mongodb with these variables besides.
    pub fn stage(&self, document: &Value, variables: &[(&str, &str)]) -> Stage {
        self.stage_of_text(&document.to_string(), variables)
    }

    /// The same for a secret that holds this text.
    pub fn stage_of_text(&self, text: &str, variables: &[(&str, &str)]) -> Stage {
        let more = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let environment: Environment = self.variables().into_iter().chain(more).collect();
        Stage::of(rotate_mongodb::strategies, text, environment)
    }

    /// A file in the servers' folder.
    pub fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.dir)
    }

    /// Sends a signal to one of the servers' processes, by its name in scripts/lib/mongodb.sh.
    pub async fn signal(&self, name: &str, signal: &str) {
        let pid = std::fs::read_to_string(self.file(&format!("{name}.pid"))).unwrap();
        let done = tokio::process::Command::new("kill").args([signal, pid.trim()]).status().await;
        assert!(done.unwrap().success());
    }

    /// What all servers log from now on.
    pub fn logs_from_now(&self) -> Logs {
        let names = ["one", "set", "other", "mongos", "config"];
        Logs::from_now(names.map(|name| self.file(&format!("{name}.log"))))
    }
}

#[async_trait]
impl Accounts for Server {
    const REFUSED: &'static str = "error 18";
    const DEFAULT_PORT: u16 = 27017;

    async fn user(&self, stem: &str) -> User {
        self.user(stem).await
    }

    fn document(&self, user: &User) -> Value {
        self.document(user)
    }

    fn stage_of_text(&self, text: &str, variables: &[(&str, &str)]) -> Stage {
        self.stage_of_text(text, variables)
    }

    async fn logs_in(&self, user: &str, password: &str) -> bool {
        self.logs_in(user, password).await
    }

    async fn kept(&self, user: &str) -> String {
        self.kept(user).await
    }

    async fn set_password(&self, user: &str, password: &str) {
        self.arrange(json!({"updateUser": user, "pwd": password})).await;
    }
}
