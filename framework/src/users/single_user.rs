//! One user that changes its own password.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::ExposeSecret;

use crate::error::{Error, ErrorKind};
use crate::password::PasswordPolicy;
use crate::rotator::{Applied, Fence, Finding, Known, Rotator, Subject, Verdict, Versions};
use crate::secret::{Previous, Secret};
use crate::turn::Turn;
use crate::users::{Attempt, Change, Database, Login};

/// The single-user strategy over any [`Database`].
///
/// The old password dies when setSecret changes it; applications that cannot take that need a
/// strategy with two passwords.
#[derive(Debug)]
pub struct SingleUser<D> {
    database: Arc<D>,
    policy: PasswordPolicy,
}

impl<D: Database> SingleUser<D> {
    /// Rotates users of `database` to passwords that meet `policy`.
    pub fn new(database: Arc<D>, policy: PasswordPolicy) -> Self {
        Self { database, policy }
    }

    fn login(&self, what: &str, secret: &Secret) -> Result<Login, Error> {
        Login::read(secret, self.database.dialect()).map_err(|error| error.while_doing(what))
    }

    /// The login of an older version, if it can be read and names the same account as current.
    /// Everything but the password is taken from current: that is where the account is now.
    fn older(&self, current: &Login, secret: &Secret) -> Option<Login> {
        let older = Login::read(secret, self.database.dialect()).ok()?;
        current.same_account(&older).then(|| current.with_password(&older.password))
    }
}

#[async_trait]
impl<D: Database> Rotator for SingleUser<D> {
    /// Pending must be current with another password. Another account would be somebody else's;
    /// any other difference is an edit of AWSCURRENT that promoting pending would revert.
    fn check(&self, versions: &Versions<'_>) -> Result<(), Error> {
        let (current, pending) = (versions.current(), versions.pending());
        let login = self.login("AWSCURRENT", current.secret())?;
        let other = self.login("AWSPENDING", pending.secret())?;
        let mismatch = |what: String| Err(Error::new(ErrorKind::Mismatch, what));
        if !login.same_account(&other) {
            let (other, login) = (other.account(), login.account());
            return mismatch(format!("AWSPENDING names {other}, but AWSCURRENT {login}"));
        }
        let (current, pending) = (current.secret().document()?, pending.secret().document()?);
        match current.difference(pending, &["password"]) {
            None => Ok(()),
            Some(field) => mismatch(format!(
                "AWSPENDING differs from AWSCURRENT in {field:?} too, so AWSCURRENT was edited \
                 since AWSPENDING was made"
            )),
        }
    }

    async fn propose(&self, known: &Known<'_>, _turn: &Turn) -> Result<Secret, Error> {
        let secret = known.current.secret();
        self.login("AWSCURRENT", secret)?;
        let policy = self.policy.with_tags(&known.description.tags)?;
        let password = policy.generate()?;
        Ok(secret.document()?.with("password", password.expose_secret()).into())
    }

    /// Current first, because it works in every healthy rotation, then pending, which works if an
    /// earlier run got this far, then what a cancelled rotation may have left. Only a refused
    /// password leads to the next; no password is tried twice.
    async fn apply(
        &self,
        versions: &Versions<'_>,
        fence: &Fence<'_>,
        turn: &Turn,
    ) -> Result<Applied, Error> {
        let current = self.login("AWSCURRENT", versions.current().secret())?;
        let pending = self.login("AWSPENDING", versions.pending().secret())?;
        let mut tries = Tries {
            database: &*self.database,
            turn,
            refused: Vec::new(),
            unseen: Vec::new(),
            untried: 0,
        };
        let mut open = tries.open("AWSCURRENT", &current).await?;
        if open.is_none() && tries.log_in("AWSPENDING", &pending).await?.is_some() {
            return Ok(Applied::Already(format!(
                "{} has the pending password already",
                pending.account()
            )));
        }
        for place in [Older::Previous, Older::Others] {
            if open.is_none() {
                let older = self.older_logins(place, &current, versions).await;
                let older = tries.allowed(older)?;
                open = tries.any(older, self.most(place)).await?;
            }
        }
        let Some(Open { session, name, login }) = open else {
            return Err(tries.exhausted(&current));
        };
        let password = &pending.password;
        match self.database.change_own_password(session, &current, password, fence, turn).await? {
            Change::Made => Ok(Applied::Changed(format!(
                "changed the password of {}, logged in with {name}",
                current.account()
            ))),
            Change::Refused(why) => self.refused(why, &login, turn).await,
        }
    }

    async fn verify(&self, secret: &Secret, turn: &Turn) -> Result<Verdict, Error> {
        let login = Login::read(secret, self.database.dialect())?;
        match self.database.log_in(&login, turn).await? {
            Attempt::Accepted(_) => Ok(Verdict::Accepted),
            Attempt::Refused(why) => Ok(Verdict::Rejected(format!("{}: {why}", login.account()))),
        }
    }

    async fn compare(&self, versions: &Versions<'_>, turn: &Turn) -> Result<(), Error> {
        let pending = self.login("AWSPENDING", versions.pending().secret())?;
        self.database.probe(&pending, turn).await
    }

    async fn preflight(&self, subject: &Subject<'_>, turn: &Turn) -> Result<Vec<Finding>, Error> {
        let current = subject.current;
        let login = self.login("AWSCURRENT", current.secret())?;
        match self.database.log_in(&login, turn).await? {
            Attempt::Accepted(session) => self.database.preflight(session, &login, turn).await,
            Attempt::Refused(why) => {
                let error = Error::new(ErrorKind::Rejected, "AWSCURRENT does not log in");
                Ok(vec![Finding::Fails(error.caused_by(why))])
            }
        }
    }
}

/// A session, and what opened it.
struct Open<Session> {
    session: Session,
    name: String,
    login: Login,
}

/// Where an older password of the same account may stand.
#[derive(Clone, Copy)]
enum Older {
    Previous,
    Others,
}

impl<D: Database> SingleUser<D> {
    /// The server refused the value. Only if the login that worked still does was nothing applied:
    /// where passwords may not be used again, another container may have set this very one.
    async fn refused(&self, why: Error, login: &Login, turn: &Turn) -> Result<Applied, Error> {
        match self.database.log_in(login, turn).await? {
            Attempt::Accepted(_) => Ok(Applied::Refused(why)),
            Attempt::Refused(_) => {
                Err(why.caused_by("and the password that logged in does not any more; retry"))
            }
        }
    }

    /// How many passwords of one place may be tried.
    fn most(&self, place: Older) -> usize {
        match place {
            Older::Previous => 1,
            Older::Others => self.database.dialect().most_older_logins,
        }
    }

    /// The logins of one place, named for messages. The store is asked only now.
    async fn older_logins(
        &self,
        place: Older,
        current: &Login,
        versions: &Versions<'_>,
    ) -> Result<Vec<(String, Login)>, Error> {
        if self.most(place) == 0 {
            return Ok(Vec::new());
        }
        let (what, found): (_, Vec<Previous>) = match place {
            Older::Previous => ("AWSPREVIOUS", versions.previous().await?.into_iter().collect()),
            Older::Others => ("older version", versions.others().await?),
        };
        let named = found.iter().filter_map(|previous| {
            let login = self.older(current, previous.secret())?;
            Some((format!("{what} {}", previous.version()), login))
        });
        Ok(named.collect())
    }
}

/// The logins tried in this step, so that none is tried twice and a failure lists them all.
struct Tries<'a, D> {
    database: &'a D,
    turn: &'a Turn,
    refused: Vec<(String, Login, String)>,
    /// Why older versions could not be looked at.
    unseen: Vec<Error>,
    /// How many older versions were left alone.
    untried: usize,
}

impl<D: Database> Tries<'_, D> {
    async fn log_in(&mut self, name: &str, login: &Login) -> Result<Option<D::Session>, Error> {
        if self.was_refused(login) {
            return Ok(None);
        }
        let attempt = self.database.log_in(login, self.turn).await;
        match attempt.map_err(|error| error.while_doing(name))? {
            Attempt::Accepted(session) => Ok(Some(session)),
            Attempt::Refused(why) => {
                self.refused.push((name.to_owned(), login.clone(), why));
                Ok(None)
            }
        }
    }

    async fn open(&mut self, name: &str, login: &Login) -> Result<Option<Open<D::Session>>, Error> {
        let session = self.log_in(name, login).await?;
        let opened = |session| Open { session, name: name.to_owned(), login: login.clone() };
        Ok(session.map(opened))
    }

    fn was_refused(&self, login: &Login) -> bool {
        let password = login.password.expose_secret();
        self.refused.iter().any(|(_, tried, _)| tried.password.expose_secret() == password)
    }

    /// The first of these that logs in, of at most `most` that were not tried yet.
    async fn any(
        &mut self,
        logins: Vec<(String, Login)>,
        most: usize,
    ) -> Result<Option<Open<D::Session>>, Error> {
        let mut tried = 0;
        for (name, login) in logins {
            if self.was_refused(&login) {
                continue;
            }
            if tried == most {
                self.untried += 1;
                continue;
            }
            tried += 1;
            if let Some(open) = self.open(&name, &login).await? {
                return Ok(Some(open));
            }
        }
        Ok(None)
    }

    /// A role made for AWS's template may not list versions: that must not hide what happened.
    fn allowed(
        &mut self,
        older: Result<Vec<(String, Login)>, Error>,
    ) -> Result<Vec<(String, Login)>, Error> {
        match older {
            Err(error) if error.kind() == ErrorKind::Forbidden => {
                self.unseen.push(error);
                Ok(Vec::new())
            }
            older => older,
        }
    }

    fn exhausted(self, account: &Login) -> Error {
        let count = self.refused.len();
        let mut tried: Vec<String> =
            self.refused.into_iter().map(|(name, _, why)| format!("{name}: {why}")).collect();
        let unseen = self.unseen.iter();
        tried.extend(unseen.map(|error| format!("older versions were not looked at: {error}")));
        if self.untried > 0 {
            tried.push(format!("{} more older passwords were not tried", self.untried));
        }
        Error::new(
            ErrorKind::Rejected,
            format!("cannot change the password of {}", account.account()),
        )
        .caused_by(format!(
            "the passwords of {count} versions were tried and refused; nothing was changed ({})",
            tried.join("; ")
        ))
    }
}
