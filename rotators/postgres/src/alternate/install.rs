//! The change: one transaction in each database, and one for the password, which comes last.

use fourstep::users::{Change, Install, Login, Standing};
use fourstep::{Error, ErrorKind, SecretString, Turn};

use crate::change::{self, NewPassword};
use crate::password::Literal;
use crate::session::Session;
use crate::transaction::{self, Gate};
use crate::{Postgres, accounts, sql};

use super::plan::{self, Names, Place};
use super::survey::{Survey, open_warning, still_open};
use super::{databases, look};

/// How often a database is looked at until nothing is left to change. Taking a right on a table
/// takes those on its columns with it, which are then given again; more rounds would mean that
/// somebody else changes them too.
const ROUNDS: usize = 6;

/// One change of one user.
pub(crate) struct Job<'a> {
    pub(crate) postgres: &'a Postgres,
    pub(crate) admin: &'a Login,
    pub(crate) install: &'a Install<'a>,
    pub(crate) gate: &'a dyn Gate,
    pub(crate) turn: &'a Turn,
}

impl Job<'_> {
    fn target(&self) -> &str {
        self.install.target
    }

    /// Makes the target like the source, then lets it in.
    ///
    /// # Errors
    /// As [`fourstep::users::Alternates::install`].
    pub(crate) async fn run(&self, password: &SecretString) -> Result<Change, Error> {
        let named = |error: Error| {
            let what =
                format!("cannot install user {:?} on {}", self.target(), self.admin.server());
            error.while_doing(what)
        };
        sql::check_name("username", self.target()).map_err(named)?;
        let survey = Survey::take(self.postgres, self.admin, self.install, self.turn).await;
        let mut survey = survey.map_err(named)?;
        let outcome = match survey.verdict(self.turn) {
            Ok(()) => self.change(&mut survey, password).await,
            Err(obstacle) => Err(obstacle),
        };
        survey.close(self.turn).await;
        match outcome.map_err(named)? {
            Change::Refused(why) => Ok(Change::Refused(named(why))),
            Change::Made => Ok(Change::Made),
        }
    }

    async fn change(&self, survey: &mut Survey, password: &SecretString) -> Result<Change, Error> {
        let new = NewPassword { password, format: self.postgres.format };
        let literal = change::literal(&survey.session, self.target(), new, self.turn)?;
        if self.target() != self.install.source {
            self.equal(&mut survey.session, &survey.first).await?;
            for login in &survey.others {
                let (mut session, version) = self.postgres.open_admin(login, self.turn).await?;
                let place = Place::new(version, login, false);
                let made = self.equal(&mut session, &place).await;
                session.close(self.turn).await;
                made?;
            }
        }
        self.let_in(&mut survey.session, &literal).await
    }

    /// One database, in a transaction of its own.
    async fn equal(&self, session: &mut Session, place: &Place) -> Result<(), Error> {
        match self.reconcile(session, place).await {
            Ok(true) => {
                let open = "the rights of the user may or may not have been changed";
                transaction::commit(session, open, self.turn).await
            }
            unchanged => {
                transaction::roll_back(session, self.turn).await;
                unchanged.map(|_| ())
            }
        }
    }

    /// Whose the target is, by what is found behind its lock.
    async fn judge(&self, session: &mut Session) -> Result<Standing, Error> {
        let Install { pair, target, source, .. } = *self.install;
        let users = [target, source];
        let accounts = accounts::read(session, &users, Some(pair.secret()), self.turn).await?;
        self.install.judge(&accounts)
    }

    /// Makes the target like the source in one database. Returns whether anything was changed.
    async fn reconcile(&self, session: &mut Session, place: &Place) -> Result<bool, Error> {
        let turn = self.turn;
        let Install { pair, target, source, .. } = *self.install;
        let names = Names { source, target };
        transaction::enter(session, target, turn).await?;
        let standing = self.judge(session).await?;
        if standing == Standing::Absent && !place.first {
            // A fail-over lost it, and with it what it was given elsewhere.
            return Err(gone(target));
        }
        let mark = pair.mark(source);
        let unmarked = matches!(standing, Standing::Absent | Standing::Adopted) && place.first;
        let mut mark = Some(&mark).filter(|_| unmarked);
        let mut changed = false;
        for _ in 0..ROUNDS {
            let plan = look(session, &names, place, turn).await?.plan(&names, mark, place);
            if !plan.missing.is_empty() {
                let missing: Vec<_> = plan.missing.iter().map(String::as_str).collect();
                return Err(lost_meanwhile(place, &missing.join("; ")));
            }
            let statements = plan.next();
            if statements.is_empty() {
                return Ok(changed);
            }
            if !changed {
                self.gate.pass().await?;
                changed = true;
            }
            plan::run(session, statements, turn).await?;
            mark = None;
        }
        Err(Error::new(ErrorKind::Conflict, "the rights of the two users do not become equal")
            .caused_by("somebody else is changing them, or a statement has no effect; retry"))
    }

    /// The password and LOGIN, in one statement: what lets the user in comes last.
    async fn let_in(&self, session: &mut Session, literal: &Literal) -> Result<Change, Error> {
        let turn = self.turn;
        let Install { target, source, refuse_open_sessions, .. } = *self.install;
        let prepared = async {
            transaction::enter(session, target, turn).await?;
            if self.judge(session).await? == Standing::Absent {
                return Err(gone(target));
            }
            if target != source {
                match databases::sessions(session, target, turn).await? {
                    0 => {}
                    open if refuse_open_sessions => return Err(still_open(target, open)),
                    open => turn.warn(open_warning(target, open)),
                }
            }
            self.gate.pass().await?;
            change::set(session, sql::let_in(target, literal), turn).await
        }
        .await;
        change::finish(session, prepared, turn).await
    }
}

/// The admin had these rights when the survey was taken.
fn lost_meanwhile(place: &Place, statements: &str) -> Error {
    Error::new(
        ErrorKind::Forbidden,
        format!(
            "the admin lacks rights in database {:?}; nothing was changed there",
            place.database
        ),
    )
    .caused_by(format!("have this run: {statements}"))
}

fn gone(user: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("user {user:?} is gone; retry"))
}
