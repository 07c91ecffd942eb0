//! A proxy that stands between a function and PostgreSQL and keeps one answer back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What the server says when a transaction is committed.
const COMMITTED: &[u8] = b"COMMIT\0";

/// Passes everything but the first answer to COMMIT, which it keeps for ever.
pub struct Proxy {
    pub port: u16,
    kept: mpsc::UnboundedReceiver<()>,
}

impl Proxy {
    /// A proxy before the server at this port of the loopback address. Plaintext only: it reads
    /// what the server says.
    pub async fn start(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, kept) = mpsc::unbounded_channel();
        let armed = Arc::new(AtomicBool::new(true));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                tokio::spawn(pass(near, far, tell.clone(), Arc::clone(&armed)));
            }
        });
        Self { port, kept }
    }

    /// Waits until the answer to a COMMIT was kept back: the change is made, nobody knows it.
    pub async fn committed(&mut self) {
        self.kept.recv().await.unwrap();
    }
}

async fn pass(
    near: TcpStream,
    far: TcpStream,
    tell: mpsc::UnboundedSender<()>,
    armed: Arc<AtomicBool>,
) {
    let (mut from_near, mut to_near) = near.into_split();
    let (mut from_far, mut to_far) = far.into_split();
    let asking = tokio::spawn(async move {
        // A connection that a killed process leaves behind ends however it ends.
        let _ = copy(&mut from_near, &mut to_far).await;
    });
    let mut buffer = [0; 8192];
    while let Ok(length @ 1..) = from_far.read(&mut buffer).await {
        let heard = &buffer[..length];
        let committed = heard.windows(COMMITTED.len()).any(|window| window == COMMITTED);
        if committed && armed.swap(false, Ordering::SeqCst) {
            tell.send(()).unwrap();
            return std::future::pending().await;
        }
        if to_near.write_all(heard).await.is_err() {
            break;
        }
    }
    asking.abort();
}
