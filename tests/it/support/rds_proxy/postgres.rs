//! How the front speaks PostgreSQL's protocol, with SCRAM-SHA-256 on both sides.

use std::io;
use std::num::NonZeroU32;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;
use ring::{digest, hmac, pbkdf2};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

use super::{Known, Postgres, password_of};

/// What PostgreSQL says of a wrong password.
const WRONG: &[u8] = b"SFATAL\0VFATAL\0C28P01\0Mthe password that was provided is wrong\0\0";

/// How often it hashes, as PostgreSQL does.
const ROUNDS: u32 = 4096;

pub(super) async fn serve(mut near: TcpStream, server: &Postgres, known: &Known) -> io::Result<()> {
    let length = near.read_u32().await?;
    let mut startup = vec![0; length as usize - 4];
    near.read_exact(&mut startup).await?;
    let mut words = startup[4..].split(|byte| *byte == 0);
    let user = loop {
        let Some(name) = words.next() else { return Ok(()) };
        let value = String::from_utf8_lossy(words.next().unwrap_or_default()).into_owned();
        if name == b"user" {
            break value;
        }
    };
    let Some(password) = password_of(known, &user) else {
        return send(&mut near, b'E', WRONG).await;
    };
    if !lets_in(&mut near, &password).await? {
        return send(&mut near, b'E', WRONG).await;
    }
    let mut far = TcpStream::connect((server.host.as_str(), server.port)).await?;
    far.write_all(&[&length.to_be_bytes()[..], &startup].concat()).await?;
    if let Some(refusal) = log_in(&mut far, &password).await? {
        return send(&mut near, b'E', &refusal).await;
    }
    send(&mut near, b'R', &0_u32.to_be_bytes()).await?;
    loop {
        let (kind, mut body) = receive(&mut far).await?;
        if kind == b'K' {
            // Its sessions are not the server's processes.
            body[..4].copy_from_slice(&7_i32.to_be_bytes());
        }
        send(&mut near, kind, &body).await?;
        if kind == b'Z' {
            break;
        }
    }
    copy_bidirectional(&mut near, &mut far).await.map(drop)
}

/// Asks a client for the password by SCRAM-SHA-256 (RFC 5802).
async fn lets_in(near: &mut TcpStream, password: &str) -> io::Result<bool> {
    let offered = [&10_u32.to_be_bytes()[..], SCRAM_SHA_256.as_bytes(), b"\0\0"].concat();
    send(near, b'R', &offered).await?;
    let (_, body) = receive(near).await?;
    let text = String::from_utf8_lossy(&body).into_owned();
    let Some((_, bare)) = text.split_once("n,,") else { return Ok(false) };
    let Some((_, nonce)) = bare.split_once("r=") else { return Ok(false) };
    let salt = uuid::Uuid::new_v4();
    let first = format!("r={nonce}{},s={},i={ROUNDS}", uuid::Uuid::new_v4(), BASE64.encode(salt));
    send(near, b'R', &[&11_u32.to_be_bytes()[..], first.as_bytes()].concat()).await?;
    let (_, body) = receive(near).await?;
    let last = String::from_utf8_lossy(&body).into_owned();
    let Some((without, proof)) = last.rsplit_once(",p=") else { return Ok(false) };
    let said = format!("{bare},{first},{without}");
    let mut salted = [0; digest::SHA256_OUTPUT_LEN];
    let rounds = NonZeroU32::new(ROUNDS).unwrap();
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(algorithm, rounds, salt.as_bytes(), password.as_bytes(), &mut salted);
    let keyed = |key: &[u8], text: &str| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
    };
    let client = keyed(&salted, "Client Key");
    let stored = digest::digest(&digest::SHA256, client.as_ref());
    let signature = keyed(stored.as_ref(), &said);
    let expected = client.as_ref().iter().zip(signature.as_ref()).map(|(one, other)| one ^ other);
    if BASE64.decode(proof).ok() != Some(expected.collect()) {
        return Ok(false);
    }
    let server = keyed(keyed(&salted, "Server Key").as_ref(), &said);
    let proves = format!("v={}", BASE64.encode(server));
    send(near, b'R', &[&12_u32.to_be_bytes()[..], proves.as_bytes()].concat()).await?;
    Ok(true)
}

/// Logs in at the server, with what is known; what it says if it refuses that.
async fn log_in(far: &mut TcpStream, password: &str) -> io::Result<Option<Vec<u8>>> {
    let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
    loop {
        let (kind, body) = receive(far).await?;
        if kind == b'E' {
            return Ok(Some(body));
        }
        let mut answer = bytes::BytesMut::new();
        match u32::from_be_bytes(*body.first_chunk().unwrap()) {
            0 => return Ok(None),
            10 => frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut answer)?,
            11 => {
                scram.update(&body[4..])?;
                frontend::sasl_response(scram.message(), &mut answer)?;
            }
            12 => scram.finish(&body[4..])?,
            other => panic!("authentication {other}"),
        }
        far.write_all(&answer).await?;
    }
}

async fn send(to: &mut TcpStream, kind: u8, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    to.write_all(&[&[kind], &length[..], body].concat()).await
}

async fn receive(from: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let kind = from.read_u8().await?;
    let mut body = vec![0; from.read_u32().await? as usize - 4];
    from.read_exact(&mut body).await?;
    Ok((kind, body))
}
