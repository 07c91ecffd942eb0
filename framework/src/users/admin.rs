//! The admin of a secret: who it is, and that its database is the user's.

use std::sync::Arc;

use crate::config::{Environment, refused};
use crate::error::{Error, ErrorKind};
use crate::ids::SecretId;
use crate::net::same_host;
use crate::rds::{self, Rds};
use crate::rotator::OtherSecrets;
use crate::secret::{Document, Secret, malformed};
use crate::turn::Turn;
use crate::users::pair::{barred, words};
use crate::users::{Dialect, Login};

/// The field that names the admin's secret. Source: AWS Secrets Manager User Guide, "JSON structure
/// of database secrets".
const FIELD: &str = "masterarn";

const SAME_HOSTS: &str = "SAME_DATABASE_HOSTS";

/// How admins are found.
#[derive(Debug)]
pub(super) struct Admins {
    /// Names of one database each.
    same_hosts: Vec<Vec<String>>,
    rds: Arc<dyn Rds>,
}

/// The admin of one secret.
#[derive(Debug)]
pub(super) struct Admin {
    /// In the user's database.
    pub(super) login: Login,
    /// Where it stands.
    secret: SecretId,
}

impl Admins {
    /// Reads `SAME_DATABASE_HOSTS`: names of one database joined by `=`, databases separated by
    /// commas, as `db.example=db-reader.example=10.0.0.7,other.example=alias.example`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub(super) fn read(environment: &Environment) -> Result<Self, Error> {
        let mut same_hosts: Vec<Vec<String>> = Vec::new();
        for group in words(environment, SAME_HOSTS)? {
            let hosts: Vec<String> = group.split('=').map(|host| host.trim().to_owned()).collect();
            if hosts.len() < 2 || hosts.iter().any(String::is_empty) {
                let what = "must list names of one database joined by =, as host=host";
                return Err(refused(SAME_HOSTS, what));
            }
            if hosts.iter().any(|host| same_hosts.iter().any(|group| has(group, host))) {
                let what = "names a host twice; join all names of one database, as a=b=c";
                return Err(refused(SAME_HOSTS, what));
            }
            same_hosts.push(hosts);
        }
        Ok(Self { same_hosts, rds: rds::of(environment)? })
    }

    /// The same with another RDS API: for tests.
    #[cfg(test)]
    pub(super) fn with_rds(self, rds: Arc<dyn Rds>) -> Self {
        Self { rds, ..self }
    }

    /// The secret that a user's secret names as its admin's.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the field.
    pub(super) fn named_by(document: &Document) -> Result<SecretId, Error> {
        let Some(id) = document.optional(FIELD)? else {
            let what = "is missing or empty; it names the secret of an admin of the same database";
            return Err(malformed(FIELD, what));
        };
        SecretId::parse(id).map_err(|_| malformed(FIELD, "is not the ARN of a secret"))
    }

    /// The admin that `document` names, for the database in which `user` is.
    ///
    /// # Errors
    /// Those of reading the secret; [`ErrorKind::Malformed`] if fields are missing in it;
    /// [`ErrorKind::Mismatch`] if it is of another database; [`ErrorKind::Unsupported`] if the
    /// admin is the user itself.
    pub(super) async fn of(
        &self,
        user: &Login,
        document: &Document,
        dialect: &Dialect,
        others: &OtherSecrets<'_>,
        turn: &Turn,
    ) -> Result<Admin, Error> {
        let secret = Self::named_by(document)?;
        let read = self.login(&secret, dialect, others, turn).await;
        let login = read.map_err(|error| error.while_doing(about(&secret)))?;
        let login = Login { dbname: user.dbname.clone(), ..login };
        let (port, users) = (login.port, user.port);
        let admin = Admin { login, secret };
        admin.is_not(&user.username)?;
        self.check_host(&admin, user, turn).await?;
        if port != users && same_host(&admin.login.host, &user.host) {
            // A pooler in front of the server, or another server.
            turn.warn(format!(
                "{} names port {port}, but the user's secret {users}; they must lead to one server",
                about(&admin.secret)
            ));
        }
        Ok(admin)
    }

    /// An admin secret that RDS manages has a user and a password alone: its tags say the rest. It
    /// has no `ssl`, which means verified TLS.
    async fn login(
        &self,
        id: &SecretId,
        dialect: &Dialect,
        others: &OtherSecrets<'_>,
        turn: &Turn,
    ) -> Result<Login, Error> {
        let secret = others.current(id).await?;
        let document = secret.document()?;
        if document.field("engine").is_some() || document.field("host").is_some() {
            return Login::read(&secret, dialect);
        }
        let tags = others.describe(id).await?.tags;
        let place = rds::managed_by(&*self.rds, &tags, turn).await?;
        let document = document.with("engine", &place.engine).with("host", &place.host);
        let document = document.with("port", &place.port.to_string());
        Login::read(&Secret::from(document), dialect)
    }

    /// The admin would change an account of the same name on another database.
    async fn check_host(&self, admin: &Admin, user: &Login, turn: &Turn) -> Result<(), Error> {
        let (one, other) = (&admin.login.host, &user.host);
        let listed = self.same_hosts.iter().any(|group| has(group, one) && has(group, other));
        if same_host(one, other) || listed {
            return Ok(());
        }
        let same = rds::same_database(&*self.rds, one, other, turn).await;
        let (one, other) = (one.escape_debug(), other.escape_debug());
        if same.map_err(|error| error.while_doing(format!("cannot compare {one} with {other}")))? {
            return Ok(());
        }
        let what = format!("{} is of {one}, but the user is on {other}", about(&admin.secret));
        Err(Error::new(ErrorKind::Mismatch, what).caused_by(format!(
            "nothing was changed; if both are names of one database, list them in {SAME_HOSTS}, \
             as {one}={other}"
        )))
    }
}

impl Admin {
    /// Refuses to let the admin change this user if it is the admin itself.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`].
    pub(super) fn is_not(&self, user: &str) -> Result<(), Error> {
        if self.login.username == user {
            return Err(barred(user, &format!("it is the admin that {FIELD} names")));
        }
        Ok(())
    }

    /// Says of an error of the admin's session where its password stands.
    pub(super) fn explain(&self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::Rejected => {
                error.caused_by(format!("its password was read from {}", about(&self.secret)))
            }
            _ => error,
        }
    }
}

fn about(secret: &SecretId) -> String {
    format!("the admin secret {secret} of {FIELD}")
}

fn has(group: &[String], host: &str) -> bool {
    group.iter().any(|one| same_host(one, host))
}

#[cfg(test)]
mod tests;
