//! Where the database is, and how a function is led past the proxy instead.

use std::io;

use fourstep::{ExposeSecret, SecretValue};
use serde_json::{Map, Value};

/// The server that a secret names.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// Its host, as a name or an address.
    pub(super) host: String,
    /// Its port.
    pub(super) port: u16,
    /// The port as it stands in the secret: a number or a text.
    port_field: Value,
}

impl Target {
    /// Reads it from the secret's value. None if the value names no host, as that of a vendor's
    /// key.
    ///
    /// # Errors
    /// If calls to it could not be counted.
    pub(super) fn of(value: &SecretValue) -> io::Result<Option<Self>> {
        let SecretValue::Text(text) = value else { return Ok(None) };
        let Some(document) = document(text.expose_secret()) else { return Ok(None) };
        let field = |name: &str| document.get(name).filter(|value| !value.is_null());
        let Some(host) = field("host") else { return Ok(None) };
        let Some(host) = host.as_str().filter(|host| !host.is_empty()) else {
            return Err(unusable("the secret's field \"host\" is not a name"));
        };
        if !field("ssl").is_some_and(says_which) {
            return Err(unusable(
                "how many messages there are to be counted depends on TLS, so the secret's field \
                 \"ssl\" must be true or false here; take a copy of the file that points at a test \
                 database, with \"ssl\": false, or with true and its name in TLS_SERVER_NAME",
            ));
        }
        let port_field = field("port").cloned().unwrap_or_default();
        let port = match &port_field {
            Value::String(text) => text.trim().parse().ok(),
            Value::Number(number) => number.to_string().parse().ok(),
            _ => None,
        };
        let Some(port) = port.filter(|port| *port != 0) else {
            return Err(unusable(
                "the secret's field \"port\" must say to which port of \"host\" the calls go that \
                 are to be counted; give it a number from 1 to 65535",
            ));
        };
        Ok(Some(Self { host: host.to_owned(), port, port_field }))
    }
}

/// A target, and the port of this machine's loopback address at which a proxy stands before it.
#[derive(Debug, Clone)]
pub(super) struct Detour {
    pub(super) target: Target,
    pub(super) port: u16,
}

/// The proxy's host, as the function sees it.
const LOOPBACK: &str = "127.0.0.1";

impl Detour {
    /// A value as the function sees it: one that names the target names the proxy instead.
    /// Anything else stays as it is.
    pub(super) fn there(&self, value: &str) -> Option<String> {
        let mut document = document(value)?;
        if document.get("host")?.as_str()? != self.target.host {
            return None;
        }
        let port = match self.target.port_field {
            Value::String(_) => Value::from(self.port.to_string()),
            _ => Value::from(self.port),
        };
        put(&mut document, LOOPBACK.into(), port);
        Some(Value::Object(document).to_string())
    }

    /// A value as it is stored: one that names the proxy names the target again.
    pub(super) fn back(&self, value: &str) -> Option<String> {
        let mut document = document(value)?;
        let port = match document.get("port")? {
            Value::String(text) => text.clone(),
            port => port.to_string(),
        };
        if document.get("host")?.as_str()? != LOOPBACK || port != self.port.to_string() {
            return None;
        }
        put(&mut document, self.target.host.as_str().into(), self.target.port_field.clone());
        Some(Value::Object(document).to_string())
    }
}

/// Puts both in their places, so that the order of the fields stays.
fn put(document: &mut Map<String, Value>, host: Value, port: Value) {
    document.insert("host".to_owned(), host);
    document.insert("port".to_owned(), port);
}

fn document(value: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(value).ok()
}

/// With TLS, the messages of its handshake are turns too. Those of TLS 1.2 are always the same; a
/// server of TLS 1.3 sends tickets afterwards, which may come before or after the client's next.
fn says_which(ssl: &Value) -> bool {
    match ssl {
        Value::Bool(_) => true,
        Value::String(text) => ["true", "false"].iter().any(|one| text.eq_ignore_ascii_case(one)),
        _ => false,
    }
}

fn unusable(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> io::Result<Option<Target>> {
        Target::of(&text.into())
    }

    #[test]
    fn a_value_goes_there_and_comes_back_as_it_was() {
        for value in [
            r#"{"port":5432,"user":"app","n":1.50,"host":"db.example","password":"p","ssl":false}"#,
            r#"{"host":"db.example","port":"5432","password":"p","ssl":"False"}"#,
            r#"{"host":"127.0.0.1","port":5432,"password":"p","ssl":false}"#,
        ] {
            let detour = Detour { target: target(value).unwrap().unwrap(), port: 7 };
            let there = detour.there(value).unwrap();
            assert!(!there.contains("5432") && there.contains("127.0.0.1"), "{there}");
            assert_eq!(detour.back(&there).unwrap(), value);
            assert_eq!(detour.back(value), None, "it names no proxy");
        }
        let of_other = r#"{"host":"other","port":5432}"#;
        let detour = Detour {
            target: target(r#"{"host":"db","port":1,"ssl":false}"#).unwrap().unwrap(),
            port: 7,
        };
        assert_eq!(detour.there(of_other), None);
        assert_eq!(detour.there("plain text"), None);
    }

    #[test]
    fn what_cannot_be_counted_is_refused_and_what_has_no_host_needs_no_proxy() {
        for value in ["a token", r#"{"token":"t"}"#, r#"{"host":null}"#, "[]"] {
            assert!(target(value).unwrap().is_none(), "{value}");
        }
        for (value, word) in [
            (r#"{"host":"db","port":1}"#, "\"ssl\""),
            (r#"{"host":"db","port":1,"ssl":null}"#, "\"ssl\": false"),
            (r#"{"host":"db","port":1,"ssl":"no"}"#, "\"ssl\""),
            (r#"{"host":"db","ssl":false}"#, "\"port\""),
            (r#"{"host":"db","port":0,"ssl":false}"#, "\"port\""),
            (r#"{"host":1,"port":1,"ssl":false}"#, "\"host\""),
        ] {
            let error = target(value).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
