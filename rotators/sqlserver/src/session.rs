//! An open session: whose it is, and statements bounded by the deadline, each failure in its own class.

use std::collections::BTreeSet;

use fourstep::users::{LoggedIn, Login, driver};
use fourstep::{Error, ErrorKind, Invocation, Result, Seen};

use crate::errors::{self, ServerError};
use crate::sql::{self, Account, Kind};
use crate::wire::{self, Answer, Channel, Row, not_sqlserver};

/// How a statement failed.
pub(crate) type Failure = driver::Failure<ServerError>;

/// A user who has logged in, or the admin.
pub(crate) type At<'a> = LoggedIn<'a, Session>;

/// A session of one user, whose password the server has checked.
///
/// Dropping it closes the connection; the account's lock is given back by that.
pub struct Session {
    /// What opened it.
    pub(crate) login: Login,
    state: State,
}

enum State {
    Open(Channel, Identity),
    /// The password was right, and the server lets nobody work with it: there is no connection.
    Expired(ServerError),
}

/// Whose an open session is, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The very account that logged in.
    pub(crate) account: Account,
    /// Whether the database takes no change.
    pub(crate) read_only: bool,
    /// Whether the server can be one of several in an availability group.
    pub(crate) replicated: bool,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Session")
    }
}

/// The database that this login enters.
pub(crate) fn database(login: &Login) -> &str {
    login.dbname.as_deref().unwrap_or("master")
}

/// Whether a column says that this is so.
pub(crate) fn flag(column: Option<&str>) -> bool {
    column == Some("1")
}

/// Whether two names are one to a server whose names have no case.
pub(crate) fn same(name: &str, other: &str) -> bool {
    name.to_lowercase() == other.to_lowercase()
}

impl Session {
    /// Makes a session of a connection on which `login` was let in, and asks whose it is.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if it is not the user's: then a login proves nothing.
    pub(crate) async fn open(mut channel: Channel, login: &Login, cx: &Invocation) -> Result<Self> {
        let what = "the question whose session this is";
        let rows = run(&mut channel, what, sql::IDENTITY, cx).await;
        let row = one_row(what, rows.map_err(|failure| failure.of(what))?)?;
        let identity = Identity::read(row, login)?;
        Ok(Self { login: login.clone(), state: State::Open(channel, identity) })
    }

    /// One whose password must be changed before anything else.
    pub(crate) fn expired(login: &Login, refusal: ServerError) -> Self {
        Self { login: login.clone(), state: State::Expired(refusal) }
    }

    /// Whose it is.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] of an expired password.
    pub(crate) fn identity(&self) -> Result<&Identity> {
        match &self.state {
            State::Open(_, identity) => Ok(identity),
            State::Expired(refusal) => Err(errors::expired(*refusal)),
        }
    }

    /// Runs one batch. `what` describes it in errors.
    pub(crate) async fn run(
        &mut self,
        what: &str,
        batch: &str,
        cx: &Invocation,
    ) -> Result<Vec<Row>, Failure> {
        match &mut self.state {
            State::Open(channel, _) => run(channel, what, batch, cx).await,
            State::Expired(refusal) => Err(errors::expired(*refusal).into()),
        }
    }

    /// The sessions of the session's own login. Of a user of a contained database the server does not say.
    pub(crate) async fn seen(&mut self, cx: &Invocation) -> Result<Seen> {
        let what = "a look at the sessions";
        if self.identity()?.account.kind != Kind::Login {
            return Ok(Seen::default());
        }
        let rows = self.rows(what, sql::SESSIONS, cx).await?;
        let number = |text: &Option<String>| text.as_deref()?.parse::<u64>().ok();
        let pairs = rows.iter().filter_map(|row| number(row.first()?).zip(number(row.get(1)?)));
        let pairs: Vec<_> = pairs.take(Seen::MOST).collect();
        let all: BTreeSet<_> = pairs.iter().map(|(_, one)| *one).collect();
        let sessions = pairs.first().map(|(own, _)| (*own, all));
        Ok(Seen { sessions, ..Seen::default() })
    }

    /// Runs a query.
    pub(crate) async fn rows(
        &mut self,
        what: &str,
        query: &str,
        cx: &Invocation,
    ) -> Result<Vec<Row>> {
        self.run(what, query, cx).await.map_err(|failure| failure.of(what))
    }

    /// Runs a query of one row.
    pub(crate) async fn ask<const N: usize>(
        &mut self,
        what: &str,
        query: &str,
        cx: &Invocation,
    ) -> Result<[Option<String>; N]> {
        one_row(what, self.rows(what, query, cx).await?)
    }

    /// Closes the connection, and waits until the server has.
    pub(crate) async fn close(self) {
        if let State::Open(channel, _) = self.state {
            channel.close().await;
        }
    }
}

async fn run(
    channel: &mut Channel,
    what: &str,
    batch: &str,
    cx: &Invocation,
) -> Result<Vec<Row>, Failure> {
    let exchange = async {
        channel.send(wire::Kind::Batch, &wire::batch(batch)).await?;
        Answer::read(&channel.receive().await?).ok_or_else(not_sqlserver)
    };
    let answer = driver::answer(cx, what, exchange).await?;
    match ServerError::decisive(&answer.errors) {
        None => Ok(answer.rows),
        Some(refusal) => Err(Failure::Refused(refusal)),
    }
}

/// The first row.
pub(crate) fn one_row<const N: usize>(what: &str, rows: Vec<Row>) -> Result<[Option<String>; N]> {
    let row = rows.into_iter().next().and_then(|row| row.try_into().ok());
    row.ok_or_else(|| Error::new(ErrorKind::Unsupported, format!("{what} got no usable answer")))
}

impl Identity {
    /// Reads the answer to [`sql::IDENTITY`].
    pub(crate) fn read(row: [Option<String>; 7], login: &Login) -> Result<Self> {
        let [original, present, authenticated, database, user, updateability, replicated] = row;
        let kind = match authenticated.as_deref() {
            Some("0") => Kind::Login,
            Some(_) if authenticated == database => Kind::ContainedUser,
            _ => return Err(not_the_user()),
        };
        // What the server calls the login of a contained user is not documented.
        let names = match kind {
            Kind::Login => [present, original],
            Kind::ContainedUser => [user.clone(), user],
        };
        let own = |name: &str| same(name, &login.username);
        match names {
            [Some(name), Some(other)] if own(&name) && own(&other) => Ok(Self {
                account: Account { kind, name },
                read_only: updateability.as_deref() != Some("READ_WRITE"),
                replicated: flag(replicated.as_deref()),
            }),
            _ => Err(not_the_user()),
        }
    }
}

fn not_the_user() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the session is not the user's own: the server let in somebody else, as a proxy may do, or gave \
         the session to another; let the secret's \"host\" lead to the server itself",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(row: [&str; 7]) -> Result<Identity> {
        let row = row.map(|text| Some(text.to_owned()));
        Identity::read(row, &Login::new("db.example", 1433, "App", "x"))
    }

    #[test]
    fn parity_24_the_session_says_what_its_password_belongs_to() {
        let login = identity(["app", "App", "0", "5", "dbo", "READ_WRITE", "0"]).unwrap();
        assert_eq!(login.account, Account { kind: Kind::Login, name: "App".to_owned() });
        assert!(!login.read_only && !login.replicated);
        let user = identity(["app", "S-1-9-3", "5", "5", "app", "READ_ONLY", "1"]).unwrap();
        assert_eq!(user.account, Account { kind: Kind::ContainedUser, name: "app".to_owned() });
        assert!(user.read_only && user.replicated);
    }

    #[test]
    fn a_session_of_somebody_else_proves_nothing() {
        for strange in [
            ["app", "other", "0", "5", "app", "READ_WRITE", "0"],
            ["other", "app", "0", "5", "app", "READ_WRITE", "0"],
            ["app", "app", "5", "5", "other", "READ_WRITE", "0"],
            ["app", "app", "4", "5", "app", "READ_WRITE", "0"],
        ] {
            assert_eq!(identity(strange).unwrap_err().kind(), ErrorKind::Unsupported);
        }
        let nothing = Identity::read(Default::default(), &Login::new("h", 1, "app", "x"));
        assert!(nothing.is_err());
    }
}
