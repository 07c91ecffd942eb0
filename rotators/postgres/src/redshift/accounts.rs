//! What Amazon Redshift knows of users: their marks, their roles, and which of them are more than an
//! application's.
//!
//! A role or a user has no comment there. A mark is a group without rights, in which the marked user is:
//! its name holds the partner and a digest of the secret's ARN. Only a superuser makes, changes or drops a
//! group (Database Developer Guide, "Groups").

use std::collections::{BTreeMap, BTreeSet};

use fourstep::users::driver::never_changed;
use fourstep::users::{Account, Accounts, Mark};
use fourstep::{Error, ErrorKind, Invocation, Result, hex};
use ring::digest;

use super::check_name;
use crate::session::Session;
use crate::sql::quote;

/// What the names of all marks begin with.
const MARK: &str = "fourstep:";

/// The group of users that were made and do not have everything yet.
pub(crate) const UNFINISHED: &str = "fourstep:unfinished";

/// Roles with which a user is as good as an admin. Source: Database Developer Guide, "Amazon Redshift
/// system-defined roles".
const POWERFUL: [&str; 3] = ["sys:superuser", "sys:dba", "sys:secadmin"];

/// System permissions with which it is too, by whatever role: those of `sys:secadmin` that make and change others.
/// Source: the same, and "System permissions for RBAC".
const CHANGES_OTHERS: [&str; 6] =
    ["CREATE USER", "ALTER USER", "DROP USER", "CREATE ROLE", "DROP ROLE", "GRANT ROLE"];

/// Whether a group is a mark, and so nothing that the other user of a pair should be in.
pub(crate) fn is_mark(group: &str) -> bool {
    group.starts_with(MARK)
}

/// What the names of this secret's marks begin with.
fn of_secret(arn: &str) -> String {
    let digest = digest::digest(&digest::SHA256, arn.as_bytes());
    // 96 bits: names are kept short, and who could look for another ARN of the same digest is the admin.
    let digits: String = hex(digest.as_ref()).chars().take(24).collect();
    format!("{MARK}{digits}:")
}

/// The group that is this mark.
pub(crate) fn group(mark: &Mark) -> String {
    of_secret(&mark.secret) + &mark.partner
}

/// The partner in the name of a secret's mark, whichever that secret is.
fn partner(group: &str) -> Option<&str> {
    let (digits, partner) = group.strip_prefix(MARK)?.split_once(':')?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(partner)
}

/// The mark of a user that is in these groups. One of several is no one's to take.
fn read_mark<'a>(groups: impl Iterator<Item = &'a str>, secret: &str) -> Option<Mark> {
    let marks: Vec<_> = groups.filter(|name| is_mark(name) && *name != UNFINISHED).collect();
    match marks[..] {
        [] => None,
        [one] if one.starts_with(&of_secret(secret)) => Some(Mark {
            partner: one.strip_prefix(&of_secret(secret)).unwrap_or_default().to_owned(),
            secret: secret.to_owned(),
        }),
        // Of several the partner is not told: each may be the pair's.
        _ => Some(Mark {
            partner: match marks[..] {
                [one] => partner(one).unwrap_or_default().to_owned(),
                _ => String::new(),
            },
            secret: format!("another secret (the group {:?})", marks.join(" and ")),
        }),
    }
}

/// A user as `pg_user` has it.
struct User {
    superuser: bool,
    itself: bool,
}

impl User {
    /// Why no admin ever changes it, where this is what its roles and permissions say.
    fn protected(&self, power: Option<&String>) -> Option<String> {
        match self {
            Self { itself: true, .. } => Some("it is the admin itself".to_owned()),
            Self { superuser: true, .. } => Some("it is a superuser".to_owned()),
            _ => power.cloned(),
        }
    }
}

/// Why a user of these roles is as good as an admin. The permissions are each that of a user or a role: Redshift
/// has no role of a user's name.
fn power(user: &str, roles: &BTreeSet<String>, permissions: &[(String, String)]) -> Option<String> {
    if let Some(role) = POWERFUL.iter().find(|role| roles.contains(**role)) {
        return Some(format!("it has the role {role}"));
    }
    let own = |(name, _): &&(String, String)| name == user || roles.contains(name);
    let (name, permission) = permissions.iter().find(own)?;
    Some(format!("it has the permission {permission}, which was given to {name:?}"))
}

fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(quote).collect::<Vec<_>>().join(", ")
}

/// These users, and whether the session's own is a superuser.
async fn users(
    session: &mut Session,
    names: &[&str],
    cx: &Invocation,
) -> Result<(BTreeMap<String, User>, bool)> {
    let query = format!(
        "SELECT usename::text, usesuper, usename = session_user FROM pg_catalog.pg_user \
         WHERE usename IN ({}) OR usename = session_user",
        list(names.iter().copied())
    );
    let rows: Vec<(String, bool, bool)> = session.rows("a look at the users", query, cx).await?;
    let is_super = rows.iter().any(|(_, superuser, itself)| *itself && *superuser);
    let wanted = rows.into_iter().filter(|(name, ..)| names.contains(&name.as_str()));
    let users = wanted.map(|(name, superuser, itself)| (name, User { superuser, itself }));
    Ok((users.collect(), is_super))
}

fn no_superuser() -> Error {
    let what = "the admin is not a superuser, who alone sees which roles the user has; name one in the \
                admin's secret";
    Error::new(ErrorKind::Forbidden, what)
}

/// All that speaks against an admin's change of this user.
pub(crate) async fn objections(
    session: &mut Session,
    user: &str,
    cx: &Invocation,
) -> Result<Vec<Error>> {
    let (users, is_super) = users(session, &[user], cx).await?;
    let protected = |why: &str| vec![never_changed(format!("user {user:?}"), why)];
    let Some(found) = users.get(user) else {
        let what = format!("user {user:?} does not exist");
        return Ok(vec![
            Error::new(ErrorKind::NotFound, what).caused_by("create it, or correct the name"),
        ]);
    };
    if let Some(why) = found.protected(None) {
        return Ok(protected(&why));
    }
    if !is_super {
        return Ok(vec![no_superuser()]);
    }
    let powers = powers(session, &[user], cx).await?;
    Ok(found.protected(powers.get(user)).as_deref().map_or(Vec::new(), protected))
}

/// Which of these users are as good as an admin, and why.
async fn powers(
    session: &mut Session,
    users: &[&str],
    cx: &Invocation,
) -> Result<BTreeMap<String, String>> {
    let roles = roles(session, users, cx).await?;
    let query = format!(
        "SELECT identity_name::text, system_privilege::text FROM pg_catalog.svv_system_privileges \
         WHERE system_privilege IN ({})",
        list(CHANGES_OTHERS)
    );
    let permissions: Vec<(String, String)> =
        session.rows("a look at who may change users", query, cx).await?;
    let none = BTreeSet::new();
    let found = users.iter().filter_map(|user| {
        let why = power(user, roles.get(*user).unwrap_or(&none), &permissions)?;
        Some(((*user).to_owned(), why))
    });
    Ok(found.collect())
}

/// The roles of these users, those that come by other roles included.
async fn roles(
    session: &mut Session,
    users: &[&str],
    cx: &Invocation,
) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let query = format!(
        "SELECT user_name::text, role_name::text FROM pg_catalog.svv_user_grants WHERE user_name IN ({})",
        list(users.iter().copied())
    );
    let what = "a look at the users' roles";
    let held: Vec<(String, String)> = session.rows(what, query, cx).await?;
    let mut all = BTreeMap::<_, BTreeSet<_>>::new();
    for (user, role) in held {
        all.entry(user).or_default().insert(role);
    }
    if all.is_empty() {
        return Ok(all);
    }
    let query = "SELECT role_name::text, granted_role_name::text FROM pg_catalog.svv_role_grants";
    let grants: Vec<(String, String)> = session.rows(what, query, cx).await?;
    for roles in all.values_mut() {
        loop {
            let given = grants.iter().filter(|(to, _)| roles.contains(to));
            let more: Vec<_> = given.map(|(_, role)| role.clone()).collect();
            let before = roles.len();
            roles.extend(more);
            if roles.len() == before {
                break;
            }
        }
    }
    Ok(all)
}

/// These users, and every user whose mark names the secret.
pub(crate) async fn accounts(
    session: &mut Session,
    usernames: &[&str],
    secret: &str,
    cx: &Invocation,
) -> Result<Accounts> {
    usernames.iter().try_for_each(|name| check_name(name))?;
    let query = format!(
        "SELECT u.usename::text, g.groname::text FROM pg_catalog.pg_group AS g \
         JOIN pg_catalog.pg_user AS u ON u.usesysid = ANY (g.grolist) \
         WHERE u.usename IN ({}) OR g.groname LIKE {}",
        list(usernames.iter().copied()),
        quote(&format!("{}%", of_secret(secret)))
    );
    let groups: Vec<(String, String)> = session.rows("a look at the groups", query, cx).await?;
    let mut names: BTreeSet<&str> = usernames.iter().copied().collect();
    names.extend(groups.iter().map(|(user, _)| user.as_str()));
    let names: Vec<_> = names.into_iter().collect();
    let (users, is_super) = users(session, &names, cx).await?;
    if !is_super {
        return Err(no_superuser());
    }
    let powers = powers(session, &names, cx).await?;
    let query = format!(
        "SELECT user_name::text FROM pg_catalog.svv_user_info \
         WHERE external_user_id <> '' AND user_name IN ({})",
        list(names)
    );
    let external: Vec<(String,)> = session.rows("a look at whom others let in", query, cx).await?;
    let account = |(name, user): (String, User)| {
        let own = || groups.iter().filter(|(one, _)| *one == name).map(|(_, group)| group.as_str());
        let account = Account {
            mark: read_mark(own(), secret),
            protected: user.protected(powers.get(&name)),
            other_login: external.iter().any(|(one,)| *one == name).then(|| {
                "an identity provider lets it in (EXTERNALID); stop rotating it".to_owned()
            }),
            usable: !own().any(|group| group == UNFINISHED),
            ..Account::default()
        };
        (name, account)
    };
    Ok(users.into_iter().map(account).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_changes_others_by_itself_or_by_any_role_is_as_good_as_an_admin() {
        let given = [("helpdesk".to_owned(), "ALTER USER".to_owned())];
        let why = |user, roles: &[&str]| {
            power(user, &roles.iter().map(|role| (*role).to_owned()).collect(), &given)
        };
        assert_eq!(why("app", &["team", "sys:operator"]), None);
        assert!(why("app", &["team", "sys:dba"]).unwrap().contains("the role sys:dba"));
        for (user, roles) in [("app", &["team", "helpdesk"][..]), ("helpdesk", &[])] {
            assert!(why(user, roles).unwrap().contains("ALTER USER"), "{user}");
        }
    }

    #[test]
    fn a_mark_is_read_back_and_another_secrets_or_a_second_one_is_never_ours() {
        let mark = Mark { partner: "app:é\"".to_owned(), secret: "arn:one".to_owned() };
        let (ours, other) =
            (group(&mark), group(&Mark { secret: "arn:two".into(), ..mark.clone() }));
        let read = |groups: &[&str]| read_mark(groups.iter().copied(), "arn:one");
        assert_eq!(read(&["team", &ours, UNFINISHED]), Some(mark.clone()));
        assert_eq!(read(&["team", UNFINISHED]), None);
        for groups in [&[other.as_str()][..], &[&ours, &other], &[&ours, "fourstep:x"]] {
            assert_ne!(read(groups).unwrap().secret, mark.secret, "{groups:?}");
        }
        // Another secret's tells whose other half the user is; several do not.
        assert_eq!(read(&[&other]).unwrap().partner, mark.partner);
        for groups in [&[ours.as_str(), &other][..], &["fourstep:x"], &["fourstep:x:app"]] {
            assert_eq!(read(groups).unwrap().partner, "", "{groups:?}");
        }
    }
}
