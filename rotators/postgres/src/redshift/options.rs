//! What `ALTER USER` says of a user, as far as it can be read: the two users of a pair get the same.

use std::collections::BTreeMap;

use fourstep::{Invocation, Result};

use super::rights::USER;
use crate::alternate::settings::{literal, names_in, quote_parameter};
use crate::session::Session;
use crate::sql::quote;

/// The setting in which `$user` stands for the user's own name.
const SEARCH_PATH: &str = "search_path";

/// What stands between two settings. One that has such a character of its own is refused.
const BETWEEN: char = '\u{1e}';

/// The options of one user. Sources: Database Developer Guide, ALTER USER, PG_USER, SVV_USER_INFO.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    createdb: bool,
    /// `None` for UNLIMITED.
    limit: Option<u32>,
    /// Whether SYSLOG ACCESS is UNRESTRICTED.
    all_logs: bool,
    /// In seconds; 0 for none.
    idle: u32,
    settings: BTreeMap<String, String>,
    /// What of them cannot be read or carried over.
    pub(crate) refused: Vec<String>,
}

/// The options of a user. None if it does not exist.
pub(crate) async fn read(
    session: &mut Session,
    user: &str,
    cx: &Invocation,
) -> Result<Option<Options>> {
    let what = "a look at the user's options";
    let query = format!(
        "SELECT usecreatedb, valuntil IS NOT NULL AND valuntil <> 'infinity', \
         array_to_string(useconfig, chr({})), array_to_string(useconfig, '') \
         FROM pg_catalog.pg_user WHERE usename = {}",
        u32::from(BETWEEN),
        quote(user)
    );
    type Row = (bool, bool, Option<String>, Option<String>);
    let rows: Vec<Row> = session.rows(what, query, cx).await?;
    let query = format!(
        "SELECT connection_limit::text, syslog_access::text, session_timeout::text \
         FROM pg_catalog.svv_user_info WHERE user_name = {}",
        quote(user)
    );
    let more: Vec<(String, String, String)> = session.rows(what, query, cx).await?;
    let (Some((createdb, ends, settings, joined)), Some((limit, logs, idle))) =
        (rows.into_iter().next(), more.into_iter().next())
    else {
        return Ok(None);
    };
    let mut options = Options { createdb, all_logs: logs == "UNRESTRICTED", ..Options::default() };
    let mut refuse = |what: String| options.refused.push(what);
    if ends {
        refuse("an end of its password's time (VALID UNTIL)".to_owned());
    }
    match limit.parse() {
        Ok(limit) => options.limit = Some(limit),
        Err(_) if limit.eq_ignore_ascii_case("UNLIMITED") => {}
        Err(_) => refuse(format!("a connection limit {limit:?}, which is not known")),
    }
    match idle.parse() {
        Ok(idle) => options.idle = idle,
        Err(_) => refuse(format!("a session timeout {idle:?}, which is not known")),
    }
    match read_settings(&settings.unwrap_or_default(), &joined.unwrap_or_default()) {
        Some(settings) => options.settings = settings,
        None => refuse(
            "a setting (SET) that cannot be read, or has a backslash or a control character"
                .to_owned(),
        ),
    }
    Ok(Some(options))
}

/// The settings in this list. None if one cannot be read or written, as `joined` tells, in which nothing stands
/// between them.
fn read_settings(list: &str, joined: &str) -> Option<BTreeMap<String, String>> {
    if joined.contains(|c: char| c.is_control() || c == '\\') {
        return None;
    }
    let each = list.split(BETWEEN).filter(|setting| !setting.is_empty());
    let parts = each.map(|setting| setting.split_once('='));
    parts.map(|it| it.map(|(name, value)| (name.to_owned(), value.to_owned()))).collect()
}

impl Options {
    /// Whether unqualified names mean a schema of the user's own name first.
    pub(crate) fn looks_in_own_schema(&self) -> bool {
        let path = self.settings.get(SEARCH_PATH);
        path.is_none_or(|path| names_in(path).iter().any(|name| name == "$user"))
    }

    /// What makes these as the source's, each behind `ALTER USER ...`.
    pub(crate) fn level(&self, source: &Self) -> Vec<String> {
        let mut all = Vec::new();
        if self.createdb != source.createdb {
            all.push(if source.createdb { "CREATEDB" } else { "NOCREATEDB" }.to_owned());
        }
        if self.limit != source.limit {
            let limit = source.limit.map_or("UNLIMITED".to_owned(), |limit| limit.to_string());
            all.push(format!("CONNECTION LIMIT {limit}"));
        }
        if self.all_logs != source.all_logs {
            let access = if source.all_logs { "UNRESTRICTED" } else { "RESTRICTED" };
            all.push(format!("SYSLOG ACCESS {access}"));
        }
        if self.idle != source.idle {
            all.push(match source.idle {
                0 => "RESET SESSION TIMEOUT".to_owned(),
                idle => format!("SESSION TIMEOUT {idle}"),
            });
        }
        for (name, value) in &source.settings {
            if self.settings.get(name) != Some(value) {
                all.push(format!("SET {} TO {}", quote_parameter(name), literal(name, value)));
            }
        }
        let surplus = self.settings.keys().filter(|name| !source.settings.contains_key(*name));
        all.extend(surplus.map(|name| format!("RESET {}", quote_parameter(name))));
        all.into_iter().map(|change| format!("ALTER USER {USER} {change}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_with_a_control_character_is_never_read_as_two() {
        let read = |all: &[&str]| read_settings(&all.join("\u{1e}"), &all.concat());
        let all = [("a".to_owned(), "1=2".to_owned()), ("b".to_owned(), String::new())];
        assert_eq!(read(&["a=1=2", "b="]), Some(all.into()));
        assert_eq!(read(&[]), Some(BTreeMap::new()));
        for wrong in ["a=1\u{1e}b=2", "a\u{1}=1", "a=\n", "a=\\", "a"] {
            assert_eq!(read(&["c=3", wrong]), None, "{wrong:?}");
        }
    }

    #[test]
    fn every_option_is_levelled_and_then_nothing_is_left() {
        let settings = [("search_path", "\"$user\", a"), ("statement_timeout", "5")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let source = Options {
            createdb: true,
            limit: Some(3),
            all_logs: true,
            idle: 60,
            settings: settings.into(),
            refused: Vec::new(),
        };
        assert!(source.level(&source).is_empty());
        let given = Options::default().level(&source);
        let changes = [
            "CREATEDB",
            "CONNECTION LIMIT 3",
            "SYSLOG ACCESS UNRESTRICTED",
            "SESSION TIMEOUT 60",
            "SET \"search_path\" TO '$user', 'a'",
            "SET \"statement_timeout\" TO '5'",
        ];
        assert_eq!(given, changes.map(|change| format!("ALTER USER {USER} {change}")));
        let taken = source.level(&Options::default());
        let changes = [
            "NOCREATEDB",
            "CONNECTION LIMIT UNLIMITED",
            "SYSLOG ACCESS RESTRICTED",
            "RESET SESSION TIMEOUT",
            "RESET \"search_path\"",
            "RESET \"statement_timeout\"",
        ];
        assert_eq!(taken, changes.map(|change| format!("ALTER USER {USER} {change}")));
        assert!(source.looks_in_own_schema() && Options::default().looks_in_own_schema());
        let path = [("search_path".to_owned(), "a".to_owned())];
        assert!(!Options { settings: path.into(), ..source }.looks_in_own_schema());
    }
}
