//! Real servers for rotate-api: asked by an own client, and used while what they gave is rotated.

use std::path::PathBuf;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::Files;
use crate::support::skip;

/// A server that scripts/test starts.
pub struct Real {
    pub port: u16,
    /// Its folder; what it says goes to `output` there.
    pub dir: PathBuf,
    /// What its administrator shows.
    pub arranger: String,
}

impl Real {
    /// The one of this name, as in the variables of the environment.
    pub fn of(name: &str) -> Option<Self> {
        let variable = |what: &str| std::env::var(format!("FOURSTEP_TEST_{name}_{what}")).ok();
        let found = [variable("PORT"), variable("DIR"), variable("ARRANGER_PASSWORD")];
        let [Some(port), Some(dir), Some(arranger)] = found else {
            skip(&format!("FOURSTEP_TEST_{name}_PORT and its companions"));
            return None;
        };
        Some(Self { port: port.parse().unwrap(), dir: dir.into(), arranger })
    }

    /// The status and the JSON of an answer.
    pub async fn ask(
        &self,
        authorization: &str,
        [method, path]: [&str; 2],
        body: Option<&Value>,
    ) -> (u16, Value) {
        let body = body.map_or(String::new(), ToString::to_string);
        let length = body.len();
        // By 1.0 nobody answers in chunks.
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\nAuthorization: {authorization}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.dir.join("output")).unwrap()).into_owned()
    }
}

/// What a client saw that used what is current without a pause.
pub struct Used {
    /// Every secret that was current, from the first to the last.
    pub secrets: Vec<Value>,
    /// What the rotations printed.
    pub printed: String,
}

/// The rotations go well, and meanwhile what is current works whenever it is asked.
pub async fn used_without_a_refusal(
    files: &Files,
    rotations: impl Future<Output = Output>,
    works: impl AsyncFn(&Value) -> bool,
) -> Used {
    let current = || serde_json::from_str::<Value>(&files.secret()).unwrap();
    let ended = AtomicBool::new(false);
    let rotations = async {
        let output = rotations.await;
        ended.store(true, Ordering::Relaxed);
        output
    };
    let client = async {
        let (mut calls, mut secrets) = (0, vec![current()]);
        while !ended.load(Ordering::Relaxed) {
            let secret = current();
            let began = Instant::now();
            let works = works(&secret).await;
            // Whoever stood still while rotations went on asked with what is current no more.
            let late = began.elapsed() > Duration::from_millis(200) && current() != secret;
            assert!(works || late, "refused after {calls} calls");
            calls += 1;
            secrets.push(secret);
            secrets.dedup();
        }
        secrets.push(current());
        secrets.dedup();
        (calls, secrets)
    };
    let (output, (calls, secrets)) = tokio::join!(rotations, client);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(calls > 20, "{calls}");
    Used { secrets, printed }
}

/// One that ends in createSecret, before anything is stored, and says this.
pub fn refused_before_anything_is_stored(output: &Output, says: &str) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && text.contains(says), "{says}: {text}");
    assert!(text.contains("createSecret") && !text.contains("stored the proposed"), "{text}");
}
