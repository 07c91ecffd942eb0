//! The two strategies over the model, and what becomes of its servers: one of them may come back with what it
//! had kept, come anew, leave, or be away for a while.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use fourstep::users::{Driver, PasswordSet};
use fourstep::{
    Applied, CreateContext, Environment, Error, Fence, Finding, InspectContext, Invocation,
    PasswordPolicy, PromoteContext, RetireContext, Rotator, Secret, SecretReader, SetContext,
    Verdict,
};
use serde_json::json;

use super::model::{Defect, Model, Server, Sets};
use crate::{Effort, Overlap, Remote, Testbed, Wire};

/// What becomes of the servers between any two calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// All of them go back to what they had kept.
    AllReturn,
    /// The last one does.
    OneReturns,
    /// A further one comes, with what the first had kept.
    Joins,
    /// The last one is gone for good.
    Leaves,
    /// The last one does not answer for some calls.
    IsAway,
}

/// The two strategies over so many servers.
#[derive(Clone, Copy)]
pub(super) struct SetOfPasswords {
    pub(super) keeps_previous: bool,
    pub(super) servers: u16,
    pub(super) fate: Fate,
    pub(super) defect: Option<Defect>,
}

#[async_trait]
impl Testbed for SetOfPasswords {
    fn overlap(&self) -> Overlap {
        if self.keeps_previous { Overlap::Full } else { Overlap::None }
    }

    fn turns(&self, effort: Effort) -> u32 {
        match effort {
            Effort::Short if self.servers > 1 => 1,
            Effort::Short => 2,
            _ => 4,
        }
    }

    async fn fresh(&self, wire: &Wire) -> Box<dyn Remote> {
        let set = |one: &str| BTreeSet::from([one.to_owned()]);
        let sets = Sets::from([
            ("app".into(), set("first-password")),
            ("admin".into(), set("of the admin")),
            ("somebody".into(), set("theirs")),
        ]);
        let server = |port| {
            let (now, kept) = (sets.clone(), sets.clone());
            Server { port, now, kept, stale: false, away: 0 }
        };
        let servers = Arc::new(Mutex::new((1..=self.servers).map(server).collect()));
        let model =
            Model { wire: wire.clone(), servers, defect: self.defect, left: Arc::default() };
        Box::new(OneUser { model, of: *self })
    }
}

struct OneUser {
    model: Model,
    of: SetOfPasswords,
}

#[async_trait]
impl Remote for OneUser {
    fn rotator(&self) -> Box<dyn Rotator> {
        let driver = Arc::new(Driver::new(self.model.clone()));
        let policy = PasswordPolicy::default();
        let keeps = self.of.keeps_previous;
        let set = PasswordSet::read(&Environment::default(), driver, policy, keeps).unwrap();
        Box::new(Observed { set, model: self.model.clone() })
    }

    fn secret(&self) -> String {
        let login = json!({
            "engine": "model", "host": "model", "username": "app", "password": "first-password",
            "masterarn": "admin",
        });
        login.to_string()
    }

    fn other_secrets(&self) -> Vec<(&'static str, String)> {
        let login = json!({
            "engine": "model", "host": "model", "username": "admin", "password": "of the admin",
        });
        vec![("admin", login.to_string())]
    }

    async fn accepts(&self, secret: &Secret) -> bool {
        let document = secret.document().unwrap();
        let field = |name| document.required(name).unwrap();
        self.model.accepts(field("username"), field("password"))
    }

    async fn credentials(&self) -> Option<usize> {
        let servers = self.model.lock();
        let seen = servers.iter().filter(|one| !one.stale).filter_map(|one| one.now.get("app"));
        Some(seen.flatten().collect::<BTreeSet<_>>().len())
    }

    fn complaint(&self) -> Option<String> {
        let others = [("admin", "of the admin"), ("somebody", "theirs")];
        let touched = self.model.lock().iter().any(|server| {
            others.iter().any(|(user, password)| {
                let only = BTreeSet::from([(*password).to_owned()]);
                server.now.get(*user) != Some(&only)
            })
        });
        let left = self.model.left.load(Ordering::Relaxed);
        let left = left.then_some("promoted although a server was left as it came");
        touched.then_some("another user was changed").or(left).map(str::to_owned)
    }

    fn unsettled(&self) -> Option<String> {
        let servers = self.model.lock();
        let mut sets = servers.iter().map(|one| one.now.get("app"));
        let first = sets.next();
        sets.any(|one| Some(one) != first).then(|| "the servers differ".to_owned())
    }

    fn remember(&self) {
        for server in self.model.lock().iter_mut() {
            server.kept = server.now.clone();
        }
    }

    fn forget(&self) -> bool {
        let mut servers = self.model.lock();
        let returns = |server: &mut Server| server.now = server.kept.clone();
        let several = servers.len() > 1;
        let ports = servers.iter().map(|one| one.port).max().unwrap_or_default();
        match (self.of.fate, servers.last_mut()) {
            (Fate::AllReturn, _) => servers.iter_mut().for_each(returns),
            (Fate::OneReturns, Some(last)) => {
                returns(last);
                last.stale = true;
            }
            (Fate::Joins, Some(last)) => {
                let now = last.kept.clone();
                let come = Server { port: ports + 1, now, stale: true, ..last.clone() };
                servers.push(come);
            }
            (Fate::Leaves, Some(_)) if several => drop(servers.pop()),
            (Fate::IsAway, Some(last)) => last.away = 3,
            _ => return false,
        }
        true
    }
}

/// The strategy, of which is seen whether it leaves a server as it came before it.
struct Observed {
    set: PasswordSet<Model>,
    model: Model,
}

impl Observed {
    fn as_they_came(&self) -> Vec<u16> {
        let servers = self.model.lock();
        servers.iter().filter(|one| one.stale).map(|one| one.port).collect()
    }
}

#[async_trait]
impl Rotator for Observed {
    fn check(&self, versions: &SetContext<'_>) -> Result<(), Error> {
        self.set.check(versions)
    }

    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret, Error> {
        self.set.propose(known, cx).await
    }

    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Applied, Error> {
        self.set.apply(versions, fence, cx).await
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict, Error> {
        self.set.verify(secret, cx).await
    }

    async fn verify_everywhere(
        &self,
        secret: &Secret,
        secrets: &SecretReader<'_>,
        cx: &Invocation,
    ) -> Result<Verdict, Error> {
        self.set.verify_everywhere(secret, secrets, cx).await
    }

    async fn compare(&self, versions: &SetContext<'_>, cx: &Invocation) -> Result<(), Error> {
        self.set.compare(versions, cx).await
    }

    async fn confirm(&self, versions: &PromoteContext<'_>, cx: &Invocation) -> Result<(), Error> {
        let before = self.as_they_came();
        if self.model.defect != Some(Defect::Unconfirmed) {
            self.set.confirm(versions, cx).await?;
        }
        let after = self.as_they_came();
        self.model.left.fetch_or(before.iter().any(|one| after.contains(one)), Ordering::Relaxed);
        Ok(())
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>, Error> {
        self.set.preflight(subject, cx).await
    }

    async fn retire(&self, keep: &RetireContext<'_>, cx: &Invocation) -> Result<(), Error> {
        self.set.retire(keep, cx).await
    }
}
