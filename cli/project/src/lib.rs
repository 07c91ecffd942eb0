//! Rotates the passwords of a server's users: what is special to one kind of server, and no more. The
//! order of logins, labels, retries, deadlines and the log are the framework's.
//!
//! Replace `Session::ask`, `log_in` and `set` by what your server speaks. Until then it is the
//! stand-in of `examples/server.rs`, which takes a JSON array a line and answers with a word:
//! `["login", USER, PASSWORD]`, then `["change", OLD PASSWORD, NEW PASSWORD]`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fourstep::net::{Stream, TlsSettings, TransportPolicy, broken, not_a, open};
use fourstep::users::{
    Attempt, Change, Database, Dialect, Driver, LoggedIn, Login, SingleUser, Strategies, Strategy,
};
use fourstep::{
    Environment, Error, ErrorKind, ExposeSecret, Fence, Invocation, PasswordPolicy, Rotator,
    SecretString,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

/// How a secret for this function looks.
const DIALECT: Dialect = Dialect {
    engines: &["example"],
    default_port: 7000,
    default_dbname: None,
    // The longest user name; a distinguished name or an e-mail address needs more.
    longest_name: 64,
    // How many older passwords may be tried before the server locks an account.
    most_older_logins: 8,
    besides: &[],
};

/// What a generated password leaves out, unless `EXCLUDE_CHARACTERS` says otherwise.
const EXCLUDED_CHARACTERS: &str = "/@\"'\\";

/// The longest answer that is read, in bytes.
const LONGEST: u64 = 1024;

/// The function's rotator, as its environment variables describe it.
///
/// # Errors
/// `ErrorKind::Malformed`, naming the variable.
pub fn strategies(environment: &Environment) -> Result<Strategies, Error> {
    let policy = PasswordPolicy::read(environment, EXCLUDED_CHARACTERS)?;
    let (tls, transport) = (TlsSettings::read(environment)?, TransportPolicy::read(environment)?);
    let driver = Arc::new(Driver::read(environment, Server { tls, transport })?);
    Strategies::read(environment, |strategy| match strategy {
        Strategy::SingleUser => {
            let rotator = SingleUser::new(driver.clone(), policy.clone());
            Ok(Some(Box::new(rotator) as Box<dyn Rotator>))
        }
        // With an admin: implement `Administered`, and for two users `Alternates`.
        _ => Ok(None),
    })
}

/// The kind of server, and how it is connected to.
#[derive(Debug)]
pub struct Server {
    tls: TlsSettings,
    transport: TransportPolicy,
}

/// An open session of one user. Dropping it closes the connection.
pub struct Session(BufReader<Box<dyn Stream>>);

/// A session, who logged in on it (`login`), and the invocation that it serves (`cx`).
type At<'a> = LoggedIn<'a, Session>;

impl Session {
    /// One request and the server's answer. An error says nothing of what was sent.
    async fn ask(&mut self, request: &[&str]) -> Result<String, Error> {
        let lost = |cause| broken("the connection to the server broke", cause);
        let line = format!("{}\n", serde_json::json!(request));
        self.0.write_all(line.as_bytes()).await.map_err(lost)?;
        self.0.flush().await.map_err(lost)?;
        let mut answer = String::new();
        match (&mut self.0).take(LONGEST).read_line(&mut answer).await.map_err(lost)? {
            0 => Err(lost(std::io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(answer.trim_end().to_owned()),
        }
    }
}

#[async_trait]
impl Database for Server {
    type Session = Session;
    /// The old password and the new one.
    type Prepared = (SecretString, SecretString);

    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    /// One login. `Refused` only where the server itself checked the password and refused it: every
    /// other failure is an error, so that nobody takes silence for a wrong password.
    async fn log_in(&self, login: &Login, cx: &Invocation) -> Result<Attempt<Session>, Error> {
        let server = (login.host.as_str(), login.port);
        let connect = |transport| open(server, transport, &self.tls, cx);
        let stream = login.ssl.connect(self.transport, cx, connect).await?;
        let mut session = Session(BufReader::new(stream));
        let password = login.password.expose_secret();
        match session.ask(&["login", &login.username, password]).await?.as_str() {
            "ok" => Ok(Attempt::Accepted(session)),
            "refused" => Ok(Attempt::Refused("wrong password, or no such user".to_owned())),
            _ => Err(not_a("rotate-example")),
        }
    }

    async fn prepare_own(
        &self,
        at: &mut At<'_>,
        password: &SecretString,
    ) -> Result<Self::Prepared, Error> {
        Ok((at.login.password.clone(), password.clone()))
    }

    // This server compares the old password in the change itself, so that two changes cannot both win,
    // and has nothing to begin or to end. What yours may need more has a default in `Database`:
    //
    //     fn locks(&self, prepared: &Self::Prepared) -> Vec<String>
    //     fn age(&self, session: &Session) -> Option<Duration>, without locks and without such a comparison
    //     async fn begin(&self, at: &mut At<'_>, locks: &[String]) -> Result<(), Error>
    //     async fn end(&self, at: &mut At<'_>, end: End) -> Result<(), Error>
    //     async fn preflight(&self, at: &mut At<'_>) -> Result<Vec<Finding>, Error>
    //     async fn rehearse(&self, at: &mut At<'_>, password: &SecretString) -> Result<(), Error>

    /// The change that cannot be taken back. Twice must be as once.
    async fn set(
        &self,
        at: &mut At<'_>,
        (old, new): &Self::Prepared,
        _: &dyn Fence,
    ) -> Result<Change, Error> {
        let change = ["change", old.expose_secret(), new.expose_secret()];
        let asked =
            at.cx.deadline().bound("the change", Duration::MAX, at.session.ask(&change)).await;
        let unknown = "the password may or may not have been changed";
        match asked.flatten().map_err(|error| error.while_doing(unknown))?.as_str() {
            "ok" => Ok(Change::Made),
            "stale" => {
                let what = "the password was changed meanwhile; retry";
                Err(Error::new(ErrorKind::Conflict, what))
            }
            // A policy of the server's would be `Change::Refused`.
            _ => Err(not_a("rotate-example").while_doing(unknown)),
        }
    }
}
