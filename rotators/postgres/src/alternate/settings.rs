//! What `ALTER ROLE ... SET` says of the two users, for every database and for single ones; and so,
//! as which role each acts.

use std::collections::BTreeMap;

use fourstep::{Invocation, Result};

use crate::session::Session;
use crate::sql::{self, quote, quote_identifier};

use super::Names;

/// Settings that the server keeps as a list of quoted names: in a statement each name stands by
/// itself. Source: `variable_is_guc_list_quote` in PostgreSQL 18's pg_dump, and the settings'
/// own pages.
const LISTS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// From this version on a superuser's settings can be granted.
pub(crate) const SETTING_RIGHTS: i32 = 150_000;

/// The setting that says as whom a session begins. Source: PostgreSQL 18 documentation, SET ROLE.
const ROLE: &str = "role";

/// Whether a setting says who a session is. That is never copied. Source: the same, SET SESSION
/// AUTHORIZATION.
fn of_login(name: &str) -> bool {
    name == ROLE || name == "session_authorization"
}

/// One setting: the first's value, the second's, everybody's, and whether the admin may set it.
#[derive(Debug, Default)]
struct Setting {
    first: Option<String>,
    second: Option<String>,
    /// Read of `role` only.
    everybody: Option<String>,
    allowed: bool,
}

/// The settings of both, by database and name.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    known: BTreeMap<(Option<String>, String), Setting>,
    first: String,
    /// Where the first is set to act as the second, which it cannot.
    misled: Vec<Option<String>>,
}

/// Reads the settings of both.
pub(crate) async fn read(
    session: &mut Session,
    names: &Names<'_>,
    cx: &Invocation,
) -> Result<Settings> {
    let version = session.version;
    let granted = match version >= SETTING_RIGHTS {
        true => "has_parameter_privilege(session_user, split_part(one, '=', 1), 'SET')",
        false => "false",
    };
    // A setting that the server does not know, as an application's own, is as a superuser's. It
    // does know `role`, which it does not list. One to a role that the first may not act as has no
    // effect but a warning at the login.
    let query = format!(
        "SELECT d.datname, r.rolname, one, \
         COALESCE(known.context, 'superuser') NOT IN ('superuser', 'superuser-backend') \
         OR {granted} OR own.rolsuper, \
         COALESCE((SELECT pg_has_role(f.oid, x.oid, '{}') FROM pg_roles AS x \
         WHERE x.rolname = substr(one, 6)), false) FROM {} JOIN pg_db_role_setting AS p \
         ON p.setrole IN (0, f.oid, s.oid) CROSS JOIN unnest(p.setconfig) AS one \
         LEFT JOIN pg_roles AS r ON r.oid = p.setrole \
         LEFT JOIN pg_database AS d ON d.oid = p.setdatabase \
         LEFT JOIN pg_settings AS known ON known.name = split_part(one, '=', 1) \
         WHERE p.setrole <> 0 OR one LIKE 'role=%'",
        sql::set_mode(version),
        names.rows()
    );
    let mut settings = Settings { first: names.first.to_owned(), ..Settings::default() };
    settings.known.entry((None, ROLE.to_owned())).or_default();
    type Row = (Option<String>, Option<String>, String, bool, bool);
    for row in session.rows::<Row>("a look at the settings", query, cx).await? {
        let (database, user, setting, allowed, fit) = row;
        let Some((name, value)) = setting.split_once('=') else { continue };
        let mut value = Some(value.to_owned());
        let is_second = user.as_deref() == Some(names.second);
        if name == ROLE && !is_second {
            match value.as_deref() {
                Some("none") => value = Some(names.first.to_owned()),
                Some(role) if role == names.second && user.is_some() => {
                    settings.misled.push(database.clone());
                    continue;
                }
                _ if !fit => continue,
                _ => {}
            }
        }
        let entry = settings.known.entry((database, name.to_owned())).or_default();
        entry.allowed = allowed;
        let side = match user {
            Some(_) if is_second => &mut entry.second,
            Some(_) => &mut entry.first,
            None => &mut entry.everybody,
        };
        *side = value;
    }
    Ok(settings)
}

impl Settings {
    /// As which role the first acts in a database, or where nothing is said of the database.
    pub(crate) fn identity(&self, database: Option<&str>) -> &str {
        let everybody = || self.of(database, |one| one.everybody.as_deref());
        self.of(database, |one| one.first.as_deref()).or_else(everybody).unwrap_or(&self.first)
    }

    /// To whom the second's things go in a database. What is set for everybody leads nothing there:
    /// whoever owns the database sets it, to any role of the first's.
    pub(crate) fn heir(&self, database: &str) -> &str {
        self.of(Some(database), |one| one.first.as_deref()).unwrap_or(&self.first)
    }

    fn of<'a>(
        &'a self,
        database: Option<&str>,
        side: impl Fn(&'a Setting) -> Option<&'a str>,
    ) -> Option<&'a str> {
        let at = |place: Option<&str>| self.known.get(&(place.map(str::to_owned), ROLE.to_owned()));
        let places = [database.and_then(|name| at(Some(name))), at(None)];
        places.into_iter().flatten().find_map(side)
    }

    /// What is said where the first is set to act as a second that does not exist: it was the second
    /// itself, of a user that was dropped.
    pub(crate) fn turned(&self, names: &Names<'_>) -> Option<String> {
        let Names { first, second } = names;
        (!self.misled.is_empty()).then(|| {
            format!(
                "user {second:?} is gone, as which user {first:?} acts: {first:?} is the first of the two \
                 from now on, {second:?} is made again as its second, and what {second:?} was granted is \
                 lost; if that is not meant, create {second:?} by hand before"
            )
        })
    }

    /// Every role that the first acts as somewhere.
    pub(crate) fn identities(&self) -> Vec<&str> {
        self.known.keys().map(|(place, _)| self.identity(place.as_deref())).collect()
    }

    /// What makes the second act as the first does.
    pub(crate) fn act(&self, names: &Names<'_>) -> Vec<String> {
        let [first, second] = [names.first, names.second].map(quote_identifier);
        let mut statements = Vec::new();
        for ((place, _), Setting { second: held, .. }) in
            self.known.iter().filter(|((_, name), _)| name == ROLE)
        {
            let wanted = self.identity(place.as_deref());
            let anywhere = place.as_ref().map(|_| self.identity(None));
            let change = match held.as_deref() {
                held if held == Some(wanted) || held.is_none() && anywhere == Some(wanted) => {
                    continue;
                }
                Some(_) if anywhere == Some(wanted) => format!("RESET {ROLE}"),
                _ => format!("SET {ROLE} TO {}", quote(wanted)),
            };
            statements.push(format!("ALTER ROLE {second}{} {change}", within(place)));
        }
        let misled = self.misled.iter();
        statements.extend(misled.map(|p| format!("ALTER ROLE {first}{} RESET {ROLE}", within(p))));
        statements
    }

    /// What gives the second the first's other settings, and what the admin lacks for that.
    pub(crate) fn level(&self, names: &Names<'_>, admin: &str, version: i32) -> [Vec<String>; 2] {
        let second = quote_identifier(names.second);
        let [mut statements, mut missing] = [Vec::new(), Vec::new()];
        let different = self.known.iter().filter(|(_, one)| one.first != one.second);
        for ((place, name), setting) in different.filter(|((_, name), _)| !of_login(name)) {
            let parameter = quote_parameter(name);
            let change = match &setting.first {
                Some(value) => format!("SET {parameter} TO {}", literal(name, value)),
                None => format!("RESET {parameter}"),
            };
            let statement = format!("ALTER ROLE {second}{} {change}", within(place));
            if !setting.allowed && version >= SETTING_RIGHTS {
                let admin = quote_identifier(admin);
                missing.push(format!("GRANT SET ON PARAMETER {parameter} TO {admin}"));
            } else if !setting.allowed {
                missing.push(statement.clone());
            }
            statements.push(statement);
        }
        [statements, missing]
    }
}

fn within(database: &Option<String>) -> String {
    let name = database.as_deref().map(quote_identifier);
    name.map(|name| format!(" IN DATABASE {name}")).unwrap_or_default()
}

/// The name of a setting, whose parts are names.
pub(crate) fn quote_parameter(name: &str) -> String {
    name.split('.').map(quote_identifier).collect::<Vec<_>>().join(".")
}

/// A value as it stands behind SET.
pub(crate) fn literal(name: &str, value: &str) -> String {
    match LISTS.contains(&name) {
        true if value.is_empty() => "''".to_owned(),
        true => names_in(value).iter().map(|one| quote(one)).collect::<Vec<_>>().join(", "),
        false => quote(value),
    }
}

/// The names in a list in which each is either plain or in double quotes.
pub(crate) fn names_in(list: &str) -> Vec<String> {
    let (mut names, mut name, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = list.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => name.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => names.push(std::mem::take(&mut name)),
            ' ' | '\t' | '\n' if !quoted => {}
            other => name.push(other),
        }
    }
    names.push(name);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_names_is_told_name_by_name() {
        for (name, value, expected) in [
            ("search_path", r#""$user", public"#, "'$user', 'public'"),
            ("search_path", r#""a, b", "c""d""#, "'a, b', 'c\"d'"),
            ("search_path", "", "''"),
            ("search_path", r#""""#, "''"),
            ("work_mem", "64MB", "'64MB'"),
            ("application_name", "a, 'b'", "'a, ''b'''"),
        ] {
            assert_eq!(literal(name, value), expected);
        }
    }
}
