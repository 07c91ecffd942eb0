//! A door in front of a server: it lets everything through, or misbehaves in the way it was told.
//!
//! The secret names the door, so that a fault can begin and end while the secret stays as it is.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// How a door treats those who come.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    /// They reach the server at this port of the loopback address.
    To(u16),
    /// They hear this before they have said anything.
    Greets(&'static [u8]),
    /// They are let in and hear nothing.
    Silent,
    /// They are let in and the connection is closed.
    Closed,
    /// Whatever they say first, this is the answer.
    Says(&'static [u8]),
    /// They reach the server at this port until they say this text; what becomes of it then.
    Until(u16, &'static [u8], Moment, Then),
}

/// Whether the server gets to hear the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It never does.
    Before,
    /// It does, and its answer is thrown away.
    After,
}

/// What they get for an answer to that text.
#[derive(Debug, Clone, Copy)]
pub enum Then {
    /// None, for as long as they wait.
    Silence,
    /// A reset of the connection.
    Reset,
    /// These bytes.
    Says(&'static [u8]),
}

/// A door on the loopback address.
pub struct Door {
    pub port: u16,
    way: Arc<Mutex<Way>>,
    heard: Arc<Mutex<Vec<u8>>>,
    /// Told when somebody said the text of [`Way::Until`].
    pub reached: Arc<Notify>,
}

impl Door {
    /// A door that opens in this way.
    pub async fn new(way: Way) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let way = Arc::new(Mutex::new(way));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let reached = Arc::new(Notify::new());
        let (ways, all, told) = (Arc::clone(&way), Arc::clone(&heard), Arc::clone(&reached));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let way = *ways.lock().unwrap();
                let (all, told) = (Arc::clone(&all), Arc::clone(&told));
                tokio::spawn(async move {
                    // A client that gives up ends however it ends.
                    let _ = receive(stream, way, &all, &told).await;
                });
            }
        });
        Self { port, way, heard, reached }
    }

    /// From the next connection on it opens in this way.
    pub fn set(&self, way: Way) {
        *self.way.lock().unwrap() = way;
    }

    /// What was said to a door that answers by itself.
    pub fn heard(&self) -> Vec<u8> {
        self.heard.lock().unwrap().clone()
    }
}

async fn receive(
    mut near: TcpStream,
    way: Way,
    heard: &Mutex<Vec<u8>>,
    told: &Notify,
) -> std::io::Result<()> {
    near.set_nodelay(true)?;
    match way {
        Way::To(port) => {
            let mut far = TcpStream::connect(("127.0.0.1", port)).await?;
            far.set_nodelay(true)?;
            tokio::io::copy_bidirectional(&mut near, &mut far).await.map(drop)
        }
        Way::Silent => wait_for_end(&mut near, heard).await,
        Way::Closed => Ok(()),
        Way::Greets(greeting) => {
            near.write_all(greeting).await?;
            wait_for_end(&mut near, heard).await
        }
        Way::Says(answer) => {
            let mut said = [0; 8192];
            let length = near.read(&mut said).await?;
            heard.lock().unwrap().extend(&said[..length]);
            near.write_all(answer).await?;
            wait_for_end(&mut near, heard).await
        }
        Way::Until(port, text, moment, then) => {
            let mut far = TcpStream::connect(("127.0.0.1", port)).await?;
            far.set_nodelay(true)?;
            until(&mut near, &mut far, text, moment).await?;
            told.notify_one();
            match then {
                Then::Silence => {}
                Then::Reset => return near.set_zero_linger(),
                Then::Says(answer) => near.write_all(answer).await?,
            }
            wait_for_end(&mut near, heard).await
        }
    }
}

/// Keeps the connection until the client ends it.
async fn wait_for_end(near: &mut TcpStream, heard: &Mutex<Vec<u8>>) -> std::io::Result<()> {
    let mut said = [0; 8192];
    loop {
        match near.read(&mut said).await? {
            0 => return Ok(()),
            length => heard.lock().unwrap().extend(&said[..length]),
        }
    }
}

/// Passes both ways until the client says the text. A statement is short enough to arrive whole.
async fn until(
    near: &mut TcpStream,
    far: &mut TcpStream,
    text: &[u8],
    moment: Moment,
) -> std::io::Result<()> {
    let (mut said, mut answered) = ([0; 8192], [0; 8192]);
    loop {
        tokio::select! {
            length = near.read(&mut said) => {
                let said = &said[..length?];
                if said.is_empty() {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
                if said.windows(text.len()).any(|window| window == text) {
                    if moment == Moment::After {
                        far.write_all(said).await?;
                        let _answer = far.read(&mut answered).await?;
                    }
                    return Ok(());
                }
                far.write_all(said).await?;
            }
            length = far.read(&mut answered) => {
                let answered = &answered[..length?];
                if answered.is_empty() {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
                near.write_all(answered).await?;
            }
        }
    }
}
