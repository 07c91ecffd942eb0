//! The connection fields of a secret document, read once and typed.
//!
//! Source: AWS Secrets Manager User Guide, "JSON structure of database secrets", and the
//! behaviour of AWS's rotation templates where the guide is silent.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::error::Result;
use crate::secret::{Document, Secret, malformed};
use crate::users::{SslMode, fields};

/// How a database reads a secret document.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// Values of `engine` that are accepted, case-sensitive. The first is named in errors.
    pub engines: &'static [&'static str],
    /// Used when `port` is absent.
    pub default_port: u16,
    /// Used when `dbname` is absent.
    pub default_dbname: Option<&'static str>,
    /// The longest name of a user or a database, in bytes: a server may cut off what is longer, and
    /// so take it for another's.
    pub longest_name: usize,
    /// How many older passwords a step may try when current, pending and previous were refused.
    /// Low where refused logins lock accounts.
    pub most_older_logins: usize,
    /// Other servers of the same rotator, each with the words and defaults of its own.
    pub besides: &'static [Dialect],
}

impl Dialect {
    /// This one and those besides it.
    pub(super) fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.besides)
    }
}

/// Everything that is needed to log in. `Debug` leaves the password out.
#[derive(Clone)]
pub struct Login {
    /// `engine`, where the login was read from a secret.
    pub engine: Option<&'static str>,
    /// `host`: a name or an address.
    pub host: String,
    /// `port`.
    pub port: u16,
    /// `username`.
    pub username: String,
    /// `password`.
    pub password: SecretString,
    /// `dbname`.
    pub dbname: Option<String>,
    /// `sentinel`: the name of the primary that Redis's Sentinel at this host and port is asked for.
    pub sentinel: Option<String>,
    /// `ssl`.
    pub ssl: SslMode,
}

impl Login {
    /// One to no certain database, of a secret that says nothing of TLS.
    pub fn new(
        host: impl Into<String>,
        port: u16,
        username: impl Into<String>,
        password: impl Into<SecretString>,
    ) -> Self {
        let (host, username, password) = (host.into(), username.into(), password.into());
        let (engine, dbname, sentinel, ssl) = (None, None, None, SslMode::Absent);
        Self { engine, host, port, username, password, dbname, sentinel, ssl }
    }

    /// Reads a secret document.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed), naming the field.
    pub fn read(secret: &Secret, dialect: &Dialect) -> Result<Self> {
        let document = secret.document()?;
        let (dialect, engine) =
            fields::check_engine(fields::required(document, "engine")?, dialect)?;
        let host = fields::required(document, "host")?;
        let login = Self {
            engine: Some(engine),
            host: host.to_owned(),
            port: read_port("port", document)?.unwrap_or(dialect.default_port),
            username: fields::required(document, "username")?.to_owned(),
            password: fields::required(document, "password")?.into(),
            dbname: document.optional("dbname")?.or(dialect.default_dbname).map(str::to_owned),
            sentinel: document.optional("sentinel")?.map(str::to_owned),
            ssl: SslMode::read(document.field("ssl")),
        };
        for (field, value) in [
            ("host", login.host.as_str()),
            ("username", &login.username),
            ("password", login.password.expose_secret()),
            ("dbname", login.dbname.as_deref().unwrap_or_default()),
            ("sentinel", login.sentinel.as_deref().unwrap_or_default()),
        ] {
            if value.contains('\0') {
                return Err(malformed(field, "contains a NUL character"));
            }
        }
        fields::check_host("host", host)?;
        let database = login.dbname.as_deref().unwrap_or_default();
        for (field, name) in [("username", login.username.as_str()), ("dbname", database)] {
            fields::check_name(field, name, dialect.longest_name)?;
        }
        Ok(login)
    }

    /// This login with another password.
    #[must_use]
    pub fn with_password(&self, password: &SecretString) -> Self {
        Self { password: password.clone(), ..self.clone() }
    }

    /// This login at another server.
    #[must_use]
    pub fn at(&self, host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port, sentinel: None, ..self.clone() }
    }

    /// This login at the proxy that the secret names in `proxyHost`, if it names one, and at another port
    /// than the server's in `proxyPort`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed), naming the field.
    pub(super) fn at_proxy(&self, document: &Document) -> Result<Option<Self>> {
        let port = read_port("proxyPort", document)?;
        let Some(host) = document.optional("proxyHost")? else {
            return match port {
                None => Ok(None),
                Some(_) => Err(malformed("proxyPort", "stands there without \"proxyHost\"")
                    .caused_by("name the proxy in \"proxyHost\", or take \"proxyPort\" out")),
            };
        };
        if host.contains('\0') {
            return Err(malformed("proxyHost", "contains a NUL character"));
        }
        fields::check_host("proxyHost", host)?;
        Ok(Some(self.at(host, port.unwrap_or(self.port))))
    }

    /// This login in another database of the same server.
    #[must_use]
    pub fn with_database(&self, dbname: &str) -> Self {
        Self { dbname: Some(dbname.to_owned()), ..self.clone() }
    }

    /// `user "app" on db.example:5432`: for messages.
    pub fn account(&self) -> String {
        format!("user {:?} on {}", self.username, self.server())
    }

    /// `db.example:5432`: for messages.
    pub fn server(&self) -> String {
        let host = self.host.escape_debug();
        if self.host.contains(':') {
            format!("[{host}]:{}", self.port)
        } else {
            format!("{host}:{}", self.port)
        }
    }

    /// Whether `other` names the same user on the same host. Not the port: a password belongs to
    /// the account, whichever way leads to it.
    pub fn same_account(&self, other: &Self) -> bool {
        (&self.username, &self.host) == (&other.username, &other.host)
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Login({})", self.account())
    }
}

/// A number or a numeric string, as both stand in AWS's own documentation; null is absent.
fn read_port(field: &str, document: &Document) -> Result<Option<u16>> {
    let text = match document.field(field) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(_) => return Err(malformed(field, "is neither a number nor a string")),
    };
    match text.parse::<u16>() {
        Ok(port) if port != 0 => Ok(Some(port)),
        _ => Err(malformed(field, "is not a number from 1 to 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const DIALECT: Dialect = Dialect {
        engines: &["postgres", "aurora-postgresql"],
        default_port: 5432,
        default_dbname: Some("postgres"),
        longest_name: 63,
        most_older_logins: 8,
        besides: &[Dialect {
            engines: &["redshift"],
            default_port: 5439,
            default_dbname: Some("dev"),
            longest_name: 127,
            most_older_logins: 8,
            besides: &[],
        }],
    };

    fn read(change: impl FnOnce(&mut Value)) -> Result<Login, String> {
        let mut document = json!({
            "engine": "postgres", "host": "db.example", "username": "app", "password": "canary",
        });
        change(&mut document);
        let secret = Secret::decode(&document.to_string().into());
        Login::read(&secret, &DIALECT).map_err(|error| error.to_string())
    }

    #[test]
    fn parity_14_a_wrong_engine_or_missing_key_is_named() {
        for engine in ["postgres", "aurora-postgresql"] {
            read(|document| document["engine"] = json!(engine)).unwrap();
        }
        for engine in ["Postgres", "mysql", ""] {
            let error = read(|document| document["engine"] = json!(engine)).unwrap_err();
            assert!(error.contains("\"engine\""), "{error}");
        }
        for field in ["engine", "host", "username", "password"] {
            let error = read(|document| {
                document.as_object_mut().unwrap().remove(field);
            })
            .unwrap_err();
            assert_eq!(error, format!("the secret's field \"{field}\" is missing or empty"));
        }
    }

    #[test]
    fn parity_28_defaults_of_port_and_dbname() {
        for (port, expected) in
            [(json!(null), 5432), (json!(6000), 6000), (json!("6000"), 6000), (json!(" 6 "), 6)]
        {
            assert_eq!(read(|document| document["port"] = port).unwrap().port, expected);
        }
        for port in [json!(""), json!(0), json!("5432x"), json!(70000), json!(5432.5), json!([])] {
            let error = read(|document| document["port"] = port).unwrap_err();
            assert!(error.contains("\"port\""), "{error}");
        }
        let login = read(|document| document["dbname"] = json!(null)).unwrap();
        assert_eq!((login.port, login.dbname.as_deref()), (5432, Some("postgres")));
        // Another server of the same rotator has its own.
        let login = read(|document| document["engine"] = json!("redshift")).unwrap();
        assert_eq!((login.port, login.dbname.as_deref()), (5439, Some("dev")));
        assert_eq!(login.engine, Some("redshift"));
        let long = json!("a".repeat(64));
        assert!(read(|document| document["username"] = long.clone()).is_err());
        read(|document| (document["engine"], document["username"]) = (json!("redshift"), long))
            .unwrap();
    }

    #[test]
    fn a_nul_character_is_refused_by_name() {
        for field in ["host", "username", "password", "dbname"] {
            let error = read(|document| document[field] = json!("a\0b")).unwrap_err();
            assert_eq!(error, format!("the secret's field \"{field}\" contains a NUL character"));
        }
    }

    #[test]
    fn accounts_are_compared_by_user_and_host() {
        let login = read(|_| ()).unwrap();
        for (field, value, same) in [
            ("dbname", json!("x"), true),
            ("port", json!(1), true),
            ("username", json!("b"), false),
            ("host", json!("b"), false),
        ] {
            let other = read(|document| document[field] = value).unwrap();
            assert_eq!(login.same_account(&other), same, "{field}");
        }
        assert_eq!(format!("{login:?}"), "Login(user \"app\" on db.example:5432)");
    }
}
