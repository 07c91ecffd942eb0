//! An open session: commands bounded by the deadline, each failure in its own class.

use std::time::{Duration, SystemTime};

use bson::raw::{RawArray, RawDocument, RawDocumentBuf};
use fourstep::net::Transport;
use fourstep::users::{Login, driver};
use fourstep::{Error, ErrorKind, Invocation};

use crate::errors::ServerError;
use crate::wire::{Channel, Wire};

/// How a command failed.
pub(crate) type Failure = driver::Failure<ServerError>;

/// An open session of one user, who has shown the password to a server that has shown the same.
///
/// Dropping it closes the connection.
pub struct Session {
    pub(crate) channel: Channel,
    /// When it was opened, by the clock on the wall: a container may have been frozen since.
    opened: SystemTime,
    /// What opened it.
    pub(crate) login: Login,
    pub(crate) transport: Transport,
    /// It is a mongos, of which there may be others.
    pub(crate) router: bool,
    /// The commands of the change that was assessed last, each by how it is shown: what BSON holds
    /// cannot all be read back from a text.
    pub(crate) assessed: Vec<(String, RawDocumentBuf)>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Session")
    }
}

/// The database in which this login's user is.
pub(crate) fn database(login: &Login) -> &str {
    login.dbname.as_deref().unwrap_or("admin")
}

/// A text of a document.
pub(crate) fn text<'a>(document: &'a RawDocument, name: &str) -> Option<&'a str> {
    document.get_str(name).ok()
}

/// The texts in an array.
pub(crate) fn texts<T: FromIterator<String>>(array: &RawArray) -> T {
    array.into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

/// Whether a document says that this is so.
pub(crate) fn flag(document: &RawDocument, name: &str) -> bool {
    document.get_bool(name).is_ok_and(|is| is)
}

impl Session {
    pub(crate) fn open(wire: Wire, login: &Login) -> Self {
        Self {
            channel: wire.channel,
            opened: SystemTime::now(),
            login: login.clone(),
            transport: wire.transport,
            router: wire.hello.router,
            assessed: Vec::new(),
        }
    }

    /// How long ago it was opened. A clock that went back makes it as old as can be.
    pub(crate) fn age(&self) -> Duration {
        self.opened.elapsed().unwrap_or(Duration::MAX)
    }

    /// Runs one command. `what` describes it in errors.
    pub(crate) async fn run(
        &mut self,
        what: &str,
        command: &RawDocument,
        cx: &Invocation,
    ) -> Result<RawDocumentBuf, Failure> {
        let answer = self.channel.exchange(command);
        let answer = cx.deadline().bound(what, Duration::MAX, answer).await;
        match answer.map_err(Failure::Late)? {
            Ok(answer) => match ServerError::of(&answer) {
                None => Ok(answer),
                Some(refusal) => Err(Failure::Refused(refusal)),
            },
            Err(error) => Err(Failure::Lost(error.while_doing(format!("no answer to {what}")))),
        }
    }
}

/// The error of an answer that lacks what was asked for.
pub(crate) fn unusable(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{what} got no usable answer"))
}
