//! Whatever SHOW GRANTS says, it is understood whole or not at all: the statements that would give
//! what was understood say the same. And no name gets out of its quotes in them.
//!
//! An input is a byte that is not looked at, the lines of one account, an empty line, those of another.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use rotate_mysql::fuzzing::{Admin, Grants};
use shared::{Piece, pieces, words};

#[path = "shared/mysql_lexer.rs"]
mod shared;

/// A statement with its names as SHOW GRANTS quotes them.
fn as_shown(statement: &str) -> String {
    let quote = |piece| match piece {
        Piece::Plain(plain) => plain,
        Piece::Quoted(_, name) => format!("`{}`", name.replace('`', "``")),
    };
    pieces(statement).into_iter().map(quote).collect()
}

/// The names among these pieces.
fn quoted(pieces: impl IntoIterator<Item = Piece>) -> impl Iterator<Item = String> {
    pieces.into_iter().filter_map(|piece| match piece {
        Piece::Quoted(_, name) => Some(name),
        Piece::Plain(_) => None,
    })
}

/// What these statements give.
fn read(statements: &[String]) -> Grants {
    for statement in statements {
        let words = words(statement);
        let keyword = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        assert!(words.iter().all(|word| word.chars().all(keyword)), "{statement}");
    }
    // Default roles are read elsewhere.
    let grants = statements.iter().filter(|one| !one.starts_with("SET DEFAULT ROLE "));
    let lines: Vec<_> = grants.map(|statement| as_shown(statement)).collect();
    Grants::read(&lines.join("\n")).expect("what is written is understood")
}

fuzz_target!(|data: &[u8]| {
    let Some((_, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let (one, other) = text.split_once("\n\n").unwrap_or((text, ""));
    let first = one;
    let (Some(one), Some(other)) = (Grants::read(one), Grants::read(other)) else { return };

    let mut given = one.statements_over(&Grants::default());
    // Whoever is given a proxy may pass on all it has, so that is taken away again.
    given.retain(|statement| !statement.starts_with("REVOKE GRANT OPTION ON *.* FROM "));
    assert_eq!(read(&given), one);
    let named: BTreeSet<_> = given.iter().flat_map(|statement| quoted(pieces(statement))).collect();
    // To whom is not kept, and what gives nothing says nothing; a text may have a backslash.
    let telling = |line: &&str| !line.contains(['\'', '"']) && !line.contains("USAGE");
    for line in
        first.split('\n').filter(telling).filter(|line| !line.trim_start().starts_with("SET"))
    {
        let ends = |plain: &str| {
            plain
                .split(|c: char| !c.is_ascii_alphanumeric())
                .any(|word| word == "TO" || word == "FROM")
        };
        let said = pieces(line).into_iter();
        let said = said.take_while(|piece| !matches!(piece, Piece::Plain(plain) if ends(plain)));
        let lost = quoted(said).find(|name| !named.contains(name));
        assert_eq!(lost, None, "{line}");
    }

    assert!(one.statements_over(&one).is_empty(), "{one:?} is what it is");
    let steps = one.statements_over(&other);
    steps.iter().for_each(|step| drop(words(step)));
    assert!(steps.len() <= 2 * (one.count() + other.count()) + 2, "{steps:#?}");

    // An admin who is given what it lacks, lacks nothing.
    let lacks = Admin(&other).lacks([&one, &other]);
    let able = other.and(&read(&lacks));
    let left = Admin(&able).lacks([&one, &other]);
    assert!(left.is_empty(), "{lacks:?} and still {left:?}");
});
