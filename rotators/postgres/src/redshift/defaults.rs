//! Default privileges: what is given of what somebody will make, and what statement each row of their view stands
//! for.
//!
//! Sources: Database Developer Guide, SVV_DEFAULT_PRIVILEGES and ALTER DEFAULT PRIVILEGES.

use super::check_name;
use super::rights::{DEFAULTS, PARTNER, Right, USER};
use super::views::ON_TABLES;
use crate::sql::quote_identifier;

/// The built-in default that one who makes functions may have taken. It is no row: where it was taken, the maker's
/// own row is left.
pub(crate) const NOT_PUBLIC: &str = "functions that PUBLIC may not execute by default (ALTER DEFAULT PRIVILEGES \
    FOR USER ... REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC)";

/// Whether of all rows those of this user say that. Procedures nobody may execute by default (Database Developer
/// Guide, "Security and privileges for stored procedures").
pub(crate) fn hides_functions(rows: &[(DefaultRow<'_>, bool)], user: &str) -> bool {
    let of_functions = |row: &&DefaultRow<'_>| {
        row.owner == user && row.objects == "FUNCTION" && row.schema.is_none_or(str::is_empty)
    };
    let mut kinds =
        rows.iter().map(|(row, _)| row).filter(of_functions).map(|row| row.grantee_kind).peekable();
    kinds.peek().is_some() && !kinds.any(|kind| kind == "public")
}

/// A row of svv_default_privileges: what is made where and by whom, and who is given what on it.
pub(crate) struct DefaultRow<'a> {
    pub(crate) schema: Option<&'a str>,
    pub(crate) objects: &'a str,
    pub(crate) owner: &'a str,
    pub(crate) privilege: &'a str,
    pub(crate) grantee: &'a str,
    pub(crate) grantee_kind: &'a str,
}

impl DefaultRow<'_> {
    fn is_granted_to(&self, user: &str) -> bool {
        self.grantee_kind == "user" && self.grantee == user
    }

    /// What this is to a user of a pair. None if it is nothing of the user's: an owner has everything of its
    /// own, and what one of the pair gives the other of what it makes is the maker's.
    pub(crate) fn right(&self, user: &str, partner: &str) -> Option<Result<Right, String>> {
        let Self { owner, privilege, grantee, .. } = *self;
        let concerned = owner == user || (self.is_granted_to(user) && owner != partner);
        if !concerned || self.is_granted_to(owner) {
            return None;
        }
        let person = |name: &str| match name {
            _ if name == user => USER.to_owned(),
            _ if name == partner => PARTNER.to_owned(),
            _ => quote_identifier(name),
        };
        let to = match self.grantee_kind {
            "user" => Some(person(grantee)),
            "role" => Some(format!("ROLE {}", quote_identifier(grantee))),
            "group" => Some(format!("GROUP {}", quote_identifier(grantee))),
            "public" => Some("PUBLIC".to_owned()),
            _ => None,
        };
        let (objects, known): (_, &[&str]) = match self.objects {
            "RELATION" => ("TABLES", &ON_TABLES),
            "FUNCTION" => ("FUNCTIONS", &["EXECUTE"]),
            "PROCEDURE" => ("PROCEDURES", &["EXECUTE"]),
            other => (other, &[]),
        };
        let schema = self.schema.unwrap_or_default();
        let plain = [schema, owner, grantee].iter().all(|name| check_name(name).is_ok())
            && known.contains(&privilege);
        let (Some(to), true) = (to, plain) else {
            return Some(Err(format!("the default {privilege} on {objects} of {owner:?}")));
        };
        let within = match schema {
            "" => String::new(),
            schema => format!("IN SCHEMA {} ", quote_identifier(schema)),
        };
        let before = format!("{DEFAULTS} FOR USER {} {within}", person(owner));
        Some(Ok(Right::granted(&before, &format!("{privilege} ON {objects}"), &to, "GRANT")))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::rights::{Rights, of};
    use super::*;

    fn default<'a>(owner: &'a str, grantee: &'a str) -> DefaultRow<'a> {
        DefaultRow {
            schema: Some("s"),
            objects: "RELATION",
            owner,
            privilege: "SELECT",
            grantee,
            grantee_kind: "user",
        }
    }

    #[test]
    fn a_default_of_the_pair_is_turned_round_for_the_other() {
        let right = |owner, grantee, user, partner| default(owner, grantee).right(user, partner);
        assert_eq!(right("a", "b", "a", "b"), right("b", "a", "b", "a"));
        assert_eq!(right("a", "b", "b", "a"), None);
        assert_eq!(right("etl", "a", "a", "b"), right("etl", "b", "b", "a"));
        assert_eq!(right("etl", "a", "b", "a"), None);
        assert_eq!(right("a", "a", "a", "b"), None);
    }

    /// Runs what makes the second as the first once, and has nothing to do then.
    #[test]
    fn defaults_between_the_two_are_made_equal_in_one_pass_without_touching_the_first() {
        let read = |rows: &BTreeSet<(String, String)>, user: &str, partner: &str| {
            let mut rights = Rights::default();
            for (owner, grantee) in rows {
                if let Some(right) = default(owner, grantee).right(user, partner) {
                    rights.add(right.unwrap(), false);
                }
            }
            rights
        };
        let statements = |rows: &BTreeSet<(String, String)>| {
            let (from, to) = (read(rows, "app", "clone"), read(rows, "clone", "app"));
            let all = to.lacking(&from).into_iter().chain(to.surplus(&from));
            all.map(|one| of(&one, "clone", "app")).collect::<Vec<_>>()
        };
        for start in [
            &[("app", "clone")][..],
            &[("clone", "app")],
            &[("app", "clone"), ("clone", "app"), ("etl", "clone")],
            &[("app", "clone"), ("app", "etl"), ("clone", "team"), ("etl", "app")],
        ] {
            let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
            let mut rows: BTreeSet<_> = start.iter().map(own).collect();
            let of_first: Vec<_> = rows.iter().filter(|row| row.0 == "app").cloned().collect();
            let first = statements(&rows);
            assert!(!first.is_empty());
            for one in first {
                assert!(!one.contains("FOR USER \"app\""), "{one}");
                let names: Vec<_> = one.split('"').collect();
                let row = (names[1].to_owned(), names[5].to_owned());
                let changed =
                    if one.contains(" GRANT ") { rows.insert(row) } else { rows.remove(&row) };
                assert!(changed, "{one}");
            }
            assert!(of_first.iter().all(|row| rows.contains(row)));
            assert_eq!(statements(&rows), Vec::<String>::new(), "{start:?}");
        }
    }

    #[test]
    fn a_default_that_is_not_known_is_refused_and_never_passed_over() {
        let right = |objects, privilege| {
            DefaultRow { objects, privilege, ..default("a", "team") }.right("a", "b").unwrap()
        };
        for privilege in ["RULE", "TRIGGER"] {
            right("RELATION", privilege).unwrap();
        }
        for (objects, privilege) in [
            ("RELATION", "EXECUTE"),
            ("RELATION", "NEW"),
            ("FUNCTION", "RULE"),
            ("OTHER", "SELECT"),
        ] {
            let error = right(objects, privilege).unwrap_err();
            assert!(error.starts_with(&format!("the default {privilege} on ")), "{error}");
        }
    }

    #[test]
    fn that_public_lost_its_default_is_seen_by_the_rows_that_are_left() {
        let row = |kind, schema, objects| {
            let own = default("a", "a");
            (DefaultRow { grantee_kind: kind, schema, objects, ..own }, false)
        };
        let (own, public) = (row("user", None, "FUNCTION"), row("public", None, "FUNCTION"));
        let elsewhere = [row("role", Some("s"), "FUNCTION"), row("role", None, "PROCEDURE")];
        assert!(!hides_functions(&elsewhere, "a"));
        let rows = [own, row("public", Some("s"), "FUNCTION")];
        assert!(hides_functions(&rows, "a") && !hides_functions(&rows, "b"));
        let [own, _] = rows;
        assert!(!hides_functions(&[own, public], "a"));
    }
}
