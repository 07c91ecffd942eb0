//! The dual-password strategy over the modelled server, and its defects.

use std::sync::Mutex;

use async_trait::async_trait;
use fourstep::users::{Dialect, Login};
use fourstep::{
    Applied, CreateContext, Error, ErrorKind, ExposeSecret, Fence, Finding, InspectContext,
    Invocation, PasswordPolicy, Pending, RetireContext, Rotator, Secret, SetContext, Verdict,
};

use crate::models::{Identified, Refusal, Server, Session, Trouble};

const DIALECT: Dialect = Dialect {
    engines: &["mysql"],
    default_port: 3306,
    default_dbname: None,
    longest_name: 63,
    most_older_logins: 2,
    besides: &[],
};

/// What is wrong with a rotator on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    None,
    /// Asks whether pending works, and then trusts the answer: RETAIN without REPLACE.
    PlainRetain,
    /// Changes the password without passing the fence.
    NoFence,
    /// Changes the password without holding the account's lock.
    NoLock,
    /// Applies a password that it draws now instead of the recorded one.
    Regenerated,
    /// Applies the password that it proposed, which it remembers.
    Remembered,
    /// Remembers that it has applied a password.
    AppliedOnce,
    /// Retains the primary password also where AWSCURRENT is the secondary one.
    EvictingFallback,
    /// Discards the old password when the new one is promoted.
    DiscardsAtOnce,
    /// Takes 3638 for a verdict on the pending password without asking whether it works.
    TrustsHistory,
    /// Tries a password again that was refused before in the same step.
    TriesTwice,
    /// Gives up where AWSCURRENT does not log in, whatever else does.
    CurrentOnly,
}

/// Rotates one user that keeps its old password as the secondary one.
pub(super) struct DualPassword {
    server: Server,
    defect: Defect,
    remembered: Mutex<Option<String>>,
}

impl DualPassword {
    pub(super) fn new(server: &Server, defect: Defect) -> Self {
        Self { server: server.clone(), defect, remembered: Mutex::new(None) }
    }

    async fn log_in(&self, login: &Login) -> Result<Option<Session>, Error> {
        let password = login.password.expose_secret();
        self.server.log_in(&login.username, password).await.map_err(|trouble| match trouble {
            Trouble::Refused(why) => Error::new(ErrorKind::Rejected, why),
            lost @ Trouble::Lost => lost.into(),
        })
    }

    /// The older logins of the account that AWSCURRENT names, nearest first.
    async fn older(
        &self,
        place: Older,
        current: &Login,
        versions: &SetContext<'_>,
    ) -> Result<Vec<Login>, Error> {
        let found = match place {
            Older::Previous => versions.previous().await?.into_iter().collect(),
            Older::Others => versions.others().await?,
        };
        let logins = found.iter().filter_map(|one| Login::read(one.secret(), &DIALECT).ok());
        let same = logins.filter(|login| current.same_account(login));
        Ok(same.map(|login| current.with_password(&login.password)).collect())
    }

    /// Opens a session with the first password that works. Only a wrong password leads to the
    /// next one, and none is tried twice: accounts may be locked after a few failed logins.
    async fn open(
        &self,
        versions: &SetContext<'_>,
        current: &Login,
        pending: &Login,
    ) -> Result<(Session, Login), Error> {
        let mut refused: Vec<Login> = Vec::new();
        for place in [None, Some(Older::Previous), Some(Older::Others)] {
            let (logins, most) = match place {
                None if self.defect == Defect::CurrentOnly => (vec![current.clone()], 1),
                None => (vec![current.clone(), pending.clone()], 2),
                Some(_) if self.defect == Defect::CurrentOnly => continue,
                Some(place) => {
                    (self.older(place, current, versions).await?, DIALECT.most_older_logins)
                }
            };
            let mut tried = 0;
            for login in logins {
                let again = refused.iter().any(|one| same_password(one, &login));
                if (again && self.defect != Defect::TriesTwice) || tried == most {
                    continue;
                }
                tried += 1;
                match self.log_in(&login).await? {
                    Some(session) => return Ok((session, login)),
                    None => refused.push(login),
                }
            }
        }
        let count = refused.len();
        let what = format!("{count} passwords were tried and refused; nothing was changed");
        Err(Error::new(ErrorKind::Rejected, what))
    }

    /// Makes `to` a password of the account beside `from`, which the session has logged in with.
    ///
    /// REPLACE is compared with the primary password only, so this changes nothing where another
    /// container, or a rotation that was cancelled, has made `from` the secondary one. There it is
    /// kept by not retaining the primary.
    async fn swap(&self, change: &Change<'_>, from: &Login, to: &Login) -> Result<Swap, Error> {
        let (old, new) = (from.password.expose_secret(), to.password.expose_secret());
        self.pass(change.fence).await?;
        let statement = match self.defect {
            Defect::PlainRetain => Identified::by(new).retain(),
            _ => Identified::by(new).replace(old).retain(),
        };
        let Err(refusal) = change.session.identify(statement).await? else {
            return Ok(Swap::Done);
        };
        // The history is asked before REPLACE is compared, so both may mean that it was applied.
        let asked = refusal == Refusal::IncorrectCurrent || self.defect != Defect::TrustsHistory;
        if asked && self.log_in(change.pending).await?.is_some() {
            return Ok(Swap::PendingWorks);
        }
        if refusal != Refusal::IncorrectCurrent {
            return Ok(Swap::Refused);
        }
        self.pass(change.fence).await?;
        let statement = match self.defect {
            Defect::EvictingFallback => Identified::by(new).retain(),
            _ => Identified::by(new),
        };
        match change.session.identify(statement).await? {
            Ok(()) => Ok(Swap::Done),
            Err(Refusal::MissingCurrent) => self.replace_known(change, new).await,
            Err(_) => Ok(Swap::Refused),
        }
    }

    /// Where a change must name the primary password: one that a stored version knows.
    async fn replace_known(&self, change: &Change<'_>, new: &str) -> Result<Swap, Error> {
        for place in [Older::Previous, Older::Others] {
            for known in self.older(place, change.current, change.versions).await? {
                let statement = Identified::by(new).replace(known.password.expose_secret());
                self.pass(change.fence).await?;
                match change.session.identify(statement).await? {
                    Ok(()) => return Ok(Swap::Done),
                    Err(Refusal::IncorrectCurrent) => {}
                    Err(_) => return Ok(Swap::Refused),
                }
            }
        }
        Ok(Swap::Refused)
    }

    async fn pass(&self, fence: &dyn Fence) -> Result<(), Error> {
        match self.defect {
            Defect::NoFence => Ok(()),
            _ => fence.pass().await,
        }
    }

    /// What a defective rotator takes for the pending login.
    fn pending(&self, recorded: &Pending) -> Result<Login, Error> {
        let login = Login::read(recorded.secret(), &DIALECT)?;
        let lost = || Error::new(ErrorKind::NotFound, "no password was proposed");
        Ok(match self.defect {
            Defect::Regenerated => login.with_password(&PasswordPolicy::default().generate()?),
            Defect::Remembered => {
                let remembered = self.remembered.lock().unwrap().clone().ok_or_else(lost)?;
                login.with_password(&remembered.into())
            }
            _ => login,
        })
    }
}

#[derive(Clone, Copy)]
enum Older {
    Previous,
    Others,
}

/// One change under the account's lock.
struct Change<'a> {
    session: &'a Session,
    versions: &'a SetContext<'a>,
    fence: &'a dyn Fence,
    current: &'a Login,
    pending: &'a Login,
}

enum Swap {
    Done,
    PendingWorks,
    Refused,
}

fn same_password(one: &Login, other: &Login) -> bool {
    one.password.expose_secret() == other.password.expose_secret()
}

#[async_trait]
impl Rotator for DualPassword {
    fn check(&self, versions: &SetContext<'_>) -> Result<(), Error> {
        let (current, pending) = (versions.current(), versions.pending());
        let mismatch = |what: &str| Err(Error::new(ErrorKind::Mismatch, what));
        let (login, other) =
            (Login::read(current.secret(), &DIALECT)?, Login::read(pending.secret(), &DIALECT)?);
        if !login.same_account(&other) {
            return mismatch("AWSPENDING names another account than AWSCURRENT");
        }
        let (current, pending) = (current.secret().document()?, pending.secret().document()?);
        match current.difference(pending, &["password"]) {
            None => Ok(()),
            Some(_) => mismatch("AWSCURRENT was edited since AWSPENDING was made"),
        }
    }

    async fn propose(&self, known: &CreateContext<'_>, _: &Invocation) -> Result<Secret, Error> {
        let password = PasswordPolicy::default().generate()?;
        let password = password.expose_secret();
        *self.remembered.lock().unwrap() = Some(password.to_owned());
        Ok(known.current.secret().document()?.with("password", password).into())
    }

    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        _: &Invocation,
    ) -> Result<Applied, Error> {
        if self.defect == Defect::AppliedOnce && self.remembered.lock().unwrap().is_some() {
            return Ok(Applied::Already("remembered".to_owned()));
        }
        let current = Login::read(versions.current().secret(), &DIALECT)?;
        let pending = self.pending(versions.pending())?;
        let already = |why: &str| Ok(Applied::Already(why.to_owned()));
        if self.defect == Defect::PlainRetain && self.log_in(&pending).await?.is_some() {
            return already("pending logs in");
        }
        let (session, opened) = self.open(versions, &current, &pending).await?;
        session.limit().await?;
        if self.defect != Defect::NoLock {
            session.lock(&current.username).await?;
        }
        let change =
            Change { session: &session, versions, fence, current: &current, pending: &pending };
        let mut base = &opened;
        if !same_password(&opened, &current) {
            // AWSCURRENT works again at once, not only when pending is promoted. Where the server
            // does not take that password again, it stays dead until then, unless another
            // container has set it meanwhile.
            match self.swap(&change, &opened, &current).await? {
                Swap::Done => base = &current,
                Swap::PendingWorks => return already("pending logs in, and AWSCURRENT did not"),
                Swap::Refused if self.log_in(&current).await?.is_some() => base = &current,
                Swap::Refused => {}
            }
        }
        let swapped = self.swap(&change, base, &pending).await?;
        if self.defect == Defect::AppliedOnce {
            *self.remembered.lock().unwrap() = Some(String::new());
        }
        match swapped {
            Swap::Done => Ok(Applied::Changed("pending is the primary password now".to_owned())),
            Swap::PendingWorks => already("pending was applied before"),
            Swap::Refused => {
                Err(Error::new(ErrorKind::Unsupported, "the server refused to change the password"))
            }
        }
    }

    async fn verify(&self, secret: &Secret, _: &Invocation) -> Result<Verdict, Error> {
        Ok(match self.log_in(&Login::read(secret, &DIALECT)?).await? {
            Some(_) => Verdict::Accepted,
            None => Verdict::Rejected("wrong password".to_owned()),
        })
    }

    /// Has nothing to revoke: the next change evicts what is retained now.
    async fn retire(&self, keep: &RetireContext<'_>, _: &Invocation) -> Result<(), Error> {
        if self.defect != Defect::DiscardsAtOnce {
            return Ok(());
        }
        for version in keep.labelled().await? {
            if version.version() == keep.promoted() {
                let promoted = Login::read(version.secret(), &DIALECT)?;
                if let Some(session) = self.log_in(&promoted).await? {
                    session.discard_old_password().await?;
                }
            }
        }
        Ok(())
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        _: &Invocation,
    ) -> Result<Vec<Finding>, Error> {
        let current = subject.current;
        let login = Login::read(current.secret(), &DIALECT)?;
        let dead = Error::new(ErrorKind::Rejected, "AWSCURRENT does not log in");
        Ok(match self.log_in(&login).await? {
            Some(_) => Vec::new(),
            None => vec![Finding::Fails(dead)],
        })
    }
}
