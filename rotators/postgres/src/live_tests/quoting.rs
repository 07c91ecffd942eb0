//! Names as the server itself reads and writes them.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;

/// Columns of one statement; the server takes about 1,600.
const NAMES: usize = 400;

/// Names of up to 63 bytes, which is all that the server keeps of one.
fn names() -> Vec<String> {
    let mut runner = TestRunner::default();
    let awkward = "[\"'\\\\$%;:,.a-zA-Z0-9_ \t\n-]{1,63}";
    let strategy = prop_oneof!["[^\\x00]{1,40}", awkward, "[a-z_][a-z0-9_]{0,62}"];
    let mut names = Vec::new();
    while names.len() < NAMES {
        let name: String = strategy.new_tree(&mut runner).unwrap().current();
        if sql::check_name("username", &name).is_ok() {
            names.push(name);
        }
    }
    names
}

#[tokio::test]
async fn parity_25_the_server_reads_a_quoted_name_as_it_was_and_quotes_it_in_the_same_way() {
    let Some(place) = Place::with_user("quoting", "pass-word").await else { return };
    let mut session = place.open(&place.login).await.unwrap();
    let names = names();
    // A whole row under these column names, told name by name.
    let columns: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(number, name)| format!("{number} AS {}", quote_identifier(name)))
        .collect();
    let read = format!(
        "SELECT key, value::text FROM json_each((SELECT row_to_json(r) FROM (SELECT {}) r))",
        columns.join(", ")
    );
    let rows: Vec<(String, String)> = session.rows("what was read", read, &place.cx).await.unwrap();
    assert_eq!(rows.len(), NAMES);
    for (name, number) in rows {
        assert_eq!(name, names[number.parse::<usize>().unwrap()]);
    }
    // The server's own function leaves alone what needs no quotes, and nothing else.
    let literals: Vec<String> = names
        .iter()
        .map(|name| format!("(E'{}')", name.replace('\\', "\\\\").replace('\'', "''")))
        .collect();
    let quoted = format!("SELECT n, quote_ident(n) FROM (VALUES {}) AS v(n)", literals.join(", "));
    let rows: Vec<(String, String)> =
        session.rows("what is quoted", quoted, &place.cx).await.unwrap();
    assert_eq!(rows.len(), NAMES);
    let mut the_same = 0;
    for (name, quoted) in rows {
        let ours = quote_identifier(&name);
        assert!(quoted == ours || quoted == name, "{name:?} is {quoted:?} and not {ours:?}");
        the_same += usize::from(quoted == ours);
    }
    assert!(the_same > NAMES / 2, "{the_same}");
}
