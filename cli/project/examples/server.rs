//! A stand-in for the server whose users are rotated: `cargo run --example server PORT`. It has one
//! user, app, whose password is first-password. Delete it when the real server takes its place.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Error, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// The server, and what it knows.
#[derive(Clone)]
pub struct StandIn {
    pub port: u16,
    users: Arc<Mutex<HashMap<String, String>>>,
}

impl StandIn {
    /// Listens on this port of the loopback address; on any free one, if it is 0.
    pub fn start(port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let server = Self { port: listener.local_addr()?.port(), users: Arc::default() };
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = serving.clone();
                std::thread::spawn(move || server.serve(&stream));
            }
        });
        Ok(server)
    }

    /// Makes a user, or gives it this password.
    pub fn add(&self, user: &str, password: &str) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.insert(user.to_owned(), password.to_owned());
    }

    /// Whether the user has this password.
    pub fn accepts(&self, user: &str, password: &str) -> bool {
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.get(user).is_some_and(|known| known == password)
    }

    /// Replaces the password, if it is still the old one.
    fn change(&self, user: &str, old: &str, new: &str) -> bool {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let known = users.get_mut(user).filter(|known| *known == old);
        known.map(|known| new.clone_into(known)).is_some()
    }

    fn serve(&self, mut stream: &TcpStream) -> Result<()> {
        let mut user = None;
        for line in BufReader::new(stream).lines() {
            let request: Vec<String> = serde_json::from_str(&line?).map_err(Error::other)?;
            let request: Vec<&str> = request.iter().map(String::as_str).collect();
            let answer = match (&request[..], &user) {
                (["login", name, password], _) if self.accepts(name, password) => {
                    user = Some((*name).to_owned());
                    "ok"
                }
                (["login", ..], _) => "refused",
                (["change", old, new], Some(user)) if self.change(user, old, new) => "ok",
                (["change", ..], Some(_)) => "stale",
                _ => "log in first",
            };
            writeln!(stream, "{answer}")?;
        }
        Ok(())
    }
}

#[allow(dead_code, reason = "the tests take this file in as a module")]
fn main() -> Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(7000);
    let server = StandIn::start(port)?;
    server.add("app", "first-password");
    println!("listening on 127.0.0.1:{}", server.port);
    loop {
        std::thread::park();
    }
}
