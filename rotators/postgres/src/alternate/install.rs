//! One statement of a change of the pair.

use fourstep::{Error, ErrorKind, Invocation};

use crate::errors;
use crate::session::{Failure, Session};

/// Whether what was handed over was all that there was: DROP OWNED would drop what the user made
/// since, and what it drops it locks. Default privileges and user mappings are meant to go.
const DROPPED: &str = "SELECT count(*) FROM pg_locks AS l WHERE l.pid = pg_backend_pid() \
    AND l.mode = 'AccessExclusiveLock' AND (l.locktype = 'relation' \
    AND NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = l.relation) OR l.locktype = 'object' \
    AND l.classid NOT IN ('pg_default_acl'::regclass, 'pg_user_mapping'::regclass, \
    'pg_policy'::regclass))";

pub(crate) fn named(failure: Failure, statement: &str) -> Error {
    match failure {
        Failure::Refused(refusal) => errors::of_admin(statement, &refusal),
        Failure::Lost(error) | Failure::Late(error) => error.caused_by("nothing was committed"),
    }
}

/// Takes what the user was granted, as far as the admin may. The server gives some of it up with a
/// warning, and some with an error; that must not be a trap that anybody can lay by a grant.
pub(crate) async fn drop_owned(
    session: &mut Session,
    statement: &str,
    cx: &Invocation,
) -> Result<(), Error> {
    let [save, back] = ["SAVEPOINT granted", "ROLLBACK TO SAVEPOINT granted"];
    session.run(save, save, cx).await.map_err(|fail| named(fail, save))?;
    match session.run(statement, statement, cx).await {
        Err(Failure::Refused(refusal)) if refusal.code == "42501" => {
            cx.warn(format!(
                "{statement}: the admin may not take what somebody else granted; it does not \
                 count, because the user acts as the other one"
            ));
            session.run(back, back, cx).await.map_err(|fail| named(fail, back))
        }
        Err(failure) => Err(named(failure, statement)),
        Ok(()) => {
            let (dropped,): (i64,) = session.ask("a look at what was dropped", DROPPED, cx).await?;
            if dropped == 0 {
                return Ok(());
            }
            let what = format!("{statement}: the user made something meanwhile");
            Err(Error::new(ErrorKind::Conflict, what)
                .caused_by("it was rolled back and nothing is lost; retry"))
        }
    }
}
