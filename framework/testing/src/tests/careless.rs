//! The strategies that need an admin, each with something left out of it or put before it.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use fourstep::users::{Alternating, Attempt, ByAdmin, Driver, Login};
use fourstep::{
    Applied, CreateContext, Environment, Error, ErrorKind, ExposeSecret, Fence, Finding,
    InspectContext, Invocation, PasswordPolicy, Rotator, Secret, SetContext, Verdict,
};

use super::database::Model;
use crate::models::SharedServer;

/// What may be wrong with a strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carelessness {
    /// A pending secret of the very user that is in use is applied.
    StaleBase,
    /// A pending secret that logs in ends setSecret.
    PendingFirst,
    /// Which user is next is kept in memory.
    Memory,
    /// A current secret that does not log in ends setSecret.
    NoRepair,
    /// The admin resets whatever the secret names.
    NoProof,
    /// Only AWSCURRENT proves the account.
    OnlyCurrent,
    /// The fence is always open.
    NoFence,
    /// The password is set before the rights.
    PasswordFirst,
}

/// What is passed whatever the labels say.
struct AlwaysOpen;

#[async_trait]
impl Fence for AlwaysOpen {
    async fn pass(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// A strategy, and what is wrong with it.
pub(super) struct Careless {
    strategy: Box<dyn Rotator>,
    model: Arc<Driver<Model>>,
    with: Option<Carelessness>,
    /// For [`Carelessness::Memory`].
    next: Mutex<Option<String>>,
}

/// Alternating users as it is, but for what is said.
pub(super) fn alternating(
    model: Arc<Driver<Model>>,
    settings: &Environment,
    with: Option<Carelessness>,
) -> Box<dyn Rotator> {
    let strategy = Alternating::read(settings, model.clone(), PasswordPolicy::default());
    Box::new(Careless::new(strategy.unwrap(), model, with))
}

/// Single user by admin as it is, but for what is said.
pub(super) fn by_admin(
    model: Arc<Driver<Model>>,
    settings: &Environment,
    with: Option<Carelessness>,
) -> Box<dyn Rotator> {
    let strategy = ByAdmin::read(settings, model.clone(), PasswordPolicy::default());
    Box::new(Careless::new(strategy.unwrap(), model, with))
}

impl Careless {
    fn new(
        strategy: impl Rotator + 'static,
        model: Arc<Driver<Model>>,
        with: Option<Carelessness>,
    ) -> Self {
        Self { strategy: Box::new(strategy), model, with, next: Mutex::default() }
    }

    fn login(&self, secret: &Secret) -> Result<Login, Error> {
        Login::read(secret, self.model.dialect())
    }

    fn admin(&self) -> Result<Login, Error> {
        let (user, password) = (SharedServer::ADMIN, SharedServer::ADMIN_PASSWORD);
        let document = serde_json::json!({
            "engine": "model", "host": "model", "username": user, "password": password,
        });
        self.login(&Secret::decode(&document.to_string().into()))
    }

    async fn works(&self, login: &Login, cx: &Invocation) -> Result<bool, Error> {
        Ok(matches!(self.model.log_in(login, cx).await?, Attempt::Accepted(_)))
    }

    /// Sets the pending password and lets its user in, which is made if there is none.
    async fn let_in(
        &self,
        pending: Login,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<(), Error> {
        let Attempt::Accepted(admin) = self.model.log_in(&self.admin()?, cx).await? else {
            return Err(Error::new(ErrorKind::Rejected, "the admin does not log in"));
        };
        fence.pass().await?;
        let let_in = admin.session.execute("let the user in", |accounts| {
            let account = accounts.entry(pending.username).or_default();
            account.password = pending.password.expose_secret().to_owned();
            account.rights.locked = false;
        });
        Ok(let_in.await?)
    }

    /// What the defect does before the strategy, or in its place.
    async fn before(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Option<Applied>, Error> {
        let current = self.login(versions.current().secret())?;
        let pending = self.login(versions.pending().secret())?;
        let refused = || Err(Error::new(ErrorKind::Rejected, "AWSCURRENT does not log in"));
        match self.with {
            Some(Carelessness::StaleBase) if current.username == pending.username => {
                self.let_in(pending, fence, cx).await?;
                Ok(Some(Applied::Changed("reset the user in use".to_owned())))
            }
            Some(Carelessness::PendingFirst) if self.works(&pending, cx).await? => {
                Ok(Some(Applied::Already("the pending secret logs in".to_owned())))
            }
            Some(Carelessness::NoRepair) if !self.works(&current, cx).await? => refused(),
            Some(Carelessness::NoProof) => {
                self.let_in(pending, fence, cx).await?;
                Ok(Some(Applied::Changed("reset what the secret names".to_owned())))
            }
            Some(Carelessness::PasswordFirst) => {
                self.let_in(pending, fence, cx).await.map(|()| None)
            }
            Some(Carelessness::OnlyCurrent)
                if !self.works(&current, cx).await? && !self.works(&pending, cx).await? =>
            {
                refused()
            }
            _ => Ok(None),
        }
    }
}

#[async_trait]
impl Rotator for Careless {
    fn check(&self, versions: &SetContext<'_>) -> Result<(), Error> {
        match self.with {
            Some(Carelessness::StaleBase) => Ok(()),
            _ => self.strategy.check(versions),
        }
    }

    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret, Error> {
        let proposed = self.strategy.propose(known, cx).await?;
        if self.with != Some(Carelessness::Memory) {
            return Ok(proposed);
        }
        let document = proposed.document()?;
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let next = next.get_or_insert(document.required("username")?.to_owned());
        Ok(document.with("username", next).into())
    }

    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Applied, Error> {
        let fence = match self.with {
            Some(Carelessness::NoFence) => &AlwaysOpen,
            _ => fence,
        };
        match self.before(versions, fence, cx).await? {
            Some(applied) => Ok(applied),
            None => self.strategy.apply(versions, fence, cx).await,
        }
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict, Error> {
        self.strategy.verify(secret, cx).await
    }

    async fn compare(&self, versions: &SetContext<'_>, cx: &Invocation) -> Result<(), Error> {
        match self.with {
            // Of one user there is nothing to compare.
            Some(Carelessness::StaleBase) => Ok(()),
            _ => self.strategy.compare(versions, cx).await,
        }
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>, Error> {
        self.strategy.preflight(subject, cx).await
    }

    async fn plan(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<String>, Error> {
        self.strategy.plan(subject, cx).await
    }
}
