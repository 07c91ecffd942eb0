//! What `ALTER ROLE ... SET` says of the two users, for every database and for single ones.

use std::collections::BTreeMap;

use fourstep::{Error, Turn};

use crate::session::Session;
use crate::sql::{quote, quote_identifier};

use super::plan::{Names, Place, Plan};

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
const SETTING_RIGHTS: u32 = 150_000;

/// One setting: the source's value, the target's, and whether the admin may set it.
#[derive(Debug, Default)]
struct Setting {
    wanted: Option<String>,
    held: Option<String>,
    allowed: bool,
}

/// The settings of both, by database and name.
#[derive(Debug, Default)]
pub(crate) struct Settings(BTreeMap<(Option<String>, String), Setting>);

/// Reads the settings of both.
pub(crate) async fn read(
    session: &mut Session,
    names: &Names<'_>,
    place: &Place,
    turn: &Turn,
) -> Result<Settings, Error> {
    let granted = match place.version >= SETTING_RIGHTS {
        true => "has_parameter_privilege(session_user, split_part(one, '=', 1), 'SET')",
        false => "false",
    };
    // A setting that the server does not know, as an application's own, is as a superuser's. It
    // does know `role`, which it does not list.
    let query = format!(
        "SELECT d.datname::text, r.rolname::text, one, \
         (COALESCE(known.context, 'superuser') NOT IN ('superuser', 'superuser-backend') OR {granted} OR \
         split_part(one, '=', 1) = 'role' OR \
         (SELECT rolsuper FROM pg_roles WHERE rolname = session_user))::text \
         FROM pg_db_role_setting AS s JOIN pg_roles AS r ON r.oid = s.setrole \
         CROSS JOIN unnest(s.setconfig) AS one LEFT JOIN pg_database AS d ON d.oid = s.setdatabase \
         LEFT JOIN pg_settings AS known ON known.name = split_part(one, '=', 1) \
         WHERE r.rolname IN ({})",
        names.list()
    );
    let mut settings = Settings::default();
    for row in session.rows::<4>("a look at the settings", query, turn).await? {
        let [database, role, setting, may] = row;
        let setting = setting.unwrap_or_default();
        let Some((name, value)) = setting.split_once('=') else { continue };
        let entry = settings.0.entry((database, name.to_owned())).or_default();
        entry.allowed = may.as_deref() == Some("true");
        let side = match role.as_deref() == Some(names.source) {
            true => &mut entry.wanted,
            false => &mut entry.held,
        };
        *side = Some(value.to_owned());
    }
    Ok(settings)
}

impl Settings {
    /// What only the target is set to stays.
    pub(crate) fn keep_held(&mut self) {
        for setting in self.0.values_mut() {
            setting.wanted = setting.wanted.take().or_else(|| setting.held.clone());
        }
    }

    /// What makes the target's settings like the source's.
    pub(crate) fn plan(&self, names: &Names<'_>, place: &Place, plan: &mut Plan) {
        let role = quote_identifier(names.target);
        for ((database, name), Setting { wanted, held, allowed }) in &self.0 {
            if wanted == held {
                continue;
            }
            if !allowed {
                let admin = quote_identifier(&place.admin);
                let name = quote_parameter(name);
                plan.missing.insert(format!("GRANT SET ON PARAMETER {name} TO {admin}"));
            }
            let place = database.as_deref().map(quote_identifier);
            let place = place.map(|name| format!(" IN DATABASE {name}")).unwrap_or_default();
            let name_quoted = quote_parameter(name);
            match wanted {
                Some(value) => plan.give(
                    None,
                    format!(
                        "ALTER ROLE {role}{place} SET {name_quoted} TO {}",
                        literal(name, value)
                    ),
                ),
                None => plan.take(None, format!("ALTER ROLE {role}{place} RESET {name_quoted}")),
            }
        }
    }
}

/// The name of a setting, whose parts are names.
fn quote_parameter(name: &str) -> String {
    name.split('.').map(quote_identifier).collect::<Vec<_>>().join(".")
}

/// A value as it stands behind SET.
fn literal(name: &str, value: &str) -> String {
    match LISTS.contains(&name) {
        true if value.is_empty() => "''".to_owned(),
        true => names_in(value).iter().map(|one| quote(one)).collect::<Vec<_>>().join(", "),
        false => quote(value),
    }
}

/// The names in a list in which each is either plain or in double quotes.
fn names_in(list: &str) -> Vec<String> {
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
