//! Hands an authenticated stream to sqlx, through a Unix socket that exists for a moment.
//!
//! sqlx takes no stream, but it connects to a Unix socket. There it is told what the server said
//! at the login; from then on every byte is passed through.

use std::fs::DirBuilder;
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use fourstep::net::Stream;
use fourstep::{Error, ErrorKind, Result};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, split};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// The name that sqlx looks for in the socket's folder.
const SOCKET: &str = ".s.PGSQL.5432";

/// More than sqlx's first message needs.
const LONGEST_STARTUP: u32 = 16 * 1024;

/// More than all that a server says in a session here, an answer to PROBE_QUERY included, whose rows
/// are dropped as they come. A hostile one must not fill the memory, so its stream ends there.
const LONGEST_SESSION: u64 = 24 * 1024 * 1024;

/// More than any message of those, in bytes: a row of PROBE_QUERY is the longest. The driver keeps a message
/// whole, and a copy of it while its buffer grows.
const LONGEST_MESSAGE: usize = 8 * 1024 * 1024;

/// How long a closing connection may take to say so.
const CLOSING_TIME: Duration = Duration::from_secs(1);

/// Makes sqlx's connection out of an authenticated stream. `greeting` is what the server said
/// from AuthenticationOk to ReadyForQuery. The task passes bytes until either side closes.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if the socket cannot be made (no writable temporary folder, or one
/// with a path too long for a socket),
/// [`ErrorKind::Unreachable`] if the driver cannot make sense of the greeting.
pub(crate) async fn driver_bridge(
    server: Box<dyn Stream>,
    greeting: &[u8],
) -> Result<(PgConnection, JoinHandle<()>)> {
    let folder = Folder::create().map_err(no_socket)?;
    let listener = UnixListener::bind(folder.0.join(SOCKET)).map_err(no_socket)?;
    // Everything that PG* variables may have set is either set here or goes into the first
    // message, which is read and thrown away.
    let options = PgConnectOptions::new_without_pgpass()
        .socket(&folder.0)
        .port(5432)
        .username("fourstep")
        .ssl_mode(PgSslMode::Disable)
        .disable_statement_logging();
    let (local, driver) =
        tokio::join!(introduce(listener, folder, greeting), without_panic(options.connect()));
    let local = local.map_err(no_socket)?;
    let driver = driver.and_then(Result::ok).ok_or_else(|| {
        Error::new(ErrorKind::Unreachable, "the server's greeting cannot be understood")
    })?;
    Ok((driver, tokio::spawn(pass(local, server))))
}

fn no_socket(cause: io::Error) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "cannot make a socket in the temporary folder; set TMPDIR to a writable one with a short path",
    )
    .caused_by(cause)
}

/// Lets the driver in, once, and gives it the greeting. The folder goes as soon as it is in.
async fn introduce(
    listener: UnixListener,
    folder: Folder,
    greeting: &[u8],
) -> io::Result<UnixStream> {
    let (mut local, _) = listener.accept().await?;
    drop((listener, folder));
    let length = local.read_u32().await?.saturating_sub(4);
    if length > LONGEST_STARTUP {
        return Err(io::Error::other("the driver's first message is too long"));
    }
    copy(&mut (&mut local).take(length.into()), &mut tokio::io::sink()).await?;
    local.write_all(greeting).await?;
    Ok(local)
}

/// Passes bytes both ways until one side ends, then closes the session with a Terminate message, so
/// that its log shows no broken connection. An open transaction is rolled back by that.
async fn pass(local: UnixStream, server: Box<dyn Stream>) {
    let (mut from_driver, mut to_driver) = split(local);
    let (from_server, mut to_server) = split(server);
    tokio::select! {
        _ = copy(&mut from_driver, &mut to_server) => {}
        _ = copy_bounded(from_server.take(LONGEST_SESSION), &mut to_driver) => {}
    }
    let _ = tokio::time::timeout(CLOSING_TIME, to_server.shutdown()).await;
}

/// Passes on what the server says, until one of its messages says that it is longer than any is.
async fn copy_bounded(
    mut from: impl AsyncRead + Unpin,
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut messages = Messages::default();
    let mut chunk = Vec::with_capacity(16 * 1024);
    while from.read_buf(&mut chunk).await? > 0 && messages.take(&chunk) {
        to.write_all(&chunk).await?;
        chunk.clear();
    }
    Ok(())
}

/// Where the messages of a stream begin: each has a byte of its kind, then its length, which counts itself.
#[derive(Default)]
struct Messages {
    header: Vec<u8>,
    /// What is left of the message's body.
    left: usize,
}

impl Messages {
    /// Whether these bytes may be passed on.
    fn take(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let (body, rest) = bytes.split_at(self.left.min(bytes.len()));
            self.left -= body.len();
            let (header, rest) = rest.split_at((5 - self.header.len()).min(rest.len()));
            self.header.extend(header);
            bytes = rest;
            if let &[_, a, b, c, d] = self.header.as_slice() {
                // A length that is too short is for the driver to refuse.
                self.left = (u32::from_be_bytes([a, b, c, d]) as usize).saturating_sub(4);
                self.header.clear();
            }
            if self.left > LONGEST_MESSAGE {
                return false;
            }
        }
        true
    }
}

/// Runs the driver so that a panic in it, which an answer of garbage can cause, ends as `None`.
pub(crate) async fn without_panic<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(polled) => polled.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

/// A folder that only this user can look into, under a name that cannot be guessed; removed, with
/// the socket in it, when dropped.
struct Folder(PathBuf);

impl Folder {
    fn create() -> io::Result<Self> {
        // RandomState is seeded by the operating system: nobody can occupy the name beforehand.
        // Short, because the whole path of a socket may have about 100 characters.
        let name = format!("fs-{:016x}", RandomState::new().hash_one(0_u8));
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Failing to tidy up must not fail a rotation.
        let _ = std::fs::remove_file(self.0.join(SOCKET));
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// AuthenticationOk, BackendKeyData, ReadyForQuery.
    const GREETING: &[u8] = b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x01\0\0\0\x02Z\0\0\0\x05I";

    #[test]
    fn the_folder_is_private_and_goes_with_its_socket() {
        let folder = Folder::create().unwrap();
        let path = folder.0.clone();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::write(path.join(SOCKET), "").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn the_driver_opens_on_the_greeting_and_its_end_reaches_the_server() {
        let (near, mut far) = tokio::io::duplex(1024);
        let (connection, passing) = driver_bridge(Box::new(near), GREETING).await.unwrap();
        drop(connection);
        passing.await.unwrap();
        // Nothing of the driver's own login came through.
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"");
    }

    #[test]
    fn a_message_is_measured_wherever_the_stream_is_cut() {
        let stream = [b"D\0\0\0\x06ab".as_slice(), b"Z\0\0\0\x04", b"T\0\x80\0\x05"].concat();
        for size in 1..stream.len() {
            let mut messages = Messages::default();
            let refused = stream.chunks(size).position(|chunk| !messages.take(chunk));
            assert_eq!(refused, Some((stream.len() - 1) / size), "{size}");
        }
        assert!(Messages::default().take(b"T\0\x80\0\x04"));
    }

    #[tokio::test]
    async fn a_driver_that_panics_or_fails_is_an_error() {
        assert_eq!(without_panic(async { panic!("out of bounds") }).await, None::<()>);
        for garbage in [&b"K\0\0\0\0"[..], b"Z\0\0\0\x04", b"!"] {
            let (near, _far) = tokio::io::duplex(1024);
            let error = driver_bridge(Box::new(near), garbage);
            // Half a message leaves the driver waiting for the rest: the login's own limit ends it.
            let half = garbage == b"!";
            let limit = Duration::from_millis(if half { 200 } else { 60_000 });
            match tokio::time::timeout(limit, error).await {
                Ok(spliced) => assert_eq!(spliced.err().unwrap().kind(), ErrorKind::Unreachable),
                Err(_) => assert!(half),
            }
        }
    }
}
