//! Whatever a name holds, a statement with it is read by the server's lexer as it was meant.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rotate_postgres::fuzzing::{Change, quote_identifier};

/// Reads one quoted identifier as the server's lexer does; it, and the text behind it.
fn identifier(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text.strip_prefix('"')?;
    loop {
        let (part, behind) = rest.split_once('"')?;
        name.push_str(part);
        match behind.strip_prefix('"') {
            Some(behind) => {
                name.push('"');
                rest = behind;
            }
            None => return Some((name, behind)),
        }
    }
}

static CHANGE: LazyLock<Change> = LazyLock::new(|| Change::to(&"a password's \\".into()));

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = identifier(&quote_identifier(text)).map(|(name, rest)| (name, rest.to_owned()));
    assert_eq!(read, Some((text.to_owned(), String::new())));
    let statement = CHANGE.statement(text);
    let (read, rest) = identifier(statement.strip_prefix("ALTER ROLE ").unwrap()).unwrap();
    assert_eq!(read, text);
    let verifier = rest.strip_prefix(" PASSWORD '").and_then(|it| it.strip_suffix('\''));
    let plain = |c: char| c.is_ascii_alphanumeric() || "$:+/=-".contains(c);
    assert!(verifier.is_some_and(|verifier| verifier.chars().all(plain)), "{rest}");
});
