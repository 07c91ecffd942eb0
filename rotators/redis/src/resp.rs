//! Redis's protocol, version 2: how a command is written, and what an answer says.
//!
//! Source: Redis documentation, "Redis serialization protocol specification".

use fourstep::users::driver::ServerMessage;

/// The longest answer that is read, in bytes. The longest that is asked for, INFO's, has some 8 kB.
pub(crate) const LONGEST: usize = 1 << 20;

/// The longest answer before a login: none that is waited for has more than a line.
pub(crate) const LONGEST_EARLY: usize = 1 << 12;

/// The most answers that may stand in one. A user's passwords are the most that is asked for.
const MOST: usize = 1 << 12;

/// How deep arrays may stand in one another. ACL GETUSER's selectors have three levels.
const DEEPEST: usize = 6;

/// An error of the server's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServerError {
    /// Its first word, as NOPERM, where that is such a word.
    pub(crate) code: String,
    pub(crate) message: ServerMessage,
}

impl ServerError {
    fn read(line: &[u8]) -> Self {
        let text = String::from_utf8_lossy(line);
        let word = text.split(' ').next().unwrap_or_default();
        let is_code = word.len() <= 20 && word.bytes().all(|byte| byte.is_ascii_uppercase());
        let code = if is_code { word.to_owned() } else { String::new() };
        Self { code, message: ServerMessage::new(text) }
    }

    /// The code, or what stands for one that is none.
    pub(crate) fn code(&self) -> &str {
        if self.code.is_empty() { "no code" } else { &self.code }
    }
}

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// A line, or bytes of any kind that are shown as text.
    Text(String),
    Refused(ServerError),
    Number(i64),
    Nothing,
    List(Vec<Self>),
}

impl Reply {
    /// The text, where it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The members, where it is a list.
    pub(crate) fn list(&self) -> &[Self] {
        match self {
            Self::List(members) => members,
            _ => &[],
        }
    }
}

/// What is not an answer in this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotRedis;

/// The answer that `input` begins with, and its length. None if it goes on behind `input`.
pub(crate) fn parse(input: &[u8]) -> Result<Option<(Reply, usize)>, NotRedis> {
    let mut parts = Parts { rest: input, left: MOST };
    Ok(parts.reply(0)?.map(|reply| (reply, input.len() - parts.rest.len())))
}

struct Parts<'a> {
    rest: &'a [u8],
    /// How many answers may come yet.
    left: usize,
}

impl<'a> Parts<'a> {
    fn reply(&mut self, depth: usize) -> Result<Option<Reply>, NotRedis> {
        let Some(kind) = self.rest.first().copied() else { return Ok(None) };
        // What is none is known by its first byte: nobody waits for the end of its line.
        if !b"+-:$*".contains(&kind) || depth > DEEPEST {
            return Err(NotRedis);
        }
        self.left = self.left.checked_sub(1).ok_or(NotRedis)?;
        let Some(line) = self.line() else { return Ok(None) };
        let line = line.get(1..).unwrap_or_default();
        Ok(match kind {
            b'+' => Some(Reply::Text(String::from_utf8_lossy(line).into_owned())),
            b'-' => Some(Reply::Refused(ServerError::read(line))),
            b':' => Some(Reply::Number(number(line)?)),
            b'$' => self.bulk(number(line)?)?,
            _ => self.members(number(line)?, depth)?,
        })
    }

    fn bulk(&mut self, length: i64) -> Result<Option<Reply>, NotRedis> {
        let Some(length) = checked(length)? else { return Ok(Some(Reply::Nothing)) };
        let Some((text, rest)) = self.rest.split_at_checked(length) else { return Ok(None) };
        let Some(rest) = rest.get(..2).zip(rest.get(2..)) else { return Ok(None) };
        if rest.0 != b"\r\n" {
            return Err(NotRedis);
        }
        self.rest = rest.1;
        Ok(Some(Reply::Text(String::from_utf8_lossy(text).into_owned())))
    }

    fn members(&mut self, count: i64, depth: usize) -> Result<Option<Reply>, NotRedis> {
        let Some(count) = checked(count)? else { return Ok(Some(Reply::Nothing)) };
        let mut members = Vec::new();
        for _ in 0..count {
            match self.reply(depth + 1)? {
                Some(member) => members.push(member),
                None => return Ok(None),
            }
        }
        Ok(Some(Reply::List(members)))
    }

    fn line(&mut self) -> Option<&'a [u8]> {
        let end = self.rest.windows(2).position(|pair| pair == b"\r\n")?;
        let (line, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.get(2..)?;
        Some(line)
    }
}

fn number(line: &[u8]) -> Result<i64, NotRedis> {
    std::str::from_utf8(line).ok().and_then(|text| text.parse().ok()).ok_or(NotRedis)
}

/// A length; none for -1, which says that there is nothing.
fn checked(length: i64) -> Result<Option<usize>, NotRedis> {
    match usize::try_from(length) {
        Ok(length) if length <= LONGEST => Ok(Some(length)),
        Ok(_) => Err(NotRedis),
        Err(_) if length == -1 => Ok(None),
        Err(_) => Err(NotRedis),
    }
}

/// A command as it is sent.
pub(crate) fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_kind_of_answer_is_read() {
        let input = b"*5\r\n+OK\r\n-NOPERM no\r\n:-3\r\n$3\r\na\r\n\r\n$-1\r\nrest";
        let (reply, length) = parse(input).unwrap().unwrap();
        let refused = ServerError::read(b"NOPERM no");
        assert_eq!(
            reply.list(),
            [
                Reply::Text("OK".into()),
                Reply::Refused(refused.clone()),
                Reply::Number(-3),
                Reply::Text("a\r\n".into()),
                Reply::Nothing,
            ]
        );
        assert_eq!((refused.code(), &input[length..]), ("NOPERM", &b"rest"[..]));
        assert_eq!(ServerError::read(b"Something else").code(), "no code");
    }

    #[test]
    fn what_is_no_answer_is_known_by_its_first_byte() {
        for input in [&b"HTTP/1.1 400"[..], b"\x15\x03\x01", b":x\r\n", b"$-2\r\n", b"$1\r\nabc"] {
            assert_eq!(parse(input), Err(NotRedis), "{input:?}");
        }
        let deep = b"*1\r\n".repeat(20);
        assert_eq!(parse(&deep), Err(NotRedis));
    }

    #[test]
    fn rule_22_the_answers_in_one_are_bounded() {
        let nested = |count: usize| {
            [&format!("*{count}\r\n").into_bytes()[..], &b"*0\r\n".repeat(count)].concat()
        };
        assert!(parse(&nested(MOST - 1)).unwrap().is_some());
        assert_eq!(parse(&nested(MOST)), Err(NotRedis));
    }

    proptest! {
        #[test]
        fn a_part_of_an_answer_is_waited_for(texts in prop::collection::vec("\\PC{0,9}", 0..5)) {
            let words: Vec<&str> = texts.iter().map(String::as_str).collect();
            let bytes = command(&words);
            for end in 0..bytes.len() {
                prop_assert_eq!(parse(&bytes[..end]), Ok(None));
            }
            let members = texts.iter().cloned().map(Reply::Text).collect();
            prop_assert_eq!(parse(&bytes), Ok(Some((Reply::List(members), bytes.len()))));
        }
    }
}
