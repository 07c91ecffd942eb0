//! What two users may do differently, asked of the server's own functions.

use fourstep::users::Login;
use fourstep::{Error, Turn};

use crate::session::Session;
use crate::sql::quote;
use crate::{Postgres, transaction};

use super::plan::{Names, Place, script};
use super::{databases, look, old_enough};

/// The most differences that are told of one database.
const MOST: usize = 20;

/// What is asked of each kind of object: from where, its name, and what may be done with it. An
/// object without a list gives rights to its owner alone, so it is left out where both have or
/// have not the owner's rights.
const ASKED: [(&str, &str, &str, &str, &str); 7] = [
    (
        "table_privilege",
        "pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace WHERE relkind IN \
         ('r', 'p', 'v', 'm', 'f') AND relpersistence <> 't' AND (relacl IS NOT NULL OR ",
        "relowner",
        "format('table %I.%I', n.nspname, relname)",
        "SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER",
    ),
    (
        "sequence_privilege",
        "pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace WHERE relkind = 'S' AND \
         relpersistence <> 't' AND (relacl IS NOT NULL OR ",
        "relowner",
        "format('sequence %I.%I', n.nspname, relname)",
        "USAGE,SELECT,UPDATE",
    ),
    (
        "schema_privilege",
        "pg_namespace o WHERE (nspacl IS NOT NULL OR ",
        "nspowner",
        "format('schema %I', nspname)",
        "CREATE,USAGE",
    ),
    (
        "function_privilege",
        "pg_proc o WHERE (proacl IS NOT NULL OR ",
        "proowner",
        "format('routine %s', o.oid::regprocedure)",
        "EXECUTE",
    ),
    (
        "type_privilege",
        "pg_type o WHERE (typacl IS NOT NULL OR ",
        "typowner",
        "format('type %s', o.oid::regtype)",
        "USAGE",
    ),
    (
        "server_privilege",
        "pg_foreign_server o WHERE (srvacl IS NOT NULL OR ",
        "srvowner",
        "format('foreign server %I', srvname)",
        "USAGE",
    ),
    (
        "database_privilege",
        "pg_database o WHERE (datacl IS NOT NULL OR ",
        "datdba",
        "format('database %I', datname)",
        "CREATE,CONNECT,TEMPORARY",
    ),
];

/// One query for all of it. `a` and `b` are the two roles' oids.
fn query(names: &Names<'_>) -> String {
    let mut parts: Vec<String> = ASKED
        .iter()
        .map(|(function, from, owner, label, privileges)| {
            format!(
                "SELECT {label} AS what, one AS privilege, has_{function}(a, o.oid, one) AS has \
                 FROM pair, unnest(string_to_array('{privileges}', ',') || \
                 string_to_array(replace('{privileges}', ',', ' WITH GRANT OPTION,') || \
                 ' WITH GRANT OPTION', ',')) AS one, {from} pg_has_role(a, {owner}, 'USAGE') <> \
                 pg_has_role(b, {owner}, 'USAGE')) AND \
                 has_{function}(a, o.oid, one) <> has_{function}(b, o.oid, one)"
            )
        })
        .collect();
    parts.push(
        "SELECT format('column %I of %s', attname, attrelid::regclass), one, \
         has_column_privilege(a, attrelid, attnum, one) FROM pair, pg_attribute, \
         unnest('{SELECT,INSERT,UPDATE,REFERENCES}'::text[]) AS one \
         WHERE attacl IS NOT NULL AND NOT attisdropped AND \
         has_column_privilege(a, attrelid, attnum, one) <> has_column_privilege(b, attrelid, attnum, one)"
            .to_owned(),
    );
    parts.push(
        "SELECT format('role %I', rolname), 'the rights of', pg_has_role(a, o.oid, 'USAGE') \
         FROM pair, pg_roles o WHERE o.oid NOT IN (a, b) AND \
         pg_has_role(a, o.oid, 'USAGE') <> pg_has_role(b, o.oid, 'USAGE')"
            .to_owned(),
    );
    format!(
        "WITH pair AS (SELECT one.oid AS a, other.oid AS b FROM pg_roles one, pg_roles other \
         WHERE one.rolname = {} AND other.rolname = {}) \
         SELECT what, string_agg(privilege, ', ' ORDER BY privilege), has::text FROM ({}) AS all_of_it \
         GROUP BY what, has ORDER BY what LIMIT {}",
        quote(names.source),
        quote(names.target),
        parts.join(" UNION ALL "),
        MOST + 1
    )
}

/// One line for each difference.
pub(crate) async fn differences(
    postgres: &Postgres,
    admin: &Login,
    usernames: [&str; 2],
    turn: &Turn,
) -> Result<Vec<String>, Error> {
    let [source, target] = usernames;
    let names = Names { source, target };
    let (mut session, version) = postgres.open_admin(admin, turn).await?;
    let mut place = Place::new(version, admin, true);
    let looked = async {
        old_enough(version)?;
        transaction::begin(&mut session, turn).await?;
        let others = databases::read(&mut session, &names, &place, turn).await?.others;
        Ok::<_, Error>((in_one(&mut session, &names, &place, turn).await?, others))
    }
    .await;
    session.close(turn).await;
    let (mut lines, others) = looked?;
    place.first = false;
    for database in others {
        let login = admin.with_database(&database);
        let (mut session, version) = postgres.open_admin(&login, turn).await?;
        place = Place::new(version, &login, false);
        let looked = async {
            transaction::begin(&mut session, turn).await?;
            in_one(&mut session, &names, &place, turn).await
        }
        .await;
        session.close(turn).await;
        lines.extend(looked?);
    }
    Ok(lines)
}

async fn in_one(
    session: &mut Session,
    names: &Names<'_>,
    place: &Place,
    turn: &Turn,
) -> Result<Vec<String>, Error> {
    let plan = look(session, names, place, turn).await?.plan(names, None, place);
    let unlike = script(plan.statements()).into_iter().filter(|one| !one.starts_with("SET "));
    let mut lines: Vec<_> = unlike
        .map(|one| format!("database {:?}: to be equal needs {one}", place.database))
        .collect();
    for row in session.rows::<3>("the comparison of rights", query(names), turn).await? {
        let [what, privileges, has] = row.map(Option::unwrap_or_default);
        let (user, other) = match has.as_str() {
            "true" => (names.source, names.target),
            _ => (names.target, names.source),
        };
        lines.push(format!(
            "database {:?}: {user:?} has {privileges} on {what} and {other:?} has not",
            place.database
        ));
    }
    for owned in databases::owned(session, names, turn).await? {
        lines.push(owned.error(place).to_string());
    }
    if lines.len() > MOST {
        let more = lines.len() - MOST;
        lines.truncate(MOST);
        lines.push(format!("database {:?}: and {more} more", place.database));
    }
    Ok(lines)
}
