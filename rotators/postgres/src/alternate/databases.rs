//! Which databases a pair is concerned with, and who owns what in them.

use fourstep::{Error, ErrorKind, Turn};

use crate::session::Session;
use crate::sql::{quote, quote_identifier};

use super::plan::{Names, Place};

/// The databases in which either user owns or holds anything, but for the session's own.
#[derive(Debug, Default)]
pub(crate) struct Databases {
    pub(crate) others: Vec<String>,
    /// What the admin lacks to enter one of them.
    pub(crate) missing: Vec<String>,
    /// Those that nobody may enter.
    pub(crate) closed: Vec<String>,
}

/// Asks the catalogue that says where a role is mentioned. It is the whole server's.
pub(crate) async fn read(
    session: &mut Session,
    names: &Names<'_>,
    place: &Place,
    turn: &Turn,
) -> Result<Databases, Error> {
    let query = format!(
        "SELECT datname::text, datallowconn::text, \
         has_database_privilege(session_user, oid, 'CONNECT')::text \
         FROM pg_database WHERE datname <> current_database() AND oid IN \
         (SELECT dbid FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass \
         AND refobjid IN (SELECT oid FROM pg_roles WHERE rolname IN ({}))) ORDER BY 1",
        names.list()
    );
    let mut databases = Databases::default();
    for row in session.rows::<3>("a look at the databases", query, turn).await? {
        let [name, open, may_enter] = row;
        let name = name.unwrap_or_default();
        match (open.as_deref(), may_enter.as_deref()) {
            (Some("true"), Some("true")) => databases.others.push(name),
            (Some("true"), _) => databases.missing.push(format!(
                "GRANT CONNECT ON DATABASE {} TO {}",
                quote_identifier(&name),
                quote_identifier(&place.admin)
            )),
            _ => databases.closed.push(name),
        }
    }
    Ok(databases)
}

/// What belongs to one user and is out of the other's reach.
#[derive(Debug)]
pub(crate) struct Owned {
    pub(crate) owner: String,
    pub(crate) other: String,
    /// How many objects, and three of them.
    count: String,
    examples: String,
}

/// Objects of either user, in the session's database or shared, that the other half could neither
/// use nor alter. Temporary tables go with their session, default privileges and user mappings are
/// no objects.
pub(crate) async fn owned(
    session: &mut Session,
    names: &Names<'_>,
    turn: &Turn,
) -> Result<Vec<Owned>, Error> {
    let (source, target) = (quote(names.source), quote(names.target));
    let query = format!(
        "WITH pair AS (SELECT owner.oid, owner.rolname, \
         CASE WHEN owner.rolname = {source} THEN {target} ELSE {source} END AS other \
         FROM pg_roles AS owner WHERE owner.rolname IN ({source}, {target})), \
         owned AS (SELECT pair.rolname, pair.other, \
         pg_describe_object(d.classid, d.objid, 0) AS object \
         FROM pair JOIN pg_shdepend AS d ON d.refobjid = pair.oid \
         AND d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o' AND d.dbid IN \
         (0, (SELECT oid FROM pg_database WHERE datname = current_database())) \
         WHERE d.classid NOT IN ('pg_default_acl'::regclass, 'pg_user_mapping'::regclass) \
         AND NOT EXISTS (SELECT FROM pg_class AS c WHERE d.classid = 'pg_class'::regclass \
         AND c.oid = d.objid AND c.relpersistence = 't') \
         AND NOT EXISTS (SELECT FROM pg_roles AS half WHERE half.rolname = pair.other \
         AND pg_has_role(half.oid, pair.oid, 'USAGE'))) \
         SELECT rolname::text, other, count(*)::text, \
         array_to_string((array_agg(object ORDER BY object))[1:3], ', ') \
         FROM owned GROUP BY 1, 2"
    );
    let rows = session.rows::<4>("a look at what they own", query, turn).await?;
    let owned = |row: [Option<String>; 4]| {
        let [owner, other, count, examples] = row.map(Option::unwrap_or_default);
        Owned { owner, other, count, examples }
    };
    Ok(rows.into_iter().map(owned).collect())
}

impl Owned {
    /// The refusal, with the way out.
    pub(crate) fn error(&self, place: &Place) -> Error {
        let Self { owner, other, count, examples } = self;
        Error::new(
            ErrorKind::Unsupported,
            format!(
                "user {owner:?} owns objects that {other:?} could neither use nor alter: {count} in \
                 database {:?} ({})",
                place.database,
                examples.escape_debug()
            ),
        )
        .caused_by(format!(
            "let both act as one owner: set SHARED_OWNER to {owner}=NAME and run what the function's \
             plan prints; nothing was changed"
        ))
    }
}

/// How many sessions of a user are open.
pub(crate) async fn sessions(session: &mut Session, user: &str, turn: &Turn) -> Result<u64, Error> {
    let query =
        format!("SELECT count(*)::text FROM pg_stat_activity WHERE usename = {}", quote(user));
    let [count] = session.ask("a look at the open sessions", &query, turn).await?;
    Ok(count.and_then(|count| count.parse().ok()).unwrap_or_default())
}
