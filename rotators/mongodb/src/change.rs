//! The change of a password: on a session that was just opened, with limits that the server enforces.

use std::time::Duration;

use bson::raw::{RawArrayBuf, RawDocumentBuf, cstr};
use bson::rawdoc;
use fourstep::users::Change;
use fourstep::{Error, ErrorKind, ExposeSecret, Invocation, Result, SecretString};

use crate::Mongodb;
use crate::errors::{self, ServerError};
use crate::session::{Failure, Session, database};
use crate::user::{self, Privileges, STRONGEST};

/// What the server says of a value that it does not take.
const BAD_VALUE: i32 = 2;

/// The most that a majority of the members is waited for.
const MAJORITY_TIME: Duration = Duration::from_secs(10);

/// What is kept of the deadline for the answer that a majority was not reached.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// A change of one user's password, made ready.
pub struct Prepared {
    database: String,
    user: String,
    password: SecretString,
    /// How the password may be proven. Where it is not said, servers from 4.0 on take every way that
    /// they know, older ones the only one.
    mechanisms: Option<Vec<String>>,
}

impl Prepared {
    pub(crate) fn new(database: &str, user: &str, password: &SecretString) -> Self {
        Self {
            database: database.to_owned(),
            user: user.to_owned(),
            password: password.clone(),
            mechanisms: None,
        }
    }

    /// With these mechanisms, which a user had before.
    pub(crate) fn proven_by(self, mechanisms: Option<Vec<String>>) -> Self {
        Self { mechanisms, ..self }
    }

    /// With those that the user of this login has now. Everybody may look at itself, and an admin at
    /// others; where the server does not answer that, nothing is said of them.
    pub(crate) async fn proven_as_now(self, session: &mut Session, cx: &Invocation) -> Self {
        let found = user::named(session, &self.database, [self.user.as_str()], cx).await;
        let user = found.ok().and_then(|mut users| users.remove(&self.user));
        self.proven_by(user.and_then(|user| user.mechanisms))
    }

    /// Sends the change: the only place that does. Roles and customData stay as they are.
    pub(crate) async fn send(&self, session: &mut Session, cx: &Invocation) -> Result<Change> {
        let has = self.mechanisms.as_deref().unwrap_or_default();
        let tried = match self.try_with(self.mechanisms.as_deref(), session, cx).await {
            // Of a user's mechanisms the server may know one no longer (authenticationMechanisms).
            Err(Failure::Refused(ServerError { code: BAD_VALUE }))
                if has.len() > 1 && has.iter().any(|name| name == STRONGEST) =>
            {
                let strongest = [STRONGEST.to_owned()];
                self.try_with(Some(&strongest), session, cx).await
            }
            tried => tried,
        };
        match tried {
            Ok(()) => Ok(Change::Made),
            Err(failure) => failure.decided(errors::of_password_change),
        }
    }

    async fn try_with(
        &self,
        mechanisms: Option<&[String]>,
        session: &mut Session,
        cx: &Invocation,
    ) -> Result<(), Failure> {
        let mut command = rawdoc! {
            "updateUser": self.user.as_str(),
            "pwd": self.password.expose_secret(),
            "$db": self.database.as_str(),
        };
        if let Some(mechanisms) = mechanisms {
            let mechanisms: RawArrayBuf = mechanisms.iter().map(String::as_str).collect();
            command.append(cstr!("mechanisms"), mechanisms);
        }
        exchange(session, command, cx).await
    }
}

/// Sends a command that changes a user, which a majority of the members is to confirm. The errors say
/// whether it is known that nothing was changed.
pub(crate) async fn exchange(
    session: &mut Session,
    mut command: RawDocumentBuf,
    cx: &Invocation,
) -> Result<(), Failure> {
    let left = cx.deadline().remaining();
    let majority = left.saturating_sub(ANSWER_TIME).min(MAJORITY_TIME);
    let milliseconds = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
    let concern = rawdoc! { "w": "majority", "wtimeout": milliseconds(majority) };
    command.append(cstr!("writeConcern"), concern);
    command.append(cstr!("maxTimeMS"), milliseconds(left));
    let answer = session.run("the change", &command, cx).await;
    let answer = answer.map_err(|failure| failure.of_change(errors::USER))?;
    match ServerError::of_majority(&answer) {
        None => Ok(()),
        Some(refusal) => Err(Failure::Lost(errors::no_majority(refusal))),
    }
}

impl Mongodb {
    /// What keeps the session's user from changing its own password.
    pub(crate) async fn obstacles(
        &self,
        session: &mut Session,
        cx: &Invocation,
    ) -> Result<Vec<Error>> {
        let own = Privileges::own(session, cx).await?;
        let database = database(&session.login);
        let mut obstacles: Vec<_> = self.transport.shown(session.transport).into_iter().collect();
        let may = |action| own.allow(action, database) != Some(false);
        if !may("changeOwnPassword") && !may("changePassword") {
            obstacles.push(lacks_own_password(database, &session.login.username));
        }
        Ok(obstacles)
    }
}

/// The error of a user that may not change its password, and both ways out.
fn lacks_own_password(database: &str, user: &str) -> Error {
    let role = quoted(&format!("changeOwnPassword of {user}"));
    let [database, user] = [database, user].map(quoted);
    let what = "the user may not change its own password: it lacks the privilege changeOwnPassword; \
                nothing was changed";
    Error::new(ErrorKind::Forbidden, what).caused_by(format!(
        "let an admin do it (ROTATION_STRATEGY=alternating-users, or single-user-by-admin), or have \
         this run: db.getSiblingDB({database}).createRole({{role: {role}, privileges: \
         [{{resource: {{db: {database}, collection: \"\"}}, actions: [\"changeOwnPassword\"]}}], roles: \
         []}}); db.getSiblingDB({database}).grantRolesToUser({user}, [{role}])"
    ))
}

/// A text as a string of JavaScript.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
