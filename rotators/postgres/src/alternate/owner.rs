//! A shared owner: both users act as one role that nobody logs in as, so that what either makes
//! belongs to both.

use fourstep::{Environment, Error, ErrorKind, Turn};

use crate::accounts;
use crate::session::Session;
use crate::sql::{quote, quote_identifier};
use crate::transaction;

use super::plan::{Names, Place, Plan, script};
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
            (Some(unfit), ..) => format!("{owner:?} cannot own for others: {unfit}"),
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

/// Two scripts for psql, to be run by the admin: the first moves the user in use to the shared owner,
/// the second, in comments, moves it back.
pub(crate) async fn scripts(
    places: &mut [(Place, Session)],
    owner: &str,
    user: &str,
    halves: &[&str],
    turn: &Turn,
) -> Result<Vec<String>, Error> {
    let (owner_quoted, user_quoted) = (quote_identifier(owner), quote_identifier(user));
    let mut there = vec![format!(
        "-- moves {user:?} to its shared owner: for psql, run as the admin while the user's clients rest"
    )];
    let mut back = vec![format!(
        "-- moves {user:?} back; leave alternating-users and take SHARED_OWNER away before"
    )];
    for half in halves {
        back.push(format!("ALTER ROLE {} RESET role;", quote_identifier(half)));
    }
    let mut exists = false;
    for (place, session) in places.iter_mut() {
        let names = Names { source: user, target: owner };
        transaction::begin(session, turn).await?;
        let moved = one_place(session, &names, place, turn).await;
        transaction::roll_back(session, turn).await;
        let (plan, schemas, present) = moved?;
        let admin = quote_identifier(&place.admin);
        let connect = format!("\\connect {}", quote_identifier(&place.database));
        there.extend([connect.clone(), "BEGIN;".to_owned()]);
        exists |= present;
        if !exists {
            there.push(format!("CREATE ROLE {owner_quoted} NOLOGIN;"));
            exists = true;
        }
        if place.first {
            // Who moves objects must be both; REVOKE at the end takes back what was not there.
            there.push(format!("GRANT {owner_quoted}, {user_quoted} TO {admin};"));
            there.push(format!("GRANT {owner_quoted} TO {user_quoted};"));
        }
        let given = script(&plan.give);
        there.extend(given.into_iter().map(|one| format!("{one};")));
        for schema in &schemas {
            there.push(format!("ALTER SCHEMA {schema} OWNER TO {owner_quoted};"));
        }
        there.push(format!("REASSIGN OWNED BY {user_quoted} TO {owner_quoted};"));
        there.push("COMMIT;".to_owned());
        back.extend([connect, "BEGIN;".to_owned()]);
        back.push(format!("GRANT {user_quoted} TO {admin};"));
        for schema in &schemas {
            back.push(format!("ALTER SCHEMA {schema} OWNER TO {user_quoted};"));
        }
        back.push(format!("REASSIGN OWNED BY {owner_quoted} TO {user_quoted};"));
        back.push(format!("DROP OWNED BY {owner_quoted};"));
        back.push(format!("REVOKE {user_quoted} FROM {admin};"));
        back.push("COMMIT;".to_owned());
    }
    if let Some((place, _)) = places.first() {
        there.push(format!("REVOKE {user_quoted} FROM {};", quote_identifier(&place.admin)));
    }
    there.push(format!("ALTER ROLE {user_quoted} SET role = {};", quote(owner)));
    back.push(format!("DROP ROLE {owner_quoted};"));
    there.extend(back.into_iter().map(|line| match line.starts_with("--") {
        true => line,
        false => format!("--   {line}"),
    }));
    Ok(there)
}

/// What the owner lacks in one database, the schemas that are the user's there, and whether the
/// owner exists.
async fn one_place(
    session: &mut Session,
    names: &Names<'_>,
    place: &Place,
    turn: &Turn,
) -> Result<(Plan, Vec<String>, bool), Error> {
    let mut plan = Plan::default();
    if place.first {
        let roles = role::read(session, names, place, turn).await?;
        roles.plan_memberships(names, place, &mut plan);
    }
    rights::read(session, names, place, turn).await?.plan(names, place, &mut plan);
    defaults::read(session, names, place, turn).await?.plan(names, place, &mut plan);
    let query = format!(
        "SELECT quote_ident(nspname) FROM pg_namespace \
         WHERE pg_get_userbyid(nspowner) = {} ORDER BY 1",
        quote(names.source)
    );
    let rows = session.rows::<1>("a look at the schemas", query, turn).await?;
    let schemas = rows.into_iter().filter_map(|[name]| name).collect();
    let exists =
        format!("SELECT count(*)::text FROM pg_roles WHERE rolname = {}", quote(names.target));
    let [count] = session.ask("a look at the owner", &exists, turn).await?;
    Ok((plan, schemas, count.as_deref() == Some("1")))
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
