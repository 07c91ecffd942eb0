//! A statement, taken apart as a MySQL or MariaDB server does that takes a backslash for itself
//! (NO_BACKSLASH_ESCAPES). Written without a look at the code that quotes.

/// A piece of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// What no quotes are around.
    Plain(String),
    /// What stands in quotes, and in which.
    Quoted(char, String),
}

/// The pieces of a statement, in order. Panics if a quote is not closed.
pub fn pieces(statement: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = statement;
    while !rest.is_empty() {
        let end = rest.find(['\'', '"', '`']).unwrap_or(rest.len());
        let (plain, behind) = rest.split_at(end);
        if !plain.is_empty() {
            pieces.push(Piece::Plain(plain.to_owned()));
        }
        let Some(quote) = behind.chars().next() else { break };
        let (text, left) = inside(&behind[1..], quote);
        pieces.push(Piece::Quoted(quote, text));
        rest = left;
    }
    pieces
}

fn inside(text: &str, quote: char) -> (String, &str) {
    let (mut found, mut rest) = (String::new(), text);
    loop {
        let (part, behind) = rest.split_once(quote).expect("a quote is not closed");
        found.push_str(part);
        match behind.strip_prefix(quote) {
            Some(behind) => {
                found.push(quote);
                rest = behind;
            }
            None => return (found, behind),
        }
    }
}

/// The words of a statement that no quotes are around. Panics if anything else but the signs of
/// lists and names is there: no comment, no end of a statement, no piece of a name.
pub fn words(statement: &str) -> Vec<String> {
    let mut words = Vec::new();
    for piece in pieces(statement) {
        let Piece::Plain(plain) = piece else { continue };
        let of_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        assert!(plain.chars().all(|c| of_word(c) || " ,.*()@".contains(c)), "{statement}");
        assert!(!plain.contains("--"), "{statement}");
        words.extend(plain.split(|c| !of_word(c)).filter(|it| !it.is_empty()).map(str::to_owned));
    }
    words
}
