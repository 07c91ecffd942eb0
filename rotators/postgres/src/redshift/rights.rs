//! What a user was given, each as the statement that gives it and the one that takes it: so two users are
//! compared and made equal.
//!
//! Sources: Database Developer Guide, GRANT, REVOKE, ALTER DEFAULT PRIVILEGES, ALTER GROUP.

use std::collections::{BTreeMap, BTreeSet};

use crate::sql::quote_identifier;

/// What stands for the user in a statement, and for its partner. Names that have such a character are
/// refused.
pub(crate) const USER: &str = "\u{0}";

/// What stands for the other user of the pair.
pub(crate) const PARTNER: &str = "\u{1}";

/// How statements about default privileges begin.
pub(crate) const DEFAULTS: &str = "ALTER DEFAULT PRIVILEGES";

/// Rights that there are on columns too.
const COLUMNS: [&str; 2] = ["SELECT", "UPDATE"];

/// A statement of a user's, for this user and its partner.
pub(crate) fn of(statement: &str, user: &str, partner: &str) -> String {
    let statement = statement.replace(USER, &quote_identifier(user));
    statement.replace(PARTNER, &quote_identifier(partner))
}

/// One thing that a user was given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Right {
    give: String,
    take: String,
    /// How the right to give it on is called.
    option: &'static str,
}

impl Right {
    pub(crate) fn granted(before: &str, what: &str, to: &str, option: &'static str) -> Self {
        let give = format!("{before}GRANT {what} TO {to}");
        Self { give, take: format!("{before}REVOKE {what} FROM {to}"), option }
    }

    pub(crate) fn member(group: &str) -> Self {
        let group = format!("ALTER GROUP {} ", quote_identifier(group));
        let [give, take] = ["ADD", "DROP"].map(|verb| format!("{group}{verb} USER {USER}"));
        Self { give, take, option: "" }
    }
}

/// All that a user was given in one place, each with whether it may give it on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    held: BTreeMap<Right, bool>,
    /// What cannot be carried over, or means something to one user alone.
    pub(crate) refused: BTreeSet<String>,
    /// Whether there is a schema of the user's own name.
    pub(crate) own_schema: bool,
}

impl Rights {
    pub(crate) fn add(&mut self, right: Right, on: bool) {
        *self.held.entry(right).or_default() |= on;
    }

    pub(crate) fn refuse(&mut self, what: String) {
        self.refused.insert(what);
    }

    /// What gives these what the source has beside them. Defaults come last: who is given something of what is
    /// made in a schema needs CREATE on it first (Database Developer Guide, ALTER DEFAULT PRIVILEGES).
    pub(crate) fn lacking(&self, source: &Self) -> Vec<String> {
        let lacks =
            |(right, on): &(&Right, &bool)| self.held.get(*right).is_none_or(|own| **on && !own);
        let give = |(right, on): (&Right, &bool)| match on {
            true => format!("{} WITH {} OPTION", right.give, right.option),
            false => right.give.clone(),
        };
        let mut all: Vec<_> = source.held.iter().filter(lacks).map(give).collect();
        all.sort_by_key(|statement| statement.starts_with(DEFAULTS));
        all
    }

    /// What takes from these what the source has not: defaults first, by their order. A right that is taken of a table is taken of its columns
    /// too, so what the source has of columns is given once more behind it.
    pub(crate) fn surplus(&self, source: &Self) -> Vec<String> {
        let take = |(right, on): (&Right, &bool)| match source.held.get(right) {
            None => Some(right.take.clone()),
            Some(false) if *on => {
                let only = format!("REVOKE {} OPTION FOR ", right.option);
                Some(right.take.replacen("REVOKE ", &only, 1))
            }
            Some(_) => None,
        };
        let mut all: Vec<_> = self.held.iter().filter_map(take).collect();
        let of_table = |one: &String| COLUMNS.iter().any(|it| one.contains(&format!("{it} ON \"")));
        if all.iter().any(of_table) {
            let gives = source.held.keys().map(|right| right.give.clone());
            let of_column =
                |give: &String| COLUMNS.iter().any(|it| give.starts_with(&format!("GRANT {it} (")));
            all.extend(gives.filter(of_column));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(all: &[(&str, bool)]) -> Rights {
        let mut rights = Rights::default();
        for (what, on) in all {
            rights.add(Right::granted("", what, USER, "GRANT"), *on);
        }
        rights
    }

    #[test]
    fn defaults_are_given_last_and_taken_first() {
        let mut full = rights(&[("CREATE ON SCHEMA s", false)]);
        full.add(Right::member("team"), false);
        let before = format!("{DEFAULTS} FOR USER etl IN SCHEMA s ");
        full.add(Right::granted(&before, "SELECT ON TABLES", USER, "GRANT"), false);
        let places = |statements: Vec<String>| -> Vec<_> {
            statements.iter().map(|one| one.starts_with(DEFAULTS)).collect()
        };
        assert_eq!(places(Rights::default().lacking(&full)), [false, false, true]);
        assert_eq!(places(full.surplus(&Rights::default())), [true, false, false]);
    }

    #[test]
    fn what_one_has_alone_and_may_give_on_alone_is_told() {
        let source = rights(&[("A ON x", true), ("B ON x", false), ("C ON x", true)]);
        let mut target = rights(&[("A ON x", false), ("B ON x", true), ("D ON x", false)]);
        target.add(Right::member("team"), false);
        let told = |statements: Vec<String>| -> Vec<_> {
            statements.iter().map(|one| of(one, "a\"b", "c")).collect()
        };
        assert_eq!(
            told(target.lacking(&source)),
            [
                r#"GRANT A ON x TO "a""b" WITH GRANT OPTION"#,
                r#"GRANT C ON x TO "a""b" WITH GRANT OPTION"#,
            ]
        );
        assert_eq!(
            told(target.surplus(&source)),
            [
                r#"ALTER GROUP "team" DROP USER "a""b""#,
                r#"REVOKE GRANT OPTION FOR B ON x FROM "a""b""#,
                r#"REVOKE D ON x FROM "a""b""#,
            ]
        );
        let column = ("UPDATE (\"b\") ON \"s\".\"t\"", false);
        let target = rights(&[column, ("UPDATE ON \"s\".\"t\"", false)]);
        assert_eq!(
            told(target.surplus(&rights(&[column]))),
            [
                r#"REVOKE UPDATE ON "s"."t" FROM "a""b""#,
                r#"GRANT UPDATE ("b") ON "s"."t" TO "a""b""#,
            ]
        );
        assert!(source.lacking(&source).is_empty() && target.surplus(&target).is_empty());
    }
}
