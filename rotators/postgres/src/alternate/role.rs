//! What a role is by itself: its attributes, and the roles that it is a member of.

use std::collections::BTreeMap;

use fourstep::users::Mark;
use fourstep::{Error, Turn};

use crate::admin::ADMIN_OPTION;
use crate::session::Session;
use crate::sql::{quote, quote_identifier};

use super::plan::{Names, Place, Plan};

/// The attributes that an admin may give. Superusers and makers of roles are never changed.
#[derive(Debug, Clone)]
struct Attributes {
    inherit: bool,
    limit: String,
    /// None as well as `infinity`.
    until: Option<String>,
    create_database: bool,
    bypass_policies: bool,
}

impl Default for Attributes {
    /// What CREATE ROLE gives. Source: its reference page.
    fn default() -> Self {
        Self {
            inherit: true,
            limit: "-1".to_owned(),
            until: None,
            create_database: false,
            bypass_policies: false,
        }
    }
}

/// How one role is a member of another.
#[derive(Debug, Clone)]
struct Membership {
    options: Options,
    grantor: String,
    /// Whether the admin has the grantor's rights, and so may take it back.
    grantor_within_reach: bool,
    /// Whether the admin may give this role to others.
    giveable: bool,
}

/// ADMIN, INHERIT and SET. The latter two are the member's own before PostgreSQL 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Options([bool; 3]);

/// Both roles, as far as they exist.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    attributes: [Option<Attributes>; 2],
    comment: Option<String>,
    /// Whether the admin may alter the target, where that exists, and the source.
    alterable: bool,
    source_alterable: bool,
    memberships: BTreeMap<String, [Vec<Membership>; 2]>,
    admin: AdminRights,
}

/// What the admin may do.
#[derive(Debug, Default)]
struct AdminRights {
    superuser: bool,
    create_role: bool,
    create_database: bool,
    bypass_policies: bool,
}

fn yes(fact: &Option<String>) -> bool {
    fact.as_deref() == Some("true")
}

/// Reads both roles and what the admin may do with them.
pub(crate) async fn read(
    session: &mut Session,
    names: &Names<'_>,
    place: &Place,
    turn: &Turn,
) -> Result<Roles, Error> {
    let mut roles = Roles::default();
    let query = format!(
        "SELECT rolname::text, rolinherit::text, rolconnlimit::text, \
         NULLIF(rolvaliduntil, 'infinity')::text, rolcreatedb::text, rolbypassrls::text, \
         pg_has_role(session_user, oid, 'MEMBER WITH ADMIN OPTION')::text, \
         shobj_description(oid, 'pg_authid'), rolsuper::text, rolcreaterole::text \
         FROM pg_roles WHERE rolname IN ({}, session_user)",
        names.list()
    );
    for row in session.rows::<10>("a look at the roles", query, turn).await? {
        let [name, inherit, limit, until, createdb, bypass, option, comment, superuser, creates] =
            row;
        let name = name.unwrap_or_default();
        let attributes = Attributes {
            inherit: yes(&inherit),
            limit: limit.unwrap_or_default(),
            until,
            create_database: yes(&createdb),
            bypass_policies: yes(&bypass),
        };
        if name == place.admin {
            roles.admin = AdminRights {
                superuser: yes(&superuser),
                create_role: yes(&creates) || yes(&superuser),
                create_database: attributes.create_database || yes(&superuser),
                bypass_policies: attributes.bypass_policies || yes(&superuser),
            };
        }
        let [source, target] = &mut roles.attributes;
        if name == names.target {
            (roles.comment, roles.alterable) = (comment, yes(&option));
            *target = Some(attributes);
        } else if name == names.source {
            roles.source_alterable = yes(&option);
            *source = Some(attributes);
        }
    }
    roles.memberships = memberships(session, names, turn).await?;
    Ok(roles)
}

/// What both are members of, but for each other: that AWS's template makes the second half a member
/// of the first is neither undone nor repeated the other way round, which would be a circle.
async fn memberships(
    session: &mut Session,
    names: &Names<'_>,
    turn: &Turn,
) -> Result<BTreeMap<String, [Vec<Membership>; 2]>, Error> {
    // The options have columns since PostgreSQL 16 only.
    let query = format!(
        "SELECT pg_get_userbyid(m.roleid)::text, pg_get_userbyid(m.member)::text, \
         m.admin_option::text, COALESCE(to_jsonb(m) ->> 'inherit_option', 'true'), \
         COALESCE(to_jsonb(m) ->> 'set_option', 'true'), pg_get_userbyid(m.grantor)::text, \
         pg_has_role(session_user, m.grantor, 'USAGE')::text, \
         pg_has_role(session_user, m.roleid, 'MEMBER WITH ADMIN OPTION')::text \
         FROM pg_auth_members AS m \
         WHERE m.member IN (SELECT oid FROM pg_roles WHERE rolname IN ({0})) \
         AND m.roleid NOT IN (SELECT oid FROM pg_roles WHERE rolname IN ({0}))",
        names.list()
    );
    let mut memberships: BTreeMap<String, [Vec<Membership>; 2]> = BTreeMap::new();
    for row in session.rows::<8>("a look at the memberships", query, turn).await? {
        let [role, member, admin, inherit, set, grantor, reach, giveable] = row;
        let [source, target] = memberships.entry(role.unwrap_or_default()).or_default();
        let side = if member.as_deref() == Some(names.source) { source } else { target };
        side.push(Membership {
            options: Options([yes(&admin), yes(&inherit), yes(&set)]),
            grantor: grantor.unwrap_or_default(),
            grantor_within_reach: yes(&reach),
            giveable: yes(&giveable),
        });
    }
    Ok(memberships)
}

/// Whether the source is a member of the target, directly or not.
pub(super) async fn is_member(
    session: &mut Session,
    names: &Names<'_>,
    turn: &Turn,
) -> Result<bool, Error> {
    let query = format!(
        "SELECT COALESCE(bool_or(pg_has_role(one.oid, other.oid, 'MEMBER')), false)::text \
         FROM pg_roles AS one, pg_roles AS other WHERE one.rolname = {} AND other.rolname = {}",
        quote(names.source),
        quote(names.target)
    );
    let [member] = session.ask("a look at the two roles", &query, turn).await?;
    Ok(yes(&member))
}

impl Options {
    /// What several grants of one role give together.
    fn of(grants: &[Membership]) -> Option<Self> {
        let all = grants.iter().map(|grant| grant.options.0);
        all.reduce(|one, other| {
            std::array::from_fn(|n| one.get(n) == Some(&true) || other.get(n) == Some(&true))
        })
        .map(Self)
    }

    fn exceeds(self, other: Self) -> bool {
        self.0.into_iter().zip(other.0).any(|(one, other)| one && !other)
    }

    fn clause(self, place: &Place) -> String {
        let [admin, inherit, set] = self.0;
        match place.has_role_options() {
            true => format!(" WITH ADMIN {admin}, INHERIT {inherit}, SET {set}"),
            false if admin => " WITH ADMIN OPTION".to_owned(),
            false => String::new(),
        }
    }
}

impl Roles {
    /// What makes the target like the source. `mark` is to be written on it.
    pub(crate) fn plan(
        &self,
        names: &Names<'_>,
        mark: Option<&Mark>,
        place: &Place,
        plan: &mut Plan,
    ) {
        let [source, target] = &self.attributes;
        let role = quote_identifier(names.target);
        if !self.admin.create_role {
            plan.needs_attribute("CREATEROLE", place);
        }
        let none = Attributes::default();
        let (wanted, held) = (source.as_ref().unwrap_or(&none), target.as_ref().unwrap_or(&none));
        let changed = self.attribute_changes(wanted, held, place, plan);
        if target.is_none() {
            let changed = changed.iter().map(|one| format!(" {one}")).collect::<String>();
            plan.give(None, format!("CREATE ROLE {role} NOLOGIN{changed}"));
        } else {
            if place.version >= ADMIN_OPTION && !self.alterable {
                plan.needs_admin_option(names.target, place);
            }
            if !changed.is_empty() {
                plan.give(None, format!("ALTER ROLE {role} {}", changed.join(" ")));
            }
        }
        if let Some(mark) = mark {
            let comment = quote(&mark.in_comment(self.comment.as_deref()));
            plan.give(None, format!("COMMENT ON ROLE {role} IS {comment}"));
        }
        self.plan_memberships(names, place, plan);
    }

    /// What lets the admin alter the source, whose turn comes next, where it cannot yet.
    pub(crate) fn lacks_source(&self, names: &Names<'_>, place: &Place) -> Option<String> {
        let lacks = place.version >= ADMIN_OPTION && !self.source_alterable;
        let (source, admin) = (quote_identifier(names.source), quote_identifier(&place.admin));
        lacks.then(|| format!("GRANT {source} TO {admin} WITH ADMIN OPTION"))
    }

    /// What is needed to set the target's password, and no more.
    pub(crate) fn plan_alone(&self, names: &Names<'_>, place: &Place, plan: &mut Plan) {
        if !self.admin.create_role {
            plan.needs_attribute("CREATEROLE", place);
        } else if place.version >= ADMIN_OPTION && !self.alterable {
            plan.needs_admin_option(names.target, place);
        }
    }

    fn attribute_changes(
        &self,
        wanted: &Attributes,
        held: &Attributes,
        place: &Place,
        plan: &mut Plan,
    ) -> Vec<String> {
        let mut changed = Vec::new();
        let mut flag = |name: &str, wanted: bool, held: bool, may: bool, plan: &mut Plan| {
            if wanted == held {
                return;
            }
            if !may && place.version >= ADMIN_OPTION {
                plan.needs_attribute(name, place);
            } else if !may {
                // Before PostgreSQL 16 no admin but a superuser can.
                let source = format!("a superuser must give or take {name} from both users");
                plan.missing.insert(source);
            }
            changed.push(format!("{}{name}", if wanted { "" } else { "NO" }));
        };
        let createdb = place.version < ADMIN_OPTION || self.admin.create_database;
        let bypass = match place.version < ADMIN_OPTION {
            true => self.admin.superuser,
            false => self.admin.bypass_policies,
        };
        flag("INHERIT", wanted.inherit, held.inherit, true, plan);
        flag("CREATEDB", wanted.create_database, held.create_database, createdb, plan);
        flag("BYPASSRLS", wanted.bypass_policies, held.bypass_policies, bypass, plan);
        if wanted.limit != held.limit {
            changed.push(format!("CONNECTION LIMIT {}", wanted.limit));
        }
        if wanted.until != held.until {
            let until = wanted.until.as_deref().unwrap_or("infinity");
            changed.push(format!("VALID UNTIL {}", quote(until)));
        }
        changed
    }

    /// From now on the source counts as a member of what the target is a member of.
    pub(super) fn keep_held(&mut self) {
        for [wanted, held] in self.memberships.values_mut() {
            wanted.extend(held.iter().cloned());
        }
    }

    /// The part of [`plan`](Self::plan) about memberships.
    pub(super) fn plan_memberships(&self, names: &Names<'_>, place: &Place, plan: &mut Plan) {
        let target = quote_identifier(names.target);
        for (role, [wanted, held]) in &self.memberships {
            let name = quote_identifier(role);
            let (wants, has) = (Options::of(wanted), Options::of(held));
            let giveable = wanted.iter().chain(held).any(|grant| grant.giveable);
            let may_give = giveable || !place.has_role_options();
            if wants != has && !may_give {
                plan.needs_admin_option(role, place);
            }
            let Some(wants) = wants else {
                for grant in held {
                    take(grant, &name, &target, "", place, plan);
                }
                continue;
            };
            let lacks = has.is_none_or(|has| wants.exceeds(has));
            if lacks || (has != Some(wants) && place.has_role_options()) {
                // A later grant by the same grantor replaces the options of an earlier one.
                plan.give(None, format!("GRANT {name} TO {target}{}", wants.clause(place)));
            }
            for grant in held.iter().filter(|grant| grant.options.exceeds(wants)) {
                match place.has_role_options() {
                    // What the admin gave itself is replaced above.
                    true if grant.grantor == place.admin => {}
                    true => take(grant, &name, &target, "", place, plan),
                    false => take(grant, &name, &target, "ADMIN OPTION FOR ", place, plan),
                }
            }
        }
    }
}

fn take(grant: &Membership, role: &str, target: &str, part: &str, place: &Place, plan: &mut Plan) {
    let by = match place.has_role_options() {
        true => format!(" GRANTED BY {}", quote_identifier(&grant.grantor)),
        false => String::new(),
    };
    let text = format!("REVOKE {part}{role} FROM {target}{by}");
    if place.has_role_options() && !grant.grantor_within_reach {
        plan.missing.insert(text.clone());
    }
    plan.take(None, text);
}
