//! The admin of a secret: who it is, and that its database is the user's.

mod hosts;
mod redshift;
mod serverless;

use std::sync::Arc;

use crate::config::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::SecretId;
use crate::invocation::Invocation;
use crate::net::same_host;
use crate::rds::{self, Rds, Serverless};
use crate::rotator::SecretReader;
use crate::secret::{Document, Secret, malformed};
use crate::users::pair::protected;
use crate::users::{Dialect, Login};

use hosts::SAME_HOSTS;
pub use hosts::SameHosts;

/// The field that names the admin's secret. Source: AWS Secrets Manager User Guide, "JSON structure
/// of database secrets".
const FIELD: &str = "masterarn";

/// How admins are found.
#[derive(Debug)]
pub(super) struct Admins {
    same_hosts: SameHosts,
    rds: Arc<dyn Rds>,
    serverless: Serverless,
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
    /// Reads `SAME_DATABASE_HOSTS`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub(super) fn read(environment: &Environment) -> Result<Self> {
        Ok(Self {
            same_hosts: SameHosts::read(environment)?,
            rds: rds::of(environment)?,
            serverless: Serverless::read(environment)?,
        })
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
    pub(super) fn named_by(document: &Document) -> Result<SecretId> {
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
        others: &SecretReader<'_>,
        cx: &Invocation,
    ) -> Result<Admin> {
        let secret = Self::named_by(document)?;
        let read = self.login(&secret, user, dialect, others, cx).await;
        let login = read.map_err(|error| error.while_doing(about(&secret)))?;
        let login = Login { dbname: user.dbname.clone(), ..login };
        let admin = Admin { login, secret };
        if admin.is(&user.username) {
            let what = "let that field name another user's secret, or let it change its own \
                        password (ROTATION_STRATEGY=single-user)";
            return Err(admin.itself(what));
        }
        self.check_place(&admin, user, cx).await?;
        Ok(admin)
    }

    /// Whether the admin may log in at this server, of which another one has told.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`], naming the setting.
    pub(super) fn may_go(&self, admin: &Admin, to: &Login) -> Result<()> {
        self.same_hosts.may_go(&admin.login, to)
    }

    /// An admin secret that RDS or Redshift manages has a user and a password alone: its tags say the
    /// rest. It has no `ssl`, which means verified TLS.
    async fn login(
        &self,
        id: &SecretId,
        user: &Login,
        dialect: &Dialect,
        others: &SecretReader<'_>,
        cx: &Invocation,
    ) -> Result<Login> {
        let secret = others.current(id).await.map_err(|error| match error.kind() {
            ErrorKind::NotFound => error
                .caused_by(format!("correct {FIELD}, or store the admin's login in that secret")),
            _ => error,
        })?;
        let document = secret.document()?;
        if document.field("engine").is_some() || document.field("host").is_some() {
            return Login::read(&secret, dialect);
        }
        let described = others.describe(id).await?;
        let place = match redshift::managed(&described, user, &self.serverless, cx).await? {
            Some(place) => place,
            None => rds::managed_by(&*self.rds, &described.tags, cx).await?,
        };
        let document = document.with("engine", &place.engine).with("host", &place.host);
        let document = document.with("port", &place.port.to_string());
        Login::read(&Secret::from(document), dialect)
    }

    /// The admin would change an account of the same name on another database. Another port of one
    /// host may be a pooler in front of the server, or another server: only its owner knows.
    async fn check_place(&self, admin: &Admin, user: &Login, cx: &Invocation) -> Result<()> {
        let (one, other) = (&admin.login, user);
        if one.sentinel != other.sentinel {
            return Err(other_primary(admin, user));
        }
        if self.same_hosts.join(one, other) {
            return Ok(());
        }
        if same_host(&one.host, &other.host) {
            return match one.port == other.port {
                true => Ok(()),
                false => Err(elsewhere(admin, user)),
            };
        }
        let same = rds::same_database(&*self.rds, &one.host, (&other.host, other.port), cx).await;
        let (one, other) = (one.host.escape_debug(), other.host.escape_debug());
        match same
            .map_err(|error| error.while_doing(format!("cannot compare {one} with {other}")))?
        {
            true => Ok(()),
            false => Err(elsewhere(admin, user)),
        }
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
        protected(&self.login.username, &why)
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

/// The refusal of an admin of another primary than the user's: whoever writes the user's secret would choose to
/// which of a Sentinel's primaries the admin's password is sent.
fn other_primary(admin: &Admin, user: &Login) -> Error {
    let named = |login: &Login| match &login.sentinel {
        Some(name) => format!("{name:?} as \"sentinel\""),
        None => "no \"sentinel\"".to_owned(),
    };
    let (one, other) = (named(&admin.login), named(user));
    let what = format!("{} names {one}, but the user's secret {other}", about(&admin.secret));
    Error::new(ErrorKind::Mismatch, what).caused_by(format!(
        "nothing was changed; let both name the same if the admin is that primary's, or correct {FIELD}"
    ))
}

/// The refusal of an admin of another server, and how to say that it is none.
fn elsewhere(admin: &Admin, user: &Login) -> Error {
    let (one, other) = (&admin.login, user);
    let both = match same_host(&one.host, &other.host) {
        true => "both ports lead to one server, as by a pooler",
        false => "both are names of one database",
    };
    // A name without a port means the admin's.
    let (one, other) = match one.port == other.port {
        true => (one.host.escape_debug().to_string(), other.host.escape_debug().to_string()),
        false => (one.server(), other.server()),
    };
    let what = format!("{} is of {one}, but the user is on {other}", about(&admin.secret));
    Error::new(ErrorKind::Mismatch, what).caused_by(format!(
        "nothing was changed; if {both}, list them in {SAME_HOSTS}, as {one}={other}; if not, \
         correct {FIELD}"
    ))
}

#[cfg(test)]
mod tests;
