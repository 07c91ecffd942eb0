//! Alternating users behind a proxy, with something wrong about its secrets.

use async_trait::async_trait;
use fourstep::{
    Applied, CreateContext, Environment, Error, Fence, Finding, InspectContext, Invocation,
    PasswordPolicy, PromoteContext, RetireContext, Rotator, Secret, SetContext, Verdict, VersionId,
    users::Alternating,
};

use super::super::database::{Commit, Model};
use super::{Front, SETTING};
use crate::models::Server;

/// What may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    /// The proxy secret holds the pending password before the server does.
    ToldFirst,
    /// The proxy secret is written once the version is current.
    PromotedFirst,
    /// testSecret does not wait for the proxy.
    Impatient,
    /// The pending password goes into the proxy secret of the user in use.
    InUse,
    /// The proxy secret is written whatever it holds by then.
    Overwrites,
}

struct Planted {
    strategy: Box<dyn Rotator>,
    front: Front,
    defect: Option<Defect>,
}

/// The strategy as it is, but for what is said.
pub(super) fn alternating(
    front: &Front,
    server: &Server,
    commit: Commit,
    defect: Option<Defect>,
) -> Box<dyn Rotator> {
    let model = Model::behind(front.clone(), server, commit);
    let settings = match defect {
        Some(Defect::PromotedFirst) => Environment::default(),
        _ => Environment::from([("PROXY_SECRETS", SETTING)]),
    };
    let strategy = Alternating::read(&settings, model, PasswordPolicy::default()).unwrap();
    Box::new(Planted { strategy: Box::new(strategy), front: front.clone(), defect })
}

impl Planted {
    /// Stores the password of `secret` for a user, the one that it names if no other is said.
    fn write(&self, secret: &Secret, user: Option<&str>, token: &VersionId) {
        let document = secret.document().unwrap();
        let field = |name| document.required(name).unwrap();
        self.front.overwrite(user.unwrap_or(field("username")), field("password"), token);
    }
}

#[async_trait]
impl Rotator for Planted {
    fn check(&self, versions: &SetContext<'_>) -> Result<(), Error> {
        self.strategy.check(versions)
    }

    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret, Error> {
        self.strategy.propose(known, cx).await
    }

    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Applied, Error> {
        let (current, pending) = (versions.current().secret(), versions.pending());
        if self.defect == Some(Defect::ToldFirst) {
            self.write(pending.secret(), None, pending.version());
        }
        let applied = self.strategy.apply(versions, fence, cx).await?;
        match self.defect {
            Some(Defect::InUse) => {
                let user = current.document()?.required("username")?;
                self.write(pending.secret(), Some(user), pending.version());
            }
            Some(Defect::Overwrites) => {
                let write = || self.write(pending.secret(), None, pending.version());
                self.front.wire.call("overwrite the proxy secret", write).await?;
            }
            _ => {}
        }
        Ok(applied)
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict, Error> {
        self.strategy.verify(secret, cx).await
    }

    async fn compare(&self, versions: &SetContext<'_>, cx: &Invocation) -> Result<(), Error> {
        match self.defect {
            Some(Defect::Impatient) => Ok(()),
            _ => self.strategy.compare(versions, cx).await,
        }
    }

    async fn confirm(&self, versions: &PromoteContext<'_>, cx: &Invocation) -> Result<(), Error> {
        self.strategy.confirm(versions, cx).await
    }

    async fn retire(&self, keep: &RetireContext<'_>, _: &Invocation) -> Result<(), Error> {
        if self.defect == Some(Defect::PromotedFirst) {
            self.write(&keep.value().await?, None, keep.promoted());
        }
        Ok(())
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
