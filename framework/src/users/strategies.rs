//! Which strategy a secret follows: the function's first, or the one that the secret's tag picks.

mod strategy;

use std::sync::Arc;

use async_trait::async_trait;

use crate::config::{Environment, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::password::PasswordPolicy;
use crate::rotator::{
    Applied, CreateContext, Fence, Finding, Form, InspectContext, PromoteContext, RetireContext,
    Rotator, SecretReader, SetContext, Verdict,
};
use crate::secret::Secret;
use crate::store::SecretDescription;
use crate::users::proxy_secrets::ProxySecrets;
use crate::users::{
    Alternates, Alternating, ByAdmin, Driver, DualPassword, DualPasswords, PasswordSet,
    PasswordSets, SingleUser,
};

pub use strategy::Strategy;

/// The tag by which a secret picks one of the function's strategies.
const TAG: &str = "fourstep:strategy";

/// The strategies of one function, of which each secret follows one.
///
/// `ROTATION_STRATEGY` lists them, separated by commas; absent means `single-user`. A secret
/// follows the first, unless its tag `fourstep:strategy` names another of the list.
pub struct Strategies {
    list: Vec<(Strategy, Box<dyn Rotator>)>,
    other: Option<OtherForm>,
    proxies: ProxySecrets,
}

/// Secrets of a form of their own, which one rotator rotates, by one strategy.
struct OtherForm {
    is_theirs: fn(&Secret) -> bool,
    strategy: Strategy,
    rotator: Box<dyn Rotator>,
}

impl Strategies {
    /// Reads `ROTATION_STRATEGY`. `build` makes the rotator of a strategy that is listed, and
    /// nothing for one that the database does not have.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable, and those of `build`.
    ///
    /// ```
    /// use fourstep::users::{Database, Driver, SingleUser, Strategies, Strategy};
    /// use fourstep::{Environment, Error, PasswordPolicy, Rotator, Result};
    ///
    /// fn strategies<S: Database + 'static>(server: S) -> Result<Strategies> {
    ///     let environment = Environment::from([("ROTATION_STRATEGY", "single-user")]);
    ///     let database = std::sync::Arc::new(Driver::read(&environment, server)?);
    ///     Strategies::read(&environment, |strategy| match strategy {
    ///         Strategy::SingleUser => {
    ///             let rotator = SingleUser::new(database.clone(), PasswordPolicy::default());
    ///             Ok(Some(Box::new(rotator) as Box<dyn Rotator>))
    ///         }
    ///         _ => Ok(None),
    ///     })
    /// }
    /// ```
    pub fn read(
        environment: &Environment,
        build: impl FnMut(Strategy) -> Result<Option<Box<dyn Rotator>>>,
    ) -> Result<Self> {
        Self::read_or(Strategy::SingleUser, environment, build)
    }

    /// As [`read`](Self::read), with another strategy where none is listed.
    fn read_or(
        absent: Strategy,
        environment: &Environment,
        mut build: impl FnMut(Strategy) -> Result<Option<Box<dyn Rotator>>>,
    ) -> Result<Self> {
        let name = "ROTATION_STRATEGY";
        let listed = environment.text(name)?.unwrap_or(absent.name());
        let mut strategies: Vec<(Strategy, Box<dyn Rotator>)> = Vec::new();
        for word in listed.split(',').map(str::trim) {
            let strategy = Strategy::ALL.into_iter().find(|one| one.name() == word);
            let Some(strategy) = strategy else {
                let all = Strategy::ALL.map(Strategy::name).join(", ");
                return Err(refused(name, &format!("must list strategies, each one of {all}")));
            };
            if strategies.iter().any(|(one, _)| *one == strategy) {
                return Err(refused(name, &format!("lists {} twice", strategy.name())));
            }
            match build(strategy)? {
                Some(rotator) => strategies.push((strategy, rotator)),
                None => {
                    let what = format!("lists {}, which this database lacks", strategy.name());
                    return Err(refused(name, &what));
                }
            }
        }
        Ok(Self { list: strategies, other: None, proxies: ProxySecrets::read(environment)? })
    }

    /// As [`read`](Self::read), for a database with one password for each user.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub fn of_pairs<S: Alternates + 'static>(
        environment: &Environment,
        database: Driver<S>,
        policy: PasswordPolicy,
    ) -> Result<Self> {
        let database = Arc::new(database);
        Self::read(environment, |strategy| one_password(strategy, environment, &database, &policy))
    }

    /// As [`of_pairs`](Self::of_pairs), for a database whose users may have two passwords as well.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub fn of_two_passwords<S: Alternates + DualPasswords + 'static>(
        environment: &Environment,
        database: Driver<S>,
        policy: PasswordPolicy,
    ) -> Result<Self> {
        let database = Arc::new(database);
        Self::read(environment, |strategy| match strategy {
            Strategy::DualPassword => {
                Ok(Some(Box::new(DualPassword::new(database.clone(), policy.clone()))))
            }
            strategy => one_password(strategy, environment, &database, &policy),
        })
    }

    /// The strategies of a database whose users may have any number of passwords: `dual-password`,
    /// which is meant where `ROTATION_STRATEGY` is absent, and `single-user-by-admin`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub fn of_password_sets<S: PasswordSets + 'static>(
        environment: &Environment,
        database: Driver<S>,
        policy: PasswordPolicy,
    ) -> Result<Self> {
        let database = Arc::new(database);
        Self::read_or(Strategy::DualPassword, environment, |strategy| {
            let keeps_previous = match strategy {
                Strategy::DualPassword => true,
                Strategy::SingleUserByAdmin => false,
                Strategy::SingleUser | Strategy::AlternatingUsers => return Ok(None),
            };
            let (database, policy) = (database.clone(), policy.clone());
            let rotator = PasswordSet::read(environment, database, policy, keeps_previous)?;
            Ok(Some(Box::new(rotator)))
        })
    }

    /// These strategies, but for the secrets that are told by `is_theirs`: `rotator` rotates those, where they
    /// follow this strategy, and refuses the others by name.
    #[must_use]
    pub fn with_form(
        self,
        is_theirs: fn(&Secret) -> bool,
        strategy: Strategy,
        rotator: Box<dyn Rotator>,
    ) -> Self {
        Self { other: Some(OtherForm { is_theirs, strategy, rotator }), ..self }
    }

    fn other(&self, secret: &Secret) -> Option<&OtherForm> {
        self.other.as_ref().filter(|other| (other.is_theirs)(secret))
    }

    /// The rotator of this secret, for what all strategies do alike.
    fn any(&self, secret: &Secret) -> Result<&dyn Rotator> {
        let none = || Error::new(ErrorKind::Internal, "the function has no strategy");
        match self.other(secret) {
            Some(other) => Ok(&*other.rotator),
            None => self.list.first().map(|(_, rotator)| &**rotator).ok_or_else(none),
        }
    }

    /// The rotator of the strategy that this secret follows.
    fn of(&self, secret: &Secret, description: &SecretDescription) -> Result<&dyn Rotator> {
        let (strategy, rotator) = self.picked(description)?;
        self.proxies.check_kept_by(strategy, secret)?;
        match self.other(secret) {
            None => Ok(rotator),
            Some(other) if other.strategy == strategy => Ok(&*other.rotator),
            Some(other) => Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the strategy {} is none for a secret of this form; choose {} in ROTATION_STRATEGY, \
                     or by the secret's tag {TAG} where that lists it",
                    strategy.name(),
                    other.strategy.name()
                ),
            )),
        }
    }

    fn picked(&self, description: &SecretDescription) -> Result<(Strategy, &dyn Rotator)> {
        let picked = match description.tags.get(TAG).map(|name| name.trim()) {
            None | Some("") => self.list.first(),
            Some(name) => self.list.iter().find(|(strategy, _)| strategy.name() == name),
        };
        picked.map(|(strategy, rotator)| (*strategy, &**rotator)).ok_or_else(|| {
            let offered: Vec<_> = self.list.iter().map(|(strategy, _)| strategy.name()).collect();
            Error::new(
                ErrorKind::Malformed,
                format!("the secret's tag {TAG} names no strategy of this function"),
            )
            .caused_by(format!(
                "ROTATION_STRATEGY offers {}; correct the tag, or add the strategy there",
                offered.join(", ")
            ))
        })
    }
}

/// The rotator of a strategy that needs no second password for a user.
fn one_password<S: Alternates + 'static>(
    strategy: Strategy,
    environment: &Environment,
    database: &Arc<Driver<S>>,
    policy: &PasswordPolicy,
) -> Result<Option<Box<dyn Rotator>>> {
    let (database, policy) = (database.clone(), policy.clone());
    let rotator: Box<dyn Rotator> = match strategy {
        Strategy::SingleUser => Box::new(SingleUser::new(database, policy)),
        Strategy::SingleUserByAdmin => Box::new(ByAdmin::read(environment, database, policy)?),
        Strategy::AlternatingUsers => Box::new(Alternating::read(environment, database, policy)?),
        Strategy::DualPassword => return Ok(None),
    };
    Ok(Some(rotator))
}

impl std::fmt::Debug for Strategies {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.list.iter().map(|(strategy, _)| strategy)).finish()
    }
}

#[async_trait]
impl Rotator for Strategies {
    fn check(&self, versions: &SetContext<'_>) -> Result<()> {
        self.of(versions.current().secret(), versions.description())?.check(versions)
    }

    /// Where a secret has a form of its own, only its rotator knows.
    fn form(
        &self,
        secret: &Secret,
        description: &SecretDescription,
    ) -> Option<(&'static str, Form)> {
        let (strategy, rotator) = self.picked(description).ok()?;
        if self.other(secret).is_some() {
            return None;
        }
        let own = rotator.form(secret, description);
        Some((strategy.name(), own.map_or(strategy.form(), |(_, form)| form)))
    }

    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret> {
        self.of(known.current.secret(), known.description)?.propose(known, cx).await
    }

    async fn discard(
        &self,
        proposed: &Secret,
        known: &CreateContext<'_>,
        cx: &Invocation,
    ) -> Result<()> {
        self.of(proposed, known.description)?.discard(proposed, known, cx).await
    }

    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Applied> {
        self.of(versions.current().secret(), versions.description())?
            .apply(versions, fence, cx)
            .await
    }

    /// The same for all of them: a user logs in or does not.
    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict> {
        self.any(secret)?.verify(secret, cx).await
    }

    async fn verify_everywhere(
        &self,
        secret: &Secret,
        secrets: &SecretReader<'_>,
        cx: &Invocation,
    ) -> Result<Verdict> {
        self.any(secret)?.verify_everywhere(secret, secrets, cx).await
    }

    async fn compare(&self, versions: &SetContext<'_>, cx: &Invocation) -> Result<()> {
        self.of(versions.current().secret(), versions.description())?.compare(versions, cx).await
    }

    async fn confirm(&self, versions: &PromoteContext<'_>, cx: &Invocation) -> Result<()> {
        self.of(versions.pending().secret(), versions.description())?.confirm(versions, cx).await
    }

    async fn retire(&self, keep: &RetireContext<'_>, cx: &Invocation) -> Result<()> {
        let whose = match &self.other {
            None => self.picked(keep.description())?.1,
            Some(_) => self.of(&keep.value().await?, keep.description())?,
        };
        whose.retire(keep, cx).await
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>> {
        self.of(subject.current.secret(), subject.description)?.preflight(subject, cx).await
    }

    async fn plan(&self, subject: &InspectContext<'_>, cx: &Invocation) -> Result<Vec<String>> {
        self.of(subject.current.secret(), subject.description)?.plan(subject, cx).await
    }
}

#[cfg(test)]
mod tests;
