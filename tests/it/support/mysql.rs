//! Real MySQL and MariaDB servers, arranged by their administrator through their own clients.

use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use fourstep::Environment;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::logs::Logs;
use super::skip;
use super::stage::Stage;

/// A server that scripts/test starts.
#[derive(Clone)]
pub struct Server {
    /// `mysql` or `mariadb`, as secrets name it.
    pub engine: &'static str,
    pub host: String,
    pub port: u16,
    /// The folder of its certificates and logs.
    dir: String,
    /// The command of its client, in words.
    client: String,
    arranger: String,
    password: String,
    /// Whether its certificate names no server, as those that MySQL makes for itself.
    unnamed: bool,
}

/// The MySQL server, or None after skipping aloud.
pub fn mysql() -> Option<Server> {
    server("mysql", "MYSQL")
}

/// The oldest MySQL that is packaged, or None after skipping aloud.
fn mysql_80() -> Option<Server> {
    server("mysql", "MYSQL80")
}

/// The MariaDB server, or None after skipping aloud.
pub fn mariadb() -> Option<Server> {
    server("mariadb", "MARIADB")
}

/// Whichever of the two MySQL servers there are.
pub fn mysqls() -> Vec<Server> {
    [mysql(), mysql_80()].into_iter().flatten().collect()
}

/// The newest of each engine, for what takes minutes at each.
pub fn engines() -> Vec<Server> {
    [mysql(), mariadb()].into_iter().flatten().collect()
}

/// Whichever of the three there are.
pub fn servers() -> Vec<Server> {
    [mysql(), mysql_80(), mariadb()].into_iter().flatten().collect()
}

/// A server by its name in scripts/test, or None after skipping aloud.
pub fn server(engine: &'static str, prefix: &str) -> Option<Server> {
    let variable = |name: &str| std::env::var(format!("FOURSTEP_TEST_{prefix}_{name}")).ok();
    let server = (|| {
        Some(Server {
            engine,
            host: variable("HOST")?,
            port: variable("PORT")?.parse().ok()?,
            dir: variable("DIR")?,
            client: variable("CLIENT")?,
            arranger: variable("ARRANGER")?,
            password: variable("ARRANGER_PASSWORD")?,
            // scripts/lib/mysql.sh makes it.
            unnamed: prefix.ends_with("_TWIN") || prefix.ends_with("_STRICT"),
        })
    })();
    if server.is_none() {
        skip(&format!("FOURSTEP_TEST_{prefix}_HOST and its companions"));
    }
    server
}

pub use super::postgres::User;

/// A session that stays open.
pub struct Session {
    client: Child,
    output: Lines<BufReader<ChildStdout>>,
}

impl Session {
    /// Runs a query that answers with one line, and returns that.
    pub async fn ask(&mut self, query: &str) -> String {
        let input = self.client.stdin.as_mut().unwrap();
        input.write_all(format!("{query};\n").as_bytes()).await.unwrap();
        match self.output.next_line().await.unwrap() {
            Some(line) => line,
            None => {
                panic!("{query}: {}", self.complaint().await)
            }
        }
    }

    /// Runs SQL, whatever it answers. An error ends the session.
    pub async fn run(&mut self, sql: &str) -> Result<(), String> {
        let done = "it is done";
        let input = self.client.stdin.as_mut().unwrap();
        // A client that has ended reads no more.
        let _ = input.write_all(format!("{sql}\nSELECT '{done}';\n").as_bytes()).await;
        while let Some(line) = self.output.next_line().await.unwrap() {
            if line == done {
                return Ok(());
            }
        }
        Err(self.complaint().await)
    }

    async fn complaint(&mut self) -> String {
        let mut complaint = String::new();
        let errors = self.client.stderr.as_mut().unwrap();
        errors.read_to_string(&mut complaint).await.unwrap();
        complaint
    }
}

static USERS: AtomicU32 = AtomicU32::new(0);

/// Held by whoever counts a login's calls: a server that reads its tables again forgets which passwords
/// it has seen, and a password that it has not seen takes more of them.
static COUNTING: RwLock<()> = RwLock::const_new(());

/// Keeps the servers from reading their tables again.
pub async fn counting() -> RwLockReadGuard<'static, ()> {
    COUNTING.read().await
}

/// Keeps everybody from counting: a server is set up otherwise for a while.
pub async fn alone() -> RwLockWriteGuard<'static, ()> {
    COUNTING.write().await
}

/// MariaDB asks a user whom it does not know for the plugin of some account that it knows. Written by whoever
/// has an account with one that is not answered, read by whoever logs in as a user who is not there.
pub static PLUGINS: RwLock<()> = RwLock::const_new(());

impl Server {
    pub fn is_mysql(&self) -> bool {
        self.engine == "mysql"
    }

    /// Has the server read its tables of users again, as a start does.
    pub async fn reload(&self) {
        let _alone = alone().await;
        self.arrange("FLUSH PRIVILEGES").await;
    }

    /// Runs SQL as the administrator, who is logged nowhere, and returns what it prints.
    pub async fn arrange(&self, sql: &str) -> String {
        let quiet = "SET SESSION sql_log_off = 1, long_query_time = 3600, \
                     sql_mode = 'NO_BACKSLASH_ESCAPES';";
        match self.run(&self.arranger, &self.password, &format!("{quiet}\n{sql}")).await {
            Ok(output) => output,
            Err(complaint) => panic!("{sql}: {complaint}"),
        }
    }

    /// The server's own client over TLS, in words; it reads SQL.
    fn client(&self) -> String {
        let tls = if self.is_mysql() { "--ssl-mode=REQUIRED" } else { "--ssl" };
        format!(
            "{} --no-defaults --batch --skip-column-names --protocol=TCP {tls} \
             --default-character-set=utf8mb4 --host=127.0.0.1 --port={}",
            self.client, self.port
        )
    }

    /// A shell's words that run SQL from a file as the administrator.
    pub fn shell(&self, file: &Path) -> String {
        let Self { arranger, password, .. } = self;
        let (client, file) = (self.client(), file.display());
        format!("MYSQL_PWD='{password}' {client} --user='{arranger}' < '{file}'")
    }

    /// The server's own client, over TLS.
    fn spawn(&self, user: &str, password: &str) -> Child {
        let client = self.client();
        // Its own commands, which MySQL's takes only if asked to.
        let commands = self.is_mysql().then_some("--loose-commands");
        let mut words = client.split(' ');
        Command::new(words.next().unwrap())
            .args(words)
            .arg("--unbuffered")
            .args(commands)
            .arg(format!("--user={user}"))
            .env("MYSQL_PWD", password)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// A session of this user that stays open.
    pub async fn open(&self, user: &str, password: &str) -> Session {
        let mut client = self.spawn(user, password);
        let output = BufReader::new(client.stdout.take().unwrap()).lines();
        let mut session = Session { client, output };
        session.ask("SELECT 1").await;
        session
    }

    /// Runs SQL in the server's own client.
    pub async fn run(&self, user: &str, password: &str, sql: &str) -> Result<String, String> {
        let mut client = self.spawn(user, password);
        let mut input = client.stdin.take().unwrap();
        // A client that was refused reads no more.
        let _ = input.write_all(sql.as_bytes()).await;
        drop(input);
        let output = client.wait_with_output().await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// A new user with this stem in its name and a password that holds the canary.
    pub async fn user(&self, stem: &str) -> User {
        self.user_with(stem, &format!("canary-{}", uuid::Uuid::new_v4())).await
    }

    /// A new user with this password.
    pub async fn user_with(&self, stem: &str, password: &str) -> User {
        // Names must differ between the tests of one run, and between runs on one server; 32
        // characters are the most that MySQL takes.
        let number = USERS.fetch_add(1, Ordering::Relaxed);
        let stem: String = stem.chars().take(20).collect();
        let name = format!("{stem}{}_{number}", std::process::id());
        let [quoted, literal] = [&name, password].map(|text| text.replace('\'', "''"));
        self.arrange(&format!("CREATE USER '{quoted}'@'127.%' IDENTIFIED BY '{literal}'")).await;
        User { name, password: password.to_owned() }
    }

    /// A new user that may keep two passwords.
    pub async fn dual_user(&self, stem: &str) -> User {
        let user = self.user(stem).await;
        self.alter(&user, "").await;
        user
    }

    /// Grants what two passwords need, and sets further options of the account.
    pub async fn alter(&self, user: &User, options: &str) {
        let account = format!("'{}'@'127.%'", user.name);
        let grant = format!("GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO {account};");
        let alter = format!("ALTER USER {account} {options};");
        let alter = if options.is_empty() { String::new() } else { alter };
        self.arrange(&(grant + &alter)).await;
    }

    /// The secret document of a user, over verified TLS.
    pub fn document(&self, user: &User) -> Value {
        json!({
            "engine": self.engine,
            "host": self.host,
            "port": self.port,
            "username": user.name,
            "password": user.password,
            "ssl": true,
        })
    }

    /// What a function needs to trust this server.
    pub fn variables(&self) -> Vec<(String, String)> {
        let mut all = vec![("TLS_CA_BUNDLE".to_owned(), self.file("tls/ca.pem"))];
        all.extend(self.unnamed.then(|| ("ALLOW_ANY_SERVER_NAME".to_owned(), "true".to_owned())));
        all
    }

    /// A stage for a secret with this document, and rotate-mysql with these variables besides.
    pub fn stage(&self, document: &Value, variables: &[(&str, &str)]) -> Stage {
        self.stage_of_text(&document.to_string(), variables)
    }

    pub fn stage_of_text(&self, text: &str, variables: &[(&str, &str)]) -> Stage {
        let more = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let environment: Environment = self.variables().into_iter().chain(more).collect();
        Stage::of(rotate_mysql::strategies, text, environment)
    }

    /// A file in the server's folder.
    pub fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.dir)
    }

    /// Whether this user and password log in; any other failure than a wrong password is a panic.
    pub async fn logs_in(&self, user: &str, password: &str) -> bool {
        match self.run(user, password, "SELECT 1").await {
            Ok(_) => true,
            Err(complaint) if complaint.contains("ERROR 1045") => false,
            Err(complaint) => panic!("{complaint}"),
        }
    }

    /// What the server keeps of a user's passwords: changes with every one.
    pub async fn kept(&self, user: &User) -> String {
        let columns = if self.is_mysql() {
            "HEX(authentication_string), user_attributes"
        } else {
            "authentication_string"
        };
        let name = user.name.replace('\'', "''");
        self.arrange(&format!("SELECT {columns} FROM mysql.user WHERE user = '{name}'")).await
    }

    /// Runs SQL that waits as this user, until it is dropped or its session is ended.
    pub async fn hold(&self, user: &str, password: &str, sql: &str) {
        let _ = self.run(user, password, sql).await;
    }

    /// Waits until a session of this user is in such a state.
    pub async fn wait_for_session(&self, user: &str, state: &str) {
        let sessions = "SELECT COUNT(*) FROM information_schema.processlist";
        let query = format!("{sessions} WHERE user = '{user}' AND {state}");
        for _ in 0..1000 {
            if self.arrange(&query).await.trim() != "0" {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("it did not come to this: {query}");
    }

    /// Ends this user's sessions, the newest first: who waits for another must not get further.
    pub async fn end_sessions(&self, user: &str) {
        let sessions = "SELECT id FROM information_schema.processlist";
        let query = format!("{sessions} WHERE user = '{user}' ORDER BY id DESC");
        for id in self.arrange(&query).await.lines() {
            // It may have ended by itself.
            let _ = self.run(&self.arranger, &self.password, &format!("KILL {id}")).await;
        }
    }

    /// What the server logs from now on: statements, slow statements, errors.
    pub fn logs_from_now(&self) -> Logs {
        Logs::from_now(["general.log", "slow.log", "error.log"].map(|name| self.file(name)))
    }
}
