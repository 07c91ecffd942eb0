//! What TLS is spoken over: its handshake goes in packets of TDS, what follows goes as it is.
//!
//! Source: Microsoft, \[MS-TDS\], section 2.2.6.5, "PRELOGIN". It does not say where the handshake ends of
//! TLS 1.3, in which a server may go on after the client. So each piece that comes is told by its first
//! byte: no type of a TLS record is one of a packet.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use fourstep::net::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::packet::{self, HEAD, Kind};

/// Bytes of a TLS record's header.
const RECORD_HEAD: usize = 5;

/// A stream in which TLS begins.
pub(crate) struct Tunnel<S> {
    stream: S,
    /// Whether what is sent goes in packets.
    wraps: bool,
    /// What TLS said since it last waited for an answer.
    said: Vec<u8>,
    /// The packets of that which are not sent yet.
    sending: Vec<u8>,
    /// A packet or a record, as far as it is there.
    piece: Vec<u8>,
    /// What TLS is to be given of it.
    ready: Vec<u8>,
}

/// How long a piece is, as far as its beginning tells, and how much of it is a packet's header.
fn length(piece: &[u8]) -> io::Result<(usize, usize)> {
    let number = |high, low| usize::from(u16::from_be_bytes([high, low]));
    match *piece {
        [] => Ok((1, 0)),
        [0x04 | 0x12, _, high, low, _, _, _, _, ..] if number(high, low) >= HEAD => {
            Ok((number(high, low), HEAD))
        }
        [0x04 | 0x12, ..] if piece.len() < HEAD => Ok((HEAD, HEAD)),
        [0x14..=0x18, _, _, high, low, ..] => Ok((RECORD_HEAD + number(high, low), 0)),
        [0x14..=0x18, ..] => Ok((RECORD_HEAD, 0)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "neither TDS nor TLS came")),
    }
}

impl<S: Stream> Tunnel<S> {
    pub(crate) fn new(stream: S) -> Self {
        let [said, sending, piece, ready] = std::array::from_fn(|_| Vec::new());
        Self { stream, wraps: true, said, sending, piece, ready }
    }

    /// The handshake is over: from now on what is sent goes as it is.
    pub(crate) fn open(&mut self) {
        self.wraps = false;
    }

    /// Sends what TLS has said.
    fn poll_said(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.said.is_empty() {
            let said = std::mem::take(&mut self.said);
            self.sending.extend(packet::packets(Kind::Prelogin, &said).map_err(io::Error::other)?);
        }
        while !self.sending.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.sending))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sending.drain(..sent);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads the next piece. False where the stream ends before it.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            let (whole, head) = length(&self.piece)?;
            let missing = whole.saturating_sub(self.piece.len());
            if missing == 0 {
                self.ready = self.piece.split_off(head);
                self.piece.clear();
                return Poll::Ready(Ok(true));
            }
            let mut room = [0; 2048];
            let mut part = ReadBuf::new(&mut room);
            let mut part = part.take(missing);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
            if part.filled().is_empty() {
                let whole = self.piece.is_empty();
                let cut = || Err(io::ErrorKind::UnexpectedEof.into());
                return Poll::Ready(if whole { Ok(false) } else { cut() });
            }
            self.piece.extend(part.filled());
        }
    }
}

impl<S: Stream> AsyncRead for Tunnel<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // An answer comes to what was sent only.
        ready!(self.poll_said(cx))?;
        while self.ready.is_empty() {
            if !ready!(self.poll_piece(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
        let count = self.ready.len().min(buffer.remaining());
        buffer.put_slice(self.ready.get(..count).unwrap_or_default());
        self.ready.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncWrite for Tunnel<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.wraps {
            self.said.extend(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        ready!(self.poll_said(cx))?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_said(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn the_handshake_goes_in_packets_and_what_follows_as_it_is() {
        let (near, mut far) = tokio::io::duplex(1024);
        let mut tunnel = Tunnel::new(near);
        tunnel.write_all(b"\x16hel").await.unwrap();
        tunnel.write_all(b"lo").await.unwrap();
        tunnel.flush().await.unwrap();
        let mut packet = [0; 14];
        far.read_exact(&mut packet).await.unwrap();
        assert_eq!(&packet, b"\x12\x01\0\x0e\0\0\x01\0\x16hello");
        tunnel.open();
        tunnel.write_all(b"\x17bare").await.unwrap();
        let mut bare = [0; 5];
        far.read_exact(&mut bare).await.unwrap();
        assert_eq!(&bare, b"\x17bare");
    }

    #[tokio::test]
    async fn what_comes_is_told_by_its_first_byte() {
        let (near, mut far) = tokio::io::duplex(1024);
        let mut tunnel = Tunnel::new(near);
        far.write_all(b"\x12\0\0\x0a\0\0\x01\0AB\x12\x01\0\x08\0\0\x02\0\x04\x01\0\x09\0\0\x01\0C")
            .await
            .unwrap();
        far.write_all(b"\x17\x03\x03\0\x02DE").await.unwrap();
        let mut all = [0; 10];
        tunnel.read_exact(&mut all).await.unwrap();
        assert_eq!(&all, b"ABC\x17\x03\x03\0\x02DE");
        far.write_all(b"\x17\x03").await.unwrap();
        drop(far);
        let error = tunnel.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    proptest! {
        #[test]
        fn any_piece_is_longer_than_its_header_or_refused(
            piece in prop::collection::vec(any::<u8>(), 0..12),
        ) {
            if let Ok((whole, head)) = length(&piece) {
                prop_assert!(whole >= head && whole > 0);
            }
        }
    }
}
