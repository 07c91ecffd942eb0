//! A front before a database that behaves as AWS documents RDS Proxy: it knows each user by the
//! AWSCURRENT of a secret that is registered with it, which it reads at an interval; it lets clients in
//! by itself; and it opens sessions of its own with what it knows.

mod mysql;
mod postgres;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fourstep::SecretId;
use fourstep::store::AWSCURRENT;
use fourstep_local::MemoryStore;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use super::stage::read;
use super::{mysql::Server as Mysql, postgres::Server as Postgres};

pub use mysql::Asks;

/// Users and passwords.
type Known = Arc<Mutex<BTreeMap<String, String>>>;

/// A front that runs until the test ends.
pub struct RdsProxy {
    pub port: u16,
}

/// The server behind a front.
#[derive(Clone)]
pub enum Behind {
    Postgres(Postgres),
    /// And how the front asks its clients for their passwords.
    Mysql(Mysql, Asks),
}

impl Behind {
    async fn serve(self, near: TcpStream, known: Known) -> io::Result<()> {
        match self {
            Self::Postgres(server) => postgres::serve(near, &server, &known).await,
            Self::Mysql(server, asks) => mysql::serve(near, &server, asks, &known).await,
        }
    }
}

impl RdsProxy {
    /// A front before this server, with these secrets of a store, which it reads every so often.
    pub async fn start(
        behind: Behind,
        store: &Arc<MemoryStore>,
        secrets: &[&str],
        every: Duration,
    ) -> Self {
        let known = Known::default();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let secrets = secrets.iter().map(|secret| SecretId::parse(secret).unwrap());
        let secrets: Vec<SecretId> = secrets.collect();
        learn(&known, store, &secrets);
        let (store, learns) = (Arc::clone(store), Arc::clone(&known));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                learn(&learns, &store, &secrets);
            }
        });
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                // A client that goes away, or is refused, ends its connection alone.
                tokio::spawn(behind.clone().serve(near, Arc::clone(&known)));
            }
        });
        Self { port }
    }
}

fn learn(known: &Known, store: &MemoryStore, secrets: &[SecretId]) {
    for secret in secrets {
        let held: Value = serde_json::from_str(&read(store, secret, AWSCURRENT)).unwrap();
        let text = |field: &str| held[field].as_str().unwrap().to_owned();
        known.lock().unwrap().insert(text("username"), text("password"));
    }
}

fn password_of(known: &Known, user: &str) -> Option<String> {
    let password = known.lock().unwrap().get(user).cloned();
    password.filter(|password| !password.is_empty())
}
