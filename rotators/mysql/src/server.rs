//! Which server this is, whose session, and what stands in the way of a change there.

use fourstep::users::Login;
use fourstep::{Error, ErrorKind, Result};

use crate::errors;

/// One row, readable by every user. On Aurora's readers `innodb_read_only` is on and `read_only`
/// may be too (Aurora User Guide, "Aurora MySQL configuration parameters").
pub(crate) const FACTS: &str = "SELECT CURRENT_USER(), VERSION(), @@global.read_only, \
                                @@global.innodb_read_only, CONNECTION_ID()";

/// The family that a server belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Flavour {
    /// MySQL and Aurora MySQL.
    #[default]
    Mysql,
    Mariadb,
}

impl Flavour {
    fn of(version: &str) -> Self {
        let mariadb = version.to_ascii_lowercase().contains("mariadb");
        if mariadb { Self::Mariadb } else { Self::Mysql }
    }
}

/// What a session's server is and says of the session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Server {
    pub(crate) flavour: Flavour,
    version: [u32; 3],
    user: String,
    /// The account's host pattern, as in `'app'@'10.%'`.
    host: String,
    read_only: bool,
    /// Whether the server lets the user do nothing until it has changed its password.
    pub(crate) expired: bool,
}

impl Server {
    /// What is known of it by its greeting. MariaDB calls itself 5.5.5 first, for old replicas.
    pub(crate) fn greeted(version: &str, login: &Login) -> Self {
        let version = version.strip_prefix("5.5.5-").unwrap_or(version);
        let user = login.username.clone();
        Self {
            flavour: Flavour::of(version),
            version: read_version(version),
            user,
            ..Self::default()
        }
    }

    /// Reads the answer to [`FACTS`].
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the session is not that of the secret's user.
    pub(crate) fn read(facts: &[Option<String>; 5], login: &Login) -> Result<Self> {
        let [account, version, read_only, innodb, _] =
            facts.each_ref().map(|fact| fact.as_deref().unwrap_or_default());
        // A host pattern holds no @, a user's name may.
        let host = match account.rsplit_once('@') {
            Some((user, host)) if user == login.username => host,
            // Not whose: what a server says must not be printed, it may have heard the password.
            _ => return Err(other_account(login)),
        };
        Ok(Self {
            flavour: Flavour::of(version),
            version: read_version(version),
            user: login.username.clone(),
            host: host.to_owned(),
            read_only: [read_only, innodb].iter().any(|one| !matches!(*one, "0" | "OFF")),
            expired: false,
        })
    }

    /// What names the account at this server: a lock is named after it.
    pub(crate) fn account(&self, login: &Login) -> String {
        format!("{}@{}", login.username, self.host)
    }

    /// The user whose session it is.
    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// The host pattern of the session's account.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Its version: major, minor, patch.
    pub(crate) fn version(&self) -> [u32; 3] {
        self.version
    }

    /// Refuses a session in which nothing can be done but to change its own password.
    pub(crate) fn usable(&self) -> Result<()> {
        if self.expired { Err(errors::expired()) } else { Ok(()) }
    }

    /// The error of a server that keeps no attributes of users, which MySQL does since 8.0.21.
    pub(crate) fn no_attributes(&self) -> Option<Error> {
        (self.flavour == Flavour::Mysql && self.version < [8, 0, 21]).then(|| {
            unsupported(
                "the server keeps no attributes of users, by which the users of a pair are known; \
                 upgrade it to MySQL 8.0.21 or later, or use another strategy",
            )
        })
    }

    /// The error of a server on which no password can be changed as it is done here.
    pub(crate) fn obstacle(&self) -> Option<Error> {
        self.too_old().or_else(|| {
            self.read_only.then(|| {
                unsupported("the server is read-only; point the secret's \"host\" at the writer")
            })
        })
    }

    /// `REPLACE` came with MySQL 8.0.13 and two passwords with 8.0.14.
    fn too_old(&self) -> Option<Error> {
        let [major, minor, patch] = self.version;
        let (least, name) = match self.flavour {
            Flavour::Mysql => ([8, 0, 14], "MySQL"),
            Flavour::Mariadb => ([10, 11, 0], "MariaDB"),
        };
        (self.version < least).then(|| {
            let [first, second, third] = least;
            unsupported(&format!(
                "the server is {name} {major}.{minor}.{patch}, older than {first}.{second}.{third}; \
                 upgrade it"
            ))
        })
    }
}

/// The error of somebody who numbers connections by himself, as a proxy that logs users in does.
pub(crate) fn not_the_server() -> Error {
    unsupported(
        "what let the user in is not the server itself, but somebody between who answers for it, and \
         who may know other passwords; let the secret's \"host\" and \"port\" lead to the server",
    )
}

/// The leading numbers of a version. One that cannot be read is older than any.
fn read_version(text: &str) -> [u32; 3] {
    let mut version = [0; 3];
    let numbers = text.split(|other: char| !other.is_ascii_digit());
    for (place, number) in version.iter_mut().zip(numbers) {
        *place = number.parse().unwrap_or_default();
    }
    version
}

fn unsupported(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, what)
}

fn other_account(login: &Login) -> Error {
    unsupported(&format!(
        "the server let {:?} in as another account (an anonymous or a proxied one, or \
         skip-grant-tables), so a login proves nothing",
        login.username
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> Login {
        Login::new("db.example", 3306, "a@b", "canary")
    }

    fn read(facts: [&str; 4]) -> Result<Server> {
        let [user, version, read_only, innodb] = facts.map(|fact| Some(fact.to_owned()));
        Server::read(&[user, version, read_only, innodb, None], &login())
    }

    #[test]
    fn each_server_is_known_by_its_version() {
        for (version, flavour, least) in [
            ("9.7.4-2", Flavour::Mysql, true),
            ("8.0.36", Flavour::Mysql, true),
            ("8.4.10-rds.1", Flavour::Mysql, true),
            ("8.0.14", Flavour::Mysql, true),
            ("8.0.13", Flavour::Mysql, false),
            ("5.7.44-log", Flavour::Mysql, false),
            ("10.11.19-MariaDB-0+deb12u1", Flavour::Mariadb, true),
            ("11.4.2-MariaDB-log", Flavour::Mariadb, true),
            ("10.6.18-MariaDB", Flavour::Mariadb, false),
            ("", Flavour::Mysql, false),
        ] {
            let server = read(["a@b@10.%", version, "0", "0"]).unwrap();
            assert_eq!(server.flavour, flavour, "{version}");
            assert_eq!(server.obstacle().is_none(), least, "{version}");
        }
        let old = read(["a@b@%", "5.7.44-log", "0", "0"]).unwrap().obstacle().unwrap();
        assert!(old.to_string().contains("MySQL 5.7.44"), "{old}");
    }

    #[test]
    fn a_reader_is_known_by_its_settings() {
        for (read_only, innodb, writer) in
            [("0", "0", true), ("1", "0", false), ("0", "1", false), ("OFF", "OFF", true)]
        {
            let server = read(["a@b@%", "8.0.36", read_only, innodb]).unwrap();
            assert_eq!(server.obstacle().is_none(), writer, "{read_only} {innodb}");
        }
    }

    #[test]
    fn rule_05_a_session_of_another_account_proves_nothing() {
        let server = read(["a@b@10.%", "8.0.36", "0", "0"]).unwrap();
        assert_eq!(server.account(&login()), "a@b@10.%");
        for account in ["@localhost", "skip-grants user@skip-grants host", "A@B@%", "a@b", ""] {
            let error = read([account, "8.0.36", "0", "0"]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{account}");
        }
    }
}
