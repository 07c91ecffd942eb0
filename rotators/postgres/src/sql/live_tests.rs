//! Names as a server itself reads and writes them; `scripts/test` starts it and sets the variables.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, FromRow, Row};

use super::{check_name, quote_identifier};

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
        if check_name("username", &name).is_ok() {
            names.push(name);
        }
    }
    names
}

/// `None`, said aloud, where no server is given.
async fn session() -> Option<PgConnection> {
    let variable = |name| std::env::var(format!("FOURSTEP_TEST_POSTGRES_{name}"));
    let Ok(port) = variable("PORT") else {
        assert!(std::env::var_os("FOURSTEP_TEST_REQUIRE").is_none(), "no PostgreSQL is given");
        eprintln!("SKIPPED: FOURSTEP_TEST_POSTGRES_PORT and its companions are not set");
        return None;
    };
    let options = PgConnectOptions::new_without_pgpass().port(port.parse().unwrap());
    let options = options.host(&variable("HOST").unwrap()).ssl_mode(PgSslMode::Disable);
    let options = options.username(&variable("ARRANGER").unwrap()).database("postgres");
    Some(options.password(&variable("ARRANGER_PASSWORD").unwrap()).connect().await.unwrap())
}

/// The rows' two columns.
async fn pairs(session: &mut PgConnection, query: String) -> Vec<(String, String)> {
    let rows = sqlx::raw_sql(AssertSqlSafe(query)).fetch_all(session).await.unwrap();
    assert_eq!((rows.len(), rows[0].len()), (NAMES, 2));
    rows.iter().map(|row| FromRow::from_row(row).unwrap()).collect()
}

#[tokio::test]
async fn parity_25_the_server_reads_a_quoted_name_as_it_was_and_quotes_it_in_the_same_way() {
    let Some(mut session) = session().await else { return };
    let names = names();
    // A whole row under these column names, told name by name. `r.*` and not `r`: a drawn name
    // may be `r`, and a bare `r` would then be that column.
    let columns = names.iter().enumerate();
    let columns: Vec<_> =
        columns.map(|(number, name)| format!("{number} AS {}", quote_identifier(name))).collect();
    let read = format!(
        "SELECT key, value::text FROM json_each((SELECT row_to_json(r.*) FROM (SELECT {}) r))",
        columns.join(", ")
    );
    for (name, number) in pairs(&mut session, read).await {
        assert_eq!(name, names[number.parse::<usize>().unwrap()]);
    }
    // The server's own function leaves alone what needs no quotes, and nothing else.
    let escaped = |name: &String| name.replace('\\', "\\\\").replace('\'', "''");
    let literals: Vec<_> = names.iter().map(|name| format!("(E'{}')", escaped(name))).collect();
    let quoted = format!("SELECT n, quote_ident(n) FROM (VALUES {}) AS v(n)", literals.join(", "));
    let mut the_same = 0;
    for (name, quoted) in pairs(&mut session, quoted).await {
        let ours = quote_identifier(&name);
        assert!(quoted == ours || quoted == name, "{name:?} is {quoted:?} and not {ours:?}");
        the_same += usize::from(quoted == ours);
    }
    // About three in five are; by chance it is never so few.
    assert!(the_same > NAMES / 4, "{the_same}");
}
