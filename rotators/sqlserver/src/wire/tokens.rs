//! What a server answers: a stream of tokens, reduced to what is asked for here.
//!
//! Source: Microsoft, \[MS-TDS\], sections 2.2.5.4, "Data Types", and 2.2.7, "Packet Data Token Stream".
//! Every statement here converts its columns to nvarchar, so that no other type is read.

use crate::errors::ServerError;

/// NVARCHARTYPE.
const NVARCHAR: u8 = 0xe7;

/// The length of a NULL.
const NULL: u64 = 0xffff;

/// ENVCHANGE that sends the client to another server.
const ROUTING: u8 = 20;

/// More columns than any statement here has.
const MOST_COLUMNS: usize = 8;

/// More rows than any has. A row of NULLs takes two bytes of an answer, and far more of the memory.
const MOST_ROWS: usize = 64;

/// DONE: more follows; the statement failed.
const MORE: u64 = 0x01;
const FAILED: u64 = 0x02;

/// A row.
pub(crate) type Row = Vec<Option<String>>;

/// The answer to a login or a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<Row>,
    /// In their order. None where it succeeded.
    pub(crate) errors: Vec<ServerError>,
    /// The version of the protocol that a login was accepted for.
    pub(crate) accepted: Option<u32>,
    /// Whether the client is to go to another server.
    pub(crate) routed: bool,
}

impl Answer {
    /// Reads a whole message. None of what a server does not say here.
    pub(crate) fn read(message: &[u8]) -> Option<Self> {
        let mut parts = Parts(message);
        let (mut answer, mut columns, mut ended) = (Self::default(), 0, false);
        while let Some(token) = parts.byte() {
            ended = false;
            match token {
                0x81 => columns = parts.columns()?,
                0xd1 => answer.rows.push(parts.row(columns)?),
                0xd2 => answer.rows.push(parts.row_with_nulls(columns)?),
                0xaa => answer.errors.push(parts.counted()?.error()?),
                0xad => answer.accepted = Some(parts.counted()?.version()?),
                0xe3 => answer.routed |= parts.counted()?.byte()? == ROUTING,
                // RETURNSTATUS.
                0x79 => _ = parts.number(4)?,
                // INFO, ORDER, TABNAME, COLINFO.
                0xab | 0xa9 | 0xa4 | 0xa5 => _ = parts.counted()?,
                0xfd..=0xff => ended = parts.done(&mut answer.errors)?,
                _ => return None,
            }
            if answer.rows.len() > MOST_ROWS {
                return None;
            }
        }
        ended.then_some(answer)
    }
}

/// Takes a message apart from its beginning. Each part is `None` once the bytes do not suffice.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of up to eight bytes, the lowest first.
    fn number(&mut self, bytes: usize) -> Option<u64> {
        let taken = self.bytes(bytes)?;
        Some(taken.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn count(&mut self, bytes: usize) -> Option<usize> {
        usize::try_from(self.number(bytes)?).ok()
    }

    /// What two bytes before it say the length of.
    fn counted(&mut self) -> Option<Parts<'a>> {
        let count = self.count(2)?;
        self.bytes(count).map(Parts)
    }

    /// COLMETADATA: how many columns there are, all of them nvarchar.
    fn columns(&mut self) -> Option<usize> {
        let count = match self.count(2)? {
            0xffff => 0,
            count => count,
        };
        if count > MOST_COLUMNS {
            return None;
        }
        for _ in 0..count {
            let (_user_type, _flags) = (self.number(4)?, self.number(2)?);
            if self.byte()? != NVARCHAR {
                return None;
            }
            let length = self.number(2)?;
            let _collation = self.bytes(5)?;
            let name = usize::from(self.byte()?).checked_mul(2)?;
            self.bytes(name)?;
            // One without a limit comes in pieces.
            if length == NULL {
                return None;
            }
        }
        Some(count)
    }

    fn row(&mut self, columns: usize) -> Option<Row> {
        (0..columns).map(|_| self.value()).collect()
    }

    /// A row whose NULLs are said before it, in bits.
    fn row_with_nulls(&mut self, columns: usize) -> Option<Row> {
        let nulls = self.bytes(columns.div_ceil(8))?;
        let is_null = |column: usize| {
            let bits = nulls.get(column / 8).copied().unwrap_or_default();
            bits >> (column % 8) & 1 == 1
        };
        let value = |column| if is_null(column) { Some(None) } else { self.value() };
        (0..columns).map(value).collect()
    }

    /// A text; `Some(None)` is SQL's NULL.
    fn value(&mut self) -> Option<Option<String>> {
        match self.number(2)? {
            NULL => Some(None),
            length => self.text(usize::try_from(length).ok()?).map(Some),
        }
    }

    /// UTF-16.
    fn text(&mut self, bytes: usize) -> Option<String> {
        let (units, rest) = self.bytes(bytes)?.as_chunks::<2>();
        let text = char::decode_utf16(units.iter().map(|unit| u16::from_le_bytes(*unit)));
        rest.is_empty().then(|| text.collect::<Result<_, _>>().ok())?
    }

    /// ERROR: of what it says, only numbers are kept.
    fn error(&mut self) -> Option<ServerError> {
        let number = i32::from_le_bytes(self.bytes(4)?.try_into().ok()?);
        Some(ServerError { number, state: self.byte()? })
    }

    /// LOGINACK.
    fn version(&mut self) -> Option<u32> {
        self.byte()?;
        Some(u32::from_be_bytes(self.bytes(4)?.try_into().ok()?))
    }

    /// DONE, DONEPROC and DONEINPROC: whether it is the last.
    fn done(&mut self, errors: &mut Vec<ServerError>) -> Option<bool> {
        let status = self.number(2)?;
        let (_command, _rows) = (self.number(2)?, self.number(8)?);
        if status & FAILED != 0 && errors.is_empty() {
            errors.push(ServerError::default());
        }
        Some(status & MORE == 0)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The end of an answer.
    pub(crate) const DONE: &[u8] = b"\xfd\0\0\0\0\0\0\0\0\0\0\0\0";

    fn columns(count: u8) -> Vec<u8> {
        let column = b"\0\0\0\0\x21\0\xe7\x18\0\x09\x04\xd0\0\x34\x01a\0";
        [&[0x81, count, 0][..], &column.repeat(usize::from(count))].concat()
    }

    pub(crate) fn error(number: i32, state: u8) -> Vec<u8> {
        let rest = [&[state, 14, 1, 0][..], b"x\0", b"\0\0", b"\x01\0\0\0"].concat();
        let length = u16::try_from(rest.len() + 4).unwrap();
        [&[0xaa][..], &length.to_le_bytes(), &number.to_le_bytes(), &rest].concat()
    }

    #[test]
    fn rows_of_both_kinds_are_read() {
        let message = [
            &columns(2)[..],
            b"\xd1\x04\0a\0b\0\xff\xff",
            b"\xd2\x01\x02\0c\0",
            b"\x79\0\0\0\0",
            b"\xab\x02\0xy",
            DONE,
        ];
        let answer = Answer::read(&message.concat()).unwrap();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(answer.rows, [vec![text("ab"), None], vec![None, text("c")]]);
        assert!(answer.errors.is_empty() && answer.accepted.is_none() && !answer.routed);
    }

    #[test]
    fn a_login_s_answer_is_read() {
        let ack = b"\xad\x0a\0\x01\x74\0\0\x04\0\x10\0\0\x01";
        let answer = Answer::read(&[&ack[..], DONE].concat()).unwrap();
        assert_eq!(answer.accepted, Some(0x7400_0004));
        let answer = Answer::read(&[b"\xe3\x02\0\x14x", DONE].concat()).unwrap();
        assert!(answer.routed);
        let message = [error(4060, 1), error(18456, 1), DONE.to_vec()].concat();
        let answer = Answer::read(&message).unwrap();
        let numbers: Vec<_> = answer.errors.iter().map(|error| error.number).collect();
        assert_eq!(numbers, [4060, 18456]);
    }

    #[test]
    fn what_is_cut_off_or_strange_is_refused() {
        let whole = [&columns(1)[..], b"\xd1\x02\0a\0", &error(1, 1), DONE].concat();
        assert!(Answer::read(&whole).is_some());
        for end in 0..whole.len() {
            assert!(Answer::read(&whole[..end]).is_none(), "{end}");
        }
        let mut other_type = columns(1);
        other_type[9] = 0x26;
        let mut unlimited = columns(1);
        unlimited[10..12].copy_from_slice(b"\xff\xff");
        let more = b"\xfd\x01\0\0\0\0\0\0\0\0\0\0\0";
        for strange in [&other_type[..], &unlimited, b"\x00", more] {
            assert!(Answer::read(&[strange, b""].concat()).is_none(), "{strange:?}");
        }
        let sized = |width: u8, rows| {
            Answer::read(&[&columns(width)[..], &b"\xd2\xff".repeat(rows), DONE].concat())
        };
        assert_eq!(sized(8, MOST_ROWS).unwrap().rows.len(), MOST_ROWS);
        assert!(sized(9, 0).is_none() && sized(8, MOST_ROWS + 1).is_none());
        // Half a character.
        let odd = [&columns(1)[..], b"\xd1\x01\0a", DONE].concat();
        assert!(Answer::read(&odd).is_none());
    }

    #[test]
    fn a_statement_that_failed_without_a_word_did_fail() {
        let answer = Answer::read(b"\xfd\x02\0\0\0\0\0\0\0\0\0\0\0").unwrap();
        assert_eq!(answer.errors, [ServerError::default()]);
    }

    proptest! {
        #[test]
        fn any_message_is_read_or_refused(message in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Answer::read(&message);
        }
    }
}
