//! An open session: commands bounded by the deadline, each failure in its own class.

use std::time::{Duration, SystemTime};

use bson::raw::{RawArray, RawBsonRef, RawDocument, RawDocumentBuf};
use bson::rawdoc;
use fourstep::net::Transport;
use fourstep::users::{LoggedIn, Login, driver};
use fourstep::{Error, ErrorKind, Invocation, Result, Seen};

use crate::errors::ServerError;
use crate::wire::{Channel, Wire};

/// How a command failed.
pub(crate) type Failure = driver::Failure<ServerError>;

/// A user who has logged in, or the admin.
pub(crate) type At<'a> = LoggedIn<'a, Session>;

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

    /// The connections on which its own user is logged in, by the server's numbers, which a user may see
    /// without a right: `$currentOp` with allUsers false. A mongos shows those of its shards, and is not
    /// asked. Source: MongoDB manual, "$currentOp (aggregation)"; `whatsmyuri` is what its shells ask.
    pub(crate) async fn seen(&mut self, cx: &Invocation) -> Result<Seen> {
        let what = "a look at the sessions";
        if self.router {
            return Ok(Seen::default());
        }
        let most = i32::try_from(Seen::MOST).unwrap_or(i32::MAX);
        let own = rawdoc! { "whatsmyuri": 1, "$db": "admin" };
        let all = rawdoc! {
            "aggregate": 1,
            "pipeline": [
                { "$currentOp": { "allUsers": false, "idleConnections": true } },
                { "$match": { "connectionId": { "$exists": true } } },
                { "$limit": most },
                { "$project": { "_id": 0, "connectionId": 1, "client": 1 } },
            ],
            "cursor": { "batchSize": most },
            "$db": "admin",
        };
        let own = self.run(what, &own, cx).await.map_err(|failure| failure.of(what))?;
        let all = self.run(what, &all, cx).await.map_err(|failure| failure.of(what))?;
        let you = text(&own, "you").ok_or_else(|| unusable(what))?;
        let batch = all.get_document("cursor").ok();
        let batch = batch.and_then(|cursor| cursor.get_array("firstBatch").ok());
        let rows = batch.ok_or_else(|| unusable(what))?.into_iter();
        let rows = rows.filter_map(|row| row.ok()?.as_document());
        let rows = rows.filter_map(|row| Some((number(row.get("connectionId").ok()??)?, row)));
        let rows: Vec<_> = rows.collect();
        let own = rows.iter().find(|(_, row)| text(row, "client") == Some(you));
        // One that does not list itself lists others wrongly.
        let own = own.map(|(own, _)| *own);
        let all = rows.into_iter().map(|(one, _)| one).collect();
        Ok(Seen { sessions: own.map(|own| (own, all)), ..Seen::default() })
    }

    /// Runs one command. `what` describes it in errors.
    pub(crate) async fn run(
        &mut self,
        what: &str,
        command: &RawDocument,
        cx: &Invocation,
    ) -> Result<RawDocumentBuf, Failure> {
        let answer = driver::answer(cx, what, self.channel.exchange(command)).await?;
        match ServerError::of(&answer) {
            None => Ok(answer),
            Some(refusal) => Err(Failure::Refused(refusal)),
        }
    }
}

/// A whole number that is not negative, of any of BSON's types.
fn number(value: RawBsonRef<'_>) -> Option<u64> {
    let number = value.as_i64().or_else(|| value.as_i32().map(i64::from));
    number.and_then(|number| number.try_into().ok())
}

/// The error of an answer that lacks what was asked for.
pub(crate) fn unusable(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{what} got no usable answer"))
}
