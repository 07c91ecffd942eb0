//! Alternating users.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use secrecy::ExposeSecret;

use super::admin::{Login, Tries, admin, check_same};
use super::pair::{Commit, Defect, Pair, Standing, unproven};
use crate::error::{Error, ErrorKind};
use crate::password::PasswordPolicy;
use crate::rotator::{Applied, Fence, Finding, Known, Rotator, Subject, Verdict, Versions};
use crate::secret::Secret;
use crate::testing::models::{Account, Accounts, Server, Session, SharedServer};
use crate::turn::Turn;

pub(super) struct Alternating {
    pub(super) server: Server,
    pub(super) commit: Commit,
    pub(super) adopt: &'static [&'static str],
    pub(super) defect: Option<Defect>,
    /// For [`Defect::Memory`].
    pub(super) next: Mutex<Option<String>>,
}

impl Alternating {
    pub(super) fn new(server: &Server, commit: Commit, defect: Option<Defect>) -> Self {
        Self { server: server.clone(), commit, adopt: &[], defect, next: Mutex::default() }
    }

    fn pair<'a>(&'a self, secret: &'a str) -> Pair<'a> {
        let Self { server, commit, adopt, defect, .. } = self;
        Pair { server, commit: *commit, secret, adopt, defect: *defect }
    }

    /// Which user comes after this one. What belongs to somebody else is refused before anything
    /// is stored that would name it.
    async fn next(&self, user: &str, secret: &str) -> Result<String, Error> {
        let mut remembered = self.remembered();
        if let Some(next) = remembered.take() {
            return Ok(next);
        }
        let pair = self.pair(secret);
        let session = admin(&self.server).await?;
        let next = session.ask("whose are the two users?", |accounts| {
            pair.standing(accounts, user, user)?;
            let next = pair.other(accounts, user)?;
            match pair.standing(accounts, &next, user)? {
                // Where the user in use is gone, so is the mark: setSecret asks for other proof.
                Standing::Unproven if accounts.contains_key(user) => Err(unproven(&next)),
                _ => Ok(next),
            }
        });
        let next = next.await??;
        if self.defect == Some(Defect::Memory) {
            *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(next.clone());
        }
        Ok(next)
    }

    fn remembered(&self) -> Option<String> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// AWSCURRENT does not log in. If another recorded secret of either half does, its recorded
    /// password is set on its account again: a fail-over lost it.
    async fn revive(
        &self,
        pair: &Pair<'_>,
        versions: &Versions<'_>,
        tries: &mut Tries<'_>,
        (current, pending): (&Login, &Login),
        fence: &Fence<'_>,
    ) -> Result<(), Error> {
        let refused = Error::new(ErrorKind::Rejected, "AWSCURRENT does not log in");
        if self.defect == Some(Defect::NoRepair) {
            return Err(refused);
        }
        let users = [current.user.as_str(), pending.user.as_str()];
        let Some(works) = tries.older(versions, &users, Some(pending)).await? else {
            return Err(refused.caused_by("nor does any other recorded secret of the pair"));
        };
        let session = admin(&self.server).await?;
        let (user, partner) = (&current.user, &works.user);
        let there = session.ask("is the user there?", |accounts| {
            let whole = |account: &Account| !account.rights.locked;
            accounts.get(user).map(|one| whole(one) || self.defect == Some(Defect::HalfMade))
        });
        let there = there.await?;
        // Its own rights count. One that is gone, or half-made by an earlier run, has none to
        // count: it gets those of the other half.
        let source = if there == Some(true) { user } else { partner };
        if there.is_some() && user != partner {
            let standing = |accounts: &Accounts| pair.standing(accounts, user, partner);
            if session.ask("whose is the user?", standing).await?? == Standing::Unproven {
                return Err(unproven(user));
            }
        }
        pair.install(session, current, source, false, fence).await
    }

    /// What the rights of the two users differ in, seen by the admin.
    async fn compare(&self, user: &str) -> Result<(), Error> {
        let databases = SharedServer::DATABASES.iter().map(|database| Some(*database));
        let places: Vec<_> = match self.commit {
            Commit::PerDatabase => databases.collect(),
            Commit::PerStatement => vec![None],
        };
        for place in places {
            let session: Session = admin(&self.server).await?;
            let equal = session.ask("compare the rights", |one| same_rights(one, user, place));
            if !equal.await? {
                let what = "the rights of the two users differ";
                return Err(Error::new(ErrorKind::Conflict, what).caused_by(
                    "they were changed after setSecret, which makes them equal; retry",
                ));
            }
        }
        Ok(())
    }
}

fn same_rights(accounts: &Accounts, user: &str, database: Option<&str>) -> bool {
    let grants = |name: &str| {
        let all = accounts.get(name).map(|account| account.rights.grants.iter());
        let here = all.into_iter().flatten();
        here.filter(|grant| database.is_none_or(|one| grant.database == one)).collect::<Vec<_>>()
    };
    let mut pairs = accounts.iter().filter_map(|(name, account)| {
        let partner = &account.rights.mark.as_ref()?.partner;
        (name == user || partner == user).then_some((name, partner))
    });
    pairs.all(|(name, partner)| grants(name) == grants(partner))
}

#[async_trait]
impl Rotator for Alternating {
    /// Pending must name the other user; which that is and whose, the server says in apply.
    fn check(&self, versions: &Versions<'_>) -> Result<(), Error> {
        let (current, pending) = (versions.current(), versions.pending());
        if current.secret() == pending.secret() || self.defect == Some(Defect::StaleBase) {
            return Ok(());
        }
        let login = Login::read("AWSCURRENT", current.secret())?;
        let other = Login::read("AWSPENDING", pending.secret())?;
        if login.user == other.user {
            let what = format!("AWSPENDING names user {:?}, which is in use", other.user);
            return Err(Error::new(ErrorKind::Mismatch, what));
        }
        check_same(current.secret(), pending.secret(), &["username", "password"])
    }

    async fn propose(&self, known: &Known<'_>, _: &Turn) -> Result<Secret, Error> {
        let current = Login::read("AWSCURRENT", known.current.secret())?;
        let next = self.next(&current.user, &known.description.arn).await?;
        let password = PasswordPolicy::default().generate()?;
        let document = known.current.secret().document()?;
        Ok(document.with("username", &next).with("password", password.expose_secret()).into())
    }

    /// Current must log in, or be made to; then the other user gets its rights and the pending
    /// password. That is not tried first: in a healthy rotation it would be refused.
    async fn apply(
        &self,
        versions: &Versions<'_>,
        fence: &Fence<'_>,
        _: &Turn,
    ) -> Result<Applied, Error> {
        if versions.current().secret() == versions.pending().secret() {
            return Ok(Applied::Already("AWSPENDING is a copy of AWSCURRENT".to_owned()));
        }
        let current = Login::read("AWSCURRENT", versions.current().secret())?;
        let pending = Login::read("AWSPENDING", versions.pending().secret())?;
        let pair = self.pair(&versions.description.arn);
        let mut tries = Tries::new(&self.server);
        if self.defect == Some(Defect::PendingFirst) && tries.works(&pending).await? {
            return Ok(Applied::Already("the pending secret logs in".to_owned()));
        }
        if !tries.works(&current).await? {
            self.revive(&pair, versions, &mut tries, (&current, &pending), fence).await?;
        }
        let session = admin(&self.server).await?;
        let standing = session.ask("whose is the user?", |accounts| {
            pair.standing(accounts, &pending.user, &current.user)
        });
        let mut proven = self.defect == Some(Defect::StaleBase);
        if standing.await?? == Standing::Unproven && !proven {
            proven = tries.works(&pending).await?;
            if !proven {
                return Err(unproven(&pending.user));
            }
        }
        pair.install(session, &pending, &current.user, proven, fence).await?;
        let Login { user, .. } = &pending;
        Ok(Applied::Changed(format!("user {user:?} has its rights and the pending password")))
    }

    async fn verify(&self, secret: &Secret, _: &Turn) -> Result<Verdict, Error> {
        let login = Login::read("the secret", secret)?;
        if !Tries::new(&self.server).works(&login).await? {
            return Ok(Verdict::Rejected("wrong password".to_owned()));
        }
        self.compare(&login.user).await?;
        Ok(Verdict::Accepted)
    }

    async fn preflight(&self, _: &Subject<'_>, _: &Turn) -> Result<Vec<Finding>, Error> {
        Ok(Vec::new())
    }
}
