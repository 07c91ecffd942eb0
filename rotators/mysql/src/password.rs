//! The form in which a new password reaches the server.

use fourstep::net::Transport;
use fourstep::{Environment, Error, ErrorKind, Result, SecretString};

use crate::Mysql;
use crate::server::Flavour;
use crate::session::Session;
use crate::sql::Statement;
use crate::wire::Plugin;

/// `MARIADB_PASSWORD_FORMAT`: what stands in the statement that changes a password on MariaDB.
/// MySQL takes the password itself and keeps it out of its logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum PasswordFormat {
    /// The hash that the server keeps.
    #[default]
    Hash,
    /// The password itself, for a server whose plugins check it. Whoever reads the server's
    /// statement log reads it too.
    Plaintext,
}

impl PasswordFormat {
    /// Reads the variable; absent means the hash.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming it.
    pub(crate) fn read(environment: &Environment) -> Result<Self> {
        let formats = [("hash", Self::Hash), ("plaintext", Self::Plaintext)];
        Ok(environment.choice("MARIADB_PASSWORD_FORMAT", &formats)?.unwrap_or_default())
    }

    /// MariaDB's statement.
    pub(crate) fn statement(self, password: &SecretString) -> Statement {
        match self {
            Self::Hash => Statement::set_hash(password),
            Self::Plaintext => Statement::set_plaintext(password),
        }
    }
}

impl Mysql {
    /// The error of a session through which a new password would be given away, or would not log in
    /// afterwards, for an account whose password this plugin checks.
    pub(crate) fn obstacle_of(&self, session: &Session, plugin: Plugin) -> Option<Error> {
        let weak = self.transport.allow_weak_authentication;
        let plaintext = self.format == PasswordFormat::Plaintext;
        let secure = session.terms.transport == Transport::Tls;
        let what = match (session.server.flavour, plugin) {
            (Flavour::Mysql, Plugin::CachingSha2 | Plugin::Sha256) if !secure => {
                "on a connection without TLS the new password could not log in: by the account's \
                 plugin the server asks for a password itself until it has seen it once; set the \
                 secret's field \"ssl\" to true"
            }
            (Flavour::Mysql, Plugin::Native) if !secure && !weak => {
                "a connection without TLS would show the new password; set the secret's field \
                 \"ssl\" to true, or set ALLOW_WEAK_AUTHENTICATION"
            }
            (Flavour::Mariadb, _) if plaintext && !secure && !weak => {
                "MARIADB_PASSWORD_FORMAT is plaintext, and a connection without TLS would show the \
                 new password; set the secret's field \"ssl\" to true, or set \
                 ALLOW_WEAK_AUTHENTICATION"
            }
            (Flavour::Mariadb, Plugin::CachingSha2 | Plugin::Sha256) => {
                "the account's authentication plugin is not supported on MariaDB; use \
                 mysql_native_password"
            }
            _ => return None,
        };
        Some(Error::new(ErrorKind::Unsupported, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_is_refused_by_name() {
        for (text, format) in [
            ("", PasswordFormat::Hash),
            ("hash", PasswordFormat::Hash),
            ("plaintext", PasswordFormat::Plaintext),
        ] {
            let environment = Environment::from([("MARIADB_PASSWORD_FORMAT", text)]);
            assert_eq!(PasswordFormat::read(&environment).unwrap(), format);
        }
        let environment = Environment::from([("MARIADB_PASSWORD_FORMAT", "canary")]);
        let error = PasswordFormat::read(&environment).unwrap_err().to_string();
        assert!(error.contains("MARIADB_PASSWORD_FORMAT") && !error.contains("canary"), "{error}");
    }
}
