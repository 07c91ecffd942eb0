//! Names as they stand in statements, which they cannot break out of.
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
            Some(host) => format!("{}@{}", quote_literal(&self.user), quote_literal(host)),
            None => quote_literal(&self.user),
        }
    }
}

/// A string.
pub(crate) fn quote_literal(string: &str) -> String {
    format!("'{}'", string.replace('\'', "''"))
}

/// The name of a schema, table, column, routine or role.
pub(crate) fn name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A list of strings, as it stands behind IN.
pub(crate) fn quote_literals(strings: &[&str]) -> String {
    strings.iter().map(|one| quote_literal(one)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_quotes() {
        assert_eq!(AccountName::new("o'x", "10.%").sql(), "'o''x'@'10.%'");
        assert_eq!(AccountName { user: "r`1".into(), host: None }.sql(), "'r`1'");
        assert_eq!(name("a`b"), "`a``b`");
        assert_eq!(quote_literals(&["a", "b'"]), "'a', 'b'''");
    }
}
