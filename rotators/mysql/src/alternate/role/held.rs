//! What accounts may do, as the tables say in which MySQL keeps it.

use std::collections::{BTreeMap, BTreeSet};

use fourstep::{Invocation, Result};
use serde_json::Value;

use crate::alternate::pattern::is_like;
use crate::alternate::quoting::{AccountName, name, quote_literal};
use crate::alternate::read::{not_understood, table};
use crate::alternate::role::power::reach;
use crate::session::Session;

/// The columns of `mysql.user` and, the first so many of them, of `mysql.db` that hold a privilege
/// each, without what they end in.
pub(crate) const PRIVILEGES: [&str; 31] = [
    "Select",
    "Insert",
    "Update",
    "Delete",
    "Create",
    "Drop",
    "Grant",
    "References",
    "Index",
    "Alter",
    "Create_tmp_table",
    "Lock_tables",
    "Create_view",
    "Show_view",
    "Create_routine",
    "Alter_routine",
    "Execute",
    "Event",
    "Trigger",
    "Reload",
    "Shutdown",
    "Process",
    "File",
    "Show_db",
    "Super",
    "Repl_slave",
    "Repl_client",
    "Create_user",
    "Create_tablespace",
    "Create_role",
    "Drop_role",
];

/// How many of them a schema has.
const OF_SCHEMAS: usize = 19;

/// What a privilege is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    Server,
    /// A schema, or a pattern of its name.
    Schema(String),
    Table(String, String),
    Column(String, String, String),
    /// A procedure or function: its kind, schema and name.
    Routine(String, String, String),
}

impl Scope {
    fn schema(&self) -> Option<&str> {
        match self {
            Self::Server => None,
            Self::Schema(schema)
            | Self::Table(schema, _)
            | Self::Column(schema, ..)
            | Self::Routine(_, schema, _) => Some(schema),
        }
    }

    fn sql(&self) -> String {
        match self {
            Self::Server => "*.*".to_owned(),
            Self::Schema(schema) => format!("{}.*", name(schema)),
            Self::Table(schema, table) => format!("{}.{}", name(schema), name(table)),
            Self::Column(schema, table, column) => {
                format!("{} of {}.{}", name(column), name(schema), name(table))
            }
            Self::Routine(kind, schema, routine) => {
                format!("{} {}.{}", kind.to_lowercase(), name(schema), name(routine))
            }
        }
    }
}

/// A privilege, in capitals, and what it is about.
pub(crate) type Right = (Scope, String);

/// What an account may do, without its roles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) rights: BTreeSet<Right>,
    /// What is taken out of privileges on the whole server by a partial revoke.
    pub(crate) denied: BTreeSet<Right>,
}

/// How a right is called.
pub(crate) fn shown((place, privilege): &Right) -> String {
    format!("{privilege} on {}", place.sql())
}

/// What this account may do, with all roles that it reaches if `with_roles`: for each of them.
pub(crate) async fn read(
    session: &mut Session,
    account: &AccountName,
    with_roles: bool,
    cx: &Invocation,
) -> Result<BTreeMap<AccountName, Held>> {
    let (user, host) =
        (quote_literal(&account.user), quote_literal(account.host.as_deref().unwrap_or_default()));
    let account = format!("User = {user} AND Host = {host}");
    let begin = match with_roles {
        true => reach("''", &account),
        false => format!("WITH reach AS (SELECT User, Host FROM mysql.user WHERE {account})"),
    };
    let mut found: BTreeMap<AccountName, Held> = BTreeMap::new();
    for row in table(session, &format!("{begin}\n{}", query()), cx).await? {
        let of = AccountName::new(&row[0], &row[1]);
        found.entry(of).or_default().take(row).ok_or_else(not_understood)?;
    }
    Ok(found)
}

/// Rows of an account's user and host, a kind, three names and privileges between commas.
fn query() -> String {
    let set = |columns: &[&str]| {
        let one = |column: &&str| {
            format!("IF({column}_priv = 'Y', '{}', NULL)", column.replace('_', " "))
        };
        format!("CONCAT_WS(',', {})", columns.iter().map(one).collect::<Vec<_>>().join(", "))
    };
    let of = |kind: &str, names: [&str; 3], privileges: &str, from: &str| {
        let wide = |of: &str| format!("CONVERT({of} USING utf8mb4)");
        let names = names.map(wide).join(", ");
        format!(
            "SELECT {}, {}, {kind}, {names}, {} FROM reach JOIN mysql.{from} USING (User, Host)",
            wide("User"),
            wide("Host"),
            wide(privileges)
        )
    };
    let dynamic =
        "CONCAT(PRIV, IF(WITH_GRANT_OPTION = 'Y', CONCAT(',', PRIV, ' WITH GRANT OPTION'), ''))";
    let restrictions = "COALESCE(JSON_EXTRACT(User_attributes, '$.Restrictions'), '[]')";
    let parts = [
        of("''", ["''"; 3], &set(&PRIVILEGES), "user"),
        of("'denied'", ["''"; 3], restrictions, "user"),
        of("''", ["''"; 3], dynamic, "global_grants"),
        of("'schema'", ["Db", "''", "''"], &set(&PRIVILEGES[..OF_SCHEMAS]), "db"),
        of("'table'", ["Db", "Table_name", "''"], "Table_priv", "tables_priv"),
        of("'column'", ["Db", "Table_name", "Column_name"], "Column_priv", "columns_priv"),
        of(
            "CONVERT(Routine_type USING utf8mb4)",
            ["Db", "Routine_name", "''"],
            "Proc_priv",
            "procs_priv",
        ),
    ];
    parts.join("\nUNION ALL\n")
}

impl Held {
    /// Takes in a row of [`query`]. `None` if it is not understood.
    fn take(&mut self, [_, _, kind, one, two, three, privileges]: [String; 7]) -> Option<()> {
        let place = match kind.as_str() {
            "denied" => return self.deny(&privileges),
            "" => Scope::Server,
            "schema" => Scope::Schema(one),
            "table" => Scope::Table(one, two),
            "column" => Scope::Column(one, two, three),
            _ => Scope::Routine(kind, one, two),
        };
        let named = privileges.split(',').filter(|privilege| !privilege.is_empty());
        let named = named.map(|privilege| match privilege.to_ascii_uppercase() {
            grant if grant == "GRANT" => "GRANT OPTION".to_owned(),
            other => other,
        });
        self.rights.extend(named.map(|privilege| (place.clone(), privilege)));
        Some(())
    }

    /// `[{"Database": "sys", "Privileges": ["INSERT"]}]`
    fn deny(&mut self, json: &str) -> Option<()> {
        let restrictions: Value = serde_json::from_str(json).ok()?;
        for one in restrictions.as_array()? {
            let schema = one.get("Database")?.as_str()?.to_owned();
            for privilege in one.get("Privileges")?.as_array()? {
                let privilege = privilege.as_str()?.to_ascii_uppercase();
                self.denied.insert((Scope::Schema(schema.clone()), privilege));
            }
        }
        Some(())
    }

    /// Whether a privilege on the whole server reaches everything of which `of` holds.
    fn everywhere(&self, privilege: &str, of: impl Fn(&Scope) -> bool) -> bool {
        self.rights.contains(&(Scope::Server, privilege.to_owned()))
            && !self.denied.iter().any(|(place, denied)| denied == privilege && of(place))
    }
}

/// What one account may do in schemas, by the rows of `mysql.db`. Of those that fit a schema the
/// server takes one, the most specific.
#[derive(Default)]
struct Schemas<'a> {
    /// By the name of one schema.
    named: BTreeMap<String, BTreeSet<&'a str>>,
    /// By a pattern that may fit several.
    patterns: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Schemas<'a> {
    fn of(held: &'a Held) -> Self {
        let mut schemas = Self::default();
        for (place, privilege) in &held.rights {
            let Scope::Schema(schema) = place else { continue };
            match literal(schema) {
                Some(name) => schemas.named.entry(name).or_default().insert(privilege),
                None => schemas.patterns.entry(schema).or_default().insert(privilege),
            };
        }
        schemas
    }

    /// Whether a privilege holds in the schema of this name. Where several patterns fit, which one
    /// the server takes is not guessed: all must have it.
    fn reach(&self, name: &str, privilege: &str) -> bool {
        if let Some(named) = self.named.get(name) {
            return named.contains(privilege);
        }
        let mut fits =
            self.patterns.iter().filter(|(pattern, _)| is_like(name, pattern)).peekable();
        fits.peek().is_some() && fits.all(|(_, held)| held.contains(privilege))
    }

    /// Whether it holds wherever this pattern fits.
    fn reach_all_of(&self, pattern: &str, privilege: &str) -> bool {
        let has = |pattern| self.patterns.get(pattern).is_some_and(|held| held.contains(privilege));
        has(pattern) || has("%")
    }
}

/// The one schema that a name in `mysql.db` stands for, if it is no pattern.
pub(crate) fn literal(schema: &str) -> Option<String> {
    let mut name = String::new();
    let mut characters = schema.chars();
    while let Some(one) = characters.next() {
        match one {
            '%' | '_' => return None,
            '\\' => name.push(characters.next().unwrap_or('\\')),
            other => name.push(other),
        }
    }
    Some(name)
}

/// What several accounts may do together.
pub(crate) struct Together<'a> {
    accounts: Vec<(&'a Held, Schemas<'a>)>,
}

impl<'a> Together<'a> {
    pub(crate) fn of(accounts: impl Iterator<Item = &'a Held>) -> Self {
        Self { accounts: accounts.map(|held| (held, Schemas::of(held))).collect() }
    }

    /// Whether they have this right of `held`, on its object or on what that is part of.
    fn has(&self, right @ (place, privilege): &Right, held: &Held) -> bool {
        if let Scope::Server = place {
            // What is denied to both is no difference.
            let denied = |of: &Scope| !held.denied.contains(&(of.clone(), privilege.clone()));
            return self.accounts.iter().any(|(one, _)| one.everywhere(privilege, denied));
        }
        let schema = place.schema().unwrap_or_default();
        let of_it = |of: &Scope| of.schema() == Some(schema);
        let table = match place {
            Scope::Column(schema, table, _) => {
                Some((Scope::Table(schema.clone(), table.clone()), privilege.clone()))
            }
            _ => None,
        };
        let by_schema = |schemas: &Schemas<'_>| match (place, literal(schema)) {
            (Scope::Schema(pattern), None) => schemas.reach_all_of(pattern, privilege),
            (Scope::Schema(_), Some(name)) => schemas.reach(&name, privilege),
            _ => schemas.reach(schema, privilege),
        };
        let on_object = |one: &Held| match place {
            Scope::Schema(_) => false,
            _ => one.rights.contains(right),
        };
        self.accounts.iter().any(|(one, schemas)| {
            on_object(one)
                || one.everywhere(privilege, of_it)
                || by_schema(schemas)
                || table.as_ref().is_some_and(|table| one.rights.contains(table))
        })
    }

    /// The rights that one has and these have not.
    pub(crate) fn lack<'b>(&'b self, held: &'b Held) -> impl Iterator<Item = &'b Right> {
        held.rights.iter().filter(|right| !self.has(right, held))
    }
}

#[cfg(test)]
mod tests;
