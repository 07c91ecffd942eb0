//! A value that stands where a secret would, and the search for it.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;

/// How often escapes are undone: JSON in JSON in a line of JSON, and once more for `Debug`.
const ESCAPED_TIMES: usize = 4;

/// The shortest piece of a value that is looked for. A shorter one would be found by accident.
const SHORTEST_PIECE: usize = 12;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A value that may appear nowhere. Plant it where a secret goes, then search everything that
/// comes out.
///
/// The search finds the value as it is, escaped as in JSON or in Rust's `Debug` (several times
/// over), percent-encoded, in base64 (of any text around it), in hexadecimal and as a list of bytes.
/// A value of 24 bytes or more is also found by either half of it, as in a line that was cut off.
///
/// ```
/// use fourstep_testing::Canary;
///
/// let canary = Canary::new();
/// let line = format!("cannot log in with {:?}", canary.value().as_bytes());
/// assert_eq!(canary.found_in(&line), Some("as a list of bytes"));
/// assert_eq!(canary.found_in("cannot log in"), None);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Canary(String);

impl Canary {
    /// A canary that no other text holds. It is legal as a password, a user name, a RotationToken
    /// and a version's id, and reads the same in a URL, in JSON and in SQL.
    #[must_use]
    pub fn new() -> Self {
        // Unique is enough, so the random numbers of std do: they cannot fail.
        let [first, second] = [0, 1].map(|number| RandomState::new().hash_one(number));
        Self(format!("canary-{first:016x}{second:016x}"))
    }

    /// A given value as a canary: one that was generated, say, or one with awkward characters. It
    /// should have 12 bytes or more, as a shorter one may come up by accident.
    #[must_use]
    pub fn of(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value to plant.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.0
    }

    /// In which form the value, or half of it, stands in `text`; `None` if it does not.
    #[must_use]
    pub fn found_in(&self, text: &str) -> Option<&'static str> {
        self.form_in(&Readings::of(text))
    }

    /// [`found_in`](Self::found_in) for many canaries in a long text, which is read once for all of
    /// them: the answers, in their order.
    ///
    /// ```
    /// use fourstep_testing::Canary;
    ///
    /// let [one, other] = [Canary::new(), Canary::new()];
    /// let found = Canary::each_found_in([&one, &other], &format!("it is {}", other.value()));
    /// assert_eq!(found, [None, Some("in plain text")]);
    /// ```
    #[must_use]
    pub fn each_found_in<'c>(
        canaries: impl IntoIterator<Item = &'c Self>,
        text: &str,
    ) -> Vec<Option<&'static str>> {
        let readings = Readings::of(text);
        canaries.into_iter().map(|canary| canary.form_in(&readings)).collect()
    }

    fn form_in(&self, readings: &Readings<'_>) -> Option<&'static str> {
        self.pieces().into_iter().find_map(|piece| readings.search(piece))
    }

    /// The whole value, or its halves where they are long enough to be told from chance. A text
    /// that holds the whole holds the halves.
    fn pieces(&self) -> Vec<&str> {
        let value = self.0.as_str();
        // The word in front is in every canary, so it says nothing.
        let telling = value.strip_prefix("canary-").unwrap_or(value);
        if value.is_empty() {
            return Vec::new();
        }
        if telling.len() < 2 * SHORTEST_PIECE {
            return vec![value];
        }
        let (first, second) = telling.split_at(telling.floor_char_boundary(telling.len() / 2));
        vec![first, second]
    }
}

impl Default for Canary {
    fn default() -> Self {
        Self::new()
    }
}

/// Hides the value: what prints its canary would be found by the search itself.
impl fmt::Debug for Canary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Canary(redacted)")
    }
}

/// One text, read in every way in which a value may be written.
struct Readings<'a> {
    plain: &'a str,
    unescaped: Vec<String>,
    unpercented: String,
    /// Without white space, which base64 and `{:#?}` put between anything.
    dense: String,
    /// Hexadecimal digits without what stands between or before them, in small letters.
    digits: String,
}

impl<'a> Readings<'a> {
    fn of(text: &'a str) -> Self {
        let mut unescaped: Vec<String> = Vec::new();
        for _ in 0..ESCAPED_TIMES {
            let last = unescaped.last().map_or(text, String::as_str);
            let next = unescape(last);
            if next == last {
                break;
            }
            unescaped.push(next);
        }
        let dense: String = text.split_ascii_whitespace().collect();
        let (unpercented, digits) = (unpercent(text), digits(&dense));
        Self { plain: text, unescaped, unpercented, dense, digits }
    }

    fn search(&self, piece: &str) -> Option<&'static str> {
        if self.plain.contains(piece) {
            return Some("in plain text");
        }
        if self.unescaped.iter().any(|text| text.contains(piece)) {
            return Some("escaped");
        }
        if self.unpercented.contains(piece) {
            return Some("percent-encoded");
        }
        if base64_forms(piece.as_bytes()).iter().any(|form| self.dense.contains(form)) {
            return Some("in base64");
        }
        let list: Vec<String> = piece.bytes().map(|byte| byte.to_string()).collect();
        if holds(&self.dense, &list.join(",")) {
            return Some("as a list of bytes");
        }
        let hexadecimal: String = piece.bytes().map(|byte| format!("{byte:02x}")).collect();
        holds(&self.digits, &hexadecimal).then_some("in hexadecimal")
    }
}

/// Whether a text holds another in ASCII. Its beginning is looked for first, because std is quick
/// with 32 bytes or less.
fn holds(text: &str, wanted: &str) -> bool {
    text.contains(wanted.get(..32).unwrap_or(wanted)) && text.contains(wanted)
}

/// Undoes one level of the escapes of JSON and of Rust's `Debug`: `\"`, `\n`, `\u0041`, `\u{41}`
/// and `\x41`. Whatever is no escape stays.
fn unescape(text: &str) -> String {
    let mut rest = text;
    let mut out = Vec::with_capacity(text.len());
    while let Some((before, after)) = rest.split_once('\\') {
        out.extend_from_slice(before.as_bytes());
        let mut letters = after.chars();
        let Some(letter) = letters.next() else {
            out.push(b'\\');
            rest = "";
            break;
        };
        rest = letters.as_str();
        match letter {
            'n' => out.push(b'\n'),
            'r' => out.push(b'\r'),
            't' => out.push(b'\t'),
            'b' => out.push(8),
            'f' => out.push(12),
            '0' => out.push(0),
            'x' | 'u' => rest = numbered(letter, rest, &mut out),
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&out).into_owned()
}

/// An escape that gives a number: the text behind it.
fn numbered<'a>(letter: char, text: &'a str, out: &mut Vec<u8>) -> &'a str {
    let braces = text.strip_prefix('{').and_then(|inner| inner.split_once('}'));
    let width = if letter == 'x' { 2 } else { 4 };
    let read = braces.or_else(|| text.split_at_checked(width));
    let number =
        read.and_then(|(number, rest)| Some((u32::from_str_radix(number, 16).ok()?, rest)));
    match number {
        // `\xff` is a byte, `\u00ff` a character.
        Some((byte, rest)) if letter == 'x' => {
            out.push(u8::try_from(byte).unwrap_or_default());
            rest
        }
        Some((code, rest)) => {
            let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            rest
        }
        None => {
            out.extend([b'\\'].into_iter().chain(u8::try_from(letter)));
            text
        }
    }
}

/// Undoes percent-encoding. Whatever is none stays.
fn unpercent(text: &str) -> String {
    let mut rest = text.as_bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.split_at_checked(2).filter(|_| byte == b'%');
        let decoded = digits.and_then(|(digits, behind)| {
            let digits = str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 16).ok()?, behind))
        });
        let (byte, behind) = decoded.unwrap_or((byte, after));
        out.push(byte);
        rest = behind;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Drops what stands between hexadecimal digits: `0x`, `\x`, commas, colons, hyphens.
fn digits(dense: &str) -> String {
    let text = dense.to_ascii_lowercase().replace("0x", "").replace("\\x", "");
    text.replace([',', ':', '-', '_'], "")
}

/// The base64 of a piece at each of the three places it can have in what is encoded, without the
/// characters that its neighbours have a part in; in both alphabets.
fn base64_forms(piece: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    for before in 0..3_usize {
        let Some(own) = piece.get((3 - before) % 3..) else { continue };
        let form: String = own.chunks_exact(3).flat_map(base64_group).map(char::from).collect();
        if form.len() >= SHORTEST_PIECE {
            forms.push(form.replace('+', "-").replace('/', "_"));
            forms.push(form);
        }
    }
    forms
}

/// Three bytes as four letters.
fn base64_group(bytes: &[u8]) -> impl Iterator<Item = u8> + use<> {
    let number = bytes.iter().fold(0_usize, |number, byte| (number << 8) | usize::from(*byte));
    [18, 12, 6, 0].into_iter().filter_map(move |shift| BASE64.get((number >> shift) & 63).copied())
}

#[cfg(test)]
mod tests;
