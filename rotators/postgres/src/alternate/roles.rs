//! The two roles themselves: what belongs to a login and not to an identity, and who is a member of
//! what.

use std::collections::{BTreeMap, BTreeSet};

use fourstep::{Invocation, Result};

use crate::admin::ADMIN_OPTION;
use crate::session::Session;
use crate::sql::{self, quote, quote_identifier};

use super::Names;

/// What was found of both.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    /// Whether the second exists.
    pub(crate) exists: bool,
    /// Whether the second is a member of the first, has its rights and may act as it.
    pub(crate) member: bool,
    /// The options of ALTER ROLE that give the second the first's connection limit and VALID UNTIL.
    pub(crate) login: String,
    /// Those that let it have the first's rights, before PostgreSQL 16.
    pub(crate) inherit: String,
    /// Those that take attributes which the first has not, and whether the admin may run them.
    pub(crate) surplus: String,
    pub(crate) surplus_within_reach: bool,
    /// Whether the first's time is over.
    pub(crate) expired: bool,
    /// Whether the second made others members of roles: DROP OWNED would take that from them, from
    /// PostgreSQL 16 on.
    pub(crate) gives: bool,
    pub(crate) memberships: Vec<Membership>,
    /// Roles of which the admin has not the rights, with the statements that make it a member and
    /// undo that. Those under no name let it have what it is a member of.
    stand_ins: BTreeMap<String, [String; 2]>,
}

/// A role other than the first of which the second is a member.
#[derive(Debug)]
pub(crate) struct Membership {
    /// The statement that takes it.
    pub(crate) revoke: String,
    pub(crate) within_reach: bool,
    /// Whether the first is a member as well.
    pub(crate) covered: bool,
}

/// A column of pg_auth_members `m` that there is from PostgreSQL 16 on.
fn option(name: &str) -> String {
    format!("COALESCE((to_jsonb(m) ->> '{name}')::bool, true)")
}

/// Reads both roles. `identities` are those that the pair acts as.
pub(crate) async fn read(
    session: &mut Session,
    names: &Names<'_>,
    identities: &[&str],
    cx: &Invocation,
) -> Result<Roles> {
    let old = session.version < ADMIN_OPTION;
    let query = format!(
        "SELECT s.oid IS NOT NULL, COALESCE((SELECT bool_or({}) AND bool_or({}) \
         FROM pg_auth_members AS m WHERE m.roleid = f.oid AND m.member = s.oid), false), \
         concat_ws(' ', CASE WHEN f.rolconnlimit <> COALESCE(s.rolconnlimit, -1) \
         THEN 'CONNECTION LIMIT ' || f.rolconnlimit END, \
         CASE WHEN NULLIF(f.rolvaliduntil, 'infinity') IS DISTINCT FROM NULLIF(s.rolvaliduntil, \
         'infinity') THEN 'VALID UNTIL ' || quote_literal(COALESCE(f.rolvaliduntil, 'infinity')) END), \
         CASE WHEN {old} AND NOT s.rolinherit THEN 'INHERIT' END, \
         concat_ws(' ', CASE WHEN s.rolcreatedb AND NOT f.rolcreatedb THEN 'NOCREATEDB' END, \
         CASE WHEN s.rolbypassrls AND NOT f.rolbypassrls THEN 'NOBYPASSRLS' END), \
         COALESCE(own.rolsuper OR (({old} OR own.rolcreatedb OR NOT s.rolcreatedb OR f.rolcreatedb) AND \
         (NOT {old} AND own.rolbypassrls OR NOT s.rolbypassrls OR f.rolbypassrls)), false), \
         COALESCE(f.rolvaliduntil < now(), false), NOT {old} AND EXISTS (SELECT FROM pg_auth_members AS m \
         WHERE m.grantor = s.oid) FROM {}",
        option("inherit_option"),
        option("set_option"),
        names.rows()
    );
    type Row = (bool, bool, String, Option<String>, String, bool, bool, bool);
    let row: Row = session.ask("a look at the two roles", query, cx).await?;
    let (exists, member, login, inherit, surplus, surplus_within_reach, expired, gives) = row;
    Ok(Roles {
        exists,
        member: member && inherit.is_none(),
        login,
        inherit: inherit.unwrap_or_default(),
        surplus,
        surplus_within_reach,
        expired,
        gives,
        memberships: memberships(session, names, cx).await?,
        stand_ins: stand_ins(session, names, identities, cx).await?,
    })
}

async fn memberships(
    session: &mut Session,
    names: &Names<'_>,
    cx: &Invocation,
) -> Result<Vec<Membership>> {
    let old = session.version < ADMIN_OPTION;
    let query = format!(
        "SELECT DISTINCT pg_get_userbyid(m.roleid), \
         CASE WHEN NOT {old} THEN pg_get_userbyid(m.grantor) END, \
         {old} OR pg_has_role(session_user, m.grantor, 'USAGE') \
         AND pg_has_role(session_user, m.roleid, 'MEMBER WITH ADMIN OPTION') \
         AND NOT (pg_has_role(f.oid, m.roleid, 'MEMBER') AND EXISTS (SELECT FROM pg_auth_members AS d \
         WHERE d.roleid = m.roleid AND d.grantor = s.oid)), \
         pg_has_role(f.oid, m.roleid, 'MEMBER') \
         FROM {} JOIN pg_auth_members AS m ON m.member = s.oid AND m.roleid <> f.oid ORDER BY 1, 2",
        names.rows()
    );
    type Row = (String, Option<String>, bool, bool);
    let rows = session.rows("a look at the memberships", query, cx).await?;
    let membership = |(role, grantor, within_reach, covered): Row| {
        let by = grantor.map(|one| format!(" GRANTED BY {}", quote_identifier(&one)));
        let [role, second] = [&role, names.second].map(quote_identifier);
        let revoke = format!("REVOKE {role} FROM {second}{}", by.unwrap_or_default());
        Membership { revoke, within_reach, covered }
    };
    Ok(rows.into_iter().map(membership).collect())
}

/// What hands something over must have the rights of both sides. A membership that is there already
/// is never taken: before PostgreSQL 16 there is one row a membership, with its ADMIN OPTION; from
/// then on one for each grantor.
async fn stand_ins(
    session: &mut Session,
    names: &Names<'_>,
    identities: &[&str],
    cx: &Invocation,
) -> Result<BTreeMap<String, [String; 2]>> {
    let version = session.version;
    let old = version < ADMIN_OPTION;
    let roles = [names.first, names.second].into_iter().chain(identities.iter().copied());
    let query = format!(
        "SELECT r.rolname::text, session_user::text, upper({}::text), upper({}::text), \
         m.roleid IS NOT NULL FROM pg_roles AS own JOIN pg_roles AS r ON r.rolname IN ({}) \
         AND own.rolname = session_user LEFT JOIN pg_auth_members AS m ON m.roleid = r.oid \
         AND m.member = own.oid AND ({old} OR pg_has_role(session_user, m.grantor, 'USAGE')) \
         WHERE NOT (pg_has_role(session_user, r.oid, 'USAGE') AND \
         pg_has_role(session_user, r.oid, '{}')) AND NOT ({old} AND m.roleid IS NOT NULL) \
         UNION ALL SELECT '', session_user::text, NULL, NULL, false FROM pg_roles AS own \
         WHERE {old} AND own.rolname = session_user AND NOT own.rolinherit AND NOT own.rolsuper",
        option("inherit_option"),
        option("set_option"),
        roles.map(quote).collect::<Vec<_>>().join(", "),
        sql::set_mode(version)
    );
    let mut stand_ins = BTreeMap::new();
    type Row = (String, String, Option<String>, Option<String>, bool);
    for row in session.rows::<Row>("a look at the admin's memberships", query, cx).await? {
        let (role, admin, inherits, sets, member) = row;
        let [quoted, admin] = [&role, &admin].map(|name| quote_identifier(name));
        if role.is_empty() {
            stand_ins.insert(
                role,
                ["INHERIT", "NOINHERIT"].map(|it| format!("ALTER ROLE {admin} {it}")),
            );
            continue;
        }
        let options = if old { "" } else { " WITH INHERIT TRUE, SET TRUE" };
        let undo = match (member, inherits, sets) {
            (true, Some(inherits), Some(sets)) => {
                format!("GRANT {quoted} TO {admin} WITH INHERIT {inherits}, SET {sets}")
            }
            _ => format!("REVOKE {quoted} FROM {admin}"),
        };
        stand_ins.insert(role, [format!("GRANT {quoted} TO {admin}{options}"), undo]);
    }
    Ok(stand_ins)
}

impl Roles {
    /// What is to be known of the two: how many sessions the second has that are from before it acted
    /// as the first, and what it gave to others.
    pub(crate) fn said(&self, names: &Names<'_>, early: u64, at_rest: bool) -> Vec<String> {
        let Names { first, second } = names;
        let goes_on = format!(
            "user {second:?} has {early} open session(s), which act as it until they connect again: what \
             they make is its own, and {first:?} may not use it before the next rotation hands it over"
        );
        let gives = format!(
            "user {second:?} made others members of roles, which DROP OWNED would take from them: it keeps \
             what it was granted, which does not count because it acts as {first:?}"
        );
        let said = [(self.exists && early > 0, goes_on), (self.gives && at_rest, gives)];
        said.into_iter().filter_map(|(applies, what)| applies.then_some(what)).collect()
    }

    /// What runs these statements, which say as which of `identities` a role acts.
    pub(crate) fn acting(
        &self,
        statements: Vec<String>,
        identities: &[&str],
        version: i32,
    ) -> Vec<String> {
        if statements.is_empty() || version >= ACTS_UNASKED {
            return statements;
        }
        let identities = BTreeSet::from_iter(identities);
        let stand_ins = || identities.iter().filter_map(|role| self.stand_ins.get(**role));
        let make = stand_ins().map(|[make, _]| make.clone());
        make.chain(statements).chain(stand_ins().map(|[_, undo]| undo.clone())).collect()
    }

    /// What hands over to `identity` what the second owns in one database, and with `drop` takes
    /// what it was granted there and its default privileges. The admin has the rights of both for
    /// that transaction only.
    pub(crate) fn hand_over(
        &self,
        names: &Names<'_>,
        (identity, version): (&str, i32),
        drop: bool,
    ) -> Vec<String> {
        // From PostgreSQL 16 on the admin may give the first, and through it what the first acts as.
        let other = if version < ADMIN_OPTION { identity } else { names.first };
        let stand_ins = ["", names.second, other];
        let stand_ins: Vec<_> =
            stand_ins.iter().filter_map(|role| self.stand_ins.get(*role)).collect();
        let (second, identity) = (quote_identifier(names.second), quote_identifier(identity));
        let mut statements: Vec<_> = stand_ins.iter().map(|[make, _]| make.clone()).collect();
        statements.push(SHORT_LOCK.to_owned());
        statements.push(format!("{REASSIGN}{second} TO {identity}"));
        statements.extend((drop && !self.gives).then(|| format!("{DROP}{second}")));
        statements.extend(stand_ins.iter().map(|[_, undo]| undo.clone()));
        statements
    }
}

/// From this version on whoever sets as which role another acts need not be a member of that role. Seen
/// at 10.3, which refuses it, and at 14.2, which gives a notice.
const ACTS_UNASKED: i32 = 140_000;

/// How long the hand-over waits for each table: everybody who comes later waits behind it. Less than
/// `deadlock_timeout`, 1 s: of two that wait for each other it is this one that gives up. A statement as
/// a whole ends with the time that is left to the function, by `statement_timeout`.
const SHORT_LOCK: &str = "SET LOCAL lock_timeout = '900ms'";

pub(crate) const REASSIGN: &str = "REASSIGN OWNED BY ";
pub(crate) const DROP: &str = "DROP OWNED BY ";
