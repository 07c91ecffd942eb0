//! An open session: statements bounded by the deadline, each failure in its own class.

use std::sync::Arc;
use std::time::Duration;

use fourstep::net::{Stream, Transport};
use fourstep::users::{LoggedIn, Login, driver};
use fourstep::{Error, ErrorKind, Invocation, Result, SecretString};

use crate::alternate::Own;
use crate::errors::{self, ServerError};
use crate::server::{FACTS, Server};
use crate::sql;
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
    /// Whether it was the server itself that let its user in, which numbers connections as the greeting
    /// did: otherwise a login proves nothing.
    pub(crate) itself: bool,
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

/// A user who has logged in, or the admin.
pub(crate) type At<'a> = LoggedIn<'a, Session>;

/// How a statement failed.
pub(crate) type Failure = driver::Failure<ServerError>;

impl Session {
    /// Makes a session of a wire on which `login` was let in, and asks whose it is. Of who has an
    /// expired password nobody is asked: the server answers nothing until it is changed.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the session is not the user's.
    pub(crate) async fn open(
        wire: Wire,
        plugin: Plugin,
        login: &Login,
        cx: &Invocation,
    ) -> Result<Self> {
        let terms =
            ChannelSecurity { plugin, transport: wire.transport, password: login.password.clone() };
        let greeting = wire.greeting;
        let (channel, server) = (Some(wire.channel), Server::greeted(&greeting.version, login));
        let mut session = Self { channel, busy: false, server, itself: true, own: None, terms };
        let what = "the question who and where this is";
        let asked = async {
            session.run(what, sql::NAMES, cx).await?;
            session.run(what, FACTS, cx).await
        };
        let facts = match asked.await {
            Err(Failure::Refused(refusal)) if refusal.number == errors::MUST_CHANGE => {
                session.server.expired = true;
                return Ok(session);
            }
            facts => one_row(what, facts.map_err(|failure| failure.of(what))?)?,
        };
        session.server = Server::read(&facts, login)?;
        let [.., number] = &facts;
        // It may have become a longer one, of which the lowest part was said.
        let number = number.as_deref().and_then(|number| number.parse::<u64>().ok());
        session.itself =
            number.is_some_and(|number| number & 0xffff_ffff == u64::from(greeting.number));
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
        let answer = driver::answer(cx, what, query(channel, statement, keep)).await?;
        self.busy = false;
        match answer {
            Answer::Rows(rows) => Ok(rows),
            Answer::Refused(refusal) => Err(Failure::Refused(refusal)),
        }
    }

    /// Runs a query of one row.
    pub(crate) async fn ask<const N: usize>(
        &mut self,
        what: &str,
        query: &str,
        cx: &Invocation,
    ) -> Result<[Option<String>; N]> {
        one_row(what, self.run(what, query, cx).await.map_err(|fail| fail.of(what))?)
    }

    /// What is behind a refusal: MariaDB says of all that it does not like about an account that the
    /// operation failed, and why only if it is asked.
    pub(crate) async fn look_behind(
        &mut self,
        refusal: ServerError,
        cx: &Invocation,
    ) -> ServerError {
        if refusal.number != errors::CANNOT_USER {
            return refusal;
        }
        let rows =
            self.run("a look at the warnings", "SHOW WARNINGS", cx).await.unwrap_or_default();
        let number = |row: Vec<Option<String>>| row.into_iter().nth(1)??.parse().ok();
        let mut numbers = rows.into_iter().filter_map(number);
        let other =
            numbers.find(|number| ![errors::CANNOT_USER, errors::NO_SUCH_USER].contains(number));
        other.map_or(refusal, ServerError::of_number)
    }

    /// Says goodbye, and waits until the server has closed the connection.
    pub(crate) async fn close(mut self) {
        if let Some(channel) = self.channel.take() {
            say_goodbye(channel).await;
        }
    }
}

/// The first row.
fn one_row<const N: usize>(
    what: &str,
    rows: Vec<Vec<Option<String>>>,
) -> Result<[Option<String>; N]> {
    let row = rows.into_iter().next().and_then(|row| row.try_into().ok());
    row.ok_or_else(|| Error::new(ErrorKind::Unreachable, format!("{what} got no usable answer")))
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
