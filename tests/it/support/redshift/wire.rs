//! What is said at the front: the protocol's messages, Redshift's login, and its change of a password.

use fourstep::net::Stream;
use fourstep::random_bytes;
use postgres_protocol::authentication::md5_hash;
use ring::digest::{Context, SHA256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How a user's password is kept, by which it is asked for.
#[derive(Debug, Clone)]
pub enum Kept {
    Digest { digest: Vec<u8>, salt: Vec<u8> },
    Md5(String),
    Cleartext(String),
    Disabled,
}

impl Kept {
    pub fn of(password: &str) -> Self {
        let salt = random_bytes::<32>().unwrap().to_vec();
        Self::Digest { digest: sha256(&[password.as_bytes(), &salt]), salt }
    }
}

/// Reads what the real server says up to ReadyForQuery, with Redshift's version in place of its own; and
/// whether it refused nothing.
pub async fn answer(far: &mut TcpStream) -> std::io::Result<(Vec<u8>, bool)> {
    let (mut said, mut fine) = (Vec::new(), true);
    loop {
        let (kind, mut body) = read_message(far).await?;
        if kind == b'S' && body.starts_with(b"server_version\0") {
            body = b"server_version\x008.0.2\0".to_vec();
        }
        // The real server lets in whom it knows, and asks everybody else.
        if kind == b'R' && body != [0; 4] {
            return Err(std::io::Error::other("there is no such user"));
        }
        fine &= kind != b'E';
        said.extend(message(kind, &body));
        if kind == b'Z' {
            return Ok((said, fine));
        }
    }
}

/// Whose password a statement sets, and what is kept of it. A user that is made has none.
pub fn read_change(text: &str) -> Option<(String, Kept)> {
    if let Some(made) = text.strip_prefix("CREATE USER \"") {
        let (name, _) = made.split_once("\" PASSWORD DISABLE")?;
        return Some((name.replace("\"\"", "\""), Kept::Disabled));
    }
    let (name, digest) = text.strip_prefix("ALTER USER \"")?.split_once("\" PASSWORD 'sha256|")?;
    let (digest, salt) = digest.strip_suffix('\'')?.split_once('|')?;
    let bytes = |text: &str| -> Option<Vec<u8>> {
        let digits: Vec<_> = text.chars().map(|c| c.to_digit(16)).collect::<Option<_>>()?;
        digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect()
    };
    let (digest, salt) = (bytes(digest)?, bytes(salt)?);
    assert_eq!((digest.len(), salt.len()), (32, 32));
    Some((name.replace("\"\"", "\""), Kept::Digest { digest, salt }))
}

/// Asks for the password, and whether the answer is right.
pub async fn ask(near: &mut dyn Stream, user: &str, kept: &Kept) -> std::io::Result<bool> {
    let part =
        |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let nonce = random_bytes::<16>().unwrap();
    let request = match kept {
        Kept::Digest { salt, .. } => {
            [&[0, 0, 0, 13, 0, 0, 0, 0][..], &part(salt)[..], &part(&nonce)[..]].concat()
        }
        Kept::Md5(_) => [&[0, 0, 0, 5][..], &nonce[..4]].concat(),
        Kept::Cleartext(_) => vec![0, 0, 0, 3],
        Kept::Disabled => vec![0, 0, 0, 5, 1, 2, 3, 4],
    };
    near.write_all(&message(b'R', &request)).await?;
    let (kind, answer) = read_message(near).await?;
    Ok(match kept {
        Kept::Digest { digest, .. } => {
            let (own, client) = answer.get(4..36).zip(answer.get(40..)).unwrap_or_default();
            kind == b'd' && own == sha256(&[&digest[..], &nonce[..], client])
        }
        Kept::Md5(password) => {
            let salt = nonce[..4].try_into().unwrap();
            let hash = md5_hash(user.as_bytes(), password.as_bytes(), salt);
            kind == b'p' && answer == [hash.as_bytes(), b"\0"].concat()
        }
        Kept::Cleartext(password) => {
            kind == b'p' && answer == [password.as_bytes(), b"\0"].concat()
        }
        Kept::Disabled => false,
    })
}

pub fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    context.finish().as_ref().to_vec()
}

pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

pub fn error(severity: &str, code: &str, text: &str, routine: &str) -> Vec<u8> {
    message(
        b'E',
        format!("S{severity}\0C{code}\0M{text}\0Fauth.c\0L413\0R{routine}\0\0").as_bytes(),
    )
}

pub async fn read_message(stream: &mut (impl Stream + ?Sized)) -> std::io::Result<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await?;
    Ok((kind, read_body(stream).await?))
}

/// What stands behind a length, which counts itself.
pub async fn read_body(stream: &mut (impl Stream + ?Sized)) -> std::io::Result<Vec<u8>> {
    let length = usize::try_from(stream.read_u32().await?).unwrap();
    let mut body = vec![0; length.saturating_sub(4)];
    stream.read_exact(&mut body).await?;
    Ok(body)
}
