//! What asks who is logged in, where two users stand for one.

use fourstep::users::driver::listed;
use fourstep::{Finding, Invocation, Result};

use crate::alternate::quoting::quote_literals;
use crate::alternate::read::look;
use crate::alternate::role::power::reach;
use crate::server::Flavour;
use crate::session::Session;

/// So many of them are named.
const EXAMPLES: usize = 10;

/// The server ends the question after so many seconds: its books may be long.
const SECONDS: u32 = 5;

/// How a text asks. Without a backslash, which strings take as it is in some sessions only.
const ASKS: &str = "(^|[^A-Z0-9_])((SESSION|CURRENT|SYSTEM)_)?USER *[(]|CURRENT_USER";

/// What both servers show, each as far as the admin may see it.
const SHOWN: &str = "\
    SELECT 'view' AS what, TABLE_SCHEMA AS db, TABLE_NAME AS name, VIEW_DEFINITION AS text \
    FROM information_schema.VIEWS \
    UNION ALL SELECT 'trigger', TRIGGER_SCHEMA, TRIGGER_NAME, ACTION_STATEMENT \
    FROM information_schema.TRIGGERS";

/// MySQL's books of what is stored are closed to everybody. A table's columns cost it no more than others
/// do, and a default that is a text is none that asks.
const ON_MYSQL: &str = "\
    UNION ALL SELECT LOWER(ROUTINE_TYPE), ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_DEFINITION \
    FROM information_schema.ROUTINES \
    UNION ALL SELECT 'event', EVENT_SCHEMA, EVENT_NAME, EVENT_DEFINITION \
    FROM information_schema.EVENTS \
    UNION ALL SELECT 'default of', TABLE_SCHEMA, CONCAT(TABLE_NAME, '.', COLUMN_NAME), \
    COLUMN_DEFAULT FROM information_schema.COLUMNS WHERE EXTRA LIKE '%DEFAULT_GENERATED%'";

/// MariaDB's are read by the right on the `mysql` schema. To ask for columns would open every table.
const ON_MARIADB: &str = "\
    UNION ALL SELECT LOWER(type), db, name, body_utf8 FROM mysql.proc \
    UNION ALL SELECT 'event', db, name, body_utf8 FROM mysql.event";

/// Warns about what asks who is logged in, in schemas where one of the two has rights: each half of a
/// pair is another.
pub(crate) async fn mentions(
    session: &mut Session,
    pair: [&str; 2],
    cx: &Invocation,
) -> Result<Option<Finding>> {
    let of_pair = format!("User IN ({})", quote_literals(&pair));
    // What the first has by roles, the second has too.
    let (with, who, own) = match session.server.flavour {
        Flavour::Mysql => (
            format!("{} SELECT /*+ MAX_EXECUTION_TIME({SECONDS}000) */", reach("''", &of_pair)),
            "reach",
            ON_MYSQL,
        ),
        Flavour::Mariadb => (
            format!(
                "SET STATEMENT max_statement_time = {SECONDS} FOR \
                 WITH pair AS (SELECT User, Host FROM mysql.user WHERE {of_pair}) SELECT"
            ),
            "pair",
            ON_MARIADB,
        ),
    };
    let held = ["db", "tables_priv", "columns_priv", "procs_priv"]
        .map(|table| format!("SELECT Db FROM {who} JOIN mysql.{table} USING (User, Host)"))
        .join(" UNION ");
    let query = format!(
        "{with} CONCAT(what, ' ', db, '.', name) FROM ({SHOWN} {own}) AS made \
         WHERE CONVERT(text USING utf8mb4) REGEXP '{ASKS}' AND EXISTS \
         (SELECT 1 FROM ({held}) AS held WHERE CONVERT(made.db USING utf8mb4) LIKE \
         CONVERT(held.Db USING utf8mb4) ESCAPE '\\') ORDER BY 1"
    );
    let found: Vec<String> =
        look(session, &query, cx).await?.into_iter().flatten().flatten().collect();
    Ok((!found.is_empty()).then(|| {
        Finding::Warns(format!(
            "what asks who is logged in sees two names, one for each login: {}",
            listed(found.iter().map(String::as_str), EXAMPLES, ", ")
        ))
    }))
}
