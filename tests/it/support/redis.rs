//! Real Redis and Valkey servers: each test starts those that it needs and asks them by `redis-cli`.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fourstep::Environment;
use fourstep_local::NewSecret;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::stage::Stage;

pub use super::postgres::User;
pub use super::redis_flavours::{Flavour, flavours, redis, valkey};

/// Where a server keeps its users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    AclFile,
    ConfigFile,
    Nowhere,
}

/// What docs/redis.md says that an admin needs.
pub const ADMIN_RIGHTS: &str = "+acl|getuser +acl|setuser +acl|dryrun +acl|save +config|get +config|rewrite +info +cluster|nodes";

/// A running server; it ends with this.
pub struct Server {
    pub flavour: Flavour,
    keeping: Keeping,
    child: Child,
    dir: PathBuf,
    /// With TLS.
    pub port: u16,
    pub plain_port: u16,
    pub arranger: User,
    pub admin: User,
}

static SERVERS: AtomicU32 = AtomicU32::new(0);
static USERS: AtomicU32 = AtomicU32::new(0);

pub fn free_port() -> u16 {
    // Below the range from which the kernel hands out ports to clients.
    loop {
        let number = SERVERS.fetch_add(1, Ordering::Relaxed) + std::process::id() * 7;
        let port = u16::try_from(15000 + number % 4500).unwrap();
        // A node of a cluster listens 10,000 further on too, where scripts/test has servers.
        let free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
        if free(port) && free(port + 10_000) {
            return port;
        }
    }
}

impl Flavour {
    /// A server with an admin, with these settings besides.
    pub async fn start(&self, keeping: Keeping, settings: &[&str]) -> Server {
        let password = || format!("canary-{}", uuid::Uuid::new_v4());
        let [arranger, admin] =
            ["arranger", "admin"].map(|name| User { name: name.to_owned(), password: password() });
        let server = self.begin(keeping, settings, [arranger, admin]);
        server.is_up().await;
        server
    }

    /// The same, which may be up only later.
    fn begin(&self, keeping: Keeping, settings: &[&str], users: [User; 2]) -> Server {
        let [arranger, admin] = users;
        let number = SERVERS.fetch_add(1, Ordering::Relaxed);
        let dir = self.dir.join(format!("{}-{number}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let [port, plain_port] = [free_port(), free_port()];
        let users = format!(
            "user default off\nuser arranger on >{} ~* &* +@all\nuser admin on >{} {ADMIN_RIGHTS}\n",
            arranger.password, admin.password
        );
        let (inside, tls) = (self.inside(&dir), self.tls());
        // TLS 1.2: its messages can be counted, and rotate-redis is killed at each of them.
        let mut config = format!(
            "bind 127.0.0.1\nport {plain_port}\ntls-port {port}\ndir {inside}\nsave \"\"\n\
             pidfile {inside}/pid\ndaemonize no\nlogfile {inside}/log\nloglevel debug\n\
             slowlog-log-slower-than 0\nslowlog-max-len 5000\ntls-auth-clients no\n\
             tls-protocols TLSv1.2\n\
             tls-ca-cert-file {tls}/ca.pem\ntls-cert-file {tls}/server.pem\n\
             tls-key-file {tls}/server.key\n"
        );
        for setting in settings {
            config += setting;
            config += "\n";
        }
        if keeping == Keeping::AclFile {
            std::fs::write(dir.join("users.acl"), users).unwrap();
            config += &format!("aclfile {inside}/users.acl\n");
        } else {
            config += &users;
        }
        std::fs::write(dir.join("redis.conf"), config).unwrap();
        let child = self.spawn(&dir, keeping);
        let flavour = self.clone();
        Server { flavour, keeping, child, dir, port, plain_port, arranger, admin }
    }

    fn spawn(&self, dir: &std::path::Path, keeping: Keeping) -> Child {
        let file = dir.join("redis.conf");
        let mut words = self.words(&file);
        // From its standard input a server takes settings, and has no file then.
        let nowhere = keeping == Keeping::Nowhere;
        if nowhere {
            words.pop();
            words.push("-".to_owned());
        }
        let input =
            if nowhere { std::fs::File::open(&file).unwrap().into() } else { Stdio::null() };
        Command::new(&words[0])
            .args(&words[1..])
            .stdin(input)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }
}

impl Server {
    /// Another with the same administrators, which lets in what this one does.
    pub async fn beside(&self, settings: &[&str]) -> Server {
        let users = [self.arranger.clone(), self.admin.clone()];
        let server = self.flavour.begin(self.keeping, settings, users);
        server.is_up().await;
        server
    }

    async fn is_up(&self) {
        for _ in 0..1200 {
            let Ok(up) = self.try_run(&self.arranger, &["PING"]).await else { break };
            if up.contains("PONG") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("it does not start: {}", self.log());
    }

    /// Ends it, and starts it again as it was kept.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    /// Starts it again after [`stop`](Self::stop).
    pub async fn start_again(&mut self) {
        self.child = self.flavour.spawn(&self.dir, self.keeping);
        self.is_up().await;
    }

    /// Ends it, with all that it has in memory.
    pub async fn stop(&mut self) {
        self.child.kill().await.unwrap();
    }

    async fn try_run(&self, user: &User, words: &[&str]) -> std::io::Result<String> {
        let output = Command::new("redis-cli")
            .args(["-h", "127.0.0.1", "-p", &self.plain_port.to_string(), "--user", &user.name])
            .args(words)
            .env("REDISCLI_AUTH", &user.password)
            .output()
            .await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(text(&output.stdout) + &text(&output.stderr))
    }

    /// Runs a command as the administrator.
    pub async fn arrange(&self, words: &[&str]) -> String {
        let answer = self.try_run(&self.arranger, words).await.unwrap();
        assert!(!answer.starts_with("ERR"), "{words:?}: {answer}");
        answer
    }

    /// Sets rules of a user.
    pub async fn set(&self, user: &str, rules: &[&str]) {
        self.arrange(&[&["ACL", "SETUSER", user], rules].concat()).await;
    }

    /// Whether this user and password log in; any other failure than a wrong password is a panic.
    pub async fn logs_in(&self, user: &str, password: &str) -> bool {
        let user = User { name: user.to_owned(), password: password.to_owned() };
        let answer = self.try_run(&user, &["PING"]).await.unwrap();
        match answer.contains("WRONGPASS") {
            true => false,
            false if answer.contains("PONG") => true,
            false => panic!("{answer}"),
        }
    }

    /// A new user with this stem in its name and a password that holds the canary.
    pub async fn user(&self, stem: &str) -> User {
        self.user_with(stem, &format!("canary-{}", uuid::Uuid::new_v4())).await
    }

    /// A new user with this password.
    pub async fn user_with(&self, stem: &str, password: &str) -> User {
        let name = format!("{stem}{}", USERS.fetch_add(1, Ordering::Relaxed));
        let user = User { name, password: password.to_owned() };
        self.add(&user).await;
        user
    }

    /// Makes this user here.
    pub async fn add(&self, user: &User) {
        let (name, password) = (&user.name, &user.password);
        let rules = ["on", &format!(">{password}"), "~app:*", "+@read", "+@write", "+ping"];
        self.set(name, &rules).await;
        // So that a restart knows it.
        let save = match self.keeping {
            Keeping::AclFile => &["ACL", "SAVE"],
            _ => &["CONFIG", "REWRITE"],
        };
        if self.keeping != Keeping::Nowhere {
            self.arrange(save).await;
        }
    }

    /// The hashes that the server keeps of a user's passwords.
    pub async fn kept(&self, user: &str) -> Vec<String> {
        let answer = self.arrange(&["ACL", "GETUSER", user]).await;
        let is_hash = |line: &&str| line.len() == 64 && line.bytes().all(|b| b.is_ascii_hexdigit());
        answer.lines().filter(is_hash).map(str::to_owned).collect()
    }

    /// The secret document of a user, over verified TLS.
    pub fn document(&self, user: &User) -> Value {
        json!({
            "engine": self.flavour.engine,
            "host": "localhost",
            "port": self.port,
            "username": user.name,
            "password": user.password,
            "ssl": true,
            "masterarn": "admin",
        })
    }

    /// The admin's.
    pub fn admin_document(&self) -> Value {
        let mut document = self.document(&self.admin);
        document.as_object_mut().unwrap().remove("masterarn");
        document
    }

    /// What a function needs to trust this server.
    pub fn variables(&self) -> Vec<(String, String)> {
        let ca = self.flavour.dir.join("tls/ca.pem");
        vec![("TLS_CA_BUNDLE".to_owned(), ca.to_str().unwrap().to_owned())]
    }

    /// A stage for a secret with this document, with the admin's beside it, and rotate-redis with
    /// these variables besides.
    pub fn stage(&self, document: &Value, variables: &[(&str, &str)]) -> Stage {
        let more = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let environment: Environment = self.variables().into_iter().chain(more).collect();
        let stage = Stage::of(rotate_redis::strategies, &document.to_string(), environment);
        let value = Some(self.admin_document().to_string().as_str().into());
        stage.store.create("admin", NewSecret { value, ..NewSecret::default() }).unwrap();
        stage
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        let read = std::fs::read(self.dir.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&read).into_owned()
    }

    /// A file in the server's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The settings by which a replica of this server logs in there.
    pub fn replicates(&self) -> [String; 2] {
        ["masteruser arranger".to_owned(), format!("masterauth {}", self.arranger.password)]
    }

    /// Waits until a command's answer holds this text.
    pub async fn says(&self, words: &[&str], text: &str) {
        for _ in 0..1600 {
            if self.try_run(&self.arranger, words).await.unwrap().contains(text) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{words:?} never says {text}: {}", self.arrange(words).await);
    }

    /// Everything that the server does from now on, until it ends or is asked for what was shown.
    pub async fn monitor(&self) -> Monitor {
        let shown = self.file("monitor");
        let child = Command::new("redis-cli")
            .args(["-h", "127.0.0.1", "-p", &self.plain_port.to_string(), "--user", "arranger"])
            .arg("MONITOR")
            .env("REDISCLI_AUTH", &self.arranger.password)
            .stdout(std::fs::File::create(&shown).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let monitor = Monitor { child, shown };
        for _ in 0..1600 {
            if monitor.text().contains("OK") {
                return monitor;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("no MONITOR: {}", monitor.text());
    }
}

/// A `redis-cli MONITOR`, which writes into a file, so that it never waits for a reader.
pub struct Monitor {
    child: Child,
    shown: PathBuf,
}

impl Monitor {
    fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.shown).unwrap()).into_owned()
    }

    /// What was shown, up to the last command, in which this stands: the server shows it just after it
    /// answers.
    pub async fn end(mut self, last: &str) -> String {
        for _ in 0..1600 {
            if self.text().contains(last) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        self.child.kill().await.unwrap();
        self.text()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
