//! What an account is set to, besides its rights and its password.
//!
//! Read from the tables in which the servers keep it, whose columns are what SHOW CREATE USER is made
//! of: the statement would show the hash of the password too, and these queries do not. Sources:
//! MySQL 9.7 reference manual, sections 8.2.3, "Grant Tables", and 15.7.1.1, "ALTER USER Statement";
//! MariaDB documentation, "mysql.global_priv" and "ALTER USER".

use serde_json::{Map, Value};

use crate::alternate::quoting::{LONGEST_NAME, quote_literal};
use crate::server::Flavour;

/// An account's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The REQUIRE clause.
    required: String,
    /// Resource limits by their names, in the order of ALTER USER; 0 is none.
    limits: Vec<(&'static str, String)>,
    /// What applies to passwords, in the words of ALTER USER.
    terms: Vec<String>,
    pub(crate) locked: bool,
    /// How its password is checked.
    pub(crate) plugin: String,
    /// Whether it has other ways to log in than one password.
    pub(crate) other_factors: bool,
    /// Whether it has a second, older password. MySQL only.
    pub(crate) retained: bool,
    /// Comment and attributes. MySQL only.
    pub(crate) attributes: Map<String, Value>,
}

impl Settings {
    /// What a new account is set to where nothing is said.
    fn fresh(flavour: Flavour) -> Self {
        let terms: &[&str] = match flavour {
            Flavour::Mysql => &[
                "PASSWORD EXPIRE DEFAULT",
                "PASSWORD HISTORY DEFAULT PASSWORD REUSE INTERVAL DEFAULT \
                 PASSWORD REQUIRE CURRENT DEFAULT",
                "FAILED_LOGIN_ATTEMPTS 0 PASSWORD_LOCK_TIME 0",
            ],
            Flavour::Mariadb => &["PASSWORD EXPIRE DEFAULT"],
        };
        Self {
            required: "REQUIRE NONE".to_owned(),
            terms: terms.iter().map(|&term| term.to_owned()).collect(),
            ..Self::default()
        }
    }

    /// Those of which no more than this is known.
    pub(crate) fn of_plugin(plugin: String, other_factors: bool) -> Self {
        Self { plugin, other_factors, ..Self::default() }
    }

    /// The clauses of CREATE USER that set a new account so.
    pub(crate) fn clauses(&self, flavour: Flavour) -> String {
        self.clauses_over(&Self::fresh(flavour))
    }

    /// The clauses of ALTER USER that make these settings of those; none if they are the same.
    /// Locks and attributes are not among them.
    pub(crate) fn clauses_over(&self, other: &Self) -> String {
        let limit = |(name, limit): &(&str, String)| {
            let before = other.limits.iter().find(|(of, _)| of == name);
            let same = before.map_or("0", |(_, limit)| limit) == limit;
            (!same).then(|| format!("{name} {limit}"))
        };
        let limits: Vec<_> = self.limits.iter().filter_map(limit).collect();
        let required = (self.required != other.required).then(|| self.required.clone());
        let limits = (!limits.is_empty()).then(|| format!("WITH {}", limits.join(" ")));
        let terms = self.terms.iter().filter(|term| !other.terms.contains(term)).cloned();
        required.into_iter().chain(limits).chain(terms).collect::<Vec<_>>().join(" ")
    }
}

/// A row for each account of a user: its host, then its settings.
pub(crate) fn query(flavour: Flavour, user: &str) -> String {
    let user = quote_literal(user);
    match flavour {
        Flavour::Mysql => format!(
            "SELECT Host, plugin, account_locked = 'Y', ssl_type, \
             CONVERT(ssl_cipher USING utf8mb4), CONVERT(x509_issuer USING utf8mb4), \
             CONVERT(x509_subject USING utf8mb4), max_questions, max_updates, max_connections, \
             max_user_connections, password_lifetime, \
             JSON_CONTAINS_PATH(User_attributes, 'one', '$.multi_factor_authentication'), \
             JSON_CONTAINS_PATH(User_attributes, 'one', '$.additional_password'), \
             JSON_EXTRACT(User_attributes, '$.metadata'), \
             Password_reuse_history, Password_reuse_time, Password_require_current, \
             JSON_EXTRACT(User_attributes, '$.Password_locking.failed_login_attempts'), \
             JSON_EXTRACT(User_attributes, '$.Password_locking.password_lock_time_days') \
             FROM mysql.user WHERE User = {user}"
        ),
        Flavour::Mariadb => {
            let value = |path: &str| format!("JSON_VALUE(Priv, '$.{path}')");
            let values: Vec<_> = [
                "plugin",
                "account_locked",
                "ssl_type",
                "ssl_cipher",
                "x509_issuer",
                "x509_subject",
                "max_questions",
                "max_updates",
                "max_connections",
                "max_user_connections",
                "password_lifetime",
            ]
            .map(value)
            .to_vec();
            format!(
                "SELECT Host, {}, JSON_EXISTS(Priv, '$.auth_or'), 0, NULL, {} \
                 FROM mysql.global_priv WHERE User = {user} \
                 AND NOT JSON_EXISTS(Priv, '$.is_role')",
                values.join(", "),
                value("max_statement_time"),
            )
        }
    }
}

/// Reads a row of [`query`]: the account's host and settings. `None` if the row is not what was
/// asked for.
pub(crate) fn read(flavour: Flavour, row: Vec<Option<String>>) -> Option<(String, Settings)> {
    let mut row = row.into_iter();
    let mut cell = || row.next();
    let (host, plugin, locked) = (cell()??, cell()?.unwrap_or_default(), is_true(cell()?));
    (host.chars().count() <= LONGEST_NAME).then_some(())?;
    let tls = [cell()?, cell()?, cell()?, cell()?];
    let limits = [cell()?, cell()?, cell()?, cell()?];
    let lifetime = cell()?;
    let (other_factors, retained) = (is_true(cell()?), is_true(cell()?));
    let attributes = match cell()? {
        None => Map::new(),
        Some(json) => serde_json::from_str(&json).ok()?,
    };
    let expiry = match (flavour, lifetime.as_deref()) {
        (_, None) | (Flavour::Mariadb, Some("-1")) => "PASSWORD EXPIRE DEFAULT".to_owned(),
        (_, Some("0")) => "PASSWORD EXPIRE NEVER".to_owned(),
        (_, Some(days)) => format!("PASSWORD EXPIRE INTERVAL {} DAY", number(days)?),
    };
    let (required, mut limits, mut terms) = (required(tls)?, limited(limits)?, vec![expiry]);
    match flavour {
        Flavour::Mariadb => {
            let seconds: f64 = cell()?.as_deref().unwrap_or("0").parse().ok()?;
            // Rust reads "inf" and "nan" too.
            seconds.is_finite().then_some(())?;
            limits.push(("MAX_STATEMENT_TIME", seconds.to_string()));
        }
        Flavour::Mysql => {
            let [history, reuse, current] = [cell()?, cell()?, cell()?];
            terms.push(remembered(history, reuse, current.as_deref())?);
            terms.push(blocked(cell()?, cell()?)?);
        }
    }
    let plugin = if plugin.is_empty() { "mysql_native_password".to_owned() } else { plugin };
    let settings =
        Settings { required, limits, terms, locked, plugin, other_factors, retained, attributes };
    Some((host, settings))
}

fn is_true(cell: Option<String>) -> bool {
    matches!(cell.as_deref(), Some("1" | "true"))
}

/// A number, and nothing that could stand in a statement otherwise.
fn number(cell: &str) -> Option<i64> {
    cell.parse().ok()
}

/// The REQUIRE clause, of the kind, cipher, issuer and subject. MySQL keeps the kind as a word,
/// MariaDB as a number.
fn required([kind, cipher, issuer, subject]: [Option<String>; 4]) -> Option<String> {
    let parts = [("SUBJECT", subject), ("ISSUER", issuer), ("CIPHER", cipher)];
    let given = |(word, value): (&str, Option<String>)| {
        let value = value.filter(|value| !value.is_empty())?;
        Some(format!("{word} {}", quote_literal(&value)))
    };
    let given: Vec<_> = parts.into_iter().filter_map(given).collect();
    Some(match kind.as_deref() {
        _ if !given.is_empty() => format!("REQUIRE {}", given.join(" AND ")),
        None | Some("" | "0") => "REQUIRE NONE".to_owned(),
        Some("ANY" | "1") => "REQUIRE SSL".to_owned(),
        Some("X509" | "2") => "REQUIRE X509".to_owned(),
        Some(_) => return None,
    })
}

fn limited(limits: [Option<String>; 4]) -> Option<Vec<(&'static str, String)>> {
    let names = [
        "MAX_QUERIES_PER_HOUR",
        "MAX_UPDATES_PER_HOUR",
        "MAX_CONNECTIONS_PER_HOUR",
        "MAX_USER_CONNECTIONS",
    ];
    let limit = |limit: Option<String>| Some(number(limit.as_deref().unwrap_or("0"))?.to_string());
    names.into_iter().zip(limits).map(|(name, cell)| Some((name, limit(cell)?))).collect()
}

/// How long passwords are remembered, and whether the current one is asked for.
fn remembered(
    history: Option<String>,
    reuse: Option<String>,
    current: Option<&str>,
) -> Option<String> {
    let history = match history {
        None => "DEFAULT".to_owned(),
        Some(count) => number(&count)?.to_string(),
    };
    let reuse = match reuse {
        None => "DEFAULT".to_owned(),
        Some(days) => format!("{} DAY", number(&days)?),
    };
    let current = match current {
        None => " DEFAULT",
        Some("Y") => "",
        Some(_) => " OPTIONAL",
    };
    Some(format!(
        "PASSWORD HISTORY {history} PASSWORD REUSE INTERVAL {reuse} PASSWORD REQUIRE CURRENT{current}"
    ))
}

/// After how many refused logins the account is blocked, and for how long.
fn blocked(attempts: Option<String>, days: Option<String>) -> Option<String> {
    let attempts = number(attempts.as_deref().unwrap_or("0"))?;
    let days = match number(days.as_deref().unwrap_or("0"))? {
        days if days < 0 => "UNBOUNDED".to_owned(),
        days => days.to_string(),
    };
    Some(format!("FAILED_LOGIN_ATTEMPTS {attempts} PASSWORD_LOCK_TIME {days}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mariadb(host: &str, seconds: &str) -> Option<(String, Settings)> {
        let mut row = vec![None; 16];
        row[0] = Some(host.to_owned());
        row[15] = Some(seconds.to_owned());
        read(Flavour::Mariadb, row)
    }

    #[test]
    fn a_number_is_one_that_a_statement_can_hold() {
        let (_, settings) = mariadb("%", "1.250000").unwrap();
        assert_eq!(settings.clauses(Flavour::Mariadb), "WITH MAX_STATEMENT_TIME 1.25");
        for seconds in ["inf", "-infinity", "NaN", "1 ACCOUNT UNLOCK", ""] {
            assert_eq!(mariadb("%", seconds), None, "{seconds}");
        }
    }

    #[test]
    fn a_host_is_no_longer_than_any_server_s() {
        assert!(mariadb(&"x".repeat(255), "0").is_some());
        assert_eq!(mariadb(&"x".repeat(256), "0"), None);
    }
}
