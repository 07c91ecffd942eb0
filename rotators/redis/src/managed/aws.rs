//! The APIs of ElastiCache and MemoryDB through the AWS SDK, and the login at a cache. No other file of this crate
//! names an SDK type.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use aws_sdk_elasticache::config::retry::RetryConfig;
use aws_sdk_elasticache::{Client as ElastiCache, config as elasticache};
use aws_sdk_memorydb::types::{AuthenticationMode, InputAuthenticationType};
use aws_sdk_memorydb::{Client as MemoryDb, config as memorydb};
use fourstep::store::aws::{AwsCall, LazyClient};
use fourstep::users::{
    Attempt, Change, Driver, Login, ManagedUser, ManagedUsers, UserState, UserStatus,
};
use fourstep::{
    Environment, Error, ErrorKind, ExposeSecret, Invocation, Result, Secret, SecretString,
};

use super::user::{self, Service, UserArn};
use crate::Redis;

/// How many characters a password has. Source: ElastiCache User Guide, "Authenticating with the Valkey and Redis OSS
/// AUTH command", which says it of AUTH tokens; of users the documents say nothing.
const LENGTHS: RangeInclusive<usize> = 16..=128;

/// Refusals that are answers. Source: API references, the errors of DescribeUsers, ModifyUser and UpdateUser.
const NOT_FOUND: &str = "UserNotFound";
const BUSY: &str = "InvalidUserState";
const KNOWN: &[&str] =
    &[NOT_FOUND, BUSY, "InvalidParameterValue", "InvalidParameterCombination", "ValidationError"];

/// A user of either service: their types differ in the names of two fields.
macro_rules! found {
    ($user:expr, $name:ident, $groups:ident) => {{
        let user = $user;
        let authentication = user.authentication();
        let kind = authentication.and_then(|one| one.r#type());
        UserState {
            arn: user.arn().unwrap_or_default().to_owned(),
            name: user.$name().unwrap_or_default().to_owned(),
            status: status(user.status()),
            authentication: kind.map(|one| one.as_str().to_owned()).unwrap_or_default(),
            passwords: authentication.and_then(|one| one.password_count()).unwrap_or_default(),
            groups: user.$groups().len(),
        }
    }};
}

/// The real APIs.
pub(crate) struct Aws {
    caches: Driver<Redis>,
    elasticache: LazyClient<ElastiCache>,
    memorydb: LazyClient<MemoryDb>,
}

impl Aws {
    /// Reads the endpoints; the rest is read once it is needed.
    pub(crate) fn of(environment: &Environment) -> Result<Self> {
        let elasticache = LazyClient::read(environment, "AWS_ENDPOINT_URL_ELASTICACHE")?;
        let memorydb = LazyClient::read(environment, "AWS_ENDPOINT_URL_MEMORYDB")?;
        let caches = Driver::read(environment, Redis::read(environment)?)?;
        Ok(Self { caches, elasticache, memorydb })
    }

    async fn elasticache(&self) -> Result<&ElastiCache> {
        self.elasticache.get(ElastiCache::new).await
    }

    async fn memorydb(&self) -> Result<&MemoryDb> {
        self.memorydb.get(MemoryDb::new).await
    }
}

fn call(arn: &UserArn, operation: &'static str, sends_secret: bool) -> AwsCall {
    let name = match arn.service {
        Service::ElastiCache => "ElastiCache",
        Service::MemoryDb => "MemoryDB",
    };
    AwsCall { name, service: Some(arn.service.name()), operation, known: KNOWN, sends_secret }
}

/// Source: API references, User, Status: `active`, `modifying` or `deleting`.
fn status(word: Option<&str>) -> UserStatus {
    match word {
        Some("active") => UserStatus::Active,
        Some("deleting") => UserStatus::Deleting,
        _ => UserStatus::Changing,
    }
}

fn missing(user: &ManagedUser) -> Error {
    let what = format!("there is no user {}; correct \"user_arn\", or make the user", user.arn);
    Error::new(ErrorKind::NotFound, what)
}

#[async_trait]
impl ManagedUsers for Aws {
    fn lengths(&self) -> RangeInclusive<usize> {
        LENGTHS
    }

    fn read(&self, secret: &Secret) -> Result<ManagedUser> {
        user::read(secret)
    }

    fn action(&self, user: &ManagedUser) -> String {
        let service = UserArn::parse(&user.arn).map(|arn| arn.service);
        service.map(|one| format!("{}:{}", one.name(), one.operation())).unwrap_or_default()
    }

    async fn describe(&self, user: &ManagedUser, cx: &Invocation) -> Result<UserState> {
        let arn = UserArn::parse(&user.arn)?;
        let call = call(&arn, "DescribeUsers", false);
        let found = match arn.service {
            Service::ElastiCache => {
                let request = self.elasticache().await?.describe_users().user_id(arn.id);
                let answer = call.answer(request.send(), cx).await?;
                answer.map(|all| Some(found!(all.users().first()?, user_name, user_group_ids)))
            }
            Service::MemoryDb => {
                let request = self.memorydb().await?.describe_users().user_name(arn.id);
                let answer = call.answer(request.send(), cx).await?;
                answer.map(|all| Some(found!(all.users().first()?, name, acl_names)))
            }
        };
        match found {
            Ok(Some(found)) => Ok(found),
            Ok(None) | Err(NOT_FOUND) => Err(missing(user)),
            Err(code) => Err(refused(user, code)),
        }
    }

    async fn set_passwords(
        &self,
        user: &ManagedUser,
        passwords: &[SecretString],
        cx: &Invocation,
    ) -> Result<Change> {
        let arn = UserArn::parse(&user.arn)?;
        let call = call(&arn, arn.service.operation(), true);
        let passwords = passwords.iter().map(|one| one.expose_secret().to_owned()).collect();
        let passwords: Option<Vec<String>> = Some(passwords);
        // Once: a repeated request would not pass the fence again.
        let once = RetryConfig::disabled();
        let answer = match arn.service {
            Service::ElastiCache => {
                let request = self.elasticache().await?.modify_user().user_id(arn.id);
                let request = request.set_passwords(passwords).customize();
                let once = elasticache::Builder::new().retry_config(once);
                call.answer(request.config_override(once).send(), cx).await?.map(drop)
            }
            Service::MemoryDb => {
                let mode = AuthenticationMode::builder().r#type(InputAuthenticationType::Password);
                let mode = mode.set_passwords(passwords).build();
                let request = self.memorydb().await?.update_user().user_name(arn.id);
                let request = request.authentication_mode(mode).customize();
                let once = memorydb::Builder::new().retry_config(once);
                call.answer(request.config_override(once).send(), cx).await?.map(drop)
            }
        };
        match answer {
            Ok(()) => Ok(Change::Made),
            Err(NOT_FOUND) => Err(missing(user)),
            Err(BUSY) => Err(Error::new(
                ErrorKind::Conflict,
                format!("the user {} is being changed by somebody else; retry", user.arn),
            )),
            // What the service says besides might quote a password.
            Err(code) => Ok(Change::Refused(refused(user, code))),
        }
    }

    async fn log_in(&self, login: &Login, cx: &Invocation) -> Result<Attempt<()>> {
        Ok(match self.caches.log_in(login, cx).await? {
            Attempt::Accepted(_) => Attempt::Accepted(()),
            Attempt::Refused(why) => Attempt::Refused(why),
        })
    }
}

fn refused(user: &ManagedUser, code: &str) -> Error {
    let what = format!("the API refuses these values for the user {}", user.arn);
    Error::new(ErrorKind::Unsupported, what).caused_by(code).caused_by(
        "a password has 16 to 128 characters; look at PASSWORD_LENGTH and EXCLUDE_CHARACTERS",
    )
}
