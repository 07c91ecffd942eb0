//! The installation of a pair's other user: every statement of it stands for itself, so each leaves
//! what the next run goes on from, and the last one lets the user in.

use fourstep::users::{Accounts, AdminSession, Assessment, Install, OpenSessions, Ownership, Part};
use fourstep::{Error, ErrorKind, Invocation, SecretString};

use crate::Mysql;
use crate::alternate::compose::Found;
use crate::alternate::own::Own;
use crate::alternate::read::open_sessions;
use crate::alternate::{copy, role};
use crate::change::{Prepared, UNCHANGED};
use crate::errors;
use crate::server::Flavour;
use crate::session::{Failure, Session};

impl Mysql {
    /// What would be done, and all that speaks against it.
    pub(crate) async fn compose(
        &self,
        admin: &mut AdminSession<Session>,
        install: &Install<'_>,
        accounts: &Accounts,
        ownership: Ownership,
        cx: &Invocation,
    ) -> Result<Assessment<Found>, Error> {
        let AdminSession { login, session } = admin;
        let own = Own::read(session, cx).await?;
        let mut composed = match session.server.flavour {
            Flavour::Mysql => {
                role::compose(session, &own, install, accounts, ownership, cx).await?
            }
            Flavour::Mariadb => copy::compose(session, &own, install, ownership, cx).await?,
        };
        let weak = self.transport.allow_weak_authentication;
        let plugins = composed.found.finish.iter().map(|(_, plugin)| *plugin);
        let weak = plugins.filter_map(|plugin| self.format.obstacle_of(session, plugin, weak));
        composed.objections.extend(weak.take(1).collect::<Vec<_>>());
        composed.let_in = if composed.found.unlock { "and ACCOUNT UNLOCK" } else { "" };
        let steps = std::mem::take(&mut composed.found.steps);
        composed.found.changed = !steps.is_empty();
        composed.parts.push(Part { login: login.clone(), steps });
        Ok(composed)
    }

    /// Makes ready the password, and the unlocking in the same statement. MariaDB is asked again
    /// first whether all that was copied is there.
    pub(crate) async fn finish(
        &self,
        session: &mut Session,
        install: &Install<'_>,
        found: Found,
        password: &SecretString,
        cx: &Invocation,
    ) -> Result<Prepared, Error> {
        let Found { mut finish, unlock, changed, .. } = found;
        if changed && session.server.flavour == Flavour::Mariadb {
            finish = copy::made_alike(session, install, cx).await.map_err(going_on)?;
        }
        Ok(Prepared::Others {
            locks: vec![install.target.to_owned()],
            statement: self.password_of(session, &finish, password, unlock),
            discard: None,
        })
    }
}

/// The error of a server on which no pair of users can be kept.
pub(crate) fn not_here(session: &Session) -> Result<(), Error> {
    match session.server.obstacle().or_else(|| session.server.no_attributes()) {
        Some(error) => Err(error.caused_by(UNCHANGED)),
        None => Ok(()),
    }
}

/// Runs one statement of the change.
pub(crate) async fn run(
    session: &mut Session,
    statement: &str,
    cx: &Invocation,
) -> Result<(), Error> {
    let what = "a statement of the change";
    match session.run(what, statement, cx).await {
        // What RANDOM PASSWORD made is dropped unread.
        Ok(_) => Ok(()),
        Err(Failure::Refused(refusal)) => {
            let refusal = session.look_behind(refusal, cx).await;
            Err(going_on(errors::of_step(statement, &refusal)))
        }
        Err(failure) => Err(going_on(failure.of(what))),
    }
}

fn going_on(error: Error) -> Error {
    error.caused_by("the user is not let in yet, and a retry goes on from here")
}

/// The open sessions of a user, as far as the admin sees them: without PROCESS it sees its own.
pub(crate) async fn sessions(
    session: &mut Session,
    user: &str,
    cx: &Invocation,
) -> Result<OpenSessions, Error> {
    match open_sessions(session, user, cx).await {
        Ok(0) => {}
        Ok(count) => return Ok(OpenSessions::Count(count)),
        // What cannot be told is not none: nothing may be taken then.
        Err(error) => return Ok(OpenSessions::Unseen(error)),
    }
    let lacks = Own::read(session, cx).await?.lacks_process();
    Ok(lacks.map_or(OpenSessions::Count(0), |statement| {
        let what = "the admin does not see other users' sessions; nothing was changed";
        let unseen = Error::new(ErrorKind::Forbidden, what);
        OpenSessions::Unseen(unseen.caused_by(format!("have this run: {statement}")))
    }))
}
