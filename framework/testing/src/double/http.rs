//! As much of HTTP as a double needs: one request and one answer on a connection.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Fault, Manner, State, lock};

/// The longest request that is read.
const LONGEST: usize = 1024 * 1024;

/// A request.
pub struct Asked {
    /// GET, POST and so on.
    pub method: String,
    /// The path, without the query, as it was sent.
    pub path: String,
    /// The pairs of the query, as they were sent.
    pub query: BTreeMap<String, String>,
    /// The headers, their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

impl Asked {
    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// What is shown as Bearer, or nothing.
    pub fn bearer(&self) -> &str {
        self.header("authorization").strip_prefix("Bearer ").unwrap_or_default()
    }

    /// The body as JSON, or null.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// A field of the body as a form, as it was sent.
    pub fn form(&self, name: &str) -> Option<String> {
        pairs(&self.body).remove(name)
    }

    /// The segments of the path.
    pub fn segments(&self) -> Vec<&str> {
        self.path.split('/').skip(1).collect()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let headers = lines.filter_map(header).collect();
        let (path, query, body) = (path.to_owned(), pairs(query), body.to_owned());
        Some(Self { method, path, query, headers, body })
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Asked({} {})", self.method, self.path)
    }
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// An answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Told {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Told {
    /// A JSON answer.
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        Self::new(status, body).with("content-type", "application/json")
    }

    /// An answer of no type.
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// The same with a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut text = format!("HTTP/1.1 {} Said\r\nconnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        if self.status != 204 {
            text += &format!("content-length: {}\r\n", self.body.len());
        }
        format!("{text}\r\n{}", self.body).into_bytes()
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Told({})", self.status)
    }
}

/// Answers the one request of a connection.
pub(super) async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>, manner: Manner) {
    let Ok(Some(asked)) = receive(&mut stream).await else { return };
    let fault = {
        let mut state = lock(&state);
        state.asked.push(format!("{} {}", asked.method, asked.path));
        state.fault(&asked)
    };
    let told = match fault {
        Some(Fault::TooMany(seconds)) => {
            Told::json(429, "{}").with("retry-after", &seconds.to_string())
        }
        Some(Fault::Answer(told)) => told,
        Some(Fault::LoseAnswer) => {
            manner(&mut lock(&state).keys, &asked);
            return;
        }
        Some(Fault::Slow(time)) => {
            tokio::time::sleep(time).await;
            manner(&mut lock(&state).keys, &asked)
        }
        None => manner(&mut lock(&state).keys, &asked),
    };
    // Whoever asked may be gone.
    let _ = stream.write_all(&told.bytes()).await;
    let _ = stream.shutdown().await;
}

async fn receive(stream: &mut TcpStream) -> io::Result<Option<Asked>> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk).await?;
        bytes.extend(chunk.iter().take(read));
        if read == 0 || bytes.len() > LONGEST {
            return Ok(None);
        }
        if let Some(asked) = Asked::read(&bytes) {
            let length = asked.header("content-length").parse().unwrap_or(0);
            if asked.body.len() >= length {
                return Ok(Some(asked));
            }
        }
    }
}
