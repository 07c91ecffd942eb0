//! The change: one transaction that makes the pair, one in each other database in which something is
//! handed over, and one for the password, which comes last.

use fourstep::users::{Change, Install, Login, Standing};
use fourstep::{Error, ErrorKind, Finding, SecretString, Turn};

use crate::change::{self, NewPassword};
use crate::password::Literal;
use crate::session::{Failure, Session};
use crate::transaction::{self, Gate};
use crate::{Postgres, accounts, errors, sql};

use super::databases;
use super::roles::{DROP, REASSIGN};
use super::survey::{Place, Survey, still_open};

/// One change of one user.
pub(crate) struct Job<'a> {
    pub(crate) postgres: &'a Postgres,
    pub(crate) admin: &'a Login,
    pub(crate) install: &'a Install<'a>,
    pub(crate) turn: &'a Turn,
}

/// Whether what was handed over was all that there was: DROP OWNED would drop what the user made
/// since, and what it drops it locks. Default privileges and user mappings are meant to go.
const DROPPED: &str = "SELECT count(*)::text FROM pg_locks AS l WHERE l.pid = pg_backend_pid() \
    AND l.mode = 'AccessExclusiveLock' AND (l.locktype = 'relation' \
    AND NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = l.relation) OR l.locktype = 'object' \
    AND l.classid NOT IN ('pg_default_acl'::regclass, 'pg_user_mapping'::regclass, \
    'pg_policy'::regclass))";

fn named(failure: Failure, statement: &str) -> Error {
    match failure {
        Failure::Refused(refusal) => errors::of_admin(statement, &refusal),
        Failure::Lost(error) | Failure::Late(error) => error.caused_by("nothing was committed"),
    }
}

impl Job<'_> {
    /// Makes the second act as the first, then lets the target in.
    ///
    /// # Errors
    /// As [`fourstep::users::Alternates::install`].
    pub(crate) async fn run(
        &self,
        password: &SecretString,
        gate: &dyn Gate,
    ) -> Result<Change, Error> {
        let target = self.install.target;
        let named = |error: Error| {
            error.while_doing(format!("cannot install user {target:?} on {}", self.admin.server()))
        };
        sql::check_name("username", target).map_err(named)?;
        let opened = self.postgres.open_admin(self.admin, self.turn).await;
        let (mut session, version) = opened.map_err(named)?;
        let outcome = async {
            let new = NewPassword { password, format: self.postgres.format };
            let literal = change::literal(&session, target, new, self.turn)?;
            self.level(&mut session, version, gate).await?;
            self.let_in(&mut session, &literal, gate).await
        }
        .await;
        session.close(self.turn).await;
        match outcome.map_err(named)? {
            Change::Refused(why) => Ok(Change::Refused(named(why))),
            Change::Made => Ok(Change::Made),
        }
    }

    /// Everything but the password.
    async fn level(
        &self,
        session: &mut Session,
        version: u32,
        gate: &dyn Gate,
    ) -> Result<(), Error> {
        let made = async {
            transaction::enter(session, self.install.target, self.turn).await?;
            let mut survey = self.look(session, version).await?;
            for warning in std::mem::take(&mut survey.warnings) {
                self.turn.warn(warning);
            }
            if let Some(obstacle) = survey.first_obstacle() {
                return Err(obstacle);
            }
            for place in survey.places.iter().take(1) {
                self.play(session, place, Some(gate)).await?;
            }
            Ok(survey.places)
        }
        .await;
        for place in self.end(session, made).await?.iter().skip(1) {
            let (mut session, _) = self.postgres.open_admin(&place.login, self.turn).await?;
            let made = async {
                transaction::enter(&mut session, self.install.target, self.turn).await?;
                self.present(&mut session).await?;
                self.play(&mut session, place, Some(gate)).await
            }
            .await;
            let ended = self.end(&mut session, made).await;
            session.close(self.turn).await;
            ended?;
        }
        Ok(())
    }

    async fn end<T>(&self, session: &mut Session, made: Result<T, Error>) -> Result<T, Error> {
        if made.is_err() {
            transaction::roll_back(session, self.turn).await;
            return made;
        }
        let open = "the pair may or may not have been made";
        transaction::commit(session, open, self.turn).await.and(made)
    }

    /// Runs what was found to be needed in one database, in an open transaction, behind `gate`.
    async fn play(
        &self,
        session: &mut Session,
        place: &Place,
        gate: Option<&dyn Gate>,
    ) -> Result<(), Error> {
        if let Some(gate) = gate.filter(|_| !place.statements.is_empty()) {
            gate.pass().await?;
        }
        // A question must keep nobody waiting: the hand-over locks what it is about.
        let locks = |statement: &&String| {
            gate.is_some() || !(statement.starts_with(REASSIGN) || statement.starts_with(DROP))
        };
        for statement in place.statements.iter().filter(locks) {
            match statement.starts_with(DROP) {
                true => self.drop_owned(session, statement).await?,
                false => {
                    self.run_one(session, statement).await.map_err(|fail| named(fail, statement))?
                }
            }
        }
        Ok(())
    }

    async fn run_one(&self, session: &mut Session, statement: &str) -> Result<(), Failure> {
        session.run(statement, statement.to_owned(), self.turn).await.map(|_| ())
    }

    /// Takes what the user was granted, as far as the admin may. The server gives some of it up with a
    /// warning, and some with an error; that must not be a trap that anybody can lay by a grant.
    async fn drop_owned(&self, session: &mut Session, statement: &str) -> Result<(), Error> {
        let [save, back] = ["SAVEPOINT granted", "ROLLBACK TO SAVEPOINT granted"];
        self.run_one(session, save).await.map_err(|fail| named(fail, save))?;
        match self.run_one(session, statement).await {
            Err(Failure::Refused(refusal)) if refusal.code == "42501" => {
                self.turn.warn(format!(
                    "{statement}: the admin may not take what somebody else granted; it does not \
                     count, because the user acts as the other one"
                ));
                self.run_one(session, back).await.map_err(|fail| named(fail, back))
            }
            Err(failure) => Err(named(failure, statement)),
            Ok(()) => {
                let [dropped] =
                    session.ask("a look at what was dropped", DROPPED, self.turn).await?;
                if dropped.as_deref() == Some("0") {
                    return Ok(());
                }
                let what = format!("{statement}: the user made something meanwhile");
                Err(Error::new(ErrorKind::Conflict, what)
                    .caused_by("it was rolled back and nothing is lost; retry"))
            }
        }
    }

    /// Runs everything and rolls it back; what that meets.
    pub(crate) async fn rehearse(&self, survey: &Survey) -> Vec<Finding> {
        let mut findings = Vec::new();
        for place in survey.places.iter().filter(|place| !place.statements.is_empty()) {
            let played = match self.postgres.open_admin(&place.login, self.turn).await {
                Ok((mut session, _)) => {
                    let played = match transaction::begin(&mut session, self.turn).await {
                        Ok(()) => self.play(&mut session, place, None).await,
                        Err(error) => Err(error),
                    };
                    transaction::roll_back(&mut session, self.turn).await;
                    session.close(self.turn).await;
                    played
                }
                Err(error) => Err(error),
            };
            findings.extend(played.err().map(|error| match error.kind() {
                // It passes.
                ErrorKind::Conflict => Finding::Warns(error.to_string()),
                _ => Finding::Fails(error),
            }));
        }
        findings
    }

    /// Whose the target is, by what is found behind its lock.
    async fn present(&self, session: &mut Session) -> Result<(), Error> {
        let Install { pair, target, source, .. } = *self.install;
        let users = [target, source];
        let accounts = accounts::read(session, &users, Some(pair.secret()), self.turn).await?;
        match self.install.judge(&accounts)? {
            // A fail-over lost it.
            Standing::Absent => {
                Err(Error::new(ErrorKind::Conflict, format!("user {target:?} is gone; retry")))
            }
            _ => Ok(()),
        }
    }

    /// The password and LOGIN, in one statement: what lets the user in comes last.
    async fn let_in(
        &self,
        session: &mut Session,
        literal: &Literal,
        gate: &dyn Gate,
    ) -> Result<Change, Error> {
        let Install { target, source, refuse_open_sessions, .. } = *self.install;
        let prepared = async {
            transaction::enter(session, target, self.turn).await?;
            self.present(session).await?;
            if target != source && refuse_open_sessions {
                let open = databases::sessions(session, target, self.turn).await?;
                if open > 0 {
                    return Err(still_open(target, open));
                }
            }
            gate.pass().await?;
            change::set(session, sql::let_in(target, literal), self.turn).await
        }
        .await;
        change::finish(session, prepared, self.turn).await
    }
}
