//! What the second user of a pair has of its own: it was made by copying, by AWS's template or by
//! hand.
//!
//! Once it acts as the first it needs none of that. Whatever the first has not is a reason to stop,
//! unless the function's configuration lets it be taken. The rest is taken when no session of it is
//! open: one from before the role was its default has no role in force, and would be left with
//! nothing.

use std::collections::BTreeSet;

use fourstep::users::Install;
use fourstep::users::driver::listed;
use fourstep::{Invocation, Result};

use crate::alternate::compose::{Composed, Step};
use crate::alternate::own::Own;
use crate::alternate::quoting::quote_literal;
use crate::alternate::read::{open_sessions, table};
use crate::alternate::role::compose::Users;
use crate::alternate::role::held::{self, PRIVILEGES, Together};
use crate::alternate::role::{ANY_ROLE, lacks_roles};
use crate::session::Session;

/// How many of the rights that are in the way are named.
const EXAMPLES: usize = 3;

/// Adds what is to be done about what the second user has of its own, and said about it.
pub(crate) async fn add(
    session: &mut Session,
    own: &Own,
    install: &Install<'_>,
    users: &Users<'_>,
    composed: &mut Composed,
    cx: &Invocation,
) -> Result<()> {
    let [_, second] = &users.settings;
    let hosts = match second.is_empty() {
        true => BTreeSet::new(),
        false => hosts_with_rights(session, users.second, cx).await?,
    };
    let with_roles = second.keys().filter(|host| users.beside(host).next().is_some());
    let concerned: BTreeSet<&String> = hosts.iter().chain(with_roles).collect();
    if concerned.is_empty() {
        return Ok(());
    }
    let mut extra = Vec::new();
    for host in &concerned {
        extra.extend(beside(session, users, host, cx).await?);
    }
    if !extra.is_empty() {
        let may = install.pair.may_drop(
            users.first,
            users.second,
            &listed(extra.iter().map(String::as_str), EXAMPLES, ", "),
        );
        composed.objections.extend(may.err());
    }
    if install.target != users.second {
        return Ok(());
    }
    match own.lacks("PROCESS") {
        Some(statement) => drop(composed.warnings.insert(format!(
            "user {:?} keeps rights of its own beside those of {:?}: whether sessions need them the \
             admin does not see; have this run: {statement}",
            users.second, users.first
        ))),
        None => {
            if !matches!(open_sessions(session, users.second, cx).await, Ok(0)) {
                composed.warnings.insert(kept(users.second));
            }
            let steps = concerned.iter().flat_map(|host| take(users, host, hosts.contains(*host)));
            composed.found.steps.extend(steps);
        }
    }
    let roles = concerned.iter().any(|host| users.beside(host).next().is_some());
    if roles && !own.has_any(&ANY_ROLE) {
        composed.missing.insert(lacks_roles(own));
    }
    Ok(())
}

/// What is said where the rights are left for another rotation.
pub(crate) fn kept(user: &str) -> String {
    format!(
        "user {user:?} has open sessions, which may need the rights of its own that it had before it \
         acted as the other one; a rotation that finds none open takes them"
    )
}

/// The hosts of the user's accounts that have rights of their own, beside roles. Where none has, no
/// right is read.
async fn hosts_with_rights(
    session: &mut Session,
    user: &str,
    cx: &Invocation,
) -> Result<BTreeSet<String>> {
    let user = quote_literal(user);
    let columns: Vec<_> = PRIVILEGES.iter().map(|column| format!("{column}_priv")).collect();
    let more = ["db", "tables_priv", "columns_priv", "global_grants"];
    let more =
        more.map(|table| format!(" UNION SELECT Host FROM mysql.{table} WHERE User = {user}"));
    // Who makes a routine is given what is needed to call and to drop it, by the server itself
    // (automatic_sp_privileges): that is not copied, and nobody else has it to lose.
    let query = format!(
        "SELECT Host FROM mysql.user WHERE User = {user} AND 'Y' IN ({}){} \
         UNION SELECT Host FROM mysql.procs_priv WHERE User = {user} \
         AND LEFT(Grantor, CHAR_LENGTH(User) + 1) <> CONCAT(User, '@')",
        columns.join(", "),
        more.concat()
    );
    Ok(table(session, &query, cx).await?.into_iter().map(|[host]| host).collect())
}

/// What the second user's account for a host may do that the first user's may not.
async fn beside(
    session: &mut Session,
    users: &Users<'_>,
    host: &str,
    cx: &Invocation,
) -> Result<Vec<String>> {
    let [first, second] = users.names(host);
    let reached = held::read(session, &first, true, cx).await?;
    let together = Together::of(reached.values());
    let own = held::read(session, &second, false, cx).await?;
    let rights = own.get(&second).into_iter().flat_map(|held| together.lack(held));
    let roles = users.beside(host).filter(|role| !reached.contains_key(*role));
    let roles = roles.map(|role| format!("role {}", role.sql()));
    Ok(rights.map(held::shown).chain(roles).collect())
}

/// Takes what an account has of its own. REVOKE ALL leaves its roles, and takes CREATE USER alone.
fn take(users: &Users<'_>, host: &str, rights: bool) -> Vec<Step> {
    let [_, name] = users.names(host);
    let roles: Vec<_> = users.beside(host).map(|role| role.sql()).collect();
    let all = format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {}", name.sql());
    let some = format!("REVOKE {} FROM {}", roles.join(", "), name.sql());
    let quote_literals = [rights.then_some(all), (!roles.is_empty()).then_some(some)];
    quote_literals
        .into_iter()
        .flatten()
        .map(|text| Step { waits: true, ..Step::new(text) })
        .collect()
}
