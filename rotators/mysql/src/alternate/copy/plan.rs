//! The statements that make one account what another is.

use std::collections::{BTreeMap, BTreeSet};

use crate::alternate::copy::read::Account;
use crate::alternate::copy::rights::{GRANT_OPTION, Object, Right, Rights};
use crate::alternate::copy::text::{self, Privileges};
use crate::alternate::quoting::AccountName;

/// What an admin must be allowed for a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Need {
    /// To make and alter users.
    Users,
    /// To pass on a right, or take it away, which takes as much.
    Pass(Right),
    /// To write the server's tables of users: that sets another user's default role.
    Tables,
}

/// A statement that holds no password, and what it takes to run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) text: String,
    pub(crate) needs: Vec<Need>,
}

impl Step {
    /// A statement that makes or alters a user.
    pub(crate) fn of_users(text: String) -> Self {
        Self { text, needs: vec![Need::Users] }
    }

    fn passing(text: String, rights: impl IntoIterator<Item = Right>) -> Self {
        Self { text, needs: rights.into_iter().map(Need::Pass).collect() }
    }
}

/// What is given, and what is taken away once everything is given.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    pub(crate) give: Vec<Step>,
    pub(crate) take: Vec<Step>,
}

/// How `target`, whose account is `name`, comes to what `source` is.
pub(crate) fn difference(source: &Account, target: &Account, name: &AccountName) -> Difference {
    let grantee = name.sql();
    let missing: Rights = source.rights.difference(&target.rights).cloned().collect();
    let mut surplus: Rights = target.rights.difference(&source.rights).cloned().collect();
    let passing = everywhere(GRANT_OPTION);
    let proxies = missing.iter().any(|right| matches!(right, Right::Proxy { option: true, .. }));
    if proxies && !source.rights.contains(&passing) {
        // Whoever is given a proxy WITH GRANT OPTION may pass on everything it has.
        surplus.insert(passing);
    }
    let mut difference = Difference::default();
    privileges(&mut difference, source, [&missing, &surplus], &grantee);
    for right in &missing {
        difference.give.extend(match right {
            Right::Proxy { of, option } => proxy(of, *option, &missing, &grantee),
            _ => give(right, &grantee).into_iter().collect(),
        });
    }
    let granted = |role: &&AccountName| {
        source.rights.contains(&Right::Role { role: (*role).clone(), option: false })
    };
    // What has an effect, and is not refused.
    let default_roles: BTreeSet<_> = source.default_roles.iter().filter(granted).cloned().collect();
    let have = &target.default_roles;
    if source.default_roles != *have && default_roles != *have {
        let text = set_default_role(&default_roles, &grantee);
        difference.give.push(Step { text, needs: vec![Need::Tables] });
    }
    let clauses = source.settings.clauses_over(&target.settings);
    if !clauses.is_empty() {
        let text = format!("ALTER USER {grantee} {clauses}");
        difference.give.push(Step::of_users(text));
    }
    for right in &surplus {
        difference.take.extend(take(right, &surplus, &grantee));
    }
    difference
}

/// Static privileges: a statement for each object.
fn privileges(
    difference: &mut Difference,
    source: &Account,
    [missing, surplus]: [&Rights; 2],
    grantee: &str,
) {
    for (on, given) in by_object(missing) {
        let text = text::grant(&given, on, grantee);
        difference.give.push(Step::passing(text, rights(on, &given)));
    }
    let mut held = by_object(&source.rights);
    for (on, taken) in by_object(surplus) {
        let text = text::revoke(&taken, on, grantee);
        difference.take.push(Step::passing(text, rights(on, &taken)));
        // A privilege on a table takes with it what there is of it on columns.
        let whole = |name: &String| taken.get(name).is_some_and(|columns| columns.contains(&None));
        let mut lost = held.remove(on).unwrap_or_default();
        lost.retain(|name, columns| {
            columns.remove(&None);
            whole(name) && !columns.is_empty()
        });
        if !lost.is_empty() {
            let text = text::grant(&lost, on, grantee);
            difference.take.push(Step::passing(text, rights(on, &lost)));
        }
    }
}

fn by_object(rights: &Rights) -> BTreeMap<&Object, Privileges> {
    let mut objects: BTreeMap<&Object, Privileges> = BTreeMap::new();
    for right in rights {
        if let Right::Held { on, name, column } = right {
            let columns = objects.entry(on).or_default().entry(name.clone()).or_default();
            columns.insert(column.clone());
        }
    }
    objects
}

fn rights(on: &Object, privileges: &Privileges) -> Vec<Right> {
    let one = |(name, columns): (&String, &BTreeSet<Option<String>>)| {
        let right = |column: &Option<String>| Right::Held {
            on: on.clone(),
            name: name.clone(),
            column: column.clone(),
        };
        columns.iter().map(right).collect::<Vec<_>>()
    };
    privileges.iter().flat_map(one).collect()
}

/// What is no privilege on an object. With its option where that is missing: this gives both.
fn give(right: &Right, grantee: &str) -> Option<Step> {
    let (what, with) = match right {
        Right::Held { .. } => return None,
        Right::Proxy { of, option } => {
            (format!("PROXY ON {}", of.sql()), option.then_some("GRANT"))
        }
        Right::Role { role, option } => (role.sql(), option.then_some("ADMIN")),
    };
    let with = with.map(|with| format!(" WITH {with} OPTION")).unwrap_or_default();
    Some(Step::passing(format!("GRANT {what} TO {grantee}{with}"), [right.clone()]))
}

/// Lets an account act as another. That it may let others is kept twice, and only the first GRANT
/// sets both: a further one changes what is in force, until the server reads its tables again. Seen on
/// 10.11.19.
fn proxy(of: &AccountName, option: bool, missing: &Rights, grantee: &str) -> Vec<Step> {
    let right = |option| Right::Proxy { of: of.clone(), option };
    let give = give(&right(option), grantee);
    match (option, missing.contains(&right(!option))) {
        // With the option it gives both.
        (false, true) => Vec::new(),
        (true, false) => [revoke_proxy(of, grantee)].into_iter().chain(give).collect(),
        _ => give.into_iter().collect(),
    }
}

fn revoke_proxy(of: &AccountName, grantee: &str) -> Step {
    let right = Right::Proxy { of: of.clone(), option: false };
    Step::passing(format!("REVOKE PROXY ON {} FROM {grantee}", of.sql()), [right])
}

/// The statements that take away what is no privilege on an object.
fn take(right: &Right, surplus: &Rights, grantee: &str) -> Vec<Step> {
    // What is taken away whole takes its option along.
    let goes = |whole: &Right| surplus.contains(whole);
    let text = match right {
        Right::Held { .. } => return Vec::new(),
        Right::Proxy { of, option: true } => {
            let whole = Right::Proxy { of: of.clone(), option: false };
            if goes(&whole) {
                return Vec::new();
            }
            return [revoke_proxy(of, grantee)].into_iter().chain(give(&whole, grantee)).collect();
        }
        Right::Proxy { of, option: false } => return vec![revoke_proxy(of, grantee)],
        Right::Role { role, option: true } => {
            if goes(&Right::Role { role: role.clone(), option: false }) {
                return Vec::new();
            }
            format!("REVOKE ADMIN OPTION FOR {} FROM {grantee}", role.sql())
        }
        Right::Role { role, option: false } => format!("REVOKE {} FROM {grantee}", role.sql()),
    };
    vec![Step::passing(text, [right.clone()])]
}

fn everywhere(name: &str) -> Right {
    Right::Held { on: Object::Server, name: name.to_owned(), column: None }
}

fn set_default_role(roles: &BTreeSet<AccountName>, grantee: &str) -> String {
    let roles: Vec<_> = roles.iter().map(AccountName::sql).collect();
    let roles = if roles.is_empty() { "NONE".to_owned() } else { roles.join(", ") };
    format!("SET DEFAULT ROLE {roles} FOR {grantee}")
}
