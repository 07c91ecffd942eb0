//! Packets of the protocol, and the parts that they consist of.

use fourstep::net::{self, Stream};
use fourstep::{Error, ErrorKind, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// More than all that a server says in a session here, but for rows that are not kept. A hostile one
/// must not fill the memory, so its session ends there.
const LONGEST_SESSION: usize = 256 * 1024;

/// The same of an admin's session, which reads what users may do: a server may have thousands of
/// users, and a user rights on thousands of tables. What rows take beside their texts counts too.
const LONGEST_ADMIN_SESSION: usize = 24 * 1024 * 1024;

/// The longest payload that fits into one packet. What is sent here is bounded by the size of a
/// secret, 64 KiB.
const LONGEST_PAYLOAD: usize = 0x00ff_ffff;

/// What the server says in packets, counted, and what it is told.
pub(crate) struct Channel<S> {
    stream: S,
    /// The number that the next packet carries, whoever sends it.
    sequence: u8,
    left: usize,
}

impl<S: Stream> Channel<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, sequence: 0, left: LONGEST_SESSION }
    }

    /// The same conversation over another stream, which `wrap` makes of the old one. Nothing that
    /// came in plaintext can be left over, because reading never takes more than one packet
    /// (as in CVE-2021-23222 of PostgreSQL).
    pub(crate) async fn over<T: Stream>(
        self,
        wrap: impl AsyncFnOnce(S) -> Result<T>,
    ) -> Result<Channel<T>> {
        let Self { stream, sequence, left } = self;
        Ok(Channel { stream: wrap(stream).await?, sequence, left })
    }

    /// Allows larger packets from now on: the server has accepted an admin's login.
    pub(crate) fn listen_longer(&mut self) {
        self.left = LONGEST_ADMIN_SESSION;
    }

    /// Begins a command: its packets are numbered from 0.
    pub(crate) fn begin(&mut self) {
        self.sequence = 0;
    }

    pub(crate) async fn send(&mut self, payload: &[u8]) -> Result<()> {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        if payload.len() >= LONGEST_PAYLOAD {
            return Err(Error::new(ErrorKind::Malformed, "what is to be sent is too long"));
        }
        let [low, middle, high, _] = length.to_le_bytes();
        // In one write, so that a statement is never half sent for want of a header.
        let mut packet = vec![low, middle, high, self.sequence];
        packet.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.stream.write_all(&packet).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)
    }

    /// Reads one packet, with nothing behind it. It has at least one byte.
    pub(crate) async fn receive(&mut self) -> Result<Vec<u8>> {
        let mut header = [0; 4];
        self.stream.read_exact(&mut header).await.map_err(broken)?;
        let [low, middle, high, sequence] = header;
        let length = usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
        if sequence != self.sequence || length == 0 || length == LONGEST_PAYLOAD {
            return Err(not_mysql());
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.count(length.saturating_add(4))?;
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).await.map_err(broken)?;
        Ok(payload)
    }

    /// Counts bytes that are kept of what the server said.
    pub(crate) fn count(&mut self, bytes: usize) -> Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            not_mysql().caused_by("it sends more than any server does in such a session")
        })?;
        Ok(())
    }

    /// Takes a payload that was read and is not kept out of the count.
    pub(crate) fn forget(&mut self, payload: &[u8]) {
        self.left = self.left.saturating_add(payload.len().saturating_add(4));
    }

    /// Closes the connection, and TLS by its close_notify.
    pub(crate) async fn shut_down(&mut self) {
        // The server may have been quicker.
        let _ = self.stream.shutdown().await;
    }
}

/// A connection that broke, at whatever was under way.
fn broken(cause: std::io::Error) -> Error {
    net::broken("the connection broke", cause)
}

/// What is said of a server that answers in another language.
pub(crate) fn not_mysql() -> Error {
    net::not_a("MySQL or MariaDB")
}

/// Takes a payload apart from its beginning. Each part is `None` once the bytes do not suffice.
pub(crate) struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    pub(crate) fn of(payload: &'a [u8]) -> Self {
        Self(payload)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of up to eight bytes, the lowest first.
    pub(crate) fn number(&mut self, bytes: usize) -> Option<u64> {
        let taken = self.bytes(bytes)?;
        Some(taken.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// Everything up to a NUL, which is taken too; all that is left if there is none.
    pub(crate) fn until_nul(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|&byte| byte == 0);
        let taken = self.bytes(end.unwrap_or(self.0.len())).unwrap_or_default();
        self.byte();
        taken
    }

    /// A number whose first byte says how long it is; `Some(None)` is SQL's NULL.
    pub(crate) fn counted_number(&mut self) -> Option<Option<u64>> {
        match self.byte()? {
            0xfb => Some(None),
            0xfc => self.number(2).map(Some),
            0xfd => self.number(3).map(Some),
            0xfe => self.number(8).map(Some),
            0xff => None,
            small => Some(Some(small.into())),
        }
    }

    /// Bytes with their number before them; `Some(None)` is SQL's NULL.
    pub(crate) fn counted_bytes(&mut self) -> Option<Option<&'a [u8]>> {
        match self.counted_number()? {
            None => Some(None),
            Some(count) => self.bytes(usize::try_from(count).ok()?).map(Some),
        }
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[tokio::test]
    async fn hostile_lengths_and_other_protocols_are_refused() {
        for bytes in [
            &b"HTTP/1.1 400 Bad Request"[..],
            b"\x00\x00\x00\x00",
            b"\xff\xff\xff\x00",
            b"\x05\x00\x00\x01hello",
            b"\xff\xff\x7f\x00",
        ] {
            let (near, mut far) = tokio::io::duplex(1024);
            far.write_all(bytes).await.unwrap();
            let error = Channel::new(near).receive().await.unwrap_err();
            assert!(error.to_string().starts_with("what answers is not a MySQL"), "{error}");
        }
    }

    #[tokio::test]
    async fn packets_are_numbered_in_both_directions() {
        let (near, far) = tokio::io::duplex(1024);
        let [mut near, mut far] = [near, far].map(Channel::new);
        near.send(b"first").await.unwrap();
        assert_eq!(far.receive().await.unwrap(), b"first");
        far.send(b"second").await.unwrap();
        assert_eq!(near.receive().await.unwrap(), b"second");
        assert_eq!((near.sequence, far.sequence), (2, 2));
        near.begin();
        near.send(b"again").await.unwrap();
        assert!(far.receive().await.is_err());
    }

    proptest! {
        #[test]
        fn any_payload_is_taken_apart(payload in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut parts = Parts::of(&payload);
            let _ = (parts.counted_bytes(), parts.until_nul(), parts.number(3));
            let _ = (parts.counted_number(), parts.byte(), parts.rest());
        }
    }

    #[test]
    fn numbers_and_counted_bytes() {
        let mut parts = Parts::of(b"\x02\x01\xfb\xfc\x00\x01\x02ab\xfbname\0x");
        assert_eq!(parts.number(2), Some(0x0102));
        assert_eq!(parts.counted_number(), Some(None));
        assert_eq!(parts.counted_number(), Some(Some(256)));
        assert_eq!(parts.counted_bytes(), Some(Some(&b"ab"[..])));
        assert_eq!(parts.counted_bytes(), Some(None));
        assert_eq!(parts.until_nul(), b"name");
        assert_eq!(parts.counted_bytes(), None);
        assert!(parts.is_empty());
    }
}
