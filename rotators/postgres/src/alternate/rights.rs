//! What was granted to the two users directly, on everything that has an access control list.
//!
//! Source: PostgreSQL 18 documentation, section 5.8 "Privileges" and the reference pages of GRANT
//! and REVOKE; pg_shdepend says which objects' lists name a role, so nothing else is looked at.

use std::collections::{BTreeMap, BTreeSet};

use fourstep::{Error, Turn};

use crate::session::Session;
use crate::sql::quote_identifier;

use super::plan::{Maker, Names, Place, Plan};

/// From this version on there are rights on parameters. Source: PostgreSQL 15 release notes.
const PARAMETER_RIGHTS: u32 = 150_000;

/// What a right is on, as GRANT says it: a kind, a name that is quoted already, and a column.
type Object = (String, String, Option<String>);

/// One entry of an access control list.
#[derive(Debug, Clone)]
struct Item {
    privilege: String,
    grantable: bool,
    grantor: String,
    /// Whether the admin can act as the grantor, and so take it back.
    grantor_within_reach: bool,
    grantor_is_owner: bool,
    owner: String,
    owner_is_powerful: bool,
    /// Who could grant the same and can be acted as by the admin.
    giver: Option<String>,
}

/// What is granted to both.
#[derive(Debug, Default)]
pub(crate) struct Rights(BTreeMap<Object, [Vec<Item>; 2]>);

/// The statements of one kind that can be told in one.
type Together = BTreeMap<(String, bool, String, String), BTreeSet<String>>;

/// What belongs to one database. Objects of the pair's own are not here: who owns may do anything,
/// and that the other half may as well is asked elsewhere. Nor are temporary tables.
const LOCAL: &str = "\
    SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, \
    format('%I.%I', n.nspname, c.relname), NULL::text, c.relowner, c.relacl \
    FROM touched JOIN pg_class c ON classid = 'pg_class'::regclass AND objid = c.oid AND objsubid = 0 \
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relpersistence <> 't' \
    UNION ALL \
    SELECT 'TABLE', format('%I.%I', n.nspname, c.relname), a.attname::text, c.relowner, a.attacl \
    FROM touched JOIN pg_class c ON classid = 'pg_class'::regclass AND objid = c.oid \
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = objsubid AND NOT a.attisdropped \
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE objsubid <> 0 AND c.relpersistence <> 't' \
    UNION ALL \
    SELECT 'SCHEMA', quote_ident(n.nspname), NULL, n.nspowner, n.nspacl \
    FROM touched JOIN pg_namespace n ON classid = 'pg_namespace'::regclass AND objid = n.oid \
    UNION ALL \
    SELECT 'ROUTINE', format('%I.%I(%s)', n.nspname, p.proname, \
    (SELECT string_agg(format_type(one, NULL), ', ' ORDER BY place) \
    FROM unnest(p.proargtypes) WITH ORDINALITY AS types(one, place))), NULL, p.proowner, p.proacl \
    FROM touched JOIN pg_proc p ON classid = 'pg_proc'::regclass AND objid = p.oid \
    JOIN pg_namespace n ON n.oid = p.pronamespace \
    UNION ALL \
    SELECT 'TYPE', format('%I.%I', n.nspname, t.typname), NULL, t.typowner, t.typacl \
    FROM touched JOIN pg_type t ON classid = 'pg_type'::regclass AND objid = t.oid \
    JOIN pg_namespace n ON n.oid = t.typnamespace \
    UNION ALL \
    SELECT 'LANGUAGE', quote_ident(l.lanname), NULL, l.lanowner, l.lanacl \
    FROM touched JOIN pg_language l ON classid = 'pg_language'::regclass AND objid = l.oid \
    UNION ALL \
    SELECT 'FOREIGN DATA WRAPPER', quote_ident(f.fdwname), NULL, f.fdwowner, f.fdwacl \
    FROM touched JOIN pg_foreign_data_wrapper f \
    ON classid = 'pg_foreign_data_wrapper'::regclass AND objid = f.oid \
    UNION ALL \
    SELECT 'FOREIGN SERVER', quote_ident(s.srvname), NULL, s.srvowner, s.srvacl \
    FROM touched JOIN pg_foreign_server s ON classid = 'pg_foreign_server'::regclass AND objid = s.oid \
    UNION ALL \
    SELECT 'LARGE OBJECT', o.oid::text, NULL, o.lomowner, o.lomacl \
    FROM touched JOIN pg_largeobject_metadata o ON classid = 'pg_largeobject'::regclass AND objid = o.oid";

/// What belongs to the whole server.
const SHARED: &str = "\
    UNION ALL \
    SELECT 'DATABASE', quote_ident(d.datname), NULL, d.datdba, d.datacl \
    FROM touched JOIN pg_database d ON classid = 'pg_database'::regclass AND objid = d.oid \
    UNION ALL \
    SELECT 'TABLESPACE', quote_ident(s.spcname), NULL, s.spcowner, s.spcacl \
    FROM touched JOIN pg_tablespace s ON classid = 'pg_tablespace'::regclass AND objid = s.oid";

/// A parameter belongs to the superuser that `initdb` made. Its name is quoted part by part.
const PARAMETERS: &str = " \
    UNION ALL \
    SELECT 'PARAMETER', (SELECT string_agg(quote_ident(part), '.' ORDER BY place) \
    FROM unnest(string_to_array(a.parname, '.')) WITH ORDINALITY AS parts(part, place)), \
    NULL, 10::oid, a.paracl \
    FROM touched JOIN pg_parameter_acl a ON classid = 'pg_parameter_acl'::regclass AND objid = a.oid";

fn query(names: &Names<'_>, place: &Place) -> String {
    let shared = if place.first { SHARED } else { "" };
    let parameters = if place.first && place.version >= PARAMETER_RIGHTS { PARAMETERS } else { "" };
    let [grantor, owner, holder] =
        ["x.grantor", "o.owner", "h.grantee"].map(|oid| place.can_be(oid));
    // Either half may pass on what it was given for that. Such a grant is made by others here,
    // or it would go when the half loses its own right.
    let giver = format!(
        "COALESCE(CASE WHEN x.grantor NOT IN (SELECT oid FROM pair) AND {grantor} THEN x.grantor END, \
         CASE WHEN {owner} THEN o.owner END, \
         (SELECT h.grantee FROM aclexplode(o.acl) AS h \
         WHERE h.privilege_type = x.privilege_type AND h.is_grantable AND h.grantee <> 0 \
         AND h.grantee NOT IN (SELECT oid FROM pair) AND {holder} LIMIT 1))"
    );
    // Nobody is given the role pg_database_owner: its one member is who owns the database.
    let real_owner = "CASE WHEN pg_get_userbyid(o.owner) = 'pg_database_owner' THEN \
                      (SELECT datdba FROM pg_database WHERE datname = current_database()) ELSE o.owner END";
    let powerful = Maker::is_powerful(real_owner);
    format!(
        "WITH pair AS (SELECT oid, rolname FROM pg_roles WHERE rolname IN ({})), \
         touched AS (SELECT DISTINCT classid, objid, objsubid FROM pg_shdepend \
         WHERE refclassid = 'pg_authid'::regclass AND refobjid IN (SELECT oid FROM pair) \
         AND deptype = 'a' AND dbid IN \
         (0, (SELECT oid FROM pg_database WHERE datname = current_database()))), \
         objects(kind, name, part, owner, acl) AS ({LOCAL} {shared}{parameters}) \
         SELECT o.kind, o.name, o.part, pair.rolname::text, \
         string_agg(x.privilege_type, ','), x.is_grantable::text, \
         pg_get_userbyid(x.grantor)::text, {grantor}::text, pg_get_userbyid({real_owner})::text, \
         (SELECT rolname FROM pg_roles WHERE oid = {giver})::text, {powerful}::text, \
         (x.grantor = o.owner)::text \
         FROM objects AS o CROSS JOIN aclexplode(o.acl) AS x JOIN pair ON pair.oid = x.grantee \
         WHERE o.owner NOT IN (SELECT oid FROM pair) \
         GROUP BY 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12",
        names.list()
    )
}

/// Reads what is granted to both in the session's database.
pub(crate) async fn read(
    session: &mut Session,
    names: &Names<'_>,
    place: &Place,
    turn: &Turn,
) -> Result<Rights, Error> {
    let rows = session.rows::<12>("a look at the rights", query(names, place), turn).await?;
    let mut rights = Rights::default();
    for row in rows {
        let [kind, name, column, grantee, privileges, grantable, grantor, reach, owner, ..] = &row;
        let [.., giver, powerful, by_owner] = &row;
        let text = |one: &Option<String>| one.clone().unwrap_or_default();
        let yes = |one: &Option<String>| one.as_deref() == Some("true");
        let object = (text(kind), text(name), column.clone());
        let [source, target] = rights.0.entry(object).or_default();
        let side = if grantee.as_deref() == Some(names.source) { source } else { target };
        for privilege in text(privileges).split(',') {
            side.push(Item {
                privilege: privilege.to_owned(),
                grantable: yes(grantable),
                grantor: text(grantor),
                grantor_within_reach: yes(reach),
                grantor_is_owner: yes(by_owner),
                owner: text(owner),
                owner_is_powerful: yes(powerful),
                giver: giver.clone(),
            });
        }
    }
    Ok(rights)
}

impl Rights {
    /// From now on the source counts as having what the target has.
    pub(crate) fn keep_held(&mut self) {
        for [wanted, held] in self.0.values_mut() {
            wanted.extend(held.iter().cloned());
        }
    }

    /// What the target lacks and what it has too much.
    pub(crate) fn plan(&self, names: &Names<'_>, place: &Place, plan: &mut Plan) {
        let (mut give, mut take) = (Together::new(), Together::new());
        let target = quote_identifier(names.target);
        for (object, [wanted, held]) in &self.0 {
            let (kind, name, column) = object;
            let put = |into: &mut Together, actor: &str, option: bool, what: String| {
                let key = (actor.to_owned(), option, kind.clone(), name.clone());
                into.entry(key).or_default().insert(what);
            };
            let what = |item: &Item| match column.as_deref().map(quote_identifier) {
                None => item.privilege.clone(),
                Some(column) => format!("{} ({column})", item.privilege),
            };
            for item in lacking(wanted, held) {
                match &item.giver {
                    Some(giver) => put(&mut give, giver, item.grantable, what(item)),
                    None => out_of_reach(item, &what(item), object, place, plan),
                }
            }
            for (item, only_option) in surplus(wanted, held) {
                if item.grantor_within_reach {
                    put(&mut take, &item.grantor, only_option, what(item));
                    continue;
                }
                let text = revoke(only_option, &what(item), kind, name, &target);
                let text = match item.grantor_is_owner {
                    true => text,
                    false => {
                        let grantor = quote_identifier(&item.grantor);
                        format!("SET ROLE {grantor}; {text}; RESET ROLE")
                    }
                };
                match is_anybodys(kind) {
                    true => plan.warnings.insert(format!("left as it is: {text}")),
                    false => plan.missing.insert(text),
                };
            }
        }
        let actor = |actor: &str| Some(actor.to_owned()).filter(|actor| *actor != place.admin);
        let joined = |all: BTreeSet<String>| all.into_iter().collect::<Vec<_>>().join(", ");
        for ((by, option, kind, name), privileges) in give {
            let option = if option { " WITH GRANT OPTION" } else { "" };
            let text = format!("GRANT {} ON {kind} {name} TO {target}{option}", joined(privileges));
            plan.give(actor(&by).as_deref(), text);
        }
        for ((by, option, kind, name), privileges) in take {
            let text = revoke(option, &joined(privileges), &kind, &name, &target);
            plan.take(actor(&by).as_deref(), text);
        }
    }
}

/// What anybody who can log in makes and gives to whom they like, so it may not stop a rotation.
/// Tables and the like take a schema in which one may make them.
fn is_anybodys(kind: &str) -> bool {
    kind == "LARGE OBJECT"
}

/// The target lacks this, and nobody whom the admin can act as may give it.
fn out_of_reach(item: &Item, what: &str, (kind, name, _): &Object, place: &Place, plan: &mut Plan) {
    let admin = quote_identifier(&place.admin);
    let owner = Maker { name: &item.owner, powerful: item.owner_is_powerful };
    let instead = format!("GRANT {what} ON {kind} {name} TO {admin} WITH GRANT OPTION");
    match is_anybodys(kind) {
        true => plan.warnings.insert(format!(
            "{what} on {kind} {name} is not given to the other user; to change that: {instead}"
        )),
        false => {
            plan.needs_role(&owner, &instead, place);
            true
        }
    };
}

fn revoke(only_option: bool, what: &str, kind: &str, name: &str, target: &str) -> String {
    let option = if only_option { "GRANT OPTION FOR " } else { "" };
    format!("REVOKE {option}{what} ON {kind} {name} FROM {target}")
}

/// What is wanted and not held, one item for each privilege.
fn lacking<'a>(wanted: &'a [Item], held: &'a [Item]) -> Vec<&'a Item> {
    let mut best: BTreeMap<&str, &Item> = BTreeMap::new();
    for item in wanted {
        let rank = |item: &Item| (item.grantable, item.giver.is_some());
        let entry = best.entry(&item.privilege).or_insert(item);
        if rank(item) > rank(entry) {
            *entry = item;
        }
    }
    let is_held = |wanted: &Item| {
        let mut same = held.iter().filter(|one| one.privilege == wanted.privilege);
        same.any(|one| one.grantable || !wanted.grantable)
    };
    best.into_values().filter(|item| !is_held(item)).collect()
}

/// What is held and not wanted, and whether only the right to pass it on is too much.
fn surplus<'a>(wanted: &'a [Item], held: &'a [Item]) -> Vec<(&'a Item, bool)> {
    let judge = |item: &'a Item| {
        let mut same = wanted.iter().filter(|one| one.privilege == item.privilege);
        match same.clone().next() {
            None => Some((item, false)),
            Some(_) if item.grantable && !same.any(|one| one.grantable) => Some((item, true)),
            Some(_) => None,
        }
    };
    held.iter().filter_map(judge).collect()
}
