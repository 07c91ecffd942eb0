//! A server that speaks SQL Server's protocol, of which each test starts one of its own, and FreeTDS's
//! tsql, which is asked whether a password works. `scripts/lib/sqlserver_server.py` says what is others'
//! in it and what is a double.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use fourstep::Environment;
use fourstep_local::NewSecret;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

use super::accounts::Accounts;
use super::skip;
use super::stage::Stage;

pub use super::postgres::User;

/// A running server; it ends with the last of these.
#[derive(Clone)]
pub struct Server {
    pub port: u16,
    dir: String,
    tsql: String,
    wires: Arc<Mutex<Wires>>,
}

struct Wires {
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

static USERS: AtomicU32 = AtomicU32::new(0);

/// A new server, or None after skipping aloud.
pub async fn sqlserver() -> Option<Server> {
    let variable = |name: &str| std::env::var(format!("FOURSTEP_TEST_SQLSERVER_{name}")).ok();
    let (Some(dir), Some(python), Some(tsql)) =
        (variable("DIR"), variable("PYTHON"), variable("TSQL"))
    else {
        skip("FOURSTEP_TEST_SQLSERVER_DIR and its companions");
        return None;
    };
    let mut process = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/lib/sqlserver_server.py"))
        .args(["pem", "key"].map(|end| format!("{dir}/tls/server.{end}")))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let commands = process.stdin.take().unwrap();
    let mut answers = BufReader::new(process.stdout.take().unwrap()).lines();
    let first: Value = serde_json::from_str(&answers.next_line().await.unwrap().unwrap()).unwrap();
    let port = u16::try_from(first["port"].as_u64().unwrap()).unwrap();
    let wires = Arc::new(Mutex::new(Wires { commands, answers, _process: process }));
    let server = Server { port, dir, tsql, wires };
    server
        .set(&["databases", "shop"], json!({"name": "shop", "containment": 0, "users": {}}))
        .await;
    server.set(&["databases", "own"], json!({"name": "own", "containment": 1, "users": {}})).await;
    Some(server)
}

impl Server {
    /// Has the server do one of the commands that `sqlserver_server.py` lists.
    pub async fn tell(&self, command: Value) -> Value {
        let mut wires = self.wires.lock().await;
        wires.commands.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        let line = wires.answers.next_line().await.unwrap().expect("the server has ended");
        serde_json::from_str(&line).unwrap()
    }

    /// Changes what the server knows, at this place below its state. Names are in lower case there.
    pub async fn set(&self, at: &[&str], to: impl Into<Value>) {
        self.tell(json!({"do": "set", "at": at, "to": to.into()})).await;
    }

    /// The same of a login.
    pub async fn set_login(&self, name: &str, field: &str, to: impl Into<Value>) {
        self.set(&["logins", &name.to_lowercase(), field], to).await;
    }

    /// The next statements that hold this text do what `World.trap` says.
    pub async fn trap(&self, text: &str, act: &str, more: Value) {
        let mut command = json!({"do": "trap", "text": text, "act": act});
        command.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.tell(command).await;
    }

    pub async fn no_traps(&self) {
        self.tell(json!({"do": "trap"})).await;
    }

    /// Every login and statement so far, as they came.
    pub async fn heard(&self) -> String {
        let log = self.tell(json!({"do": "log"})).await;
        log.as_array().unwrap().iter().map(|line| format!("{}\n", line.as_str().unwrap())).collect()
    }

    /// How many logins were begun.
    pub async fn logins(&self) -> usize {
        self.heard().await.lines().filter(|line| line.starts_with("LOGIN ")).count()
    }

    /// How often a password of this user was refused.
    pub async fn refused(&self, user: &str) -> usize {
        let line = format!("REFUSED {user}");
        self.heard().await.lines().filter(|heard| *heard == line).count()
    }

    /// What the server knows of a login, its password included.
    pub async fn login(&self, name: &str) -> Value {
        self.tell(json!({"do": "state"})).await["logins"][name.to_lowercase()].clone()
    }

    /// A name with this stem that nobody else has.
    pub fn name(stem: &str) -> String {
        format!("{stem}{}", USERS.fetch_add(1, Ordering::Relaxed))
    }

    /// A new login with a user in `shop`, which checks the policy.
    pub async fn user(&self, stem: &str) -> User {
        self.user_with(stem, &format!("Canary-{}", uuid::Uuid::new_v4())).await
    }

    pub async fn user_with(&self, stem: &str, password: &str) -> User {
        let user = User { name: Self::name(stem), password: password.to_owned() };
        self.add(&user, json!({"policy": true})).await;
        user
    }

    /// Makes this login, with these fields besides.
    pub async fn add(&self, user: &User, more: Value) {
        let key = user.name.to_lowercase();
        let mut login = json!({"name": user.name, "password": user.password});
        login.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.set(&["logins", &key], login).await;
        let inside = json!({"name": user.name, "login": key});
        self.set(&["databases", "shop", "users", &key], inside).await;
    }

    /// A login that may alter every other.
    pub async fn admin(&self) -> User {
        let admin = self.user("admin").await;
        let grants = json!(["ALTER ANY LOGIN", "VIEW ANY DEFINITION"]);
        self.set_login(&admin.name, "grants", grants).await;
        admin
    }

    /// A contained user of the database `own`.
    pub async fn contained_user(&self, stem: &str) -> User {
        let password = format!("Canary-{}", uuid::Uuid::new_v4());
        let user = User { name: Self::name(stem), password };
        let inside = json!({"name": user.name, "password": user.password, "policy": true});
        self.set(&["databases", "own", "users", &user.name.to_lowercase()], inside).await;
        user
    }

    /// Whether tsql logs in; any other failure than error 18456 is a panic.
    pub async fn logs_in_at(&self, database: &str, user: &str, password: &str) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("freetds.conf");
        let settings = format!(
            "[test]\nhost = localhost\nport = {}\ntds version = 7.4\nencryption = require\n\
             client charset = UTF-8\nca file = {}\ncheck certificate hostname = yes\n",
            self.port,
            self.file("tls/ca.pem")
        );
        std::fs::write(&file, settings).unwrap();
        let output = Command::new(&self.tsql)
            .args(["-S", "test", "-D", database, "-U", user, "-P", password])
            .envs([("FREETDSCONF", file.to_str().unwrap()), ("LC_ALL", "C.UTF-8")])
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success() || said.contains("Msg 18456"), "{said}");
        output.status.success()
    }

    pub async fn logs_in(&self, user: &str, password: &str) -> bool {
        self.logs_in_at("master", user, password).await
    }

    /// The secret document of a login, over verified TLS.
    pub fn document(&self, user: &User) -> Value {
        json!({
            "engine": "sqlserver", "host": "localhost", "port": self.port,
            "username": user.name, "password": user.password, "ssl": true,
        })
    }

    /// The same of a contained user.
    pub fn contained_document(&self, user: &User) -> Value {
        let mut document = self.document(user);
        document["dbname"] = json!("own");
        document
    }

    /// What a function needs to trust this server.
    pub fn variables(&self) -> Vec<(String, String)> {
        vec![("TLS_CA_BUNDLE".to_owned(), self.file("tls/ca.pem"))]
    }

    /// A stage for a secret with this document, and rotate-sqlserver with these variables besides.
    pub fn stage(&self, document: &Value, variables: &[(&str, &str)]) -> Stage {
        self.stage_of_text(&document.to_string(), variables)
    }

    /// The same for a secret that holds this text.
    pub fn stage_of_text(&self, text: &str, variables: &[(&str, &str)]) -> Stage {
        let more = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let environment: Environment = self.variables().into_iter().chain(more).collect();
        Stage::of(rotate_sqlserver::strategies, text, environment)
    }

    /// A stage on which an admin, whose secret is `admin`, does the change.
    pub fn by_admin(&self, document: &Value, admin: &Value, variables: &[(&str, &str)]) -> Stage {
        let mut document = document.clone();
        document["masterarn"] = json!("admin");
        let always = [("ROTATION_STRATEGY", "single-user-by-admin")];
        let stage = self.stage(&document, &[&always[..], variables].concat());
        let value = Some(admin.to_string().as_str().into());
        stage.store.create("admin", NewSecret { value, ..NewSecret::default() }).unwrap();
        stage
    }

    /// A file in the folder of the certificates.
    pub fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.dir)
    }
}

#[async_trait]
impl Accounts for Server {
    const REFUSED: &'static str = "error 18456";
    const DEFAULT_PORT: u16 = 1433;

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
        self.login(user).await["password"].to_string()
    }

    async fn set_password(&self, user: &str, password: &str) {
        self.set_login(user, "password", password).await;
    }
}
