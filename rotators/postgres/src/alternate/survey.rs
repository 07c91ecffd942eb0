//! A look at everything that a change of the two users will meet, in every database, before
//! anything is changed.

use std::collections::BTreeSet;

use fourstep::users::{Accounts, Install, Login, Standing};
use fourstep::{Error, ErrorKind, Finding, Turn};

use crate::admin::forbidden;
use crate::password::PasswordFormat;
use crate::preflight;
use crate::session::Session;
use crate::{Postgres, accounts, transaction};

use super::plan::{Names, Place, Plan, script};
use super::{databases, look, old_enough, owner, role};

/// What was found, and the sessions in which it was.
pub(crate) struct Survey {
    /// The first is the one of the admin's login.
    pub(crate) places: Vec<(Place, Session)>,
    plans: Vec<Plan>,
    obstacles: Vec<Error>,
    missing: BTreeSet<String>,
    warnings: Vec<String>,
    findings: Vec<Finding>,
    /// Scripts that move the user in use to a shared owner and back.
    scripts: Vec<String>,
}

impl Survey {
    /// Looks. Leaves every session outside a transaction.
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
            places: vec![(Place::new(version, admin, true), session)],
            plans: Vec::new(),
            obstacles: Vec::new(),
            missing: BTreeSet::new(),
            warnings: Vec::new(),
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
        let Some((place, session)) = self.places.first_mut() else { return Ok(()) };
        transaction::begin(session, turn).await?;
        let users = [target, source];
        let known = accounts::read(session, &users, Some(install.pair.secret()), turn).await?;
        let standing = install.judge(&known);
        self.findings = preflight::of_role(session, target, turn).await?;
        let open = databases::sessions(session, target, turn).await?;
        let concerned = databases::read(session, &names, place, turn).await?;
        transaction::roll_back(session, turn).await;
        self.missing.extend(concerned.missing);
        self.warnings.extend(concerned.closed.iter().map(|name| {
            format!("database {name:?} lets nobody in (ALLOW_CONNECTIONS) and is left as it is")
        }));
        if target == source {
            self.obstacles.extend(standing.err());
            self.look_at(0, None, &names, install, turn).await?;
            return Ok(());
        }
        self.open_sessions(open, target, install.refuse_open_sessions);
        for name in &concerned.others {
            let login = admin.with_database(name);
            match postgres.open_admin(&login, turn).await {
                Ok((session, version)) => {
                    self.places.push((Place::new(version, &login, false), session));
                }
                Err(error) => self.obstacles.push(error),
            }
        }
        let standing = standing.map_err(|error| self.obstacles.push(error)).ok();
        for number in 0..self.places.len() {
            self.look_at(number, standing, &names, install, turn).await?;
        }
        let owner = postgres.owners.of(&names)?;
        self.shared_owner(owner, &names, &known, turn).await
    }

    /// One place, in a transaction that is rolled back.
    async fn look_at(
        &mut self,
        number: usize,
        standing: Option<Standing>,
        names: &Names<'_>,
        install: &Install<'_>,
        turn: &Turn,
    ) -> Result<(), Error> {
        let Some((place, session)) = self.places.get_mut(number) else { return Ok(()) };
        transaction::begin(session, turn).await?;
        if names.source == names.target {
            let mut plan = Plan::default();
            role::read(session, names, place, turn).await?.plan_alone(names, place, &mut plan);
            self.missing.append(&mut plan.missing);
            transaction::roll_back(session, turn).await;
            return Ok(());
        }
        let look = look(session, names, place, turn).await?;
        let owned = databases::owned(session, names, turn).await?;
        self.obstacles.extend(owned.iter().map(|owned| owned.error(place)));
        transaction::roll_back(session, turn).await;
        let adopted = matches!(standing, Some(Standing::Absent | Standing::Adopted));
        let mark = install.pair.mark(names.source);
        let mark = Some(&mark).filter(|_| adopted && place.first);
        let mut plan = look.plan(names, mark, place);
        if let Some(statement) =
            look.roles.as_ref().and_then(|(roles, _)| roles.lacks_source(names, place))
        {
            self.warnings.push(format!(
                "the rotation after the next one changes user {:?}; before that, have this run: {statement}",
                names.source
            ));
        }
        self.missing.append(&mut plan.missing);
        self.plans.push(plan);
        Ok(())
    }

    fn open_sessions(&mut self, open: u64, user: &str, refuse: bool) {
        match open {
            0 => {}
            _ if refuse => self.obstacles.push(still_open(user, open)),
            _ => self.warnings.push(open_warning(user, open)),
        }
    }

    /// Where an owner is configured, both act as it, or nothing is changed.
    async fn shared_owner(
        &mut self,
        owner: Option<&str>,
        names: &Names<'_>,
        known: &Accounts,
        turn: &Turn,
    ) -> Result<(), Error> {
        let Some(owner) = owner else { return Ok(()) };
        let Some((place, session)) = self.places.first_mut() else { return Ok(()) };
        transaction::begin(session, turn).await?;
        let state = owner::state(session, owner, names.source, place, turn).await?;
        transaction::roll_back(session, turn).await;
        let Some(why) = state.obstacle(owner, names.source) else { return Ok(()) };
        self.obstacles.push(why);
        if state.is_sound() {
            let halves = known.keys().map(String::as_str).collect::<Vec<_>>();
            self.scripts =
                owner::scripts(&mut self.places, owner, names.source, &halves, turn).await?;
        }
        Ok(())
    }

    /// What stands in the way, as one error.
    pub(crate) fn verdict(&mut self, turn: &Turn) -> Result<(), Error> {
        for warning in self.warnings.drain(..) {
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
        if let Some((_, session)) = self.places.first() {
            findings.extend(format.check(session.terms()).err().map(Finding::Fails));
        }
        findings.extend(self.warnings.iter().cloned().map(Finding::Warns));
        findings
    }

    /// The statements of the change, as a person could run them.
    pub(crate) fn lines(&self, install: &Install<'_>) -> Vec<String> {
        let mut lines = Vec::new();
        let comment = |lines: &mut Vec<String>, text: String| lines.push(format!("-- {text}"));
        for obstacle in &self.obstacles {
            comment(&mut lines, format!("in the way: {obstacle}"));
        }
        for statement in &self.missing {
            comment(&mut lines, "the admin lacks a right; somebody who may must run first:".into());
            lines.push(format!("{statement};"));
        }
        for warning in &self.warnings {
            comment(&mut lines, warning.clone());
        }
        lines.extend(self.scripts.iter().cloned());
        for ((place, _), plan) in self.places.iter().zip(&self.plans) {
            let nothing = if plan.is_empty() { ": nothing to change" } else { "" };
            comment(&mut lines, format!("database {:?}{nothing}", place.database));
            let statements = script(plan.give.iter().chain(&plan.take));
            lines.extend(statements.into_iter().map(|one| format!("{one};")));
        }
        comment(&mut lines, format!("then the password of {:?}, and LOGIN", install.target));
        lines
    }

    /// Takes leave of the server.
    pub(crate) async fn close(self, turn: &Turn) {
        for (_, session) in self.places {
            session.close(turn).await;
        }
    }
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
