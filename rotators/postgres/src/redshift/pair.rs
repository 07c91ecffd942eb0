//! Two users that an admin keeps equal: what both have is read in every database, and what differs is given
//! to the one at rest, then taken from it.
//!
//! Nothing that the first may do can be had by being its member, as at PostgreSQL, and a role that both have
//! would not hold what is granted to a user later. So rights are copied, as at MariaDB.

use std::collections::BTreeSet;

use fourstep::users::{
    Accounts, Assessment, Install, LoggedIn, Login, Ownership, Part, Step, driver,
};
use fourstep::{Error, ErrorKind, Invocation, Result};

use super::accounts::{UNFINISHED, group, is_mark};
use super::options::{self, Options};
use super::read::{Both, Reader};
use super::rights::of;
use crate::Postgres;
use crate::session::{At, Session};
use crate::sql::{quote, quote_identifier};

/// Databases of Redshift's own, in which nobody is given anything. Source: Database Developer Guide,
/// SVV_REDSHIFT_DATABASES and PG_DATABASE.
const SYSTEM: [&str; 4] = ["padb_harvest", "sys:internal", "template0", "template1"];

/// How many databases are looked at, each by a login. Source: Management Guide, "Quotas and limits": 60 of
/// one's own in a cluster, 100 in a namespace.
const MOST_DATABASES: usize = 100;

/// How many statements one change may be: each takes a while there.
const MOST_STATEMENTS: usize = 1000;

/// How many things of one kind an objection names.
const MOST_NAMED: usize = 5;

/// All that two users have.
struct Everything {
    options: [Option<Options>; 2],
    whole: Both,
    /// By database, the session's own first.
    places: Vec<(String, Both)>,
}

/// Reads everything of these two, of which the second need not be there.
async fn read(postgres: &Postgres, admin: &mut At<'_>, users: [&str; 2]) -> Result<Everything> {
    let LoggedIn { session, login, cx } = admin;
    let marks = marks(session, users, cx).await?;
    let [one, other] = users;
    let options =
        [options::read(session, one, cx).await?, options::read(session, other, cx).await?];
    let mut reader = Reader { session: &mut *session, users, marks: &marks, cx };
    let whole = reader.whole().await?;
    let own = reader.here().await?;
    let query = "SELECT database_name::text, database_name = current_database() \
                 FROM pg_catalog.svv_redshift_databases WHERE database_type = 'local'";
    let found: Vec<(String, bool)> = session.rows("a look at the databases", query, cx).await?;
    let here = login.dbname.clone().unwrap_or_default();
    let mut places = vec![(here, own)];
    let others = found.into_iter().filter(|(name, here)| !here && !SYSTEM.contains(&name.as_str()));
    let others: Vec<_> = others.map(|(name, _)| name).collect();
    if others.len() >= MOST_DATABASES {
        let what = format!("the server has more than {MOST_DATABASES} databases");
        return Err(Error::new(ErrorKind::Unsupported, what).caused_by(
            "rights of two users are compared in each of them; choose another ROTATION_STRATEGY",
        ));
    }
    for name in others {
        let mut there = driver::open_admin(postgres, &login.with_database(&name), cx).await?;
        let mut reader = Reader { session: &mut there.session, users, marks: &marks, cx };
        let both = reader.here().await;
        driver::close(postgres, there).await;
        let both = both.map_err(|error| error.while_doing(format!("in database {name:?}")))?;
        places.push((name, both));
    }
    Ok(Everything { options, whole, places })
}

/// The marks of these users.
async fn marks(
    session: &mut Session,
    users: [&str; 2],
    cx: &Invocation,
) -> Result<BTreeSet<String>> {
    let query = format!(
        "SELECT g.groname::text FROM pg_catalog.pg_group AS g JOIN pg_catalog.pg_user AS u \
         ON u.usesysid = ANY (g.grolist) WHERE u.usename IN ({})",
        users.map(quote).join(", ")
    );
    let rows: Vec<(String,)> = session.rows("a look at the marks", query, cx).await?;
    Ok(rows.into_iter().map(|(name,)| name).filter(|name| is_mark(name)).collect())
}

impl Everything {
    /// What of one of the two, the first or the second, cannot be carried over.
    fn refused(&self, second: bool) -> Vec<String> {
        let at = usize::from(second);
        let of =
            |both: &Both| both.get(at).map(|rights| rights.refused.clone()).unwrap_or_default();
        let options = self.options.get(at).and_then(Option::as_ref);
        let mut all: Vec<_> = options.map(|it| it.refused.clone()).unwrap_or_default();
        all.extend(of(&self.whole));
        for (name, both) in &self.places {
            all.extend(of(both).into_iter().map(|what| format!("in database {name:?} {what}")));
        }
        all
    }

    /// The statements that make the second as the first, by place: for the whole server first.
    fn statements(&self, [source, target]: [&str; 2]) -> Vec<Level> {
        let options = match &self.options {
            [Some(from), Some(to)] => to.level(from),
            [Some(from), None] => Options::default().level(from),
            _ => Vec::new(),
        };
        let level = |both: &Both| {
            let [from, to] = both;
            let render = |all: Vec<String>| all.iter().map(|one| of(one, target, source)).collect();
            Level { give: render(to.lacking(from)), take: render(to.surplus(from)) }
        };
        let mut all = vec![level(&self.whole)];
        all.extend(self.places.iter().map(|(_, both)| level(both)));
        if let Some(whole) = all.first_mut() {
            whole.give.extend(options.iter().map(|one| of(one, target, source)));
        }
        all
    }

    /// What speaks against a pair of these users.
    fn objections(&self, users: [&str; 2]) -> Vec<Error> {
        let mut all = Vec::new();
        for (user, second) in users.into_iter().zip([false, true]) {
            let refused = self.refused(second);
            if !refused.is_empty() {
                let named = driver::listed(refused.iter().map(String::as_str), MOST_NAMED, ", ");
                let what = format!("user {user:?} has what cannot be carried over: {named}");
                all.push(Error::new(ErrorKind::Unsupported, what).caused_by(
                    "nothing was changed; let another user own it, and have what is needed of it by a group \
                     or a role, which is carried over; or choose single-user or single-user-by-admin in \
                     ROTATION_STRATEGY",
                ));
            }
        }
        let [source, _] = &self.options;
        let own = self.places.iter().find(|(_, both)| both.iter().any(|one| one.own_schema));
        if let Some((name, _)) =
            own.filter(|_| source.as_ref().is_some_and(Options::looks_in_own_schema))
        {
            let what = format!("a schema of database {name:?} has the name of one of {users:?}");
            let user = users.map(quote_identifier).into_iter().next().unwrap_or_default();
            all.push(Error::new(ErrorKind::Unsupported, what).caused_by(format!(
                "names without a schema would mean another table to the other user; nothing was changed; \
                 say which schemas are meant, as by ALTER USER {user} SET search_path TO public"
            )));
        }
        all
    }
}

/// What is run in one place.
struct Level {
    give: Vec<String>,
    take: Vec<String>,
}

/// What makes the target as the source is, and all that speaks against it.
pub(crate) async fn assess(
    postgres: &Postgres,
    admin: &mut At<'_>,
    install: &Install<'_>,
    (accounts, ownership): (&Accounts, Option<Ownership>),
) -> Result<Assessment<()>> {
    let Install { pair, target, source, .. } = *install;
    let mut found = Assessment::default();
    let (true, Some(ownership)) = (target != source && accounts.contains_key(source), ownership)
    else {
        return Ok(found);
    };
    let users = [source, target];
    let all = read(postgres, admin, users).await?;
    found.objections = all.objections(users);
    let levels = all.statements(users);
    found.objections.extend(too_many(&levels, users));
    let taken = levels.iter().flat_map(|one| &one.take).map(String::as_str);
    let extra: Vec<_> = taken.filter(|one| !one.starts_with("GRANT ")).collect();
    if ownership == Ownership::Adopted && !extra.is_empty() {
        let extra = format!("what these take: {}", driver::listed(extra, MOST_NAMED, "; "));
        found.objections.extend(pair.may_drop(source, target, &extra).err());
    }
    let unfinished = accounts.get(target).is_none_or(|account| !account.usable);
    let mark = group(&pair.mark(source));
    let mut first = begin(&mut admin.session, (target, &mark), ownership, admin.cx).await?;
    let finished = || {
        let [group, user] = [UNFINISHED, target].map(quote_identifier);
        format!("ALTER GROUP {group} DROP USER {user}")
    };
    let mut last: Vec<_> = unfinished.then(finished).into_iter().collect();
    let mut levels = levels.into_iter();
    let (whole, here) = (levels.next(), levels.next());
    let (give, take): (Vec<_>, Vec<_>) =
        whole.into_iter().chain(here).map(|one| (one.give, one.take)).unzip();
    first.extend(give.into_iter().chain(take).flatten());
    let login = &admin.login;
    let others = levels.zip(all.places.iter().skip(1)).map(|(level, (name, _))| {
        part(login.with_database(name), level.give.into_iter().chain(level.take).collect())
    });
    let others: Vec<_> = others.filter(|part| !part.steps.is_empty()).collect();
    if others.is_empty() {
        first.append(&mut last);
    }
    found.parts = std::iter::once(part(login.clone(), first)).chain(others).collect();
    found.parts.extend((!last.is_empty()).then(|| part(login.clone(), last)));
    Ok(found)
}

/// Refuses to make so many statements.
fn too_many(levels: &[Level], [source, target]: [&str; 2]) -> Option<Error> {
    let count: usize = levels.iter().map(|one| one.give.len() + one.take.len()).sum();
    (count > MOST_STATEMENTS).then(|| {
        let what = format!("users {source:?} and {target:?} differ in {count} rights");
        Error::new(ErrorKind::Unsupported, what).caused_by(format!(
            "at most {MOST_STATEMENTS} are made equal in one rotation; give them to a group or a role and \
             not to a user; nothing was changed"
        ))
    })
}

fn part(login: Login, statements: Vec<String>) -> Part {
    Part { login, steps: statements.into_iter().map(Step::new).collect() }
}

/// What makes the target, or marks it. One that is made cannot log in, and is known to be unfinished until it
/// has everything.
async fn begin(
    session: &mut Session,
    (target, mark): (&str, &str),
    ownership: Ownership,
    cx: &Invocation,
) -> Result<Vec<String>> {
    let wanted = match ownership {
        Ownership::Absent => vec![mark, UNFINISHED],
        Ownership::Adopted => vec![mark],
        _ => return Ok(Vec::new()),
    };
    let query = format!(
        "SELECT g.groname::text FROM pg_catalog.pg_group AS g WHERE g.groname IN ({}, {})",
        quote(mark),
        quote(UNFINISHED)
    );
    let there: Vec<(String,)> = session.rows("a look at the marks", query, cx).await?;
    let absent = wanted.iter().filter(|name| !there.iter().any(|(one,)| one == *name));
    let mut all: Vec<_> =
        absent.map(|name| format!("CREATE GROUP {}", quote_identifier(name))).collect();
    let (user, mark) = (quote_identifier(target), quote_identifier(mark));
    all.push(match ownership {
        Ownership::Absent => {
            let unfinished = quote_identifier(UNFINISHED);
            format!("CREATE USER {user} PASSWORD DISABLE IN GROUP {mark}, {unfinished}")
        }
        _ => format!("ALTER GROUP {mark} ADD USER {user}"),
    });
    Ok(all)
}

/// In what these two users differ.
pub(crate) async fn differences(
    postgres: &Postgres,
    admin: &Login,
    (pending, partner): (&str, &str),
    cx: &Invocation,
) -> Result<Vec<String>> {
    let mut admin = driver::open_admin(postgres, admin, cx).await?;
    let users = [partner, pending];
    let read = read(postgres, &mut admin, users).await;
    driver::close(postgres, admin).await;
    let all = read?;
    if all.options.iter().any(Option::is_none) {
        return Ok(vec!["one of them is gone".to_owned()]);
    }
    let mut told = Vec::new();
    for Level { give, take } in all.statements(users) {
        told.extend(give.into_iter().map(|one| format!("not run yet: {one}")));
        told.extend(take.into_iter().map(|one| format!("not run yet: {one}")));
    }
    Ok(told)
}
