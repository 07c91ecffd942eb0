//! What stands before the database: it passes bytes, counts turns and disturbs one.
//!
//! It knows no protocol. A turn is what the client says after the server last spoke, or, on a new
//! connection, first; whether the server speaks first of all makes no difference.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use super::address::Target;
use super::points::{Disturbance, Kind, When};
use super::watch::{Fate, Watch};

/// How long the server is waited for until it begins to answer, so that a request has taken
/// effect. Some requests are never answered.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// How long the server must be silent for its answer to be over.
const QUIET_TIME: Duration = Duration::from_millis(30);

/// How long connections are waited for at the end. Their process is dead by then.
const LAST_BYTES_TIME: Duration = Duration::from_secs(5);

/// The most that is read at once.
const CHUNK: usize = 16 * 1024;

/// A proxy before the database, for one invocation.
pub(super) struct DatabaseProxy {
    port: u16,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl DatabaseProxy {
    /// Listens; `serve` takes the connections.
    pub(super) async fn start(target: Target, watch: Arc<Watch>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, target, watch, stopped));
        Ok(Self { port, stop, task })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Stops it when every turn that it has was counted.
    pub(super) async fn stop(self) {
        let Self { stop, mut task, .. } = self;
        drop(stop);
        if tokio::time::timeout(LAST_BYTES_TIME, &mut task).await.is_err() {
            task.abort();
        }
    }
}

async fn serve(
    listener: TcpListener,
    target: Target,
    watch: Arc<Watch>,
    mut stopped: oneshot::Receiver<()>,
) {
    // Dropped with the task, it ends those that are left.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else {
                    // As when no more files may be opened: that passes, or the step reports it.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let (target, watch) = (target.clone(), Arc::clone(&watch));
                connections.spawn(async move {
                    // However a connection ends, both sides of it are closed.
                    let _ = pass(client, &target, &watch).await;
                });
            }
            _ = &mut stopped => break,
        }
    }
    while connections.join_next().await.is_some() {}
}

/// Passes what both sides say until both have nothing more to say.
async fn pass(mut client: TcpStream, target: &Target, watch: &Watch) -> io::Result<()> {
    let Ok(mut server) = TcpStream::connect((target.host.as_str(), target.port)).await else {
        return client.set_zero_linger();
    };
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut said, mut answered) = (vec![0; CHUNK], vec![0; CHUNK]);
    let (mut client_speaks, mut server_spoke) = (true, true);
    loop {
        tokio::select! {
            length = client.read(&mut said), if client_speaks => {
                let length = length?;
                let said = said.get(..length).unwrap_or_default();
                if said.is_empty() {
                    client_speaks = false;
                    server.shutdown().await?;
                    continue;
                }
                let fate = if std::mem::take(&mut server_spoke) {
                    watch.arrived(Kind::Turn)
                } else {
                    Fate::Served
                };
                if fate != (Fate::Served) {
                    return disturb(fate, said, client, server, watch).await;
                }
                server.write_all(said).await?;
            }
            length = server.read(&mut answered) => {
                let length = length?;
                let answered = answered.get(..length).unwrap_or_default();
                if answered.is_empty() {
                    return client.shutdown().await;
                }
                server_spoke = true;
                client.write_all(answered).await?;
            }
        }
    }
}

/// Ends a connection the hard way, with or without the effect of what the client said last.
async fn disturb(
    fate: Fate,
    said: &[u8],
    mut client: TcpStream,
    mut server: TcpStream,
    watch: &Watch,
) -> io::Result<()> {
    let Fate::Disturbed(when, disturbance) = fate else { return Ok(()) };
    if when == When::After {
        server.write_all(said).await?;
        answer_of(&mut client, &mut server).await?;
    }
    match disturbance {
        Disturbance::Kill => watch.kill().await,
        Disturbance::Slow => hold(&mut client, watch).await,
        Disturbance::Reset | Disturbance::Throttling | Disturbance::ServerError => {}
    }
    client.set_zero_linger()
}

/// Waits until the server has answered, and keeps the answer back.
async fn answer_of(client: &mut TcpStream, server: &mut TcpStream) -> io::Result<()> {
    let (mut said, mut answered) = (vec![0; CHUNK], vec![0; CHUNK]);
    let (mut client_speaks, mut patience) = (true, ANSWER_TIME);
    loop {
        tokio::select! {
            // The rest of a request that came in pieces.
            length = client.read(&mut said), if client_speaks => {
                let length = length?;
                client_speaks = length > 0;
                server.write_all(said.get(..length).unwrap_or_default()).await?;
            }
            length = server.read(&mut answered) => match length {
                Ok(1..) => patience = QUIET_TIME,
                // It closes the connection: that is an answer too.
                Ok(0) | Err(_) => return Ok(()),
            },
            () = tokio::time::sleep(patience) => return Ok(()),
        }
    }
}

/// Keeps the connection open and silent until the client gives up or the invocation is over.
async fn hold(client: &mut TcpStream, watch: &Watch) {
    let mut said = vec![0; CHUNK];
    tokio::select! {
        () = watch.ended() => {}
        () = async { while let Ok(1..) = client.read(&mut said).await {} } => {}
    }
}
