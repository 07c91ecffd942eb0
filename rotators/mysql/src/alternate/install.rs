//! The installation of a pair's other user: every statement of it stands for itself, so each leaves
//! what the next run goes on from, and the last one lets the user in.

use fourstep::users::{Change, Install, Login, Standing};
use fourstep::{Error, ErrorKind, Finding, SecretString, Turn};

use crate::Mysql;
use crate::alternate::compose::{Composed, Step};
use crate::alternate::own::{Own, lacking};
use crate::alternate::read::open_sessions;
use crate::alternate::text::{comment, statement_lines};
use crate::alternate::{accounts, copy, role};
use crate::change::{self, Gate, UNCHANGED, exchange};
use crate::errors::{self, NoChange};
use crate::server::Flavour;
use crate::session::{Failure, Session};

impl Mysql {
    /// Makes the target as the source is, then lets it in with its password.
    ///
    /// # Errors
    /// Whatever happens before the last statement, the target is not let in by it.
    pub(crate) async fn install_in(
        &self,
        session: &mut Session,
        admin: &Login,
        install: &Install<'_>,
        password: &SecretString,
        gate: Gate<'_>,
        turn: &Turn,
    ) -> Result<Change, Error> {
        let unchanged = |error: Error| match error.to_string().ends_with(UNCHANGED) {
            true => error,
            false => error.caused_by(UNCHANGED),
        };
        not_here(session).map_err(unchanged)?;
        // Named after the user alone: it may have no accounts yet.
        change::begin(session, &[install.target.to_owned()], turn).await?;
        let composed = self.compose(session, admin, install, turn).await.map_err(unchanged)?;
        if let Some(objection) = composed.objections.into_iter().next() {
            return Err(unchanged(objection));
        }
        composed.warnings.iter().for_each(|warning| turn.warn(warning));
        gate().await?;
        run_all(session, install, &composed.steps, turn).await.map_err(going_on)?;
        let mut finish = composed.finish;
        if !composed.steps.is_empty() && session.server.flavour == Flavour::Mariadb {
            finish = copy::made_alike(session, install, turn).await.map_err(going_on)?;
        }
        let statement = self.password_of(session, &finish, password, composed.unlock);
        match exchange(session, &statement, gate, turn).await {
            Ok(()) => Ok(Change::Made),
            Err(NoChange::Value(why)) => Ok(Change::Refused(why)),
            Err(NoChange::Failed(error)) => Err(error),
            Err(NoChange::NotPrimary | NoChange::CurrentRequired) => {
                Err(Error::new(ErrorKind::Unsupported, "the admin was asked for the old password"))
            }
        }
    }

    /// What would be done, and all that speaks against it.
    async fn compose(
        &self,
        session: &mut Session,
        admin: &Login,
        install: &Install<'_>,
        turn: &Turn,
    ) -> Result<Composed, Error> {
        let (names, secret) = ([install.target, install.source], install.pair.secret());
        let found = accounts::read(session, &names, secret, &admin.username, turn).await?;
        let standing: Standing = install.judge(&found)?;
        let own = Own::read(session, turn).await?;
        let mut composed = match session.server.flavour {
            Flavour::Mysql => role::compose(session, &own, install, &found, standing, turn).await?,
            Flavour::Mariadb => copy::compose(session, &own, install, standing, turn).await?,
        };
        let weak = self.transport.allow_weak_authentication;
        let plugins = composed.finish.iter().map(|(_, plugin)| *plugin);
        let weak = plugins.filter_map(|plugin| self.format.obstacle_of(session, plugin, weak));
        composed.objections.extend(weak.take(1).collect::<Vec<_>>());
        if install.target != install.source {
            look_at_sessions(session, &own, install, &mut composed, turn).await;
        }
        Ok(composed)
    }

    /// What would make [`install_in`](Self::install_in) fail, or warn.
    pub(crate) async fn look_at_install(
        &self,
        session: &mut Session,
        admin: &Login,
        install: &Install<'_>,
        turn: &Turn,
    ) -> Result<Vec<Finding>, Error> {
        not_here(session)?;
        let composed = self.compose(session, admin, install, turn).await?;
        let fails = composed.objections.into_iter().map(Finding::Fails);
        Ok(fails.chain(composed.warnings.into_iter().map(Finding::Warns)).collect())
    }

    /// The statements of an installation, but for the password's, and all that is said of it.
    pub(crate) async fn plan_of_install(
        &self,
        session: &mut Session,
        admin: &Login,
        install: &Install<'_>,
        turn: &Turn,
    ) -> Result<Vec<String>, Error> {
        not_here(session)?;
        let composed = self.compose(session, admin, install, turn).await?;
        let mut lines = Vec::new();
        for objection in &composed.objections {
            lines.extend(comment(&format!("in the way: {objection}")));
        }
        for warning in &composed.warnings {
            lines.extend(comment(warning));
        }
        for step in &composed.steps {
            if step.waits {
                let when = format!("only if no session of user {:?} is open:", install.target);
                lines.extend(comment(&when));
            }
            lines.extend(statement_lines(&step.text));
        }
        if composed.steps.is_empty() {
            lines.extend(comment("nothing to change"));
        }
        let unlocked = if composed.unlock { ", and ACCOUNT UNLOCK" } else { "" };
        lines.extend(comment(&format!("then the password of {:?}{unlocked}", install.target)));
        Ok(lines)
    }

    /// The error of an admin that may not alter users.
    pub(crate) async fn may_alter_users(
        &self,
        session: &mut Session,
        turn: &Turn,
    ) -> Result<Option<Error>, Error> {
        let lacks = Own::read(session, turn).await?.lacks_users();
        Ok(lacks.map(|statement| lacking(&[statement])))
    }
}

/// The error of a server on which no pair of users can be kept.
pub(crate) fn not_here(session: &Session) -> Result<(), Error> {
    match session.server.obstacle().or_else(|| session.server.no_attributes()) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Runs these statements. Whether sessions are open is asked again just before the first that waits
/// for there to be none: what is opened later acts as it should.
async fn run_all(
    session: &mut Session,
    install: &Install<'_>,
    steps: &[Step],
    turn: &Turn,
) -> Result<(), Error> {
    let mut alone = None;
    for step in steps {
        if step.waits && alone.is_none() {
            alone = Some(open_sessions(session, install.target, turn).await == Some(0));
        }
        if step.waits && alone == Some(false) {
            continue;
        }
        turn.enough_for_a_change()?;
        run(session, step, turn).await?;
    }
    Ok(())
}

async fn run(session: &mut Session, step: &Step, turn: &Turn) -> Result<(), Error> {
    let what = "a statement of the change";
    match session.run(what, &step.text, turn).await {
        // What RANDOM PASSWORD made is dropped unread.
        Ok(_) => Ok(()),
        Err(Failure::Refused(refusal)) => Err(errors::of_step(&step.text, &refusal)),
        Err(failure) => Err(failure.of(what)),
    }
}

fn going_on(error: Error) -> Error {
    error.caused_by("the user is not let in yet, and a retry goes on from here")
}

/// Warns of open sessions of the target, or objects to them.
async fn look_at_sessions(
    session: &mut Session,
    own: &Own,
    install: &Install<'_>,
    composed: &mut Composed,
    turn: &Turn,
) {
    let lacks = own.lacks_process();
    let open = open_sessions(session, install.target, turn).await;
    match (open.filter(|count| lacks.is_none() || *count > 0), lacks) {
        (Some(0), _) => {}
        (None, Some(statement)) if install.refuse_open_sessions => {
            composed.objections.push(blind(&statement));
        }
        (None, _) => {}
        (Some(_), _) if install.refuse_open_sessions => {
            composed.objections.push(busy(install.target));
        }
        (Some(_), _) => composed.warnings.push(in_use(install.target)),
    }
}

fn in_use(user: &str) -> String {
    format!(
        "user {user:?}, which gets a new password, has open sessions: a client still uses the \
         password from before the last rotation"
    )
}

fn busy(user: &str) -> Error {
    let what = format!("user {user:?} has open sessions, and REFUSE_OPEN_SESSIONS is set");
    Error::new(ErrorKind::Conflict, what)
        .caused_by("let its clients read the secret and connect again, then retry")
}

fn blind(statement: &str) -> Error {
    let what = "REFUSE_OPEN_SESSIONS is set, and the admin does not see other users' sessions";
    Error::new(ErrorKind::Forbidden, what).caused_by(format!("have this run: {statement}"))
}
