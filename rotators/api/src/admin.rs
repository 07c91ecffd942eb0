//! Whose credential makes the requests that the rotated key may not make.

use fourstep::{Environment, Error, ErrorKind, Result, Secret, SecretId};

use crate::spec::{Document, unproven_choice};

const VARIABLE: &str = "ADMIN_SECRET";

/// The field of a rotated secret that names its admin's, as in AWS's rotation functions.
pub(crate) const FIELD: &str = "masterarn";

/// Where the admin's secret is named. Whoever may write a rotated secret must not choose among all
/// that the function may read, so the function names those that are admins.
#[derive(Debug)]
pub(crate) enum Admin {
    /// The specification has no admin.
    None,
    /// By the function.
    Function(SecretId),
    /// By the function, of a specification that lets no secret choose: one that names another admin is
    /// another function's.
    Only(SecretId),
    /// By each secret, which names one of these.
    Secret(Vec<String>),
}

impl Admin {
    /// Reads `ADMIN_SECRET`, where the specification has an admin: one secret, or several with
    /// commas between them.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub(crate) fn read(document: &Document, environment: &Environment) -> Result<Self> {
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
        let unproven = unproven_choice(document);
        if let [one] = all.as_slice() {
            return match unproven {
                Some(_) => parse(one).map(Self::Only),
                None => parse(one).map(Self::Function),
            };
        }
        for one in &all {
            parse(one)?;
        }
        if let Some(why) = unproven {
            let what = "lists several, of which a rotated secret chooses one";
            return Err(refused(what).caused_by(format!(
                "{why}: whoever may write the secret could have another account's keys made; deploy \
                 another stack for each admin, move the secrets that name it there (`aws \
                 secretsmanager rotate-secret --secret-id SECRET --rotation-lambda-arn ARN`), and only \
                 then name one admin here: a secret that names another one is refused; or copy the \
                 specification, list {FIELD:?} in its trusted_fields, and name the copy in \
                 ROTATION_SPEC: whoever may write a secret then chooses among these admins"
            )));
        }
        Ok(Self::Secret(all.into_iter().map(str::to_owned).collect()))
    }

    /// The admin's secret of a rotated one.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the field.
    pub(crate) fn of(&self, secret: &Secret) -> Result<Option<SecretId>> {
        let refused = |what: &str| {
            Error::new(ErrorKind::Malformed, format!("the secret's field {FIELD:?} {what}"))
        };
        match self {
            Self::None => Ok(None),
            Self::Function(id) => Ok(Some(id.clone())),
            Self::Only(id) => {
                let document = secret.document().ok();
                let named = document.map(|one| one.optional(FIELD)).transpose()?.flatten();
                if named.is_some_and(|named| !is_one_secret(named, id.as_str())) {
                    return Err(refused(&format!("names another admin than {VARIABLE}")).caused_by(
                        "this function would have a key of its own admin's account stored here: have \
                         the function of that admin rotate this secret (`aws secretsmanager \
                         rotate-secret --secret-id SECRET --rotation-lambda-arn ARN`), or correct the \
                         field",
                    ));
                }
                Ok(Some(id.clone()))
            }
            Self::Secret(all) => {
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

/// Whether two ids may be one secret's, each a name or an ARN, with or without the six characters that
/// end it. A name alone says nothing of its region and account.
fn is_one_secret(one: &str, other: &str) -> bool {
    const PLACE: &str = ":secret:";
    let parts = |id| str::split_once(id, PLACE).map_or((None, id), |(at, name)| (Some(at), name));
    let ((at, one), (other_at, other)) = (parts(one), parts(other));
    let ends = |long: &str, short: &str| {
        let end = long.strip_prefix(short).and_then(|end| end.strip_prefix('-'));
        end.is_some_and(|end| end.len() == 6 && end.bytes().all(|one| one.is_ascii_alphanumeric()))
    };
    let longer = |at: Option<&str>, long, short| at.is_some() && ends(long, short);
    let is_elsewhere = at.is_some() && other_at.is_some() && at != other_at;
    !is_elsewhere && (one == other || longer(at, one, other) || longer(other_at, other, one))
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
        // Nothing says that the one which a secret names is its own account's.
        let text = include_str!("../specs/hcp-terraform-team-token.toml");
        let document = crate::Specification::read(text).unwrap().document;
        let read = |named| Admin::read(&document, &Environment::from([(VARIABLE, named)]));
        let only = read("one").unwrap();
        let own = Some(SecretId::parse("one").unwrap());
        assert_eq!(only.of(&secret("one")).unwrap(), own);
        assert_eq!(only.of(&Secret::decode(&"{}".into())).unwrap(), own);
        let said = only.of(&secret("two")).unwrap_err().to_string();
        assert!(said.contains("names another admin than ADMIN_SECRET"), "{said}");
        assert!(said.contains("--rotation-lambda-arn"), "{said}");
        let error = read("one,two").unwrap_err().to_string();
        assert!(error.contains("lists several") && error.contains("\"masterarn\" in"), "{error}");
        assert!(error.contains("another stack for each admin"), "{error}");
        let error = both.of(&secret("three")).unwrap_err();
        assert!(error.to_string().contains("names none of the secrets in ADMIN_SECRET"), "{error}");
    }

    #[test]
    fn a_name_and_an_arn_may_be_one_secrets() {
        let arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:acme/admin-AbC123";
        let partial = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:acme/admin";
        let elsewhere = "arn:aws:secretsmanager:eu-west-1:444455556666:secret:acme/admin-AbC123";
        for (one, other, same) in [
            (arn, "acme/admin", true),
            (arn, partial, true),
            (partial, "acme/admin", true),
            (arn, arn, true),
            (arn, elsewhere, false),
            (elsewhere, partial, false),
            (arn, "acme/adm", false),
            (arn, "acme/admin-2", false),
            ("acme/admin", "acme/admin-AbC123", false),
            ("one", "two", false),
        ] {
            assert_eq!(is_one_secret(one, other), same, "{one} {other}");
            assert_eq!(is_one_secret(other, one), same, "{other} {one}");
        }
    }
}
