//! An open session: statements bounded by the deadline, each failure in its own class.

use std::time::Duration;

use fourstep::net::Transport;
use fourstep::users::Login;
use fourstep::{Error, ErrorKind, SecretString, Turn};

use crate::errors::{self, ServerError};
use crate::server::{FACTS, Server};
use crate::wire::{Answer, Channel, Plugin, QUIT, Stream, Wire, query};

/// How long taking leave of a server may hold up a step.
const CLOSING_TIME: Duration = Duration::from_secs(1);

/// An open session of one user, whose password the server has checked.
///
/// Dropping it closes the connection; the account's lock is given back by that.
pub struct Session {
    channel: Channel<Box<dyn Stream>>,
    pub(crate) server: Server,
    pub(crate) terms: Terms,
}

/// On which terms the session was opened.
pub(crate) struct Terms {
    /// How the server checked the password.
    pub(crate) plugin: Plugin,
    pub(crate) transport: Transport,
    /// The password that logged in.
    pub(crate) password: SecretString,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Session")
    }
}

/// How a statement failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server refused it.
    Refused(ServerError),
    /// The connection broke, or the answer makes no sense.
    Lost(Error),
    /// The turn ended.
    Late(Error),
}

impl Failure {
    /// The failure of a statement that changes nothing. `what` describes it.
    pub(crate) fn of(self, what: &str) -> Error {
        match self {
            Self::Refused(refusal) => errors::of_statement(what, &refusal),
            Self::Lost(error) | Self::Late(error) => error,
        }
    }
}

impl Session {
    /// Makes a session of a wire on which `login` was let in, and asks whose it is.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the session is not the user's: then a login proves nothing.
    pub(crate) async fn open(
        wire: Wire,
        plugin: Plugin,
        login: &Login,
        turn: &Turn,
    ) -> Result<Self, Error> {
        let terms = Terms { plugin, transport: wire.transport, password: login.password.clone() };
        let mut session = Self { channel: wire.channel, server: Server::default(), terms };
        let facts = session.ask("the question who and where this is", FACTS, turn).await?;
        session.server = Server::read(&facts, login)?;
        Ok(session)
    }

    /// Lets the server say as much as an admin may ask.
    pub(crate) fn listen_longer(&mut self) {
        self.channel.listen_longer();
    }

    /// Runs one statement. `what` describes it in errors.
    pub(crate) async fn run(
        &mut self,
        what: &str,
        statement: &str,
        turn: &Turn,
    ) -> Result<Vec<Vec<Option<String>>>, Failure> {
        let asked = query(&mut self.channel, statement);
        let answer = turn.deadline().bound(what, Duration::MAX, asked).await;
        match answer.map_err(Failure::Late)? {
            Ok(Answer::Rows(rows)) => Ok(rows),
            Ok(Answer::Refused(refusal)) => Err(Failure::Refused(refusal)),
            Err(error) => Err(Failure::Lost(error.while_doing(format!("no answer to {what}")))),
        }
    }

    /// Runs a query of one row.
    pub(crate) async fn ask<const N: usize>(
        &mut self,
        what: &str,
        query: &str,
        turn: &Turn,
    ) -> Result<[Option<String>; N], Error> {
        let rows = self.run(what, query, turn).await.map_err(|fail| fail.of(what))?;
        let row = rows.into_iter().next().and_then(|row| row.try_into().ok());
        row.ok_or_else(|| {
            Error::new(ErrorKind::Unreachable, format!("{what} got no usable answer"))
        })
    }

    /// Takes leave in good form. The step's outcome does not depend on it.
    pub(crate) async fn close(mut self, turn: &Turn) {
        if turn.deadline().remaining().is_zero() {
            // What is left of the time belongs to the report.
            return;
        }
        let closing = async {
            self.channel.begin();
            let _ = self.channel.send(&[QUIT]).await;
            // The server closes the connection, having given the lock back.
            let _ = self.channel.receive().await;
            self.channel.shut_down().await;
        };
        let _ = turn.deadline().bound("the end of the session", CLOSING_TIME, closing).await;
    }
}
