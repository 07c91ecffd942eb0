//! OP_MSG: a command goes there, and one document comes back.
//!
//! Source: MongoDB specification "OP_MSG", and the server manual, "MongoDB Wire Protocol".

use bson::raw::{RawDocument, RawDocumentBuf};
use fourstep::net::{self, Stream};
use fourstep::{Error, ErrorKind, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// More than all that a server says in a session here. A hostile one must not fill the memory, so
/// its session ends there.
const LONGEST_SESSION: usize = 512 * 1024;

/// The same of each answer to an admin, who reads users: of 16 MiB is the longest document that a server
/// sends.
const LONGEST_ADMIN_ANSWER: usize = 24 * 1024 * 1024;

const OP_MSG: i32 = 2013;

/// The header, the flags, and the kind of the one section.
const HEAD: usize = 16 + 4 + 1;

/// What the server says in messages, counted, and what it is told.
pub(crate) struct Channel {
    stream: Box<dyn Stream>,
    /// The number of the last message that was sent.
    number: i32,
    /// What may still be said.
    left: usize,
    /// As many bytes may be said in each answer, and not in the session.
    each: Option<usize>,
}

impl Channel {
    pub(crate) fn new(stream: Box<dyn Stream>) -> Self {
        Self { stream, number: 0, left: LONGEST_SESSION, each: None }
    }

    /// Allows an admin's longer answers from now on: the server has accepted the admin's login.
    pub(crate) fn listen_longer(&mut self) {
        self.each = Some(LONGEST_ADMIN_ANSWER);
    }

    /// Sends a command and waits for the answer to it.
    pub(crate) async fn exchange(&mut self, command: &RawDocument) -> Result<RawDocumentBuf> {
        self.number = self.number.wrapping_add(1);
        let message = encode(self.number, command)?;
        self.stream.write_all(&message).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)?;
        let mut head = [0; HEAD];
        self.stream.read_exact(&mut head).await.map_err(broken)?;
        let length = body_length(&head, self.number).ok_or_else(not_mongodb)?;
        self.left = self.each.unwrap_or(self.left);
        self.left = self.left.checked_sub(length.saturating_add(HEAD)).ok_or_else(|| {
            not_mongodb().caused_by("it sends more than any server does in such a session")
        })?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.map_err(broken)?;
        RawDocumentBuf::from_bytes(body).map_err(|_| not_mongodb())
    }

    /// Closes the connection, and TLS by its close_notify.
    pub(crate) async fn shut_down(&mut self) {
        // The server may have been quicker.
        let _ = self.stream.shutdown().await;
    }
}

fn encode(number: i32, command: &RawDocument) -> Result<Vec<u8>> {
    let body = command.as_bytes();
    let length = i32::try_from(body.len().saturating_add(HEAD))
        .map_err(|_| Error::new(ErrorKind::Malformed, "what is to be sent is too long"))?;
    let mut message = Vec::with_capacity(body.len() + HEAD);
    // In reply to nothing; no flags.
    for field in [length, number, 0, OP_MSG, 0] {
        message.extend(field.to_le_bytes());
    }
    message.push(0);
    message.extend(body);
    Ok(message)
}

/// How long the document is behind a head that answers this message. None where it is no such head.
fn body_length(head: &[u8; HEAD], number: i32) -> Option<usize> {
    let (fields, section) = head.split_at_checked(HEAD - 1)?;
    let mut fields =
        fields.chunks_exact(4).map(|field| Some(i32::from_le_bytes(field.try_into().ok()?)));
    let [length, _, to, code, flags] = std::array::from_fn(|_| fields.next().flatten());
    // No checksum was asked for, nor an answer in parts.
    let expected = to? == number && code? == OP_MSG && flags? == 0 && section == [0];
    let length = usize::try_from(length?).ok()?.checked_sub(HEAD)?;
    // The length of the shortest document; more than fits into a session is refused by its count.
    (expected && length >= 5).then_some(length)
}

fn broken(cause: std::io::Error) -> Error {
    net::broken("the connection broke", cause)
}

/// What is said of a server that answers in another language.
pub(crate) fn not_mongodb() -> Error {
    Error::new(
        ErrorKind::Unreachable,
        "what answers is not a MongoDB or DocumentDB server of version 3.6 or later; look at the \
         secret's \"host\" and \"port\"",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::rawdoc;
    use proptest::prelude::*;

    fn head(fields: [i32; 5], section: u8) -> [u8; HEAD] {
        let bytes = fields.into_iter().flat_map(i32::to_le_bytes).chain([section]);
        bytes.collect::<Vec<_>>().try_into().unwrap()
    }

    #[test]
    fn a_message_is_written_as_the_protocol_has_it() {
        let message = encode(7, &rawdoc! { "ping": 1 }).unwrap();
        assert_eq!(message.len(), HEAD + 15);
        let (written, body) = message.split_at(HEAD);
        assert_eq!(written, head([36, 7, 0, OP_MSG, 0], 0));
        assert_eq!(body, b"\x0f\0\0\0\x10ping\0\x01\0\0\0\0");
    }

    #[test]
    fn only_the_answer_to_this_very_message_is_one() {
        let fine = [HEAD as i32 + 5, 9, 7, OP_MSG, 0];
        assert_eq!(body_length(&head(fine, 0), 7), Some(5));
        for (place, value) in [(0, 25), (0, -1), (2, 8), (3, 1), (4, 2)] {
            let mut other = fine;
            other[place] = value;
            assert_eq!(body_length(&head(other, 0), 7), None, "{place}");
        }
        assert_eq!(body_length(&head(fine, 1), 7), None);
    }

    proptest! {
        #[test]
        fn any_head_is_read_or_refused(head: [u8; HEAD], number: i32) {
            let _ = body_length(&head, number);
        }
    }

    #[tokio::test]
    async fn a_server_that_sends_too_much_is_not_heard_out() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        tokio::spawn(async move {
            let mut command = [0; HEAD + 15];
            theirs.read_exact(&mut command).await.unwrap();
            theirs.write_all(&head([i32::MAX, 1, 1, OP_MSG, 0], 0)).await.unwrap();
        });
        let error =
            Channel::new(Box::new(ours)).exchange(&rawdoc! { "ping": 1 }).await.unwrap_err();
        assert!(error.to_string().contains("sends more than any server does"), "{error}");
    }
}
