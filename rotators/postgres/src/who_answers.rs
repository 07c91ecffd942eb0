//! Whether it is the server itself that let a user in, or somebody between, such as a pooler.
//!
//! Who keeps passwords of its own goes on taking the old one after a change, and never takes the new
//! one. Who asks the server for its verifiers shows the same salt in every login, the server's; who has
//! the password itself makes a salt anew for each. Source: PgBouncer's documentation of `auth_query` and
//! `auth_file`, and its source, `build_adhoc_scram_secret`.

use std::time::SystemTime;

use fourstep::users::{Attempt, Login};
use fourstep::{Error, ErrorKind, Invocation, Result};

use crate::session::{ChannelSecurity, Kind, Session};
use crate::wire::LoggedIn;
use crate::{Postgres, redshift, sql, verifier, wire};

/// The process that serves this session, which the server tells in its greeting too.
const PROCESS: &str = "SELECT pg_catalog.pg_backend_pid()";

impl Postgres {
    /// Logs in, and asks nobody who answered.
    pub(crate) async fn enter(&self, login: &Login, cx: &Invocation) -> Result<Attempt<Session>> {
        match Kind::of(login) {
            Kind::Postgres => {
                sql::check_name("username", &login.username)?;
                sql::check_name("dbname", login.dbname.as_deref().unwrap_or_default())?;
            }
            Kind::Redshift => redshift::check_name(&login.username)?,
        }
        let connect = |transport| self.connect(login, transport, cx);
        let mut wire = login.ssl.connect(self.transport, cx, connect).await?;
        Ok(match wire::log_in(&mut wire, login).await? {
            Attempt::Accepted(LoggedIn { method, salt, process, messages }) => {
                let channel =
                    ChannelSecurity { method, weak_authentication: wire.weak_authentication };
                let (connection, passing) = wire::driver_bridge(wire.stream, &messages).await?;
                Attempt::Accepted(Session {
                    connection,
                    passing,
                    channel,
                    kind: Kind::of(login),
                    opened: SystemTime::now(),
                    version: 0,
                    rounds: verifier::ROUNDS,
                    unlocked: false,
                    other_login: None,
                    process,
                    salt,
                })
            }
            Attempt::Refused(why) => Attempt::Refused(why),
        })
    }

    /// Refuses a login that somebody else than the server answered, unless they ask the server.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`]: the login proves nothing.
    pub(crate) async fn answered_by_server(
        &self,
        session: &mut Session,
        login: &Login,
        cx: &Invocation,
    ) -> Result<()> {
        if Some(serving(session, cx).await?) == session.process {
            return Ok(());
        }
        let connect = |transport| self.connect(login, transport, cx);
        let mut wire = login.ssl.connect(self.transport, cx, connect).await?;
        match wire::log_in(&mut wire, login).await? {
            Attempt::Accepted(again) if again.salt.is_some() && again.salt == session.salt => {
                Ok(())
            }
            _ => Err(not_the_server()),
        }
    }
}

/// The process that serves this session.
///
/// # Errors
/// None may serve it, as where a proxy that let the user in is not let in itself.
pub(crate) async fn serving(session: &mut Session, cx: &Invocation) -> Result<i32> {
    let (process,) = session.ask("the question which process this is", PROCESS, cx).await?;
    Ok(process)
}

fn not_the_server() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "what let the user in is not the server itself, but a pooler that keeps passwords of its own \
         and would not learn of a new one; let the secret's \"host\" and \"port\" lead to the server, or \
         have the pooler ask it (PgBouncer: auth_query in place of auth_file)",
    )
}
