//! A front before a real PostgreSQL that logs in as Amazon Redshift does, and keeps the digests of its
//! users. Every other statement is run by the real server; what Redshift lacks is refused.

mod accounts;
mod catalog;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fourstep::net::Stream;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, SupportedProtocolVersion};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::postgres::{Server, User, server};
use super::skip;
use super::stage::Stage;
use catalog::Planted;
use wire::{answer, ask, error, message, read_body, read_change, read_message};

pub use wire::Kept;

/// How Redshift introduces itself, as quoted in issues of AWS's driver.
const VERSION: &str = "PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017 \
    (Red Hat 3.4.2-6.fc3), Redshift 1.0.76230";

/// What Redshift does not have, or not under these names.
const LACKING: [&str; 11] = [
    "pg_roles",
    "pg_auth_members",
    "pg_authid",
    "advisory",
    "current_setting",
    "pg_has_role",
    "lock_timeout",
    "idle_in_transaction",
    "alter role",
    "pg_is_in_recovery",
    "scram",
];

/// What the front knows and was told.
#[derive(Default)]
struct State {
    users: BTreeMap<String, Kept>,
    heard: String,
    logins: usize,
    /// What statements that begin so are refused with, or all logins.
    refusal: Option<(&'static str, [&'static str; 2])>,
    /// How long the answer to who a session's user is takes.
    slowness: Duration,
    /// Databases beside `dev`, and what was planted in views.
    databases: BTreeSet<String>,
    planted: Planted,
}

#[derive(Clone)]
pub struct Front {
    pub port: u16,
    pub server: Server,
    folder: String,
    python: String,
    state: Arc<Mutex<State>>,
}

/// The front, or None after skipping aloud.
pub async fn front() -> Option<Front> {
    begin(rustls::DEFAULT_VERSIONS).await
}

/// The same for kills: the messages of TLS 1.2 can be counted.
pub async fn front_of_tls_1_2() -> Option<Front> {
    begin(&[&rustls::version::TLS12]).await
}

async fn begin(versions: &[&'static SupportedProtocolVersion]) -> Option<Front> {
    let server = server()?;
    let variable = |name: &str| std::env::var(format!("FOURSTEP_TEST_REDSHIFT_{name}")).ok();
    let (Some(folder), Some(python)) = (variable("DIR"), variable("PYTHON")) else {
        skip("FOURSTEP_TEST_REDSHIFT_DIR or FOURSTEP_TEST_REDSHIFT_PYTHON");
        return None;
    };
    // Tests that run at once would make it twice.
    let unfinished = "DO $$ BEGIN CREATE ROLE \"fourstep:unfinished\"; \
                      COMMENT ON ROLE \"fourstep:unfinished\" IS 'group'; \
                      EXCEPTION WHEN OTHERS THEN NULL; END $$";
    server.arrange_quietly(unfinished).await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let front = Front { port, server, folder, python, state: Arc::default() };
    let (acceptor, serving) = (tls(Path::new(&front.folder), versions), front.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (front, acceptor) = (serving.clone(), acceptor.clone());
            // Who leaves in the middle, leaves.
            tokio::spawn(async move { front.serve(stream, acceptor).await.ok() });
        }
    });
    Some(front)
}

/// Takes clients in with the certificate in a server's folder.
pub(super) fn tls(folder: &Path, versions: &[&'static SupportedProtocolVersion]) -> TlsAcceptor {
    let folder = folder.join("tls");
    let chain = CertificateDer::pem_file_iter(folder.join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let config =
        ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.collect::<Result<_, _>>().unwrap(), key)
            .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

impl Front {
    /// A new user, whose password is kept as a digest. The real server lets it in without one, and so
    /// only the front knows it.
    pub async fn user(&self, stem: &str) -> User {
        self.user_with(stem, &format!("Canary-{}", uuid::Uuid::new_v4())).await
    }

    pub async fn user_with(&self, stem: &str, password: &str) -> User {
        let user = self.server.user_with(stem, password).await;
        self.arrange(&user, "GRANT hba_trust TO {}").await;
        self.keep(&user, Kept::of(password));
        user
    }

    /// A superuser.
    pub async fn admin(&self) -> User {
        let admin = self.user("admin").await;
        self.arrange(&admin, "ALTER ROLE {} SUPERUSER").await;
        admin
    }

    /// Runs a statement at the real server in which {} stands for this user.
    pub async fn arrange(&self, user: &User, statement: &str) {
        let name = format!("\"{}\"", user.name.replace('"', "\"\""));
        self.server.arrange(&statement.replace("{}", &name)).await;
    }

    /// A database of this front's alone.
    pub async fn database(&self) -> String {
        let name = self.server.user("redshift_database").await.name;
        self.server.arrange(&format!("CREATE DATABASE \"{name}\"")).await;
        self.state.lock().unwrap().databases.insert(name.clone());
        name
    }

    /// Has a view that PostgreSQL has nothing like tell of this, as this user's.
    pub fn plant(&self, view: &'static str, user: &User, name: &str) {
        let known = catalog::PLANTED.iter().any(|[one, ..]| *one == view);
        assert!(known || view == catalog::DATABASES);
        self.state.lock().unwrap().planted.insert((view, user.name.clone(), name.to_owned()));
    }

    pub fn keep(&self, user: &User, kept: Kept) {
        self.state.lock().unwrap().users.insert(user.name.clone(), kept);
    }

    /// Every statement so far.
    pub fn heard(&self) -> String {
        self.state.lock().unwrap().heard.clone()
    }

    /// Has the question whose a session is answered so much later.
    pub fn slow_down(&self, slowness: Duration) {
        self.state.lock().unwrap().slowness = slowness;
    }

    /// Has statements that begin so, or every LOGIN, refused with this SQLSTATE and text; without one the
    /// connection is cut there.
    pub fn refuse(&self, at: &'static str, said: [&'static str; 2]) {
        self.state.lock().unwrap().refusal = Some((at, said));
    }

    /// Refuses nothing any more.
    pub fn mend(&self) {
        self.state.lock().unwrap().refusal = None;
    }

    fn refusal(&self, at: &str) -> Option<[&'static str; 2]> {
        let refusal = self.state.lock().unwrap().refusal;
        refusal.filter(|(begins, _)| at.starts_with(begins)).map(|(_, said)| said)
    }

    /// How many logins were begun.
    pub fn logins(&self) -> usize {
        self.state.lock().unwrap().logins
    }

    pub fn document(&self, user: &User) -> Value {
        json!({
            "engine": "redshift",
            "host": "localhost",
            "port": self.port,
            "username": user.name,
            "password": user.password,
        })
    }

    pub fn variables(&self) -> [(String, String); 1] {
        [("TLS_CA_BUNDLE".to_owned(), format!("{}/tls/ca.pem", self.folder))]
    }

    /// A stage for a secret with this document, and rotate-postgres with these variables.
    pub fn stage(&self, document: &Value, variables: &[(&str, &str)]) -> Stage {
        self.stage_of_text(&document.to_string(), variables)
    }

    pub fn stage_of_text(&self, text: &str, variables: &[(&str, &str)]) -> Stage {
        let more = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let environment = self.variables().into_iter().chain(more).collect();
        Stage::of(rotate_postgres::strategies, text, environment)
    }

    /// Whether AWS's driver logs in.
    pub async fn logs_in(&self, user: &str, password: &str) -> bool {
        let client = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/lib/redshift_client.py");
        let mut client = tokio::process::Command::new(&self.python)
            .args([client, &self.port.to_string(), user])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        client.stdin.take().unwrap().write_all(password.as_bytes()).await.unwrap();
        let said = client.wait_with_output().await.unwrap().stdout;
        match said.trim_ascii() {
            b"in" => true,
            b"refused" => false,
            said => panic!("{}", String::from_utf8_lossy(said)),
        }
    }

    async fn serve(&self, mut stream: TcpStream, acceptor: TlsAcceptor) -> std::io::Result<()> {
        let startup = read_body(&mut stream).await?;
        // 80877103: the request for TLS.
        if startup.starts_with(&[4, 210, 22, 47]) {
            stream.write_all(b"S").await?;
            let mut stream = acceptor.accept(stream).await?;
            let startup = read_body(&mut stream).await?;
            return self.session(&mut stream, &startup).await;
        }
        self.session(&mut stream, &startup).await
    }

    async fn session(&self, near: &mut dyn Stream, startup: &[u8]) -> std::io::Result<()> {
        let texts = String::from_utf8_lossy(startup.get(4..).unwrap_or_default()).into_owned();
        let mut texts = texts.split('\0');
        let (mut user, mut database) = (String::new(), String::new());
        while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
            match name {
                "user" => value.clone_into(&mut user),
                "database" => value.clone_into(&mut database),
                _ => {}
            }
        }
        let kept = {
            let mut state = self.state.lock().unwrap();
            state.logins += 1;
            state.users.get(&user).cloned()
        };
        let kept = kept.unwrap_or_else(|| Kept::of("nobody knows it"));
        let text = format!("password authentication failed for user \"{user}\"");
        let refused = error("FATAL", "28000", &text, "auth_failed");
        if !ask(near, &user, &kept).await? {
            return near.write_all(&refused).await;
        }
        if let Some([code, text]) = self.refusal("LOGIN") {
            return near.write_all(&error("FATAL", code, text, "planted")).await;
        }
        // Redshift's database `dev` is the real server's `postgres`.
        let mut far = TcpStream::connect((self.server.host.as_str(), self.server.port)).await?;
        let database = if database == "dev" { "postgres" } else { &database };
        let body = format!("\0\x03\0\0user\0{user}\0database\0{database}\0\0");
        let length = u32::try_from(body.len() + 4).unwrap();
        far.write_all(&[&length.to_be_bytes()[..], body.as_bytes()].concat()).await?;
        // One that was dropped has no password.
        let Ok((greeting, _)) = answer(&mut far).await else {
            return near.write_all(&refused).await;
        };
        near.write_all(&greeting).await?;
        loop {
            let (kind, body) = read_message(near).await?;
            match kind {
                b'Q' => self.statement(near, &mut far, &body).await?,
                b'X' => return far.write_all(&message(b'X', &[])).await,
                _ => return Ok(()),
            }
        }
    }

    /// Runs a statement at the real server, to its end also where the client is gone.
    async fn statement(
        &self,
        near: &mut dyn Stream,
        far: &mut TcpStream,
        body: &[u8],
    ) -> std::io::Result<()> {
        let text = String::from_utf8_lossy(body).trim_end_matches('\0').to_owned();
        self.state.lock().unwrap().heard += &format!("{text}\n");
        let lower = text.to_lowercase();
        if let Some(lacking) = LACKING.iter().find(|word| lower.contains(**word)) {
            let refused = error("ERROR", "42883", &format!("there is no {lacking}"), "lacking");
            return near.write_all(&[refused, message(b'Z', b"I")].concat()).await;
        }
        match self.refusal(&text) {
            Some(["", why]) => return Err(std::io::Error::other(why)),
            Some([code, text]) => {
                let refused = error("ERROR", code, text, "planted");
                return near.write_all(&[refused, message(b'Z', b"I")].concat()).await;
            }
            None => {}
        }
        let mut real = text.replace("pg_catalog.version()", &format!("'{VERSION}'::text"));
        real = {
            let state = self.state.lock().unwrap();
            catalog::real(&real, &state.databases, &state.planted)
        };
        let change = read_change(&text);
        if let Some((user, Kept::Digest { .. })) = &change {
            let user = user.replace('"', "\"\"");
            real = format!("ALTER USER \"{user}\" PASSWORD NULL");
        }
        if text.starts_with("SELECT session_user") {
            let slowness = self.state.lock().unwrap().slowness;
            tokio::time::sleep(slowness).await;
        }
        far.write_all(&message(b'Q', &[real.as_bytes(), b"\0"].concat())).await?;
        let (said, fine) = answer(far).await?;
        if let (Some((user, kept)), true) = (change, fine) {
            self.state.lock().unwrap().users.insert(user, kept);
        }
        near.write_all(&said).await
    }
}
