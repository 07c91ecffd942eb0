//! Whose credential makes the requests that the rotated key may not make.

use fourstep::{Environment, Error, ErrorKind, Secret, SecretId};

use crate::spec::Document;

const VARIABLE: &str = "ADMIN_SECRET";

/// The field of a rotated secret that names its admin's, as in AWS's rotation functions.
const FIELD: &str = "masterarn";

/// Where the admin's secret is named.
#[derive(Debug)]
pub(crate) enum Admin {
    /// The specification has no admin.
    None,
    /// By the function.
    Function(SecretId),
    /// By each secret.
    Secret,
}

impl Admin {
    /// Reads `ADMIN_SECRET`, where the specification has an admin.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub(crate) fn read(document: &Document, environment: &Environment) -> Result<Self, Error> {
        match (&document.admin, environment.text(VARIABLE)?) {
            (None, _) => Ok(Self::None),
            (Some(_), None) => Ok(Self::Secret),
            (Some(_), Some(id)) => SecretId::parse(id).map(Self::Function).map_err(|_| {
                let what = format!("the environment variable {VARIABLE} is no secret's name");
                Error::new(ErrorKind::Malformed, what)
            }),
        }
    }

    /// The admin's secret of a rotated one.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the field.
    pub(crate) fn of(&self, secret: &Secret) -> Result<Option<SecretId>, Error> {
        match self {
            Self::None => Ok(None),
            Self::Function(id) => Ok(Some(id.clone())),
            Self::Secret => {
                let unnamed = |error: Error| {
                    error.caused_by(format!("name the admin's secret there, or set {VARIABLE}"))
                };
                let id = secret.document().and_then(|one| one.required(FIELD)).map_err(unnamed)?;
                SecretId::parse(id).map(Some).map_err(|_| {
                    let what = format!("the secret's field {FIELD:?} is no secret's name or ARN");
                    Error::new(ErrorKind::Malformed, what)
                })
            }
        }
    }
}
