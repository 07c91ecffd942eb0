//! How the front speaks MySQL's protocol, over TLS on both sides.
//!
//! Source: MySQL 9.7 source code documentation, "Client/Server Protocol".

use std::io;
use std::path::Path;
use std::sync::Arc;

use ring::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Known, Mysql, password_of};
use crate::support::redshift::tls;

const SSL: u32 = 0x0800;
const CONNECT_WITH_DB: u32 = 0x0008;
/// What clients may use here, and so at the server: long passwords, a database, protocol 4.1, TLS,
/// transactions, secure connections, plugins.
const CAPABILITIES: u32 = 0x0008_0000 | 0x8000 | 0x2000 | SSL | 0x0200 | CONNECT_WITH_DB | 0x0001;

/// How many bytes of a HandshakeResponse stand before the user's name; an SSLRequest is these alone.
const BEGINNING: usize = 32;

/// How the front asks a client for its password: `ClientPasswordAuthType` of RDS's API has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    Native,
    CachingSha2,
}

impl Asks {
    fn plugin(self) -> &'static [u8] {
        match self {
            Self::Native => b"mysql_native_password\0",
            Self::CachingSha2 => b"caching_sha2_password\0",
        }
    }

    /// What somebody who knows the password answers to this challenge.
    fn answer(self, password: &str, challenge: &[u8]) -> Vec<u8> {
        let hash = |with: &'static Algorithm, bytes: &[u8]| digest(with, bytes).as_ref().to_vec();
        let (first, mask) = match self {
            Self::Native => {
                let sha1 = |bytes: &[u8]| hash(&SHA1_FOR_LEGACY_USE_ONLY, bytes);
                let first = sha1(password.as_bytes());
                let mask = sha1(&[challenge, &sha1(&first)].concat());
                (first, mask)
            }
            Self::CachingSha2 => {
                let first = hash(&SHA256, password.as_bytes());
                let twice = hash(&SHA256, &first);
                (first, hash(&SHA256, &[&twice[..], challenge].concat()))
            }
        };
        first.iter().zip(mask).map(|(one, other)| one ^ other).collect()
    }
}

pub(super) async fn serve(
    mut near: TcpStream,
    server: &Mysql,
    asks: Asks,
    known: &Known,
) -> io::Result<()> {
    // 20 characters: none is a NUL.
    let challenge = &uuid::Uuid::new_v4().simple().to_string().into_bytes()[..20];
    send(&mut near, 0, &greeting(asks, challenge)).await?;
    if receive(&mut near).await?.1.len() != BEGINNING {
        // It wants no TLS.
        return Ok(());
    }
    let acceptor = tls(Path::new(&server.file("")), rustls::ALL_VERSIONS);
    let mut near = acceptor.accept(near).await?;
    let (mut number, response) = receive(&mut near).await?;
    let asked = Asked::of(&response);
    let wrong =
        format!("\x15\x04#28000Access denied for user '{}' (using password: YES)", asked.user);
    let wrong = [&[0xff][..], wrong.as_bytes()].concat();
    // Whatever was answered by the way, it is asked by this plugin.
    let question = [&[0xfe][..], asks.plugin(), challenge, &[0]].concat();
    send(&mut near, number + 1, &question).await?;
    let answer = receive(&mut near).await?;
    number = answer.0 + 1;
    let password = password_of(known, &asked.user);
    let Some(password) = password.filter(|known| asks.answer(known, challenge) == answer.1) else {
        return send(&mut near, number, &wrong).await;
    };
    if asks == Asks::CachingSha2 {
        send(&mut near, number, &[0x01, 0x03]).await?;
        number += 1;
    }
    match log_in(server, &asked, &password).await? {
        Err(refusal) => send(&mut near, number, &refusal).await,
        Ok(mut far) => {
            send(&mut near, number, &[0, 0, 0, 2, 0, 0, 0]).await?;
            copy_bidirectional(&mut near, &mut far).await.map(drop)
        }
    }
}

/// HandshakeV10.
fn greeting(asks: Asks, challenge: &[u8]) -> Vec<u8> {
    let [low, high] = [CAPABILITIES & 0xffff, CAPABILITIES >> 16].map(|half| half as u16);
    [
        &b"\x0a8.0.28\0\x07\0\0\0"[..],
        &challenge[..8],
        &[0],
        &low.to_le_bytes(),
        &[45, 2, 0],
        &high.to_le_bytes(),
        &[21],
        &[0; 10],
        &challenge[8..],
        &[0],
        asks.plugin(),
    ]
    .concat()
}

/// What a client's HandshakeResponse41 says of the session that it wants.
struct Asked {
    capabilities: u32,
    /// What stands before the user's name, without the capabilities.
    rest: Vec<u8>,
    user: String,
    database: Option<Vec<u8>>,
}

impl Asked {
    fn of(response: &[u8]) -> Self {
        let (beginning, names) = response.split_at(BEGINNING);
        let capabilities = u32::from_le_bytes(*beginning.first_chunk().unwrap()) & CAPABILITIES;
        let until_nul = |bytes: &[u8]| bytes.split(|byte| *byte == 0).next().unwrap().to_vec();
        let user = until_nul(names);
        let behind = &names[user.len() + 1..];
        let behind = &behind[usize::from(behind[0]) + 1..];
        let named = capabilities & CONNECT_WITH_DB != 0;
        Self {
            capabilities,
            rest: beginning[4..].to_vec(),
            user: String::from_utf8_lossy(&user).into_owned(),
            database: named.then(|| until_nul(behind)),
        }
    }
}

/// Logs in at the server with what is known; what it says if it refuses that.
async fn log_in(
    server: &Mysql,
    asked: &Asked,
    password: &str,
) -> io::Result<Result<TlsStream<TcpStream>, Vec<u8>>> {
    let mut far = TcpStream::connect((server.host.as_str(), server.port)).await?;
    let (_, greeting) = receive(&mut far).await?;
    // Behind the version and the connection's number.
    let at = greeting.iter().position(|byte| *byte == 0).unwrap() + 5;
    let challenge = [&greeting[at..at + 8], &greeting[at + 27..at + 39]].concat();
    let beginning = [&asked.capabilities.to_le_bytes()[..], &asked.rest].concat();
    send(&mut far, 1, &beginning).await?;
    let name = ServerName::try_from(server.host.clone()).unwrap();
    let mut far = trusting(server).connect(name, far).await?;
    let plugin = Asks::CachingSha2;
    let answer = plugin.answer(password, &challenge);
    let mut response = [&beginning[..], asked.user.as_bytes(), &[0, answer.len() as u8]].concat();
    response.extend(answer);
    if let Some(database) = &asked.database {
        response.extend([&database[..], &[0]].concat());
    }
    response.extend(plugin.plugin());
    send(&mut far, 2, &response).await?;
    loop {
        let (number, said) = receive(&mut far).await?;
        match said[..] {
            [0x00, ..] => return Ok(Ok(far)),
            [0xff, ..] => return Ok(Err(said)),
            [0x01, 0x03] => {}
            // It has not seen this password yet, and wants it inside TLS.
            [0x01, 0x04] => {
                send(&mut far, number + 1, &[password.as_bytes(), &[0]].concat()).await?
            }
            _ => panic!("{said:?}"),
        }
    }
}

fn trusting(server: &Mysql) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(server.file("tls/ca.pem")).unwrap();
    roots.add(ca).unwrap();
    let config =
        ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

async fn send(to: &mut (impl AsyncWrite + Unpin), number: u8, payload: &[u8]) -> io::Result<()> {
    let [low, middle, high, _] = u32::try_from(payload.len()).unwrap().to_le_bytes();
    to.write_all(&[&[low, middle, high, number][..], payload].concat()).await?;
    to.flush().await
}

/// A packet's number and payload.
async fn receive(from: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 4];
    from.read_exact(&mut head).await?;
    let [low, middle, high, number] = head;
    let mut payload = vec![0; u32::from_le_bytes([low, middle, high, 0]) as usize];
    from.read_exact(&mut payload).await?;
    Ok((number, payload))
}
