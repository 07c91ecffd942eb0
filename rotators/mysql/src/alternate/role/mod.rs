//! Pairs on MySQL, whose second user has the first one as its role.
//!
//! For each host of the first, its account is granted to the second's and is its default role. So the
//! second may do what the first may, from then on and without more being done, and nothing is read or
//! copied of what that is. What belongs to a login and not to an identity (REQUIRE, limits, terms of
//! passwords, locks) is made the same whenever the second's turn comes.
//!
//! Sources: MySQL 9.7 reference manual, section 8.2.10, "Using Roles"; what it leaves open was tried on
//! 8.0.28 and 9.7.4.

pub(crate) mod carry;
pub(crate) mod compose;
pub(crate) mod held;
pub(crate) mod power;
pub(crate) mod whose;

use std::collections::BTreeMap;

use fourstep::users::{Accounts, Install, Ownership};
use fourstep::{Error, ErrorKind, Invocation, Result};

use crate::alternate::compose::{Composed, locked};
use crate::alternate::own::Own;
use crate::alternate::quoting::{AccountName, name, quote_literal, quote_literals};
use crate::alternate::read::{settings_of, table};
use crate::session::Session;

use compose::{Role, Users};

/// Whoever has one of these may grant every user as a role.
const ANY_ROLE: [&str; 2] = ["ROLE_ADMIN", "SUPER"];

/// What has to be done, and what speaks against it.
pub(crate) async fn compose(
    session: &mut Session,
    own: &Own,
    install: &Install<'_>,
    accounts: &Accounts,
    ownership: Ownership,
    cx: &Invocation,
) -> Result<Composed> {
    let Install { source, target, .. } = *install;
    if source == target {
        let mut composed = compose::password(target, &settings_of(session, target, cx).await?)?;
        composed.objections.extend(composed.found.finish.is_empty().then(|| locked(target)));
        return Ok(composed);
    }
    let first = install.pair.first(accounts, source, target);
    let second = if first == source { target } else { source };
    let users = read(session, [first, second], cx).await?;
    let mut composed = users.compose(install, ownership)?;
    composed.objections.extend(composed.found.finish.is_empty().then(|| locked(first)));
    carry::add(session, own, install, &users, &mut composed, cx).await?;
    composed.objections.extend(unusable(session, first, cx).await?);
    composed.warnings.extend(proxies(session, [first, second], cx).await?);
    composed.warnings.extend(chosen(session, [first, second], cx).await?);
    let acted = accounts.get(source).and_then(|account| account.claim.as_ref());
    let is_gone = !accounts.contains_key(target) && acted.is_some_and(|one| one.partner == target);
    composed.warnings.extend(is_gone.then(|| gone(source, target)));
    composed.missing.extend(lacks(session, own, &[first], cx).await?);
    Ok(composed)
}

async fn read<'a>(
    session: &mut Session,
    [first, second]: [&'a str; 2],
    cx: &Invocation,
) -> Result<Users<'a>> {
    let settings =
        [settings_of(session, first, cx).await?, settings_of(session, second, cx).await?];
    let query = format!(
        "SELECT TO_HOST, FROM_USER, FROM_HOST, EXISTS (SELECT 1 FROM mysql.default_roles \
         WHERE USER = TO_USER AND HOST = TO_HOST AND DEFAULT_ROLE_USER = FROM_USER \
         AND DEFAULT_ROLE_HOST = FROM_HOST) FROM mysql.role_edges WHERE TO_USER = {}",
        quote_literal(second)
    );
    let mut roles: BTreeMap<String, Vec<Role>> = BTreeMap::new();
    for [to, user, host, default] in table(session, &query, cx).await? {
        let name = AccountName { user, host: Some(host) };
        roles.entry(to).or_default().push(Role { name, default: default == "1" });
    }
    Ok(Users { first, second, settings, roles })
}

/// The statements that give the admin what it lacks to make pairs of these users.
pub(crate) async fn lacks(
    session: &mut Session,
    own: &Own,
    usernames: &[&str],
    cx: &Invocation,
) -> Result<Vec<String>> {
    let mut lacks: Vec<_> = own.lacks("CREATE USER").into_iter().collect();
    if !own.has_any(&ANY_ROLE) && !may_grant(session, usernames, cx).await? {
        lacks.push(lacks_roles(own));
    }
    Ok(lacks)
}

fn lacks_roles(own: &Own) -> String {
    format!("GRANT ROLE_ADMIN ON *.* TO {}", own.account)
}

/// Whether the admin has every account of one of these users WITH ADMIN OPTION. Which of them will be
/// the role may not be known yet.
async fn may_grant(session: &mut Session, usernames: &[&str], cx: &Invocation) -> Result<bool> {
    let query = format!(
        "SELECT User, MIN(COALESCE(WITH_ADMIN_OPTION, 'N')) FROM mysql.user \
         LEFT JOIN mysql.role_edges ON FROM_USER = User AND FROM_HOST = Host \
         AND CONCAT(TO_USER, '@', TO_HOST) = CURRENT_USER() \
         WHERE User IN ({}) GROUP BY User",
        quote_literals(usernames)
    );
    let found = table(session, &query, cx).await?;
    Ok(found.iter().any(|[_, option]| option == "Y"))
}

/// From this version on a role's rights on a schema let its users USE that schema, whatever way its
/// name is written. On 8.0.28 they do so only where the name stands there as it is; 9.7.4 is right.
/// What lies between was not tried, and no release note was found.
const PATTERNS_OF_ROLES: [u32; 3] = [9, 0, 0];

/// The refusal of a first user with rights on a schema that the second could not USE.
async fn unusable(session: &mut Session, first: &str, cx: &Invocation) -> Result<Option<Error>> {
    if session.server.version() >= PATTERNS_OF_ROLES {
        return Ok(None);
    }
    let query = format!(
        "{}\nSELECT DISTINCT Db FROM reach JOIN mysql.db USING (User, Host) \
         WHERE INSTR(Db, CHAR(92)) > 0 ORDER BY Db",
        power::reach("''", &format!("User = {}", quote_literal(first)))
    );
    let found = table(session, &query, cx).await?;
    // A pattern that fits several is on the page: there is no name to grant instead.
    let escaped = found.iter().find(|[schema]| held::literal(schema).is_some());
    let Some([schema]) = escaped else { return Ok(None) };
    let what = format!(
        "user {first:?} has rights on the schema {}, whose name has a backslash there",
        name(schema)
    );
    Ok(Some(Error::new(ErrorKind::Unsupported, what).caused_by(
        "on this version whoever has them by a role may not USE such a schema; grant them on each \
         schema by its plain name as well and revoke these, or upgrade the server; nothing was changed",
    )))
}

/// What is said of two users of whom one may act as others (PROXY) and the other may not: a role
/// does not pass that on, and to give it takes more of an admin than anything else here.
async fn proxies(
    session: &mut Session,
    [first, second]: [&str; 2],
    cx: &Invocation,
) -> Result<Option<String>> {
    let query = format!(
        "SELECT User, Host, Proxied_user, Proxied_host, With_grant FROM mysql.proxies_priv \
         WHERE User IN ({})",
        quote_literals(&[first, second])
    );
    let all: Vec<[String; 5]> = table(session, &query, cx).await?;
    let of = |user: &str| {
        let mut own: Vec<_> =
            all.iter().filter(|row| row[0] == user).map(|row| &row[1..]).collect();
        own.sort_unstable();
        own
    };
    Ok((of(first) != of(second)).then(|| {
        format!(
            "user {second:?} may not act as the same others (PROXY) as user {first:?}: a role does \
             not pass that on, and it is left as it is"
        )
    }))
}

/// What is said of roles of the first that are none of its default roles: its sessions choose them.
/// Tried on 8.0.28 and 9.7.4.
async fn chosen(
    session: &mut Session,
    [first, second]: [&str; 2],
    cx: &Invocation,
) -> Result<Option<String>> {
    let query = format!(
        "SELECT DISTINCT FROM_USER, FROM_HOST FROM mysql.role_edges LEFT JOIN mysql.default_roles \
         ON USER = TO_USER AND HOST = TO_HOST AND DEFAULT_ROLE_USER = FROM_USER \
         AND DEFAULT_ROLE_HOST = FROM_HOST WHERE TO_USER = {} AND DEFAULT_ROLE_USER IS NULL \
         AND NOT @@GLOBAL.activate_all_roles_on_login ORDER BY FROM_USER, FROM_HOST LIMIT 1",
        quote_literal(first)
    );
    let found = table(session, &query, cx).await?.pop();
    Ok(found.map(|[role, host]| {
        format!(
            "user {first:?} has roles that are not its default roles, as {}: sessions of user \
             {second:?} have them in force all the time, and are refused where they say SET ROLE",
            AccountName::new(&role, &host).sql()
        )
    }))
}

/// What is said where the first user was dropped, and so the second's role and rights with it.
fn gone(second: &str, first: &str) -> String {
    format!(
        "user {first:?} is gone, as which user {second:?} acted, and so are the rights of both: {second:?} \
         is the first of the two from now on, and {first:?} is made again as its second; if that is not \
         meant, create {first:?} by hand before, with its rights, and list it in ADOPT_USERS for one \
         rotation"
    )
}

/// Whether `user` is the first of a pair: it is the role of `other`.
pub(crate) async fn is_first(
    session: &mut Session,
    [user, other]: [&str; 2],
    cx: &Invocation,
) -> Result<bool> {
    let query = format!(
        "SELECT FROM_HOST FROM mysql.role_edges WHERE FROM_USER = {} AND TO_USER = {}",
        quote_literal(user),
        quote_literal(other)
    );
    Ok(!table::<1>(session, &query, cx).await?.is_empty())
}

/// What keeps the session's user from acting as `first`: the statement that lets its next session, or
/// who takes the role from it.
///
/// # Errors
/// Whatever kept the server from answering.
pub(crate) async fn difference(
    session: &mut Session,
    first: &str,
    cx: &Invocation,
) -> Result<Option<String>> {
    let [roles] = session.ask("a look at the roles in force", "SELECT CURRENT_ROLE()", cx).await?;
    let host = session.server.host().to_owned();
    let role = format!("{}@{}", name(first), name(&host));
    // A name cannot hold what stands between two: its own backtick would be doubled.
    let acts = |roles: Option<String>| {
        roles.is_some_and(|roles| format!(",{roles},").contains(&format!(",{role},")))
    };
    if acts(roles) {
        return Ok(None);
    }
    let what = "the default roles";
    let set = session.run(what, "SET ROLE DEFAULT", cx).await;
    set.map_err(|failure| failure.of(what))?;
    let [roles] = session.ask(what, "SELECT CURRENT_ROLE()", cx).await?;
    let [second, first] = [session.server.user(), first].map(|user| AccountName::new(user, &host));
    Ok(Some(match acts(roles) {
        true => format!(
            "{} has its role, which init_connect of the server takes from its sessions",
            second.sql()
        ),
        false => format!("ALTER USER {} DEFAULT ROLE {}", second.sql(), first.sql()),
    }))
}
