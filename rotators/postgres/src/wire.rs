//! The way to the server: a stream, TLS, the login; and the bridge to the driver behind it.
//!
//! sqlx speaks the protocol once a session stands, but it does not get to log in. It cannot be told
//! a TLS name that differs from the host, it answers a server's request for a cleartext password
//! on a plaintext connection, and it does not say whether the server checked the password at all.
//! So this module connects, verifies, authenticates and only then hands an authenticated stream to
//! sqlx, which never sees the password.
//!
//! Source for all of it: PostgreSQL 18 documentation, chapter 54, "Frontend/Backend Protocol".

mod driver_bridge;
mod login;
mod message;

use bytes::BytesMut;
use fourstep::net::{Stream, Transport, broken, connect_tcp, connect_time, handshake, within};
use fourstep::users::Login;
use fourstep::{Error, ErrorKind, Invocation, Result};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Postgres;

pub(crate) use driver_bridge::{driver_bridge, without_panic};
pub(crate) use login::{LoggedIn, Method, log_in};

/// A connection on which nothing was sent but what TLS needed.
pub(crate) struct Wire {
    pub(crate) stream: Box<dyn Stream>,
    /// Whether a cleartext password or an MD5 hash of it may be sent: inside verified TLS, or
    /// where the function's owner allowed it.
    pub(crate) weak_authentication: bool,
}

impl Postgres {
    pub(crate) async fn connect(
        &self,
        login: &Login,
        transport: Transport,
        cx: &Invocation,
    ) -> Result<Wire> {
        let mut stream = connect_tcp(&login.host, login.port, cx).await?;
        if transport == Transport::Plaintext {
            let weak_authentication = self.transport.allow_weak_authentication;
            return Ok(Wire { stream: Box::new(stream), weak_authentication });
        }
        within(cx, "the request for TLS", connect_time(cx), request_tls(&mut stream)).await??;
        let stream = handshake(stream, &login.host, &self.tls, cx).await?;
        Ok(Wire { stream: Box::new(stream), weak_authentication: true })
    }
}

/// Asks for TLS. Reads exactly one byte: anything sent behind it in plaintext is left for the TLS
/// handshake to choke on, and can never pass for a part of the session (CVE-2021-23222).
async fn request_tls(stream: &mut TcpStream) -> Result<()> {
    let broken = |cause| broken("the connection broke at the request for TLS", cause);
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    stream.write_all(&request).await.map_err(broken)?;
    match stream.read_u8().await.map_err(broken)? {
        b'S' => Ok(()),
        b'N' => Err(Error::new(
            ErrorKind::Tls,
            "the server does not offer TLS; turn it on, or set the secret's field \"ssl\" to false",
        )),
        // What follows is not authenticated, so it is not worth quoting (CVE-2024-10977).
        b'E' => Err(Error::new(
            ErrorKind::Unreachable,
            "the server answered the request for TLS with an error",
        )),
        _ => Err(message::not_postgres()),
    }
}
