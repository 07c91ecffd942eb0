//! Servers that are none: one that asks for the password in cleartext and repeats it wherever a server may
//! speak, and one of another protocol.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Starts it on the loopback address; its port.
pub async fn echoing_server() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

/// Starts one that speaks another protocol than any database; its port.
pub async fn mail_server() -> u16 {
    let listener = TcpListener::bind(("localhost", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"220 mail.example ESMTP ready\r\n").await;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    port
}

/// One message: its kind, and a body behind its length.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

/// A notice (N) or error (E) with this text.
fn said(kind: u8, severity: &str, text: &str) -> Vec<u8> {
    message(kind, format!("S{severity}\0V{severity}\0C01000\0M{text}\0\0").as_bytes())
}

/// A row of three text columns, each of which is this text.
fn rows(text: &str) -> Vec<u8> {
    // Of each column: name, no table, no attribute number, type text, any length, no modifier, text.
    let column = b"c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0";
    let description = [&[0, 3][..], column, column, column].concat();
    let length = u32::try_from(text.len()).unwrap().to_be_bytes();
    let value = [&length[..], text.as_bytes()].concat();
    let row = [&[0, 3][..], &value, &value, &value].concat();
    [message(b'T', &description), message(b'D', &row), message(b'C', b"SELECT 1\0")].concat()
}

async fn serve(mut stream: TcpStream) {
    let mut heard = [0; 8192];
    let _startup = stream.read(&mut heard).await.unwrap_or_default();
    // AuthenticationCleartextPassword.
    stream.write_all(&message(b'R', &[0, 0, 0, 3])).await.unwrap();
    let length = stream.read(&mut heard).await.unwrap_or_default();
    let password =
        String::from_utf8_lossy(heard.get(5..length.saturating_sub(1)).unwrap_or_default())
            .into_owned();
    let parameter = format!("application_name\0{password}\0");
    let greeting = [
        said(b'N', "WARNING", &password),
        message(b'R', &[0; 4]),
        message(b'S', parameter.as_bytes()),
        message(b'K', &[0; 8]),
        message(b'Z', b"I"),
    ];
    stream.write_all(&greeting.concat()).await.unwrap();
    let mut asked = 0;
    while let Ok(1..) = stream.read(&mut heard).await {
        asked += 1;
        let said_of_it = if asked == 1 { rows(&password) } else { said(b'E', "ERROR", &password) };
        let answer = [said(b'N', "WARNING", &password), said_of_it, message(b'Z', b"I")];
        if stream.write_all(&answer.concat()).await.is_err() {
            break;
        }
    }
}
