//! What an admin lacks for the statements of a plan: found before the first of them, because none
//! of them can be rolled back.

use std::collections::BTreeMap;

use crate::alternate::copy::plan::{Need, Step};
use crate::alternate::copy::rights::{ALL, GRANT_OPTION, Object, Right, Rights};
use crate::alternate::copy::text::{self, Privileges};
use crate::alternate::pattern::is_like;

/// What the admin may do.
pub(crate) struct Admin<'a> {
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
            Right::Proxy { of, .. } => self.rights.iter().any(|one| match one {
                // The account without a name stands for all.
                Right::Proxy { of: own, option: true } => own == of || own.user.is_empty(),
                _ => false,
            }),
            Right::Role { role, .. } => {
                self.rights.contains(&Right::Role { role: role.clone(), option: true })
            }
        }
    }

    /// Whether the admin has a privilege on this object or on what it is part of.
    fn has(&self, on: &Object, privilege: &str, column: Option<&str>) -> bool {
        self.rights.iter().any(|right| match right {
            Right::Held { on: own, name, column: of } => {
                let same = name == privilege || name == ALL && privilege != GRANT_OPTION;
                let whole = of.is_none() || of.as_deref() == column && own == on;
                same && whole && own.covers(on)
            }
            _ => false,
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alternate::copy::rights;

    fn admin(lines: &[&str]) -> Rights {
        lines.iter().flat_map(|line| rights::parse(line).unwrap()).collect()
    }

    fn lacks(has: &[&str], needs: &[&str]) -> Vec<String> {
        let rights = admin(has);
        let needs = admin(needs).into_iter().map(Need::Pass).collect();
        let step = Step { text: String::new(), needs };
        Admin { rights: &rights }.lacks(&[step], "'it'@'%'")
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
            let lacks = lacks(&[has], &[needs]);
            assert_eq!(lacks.is_empty(), enough, "{has} for {needs}: {lacks:?}");
        }
    }

    #[test]
    fn what_is_missing_is_named_as_the_statement_that_gives_it() {
        let needs = ["GRANT SELECT, INSERT (`c`) ON `app`.`t` TO `x`@`%`", "GRANT `r` TO `x`@`%`"];
        let partly = "GRANT UPDATE ON *.* TO `it`@`%` WITH GRANT OPTION";
        let named = lacks(&[partly], &needs);
        expect_test::expect![[r#"
            GRANT INSERT (`c`), SELECT ON `app`.`t` TO 'it'@'%' WITH GRANT OPTION
            GRANT 'r' TO 'it'@'%' WITH ADMIN OPTION"#]]
        .assert_eq(&named.join("\n"));
    }
}
