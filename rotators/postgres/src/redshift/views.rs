//! The views that say which rights a user was given, and what statement each of their rows stands for.
//!
//! Sources: Database Developer Guide, the pages of these views and "Scoped permissions".

use std::collections::BTreeSet;

use super::rights::{Right, USER};
use super::{UNFIT, check_name};
use crate::sql::quote_identifier;

/// A view of rights: its name, what they are on, the first, second and third part of the name of that, and
/// the right to give it on.
pub(crate) struct View(
    pub(crate) &'static str,
    pub(crate) On,
    pub(crate) [&'static str; 3],
    pub(crate) &'static str,
);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Database,
    Schema,
    Relation,
    Column,
    Function,
    Language,
}

const OPTION: &str = "admin_option";

/// Rights on tables and views. RULE and TRIGGER come by GRANT ALL.
pub(super) const ON_TABLES: [&str; 10] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "REFERENCES",
    "DROP",
    "ALTER",
    "TRUNCATE",
    "RULE",
    "TRIGGER",
];

/// The views of a database's rights, and the one of all databases.
pub(crate) const HERE: [View; 5] = [
    View(
        "svv_schema_privileges",
        On::Schema,
        ["namespace_name", "privilege_scope", "''::text"],
        OPTION,
    ),
    View(
        "svv_relation_privileges",
        On::Relation,
        ["namespace_name", "relation_name", "''::text"],
        OPTION,
    ),
    View(
        "svv_column_privileges",
        On::Column,
        ["namespace_name", "relation_name", "column_name"],
        "false",
    ),
    View(
        "svv_function_privileges",
        On::Function,
        ["namespace_name", "function_name", "COALESCE(argument_types, '')"],
        OPTION,
    ),
    View(
        "svv_language_privileges",
        On::Language,
        ["language_name", "''::text", "''::text"],
        OPTION,
    ),
];
pub(crate) const DATABASES: View = View(
    "svv_database_privileges",
    On::Database,
    ["database_name", "privilege_scope", "''::text"],
    OPTION,
);

impl View {
    /// A right in this view: of which kind it is, on which object.
    pub(crate) fn right(
        &self,
        privilege: &str,
        parts: [&str; 3],
        procedures: &BTreeSet<(String, String)>,
    ) -> Result<Right, String> {
        let [one, two, three] = parts;
        let unknown = || Err(format!("{privilege} on {parts:?}, which is not known here"));
        let known: &[&str] = match self.1 {
            On::Database => &["CREATE", "TEMP", "TEMPORARY", "USAGE", "ALTER"],
            On::Schema => &["CREATE", "USAGE", "ALTER", "DROP"],
            On::Relation => &ON_TABLES,
            On::Column => &["SELECT", "UPDATE"],
            On::Function => &["EXECUTE"],
            On::Language => &["USAGE"],
        };
        if !known.contains(&privilege) {
            return unknown();
        }
        let scoped = !matches!((self.1, two), (On::Database, "DATABASE") | (On::Schema, "SCHEMA"));
        if matches!(self.1, On::Database | On::Schema) && scoped {
            return Err(format!("{privilege} for all {two} in {one:?}"));
        }
        let [a, b, c] = parts.map(quote_identifier);
        let what = match self.1 {
            On::Database => format!("{privilege} ON DATABASE {a}"),
            On::Schema => format!("{privilege} ON SCHEMA {a}"),
            On::Relation => format!("{privilege} ON {a}.{b}"),
            On::Column => format!("{privilege} ({c}) ON {a}.{b}"),
            On::Language => format!("{privilege} ON LANGUAGE {a}"),
            On::Function => {
                // Names of types, which stand in the statement as they are.
                let plain = |c: char| c.is_ascii_alphanumeric() || " _,()[]\"".contains(c);
                if !three.chars().all(plain) {
                    return unknown();
                }
                let is_procedure = procedures.contains(&(one.to_owned(), two.to_owned()));
                let kind = if is_procedure { "PROCEDURE" } else { "FUNCTION" };
                format!("{privilege} ON {kind} {a}.{b}({three})")
            }
        };
        let named = match self.1 {
            On::Database | On::Schema | On::Language => 1,
            On::Relation | On::Function => 2,
            On::Column => 3,
        };
        if parts.iter().take(named).any(|part| check_name(part).is_err()) {
            return Err(format!("{privilege} on {parts:?}, whose name has {UNFIT}"));
        }
        Ok(Right::granted("", &what, USER, "GRANT"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_statement_is_refused_by_name() {
        let none = BTreeSet::new();
        let [schema, relation, column, function, _] = &HERE;
        for (view, privilege, parts, why) in [
            (schema, "SELECT", ["s", "TABLES", ""], "SELECT on"),
            (schema, "USAGE", ["s", "TABLES", ""], "USAGE for all TABLES in"),
            (schema, "USAGE", ["S", "SCHEMA", ""], "a capital letter"),
            (&DATABASES, "USAGE", ["d", "SCHEMAS", ""], "USAGE for all SCHEMAS in"),
            (relation, "SELECT; DROP TABLE x", ["s", "t", ""], "not known here"),
            (relation, "SELECT", ["s", "t\\", ""], "a backslash"),
            (relation, "SELECT", ["s", "t\u{1}", ""], "a control character"),
            (function, "EXECUTE", ["s", "f", "in\u{1e}t"], "not known here"),
            (column, "INSERT", ["s", "t", "c"], "not known here"),
            (function, "EXECUTE", ["s", "f", "int) TO x; --"], "not known here"),
        ] {
            let error = view.right(privilege, parts, &none).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn what_can_be_a_statement_is_one() {
        let procedures = [("s".to_owned(), "p".to_owned())].into();
        let [schema, relation, column, function, language] = &HERE;
        for (view, privilege, parts, what) in [
            (&DATABASES, "TEMP", ["d", "DATABASE", ""], "TEMP ON DATABASE \"d\""),
            (schema, "USAGE", ["s", "SCHEMA", ""], "USAGE ON SCHEMA \"s\""),
            (relation, "SELECT", ["s", "a\"b", ""], "SELECT ON \"s\".\"a\"\"b\""),
            (relation, "TRIGGER", ["s", "t", ""], "TRIGGER ON \"s\".\"t\""),
            (column, "UPDATE", ["s", "t", "c"], "UPDATE (\"c\") ON \"s\".\"t\""),
            (
                function,
                "EXECUTE",
                ["s", "f", "int, text"],
                "EXECUTE ON FUNCTION \"s\".\"f\"(int, text)",
            ),
            (function, "EXECUTE", ["s", "p", ""], "EXECUTE ON PROCEDURE \"s\".\"p\"()"),
            (language, "USAGE", ["plpythonu", "", ""], "USAGE ON LANGUAGE \"plpythonu\""),
        ] {
            let right = view.right(privilege, parts, &procedures);
            assert_eq!(right, Ok(Right::granted("", what, USER, "GRANT")));
        }
    }
}
