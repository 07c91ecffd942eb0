//! Whose credential makes the requests that the rotated key may not make.

use fourstep::{Environment, Error, ErrorKind, Secret, SecretId};

use crate::spec::Document;

const VARIABLE: &str = "ADMIN_SECRET";

/// The field of a rotated secret that names its admin's, as in AWS's rotation functions.
const FIELD: &str = "masterarn";

/// Where the admin's secret is named. Whoever may write a rotated secret must not choose among all
/// that the function may read, so the function names those that are admins.
#[derive(Debug)]
pub(crate) enum Admin {
    /// The specification has no admin.
    None,
    /// By the function.
    Function(SecretId),
    /// By each secret, which names one of these.
    Secret(Vec<String>),
}

impl Admin {
    /// Reads `ADMIN_SECRET`, where the specification has an admin: one secret, or several with
    /// commas between them.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub(crate) fn read(document: &Document, environment: &Environment) -> Result<Self, Error> {
        if document.admin.is_none() {
            return Ok(Self::None);
        }
        let refused = |what: &str| {
            Error::new(ErrorKind::Malformed, format!("the environment variable {VARIABLE} {what}"))
        };
        let named = environment.text(VARIABLE)?.ok_or_else(|| {
            refused("is not set").caused_by(format!(
                "name the secret of the vendor's admin, or several with commas between them, of \
                 which each rotated secret names one as {FIELD:?}"
            ))
        })?;
        let parse = |id: &str| SecretId::parse(id).map_err(|_| refused("is no secret's name"));
        let all: Vec<&str> = named.split(',').map(str::trim).collect();
        if let [one] = all.as_slice() {
            return parse(one).map(Self::Function);
        }
        for one in &all {
            parse(one)?;
        }
        Ok(Self::Secret(all.into_iter().map(str::to_owned).collect()))
    }

    /// The admin's secret of a rotated one.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the field.
    pub(crate) fn of(&self, secret: &Secret) -> Result<Option<SecretId>, Error> {
        match self {
            Self::None => Ok(None),
            Self::Function(id) => Ok(Some(id.clone())),
            Self::Secret(all) => {
                let refused = |what: &str| {
                    let what = format!("the secret's field {FIELD:?} {what}");
                    Error::new(ErrorKind::Malformed, what)
                };
                let named = secret.document().and_then(|one| one.required(FIELD))?;
                if !all.iter().any(|one| one == named) {
                    return Err(refused(&format!("names none of the secrets in {VARIABLE}"))
                        .caused_by("write it there as it stands in the variable"));
                }
                SecretId::parse(named).map(Some).map_err(|_| refused("is no secret's name or ARN"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_may_name_only_an_admin_that_the_function_names() {
        let text = include_str!("../specs/sendgrid.toml");
        let document = crate::Specification::read(text).unwrap().document;
        let read = |named| Admin::read(&document, &Environment::from([(VARIABLE, named)]));
        let secret = |named: &str| Secret::decode(&format!(r#"{{"masterarn":"{named}"}}"#).into());
        let unset = Admin::read(&document, &Environment::from([("X", "y")])).unwrap_err();
        assert!(unset.to_string().contains("ADMIN_SECRET is not set"), "{unset}");
        assert!(read("one,").is_err());
        let one = read("one").unwrap();
        assert_eq!(one.of(&secret("two")).unwrap(), Some(SecretId::parse("one").unwrap()));
        let both = read("one, two").unwrap();
        assert_eq!(both.of(&secret("two")).unwrap(), Some(SecretId::parse("two").unwrap()));
        let error = both.of(&secret("three")).unwrap_err();
        assert!(error.to_string().contains("names none of the secrets in ADMIN_SECRET"), "{error}");
    }
}
