//! A look at everything that a change of the two users will meet, in every database, before
//! anything is changed.

use std::collections::BTreeSet;

use fourstep::users::{Install, Login, Mark, Standing};
use fourstep::{Error, ErrorKind, Finding, Turn};

use crate::admin::forbidden;
use crate::password::PasswordFormat;
use crate::preflight;
use crate::session::Session;
use crate::{Postgres, accounts, transaction};

use super::owner::{self, Move};
use super::plan::{Names, Place, Plan, script};
use super::text::{comment, statement_lines};
use super::{databases, look, old_enough, role};

/// What was found. Only the first database's session stays open: a server may let in few.
pub(crate) struct Survey {
    /// The session of the admin's login.
    pub(crate) session: Session,
    pub(crate) first: Place,
    /// The admin's logins to the other databases.
    pub(crate) others: Vec<Login>,
    plans: Vec<(String, Plan)>,
    obstacles: Vec<Error>,
    missing: BTreeSet<String>,
    warnings: BTreeSet<String>,
    findings: Vec<Finding>,
    /// Scripts that move the user in use to a shared owner and back.
    scripts: Vec<String>,
}

/// What every database is looked at for.
struct Question<'a> {
    names: Names<'a>,
    /// To be written on the target.
    mark: Option<Mark>,
    /// The owner that the source is yet to be moved to.
    owner: Option<&'a str>,
}

/// What was found in one database.
struct Seen {
    plan: Plan,
    owned: Vec<Error>,
    lacks_source: Option<String>,
    moving: Option<Move>,
}

impl Survey {
    /// Looks. Leaves the session outside a transaction.
    ///
    /// # Errors
    /// Those of the admin's login and of a lost connection; what stands in the way of the change is
    /// no error here, but of the survey.
    pub(crate) async fn take(
        postgres: &Postgres,
        admin: &Login,
        install: &Install<'_>,
        turn: &Turn,
    ) -> Result<Self, Error> {
        let (session, version) = postgres.open_admin(admin, turn).await?;
        let mut survey = Self {
            session,
            first: Place::new(version, admin, true),
            others: Vec::new(),
            plans: Vec::new(),
            obstacles: Vec::new(),
            missing: BTreeSet::new(),
            warnings: BTreeSet::new(),
            findings: Vec::new(),
            scripts: Vec::new(),
        };
        let looked = match old_enough(version) {
            Ok(()) => survey.look(postgres, admin, install, turn).await,
            Err(old) => Err(old),
        };
        match looked {
            Ok(()) => Ok(survey),
            Err(error) => {
                survey.close(turn).await;
                Err(error)
            }
        }
    }

    async fn look(
        &mut self,
        postgres: &Postgres,
        admin: &Login,
        install: &Install<'_>,
        turn: &Turn,
    ) -> Result<(), Error> {
        let Install { target, source, .. } = *install;
        let names = Names { source, target };
        let (session, place) = (&mut self.session, &self.first);
        transaction::begin(session, turn).await?;
        let users = [target, source];
        let known = accounts::read(session, &users, Some(install.pair.secret()), turn).await?;
        let standing = install.judge(&known);
        self.findings = preflight::of_role(session, target, turn).await?;
        if target == source {
            let mut plan = Plan::default();
            role::read(session, &names, place, turn).await?.plan_alone(&names, place, &mut plan);
            transaction::roll_back(session, turn).await;
            self.missing.append(&mut plan.missing);
            self.obstacles.extend(standing.err());
            return Ok(());
        }
        let open = databases::sessions(session, target, turn).await?;
        let concerned = databases::read(session, &names, place, turn).await?;
        let owner = postgres.owners.of(&names)?;
        let state = match owner {
            Some(owner) => Some(owner::state(session, owner, source, place, turn).await?),
            None => None,
        };
        transaction::roll_back(session, turn).await;
        self.missing.extend(concerned.missing);
        self.warnings.extend(concerned.closed.iter().map(|name| {
            format!("database {name:?} lets nobody in (ALLOW_CONNECTIONS) and is left as it is")
        }));
        self.open_sessions(open, target, install.refuse_open_sessions);
        let standing = standing.map_err(|error| self.obstacles.push(error)).ok();
        let adopted = matches!(standing, Some(Standing::Absent | Standing::Adopted));
        let question = Question {
            names,
            mark: Some(install.pair.mark(source)).filter(|_| adopted),
            owner: owner.filter(|_| state.as_ref().is_some_and(owner::State::is_sound)),
        };
        let moves = self.visit(postgres, admin, &concerned.others, &question, turn).await?;
        let Some((owner, state)) = owner.zip(state) else { return Ok(()) };
        self.obstacles.extend(state.obstacle(owner, source));
        if let Some(moves) = moves {
            let script = owner::scripts(&moves, owner, &names, &admin.username);
            self.scripts = script.unwrap_or_else(|error| {
                self.obstacles.push(error);
                Vec::new()
            });
        }
        Ok(())
    }

    /// Every database, one after the other. Returns what is to be moved to a shared owner, unless
    /// something is missing for that.
    async fn visit(
        &mut self,
        postgres: &Postgres,
        admin: &Login,
        others: &[String],
        question: &Question<'_>,
        turn: &Turn,
    ) -> Result<Option<Vec<Move>>, Error> {
        let seen = see(&mut self.session, &self.first, question, turn).await?;
        let mut moves = Vec::new();
        moves.extend(self.note(seen, self.first.clone(), question));
        for name in others {
            let login = admin.with_database(name);
            let (mut session, version) = match postgres.open_admin(&login, turn).await {
                Ok(opened) => opened,
                Err(error) => {
                    self.obstacles.push(error);
                    continue;
                }
            };
            let place = Place::new(version, &login, false);
            let seen = see(&mut session, &place, question, turn).await;
            session.close(turn).await;
            moves.extend(self.note(seen?, place, question));
            self.others.push(login);
        }
        let whole = moves.len() == others.len() + 1;
        let missing = moves.iter_mut().flat_map(Move::missing).collect::<BTreeSet<_>>();
        let movable = whole && missing.is_empty();
        self.missing.extend(missing);
        Ok(movable.then_some(moves))
    }

    fn note(&mut self, seen: Seen, place: Place, question: &Question<'_>) -> Option<Move> {
        let Seen { mut plan, owned, lacks_source, moving } = seen;
        self.obstacles.extend(owned);
        self.warnings.extend(lacks_source.map(|statement| {
            format!(
                "the rotation after the next one changes user {:?}; before that, have this run: {statement}",
                question.names.source
            )
        }));
        self.missing.append(&mut plan.missing);
        let warnings = std::mem::take(&mut plan.warnings);
        self.warnings.extend(
            warnings.into_iter().map(|one| format!("database {:?}: {one}", place.database)),
        );
        self.plans.push((place.database, plan));
        moving
    }

    fn open_sessions(&mut self, open: u64, user: &str, refuse: bool) {
        match open {
            0 => {}
            _ if refuse => self.obstacles.push(still_open(user, open)),
            _ => {
                self.warnings.insert(open_warning(user, open));
            }
        }
    }

    /// What stands in the way, as one error.
    pub(crate) fn verdict(&mut self, turn: &Turn) -> Result<(), Error> {
        for warning in std::mem::take(&mut self.warnings) {
            turn.warn(warning);
        }
        if !self.obstacles.is_empty() {
            return Err(self.obstacles.swap_remove(0));
        }
        match self.missing.is_empty() {
            true => Ok(()),
            false => Err(forbidden(&joined(&self.missing))),
        }
    }

    /// All that stands in the way, and all that is worth knowing.
    pub(crate) fn findings(&self, format: PasswordFormat) -> Vec<Finding> {
        let mut findings = self.findings.clone();
        findings.extend(self.obstacles.iter().cloned().map(Finding::Fails));
        if !self.missing.is_empty() {
            findings.push(Finding::Fails(forbidden(&joined(&self.missing))));
        }
        findings.extend(format.check(self.session.terms()).err().map(Finding::Fails));
        findings.extend(self.warnings.iter().cloned().map(Finding::Warns));
        findings
    }

    /// The statements of the change, as a person could run them.
    pub(crate) fn lines(&self, install: &Install<'_>) -> Vec<String> {
        let mut lines = Vec::new();
        for obstacle in &self.obstacles {
            lines.extend(comment(&format!("in the way: {obstacle}")));
        }
        for statement in &self.missing {
            lines.extend(comment("the admin lacks a right; somebody who may must run first:"));
            lines.extend(statement_lines(statement, true));
        }
        for warning in &self.warnings {
            lines.extend(comment(warning));
        }
        lines.extend(self.scripts.iter().cloned());
        // Who runs the scripts must not make the second user by hand.
        let now = self.scripts.is_empty();
        for (database, plan) in &self.plans {
            let statements = script(plan.statements());
            let nothing = if statements.is_empty() { ": nothing to change" } else { "" };
            lines.extend(comment(&format!("database {database:?}{nothing}")));
            lines.extend(statements.iter().flat_map(|one| statement_lines(one, now)));
        }
        lines.extend(comment(&format!("then the password of {:?}, and LOGIN", install.target)));
        lines
    }

    /// Takes leave of the server.
    pub(crate) async fn close(self, turn: &Turn) {
        self.session.close(turn).await;
    }
}

/// One database, in a transaction that is rolled back.
async fn see(
    session: &mut Session,
    place: &Place,
    question: &Question<'_>,
    turn: &Turn,
) -> Result<Seen, Error> {
    let names = &question.names;
    transaction::begin(session, turn).await?;
    let look = look(session, names, place, turn).await?;
    let owned = databases::owned(session, names, turn).await?;
    let moving = match question.owner {
        Some(owner) => Some(Move::read(session, owner, names.source, place, turn).await?),
        None => None,
    };
    transaction::roll_back(session, turn).await;
    let mark = question.mark.as_ref().filter(|_| place.first);
    let roles = look.roles.as_ref().map(|(roles, _)| roles);
    Ok(Seen {
        plan: look.plan(names, mark, place),
        owned: owned.iter().map(|owned| owned.error(place)).collect(),
        lacks_source: roles.and_then(|roles| roles.lacks_source(names, place)),
        moving,
    })
}

fn joined(statements: &BTreeSet<String>) -> String {
    statements.iter().map(String::as_str).collect::<Vec<_>>().join("; ")
}

pub(crate) fn open_warning(user: &str, open: u64) -> String {
    format!(
        "user {user:?} still has {open} open session(s), and its password is about to be replaced: a \
         client that does not read the secret before it connects again will be refused"
    )
}

pub(crate) fn still_open(user: &str, open: u64) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("user {user:?} still has {open} open session(s), and REFUSE_OPEN_SESSIONS is set"),
    )
    .caused_by(
        "its password was not changed; let its clients read the secret and connect again, then retry",
    )
}
