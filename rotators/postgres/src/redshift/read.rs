//! Reads what the two users of a pair were given, and what each has that no other user can have.

use std::collections::BTreeSet;

use fourstep::{Invocation, Result};

use super::accounts::is_mark;
use super::check_name;
use super::defaults::{DefaultRow, NOT_PUBLIC, hides_functions};
use super::rights::{Right, Rights, USER};
use super::views::{DATABASES, HERE, View};
use crate::session::Session;
use crate::sql::{quote, quote_identifier};

/// What is not carried over: what it is, a view of it, its name there, whose it is, and of which kind that is.
type Refused<'a> = [&'a str; 5];

const OF_ALL: [Refused<'_>; 2] = [
    ["ASSUMEROLE on", "svv_iam_privileges", "iam_arn", "identity_name", "identity_type"],
    [
        "a right on the datashare",
        "svv_datashare_privileges",
        "datashare_name",
        "identity_name",
        "identity_type",
    ],
];

const OF_A_DATABASE: [Refused<'_>; 3] = [
    [
        "EXECUTE on the model",
        "svv_ml_model_privileges",
        "model_name",
        "identity_name",
        "identity_type",
    ],
    ["the row-level policy", "svv_rls_attached_policy", "polname", "grantee", "granteekind"],
    ["the masking policy", "svv_attached_masking_policy", "policy_name", "grantee", "grantee_type"],
];

/// What a user owns of the whole server: what it is, and where the owner and the name are read.
const OWNED_OF_ALL: [[&str; 2]; 3] = [
    [
        "database",
        "usename::text, datname::text FROM pg_catalog.pg_database \
      JOIN pg_catalog.pg_user ON usesysid = datdba WHERE usename",
    ],
    ["role", "role_owner::text, role_name::text FROM pg_catalog.svv_roles WHERE role_owner"],
    [
        "datashare",
        "usename::text, share_name::text FROM pg_catalog.svv_datashares \
      JOIN pg_catalog.pg_user ON usesysid = share_owner WHERE usename",
    ],
];

/// The same of a database. What begins with `pg_` goes with a session, as temporary tables.
const OWNED: [[&str; 2]; 3] = [
    [
        "schema",
        "usename::text, nspname::text FROM pg_catalog.pg_namespace \
      JOIN pg_catalog.pg_user ON usesysid = nspowner WHERE nspname !~ '^pg_' AND usename",
    ],
    [
        "table or view",
        "usename::text, (nspname::text || '.' || relname::text)::text \
      FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
      JOIN pg_catalog.pg_user ON usesysid = relowner WHERE nspname !~ '^pg_' AND usename",
    ],
    [
        "function or procedure",
        "usename::text, (nspname::text || '.' || proname::text)::text \
      FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace \
      JOIN pg_catalog.pg_user ON usesysid = proowner WHERE nspname !~ '^pg_' AND usename",
    ],
];

/// How many things that a user owns are looked at: one is enough to be refused.
const MOST_OWNED: usize = 4;

/// The rights of the two users, in one order.
pub(crate) type Both = [Rights; 2];

/// Reads what two users have.
pub(crate) struct Reader<'a> {
    pub(crate) session: &'a mut Session,
    pub(crate) users: [&'a str; 2],
    /// The groups that are marks of the two: nobody should have given them anything.
    pub(crate) marks: &'a BTreeSet<String>,
    pub(crate) cx: &'a Invocation,
}

impl Reader<'_> {
    fn named(&self) -> String {
        self.users.map(quote).join(", ")
    }

    fn of<'b>(&self, both: &'b mut Both, name: &str) -> Option<&'b mut Rights> {
        let mut pair = both.iter_mut().zip(self.users);
        pair.find(|(_, user)| *user == name).map(|(rights, _)| rights)
    }

    async fn view(
        &mut self,
        both: &mut Both,
        view: &View,
        procedures: &BTreeSet<(String, String)>,
    ) -> Result<()> {
        let View(name, _, [one, two, three], option) = view;
        let marks: Vec<_> = self.marks.iter().map(|mark| quote(mark)).collect();
        let marks = match marks.is_empty() {
            true => String::new(),
            false => {
                format!(" OR identity_type = 'group' AND identity_name IN ({})", marks.join(", "))
            }
        };
        // What the arguments of a function are can be long: a cast would cut it off.
        let query = format!(
            "SELECT identity_name::text, privilege_type::text, {option}, {one}, {two}, {three} \
             FROM pg_catalog.{name} WHERE identity_type = 'user' AND identity_name IN ({}){marks}",
            self.named()
        );
        type Row = (String, String, bool, String, String, String);
        let rows: Vec<Row> = self.session.rows("a look at the rights", query, self.cx).await?;
        for (user, privilege, on, one, two, three) in rows {
            let right = view.right(&privilege, [&one, &two, &three], procedures);
            match (self.of(both, &user), right) {
                (Some(rights), Ok(right)) => rights.add(right, on),
                (Some(rights), Err(why)) => rights.refuse(why),
                (None, _) => {
                    let why = format!("what the group {user:?} was given, which is a mark");
                    both.iter_mut().for_each(|one| one.refuse(why.clone()));
                }
            }
        }
        Ok(())
    }

    /// What belongs to the whole server: groups, roles, rights on databases, and what is owned of it.
    pub(crate) async fn whole(&mut self) -> Result<Both> {
        let mut both = Both::default();
        let query = format!(
            "SELECT u.usename::text, g.groname::text FROM pg_catalog.pg_group AS g \
             JOIN pg_catalog.pg_user AS u ON u.usesysid = ANY (g.grolist) WHERE u.usename IN ({})",
            self.named()
        );
        let rows: Vec<(String, String)> =
            self.session.rows("a look at the groups", query, self.cx).await?;
        for (user, group) in rows.into_iter().filter(|(_, group)| !is_mark(group)) {
            let Some(rights) = self.of(&mut both, &user) else { continue };
            match check_name(&group) {
                Ok(()) => rights.add(Right::member(&group), false),
                Err(_) => rights.refuse(format!("the group {group:?}")),
            }
        }
        let query = format!(
            "SELECT user_name::text, role_name::text, admin_option FROM pg_catalog.svv_user_grants \
             WHERE user_name IN ({})",
            self.named()
        );
        let rows: Vec<(String, String, bool)> =
            self.session.rows("a look at the roles", query, self.cx).await?;
        for (user, role, on) in rows {
            let Some(rights) = self.of(&mut both, &user) else { continue };
            let what = format!("ROLE {}", quote_identifier(&role));
            match check_name(&role) {
                Ok(()) => rights.add(Right::granted("", &what, USER, "ADMIN"), on),
                Err(_) => rights.refuse(format!("the role {role:?}")),
            }
        }
        self.view(&mut both, &DATABASES, &BTreeSet::new()).await?;
        self.refuse(&mut both, &OWNED_OF_ALL, &OF_ALL).await?;
        self.shared(&mut both).await?;
        Ok(both)
    }

    /// Nobody logs in to a database that another cluster shares, so what one has in it is not compared.
    async fn shared(&mut self, both: &mut Both) -> Result<()> {
        let query = "SELECT database_name::text FROM pg_catalog.svv_redshift_databases \
                     WHERE database_type <> 'local'";
        let rows: Vec<(String,)> =
            self.session.rows("a look at the shared databases", query, self.cx).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = rows.iter().map(|(name,)| quote(name)).collect();
        let kind = format!("database_name IN ({}) AND identity_type", names.join(", "));
        let [what, view] = ["a right on the shared database", "svv_database_privileges"];
        let refused = [what, view, "database_name", "identity_name", kind.as_str()];
        self.refuse(both, &[], &[refused]).await
    }

    /// What belongs to the session's database.
    pub(crate) async fn here(&mut self) -> Result<Both> {
        let mut both = Both::default();
        let query = "SELECT n.nspname::text, p.proname::text FROM pg_catalog.pg_proc_info AS p \
                     JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace WHERE p.prokind = 'p'";
        let rows: Vec<(String, String)> =
            self.session.rows("a look at the procedures", query, self.cx).await?;
        let procedures = rows.into_iter().collect();
        for view in &HERE {
            self.view(&mut both, view, &procedures).await?;
        }
        self.defaults(&mut both).await?;
        let query = format!(
            "SELECT nspname::text FROM pg_catalog.pg_namespace WHERE nspname IN ({})",
            self.named()
        );
        let rows: Vec<(String,)> =
            self.session.rows("a look at the schemas", query, self.cx).await?;
        for (name,) in rows {
            if let Some(rights) = self.of(&mut both, &name) {
                rights.own_schema = true;
            }
        }
        self.refuse(&mut both, &OWNED, &OF_A_DATABASE).await?;
        Ok(both)
    }

    /// What cannot be carried over.
    async fn refuse(
        &mut self,
        both: &mut Both,
        owned: &[[&str; 2]],
        others: &[Refused<'_>],
    ) -> Result<()> {
        let named = self.named();
        let owned = owned.iter().map(|[kind, from]| {
            (format!("{kind} {{}} as its owner"), format!("{from} IN ({named}) LIMIT {MOST_OWNED}"))
        });
        let others = others.iter().map(|[what, view, name, user, kind]| {
            let from = format!(
                "{user}::text, {name}::text FROM pg_catalog.{view} WHERE {kind} = 'user' \
                 AND {user} IN ({named})"
            );
            (format!("{what} {{}}"), from)
        });
        for (told, from) in owned.chain(others) {
            let query = format!("SELECT {from}");
            let what = "a look at what one user has alone";
            let rows: Vec<(String, String)> = self.session.rows(what, query, self.cx).await?;
            for (user, name) in rows {
                if let Some(rights) = self.of(both, &user) {
                    rights.refuse(told.replace("{}", &format!("{name:?}")));
                }
            }
        }
        Ok(())
    }

    /// What is given to the users of what others make, and to others of what they make.
    async fn defaults(&mut self, both: &mut Both) -> Result<()> {
        let named = self.named();
        let query = format!(
            "SELECT schema_name::text, object_type::text, owner_name::text, privilege_type::text, \
             grantee_name::text, grantee_type::text, admin_option FROM pg_catalog.svv_default_privileges \
             WHERE owner_name IN ({named}) OR grantee_type = 'user' AND grantee_name IN ({named})"
        );
        type Row = (Option<String>, String, String, String, Option<String>, String, bool);
        let rows: Vec<Row> =
            self.session.rows("a look at the default privileges", query, self.cx).await?;
        let defaults =
            rows.iter().map(|(schema, objects, owner, privilege, grantee, grantee_kind, on)| {
                let (schema, grantee) = (schema.as_deref(), grantee.as_deref().unwrap_or_default());
                let row = DefaultRow { schema, objects, owner, privilege, grantee, grantee_kind };
                (row, *on)
            });
        let defaults: Vec<_> = defaults.collect();
        let [one, other] = self.users;
        for (rights, (user, partner)) in both.iter_mut().zip([(one, other), (other, one)]) {
            if hides_functions(&defaults, user) {
                rights.refuse(NOT_PUBLIC.to_owned());
            }
            for (default, on) in &defaults {
                match default.right(user, partner) {
                    Some(Ok(right)) => rights.add(right, *on),
                    Some(Err(why)) => rights.refuse(why),
                    None => {}
                }
            }
        }
        Ok(())
    }
}
