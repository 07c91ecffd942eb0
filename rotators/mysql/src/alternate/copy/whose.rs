//! Whose users are on MariaDB.
//!
//! It keeps no attributes of users. A role without rights stands for a mark: its name is a hash of the
//! user, its partner and the secret. It is made before the user is, and whoever drops the user must drop
//! it too.
//!
//! Who can make such a role, as tried on MariaDB 10.11: whoever has CREATE USER, and whoever has INSERT on
//! the server's own tables, which INSERT on *.* gives to many an application. The server notes who made a
//! role, gives that account ADMIN OPTION on it, and lets nobody without SUPER or SET USER name another. So
//! a mark counts where the admin itself has ADMIN OPTION on the role. The server is asked for what it goes
//! by, and not for its table, into which INSERT writes too. Any other is a claim. A role that the admin made
//! and that is none of this secret's is another's mark, by the user in its name.

use std::collections::{BTreeMap, BTreeSet};

use fourstep::users::{Account, Accounts, Mark};
use fourstep::{Invocation, Result};

use crate::alternate::accounts::powerful;
use crate::alternate::copy::read::rights_of;
use crate::alternate::copy::rights::{Object, Right, Rights};
use crate::alternate::quoting::AccountName;
use crate::alternate::read::look;
use crate::session::Session;
use crate::wire::account_key;

/// What the name of a marker role begins with.
const ROLE: &str = "fourstep:";

/// So many characters of the user are in it.
const NAMED: usize = 40;

/// With any of these on the whole server a user is as good as an admin: it makes users, or acts as
/// others. INSERT and UPDATE there are not among them, although they reach the server's own tables:
/// many an application has them. (MariaDB documentation, "GRANT".)
const POWERFUL: [&str; 4] = ["ALL PRIVILEGES", "SUPER", "CREATE USER", "SET USER"];

/// One account, as far as it matters whose it is.
struct Row {
    name: AccountName,
    locked: bool,
    /// Whether others may be granted it.
    role: bool,
    mark: Option<Mark>,
    /// A mark that somebody else than the admin made.
    claim: Option<Mark>,
}

/// The name of the role that marks `user` on MariaDB. Of the user's own name it holds the beginning,
/// for whoever looks at it.
pub(crate) fn marker_role(user: &str, mark: &Mark) -> String {
    let key = account_key(&serde_json::json!([user, mark.partner, mark.secret]).to_string());
    let name: String = user.chars().take(NAMED).collect();
    format!("{ROLE}{key}:{name}")
}

/// The user that a marker role names, where it names a whole one.
fn marked_by(role: &str) -> Option<&str> {
    let (key, user) = role.strip_prefix(ROLE)?.split_once(':')?;
    let whole = user.chars().count() < NAMED;
    (whole && key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(user)
}

/// These users, and every user whose mark names the secret.
pub(crate) async fn read(
    session: &mut Session,
    usernames: &[&str],
    secret: &str,
    admin: &str,
    cx: &Invocation,
) -> Result<Accounts> {
    let mut users: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in rows(session, usernames, secret, cx).await? {
        users.entry(row.name.user.clone()).or_default().push(row);
    }
    let mut accounts = Accounts::new();
    for (user, rows) in users {
        // The secret names a user and not its hosts: each account has the user's mark.
        let first = rows.first();
        let mark = first.and_then(|row| row.mark.clone());
        let claim = first.and_then(|row| row.claim.clone());
        if mark.is_none() && claim.is_none() && !usernames.contains(&user.as_str()) {
            continue;
        }
        let protected = match () {
            () if user == admin => Some("it is the admin itself".to_owned()),
            () if rows.iter().any(|row| row.role) => Some("it is a role".to_owned()),
            () => {
                let names = rows.iter().map(|row| row.name.clone()).collect();
                power(session, names, cx).await?
            }
        };
        let usable = rows.iter().any(|row| !row.locked);
        accounts.insert(user, Account { mark, claim, protected, usable, ..Account::default() });
    }
    Ok(accounts)
}

async fn rows(
    session: &mut Session,
    usernames: &[&str],
    secret: &str,
    cx: &Invocation,
) -> Result<Vec<Row>> {
    let is_true = |cell: &Option<String>| matches!(cell.as_deref(), Some("1" | "true"));
    let query = "SELECT User, Host, JSON_VALUE(Priv, '$.account_locked'), \
                 JSON_VALUE(Priv, '$.is_role') FROM mysql.global_priv";
    let row = |row: Vec<Option<String>>| {
        let [user, host, locked, role] = row.try_into().ok()?;
        let role = is_true(&role);
        let name = AccountName { user: user?, host: host.filter(|_| !role) };
        Some(Row { name, locked: is_true(&locked), role, mark: None, claim: None })
    };
    let mut rows: Vec<_> = look(session, query, cx).await?.into_iter().filter_map(row).collect();
    let made = made_by_admin(session, cx).await?;
    mark_by_roles(&mut rows, &made, usernames, secret);
    Ok(rows)
}

/// The marker roles on which the admin has ADMIN OPTION.
async fn made_by_admin(session: &mut Session, cx: &Invocation) -> Result<BTreeSet<String>> {
    let query = format!(
        "SELECT ROLE_NAME FROM information_schema.APPLICABLE_ROLES \
         WHERE IS_GRANTABLE = 'YES' AND LEFT(ROLE_NAME, {}) = '{ROLE}'",
        ROLE.len()
    );
    Ok(look(session, &query, cx).await?.into_iter().flatten().flatten().collect())
}

/// Finds the marks that roles stand for: of each user, whether a role is named after it and a
/// partner. One of the two is a user that was asked about. Those that were not `made` by the admin are
/// claims. What is `made` by the admin and none of these is another secret's mark of a user that was asked
/// about, whose partner is not told.
fn mark_by_roles(rows: &mut [Row], made: &BTreeSet<String>, usernames: &[&str], secret: &str) {
    let marks = |row: &&Row| row.role && row.name.user.starts_with(ROLE);
    let roles: BTreeSet<String> =
        rows.iter().filter(marks).map(|row| row.name.user.clone()).collect();
    if roles.is_empty() {
        return;
    }
    let there = rows.iter().filter(|row| !row.role).map(|row| row.name.user.clone());
    let all: BTreeSet<String> =
        there.chain(usernames.iter().map(|&name| name.to_owned())).collect();
    let asked: BTreeSet<String> = usernames.iter().map(|&name| name.to_owned()).collect();
    let mut known = BTreeSet::new();
    for row in rows.iter_mut().filter(|row| !row.role) {
        let user = row.name.user.as_str();
        let partners = if asked.contains(user) { &all } else { &asked };
        let marks = partners.iter().filter(|partner| partner.as_str() != user).map(|partner| {
            let mark = Mark { partner: partner.clone(), secret: secret.to_owned() };
            (marker_role(user, &mark), mark)
        });
        let there: Vec<_> = marks.filter(|(role, _)| roles.contains(role)).collect();
        known.extend(there.iter().map(|(role, _)| role.clone()));
        let (ours, others): (Vec<_>, Vec<_>) =
            there.into_iter().partition(|(role, _)| made.contains(role));
        let first = |marks: Vec<(_, Mark)>| marks.into_iter().next().map(|(_, mark)| mark);
        (row.mark, row.claim) = (first(ours), first(others));
    }
    let unknown: Vec<_> = roles.intersection(made).filter(|role| !known.contains(*role)).collect();
    for row in rows.iter_mut().filter(|row| !row.role && row.mark.is_none()) {
        let user = row.name.user.as_str();
        let role = unknown.iter().find(|role| marked_by(role) == Some(user));
        row.mark = role.filter(|_| asked.contains(user)).map(|role| Mark {
            partner: String::new(),
            secret: format!("another secret (the role {role:?})"),
        });
    }
}

/// What makes accounts more than an application's, by their own rights and those of their roles.
pub(crate) async fn power(
    session: &mut Session,
    mut open: Vec<AccountName>,
    cx: &Invocation,
) -> Result<Option<String>> {
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let rights = rights_of(session, &name, cx).await?;
        if let Some(privilege) = power_of(&rights) {
            return Ok(Some(powerful(&privilege)));
        }
        open.extend(rights.into_iter().filter_map(|right| match right {
            Right::Role { role, .. } => Some(role),
            _ => None,
        }));
    }
    Ok(None)
}

fn power_of(rights: &Rights) -> Option<String> {
    rights.iter().find_map(|right| match right {
        Right::Held { on: Object::Server, name, .. } => {
            POWERFUL.contains(&name.as_str()).then(|| name.clone())
        }
        Right::Held { on, name, .. } => {
            let writes = ["INSERT", "UPDATE", "DELETE"].contains(&name.as_str());
            let users = on.schema() == Some("mysql") || on.covers(&Object::Schema("mysql".into()));
            (writes && users).then(|| format!("{name} on {}", on.sql()))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alternate::copy::rights;

    const SECRET: &str = "arn:this";

    fn role_of(user: &str, secret: &str) -> String {
        marker_role(user, &Mark { partner: "app".to_owned(), secret: secret.to_owned() })
    }

    /// The marks and claims of these users, by the roles there are and those that the admin made.
    fn marks(
        users: &[&str],
        roles: &[String],
        made: &[String],
    ) -> Vec<(Option<Mark>, Option<Mark>)> {
        let row = |name: &str, role: bool| Row {
            name: AccountName { user: name.to_owned(), host: (!role).then(|| "%".to_owned()) },
            locked: false,
            role,
            mark: None,
            claim: None,
        };
        let users_there = users.iter().map(|user| row(user, false));
        let mut rows: Vec<_> =
            users_there.chain(roles.iter().map(|role| row(role, true))).collect();
        mark_by_roles(&mut rows, &made.iter().cloned().collect(), users, SECRET);
        rows.into_iter().take(users.len()).map(|row| (row.mark, row.claim)).collect()
    }

    /// The other secret's pair would be adopted through its second user, where that stays listed.
    #[test]
    fn rule_07_a_role_of_another_secret_marks_its_user_and_one_of_this_secret_comes_first() {
        let users = ["app", "app_clone"];
        let (ours, others) = (role_of("app_clone", SECRET), role_of("app_clone", "arn:another"));
        let foreign = std::slice::from_ref(&others);
        let found = marks(&users, foreign, foreign);
        let mark = found[1].0.as_ref().unwrap();
        assert!(mark.partner.is_empty() && mark.secret.contains(&others), "{mark:?}");
        assert_eq!(found[0], (None, None));
        // One that somebody else made proves nothing.
        assert_eq!(marks(&users, foreign, &[])[1], (None, None));
        let both = [ours.clone(), others];
        let expected = Mark { partner: "app".to_owned(), secret: SECRET.to_owned() };
        assert_eq!(marks(&users, &both, &both)[1], (Some(expected), None));
        // Nor does what only looks like one, or may be of a user whose name begins so.
        let long = "u".repeat(NAMED);
        for role in [format!("{ROLE}x:app_clone"), role_of(&format!("{long}_clone"), "arn:another")]
        {
            let role = [role];
            let found = marks(&["app", "app_clone", &long], &role, &role);
            assert!(found.iter().all(|one| *one == (None, None)), "{found:?}");
        }
    }

    #[test]
    fn who_is_as_good_as_an_admin_is_so_beside_any_other_right() {
        for (line, power) in [
            ("GRANT SELECT, READ_ONLY ADMIN ON *.* TO `a`@`%`", None),
            ("GRANT CREATE USER, READ_ONLY ADMIN ON *.* TO `a`@`%`", Some("CREATE USER")),
            ("GRANT READ_ONLY ADMIN, SUPER ON *.* TO `a`@`%` WITH GRANT OPTION", Some("SUPER")),
            ("GRANT INSERT ON `my%`.* TO `a`@`%`", Some("INSERT on `my%`.*")),
            ("GRANT INSERT ON `my\\_%`.* TO `a`@`%`", None),
        ] {
            let rights = rights::read([line]).unwrap();
            assert_eq!(power_of(&rights).as_deref(), power, "{line}");
        }
    }
}
