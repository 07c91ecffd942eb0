//! Whatever a server says of its users' settings, the clauses that are made of it are keywords,
//! numbers and quoted texts; attributes arrive as they were; SHOW CREATE USER is not misread by what
//! stands in its names and texts.
//!
//! An input is a byte of flags and two rows of cells: a row ends with a line of its own that holds a
//! dot, a cell with its line, and a cell of `\N` is NULL.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rotate_mysql::fuzzing::{Kept, USER, of_create_user};
use shared::{Piece, pieces, words};

#[path = "shared/mysql_lexer.rs"]
mod shared;

const KEYWORDS: &str = "ACCOUNT ALTER AND ATTRIBUTE BY CIPHER CREATE CURRENT DAY DEFAULT DISCARD DROP EXPIRE \
    FAILED_LOGIN_ATTEMPTS HISTORY IDENTIFIED INTERVAL ISSUER LOCK MAX_CONNECTIONS_PER_HOUR \
    MAX_QUERIES_PER_HOUR MAX_STATEMENT_TIME MAX_UPDATES_PER_HOUR MAX_USER_CONNECTIONS NEVER NONE \
    OPTIONAL PASSWORD PASSWORD_LOCK_TIME OLD RANDOM REQUIRE REUSE ROLE SSL SUBJECT UNBOUNDED UNLOCK USER VIA \
    WITH X509 unix_socket";

fn row(text: &str) -> Vec<Option<String>> {
    text.split('\n').map(|cell| (cell != "\\N").then(|| cell.to_owned())).collect()
}

/// Panics unless a statement is made of keywords, numbers and quoted texts.
fn check(statement: &str) {
    for word in words(statement) {
        let number = word.parse::<f64>().is_ok_and(f64::is_finite);
        let known = KEYWORDS.split_whitespace().any(|keyword| keyword == word);
        assert!(known || number, "{word} in {statement}");
    }
}

/// The last text of a statement, which is its JSON.
fn attributes(statement: &str) -> serde_json::Map<String, serde_json::Value> {
    match pieces(statement).pop() {
        Some(Piece::Quoted('\'', json)) => serde_json::from_str(&json).unwrap(),
        _ => panic!("{statement}"),
    }
}

fn check_create_user(name: &str, text: &str) {
    let (name, text) = (name.replace('`', "``"), text.replace('\\', "\\\\").replace('\'', "''"));
    let account = format!("CREATE USER `{name}`@`%` IDENTIFIED VIA pam USING '{text}'");
    assert_eq!(of_create_user(&account), (false, None), "{account}");
    let other = format!("{account} OR unix_socket");
    assert_eq!(of_create_user(&other), (true, None), "{account}");
    let limited = format!("{account} FAILED_LOGIN_ATTEMPTS 7 PASSWORD_LOCK_TIME 1");
    assert_eq!(of_create_user(&limited), (false, Some(7)), "{limited}");
}

fuzz_target!(|data: &[u8]| {
    let Some((&flags, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    of_create_user(text);
    let mariadb = flags & 1 == 1;
    let (one, other) = text.split_once("\n.\n").unwrap_or((text, text));
    check_create_user(one, other);
    let (Some(one), Some(other)) = (Kept::read(row(one), mariadb), Kept::read(row(other), mariadb))
    else {
        return;
    };
    assert_eq!(one.clauses_over(&one), "");
    check(&one.clauses_over(&other));
    let name = Piece::Quoted('\'', USER.to_owned());
    if let Some(statement) = one.create([text, text], mariadb) {
        check(&statement);
        let host = Piece::Quoted('\'', one.host().to_owned());
        assert_eq!(pieces(&statement)[1..4], [name, Piece::Plain("@".to_owned()), host]);
        if !mariadb {
            let mut made = attributes(&statement);
            let mark = made.remove("fourstep").expect("it is marked");
            assert_eq!((&mark["partner"], &mark["secret"]), (&text.into(), &text.into()));
            let mut own = one.attributes().clone();
            own.remove("fourstep");
            assert_eq!(made, own);
        }
    }
    one.differences(&other).iter().for_each(|line| check(line));
    // As the server merges them.
    let mut merged = other.attributes().clone();
    for statement in one.statements_over(&other) {
        check(&statement);
        if !words(&statement).iter().any(|word| word == "ATTRIBUTE") {
            continue;
        }
        for (key, value) in attributes(&statement) {
            match value.is_null() {
                true => drop(merged.remove(&key)),
                false => drop(merged.insert(key, value)),
            }
        }
    }
    let own = |mut attributes: serde_json::Map<_, serde_json::Value>| {
        attributes.retain(|key: &String, value| key != "fourstep" && !value.is_null());
        attributes
    };
    assert_eq!(own(merged), own(one.attributes().clone()));
});
