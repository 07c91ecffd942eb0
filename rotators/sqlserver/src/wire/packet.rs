//! Packets of TDS, and the messages that they carry.
//!
//! Source: Microsoft, \[MS-TDS\], section 2.2.3, "Packets".

use fourstep::net::{self, Stream};
use fourstep::{Error, ErrorKind, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// More than all that a server says in a session here. A hostile one must not fill the memory, so its
/// session ends there.
const LONGEST_SESSION: usize = 512 * 1024;

/// Bytes of a packet's header.
pub(super) const HEAD: usize = 8;

/// The size of packets that is asked for, the server's own default: section 2.2.6.4, "PacketSize".
pub(super) const PACKET_SIZE: u16 = 4096;

/// The most that is sent in one message: what is sent here is far shorter.
const LONGEST_MESSAGE: usize = 64 * 1024;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Batch = 0x01,
    Answer = 0x04,
    Login = 0x10,
    Prelogin = 0x12,
}

/// The last packet of a message.
const END: u8 = 0x01;

/// A message in packets.
///
/// # Errors
/// [`ErrorKind::Malformed`] of one that is longer than anything that is said here.
pub(super) fn packets(kind: Kind, message: &[u8]) -> Result<Vec<u8>> {
    let room = usize::from(PACKET_SIZE) - HEAD;
    if message.len() > LONGEST_MESSAGE {
        return Err(Error::new(ErrorKind::Malformed, "what is to be sent is too long"));
    }
    let mut bytes = Vec::with_capacity(message.len() + HEAD);
    let count = message.len().div_ceil(room);
    for (number, part) in (1_u8..).zip(message.chunks(room)) {
        let status = if usize::from(number) == count { END } else { 0 };
        let length = u16::try_from(part.len() + HEAD).unwrap_or(PACKET_SIZE);
        let [high, low] = length.to_be_bytes();
        bytes.extend([kind as u8, status, high, low, 0, 0, number, 0]);
        bytes.extend(part);
    }
    Ok(bytes)
}

/// How many bytes follow a packet's header, and whether it is its message's last. None of what is no
/// header of this kind.
pub(super) fn body(head: &[u8; HEAD], kind: Kind) -> Option<(usize, bool)> {
    let [code, status, high, low, ..] = *head;
    let length = usize::from(u16::from_be_bytes([high, low])).checked_sub(HEAD)?;
    (code == kind as u8).then_some((length, status & END != 0))
}

/// What the server says in messages, counted, and what it is told.
pub(crate) struct Channel<S> {
    stream: S,
    left: usize,
}

impl<S: Stream> Channel<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, left: LONGEST_SESSION }
    }

    /// The same conversation over another stream, which `wrap` makes of the old one. Reading never
    /// takes more than one message, so nothing that came in plaintext can be left over.
    pub(crate) async fn over<T: Stream>(
        self,
        wrap: impl AsyncFnOnce(S) -> Result<T>,
    ) -> Result<Channel<T>> {
        Ok(Channel { stream: wrap(self.stream).await?, left: self.left })
    }

    pub(crate) async fn send(&mut self, kind: Kind, message: &[u8]) -> Result<()> {
        let bytes = packets(kind, message)?;
        self.stream.write_all(&bytes).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)
    }

    /// Reads one message of the server's.
    pub(crate) async fn receive(&mut self) -> Result<Vec<u8>> {
        let mut message = Vec::new();
        loop {
            let mut head = [0; HEAD];
            self.stream.read_exact(&mut head).await.map_err(broken)?;
            let (length, last) = body(&head, Kind::Answer).ok_or_else(not_sqlserver)?;
            self.left = self.left.checked_sub(length + HEAD).ok_or_else(|| {
                not_sqlserver().caused_by("it sends more than any server does in such a session")
            })?;
            let begin = message.len();
            message.resize(begin + length, 0);
            let part = message.get_mut(begin..).unwrap_or_default();
            self.stream.read_exact(part).await.map_err(broken)?;
            if last {
                return Ok(message);
            }
        }
    }

    /// Closes the connection, and waits until the server has closed its end: then it has given the locks
    /// back.
    pub(crate) async fn close(mut self) {
        // The server may have been quicker.
        let _ = self.stream.shutdown().await;
        let _ = self.stream.read(&mut [0; 64]).await;
    }
}

/// A connection that broke, at whatever was under way.
fn broken(cause: std::io::Error) -> Error {
    net::broken("the connection broke", cause)
}

/// What is said of a server that answers in another language.
pub(crate) fn not_sqlserver() -> Error {
    net::not_a("Microsoft SQL Server")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[tokio::test]
    async fn a_message_goes_in_as_many_packets_as_it_needs() {
        for length in [0, 1, 4088, 4089, 10_000] {
            let message = vec![7; length];
            let bytes = packets(Kind::Answer, &message).unwrap();
            assert_eq!(bytes.len(), length + HEAD * length.div_ceil(4088), "{length}");
            if length > 0 {
                let (near, mut far) = tokio::io::duplex(20_000);
                far.write_all(&bytes).await.unwrap();
                assert_eq!(Channel::new(near).receive().await.unwrap(), message);
            }
        }
        assert_eq!(packets(Kind::Batch, b"x").unwrap(), b"\x01\x01\0\x09\0\0\x01\0x");
        assert!(packets(Kind::Batch, &vec![0; LONGEST_MESSAGE + 1]).is_err());
    }

    #[tokio::test]
    async fn other_protocols_and_endless_answers_are_refused() {
        let endless = b"\x04\0\x0f\xff\0\0\0\0".iter().chain(&[0; 4087]).copied();
        let endless: Vec<u8> = std::iter::repeat_n(endless, 200).flatten().collect();
        for (bytes, why) in [
            (b"HTTP/1.1 400 Bad Request".to_vec(), "is not a Microsoft SQL Server"),
            (b"\x04\x01\0\x07\0\0\0\0".to_vec(), "is not a Microsoft SQL Server"),
            (endless, "sends more than any server does"),
        ] {
            let (near, mut far) = tokio::io::duplex(1 << 20);
            far.write_all(&bytes).await.unwrap();
            let error = Channel::new(near).receive().await.unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_head_is_read_or_refused(head: [u8; HEAD]) {
            let _ = body(&head, Kind::Answer);
        }
    }
}
