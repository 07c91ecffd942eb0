//! What asks on MariaDB who is logged in, where two users stand for one.

use fourstep::users::driver::listed;
use fourstep::{Error, Finding, Invocation};

use crate::alternate::quoting::quote_literal;
use crate::alternate::read::look;
use crate::session::Session;

/// So many of them are named.
const EXAMPLES: usize = 10;

/// How a text asks. Without a backslash, which strings take as it is in some sessions only.
const ASKS: &str = "(^|[^A-Z0-9_])((SESSION|CURRENT|SYSTEM)_)?USER *[(]|CURRENT_USER";

/// Warns about what asks who is logged in, in schemas where `user` has rights: each half of a pair is
/// another. Routines and events are read by the right on the `mysql` schema; views and triggers are seen
/// as far as the admin may see them.
pub(crate) async fn mentions(
    session: &mut Session,
    user: &str,
    cx: &Invocation,
) -> Result<Option<Finding>, Error> {
    let user = quote_literal(user);
    let held = ["db", "tables_priv", "columns_priv", "procs_priv"]
        .map(|table| format!("SELECT Db FROM mysql.{table} WHERE User = {user}"))
        .join(" UNION ");
    let query = format!(
        "SELECT CONCAT(what, ' ', db, '.', name) FROM \
         (SELECT LOWER(type) AS what, db, name, body_utf8 AS text FROM mysql.proc \
         UNION ALL SELECT 'event', db, name, body_utf8 FROM mysql.event \
         UNION ALL SELECT 'view', TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION \
         FROM information_schema.VIEWS \
         UNION ALL SELECT 'trigger', TRIGGER_SCHEMA, TRIGGER_NAME, ACTION_STATEMENT \
         FROM information_schema.TRIGGERS) AS made \
         WHERE CONVERT(text USING utf8mb4) REGEXP '{ASKS}' AND EXISTS \
         (SELECT 1 FROM ({held}) AS held WHERE made.db LIKE held.Db) ORDER BY 1"
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
