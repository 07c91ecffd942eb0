//! A shared owner: both users act as one role that nobody logs in as, so that what either makes
//! belongs to both.

use std::collections::BTreeSet;

use fourstep::{Environment, Error, ErrorKind, Turn};

use crate::accounts;
use crate::session::Session;
use crate::sql::{quote, quote_identifier};

use super::plan::{Names, Place, Plan, script};
use super::text::{connect, is_plain};
use super::{defaults, rights, role};

/// `SHARED_OWNER`: which role owns what a user makes.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedOwners(Vec<(String, String)>);

impl SharedOwners {
    /// Reads the variable: `user=owner,...`, where the user is either half of a pair.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming it.
    pub(crate) fn read(environment: &Environment) -> Result<Self, Error> {
        let name = "SHARED_OWNER";
        let refused = |why: &str| {
            Error::new(ErrorKind::Malformed, format!("the environment variable {name} {why}"))
        };
        let text = environment.text(name)?.unwrap_or_default();
        let mut owners: Vec<(String, String)> = Vec::new();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let halves = word.split_once('=').map(|(user, owner)| (user.trim(), owner.trim()));
            let Some((user, owner)) = halves.filter(|(user, owner)| {
                !user.is_empty() && !owner.is_empty() && user != owner && !owner.contains('=')
            }) else {
                return Err(refused(
                    "must list users and the roles that own for them, as app=app_owner",
                ));
            };
            if owners.iter().any(|(known, _)| known == user) {
                return Err(refused("names a user twice"));
            }
            owners.push((user.to_owned(), owner.to_owned()));
        }
        Ok(Self(owners))
    }

    /// The owner that a pair shares.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if the two halves were given different ones.
    pub(crate) fn of(&self, names: &Names<'_>) -> Result<Option<&str>, Error> {
        let of =
            |user: &str| self.0.iter().find(|(known, _)| known == user).map(|(_, owner)| owner);
        match (of(names.source), of(names.target)) {
            (Some(one), Some(other)) if one != other => Err(Error::new(
                ErrorKind::Malformed,
                format!(
                    "SHARED_OWNER names two owners for {:?} and {:?}, which are one pair",
                    names.source, names.target
                ),
            )),
            (one, other) => Ok(one.or(other).map(String::as_str)),
        }
    }
}

/// How far a user was moved to its shared owner.
#[derive(Debug)]
pub(crate) struct State {
    exists: bool,
    /// Why it cannot be an owner.
    unfit: Option<String>,
    moved: bool,
}

/// Looks at the owner and at the user in use.
pub(crate) async fn state(
    session: &mut Session,
    owner: &str,
    user: &str,
    place: &Place,
    turn: &Turn,
) -> Result<State, Error> {
    let accounts = accounts::read(session, &[owner], None, turn).await?;
    let account = accounts.get(owner);
    let unfit = account.and_then(|account| match &account.barred {
        Some(why) => Some(why.clone()),
        None if account.usable => Some("it may log in".to_owned()),
        None => None,
    });
    let query = format!(
        "SELECT COALESCE(bool_or({} AND EXISTS (SELECT FROM pg_db_role_setting AS s \
         WHERE s.setrole = one.oid AND s.setdatabase = 0 AND 'role=' || {2} = ANY (s.setconfig))), \
         false)::text FROM pg_roles AS one, pg_roles AS owner \
         WHERE one.rolname = {1} AND owner.rolname = {2}",
        match place.has_role_options() {
            true => "pg_has_role(one.oid, owner.oid, 'SET')",
            false => "pg_has_role(one.oid, owner.oid, 'MEMBER')",
        },
        quote(user),
        quote(owner),
    );
    let [moved] = session.ask("a look at the shared owner", &query, turn).await?;
    Ok(State { exists: account.is_some(), unfit, moved: moved.as_deref() == Some("true") })
}

impl State {
    /// What keeps the user from being given a second half.
    pub(crate) fn obstacle(&self, owner: &str, user: &str) -> Option<Error> {
        let what = format!("user {user:?} does not act as {owner:?}, which SHARED_OWNER names");
        let why = match (&self.unfit, self.moved, self.exists) {
            (Some(unfit), ..) => format!(
                "{owner:?} cannot own for others: {unfit}; let SHARED_OWNER name another role"
            ),
            (None, true, _) => return None,
            (None, false, exists) => format!(
                "{}; run the statements that the function's plan prints, which move it over",
                if exists { "it was not moved over yet" } else { "that role does not exist yet" }
            ),
        };
        Some(Error::new(ErrorKind::Unsupported, what).caused_by(why))
    }

    /// Whether the user can be moved.
    pub(crate) fn is_sound(&self) -> bool {
        self.unfit.is_none() && !self.moved
    }
}

/// What is to be moved to the owner in one database.
#[derive(Debug)]
pub(crate) struct Move {
    database: String,
    /// What the owner lacks there.
    plan: Plan,
    /// The schemas that are the user's, quoted.
    schemas: Vec<String>,
    /// Whether the owner exists.
    exists: bool,
}

impl Move {
    /// Looks, in an open transaction.
    pub(crate) async fn read(
        session: &mut Session,
        owner: &str,
        user: &str,
        place: &Place,
        turn: &Turn,
    ) -> Result<Self, Error> {
        let names = &Names { source: user, target: owner };
        let mut plan = Plan::default();
        // Nothing is taken from the owner.
        if place.first {
            let mut roles = role::read(session, names, place, turn).await?;
            roles.keep_held();
            roles.plan_memberships(names, place, &mut plan);
        }
        let mut rights = rights::read(session, names, place, turn).await?;
        rights.keep_held();
        rights.plan(names, place, &mut plan);
        let mut defaults = defaults::read(session, names, place, turn).await?;
        defaults.keep_held();
        defaults.plan(names, place, &mut plan);
        let query = format!(
            "SELECT quote_ident(nspname) FROM pg_namespace \
             WHERE pg_get_userbyid(nspowner) = {} ORDER BY 1",
            quote(user)
        );
        let rows = session.rows::<1>("a look at the schemas", query, turn).await?;
        let schemas = rows.into_iter().filter_map(|[name]| name).collect();
        let exists =
            format!("SELECT count(*)::text FROM pg_roles WHERE rolname = {}", quote(owner));
        let [count] = session.ask("a look at the owner", &exists, turn).await?;
        let database = place.database.clone();
        Ok(Self { database, plan, schemas, exists: count.as_deref() == Some("1") })
    }

    /// Statements for somebody else to run, without which the move would fail half-way.
    pub(crate) fn missing(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.plan.missing)
    }
}

/// Two scripts for psql, to be run by the admin: the first moves the user in use to the shared owner,
/// the second, in comments, moves it back. Either stops at the first statement that fails: a user
/// must not act as an owner that owns nothing.
///
/// # Errors
/// [`ErrorKind::Unsupported`] where a name does not fit into a line.
pub(crate) fn scripts(
    moves: &[Move],
    owner: &str,
    pair: &Names<'_>,
    admin: &str,
) -> Result<Vec<String>, Error> {
    let user = pair.source;
    let (owner_quoted, user_quoted) = (quote_identifier(owner), quote_identifier(user));
    let admin = quote_identifier(admin);
    let stop = "\\set ON_ERROR_STOP on".to_owned();
    let mut there = vec![
        format!(
            "-- moves {user:?} to its shared owner: for psql, run as the admin while the user's clients rest"
        ),
        stop.clone(),
    ];
    let mut back = vec![stop];
    back.extend([pair.source, pair.target].map(reset));
    for (number, one) in moves.iter().enumerate() {
        there.extend([connect(&one.database), "BEGIN;".to_owned()]);
        if number == 0 {
            if !one.exists {
                there.push(format!("CREATE ROLE {owner_quoted} NOLOGIN;"));
            }
            // Who moves objects must be both; REVOKE at the end takes back what was not there.
            there.push(format!("GRANT {owner_quoted}, {user_quoted} TO {admin};"));
            there.push(format!("GRANT {owner_quoted} TO {user_quoted};"));
        }
        there.extend(script(one.plan.statements()).into_iter().map(|one| format!("{one};")));
        for schema in &one.schemas {
            there.push(format!("ALTER SCHEMA {schema} OWNER TO {owner_quoted};"));
        }
        there.push(format!("REASSIGN OWNED BY {user_quoted} TO {owner_quoted};"));
        there.push("COMMIT;".to_owned());
        back.extend([connect(&one.database), "BEGIN;".to_owned()]);
        back.push(format!("GRANT {user_quoted} TO {admin};"));
        for schema in &one.schemas {
            back.push(format!("ALTER SCHEMA {schema} OWNER TO {user_quoted};"));
        }
        back.push(format!("REASSIGN OWNED BY {owner_quoted} TO {user_quoted};"));
        back.push(format!("DROP OWNED BY {owner_quoted};"));
        back.push(format!("REVOKE {user_quoted} FROM {admin};"));
        back.push("COMMIT;".to_owned());
    }
    there.push(format!("REVOKE {user_quoted} FROM {admin};"));
    there.push(format!("ALTER ROLE {user_quoted} SET role = {};", quote(owner)));
    back.push(format!("DROP ROLE {owner_quoted};"));
    there.push(format!(
        "-- moves {user:?} back; leave alternating-users and take SHARED_OWNER away before"
    ));
    there.extend(back.into_iter().map(|line| format!("--   {line}")));
    match there.iter().find(|line| !is_plain(line)) {
        None => Ok(there),
        Some(line) => Err(Error::new(
            ErrorKind::Unsupported,
            "no script moves the user to its shared owner: a name in it has a control character",
        )
        .caused_by(format!("give it another name: {}", line.escape_debug()))),
    }
}

/// The user acts as itself again. Either may be gone, or not there yet when this is printed.
fn reset(user: &str) -> String {
    let body = format!(
        "BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {}) \
         THEN ALTER ROLE {} RESET role; END IF; END",
        quote(user),
        quote_identifier(user)
    );
    format!("DO {};", quote(&body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_half_names_the_owner_of_both_and_two_owners_are_refused() {
        let read = |text| SharedOwners::read(&Environment::from([("SHARED_OWNER", text)]));
        let names = Names { source: "app", target: "app_clone" };
        for text in ["app=team", " other=x, app_clone = team ", "app=team,app_clone=team"] {
            assert_eq!(read(text).unwrap().of(&names).unwrap(), Some("team"), "{text}");
        }
        assert_eq!(read("").unwrap().of(&names).unwrap(), None);
        let two = read("app=team,app_clone=others").unwrap();
        assert_eq!(two.of(&names).unwrap_err().kind(), ErrorKind::Malformed);
        for text in ["app", "app=", "=team", "app=app", "a=b=c", "app=team,app=team"] {
            let error = read(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Malformed, "{text}");
            assert!(error.to_string().contains("SHARED_OWNER"), "{error}");
        }
    }
}
