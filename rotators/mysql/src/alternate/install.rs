//! The installation of a pair's other user: every statement of it stands for itself, so each leaves
//! what the next run goes on from, and the last one lets the user in.

use fourstep::users::{Change, Install, Login, Standing};
use fourstep::{Error, ErrorKind, Finding, SecretString, Turn};

use crate::Mysql;
use crate::alternate::accounts;
use crate::alternate::compose::{Composed, Users};
use crate::alternate::needs::Admin;
use crate::alternate::plan::Step;
use crate::alternate::rights::{AccountName, Object};
use crate::alternate::text::text;
use crate::alternate::users::{look, own_rights};
use crate::change::{self, Gate, UNCHANGED, exchange};
use crate::errors::{self, NoChange};
use crate::session::{Failure, Session};

/// How many missing rights an error lists.
const MOST_LISTED: usize = 10;

/// How often the difference of two users is taken.
const PASSES: usize = 2;

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
        let unchanged = |error: Error| error.caused_by(UNCHANGED);
        not_here(session).map_err(unchanged)?;
        // Named after the user alone: it may have no accounts yet.
        change::begin(session, &[install.target.to_owned()], turn).await?;
        let mut composed = self.decide(session, admin, install, turn).await.map_err(unchanged)?;
        composed.warnings.iter().for_each(|warning| turn.warn(warning));
        gate().await?;
        if !composed.steps.is_empty() {
            composed = make_alike(session, install, composed, turn).await.map_err(going_on)?;
        }
        let statement = self.password_of(session, &composed.finish, password, composed.unlock);
        match exchange(session, &statement, gate, turn).await {
            Ok(()) => Ok(Change::Made),
            Err(NoChange::Value(why)) => Ok(Change::Refused(why)),
            Err(NoChange::Failed(error)) => Err(error),
            Err(NoChange::NotPrimary | NoChange::CurrentRequired) => {
                Err(Error::new(ErrorKind::Unsupported, "the admin was asked for the old password"))
            }
        }
    }

    /// Everything that is found out before the first change.
    async fn decide(
        &self,
        session: &mut Session,
        admin: &Login,
        install: &Install<'_>,
        turn: &Turn,
    ) -> Result<Composed, Error> {
        let standing = standing(session, admin, install, turn).await?;
        let (composed, objections) = self.compose(session, admin, install, standing, turn).await?;
        match objections.into_iter().next() {
            Some(objection) => Err(objection),
            None => Ok(composed),
        }
    }

    /// What would be done, and all that speaks against it.
    async fn compose(
        &self,
        session: &mut Session,
        admin: &Login,
        install: &Install<'_>,
        standing: Standing,
        turn: &Turn,
    ) -> Result<(Composed, Vec<Error>), Error> {
        let (flavour, names) = (session.server.flavour, [install.source, install.target]);
        let mut users = Users::read(session, names, turn).await?;
        let rights = own_rights(session, turn).await?;
        let own = Admin { flavour, rights: &rights };
        let account = AccountName::new(&admin.username, session.server.host()).sql();
        // With rights on what the admin may not see, which would look as if it were gone.
        let lacks = own.lacks(&users.compose(flavour, install, standing)?.steps, &account);
        let mut objections = Vec::new();
        if !lacks.is_empty() {
            objections.push(lacking(&lacks));
        }
        let stale = users.drop_stale(session, turn).await?;
        let mut composed = users.compose(flavour, install, standing)?;
        composed.warnings.extend(stale.into_iter().map(|on| {
            format!("rights on {on} are not given to user {:?}: it is gone", install.target)
        }));
        let weak = self.transport.allow_weak_authentication;
        let plugins = composed.finish.iter().map(|(_, plugin)| *plugin);
        objections.extend(
            plugins.filter_map(|plugin| self.format.obstacle_of(session, plugin, weak)).next(),
        );
        if composed.finish.is_empty() {
            let what = format!("every account of user {:?} is locked", install.source);
            objections.push(Error::new(ErrorKind::Unsupported, what));
        }
        if install.target != install.source {
            let sees_all = own.has(&Object::Server, "PROCESS", None);
            let open = open_sessions(session, install.target, turn).await;
            match open.filter(|count| sees_all || *count > 0) {
                Some(0) => {}
                None if install.refuse_open_sessions => objections.push(blind(&account)),
                None => {}
                Some(_) if install.refuse_open_sessions => objections.push(busy(install.target)),
                Some(_) => composed.warnings.push(in_use(install.target)),
            }
        }
        Ok((composed, objections))
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
        let standing = standing(session, admin, install, turn).await?;
        let (composed, objections) = self.compose(session, admin, install, standing, turn).await?;
        let fails = objections.into_iter().map(Finding::Fails);
        Ok(fails.chain(composed.warnings.into_iter().map(Finding::Warns)).collect())
    }

    /// The statements of an installation, but for the password's.
    pub(crate) async fn plan_of_install(
        &self,
        session: &mut Session,
        admin: &Login,
        install: &Install<'_>,
        turn: &Turn,
    ) -> Result<Vec<String>, Error> {
        not_here(session)?;
        let standing = standing(session, admin, install, turn).await?;
        let (composed, _) = self.compose(session, admin, install, standing, turn).await?;
        Ok(composed.steps.into_iter().map(|step| step.text).collect())
    }
}

impl Mysql {
    /// The error of an admin that may not alter users.
    pub(crate) async fn may_alter_users(
        &self,
        session: &mut Session,
        admin: &Login,
        turn: &Turn,
    ) -> Result<Option<Error>, Error> {
        let rights = own_rights(session, turn).await?;
        let own = Admin { flavour: session.server.flavour, rights: &rights };
        let account = AccountName::new(&admin.username, session.server.host()).sql();
        Ok(own.lacks_users(&account).map(|statement| lacking(&[statement])))
    }
}

async fn standing(
    session: &mut Session,
    admin: &Login,
    install: &Install<'_>,
    turn: &Turn,
) -> Result<Standing, Error> {
    let (names, secret) = ([install.target, install.source], install.pair.secret());
    let found = accounts::read(session, &names, secret, &admin.username, turn).await?;
    install.judge(&found)
}

/// The error of a server on which no pair of users can be kept.
pub(crate) fn not_here(session: &Session) -> Result<(), Error> {
    match session.server.obstacle().or_else(|| session.server.no_attributes()) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Runs what is to be done, and what is still to be done then: MySQL 9.7 overlooks a REVOKE of a
/// dynamic privilege that comes after one of the GRANT OPTION it was given with.
async fn make_alike(
    session: &mut Session,
    install: &Install<'_>,
    mut composed: Composed,
    turn: &Turn,
) -> Result<Composed, Error> {
    for _ in 0..PASSES {
        for step in &composed.steps {
            turn.enough_for_a_change()?;
            run(session, step, turn).await?;
        }
        let names = [install.source, install.target];
        let mut users = Users::read(session, names, turn).await?;
        users.drop_stale(session, turn).await?;
        composed = users.compose(session.server.flavour, install, Standing::Ours)?;
        if composed.steps.is_empty() {
            return Ok(composed);
        }
    }
    let left = composed.steps.first().map(|step| step.text.clone()).unwrap_or_default();
    let what = "the users still differ after all statements; somebody else may be changing them";
    Err(Error::new(ErrorKind::Conflict, what).caused_by(left))
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

/// How many sessions of a user are open, as far as the admin sees them. `None` if it cannot be
/// told.
async fn open_sessions(session: &mut Session, user: &str, turn: &Turn) -> Option<u64> {
    let query =
        format!("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = {}", text(user));
    let rows = look(session, &query, turn).await.ok()?;
    rows.into_iter().flatten().flatten().next()?.parse().ok()
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

fn blind(admin: &str) -> Error {
    let what = "REFUSE_OPEN_SESSIONS is set, and the admin does not see other users' sessions";
    Error::new(ErrorKind::Forbidden, what)
        .caused_by(format!("have this run: GRANT PROCESS ON *.* TO {admin}"))
}

fn lacking(lacks: &[String]) -> Error {
    let listed: Vec<_> = lacks.iter().take(MOST_LISTED).map(String::as_str).collect();
    let more = match lacks.len().saturating_sub(MOST_LISTED) {
        0 => String::new(),
        count => format!("; and {count} more"),
    };
    Error::new(ErrorKind::Forbidden, "the admin lacks rights")
        .caused_by(format!("have this run: {}{more}", listed.join("; ")))
}
