//! The question of the function's owner, asked as the user that is about to be promoted.

use std::time::Duration;

use fourstep::users::{Attempt, Database, Login};
use fourstep::{Environment, Error, ErrorKind, Turn};

use crate::session::{Failure, Session};
use crate::{Mysql, errors};

/// The most that the question may take, if the deadline leaves more.
const PROBE_TIME: Duration = Duration::from_secs(10);

/// Reads `PROBE_QUERY`.
pub(crate) fn read(environment: &Environment) -> Result<Option<String>, Error> {
    let query = environment.text("PROBE_QUERY")?.map(str::trim);
    Ok(query.filter(|query| !query.is_empty()).map(str::to_owned))
}

/// Logs in as the user and asks, in a transaction that may only read. The user's default roles hold:
/// this is what an application would meet.
///
/// # Errors
/// [`ErrorKind::Forbidden`] and others, by what the server answers; [`ErrorKind::Rejected`] if the
/// password is refused.
pub(crate) async fn ask(
    mysql: &Mysql,
    query: &str,
    login: &Login,
    turn: &Turn,
) -> Result<(), Error> {
    let named = |error: Error| error.while_doing(format!("PROBE_QUERY as {}", login.account()));
    match mysql.log_in(login, turn).await.map_err(named)? {
        Attempt::Accepted(mut session) => {
            let asked = in_transaction(&mut session, query, turn).await;
            session.close(turn).await;
            asked.map_err(named)
        }
        Attempt::Refused(why) => {
            Err(named(Error::new(ErrorKind::Rejected, "the login was refused").caused_by(why)))
        }
    }
}

async fn in_transaction(session: &mut Session, query: &str, turn: &Turn) -> Result<(), Error> {
    let what = "the probe's beginning";
    let begin = "START TRANSACTION READ ONLY";
    session.run(what, begin, turn).await.map_err(|failure| failure.of(what))?;
    let asked = session.run("PROBE_QUERY", query, turn);
    match turn.deadline().bound("PROBE_QUERY", PROBE_TIME, asked).await? {
        Ok(_) => Ok(()),
        // Not the query itself: it is in the function's configuration, for whoever may see that.
        Err(Failure::Refused(refusal)) => Err(errors::of_probe(&refusal)),
        Err(Failure::Lost(error) | Failure::Late(error)) => Err(error),
    }
}
