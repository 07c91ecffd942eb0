//! What the second user has beside the first and would lose, and what of the first's tells the two
//! apart.

use fourstep::{Finding, Invocation, Result};

use crate::session::Session;
use crate::sql::quote;

use super::settings::SETTING_RIGHTS;
use super::{Names, spare};

/// Where rights are kept: a catalogue, its list of rights, the owner, and what else than its own list
/// gives a right. Source: PostgreSQL 18 documentation, chapter 53.
const LISTS: [[&str; 4]; 13] = [
    ["pg_class", "c.relacl", "c.relowner", "NULL"],
    ["pg_proc", "c.proacl", "c.proowner", "NULL"],
    ["pg_type", "c.typacl", "c.typowner", "NULL"],
    ["pg_namespace", "c.nspacl", "c.nspowner", "NULL"],
    ["pg_language", "c.lanacl", "c.lanowner", "NULL"],
    ["pg_foreign_data_wrapper", "c.fdwacl", "c.fdwowner", "NULL"],
    ["pg_foreign_server", "c.srvacl", "c.srvowner", "NULL"],
    ["pg_largeobject", "c.lomacl", "c.lomowner", "NULL"],
    ["pg_database", "c.datacl", "c.datdba", "NULL"],
    ["pg_tablespace", "c.spcacl", "c.spcowner", "NULL"],
    ["pg_default_acl", "c.defaclacl", "c.defaclrole", "NULL"],
    ["pg_parameter_acl", "c.paracl", "10::oid", "NULL"],
    // A right on a table is one on each of its columns.
    ["pg_attribute", "c.attacl", "t.relowner", "t.relacl"],
];

/// What is asked of each list that the server's catalogue of dependencies names for the second.
fn rights(version: i32) -> String {
    let known =
        |[catalog, ..]: &&[&str; 4]| *catalog != "pg_parameter_acl" || version >= SETTING_RIGHTS;
    let arm = |[catalog, acl, owner, wider]: &[&str; 4]| {
        let from = match *catalog {
            "pg_attribute" => {
                "pg_attribute AS c ON c.attrelid = d.objid AND c.attnum = d.objsubid \
                 AND d.objsubid <> 0 JOIN pg_class AS t ON t.oid = c.attrelid"
            }
            "pg_largeobject" => "pg_largeobject_metadata AS c ON c.oid = d.objid",
            other => &format!("{other} AS c ON c.oid = d.objid AND d.objsubid = 0"),
        };
        let class = if *catalog == "pg_attribute" { "pg_class" } else { catalog };
        format!(
            "SELECT d.*, {acl} AS acl, {owner} AS owner, {wider}::aclitem[] AS wider FROM depends AS d \
             JOIN {from} WHERE d.classid = '{class}'::regclass"
        )
    };
    LISTS.iter().filter(known).map(arm).collect::<Vec<_>>().join(" UNION ALL ")
}

/// What else the second may have of its own in a database, and `attributes` in the whole server.
fn others(identity: &str) -> [String; 4] {
    [
        "SELECT format('policy %I on %s', polname, polrelid::regclass) FROM pair, pg_policy \
         WHERE s = ANY (polroles) AND NOT EXISTS (SELECT FROM unnest(polroles) AS r \
         WHERE r = 0 OR pg_has_role(f, r, 'USAGE'))"
            .to_owned(),
        format!(
            "SELECT format('user mapping of server %I', srvname) FROM pair, pg_user_mappings AS m \
             WHERE umuser = s AND NOT EXISTS (SELECT FROM pg_user_mappings AS o \
             WHERE o.srvid = m.srvid AND o.umuser IN (0, f, {identity}))"
        ),
        // Functions and types are anybody's by default.
        format!(
            "SELECT DISTINCT format('default privileges for %s', CASE x.grantee WHEN 0 THEN 'PUBLIC' \
             ELSE pg_get_userbyid(x.grantee)::text END) FROM pair, pg_default_acl AS d, \
             aclexplode(d.defaclacl) AS x WHERE d.defaclrole = s AND x.grantee NOT IN (s, f, {identity}) \
             AND NOT (x.grantee = 0 AND d.defaclobjtype IN ('f', 'T')) AND NOT EXISTS (SELECT FROM \
             pg_default_acl AS o, aclexplode(o.defaclacl) AS y WHERE o.defaclrole IN (f, {identity}) \
             AND o.defaclnamespace = d.defaclnamespace AND o.defaclobjtype = d.defaclobjtype \
             AND y.grantee = x.grantee AND y.privilege_type = x.privilege_type)"
        ),
        "SELECT unnest(ARRAY[CASE WHEN b.rolcreatedb AND NOT a.rolcreatedb THEN 'CREATEDB' END, \
         CASE WHEN b.rolbypassrls AND NOT a.rolbypassrls THEN 'BYPASSRLS' END]) FROM pair, \
         pg_roles AS a, pg_roles AS b WHERE a.oid = f AND b.oid = s UNION ALL \
         SELECT format('membership in %I', pg_get_userbyid(roleid)) FROM pair, pg_auth_members \
         WHERE member = s AND roleid <> f AND NOT pg_has_role(f, roleid, 'MEMBER')"
            .to_owned(),
    ]
}

/// How much was found, and three examples; what is found is `what`.
const EXAMPLES: &str =
    "count(*), array_to_string((array_agg(what ORDER BY what COLLATE \"C\"))[1:3], ', ')";

/// What [`EXAMPLES`] says; `None` if there is nothing.
fn shown((count, examples): (i64, Option<String>)) -> Option<String> {
    let examples = examples.unwrap_or_default();
    let more = if count == MOST_GIFTS { " or more" } else { "" };
    (count > 0).then(|| format!("{count}{more} ({})", examples.escape_debug()))
}

/// So many gifts are looked at where none counts.
const MOST_GIFTS: i64 = 1000;

/// The same of a second that acts as the first already: none of it counts, and anybody may have given very
/// much. So it is looked at in a short time, and as far as that goes.
pub(crate) async fn gifts(
    session: &mut Session,
    names: &Names<'_>,
    about: (&str, bool, i32),
    cx: &Invocation,
) -> Result<Option<String>> {
    let asked = spare::in_savepoint(session, cx, async |session| {
        let query = query(names, about, &format!("LIMIT {MOST_GIFTS}"));
        Ok(shown(session.ask("a look at what only one has", query, cx).await?))
    });
    Ok(asked.await?.unwrap_or_else(|_| Some("very much".to_owned())))
}

/// What the second has in the session's database and the first has not: how much, and three
/// examples. None if there is nothing. `whole` adds what belongs to the whole server.
pub(crate) async fn beside(
    session: &mut Session,
    names: &Names<'_>,
    about: (&str, bool, i32),
    cx: &Invocation,
) -> Result<Option<String>> {
    let query = query(names, about, "");
    Ok(shown(session.ask("a look at what only one has", query, cx).await?))
}

fn query(names: &Names<'_>, (identity, whole, version): (&str, bool, i32), limit: &str) -> String {
    let identity = format!("(SELECT oid FROM pg_roles WHERE rolname = {})", quote(identity));
    let others = others(&identity);
    let others = others.get(..if whole { 4 } else { 3 }).unwrap_or_default();
    format!(
        "WITH pair AS (SELECT f.oid AS f, s.oid AS s FROM {}), depends AS (SELECT classid, objid, \
         objsubid FROM pair, pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = s \
         AND deptype = 'a' AND dbid IN ({} (SELECT oid FROM pg_database \
         WHERE datname = current_database())) {limit}), lists AS ({}) \
         SELECT {EXAMPLES} FROM \
         (SELECT concat_ws(' on ', string_agg(x.privilege_type, ', '), \
         pg_describe_object(classid, objid, objsubid)) AS what \
         FROM pair, lists, aclexplode(acl) AS x WHERE x.grantee = s AND NOT pg_has_role({identity}, owner, \
         'USAGE') AND NOT EXISTS (SELECT FROM aclexplode(acl || wider) AS y \
         WHERE y.privilege_type = x.privilege_type AND (y.is_grantable OR NOT x.is_grantable) \
         AND (y.grantee = 0 OR pg_has_role({identity}, y.grantee, 'USAGE'))) GROUP BY classid, objid, objsubid \
         UNION ALL {}) AS one WHERE what IS NOT NULL",
        names.rows(),
        if whole { "0," } else { "" },
        rights(version),
        others.join(" UNION ALL ")
    )
}

/// Warns about what the first made, in the session's database, that asks who is logged in: it sees
/// two names.
pub(crate) async fn mentions(
    session: &mut Session,
    user: &str,
    cx: &Invocation,
) -> Result<Option<Finding>> {
    let query = format!(
        "WITH me AS (SELECT oid AS me FROM pg_roles WHERE rolname = {}) \
         SELECT {EXAMPLES} FROM \
         (SELECT format('policy %I on %s', polname, c.oid::regclass) AS what, relowner AS owner, \
         concat(pg_get_expr(polqual, c.oid), pg_get_expr(polwithcheck, c.oid)) AS text \
         FROM pg_policy JOIN pg_class AS c ON c.oid = polrelid \
         UNION ALL SELECT format('routine %s', oid::regprocedure), proowner, prosrc FROM pg_proc \
         UNION ALL SELECT format('view %s', oid::regclass), relowner, pg_get_viewdef(oid) \
         FROM pg_class WHERE relkind IN ('v', 'm') \
         UNION ALL SELECT format('default of %s', c.oid::regclass), relowner, \
         pg_get_expr(adbin, c.oid) FROM pg_attrdef JOIN pg_class AS c ON c.oid = adrelid) AS one, me \
         WHERE pg_has_role(me, owner, 'USAGE') AND text ILIKE '%session_user%'",
        quote(user)
    );
    let found = shown(session.ask("a look at what asks who is logged in", query, cx).await?);
    Ok(found.map(|found| {
        Finding::Warns(format!(
            "what asks for session_user sees two names, one for each login, where current_user is \
             always the same: {found}"
        ))
    }))
}
