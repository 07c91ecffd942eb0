//! The words, names and signs of which SHOW GRANTS makes its lines.

use std::collections::VecDeque;

use crate::alternate::quoting::LONGEST_NAME;

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// ASCII letters, digits and underscores, without quotes.
    Word(String),
    /// What stood between backticks.
    Name(String),
    /// What stood between apostrophes or quotation marks, such as the hash of a password: not kept.
    Text,
    /// Any other character.
    Sign(char),
}

/// The tokens of one line, from the first to the last.
///
/// Sessions are set up so that names are always quoted, and by backticks: `sql_quote_show_create`,
/// and an `sql_mode` without ANSI_QUOTES.
#[derive(Debug)]
pub(crate) struct Tokens(VecDeque<Token>);

impl Tokens {
    /// `None` if a quote is not closed, or a name is longer than any server's.
    pub(crate) fn of(line: &str) -> Option<Self> {
        let mut tokens = VecDeque::new();
        let mut rest = line.chars().peekable();
        while let Some(first) = rest.next() {
            tokens.push_back(match first {
                ' ' | '\t' | '\r' | '\n' => continue,
                '`' => {
                    let name = quoted(&mut rest, first)?;
                    (name.chars().count() <= LONGEST_NAME).then_some(())?;
                    Token::Name(name)
                }
                '\'' | '"' => {
                    quoted(&mut rest, first)?;
                    Token::Text
                }
                letter if is_of_word(letter) => {
                    let mut word = String::from(letter);
                    while let Some(next) = rest.next_if(|next| is_of_word(*next)) {
                        word.push(next);
                    }
                    Token::Word(word)
                }
                sign => Token::Sign(sign),
            });
        }
        Some(Self(tokens))
    }

    pub(crate) fn next(&mut self) -> Option<Token> {
        self.0.pop_front()
    }

    pub(crate) fn peek(&self) -> Option<&Token> {
        self.0.front()
    }

    /// The next token, which must be a word.
    pub(crate) fn word(&mut self) -> Option<String> {
        match self.next()? {
            Token::Word(word) => Some(word),
            _ => None,
        }
    }

    /// The next token, which must be a quoted name.
    pub(crate) fn name(&mut self) -> Option<String> {
        match self.next()? {
            Token::Name(name) => Some(name),
            _ => None,
        }
    }

    /// Whether the next token was this sign; if not, it is left.
    pub(crate) fn take(&mut self, sign: char) -> bool {
        let there = self.peek() == Some(&Token::Sign(sign));
        if there {
            self.next();
        }
        there
    }
}

fn is_of_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// What stands up to the closing quote. A doubled quote is one. A backslash is itself in a name, and
/// in a text takes the next character with it: MariaDB escapes backslashes in texts, whatever the
/// `sql_mode`.
fn quoted(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, quote: char) -> Option<String> {
    let mut inside = String::new();
    loop {
        match rest.next()? {
            '\\' if quote != '`' => inside.extend(rest.next()),
            next if next != quote => inside.push(next),
            _ => match rest.next_if_eq(&quote) {
                Some(doubled) => inside.push(doubled),
                None => return Some(inside),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_open_quote_is_no_line() {
        for line in ["`", "'", "\"", "GRANT `a``", "'\\'", "`a``b"] {
            assert!(Tokens::of(line).is_none(), "{line}");
        }
    }

    #[test]
    fn nothing_of_a_text_is_kept() {
        let tokens = Tokens::of("IDENTIFIED BY PASSWORD '*CANARY''\\' WITH' 5.0").unwrap();
        let shown = format!("{tokens:?}");
        assert!(!shown.contains("CANARY") && !shown.contains("WITH"), "{shown}");
    }

    proptest! {
        #[test]
        fn a_quoted_name_comes_back(name in "\\PC{0,30}") {
            let mut tokens = Tokens::of(&format!("`{}` TO", name.replace('`', "``"))).unwrap();
            prop_assert_eq!(tokens.name(), Some(name));
            prop_assert_eq!(tokens.word(), Some("TO".to_owned()));
        }

        #[test]
        fn any_line_is_taken_apart_or_refused(line in "[`'\"\\\\A-C .*(),@]{0,40}") {
            let _ = Tokens::of(&line);
        }
    }
}
