//! A server with one password, which speaks first: for functions that know no real one.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A server on the loopback address.
pub struct Toy {
    pub port: u16,
    password: Arc<Mutex<String>>,
}

impl Toy {
    /// Starts it with a password that holds the canary.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let password = Arc::new(Mutex::new("canary-first".to_owned()));
        let known = Arc::clone(&password);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let password = Arc::clone(&known);
                tokio::spawn(async move {
                    // A connection that a killed process leaves behind ends however it ends.
                    let _ = serve(stream, &password).await;
                });
            }
        });
        Self { port, password }
    }

    /// A secret that logs in.
    pub fn document(&self) -> Value {
        json!({"host": "localhost", "port": self.port, "password": self.password(), "ssl": false})
    }

    /// The password that it has now.
    pub fn password(&self) -> String {
        self.password.lock().unwrap().clone()
    }
}

async fn serve(stream: TcpStream, password: &Mutex<String>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"HELLO\n").await?;
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        let done = match line.trim_end().split_once(' ') {
            Some(("LOGIN", given)) => given == *password.lock().unwrap(),
            Some(("SET", new)) => {
                new.clone_into(&mut password.lock().unwrap());
                true
            }
            _ => false,
        };
        stream.write_all(if done { b"OK\n" } else { b"NO\n" }).await?;
        line.clear();
    }
    Ok(())
}
