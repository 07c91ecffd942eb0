//! Statements to be run, each as the role that may run it, and what an admin lacks to run them.

use std::collections::BTreeSet;

use fourstep::users::Login;
use fourstep::{Error, Turn};

use crate::errors;
use crate::session::{Failure, Session};
use crate::sql::{quote, quote_identifier};

use super::ROLE_OPTIONS;

/// How long a change of a policy waits for its table: everybody who comes later waits behind it.
const SHORT_LOCK: &str = "SET LOCAL lock_timeout = '1s'";

/// The two users of a change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a> {
    /// The user to take everything from.
    pub(crate) source: &'a str,
    /// The user that is to become like it.
    pub(crate) target: &'a str,
}

impl<'a> Names<'a> {
    /// Both, as a list of literals.
    pub(crate) fn list(&self) -> String {
        format!("{}, {}", quote(self.source), quote(self.target))
    }

    /// Where something is said of one of the two: what must be said of the other.
    pub(crate) fn swapped<'b>(&self, name: &'b str) -> &'b str
    where
        'a: 'b,
    {
        match name {
            _ if name == self.source => self.target,
            _ if name == self.target => self.source,
            other => other,
        }
    }
}

/// The session in which a plan is made.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// `server_version_num`.
    pub(crate) version: u32,
    /// The admin.
    pub(crate) admin: String,
    /// The database.
    pub(crate) database: String,
    /// Whether what belongs to the whole server is looked at here.
    pub(crate) first: bool,
}

impl Place {
    pub(crate) fn new(version: u32, login: &Login, first: bool) -> Self {
        let database = login.dbname.clone().unwrap_or_default();
        Self { version, admin: login.username.clone(), database, first }
    }

    /// Whether a membership has options of its own.
    pub(crate) fn has_role_options(&self) -> bool {
        self.version >= ROLE_OPTIONS
    }

    /// Whether the session may `SET ROLE` to the role with this oid, as SQL.
    pub(crate) fn can_be(&self, oid: &str) -> String {
        let mode = if self.has_role_options() { "SET" } else { "MEMBER" };
        format!("pg_has_role(session_user, {oid}, '{mode}')")
    }
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Who runs it; the admin itself where nobody is named.
    pub(crate) actor: Option<String>,
    pub(crate) text: String,
}

/// What makes one user like the other.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// What the target lacks. To be run first.
    pub(crate) give: Vec<Statement>,
    /// What it has too much.
    pub(crate) take: Vec<Statement>,
    /// Changes of policies. Last, because they lock a table until the transaction ends.
    policies: Vec<Statement>,
    /// Statements for somebody else to run, without which the admin cannot run those above.
    pub(crate) missing: BTreeSet<String>,
    /// What is left unequal, because somebody else decides over it.
    pub(crate) warnings: BTreeSet<String>,
}

impl Plan {
    pub(crate) fn give(&mut self, actor: Option<&str>, text: String) {
        self.give.push(Statement { actor: actor.map(str::to_owned), text });
    }

    pub(crate) fn take(&mut self, actor: Option<&str>, text: String) {
        self.take.push(Statement { actor: actor.map(str::to_owned), text });
    }

    pub(crate) fn policy(&mut self, actor: &str, text: String, place: &Place) {
        if self.policies.is_empty() {
            self.policies.push(Statement { actor: None, text: SHORT_LOCK.to_owned() });
        }
        let actor = Some(actor.to_owned()).filter(|actor| *actor != place.admin);
        self.policies.push(Statement { actor, text });
    }

    /// The admin must be able to act as this role. One that is an admin's itself is never handed
    /// out: `instead` is then asked for.
    pub(crate) fn needs_role(&mut self, role: &Maker<'_>, instead: &str, place: &Place) {
        self.missing.insert(match role.powerful {
            true => instead.to_owned(),
            false => role.grant_to(&place.admin),
        });
    }

    /// The admin must be able to give this role, or to alter it.
    pub(crate) fn needs_admin_option(&mut self, role: &str, place: &Place) {
        let (role, admin) = (quote_identifier(role), quote_identifier(&place.admin));
        self.missing.insert(format!("GRANT {role} TO {admin} WITH ADMIN OPTION"));
    }

    /// The admin must have this attribute.
    pub(crate) fn needs_attribute(&mut self, attribute: &str, place: &Place) {
        self.missing.insert(format!("ALTER ROLE {} {attribute}", quote_identifier(&place.admin)));
    }

    /// Every statement, in order.
    pub(crate) fn statements(&self) -> impl Iterator<Item = &Statement> {
        self.give.iter().chain(&self.take).chain(&self.policies)
    }

    /// What is to be run before anything else. Nothing is taken before everything is given.
    pub(crate) fn next(&self) -> &[Statement] {
        let parts = [&self.give, &self.take, &self.policies];
        parts.into_iter().find(|part| !part.is_empty()).map_or(&[], |part| part)
    }
}

/// A role whose objects are spoken of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Maker<'a> {
    pub(crate) name: &'a str,
    /// Whether it is more than an application's: who acts as it has the whole server.
    pub(crate) powerful: bool,
}

impl Maker<'_> {
    /// Whether the role with this oid is, as SQL.
    pub(crate) fn is_powerful(oid: &str) -> String {
        format!(
            "COALESCE((SELECT rolsuper OR rolname IN ('rdsadmin', 'rds_superuser') \
             FROM pg_roles WHERE oid = {oid}), false)"
        )
    }

    /// What lets the admin act as it.
    pub(crate) fn grant_to(&self, admin: &str) -> String {
        format!("GRANT {} TO {}", quote_identifier(self.name), quote_identifier(admin))
    }
}

/// The statements with the changes of role that they need, as they could be run by hand.
pub(crate) fn script<'a>(statements: impl IntoIterator<Item = &'a Statement>) -> Vec<String> {
    let mut actor = &None;
    let mut lines = Vec::new();
    for statement in statements {
        if statement.actor != *actor {
            lines.push(become_role(statement.actor.as_deref(), ""));
            actor = &statement.actor;
        }
        lines.push(statement.text.clone());
    }
    if actor.is_some() {
        lines.push(become_role(None, ""));
    }
    lines
}

fn become_role(role: Option<&str>, local: &str) -> String {
    match role {
        Some(role) => format!("SET {local}ROLE {}", quote_identifier(role)),
        None => format!("SET {local}ROLE NONE"),
    }
}

/// Runs statements, one after the other, in an open transaction.
///
/// # Errors
/// Those of the statement that fails, which is named. The transaction is to be rolled back.
pub(crate) async fn run(
    session: &mut Session,
    statements: &[Statement],
    turn: &Turn,
) -> Result<(), Error> {
    let mut actor = &None;
    for statement in statements {
        let mut text = statement.text.clone();
        if statement.actor != *actor {
            text = format!("{}; {text}", become_role(statement.actor.as_deref(), "LOCAL "));
            actor = &statement.actor;
        }
        run_one(session, &statement.text, text, turn).await?;
    }
    if actor.is_some() {
        let back = become_role(None, "LOCAL ");
        run_one(session, &back, back.clone(), turn).await?;
    }
    Ok(())
}

async fn run_one(
    session: &mut Session,
    what: &str,
    text: String,
    turn: &Turn,
) -> Result<(), Error> {
    match session.run(what, text, turn).await {
        Ok(_) => Ok(()),
        Err(Failure::Refused(refusal)) => Err(errors::of_admin(what, &refusal)),
        Err(Failure::Lost(error) | Failure::Late(error)) => {
            Err(error.caused_by("nothing was committed"))
        }
    }
}
