//! Fields of a secret document that are wrong by their form: what was found, what was meant, and
//! what to write. They are refused before anything is stored.
//!
//! No value is quoted unless it is a word of the lists here: a password may stand in any field.

use std::net::IpAddr;

use crate::error::{Error, ErrorKind, Result};
use crate::secret::{Document, malformed};
use crate::users::Dialect;

/// The words that stand in `engine`, or that people write there, and who takes which. Sources: AWS
/// Secrets Manager User Guide, "JSON structure of database secrets"; the names of the engines in
/// Amazon RDS, in drivers' addresses and in Terraform.
const ENGINES: [(&str, &[&str]); 7] = [
    (
        "rotate-postgres",
        &[
            "postgres",
            "postgresql",
            "aurora-postgresql",
            "aurora-postgres",
            "pg",
            "pgsql",
            "psql",
            "rds-postgres",
            "redshift",
        ],
    ),
    ("rotate-mysql", &["mysql", "aurora-mysql", "aurora", "mariadb", "maria", "mysql2"]),
    (
        "rotate-sqlserver",
        &["sqlserver", "mssql", "sqlserver-se", "sqlserver-ex", "sqlserver-web", "sqlserver-ee"],
    ),
    ("", &["oracle", "oracle-ee", "oracle-se2"]),
    ("", &["db2", "db2-se", "db2-ae"]),
    ("rotate-mongodb", &["mongo", "mongodb", "documentdb", "docdb"]),
    ("rotate-redis", &["redis", "valkey", "elasticache"]),
];

/// What people call the fields that a database's secret must have.
const SYNONYMS: [(&str, &[&str]); 4] = [
    ("engine", &["engine", "type", "dbengine", "db_engine", "driver", "dialect"]),
    (
        "host",
        &["host", "hostname", "host_name", "endpoint", "server", "address", "dbhost", "db_host"],
    ),
    ("username", &["username", "user", "user_name", "login", "dbuser", "db_user", "db_username"]),
    ("password", &["password", "pass", "passwd", "pwd", "secret", "db_password", "dbpassword"]),
];

/// The longest name of a host, in bytes, and of one part of it. Source: RFC 1035, section 2.3.4.
const LONGEST_HOST: usize = 253;
const LONGEST_LABEL: usize = 63;

/// A field that must be there and be a non-empty string.
pub(super) fn required<'a>(document: &'a Document, field: &str) -> Result<&'a str> {
    if let Some(value) = document.optional(field)? {
        return Ok(value);
    }
    if ["SecretString", "VersionId"].iter().all(|key| document.field(key).is_some()) {
        let what = "the secret value is the whole answer of get-secret-value";
        return Err(Error::new(ErrorKind::Malformed, what).caused_by(
            "store what stands in its SecretString; the AWS CLI prints that alone with --query \
             SecretString --output text",
        ));
    }
    let missing = malformed(field, "is missing or empty");
    let synonyms = SYNONYMS.iter().find(|(name, _)| *name == field);
    let is_meant = |key: &&str| {
        let meant = |(_, known): &(_, &[&str])| known.contains(&&*key.to_ascii_lowercase());
        *key != field && synonyms.is_some_and(meant)
    };
    let Some(meant) = document.keys().find(is_meant) else { return Err(missing) };
    Err(missing.caused_by(format!("there is {meant:?}, which is not read; rename it")))
}

/// The engine must be one of the dialect's or of those besides it, as it is spelled there: which of
/// them, and the word.
pub(super) fn check_engine<'a>(
    engine: &str,
    dialect: &'a Dialect,
) -> Result<(&'a Dialect, &'static str)> {
    let words = || dialect.all().flat_map(|one| one.engines.iter().map(move |word| (one, *word)));
    if let Some(known) = words().find(|(_, word)| *word == engine) {
        return Ok(known);
    }
    let accepted: Vec<_> = words().map(|(_, word)| word).collect();
    let all = accepted.join("\" or \"");
    let wrong = malformed("engine", &format!("must be \"{all}\" for this rotator"));
    let lower = engine.trim().to_ascii_lowercase();
    let known = ENGINES.iter().find(|(_, words)| words.contains(&lower.as_str()));
    let Some((rotator, words)) = known else { return Err(wrong) };
    let ours = |word: &&&str| accepted.contains(*word);
    // The word that is meant: the same in another spelling, or the first of its kind.
    let meant = words.iter().filter(ours).find(|word| **word == lower);
    Err(match (meant.or_else(|| words.iter().find(ours)), rotator) {
        (Some(meant), _) => wrong.caused_by(format!("it is {engine:?}; write {meant:?}")),
        (None, &"") => wrong.caused_by(format!("it is {engine:?}, for which there is no rotator")),
        (None, rotator) => {
            wrong.caused_by(format!("it is {engine:?}: this secret is for {rotator}"))
        }
    })
}

/// A name is no longer than the server takes.
pub(super) fn check_name(field: &str, name: &str, longest: usize) -> Result<()> {
    if name.len() <= longest {
        return Ok(());
    }
    let why = format!("it has {} bytes and no more than {longest} are taken", name.len());
    Err(malformed(field, "is too long").caused_by(why))
}

/// A host is a name or an address and nothing more.
pub(super) fn check_host(field: &str, host: &str) -> Result<()> {
    match unlike_a_host(host) {
        None => Ok(()),
        Some(what) => Err(malformed(field, &what)),
    }
}

fn unlike_a_host(host: &str) -> Option<String> {
    // A link-local address is followed by the interface that leads there.
    if host.split('%').next().is_some_and(|address| address.parse::<IpAddr>().is_ok()) {
        return None;
    }
    if host.contains("://") {
        return Some("is a URL; write the name of the host alone".to_owned());
    }
    if host.chars().any(|one| one.is_whitespace() || one.is_control()) {
        return Some("contains white space or a control character; take it out".to_owned());
    }
    if host.contains(',') {
        return Some("lists several hosts; name the one that is written to".to_owned());
    }
    if let Some(inside) = host.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
        let address = inside.parse::<IpAddr>().is_ok();
        return Some(match address && host.ends_with(']') {
            true => "is an address in brackets; write it without them".to_owned(),
            false if address => "is an address and a port; move the port to \"port\", and write \
                                 the address without brackets"
                .to_owned(),
            false => "is neither a name nor an address".to_owned(),
        });
    }
    if let Some((name, port)) = host.rsplit_once(':') {
        let is_port = port.parse::<u16>().is_ok() && !name.contains(':');
        return Some(
            match is_port {
                true => "holds a port; move it to \"port\"",
                false => "contains a colon and is no address",
            }
            .to_owned(),
        );
    }
    if let Some(one) = host.chars().find(|one| "/\\@?#'\"`<>()|;$&=*!".contains(*one)) {
        return Some(format!("contains {one:?}, which no name of a host has"));
    }
    // A dot at the end says that the name is whole.
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.split('.').any(str::is_empty) {
        return Some("has an empty part between dots".to_owned());
    }
    let too_long =
        name.len() > LONGEST_HOST || name.split('.').any(|one| one.len() > LONGEST_LABEL);
    too_long.then(|| {
        format!("is longer than a name may be ({LONGEST_HOST} bytes, {LONGEST_LABEL} in each part)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use serde_json::json;

    #[test]
    fn a_host_that_cannot_be_one_is_refused_with_what_is_wrong_and_never_quoted() {
        for (host, why) in [
            ("canary.example:5432", "move it to \"port\""),
            ("canary.example:", "contains a colon"),
            ("canary.example:http", "contains a colon"),
            ("[::1]:5432", "without brackets"),
            ("[::1]", "without them"),
            ("[canary]", "neither a name nor an address"),
            ("::canary", "contains a colon"),
            ("postgres://app:canary@db/app", "is a URL"),
            ("canary.example/app", "contains '/'"),
            ("app@canary.example", "contains '@'"),
            (" canary.example", "white space"),
            ("canary.example\n", "white space"),
            ("canary a", "white space"),
            ("canary-a,canary-b", "several hosts"),
            ("canary..example", "empty part"),
            (".canary", "empty part"),
            (".", "empty part"),
            (&"canary".repeat(11), "longer"),
            (&"canary.".repeat(40), "longer"),
        ] {
            let error = check_host("host", host).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Malformed, "{host}");
            let text = error.to_string();
            assert!(text.contains("\"host\"") && text.contains(why), "{host}: {text}");
            assert!(!text.contains("canary"), "{text}");
        }
    }

    #[test]
    fn whatever_can_be_a_host_is_let_through() {
        for host in [
            "localhost",
            "db_1",
            "db.example",
            "db.example.",
            "10.0.0.7",
            "::1",
            "fe80::1%eth0",
            "0x7f.1",
            "b\u{fc}cher.example",
            "xn--bcher-kva.example",
            "app.cluster-abc.il-central-1.rds.amazonaws.com",
        ] {
            check_host("host", host).unwrap();
        }
    }

    #[test]
    fn an_engine_is_told_by_its_word_and_never_quoted_if_it_is_none() {
        let postgres = Dialect {
            engines: &["postgres", "aurora-postgresql"],
            default_port: 5432,
            default_dbname: None,
            longest_name: 63,
            most_older_logins: 8,
            besides: &[],
        };
        for (engine, why) in [
            ("Postgres", "it is \"Postgres\"; write \"postgres\""),
            ("postgresql", "it is \"postgresql\"; write \"postgres\""),
            ("AURORA-POSTGRESQL", "write \"aurora-postgresql\""),
            (" postgres", "write \"postgres\""),
            ("mysql", "this secret is for rotate-mysql"),
            ("MariaDB", "this secret is for rotate-mysql"),
            ("oracle", "for which there is no rotator"),
        ] {
            let text = check_engine(engine, &postgres).unwrap_err().to_string();
            assert!(text.contains(why), "{engine}: {text}");
        }
        let text = check_engine("canary", &postgres).unwrap_err().to_string();
        let expected = "the secret's field \"engine\" must be \"postgres\" or \"aurora-postgresql\" for this rotator";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_field_under_another_name_is_named() {
        for (document, field, why) in [
            (json!({"user": "canary"}), "username", "there is \"user\", which is not read"),
            (json!({"Username": "canary"}), "username", "there is \"Username\""),
            (json!({"endpoint": "canary"}), "host", "there is \"endpoint\""),
            (json!({"SecretString": "canary", "VersionId": "x"}), "engine", "--query SecretString"),
        ] {
            let secret = Secret::decode(&document.to_string().into());
            let text = required(secret.document().unwrap(), field).unwrap_err().to_string();
            assert!(text.contains(why) && !text.contains("canary"), "{text}");
        }
        let secret = Secret::decode(&json!({"username": "", "canary": 1}).to_string().into());
        let text = required(secret.document().unwrap(), "username").unwrap_err().to_string();
        assert_eq!(text, "the secret's field \"username\" is missing or empty");
    }
}
