//! Default privileges: what is granted on objects that are made later. And the policies of
//! row-level security that name a user.

use std::collections::BTreeMap;

use fourstep::{Error, Turn};

use crate::session::Session;
use crate::sql::{quote, quote_identifier};

use super::plan::{Maker, Names, Place, Plan};

/// Whose objects, in which schema, of which kind; granted to whom (None: everybody); what.
type Entry = (String, Option<String>, String, Option<String>, String);

/// A policy: its name and table, quoted.
type Policy = (String, String);

/// Whom a policy names, and who can change that.
#[derive(Debug)]
struct Named {
    roles: Vec<String>,
    owner: String,
    owner_within_reach: bool,
    owner_is_powerful: bool,
}

/// The default privileges that concern either user, and the policies.
#[derive(Debug, Default)]
pub(crate) struct Defaults {
    /// With the right to pass it on, or without.
    entries: BTreeMap<Entry, bool>,
    /// The same, as the source would have it if nothing were said of it.
    unsaid: BTreeMap<Entry, bool>,
    /// Whom the admin cannot act as, and whether they are more than an application's.
    out_of_reach: BTreeMap<String, bool>,
    target_exists: bool,
    keep_held: bool,
    policies: BTreeMap<Policy, Named>,
}

/// Reads both.
pub(crate) async fn read(
    session: &mut Session,
    names: &Names<'_>,
    place: &Place,
    turn: &Turn,
) -> Result<Defaults, Error> {
    // An entry for all schemas takes the place of what the server grants by itself, so a role
    // without one has that: acldefault, which calls a sequence `s` and a foreign server `S`.
    let by_itself = "acldefault(CASE k.type WHEN 'S' THEN 's' ELSE k.type END::\"char\", pair.oid)";
    let query = format!(
        "WITH pair AS (SELECT oid, rolname FROM pg_roles WHERE rolname IN ({})), \
         k AS (SELECT DISTINCT defaclnamespace AS space, defaclobjtype AS type FROM pg_default_acl \
         WHERE defaclrole IN (SELECT oid FROM pair)), \
         said AS (SELECT true AS said, pair.rolname::text AS role, pair.oid, k.space, k.type, \
         COALESCE(d.defaclacl, CASE WHEN k.space = 0 THEN {by_itself} END) AS acl \
         FROM pair CROSS JOIN k LEFT JOIN pg_default_acl AS d ON d.defaclrole = pair.oid \
         AND d.defaclnamespace = k.space AND d.defaclobjtype = k.type \
         UNION ALL SELECT false, pair.rolname::text, pair.oid, k.space, k.type, {by_itself} \
         FROM pair CROSS JOIN k WHERE k.space = 0 AND pair.rolname = {} \
         UNION ALL SELECT true, pg_get_userbyid(defaclrole)::text, defaclrole, defaclnamespace, defaclobjtype, \
         defaclacl FROM pg_default_acl WHERE defaclrole NOT IN (SELECT oid FROM pair)) \
         SELECT said.role, n.nspname::text, CASE said.type WHEN 'r' THEN 'TABLES' \
         WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' \
         WHEN 'n' THEN 'SCHEMAS' WHEN 'L' THEN 'LARGE OBJECTS' END, \
         CASE WHEN x.grantee <> 0 THEN pg_get_userbyid(x.grantee)::text END, x.privilege_type, \
         bool_or(x.is_grantable)::text, {}::text, said.said::text, {}::text \
         FROM said CROSS JOIN aclexplode(said.acl) AS x \
         LEFT JOIN pg_namespace AS n ON n.oid = said.space \
         WHERE said.oid IN (SELECT oid FROM pair) OR x.grantee IN (SELECT oid FROM pair) \
         GROUP BY 1, 2, 3, 4, 5, 7, 8, 9",
        names.list(),
        quote(names.source),
        place.can_be("said.oid"),
        Maker::is_powerful("said.oid")
    );
    let mut defaults = Defaults::default();
    for row in session.rows::<9>("a look at the default privileges", query, turn).await? {
        let [role, schema, kind, grantee, privilege, grantable, reach, said, powerful] = row;
        let text = Option::<String>::unwrap_or_default;
        let role = text(role);
        if reach.as_deref() != Some("true") {
            defaults.out_of_reach.insert(role.clone(), powerful.as_deref() == Some("true"));
        }
        let entry = (role, schema, text(kind), grantee, text(privilege));
        let into = match said.as_deref() {
            Some("true") => &mut defaults.entries,
            _ => &mut defaults.unsaid,
        };
        into.insert(entry, grantable.as_deref() == Some("true"));
    }
    let query = format!("SELECT count(*)::text FROM pg_roles WHERE rolname IN ({})", names.list());
    let [count] = session.ask("a look at the roles", &query, turn).await?;
    defaults.target_exists = count.as_deref() == Some("2");
    defaults.policies = policies(session, names, place, turn).await?;
    Ok(defaults)
}

async fn policies(
    session: &mut Session,
    names: &Names<'_>,
    place: &Place,
    turn: &Turn,
) -> Result<BTreeMap<Policy, Named>, Error> {
    let query = format!(
        "SELECT quote_ident(p.polname), format('%I.%I', n.nspname, c.relname), \
         pg_get_userbyid(named)::text, pg_get_userbyid(c.relowner)::text, {}::text, {}::text \
         FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid \
         JOIN pg_namespace AS n ON n.oid = c.relnamespace CROSS JOIN unnest(p.polroles) AS named \
         WHERE p.polroles && ARRAY(SELECT oid FROM pg_roles WHERE rolname IN ({}))",
        place.can_be("c.relowner"),
        Maker::is_powerful("c.relowner"),
        names.list()
    );
    let mut policies = BTreeMap::new();
    for row in session.rows::<6>("a look at the policies", query, turn).await? {
        let [policy, table, role, owner, reach, powerful] = row.map(Option::unwrap_or_default);
        let (owner_within_reach, owner_is_powerful) = (reach == "true", powerful == "true");
        let named = policies.entry((policy, table)).or_insert_with(|| Named {
            roles: Vec::new(),
            owner,
            owner_within_reach,
            owner_is_powerful,
        });
        named.roles.push(role);
    }
    Ok(policies)
}

impl Defaults {
    /// From now on the source counts as having what the target has.
    pub(crate) fn keep_held(&mut self) {
        self.keep_held = true;
    }

    /// What makes the target's like the source's: what others give to it, and what is given on
    /// objects that it makes.
    pub(crate) fn plan(&self, names: &Names<'_>, place: &Place, plan: &mut Plan) {
        let [wanted, held] = self.sides(names);
        let mut give = Vec::new();
        for (entry, &grantable) in &wanted {
            let has = held.get(entry).copied();
            if has.is_none_or(|has| grantable && !has) {
                let option = if grantable { " WITH GRANT OPTION" } else { "" };
                give.push((entry.0.as_str(), statement(entry, "GRANT ", "TO", option)));
            }
        }
        let mut take = Vec::new();
        for (entry, &grantable) in &held {
            let verb = match wanted.get(entry) {
                None => "REVOKE ",
                Some(wanted) if grantable && !wanted => "REVOKE GRANT OPTION FOR ",
                Some(_) => continue,
            };
            take.push((entry.0.as_str(), statement(entry, verb, "FROM", "")));
        }
        self.as_their_makers(give, names, place, plan, Plan::give);
        self.as_their_makers(take, names, place, plan, Plan::take);
        self.plan_policies(names, place, plan);
    }

    /// What the target should have, and what it has.
    fn sides(&self, names: &Names<'_>) -> [BTreeMap<Entry, bool>; 2] {
        let (mut wanted, mut held) = (BTreeMap::new(), BTreeMap::new());
        let of = |(_, schema, kind, _, privilege): &Entry, role: &str, grantee: Option<&str>| {
            let (role, grantee) = (role.to_owned(), grantee.map(str::to_owned));
            (role, schema.clone(), kind.clone(), grantee, privilege.clone())
        };
        for (entry, grantable) in &self.entries {
            let (role, grantee) = (entry.0.as_str(), entry.3.as_deref());
            let other = grantee.map(|name| names.swapped(name));
            if role == names.source {
                wanted.insert(of(entry, names.target, other), *grantable);
            } else if role == names.target || grantee == Some(names.target) {
                held.insert(entry.clone(), *grantable);
            } else if grantee == Some(names.source) {
                wanted.insert(of(entry, role, other), *grantable);
            }
        }
        if !self.target_exists {
            for (entry, grantable) in &self.unsaid {
                let other = entry.3.as_deref().map(|name| names.swapped(name));
                held.insert(of(entry, names.target, other), *grantable);
            }
        }
        if self.keep_held {
            for (entry, grantable) in &held {
                *wanted.entry(entry.clone()).or_default() |= grantable;
            }
        }
        [wanted, held]
    }

    /// Only a role itself, or who can act as it, says what is granted on what it makes. The target
    /// is ours: where the admin cannot act as it, the admin is let for as long as this takes, and
    /// nobody sees that, since the transaction ends after it.
    fn as_their_makers(
        &self,
        statements: Vec<(&str, String)>,
        names: &Names<'_>,
        place: &Place,
        plan: &mut Plan,
        put: impl Fn(&mut Plan, Option<&str>, String),
    ) {
        let out_of_reach = |role: &str| match role == names.target {
            true => !self.target_exists || self.out_of_reach.contains_key(role),
            false => self.out_of_reach.contains_key(role),
        };
        let (target, admin) = (quote_identifier(names.target), quote_identifier(&place.admin));
        let (own, others): (Vec<_>, Vec<_>) =
            statements.into_iter().partition(|(role, _)| *role == names.target);
        for (role, text) in others {
            if out_of_reach(role) {
                let powerful = self.out_of_reach.get(role).copied().unwrap_or_default();
                plan.warnings.insert(left_out(&Maker { name: role, powerful }, &text, place));
                continue;
            }
            put(plan, Some(role).filter(|role| *role != place.admin), text);
        }
        let step_in = !own.is_empty() && out_of_reach(names.target);
        if step_in {
            let options =
                if place.has_role_options() { " WITH INHERIT FALSE, SET TRUE" } else { "" };
            put(plan, None, format!("GRANT {target} TO {admin}{options}"));
        }
        for (role, text) in own {
            put(plan, Some(role), text);
        }
        if step_in {
            put(plan, None, format!("REVOKE {target} FROM {admin}"));
        }
    }

    fn plan_policies(&self, names: &Names<'_>, place: &Place, plan: &mut Plan) {
        for ((policy, table), named) in &self.policies {
            let Named { roles, owner, .. } = named;
            let names_one = |name: &str| roles.iter().any(|role| role == name);
            let (wanted, held) = (names_one(names.source), names_one(names.target));
            if wanted == held || (held && self.keep_held) {
                continue;
            }
            let others = roles.iter().map(String::as_str).filter(|role| *role != names.target);
            let to: Vec<_> =
                others.chain(wanted.then_some(names.target)).map(quote_identifier).collect();
            // A policy names somebody. One of the target's alone is not ours to drop.
            if to.is_empty() {
                plan.missing.insert(format!("DROP POLICY {policy} ON {table}"));
                continue;
            }
            let text = format!("ALTER POLICY {policy} ON {table} TO {}", to.join(", "));
            match named.owner_within_reach {
                true => plan.policy(owner, text, place),
                false => {
                    let owner = Maker { name: owner, powerful: named.owner_is_powerful };
                    plan.needs_role(&owner, &text, place);
                }
            }
        }
    }
}

/// Anybody who can log in may give default privileges to whom they like, so one whose maker is out of
/// reach is told and left as it is.
fn left_out(maker: &Maker<'_>, text: &str, place: &Place) -> String {
    let way_out = match maker.powerful {
        true => String::new(),
        false => format!("; or to have it done: {}", maker.grant_to(&place.admin)),
    };
    format!("left out, since the admin cannot act as {:?}: {text}{way_out}", maker.name)
}

fn statement(
    (role, schema, kind, grantee, privilege): &Entry,
    verb: &str,
    to: &str,
    option: &str,
) -> String {
    let schema = schema.as_deref().map(quote_identifier);
    let schema = schema.map(|name| format!(" IN SCHEMA {name}")).unwrap_or_default();
    let grantee = grantee.as_deref().map_or("PUBLIC".to_owned(), quote_identifier);
    format!(
        "ALTER DEFAULT PRIVILEGES FOR ROLE {}{schema} {verb}{privilege} ON {kind} {to} {grantee}{option}",
        quote_identifier(role)
    )
}
