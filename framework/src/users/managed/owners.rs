//! Which secret may have which user changed, as the function's owner says.
//!
//! Whoever writes a secret chooses the user that it names, and the place where a recorded password is tried. So
//! neither of them proves whose user it is, and the API lets nobody prove it by a password.

use super::ManagedUser;
use crate::config::{Environment, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::users::pair::words;

/// The variable of the pairs.
const USERS: &str = "MANAGED_USERS";

/// The pairs of a secret and its user; or the only secret and the only user's name, as AWS's template has it.
pub(super) struct Owners {
    pairs: Vec<(String, String)>,
    secret: Option<String>,
    name: Option<String>,
}

impl Owners {
    /// Reads `MANAGED_USERS`, as `secretARN=userARN,...`, `SECRET_ARN` and `USER_NAME`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub(super) fn read(environment: &Environment) -> Result<Self> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in words(environment, USERS)? {
            // A secret's name may have the sign too; a user's id has none.
            let parts = pair.rsplit_once('=').map(|(one, other)| (one.trim(), other.trim()));
            let is_arn = |text: &str| text.starts_with("arn:") && !text.contains(['*', '?']);
            let Some((secret, user)) = parts.filter(|(one, other)| is_arn(one) && is_arn(other))
            else {
                return Err(refused(
                    USERS,
                    "must list the ARNs of secrets and their users, as secret=user",
                ));
            };
            if pairs.iter().any(|(one, other)| one == secret || other == user) {
                return Err(refused(USERS, "lists a secret or a user twice"));
            }
            pairs.push((secret.to_owned(), user.to_owned()));
        }
        let text = |name| Ok::<_, Error>(environment.text(name)?.map(str::to_owned));
        Ok(Self { pairs, secret: text("SECRET_ARN")?, name: text("USER_NAME")? })
    }

    /// Refuses a user that is not this secret's, before the service is asked anything.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`], naming the variable.
    pub(super) fn check(&self, secret: &str, user: &ManagedUser) -> Result<()> {
        for (variable, only, this) in [
            ("SECRET_ARN", self.secret.as_deref(), secret),
            ("USER_NAME", self.name.as_deref(), user.name.as_str()),
        ] {
            if let Some(only) = only
                && only != this
            {
                let what =
                    format!("this function is for {only:?} of its variable {variable} alone");
                return Err(Error::new(ErrorKind::Forbidden, what).caused_by(format!(
                    "it was called for {this:?}; correct the variable, or have another function rotate this \
                     secret"
                )));
            }
        }
        let arn = &user.arn;
        let what = match self.pairs.iter().find(|(one, _)| one == secret) {
            Some((_, one)) if one == arn => return Ok(()),
            Some((_, one)) => {
                format!("the function's {USERS} lists the user {one} for this secret")
            }
            None if self.pairs.is_empty() && self.secret.is_some() && self.name.is_some() => {
                return Ok(());
            }
            None => format!("the function's {USERS} does not list this secret"),
        };
        let what = format!("{what}, which names the user {arn}; nothing was changed");
        Err(Error::new(ErrorKind::Forbidden, what).caused_by(format!(
            "whoever writes a secret chooses that name; if the user is this secret's and no other's, list it \
             there as {secret}={arn}, else correct \"user_arn\""
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:a=b-AbCdEf";
    const USER: &str = "arn:aws:elasticache:us-east-1:111122223333:user:app";

    fn asked(variables: &[(&str, &str)], secret: &str, arn: &str) -> Result<()> {
        let (arn, name) = (arn.to_owned(), "app".to_owned());
        let user = ManagedUser { arn, name, password: None, login: None };
        Owners::read(&variables.iter().copied().collect())?.check(secret, &user)
    }

    #[test]
    fn rule_08_a_secret_has_the_user_changed_that_the_owner_lists_for_it_and_no_other() {
        let listed = format!("{SECRET} = {USER}, {SECRET}2={USER}2");
        let (listed, only) = ((USERS, listed.as_str()), ("SECRET_ARN", SECRET));
        let user = |name| ("USER_NAME", name);
        for (variables, secret, arn, allowed) in [
            (&[listed][..], SECRET, USER, true),
            (&[listed], SECRET, &format!("{USER}2"), false),
            (&[listed], &format!("{SECRET}3"), USER, false),
            (&[], SECRET, USER, false),
            (&[only], SECRET, USER, false),
            (&[user("app")], SECRET, USER, false),
            (&[only, user("app")], SECRET, USER, true),
            (&[only, user("other")], SECRET, USER, false),
            (&[only, user("app")], "another", USER, false),
            (&[only, user("app"), listed], SECRET, &format!("{USER}3"), false),
        ] {
            let ended = asked(variables, secret, arn).map_err(|error| error.kind());
            let expected = if allowed { Ok(()) } else { Err(ErrorKind::Forbidden) };
            assert_eq!(ended, expected, "{variables:?} {secret} {arn}");
        }
        let advice = asked(&[], SECRET, USER).unwrap_err().to_string();
        assert!(advice.contains(&format!("{SECRET}={USER}")), "{advice}");
    }

    #[test]
    fn a_list_of_users_that_cannot_be_read_is_refused_by_name() {
        for text in [
            "a",
            "a=b",
            &format!("{SECRET}="),
            &format!("{SECRET}=arn:*"),
            &format!("{SECRET}={USER},{SECRET}={USER}2"),
        ] {
            let error = asked(&[(USERS, text)], SECRET, USER).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Malformed, "{text}");
            assert!(error.to_string().contains(USERS), "{error}");
        }
    }
}
