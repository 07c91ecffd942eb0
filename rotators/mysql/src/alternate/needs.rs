//! What an admin lacks for the statements of a plan: found before the first of them, because none
//! of them can be rolled back.

use std::collections::BTreeMap;

use crate::alternate::plan::{Need, Step};
use crate::alternate::rights::{ALL, GRANT_OPTION, Object, Right, Rights};
use crate::alternate::text::{self, Privileges};
use crate::server::Flavour;

/// What the admin may do.
pub(crate) struct Admin<'a> {
    pub(crate) flavour: Flavour,
    pub(crate) rights: &'a Rights,
}

impl Admin<'_> {
    /// The statements that give `grantee`, the admin's account, what it lacks for these steps.
    pub(crate) fn lacks(&self, steps: &[Step], grantee: &str) -> Vec<String> {
        let mut objects: BTreeMap<Object, Privileges> = BTreeMap::new();
        let mut others = Vec::new();
        let mut lack = |on: Object, name: &str, column: Option<String>| {
            let privileges = objects.entry(on).or_default();
            privileges.entry(name.to_owned()).or_default().insert(column);
        };
        for need in steps.iter().flat_map(|step| &step.needs) {
            if self.meets(need) {
                continue;
            }
            match need {
                Need::Users => lack(Object::Server, "CREATE USER", None),
                Need::Tables => lack(Object::Schema("mysql".to_owned()), "UPDATE", None),
                Need::Pass(Right::Held { on, name, column }) => {
                    lack(on.clone(), name, column.clone());
                    lack(on.clone(), GRANT_OPTION, None);
                }
                Need::Pass(Right::Denied { name, .. }) => {
                    lack(Object::Server, name, None);
                    lack(Object::Server, GRANT_OPTION, None);
                }
                Need::Pass(Right::Dynamic { name, .. }) => {
                    others.push(format!("GRANT {name} ON *.* TO {grantee} WITH GRANT OPTION"));
                }
                Need::Pass(Right::Proxy { of, .. }) => others
                    .push(format!("GRANT PROXY ON {} TO {grantee} WITH GRANT OPTION", of.sql())),
                Need::Pass(Right::Role { role, .. }) => {
                    others.push(format!("GRANT {} TO {grantee} WITH ADMIN OPTION", role.sql()));
                }
            }
        }
        let held = objects.iter().map(|(on, privileges)| text::grant(privileges, on, grantee));
        let mut lacks: Vec<_> = held.chain(others).collect();
        lacks.dedup();
        lacks
    }

    /// The statement that lets the admin make and alter users, if it may not.
    pub(crate) fn lacks_users(&self, grantee: &str) -> Option<String> {
        let step = Step { text: String::new(), needs: vec![Need::Users] };
        self.lacks(&[step], grantee).into_iter().next()
    }

    fn meets(&self, need: &Need) -> bool {
        match need {
            Need::Users => self.has(&Object::Server, "CREATE USER", None),
            Need::Tables => self.has(&Object::Schema("mysql".to_owned()), "UPDATE", None),
            Need::Pass(right) => self.may_pass(right),
        }
    }

    fn may_pass(&self, right: &Right) -> bool {
        match right {
            Right::Held { on, name, column } => {
                self.has(on, name, column.as_deref()) && self.has(on, GRANT_OPTION, None)
            }
            Right::Denied { name, .. } => {
                self.has(&Object::Server, name, None)
                    && self.has(&Object::Server, GRANT_OPTION, None)
            }
            Right::Dynamic { name, .. } => {
                let passing = Right::Dynamic { name: name.clone(), option: true };
                self.rights.contains(&passing)
            }
            Right::Proxy { of, .. } => self.rights.iter().any(|one| match one {
                // The account without a name stands for all.
                Right::Proxy { of: own, option: true } => own == of || own.user.is_empty(),
                _ => false,
            }),
            Right::Role { role, .. } => {
                let own = Right::Role { role: role.clone(), option: true };
                let any = self.flavour == Flavour::Mysql && self.may_grant_any_role();
                any || self.rights.contains(&own)
            }
        }
    }

    fn may_grant_any_role(&self) -> bool {
        let dynamic = Right::Dynamic { name: "ROLE_ADMIN".to_owned(), option: false };
        self.rights.contains(&dynamic) || self.has(&Object::Server, "SUPER", None)
    }

    /// Whether the admin has a privilege on this object or on what it is part of.
    pub(crate) fn has(&self, on: &Object, privilege: &str, column: Option<&str>) -> bool {
        self.rights.iter().any(|right| match right {
            Right::Held { on: own, name, column: of } => {
                let same = name == privilege || name == ALL && privilege != GRANT_OPTION;
                let whole = of.is_none() || of.as_deref() == column && own == on;
                same && whole && own.covers(on) && !self.is_denied(own, on, privilege)
            }
            _ => false,
        })
    }

    /// Whether a partial revoke takes this out of what the admin has on the whole server.
    fn is_denied(&self, own: &Object, on: &Object, privilege: &str) -> bool {
        let Some(schema) = on.schema().filter(|_| *own == Object::Server) else { return false };
        let (schema, name) = (schema.to_owned(), privilege.to_owned());
        self.rights.contains(&Right::Denied { schema, name })
    }
}

impl Object {
    pub(crate) fn schema(&self) -> Option<&str> {
        match self {
            Self::Server => None,
            Self::Schema(schema) | Self::Table(schema, _) | Self::Routine(_, schema, _) => {
                Some(schema)
            }
        }
    }

    /// Whether a privilege on this object is one on the other too.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Server, _) => true,
            // The other may be a pattern itself, of which this one knows only itself.
            (Self::Schema(own), Self::Schema(other)) => own == other || is_like(other, own),
            (Self::Schema(own), _) => other.schema().is_some_and(|schema| is_like(schema, own)),
            _ => self == other,
        }
    }
}

/// Whether a name fits a pattern in which `_` is one character, `%` are any, and a backslash takes
/// that away from the next. Takes no more steps than the product of their lengths.
pub(crate) fn is_like(name: &str, pattern: &str) -> bool {
    let (mut name, mut pattern) = (name.chars(), pattern.chars());
    // Where the last % may take one character more: what is behind it, in both.
    let mut more = None;
    loop {
        let (mut letters, mut rest) = (name.clone(), pattern.clone());
        let fits = match (rest.next(), letters.next()) {
            (Some('%'), _) => {
                more = Some((name.clone(), rest.clone()));
                pattern = rest;
                continue;
            }
            (None, None) => return true,
            // With more of it behind a % there would be even less left.
            (Some(_), None) => return false,
            (Some('_'), Some(_)) => true,
            (Some('\\'), Some(letter)) => rest.next().unwrap_or('\\') == letter,
            (Some(first), Some(letter)) => first == letter,
            (None, Some(_)) => false,
        };
        if fits {
            (name, pattern) = (letters, rest);
            continue;
        }
        let Some((behind, rest)) = &mut more else { return false };
        behind.next();
        (name, pattern) = (behind.clone(), rest.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alternate::rights;

    fn admin(lines: &[&str]) -> Rights {
        lines.iter().flat_map(|line| rights::parse(line).unwrap()).collect()
    }

    fn lacks(flavour: Flavour, has: &[&str], needs: &[&str]) -> Vec<String> {
        let rights = admin(has);
        let needs = admin(needs).into_iter().map(Need::Pass).collect();
        let step = Step { text: String::new(), needs };
        Admin { flavour, rights: &rights }.lacks(&[step], "'it'@'%'")
    }

    #[test]
    fn a_privilege_reaches_down_and_not_up_or_aside() {
        let all = "GRANT ALL PRIVILEGES ON *.* TO `it`@`%` WITH GRANT OPTION";
        let one = "GRANT SELECT ON `app`.* TO `x`@`%`";
        for (has, needs, enough) in [
            (all, one, true),
            (all, "GRANT SELECT ON `app`.* TO `x`@`%` WITH GRANT OPTION", true),
            ("GRANT SELECT ON *.* TO `it`@`%` WITH GRANT OPTION", one, true),
            ("GRANT SELECT ON *.* TO `it`@`%`", one, false),
            ("GRANT INSERT ON *.* TO `it`@`%` WITH GRANT OPTION", one, false),
            ("GRANT SELECT ON `a%`.* TO `it`@`%` WITH GRANT OPTION", one, true),
            ("GRANT SELECT ON `a\\_p`.* TO `it`@`%` WITH GRANT OPTION", one, false),
            ("GRANT SELECT ON `app`.`t` TO `it`@`%` WITH GRANT OPTION", one, false),
            (
                "GRANT SELECT ON `app`.* TO `it`@`%` WITH GRANT OPTION",
                "GRANT SELECT (`c`) ON `app`.`t` TO `x`@`%`",
                true,
            ),
            (
                "GRANT EXECUTE ON `app`.* TO `it`@`%` WITH GRANT OPTION",
                "GRANT EXECUTE ON PROCEDURE `app`.`p` TO `x`@`%`",
                true,
            ),
            (
                "GRANT PROXY ON ``@`` TO `it`@`%` WITH GRANT OPTION",
                "GRANT PROXY ON `y`@`%` TO `x`@`%`",
                true,
            ),
        ] {
            let lacks = lacks(Flavour::Mysql, &[has], &[needs]);
            assert_eq!(lacks.is_empty(), enough, "{has} for {needs}: {lacks:?}");
        }
    }

    #[test]
    fn what_is_missing_is_named_as_the_statement_that_gives_it() {
        let needs = [
            "GRANT SELECT, INSERT (`c`) ON `app`.`t` TO `x`@`%`",
            "GRANT BACKUP_ADMIN ON *.* TO `x`@`%`",
            "GRANT `r`@`%` TO `x`@`%`",
        ];
        let partly = "GRANT SELECT ON *.* TO `it`@`%` WITH GRANT OPTION";
        let cut = "REVOKE SELECT ON `app`.* FROM `it`@`%`";
        let named = lacks(Flavour::Mysql, &[partly, cut], &needs);
        expect_test::expect![[r#"
            GRANT INSERT (`c`), SELECT ON `app`.`t` TO 'it'@'%' WITH GRANT OPTION
            GRANT BACKUP_ADMIN ON *.* TO 'it'@'%' WITH GRANT OPTION
            GRANT 'r'@'%' TO 'it'@'%' WITH ADMIN OPTION"#]]
        .assert_eq(&named.join("\n"));
        let role = ["GRANT `r` TO `x`@`%`"];
        let admins = ["GRANT SUPER, CREATE USER ON *.* TO `it`@`%`"];
        assert!(lacks(Flavour::Mysql, &admins, &role).is_empty());
        assert_eq!(lacks(Flavour::Mariadb, &admins, &role).len(), 1);
    }

    #[test]
    fn patterns_match_as_the_server_s_do() {
        for (name, pattern, fits) in [
            ("app", "app", true),
            ("app", "a__", true),
            ("app", "%", true),
            ("app", "a%p", true),
            ("app", "a%q", false),
            ("a_p", "a\\_p", true),
            ("axp", "a\\_p", false),
            ("a_p", "a_p", true),
            ("", "%", true),
            ("", "_", false),
            ("größe", "gr__e", true),
            ("a", "a\\", false),
            ("a\\", "a\\", true),
            ("aab", "%ab", true),
            ("abab", "a%b_b", true),
            ("abcab", "a%b_b%", false),
            ("abcbab", "a%b_b%", true),
        ] {
            assert_eq!(is_like(name, pattern), fits, "{name} {pattern}");
        }
    }
    #[test]
    fn a_pattern_of_many_wildcards_is_soon_tried() {
        let name = "a".repeat(200);
        assert!(!is_like(&name, &format!("{}b", "%a".repeat(90))));
        assert!(is_like(&"a".repeat(100_000), &"_".repeat(100_000)), "and takes no stack");
    }
}
