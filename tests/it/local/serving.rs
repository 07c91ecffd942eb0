//! A running `fourstep serve`, asked over plain HTTP: nothing else has to be installed.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::support::program::binary;

/// What it has written so far to one of its outputs.
type Said = Arc<Mutex<String>>;

/// Killed when dropped.
pub struct Serving {
    pub child: Child,
    /// Where this machine reaches it.
    pub address: String,
    out: Said,
    err: Said,
}

/// An answer as a plain client sees it.
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{} {}", self.status, self.body))
    }
}

fn hear(pipe: impl AsyncRead + Unpin + Send + 'static) -> Said {
    let said = Said::default();
    let heard = Arc::clone(&said);
    let mut lines = BufReader::new(pipe);
    tokio::spawn(async move {
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
            heard.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
    said
}

impl Serving {
    /// Starts it with these arguments, on any port unless they say where.
    pub async fn start(arguments: &[&str]) -> Self {
        let own = arguments.contains(&"--listen");
        let listen: &[&str] = if own { &[] } else { &["--listen", "127.0.0.1:0"] };
        let mut child = Command::new(binary("fourstep"))
            .arg("serve")
            .args(listen)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (out, err) = (hear(child.stdout.take().unwrap()), hear(child.stderr.take().unwrap()));
        let mut serving = Self { child, address: String::new(), out, err };
        for _ in 0..200 {
            let url = serving.out().split_once("http://").map(|(_, rest)| rest.to_owned());
            if let Some(address) = url.filter(|rest| rest.contains('\n')) {
                let end = |c: char| c.is_whitespace() || c == '"';
                let address = address.split(end).next().unwrap().trim_end_matches('.');
                address.clone_into(&mut serving.address);
                return serving;
            }
            if let Some(status) = serving.child.try_wait().unwrap() {
                panic!("it ended ({status}): {}", serving.err());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it does not listen: {}{}", serving.out(), serving.err());
    }

    pub fn out(&self) -> String {
        self.out.lock().unwrap().clone()
    }

    /// What it said on standard error.
    pub fn err(&self) -> String {
        self.err.lock().unwrap().clone()
    }

    /// Waits until it has said this on standard error; all that it said there.
    pub async fn says(&self, what: &str) -> String {
        for _ in 0..300 {
            let said = self.err();
            if said.contains(what) {
                return said;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("it did not say {what}: {}", self.err());
    }

    /// One request on a connection of its own; none if no whole answer came.
    pub async fn ask(&self, path: &str, headers: &str, body: &str) -> Option<Reply> {
        let mut stream = TcpStream::connect(&self.address).await.ok()?;
        let host = if headers.contains("host:") { "" } else { "host: localhost\r\n" };
        let request = format!(
            "POST {path} HTTP/1.1\r\n{host}{headers}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Reply { status, head: head.to_lowercase(), body: body.to_owned() })
    }

    /// One operation of Secrets Manager.
    pub async fn asked(&self, operation: &str, body: &Value) -> Option<Reply> {
        let target = format!("x-amz-target: secretsmanager.{operation}\r\n");
        self.ask("/", &target, &body.to_string()).await
    }

    /// One that succeeds.
    pub async fn ok(&self, operation: &str, body: Value) -> Value {
        let reply = self.asked(operation, &body).await.unwrap();
        assert_eq!(reply.status, 200, "{operation}: {}", reply.body);
        reply.json()
    }

    /// Lambda's Invoke, in a way and with an event.
    pub async fn invoke(&self, kind: &str, event: &str) -> Reply {
        let kind = format!("x-amz-invocation-type: {kind}\r\n");
        let path = "/2015-03-31/functions/anything/invocations";
        self.ask(path, &kind, event).await.unwrap()
    }

    /// Kills it as `kill -9` does, and waits for that.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// Starts a `fourstep serve` that must not start; what it says.
pub async fn refused(arguments: &[&str]) -> String {
    let mut command = Command::new(binary("fourstep"));
    let own = arguments.contains(&"--listen");
    let listen: &[&str] = if own { &[] } else { &["--listen", "127.0.0.1:0"] };
    command.arg("serve").args(listen).args(arguments).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(20), command.output());
    let output = output.await.unwrap_or_else(|_| panic!("it serves: {arguments:?}")).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// A secret of a PostgreSQL that nobody runs.
pub fn unreachable() -> Value {
    json!({"engine": "postgres", "host": "127.0.0.1", "port": 1, "dbname": "shop", "username": "app",
        "password": "canary-password", "ssl": false})
}
