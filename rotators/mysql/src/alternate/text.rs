//! Names as they stand in statements, which they cannot break out of, and statements as a person is
//! shown them.
//!
//! Holds only in a session that was begun by [`limits`](crate::sql::limits), whose `sql_mode` takes
//! a backslash for itself.

/// The most characters that a name has. None is longer than a host pattern, and a schema's, with a
/// backslash before each of its characters, is shorter.
pub(crate) const LONGEST_NAME: usize = 255;

/// An account or a role. MariaDB's roles have no host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AccountName {
    pub(crate) user: String,
    pub(crate) host: Option<String>,
}

impl AccountName {
    pub(crate) fn new(user: &str, host: &str) -> Self {
        Self { user: user.to_owned(), host: Some(host.to_owned()) }
    }

    /// As it stands in a statement.
    pub(crate) fn sql(&self) -> String {
        match &self.host {
            Some(host) => format!("{}@{}", text(&self.user), text(host)),
            None => text(&self.user),
        }
    }
}

/// A string.
pub(crate) fn text(string: &str) -> String {
    format!("'{}'", string.replace('\'', "''"))
}

/// The name of a schema, table, column, routine or role.
pub(crate) fn name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A list of strings, as it stands behind IN.
pub(crate) fn texts(strings: &[&str]) -> String {
    strings.iter().map(|one| text(one)).collect::<Vec<_>>().join(", ")
}

/// A text as comments of a plan, each of its lines by itself. Names are anybody's who may make a user
/// or a schema, and the servers' clients read lines. Source: MySQL 9.7 reference manual, section
/// 11.7, "Comments".
pub(crate) fn comment(text: &str) -> Vec<String> {
    let harmless = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let line = |line: &str| format!("-- {}", line.chars().map(harmless).collect::<String>());
    text.split(['\n', '\r']).map(line).collect()
}

/// A statement of a plan; in comments if it does not fit into a line.
pub(crate) fn statement_lines(statement: &str) -> Vec<String> {
    match statement.chars().any(char::is_control) {
        false => vec![format!("{statement};")],
        true => comment(&format!("{statement};")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_becomes_a_line_of_its_own() {
        assert_eq!(statement_lines("DROP USER 'a'"), ["DROP USER 'a';"]);
        assert_eq!(statement_lines("DROP USER 'a\nb'"), ["-- DROP USER 'a", "-- b';"]);
        assert_eq!(comment("a\r\\! b\u{8}"), ["-- a", "-- \\! b\u{fffd}"]);
    }

    #[test]
    fn names_stay_in_their_quotes() {
        assert_eq!(AccountName::new("o'x", "10.%").sql(), "'o''x'@'10.%'");
        assert_eq!(AccountName { user: "r`1".into(), host: None }.sql(), "'r`1'");
        assert_eq!(name("a`b"), "`a``b`");
        assert_eq!(texts(&["a", "b'"]), "'a', 'b'''");
    }
}
