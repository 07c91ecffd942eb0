//! An open session: statements bounded by the deadline, each failure in its own class.

use std::sync::Arc;
use std::time::Duration;

use fourstep::net::{Stream, Transport};
use fourstep::users::{Login, driver};
use fourstep::{Error, ErrorKind, Invocation, SecretString};

use crate::alternate::Own;
use crate::errors::ServerError;
use crate::server::{FACTS, Server};
use crate::wire::{Answer, Channel, Plugin, QUIT, Wire, query};

/// How long the end of a session that is dropped may take.
const CLOSING_TIME: Duration = Duration::from_secs(1);

/// An open session of one user, whose password the server has checked.
///
/// Dropping it closes the connection; the account's lock is given back by that.
pub struct Session {
    /// Gone once the session is closed.
    channel: Option<Channel<Box<dyn Stream>>>,
    /// Whether an answer is being waited for, so that nothing else may be said.
    busy: bool,
    pub(crate) server: Server,
    /// What its user may do, once that was asked.
    pub(crate) own: Option<Arc<Own>>,
    pub(crate) terms: ChannelSecurity,
}

/// On which terms the session was opened.
pub(crate) struct ChannelSecurity {
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
pub(crate) type Failure = driver::Failure<ServerError>;

impl Session {
    /// Makes a session of a wire on which `login` was let in, and asks whose it is.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the session is not the user's: then a login proves nothing.
    pub(crate) async fn open(
        wire: Wire,
        plugin: Plugin,
        login: &Login,
        cx: &Invocation,
    ) -> Result<Self, Error> {
        let terms =
            ChannelSecurity { plugin, transport: wire.transport, password: login.password.clone() };
        let (channel, busy, server) = (Some(wire.channel), false, Server::default());
        let mut session = Self { channel, busy, server, own: None, terms };
        let facts = session.ask("the question who and where this is", FACTS, cx).await?;
        session.server = Server::read(&facts, login)?;
        Ok(session)
    }

    /// Lets the server say as much as an admin may ask.
    pub(crate) fn listen_longer(&mut self) {
        if let Some(channel) = &mut self.channel {
            channel.listen_longer();
        }
    }

    /// Runs one statement. `what` describes it in errors.
    pub(crate) async fn run(
        &mut self,
        what: &str,
        statement: &str,
        cx: &Invocation,
    ) -> Result<Vec<Vec<Option<String>>>, Failure> {
        self.find(what, statement, |_| true, cx).await
    }

    /// Runs one statement that may have very many rows, and keeps these.
    pub(crate) async fn find(
        &mut self,
        what: &str,
        statement: &str,
        keep: impl Fn(&[Option<String>]) -> bool,
        cx: &Invocation,
    ) -> Result<Vec<Vec<Option<String>>>, Failure> {
        let Some(channel) = &mut self.channel else {
            let over = Error::new(ErrorKind::Internal, "the session is over");
            return Err(Failure::Lost(over));
        };
        // It stays so if this is dropped half-way.
        self.busy = true;
        let answer = query(channel, statement, keep);
        let answer = cx.deadline().bound(what, Duration::MAX, answer).await;
        let answer = answer.map_err(Failure::Late)?;
        self.busy = answer.is_err();
        match answer {
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
        cx: &Invocation,
    ) -> Result<[Option<String>; N], Error> {
        let rows = self.run(what, query, cx).await.map_err(|fail| fail.of(what))?;
        let row = rows.into_iter().next().and_then(|row| row.try_into().ok());
        row.ok_or_else(|| {
            Error::new(ErrorKind::Unreachable, format!("{what} got no usable answer"))
        })
    }

    /// Says goodbye, and waits until the server has closed the connection.
    pub(crate) async fn close(mut self) {
        if let Some(channel) = self.channel.take() {
            say_goodbye(channel).await;
        }
    }
}

/// Says so and waits until the server has closed the connection, having given the lock back.
async fn say_goodbye(mut channel: Channel<Box<dyn Stream>>) {
    channel.begin();
    let _ = channel.send(&[QUIT]).await;
    let _ = channel.receive().await;
    channel.shut_down().await;
}

/// Where the session is of no more use, nobody waits for its end. But the server is told of it:
/// MariaDB logs a warning for every connection that ends otherwise.
impl Drop for Session {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Handle::try_current();
        if let (Some(channel), false, Ok(runtime)) = (self.channel.take(), self.busy, runtime) {
            runtime.spawn(tokio::time::timeout(CLOSING_TIME, say_goodbye(channel)));
        }
    }
}
