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
    /// commas, as `db.example=db-reader.example=10.0.0.7,other.example:5432=other.example:6432`. A
    /// name without a port stands for all of the host's.
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
        let admin = Admin { login, secret };
        if admin.is(&user.username) {
            let what = "let that field name another user's secret, or let it change its own \
                        password (ROTATION_STRATEGY=single-user)";
            return Err(admin.itself(what));
        }
        self.check_place(&admin, user, turn).await?;
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
        let secret = others.current(id).await.map_err(|error| match error.kind() {
            ErrorKind::NotFound => error
                .caused_by(format!("correct {FIELD}, or store the admin's login in that secret")),
            _ => error,
        })?;
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

    /// The admin would change an account of the same name on another database. Another port of one
    /// host may be a pooler in front of the server, or another server: only its owner knows.
    async fn check_place(&self, admin: &Admin, user: &Login, turn: &Turn) -> Result<(), Error> {
        let is_of = |group: &Vec<String>, login| group.iter().any(|one| names(one, login));
        let both = |group: &Vec<String>| is_of(group, &admin.login) && is_of(group, user);
        let (one, other) = (&admin.login.host, &user.host);
        if self.same_hosts.iter().any(both) {
            return Ok(());
        }
        if same_host(one, other) {
            return match admin.login.port == user.port {
                true => Ok(()),
                false => Err(other_port(admin, user)),
            };
        }
        let same = rds::same_database(&*self.rds, one, other, turn).await;
        let (one, other) = (one.escape_debug(), other.escape_debug());
        if same.map_err(|error| error.while_doing(format!("cannot compare {one} with {other}")))? {
            return Ok(());
        }
        let what = format!("{} is of {one}, but the user is on {other}", about(&admin.secret));
        Err(Error::new(ErrorKind::Mismatch, what).caused_by(format!(
            "nothing was changed; if both are names of one database, list them in {SAME_HOSTS}, \
             as {one}={other}; if not, correct {FIELD}"
        )))
    }
}

impl Admin {
    /// Whether this user is the admin, who is never changed.
    pub(super) fn is(&self, user: &str) -> bool {
        self.login.username == user
    }

    /// The refusal to change the admin itself, and the way out.
    pub(super) fn itself(&self, way_out: &str) -> Error {
        let why = format!("it is the admin that {FIELD} names; {way_out}");
        barred(&self.login.username, &why)
    }

    /// Says of an error of the admin's session where its password stands.
    pub(super) fn explain(&self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::Rejected => error.caused_by(format!(
                "its password was read from {}; store there what the server has",
                about(&self.secret)
            )),
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

/// Whether a name of `SAME_DATABASE_HOSTS`, a host or `host:port`, is that of a login's server.
fn names(name: &str, login: &Login) -> bool {
    // More than one colon stands in an address alone.
    let parts = name.rsplit_once(':').filter(|(host, _)| !host.contains(':'));
    match parts.and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?))) {
        Some((host, port)) => same_host(host, &login.host) && port == login.port,
        None => same_host(name, &login.host),
    }
}

fn other_port(admin: &Admin, user: &Login) -> Error {
    let (one, other) = (admin.login.server(), user.server());
    let what = format!("{} is of {one}, but the user is on {other}", about(&admin.secret));
    Error::new(ErrorKind::Mismatch, what).caused_by(format!(
        "nothing was changed; if both ports lead to one server, as by a pooler, list them in \
         {SAME_HOSTS}, as {one}={other}; if not, correct {FIELD}"
    ))
}

#[cfg(test)]
mod tests;
