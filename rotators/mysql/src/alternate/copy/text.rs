//! Rights as they stand in statements, which they cannot break out of.

use std::collections::{BTreeMap, BTreeSet};

use crate::alternate::copy::rights::{GRANT_OPTION, Object};
use crate::alternate::quoting::{AccountName, name};

impl AccountName {
    /// As it stands in the information schema, where nothing is escaped.
    pub(crate) fn grantee(&self) -> String {
        format!("'{}'@'{}'", self.user, self.host.as_deref().unwrap_or_default())
    }
}

impl Object {
    /// As it stands in a statement.
    pub(crate) fn sql(&self) -> String {
        match self {
            Self::Server => "*.*".to_owned(),
            Self::Schema(schema) => format!("{}.*", name(schema)),
            Self::Table(schema, table) => format!("{}.{}", name(schema), name(table)),
            Self::Routine(kind, schema, routine) => {
                format!("{kind} {}.{}", name(schema), name(routine))
            }
        }
    }
}

/// Privileges of one object, each with its columns.
pub(crate) type Privileges = BTreeMap<String, BTreeSet<Option<String>>>;

/// `` SELECT, SELECT (`a`, `b`), UPDATE (`a`) ``
pub(crate) fn listed(privileges: &Privileges) -> String {
    let one = |(privilege, columns): (&String, &BTreeSet<Option<String>>)| {
        let named: Vec<_> = columns.iter().flatten().map(|column| name(column)).collect();
        let whole = columns.contains(&None).then(|| privilege.clone());
        let some = (!named.is_empty()).then(|| format!("{privilege} ({})", named.join(", ")));
        [whole, some].into_iter().flatten().collect::<Vec<_>>().join(", ")
    };
    privileges.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The statement that gives `grantee` these privileges. The right to pass them on stands at its end
/// and not among them.
pub(crate) fn grant(privileges: &Privileges, on: &Object, grantee: &str) -> String {
    let mut given = privileges.clone();
    let option = if given.remove(GRANT_OPTION).is_some() { " WITH GRANT OPTION" } else { "" };
    let given = if given.is_empty() { "USAGE".to_owned() } else { listed(&given) };
    format!("GRANT {given} ON {} TO {grantee}{option}", on.sql())
}

/// The statement that takes them away.
pub(crate) fn revoke(privileges: &Privileges, on: &Object, grantee: &str) -> String {
    format!("REVOKE {} ON {} FROM {grantee}", listed(privileges), on.sql())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn statements_are_put_together_as_they_should_be() {
        let account = AccountName::new("o'x", "10.%").sql();
        let role = AccountName { user: "r`1".into(), host: None }.sql();
        let (table, columns) =
            (Object::Table("a`b".into(), "t TO u".into()), ["a", "b`"].map(String::from));
        let both = BTreeSet::from([None, Some(columns[0].clone()), Some(columns[1].clone())]);
        let mut privileges = Privileges::from([("SELECT".to_owned(), both)]);
        privileges.insert(GRANT_OPTION.to_owned(), BTreeSet::from([None]));
        let option = Privileges::from([(GRANT_OPTION.to_owned(), BTreeSet::from([None]))]);
        let routine = Object::Routine("PROCEDURE".into(), "x".into(), "p".into());
        let lines = [
            grant(&privileges, &table, &account),
            revoke(&privileges, &table, &account),
            grant(&option, &Object::Server, &role),
            revoke(&option, &Object::Schema("x\\_y".into()), &role),
            grant(&option, &routine, &role),
        ];
        expect![[r#"
            GRANT SELECT, SELECT (`a`, `b```) ON `a``b`.`t TO u` TO 'o''x'@'10.%' WITH GRANT OPTION
            REVOKE GRANT OPTION, SELECT, SELECT (`a`, `b```) ON `a``b`.`t TO u` FROM 'o''x'@'10.%'
            GRANT USAGE ON *.* TO 'r`1' WITH GRANT OPTION
            REVOKE GRANT OPTION ON `x\_y`.* FROM 'r`1'
            GRANT USAGE ON PROCEDURE `x`.`p` TO 'r`1' WITH GRANT OPTION
        "#]]
        .assert_eq(&format!("{}\n", lines.join("\n")));
    }
}
