//! The secret of a user of ElastiCache or MemoryDB: which user it names, and what logs in as it.

use fourstep::users::{Login, ManagedUser};
use fourstep::{Document, Error, ErrorKind, Result, Secret};

use crate::DIALECT;

/// The field by which such a secret is told from one of a server of one's own.
pub(super) const USER_ARN: &str = "user_arn";

/// Whose users they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// Amazon ElastiCache.
    ElastiCache,
    /// Amazon MemoryDB.
    MemoryDb,
}

impl Service {
    /// As ARNs and actions of policies name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ElastiCache => "elasticache",
            Self::MemoryDb => "memorydb",
        }
    }

    /// The operation that replaces a user's passwords.
    pub(super) fn operation(self) -> &'static str {
        match self {
            Self::ElastiCache => "ModifyUser",
            Self::MemoryDb => "UpdateUser",
        }
    }
}

/// The ARN of a user.
///
/// Source: Service Authorization Reference, "Resource types defined by Amazon ElastiCache" and "... by Amazon
/// MemoryDB": `arn:PARTITION:elasticache:REGION:ACCOUNT:user:ID`, `arn:PARTITION:memorydb:REGION:ACCOUNT:user/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UserArn {
    pub(super) service: Service,
    /// `UserId` of ElastiCache, `UserName` of MemoryDB.
    pub(super) id: String,
}

impl UserArn {
    /// Reads an ARN.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the secret's field.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let (service, id) = match parts.as_slice() {
            ["arn", _, "elasticache", _, _, rest] => {
                (Service::ElastiCache, rest.strip_prefix("user:"))
            }
            ["arn", _, "memorydb", _, _, rest] => (Service::MemoryDb, rest.strip_prefix("user/")),
            _ => (Service::ElastiCache, None),
        };
        // API reference, UserId and UserName: letters, digits and hyphens.
        let is_id = |id: &&str| id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        match id.filter(|id| !id.is_empty()).filter(is_id) {
            Some(id) => Ok(Self { service, id: id.to_owned() }),
            None => Err(Error::new(
                ErrorKind::Malformed,
                "the secret's field \"user_arn\" is not the ARN of a user of ElastiCache \
                 (arn:aws:elasticache:REGION:ACCOUNT:user:ID) or of MemoryDB \
                 (arn:aws:memorydb:REGION:ACCOUNT:user/NAME)",
            )),
        }
    }
}

/// Reads a secret document.
pub(super) fn read(secret: &Secret) -> Result<ManagedUser> {
    let document: &Document = secret.document()?;
    let arn = document.required(USER_ARN)?.to_owned();
    UserArn::parse(&arn)?;
    let name = document.required("username")?.to_owned();
    let password = document.optional("password")?;
    let login = match (document.optional("host")?, password) {
        // AWS's form has no engine.
        (Some(_), Some(_)) => {
            Some(Login::read(&document.with("engine", "redis").into(), &DIALECT)?)
        }
        _ => None,
    };
    Ok(ManagedUser { arn, name, password: password.map(Into::into), login })
}

/// Whether a secret names a user of ElastiCache or MemoryDB: whether it has the field `user_arn`.
pub(crate) fn is_managed(secret: &Secret) -> bool {
    secret.document().is_ok_and(|document| document.field(USER_ARN).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_of_a_user_is_told_by_its_service_and_anything_else_is_refused_by_field() {
        for (text, service, id) in [
            (
                "arn:aws:elasticache:us-east-1:111122223333:user:app-1",
                Service::ElastiCache,
                "app-1",
            ),
            ("arn:aws-cn:memorydb:cn-north-1:111122223333:user/app", Service::MemoryDb, "app"),
        ] {
            let arn = UserArn::parse(text).unwrap();
            assert_eq!((arn.service, arn.id.as_str()), (service, id));
        }
        for text in [
            "app",
            "arn:aws:elasticache:us-east-1:111122223333:user:",
            "arn:aws:elasticache:us-east-1:111122223333:usergroup:canary",
            "arn:aws:elasticache:us-east-1:111122223333:user:a*",
            "arn:aws:memorydb:us-east-1:111122223333:user:app",
            "arn:aws:rds:us-east-1:111122223333:user:canary",
        ] {
            let error = UserArn::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Malformed);
            let told = error.to_string();
            assert!(told.contains("\"user_arn\"") && !told.contains("canary"), "{told}");
        }
    }
}
