//! Which user a secret is about.

use fourstep::{Error, ErrorKind, Result, Secret};

use crate::USER;

/// An IAM user, by its ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) arn: String,
    /// What IAM's requests name it by: the end of the ARN, which may have a path before it.
    pub(crate) name: String,
}

impl User {
    /// Reads `arn:aws:iam::111122223333:user/NAME`, of any partition, with a path or without.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the field.
    pub(crate) fn of(secret: &Secret) -> Result<Self> {
        let arn = secret.document()?.required(USER)?;
        match arn.splitn(6, ':').collect::<Vec<_>>()[..] {
            ["arn", _, "iam", "", account, user] if !account.is_empty() => {
                let path = user.strip_prefix("user/");
                path.and_then(|path| path.rsplit('/').next()).filter(|name| !name.is_empty())
            }
            _ => None,
        }
        .map(|name| Self { arn: arn.to_owned(), name: name.to_owned() })
        .ok_or_else(|| {
            let what = format!("the secret's field {USER:?} is not the ARN of an IAM user");
            Error::new(ErrorKind::Malformed, what)
                .caused_by("it must be as arn:aws:iam::111122223333:user/NAME")
        })
    }
}

#[cfg(test)]
mod tests {
    use fourstep::SecretString;

    use super::*;

    fn read(arn: &str) -> Result<User> {
        User::of(&Secret::decode(&SecretString::from(format!(r#"{{"user_arn":"{arn}"}}"#))))
    }

    #[test]
    fn a_user_is_named_by_the_end_of_its_arn_in_every_partition() {
        for (arn, name) in [
            ("arn:aws:iam::111122223333:user/app", "app"),
            ("arn:aws-cn:iam::111122223333:user/team/shop/app@b=1", "app@b=1"),
        ] {
            assert_eq!(read(arn).unwrap().name, name);
        }
        for arn in [
            "",
            "app",
            "arn:aws:iam::111122223333:root",
            "arn:aws:iam::111122223333:role/app",
            "arn:aws:iam::111122223333:user/",
            "arn:aws:iam:::user/app",
            "arn:aws:sts::111122223333:user/app",
        ] {
            let error = read(arn).unwrap_err();
            assert!(error.to_string().contains("user_arn"), "{error}");
            assert_eq!(error.kind(), ErrorKind::Malformed, "{arn}");
        }
    }
}
