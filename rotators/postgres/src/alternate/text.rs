//! What is printed for a person to run by psql. Names are anybody's who may make a database, a schema
//! or a role, and psql reads lines.

use crate::sql::quote_identifier;

/// A text as comments, each of its lines by itself. Source: PostgreSQL 18 documentation, section
/// 4.1.5: a comment ends with its line; psql ends one at a carriage return too.
pub(crate) fn comment(text: &str) -> Vec<String> {
    let lines = text.split(['\n', '\r']).map(|line| {
        let harmless = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        format!("-- {}", line.chars().map(harmless).collect::<String>())
    });
    lines.collect()
}

/// A statement of a plan. In comments if it is not to be run now, or does not fit into a line.
pub(crate) fn statement_lines(statement: &str, now: bool) -> Vec<String> {
    match now && is_plain(statement) {
        true => vec![format!("{statement};")],
        false => comment(&format!("{statement};")),
    }
}

/// Whether a text holds no control character.
pub(crate) fn is_plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// Where psql goes on in another database of the same server, as the same user. A name that looks
/// like a connection string would be one, so it is given in one. Source: the reference page of
/// psql, `\connect`; section 32.1.1.1 "Keyword/Value Connection Strings".
pub(crate) fn connect(database: &str) -> String {
    let value = database.replace('\\', "\\\\").replace('\'', "\\'");
    format!("\\connect -reuse-previous=on {}", quote_identifier(&format!("dbname='{value}'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_a_comment_is_one() {
        assert_eq!(comment("a\n\\! b\rc\u{1b}[0m"), ["-- a", "-- \\! b", "-- c\u{fffd}[0m"]);
        assert_eq!(statement_lines("SELECT 1", true), ["SELECT 1;"]);
        assert_eq!(statement_lines("SELECT 1", false), ["-- SELECT 1;"]);
        assert_eq!(statement_lines("A \"b\n\\! c\"", true), ["-- A \"b", "-- \\! c\";"]);
    }

    #[test]
    fn the_name_of_a_database_is_no_connection_string() {
        for (name, expected) in [
            ("shop", r#"\connect -reuse-previous=on "dbname='shop'""#),
            ("host=evil", r#"\connect -reuse-previous=on "dbname='host=evil'""#),
            (r#"a'b"c\d"#, r#"\connect -reuse-previous=on "dbname='a\'b""c\\d'""#),
        ] {
            assert_eq!(connect(name), expected);
        }
    }
}
