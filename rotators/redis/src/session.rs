//! A connection: what is said before the login, the login, and commands behind it.
//!
//! This is a client of its own, for a login and a handful of commands: the crate `redis` logs in while it
//! connects, so the password would be sent before it is known that the other side is a Redis that asks
//! for one, and its errors repeat what the server says after that.

use std::collections::BTreeSet;

use fourstep::net::{Stream, Transport, connect_time, open, within};
use fourstep::users::{Attempt, LoggedIn, Login, Peers, driver};
use fourstep::{Error, ErrorKind, ExposeSecret, Invocation, Result, Seen};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Redis;
use crate::errors;
use crate::resp::{LONGEST, LONGEST_EARLY, Reply, ServerError, command, parse};
use crate::server::Keeping;

/// How a command failed.
pub(crate) type Failure = driver::Failure<ServerError>;

/// A user who has logged in, or the admin.
pub(crate) type At<'a> = LoggedIn<'a, Session>;

/// An open session of one user, whose password the server has checked. Dropping it closes the
/// connection.
pub struct Session {
    channel: Channel,
    /// Where the server keeps its users, as far as an admin has asked: none where a restart would
    /// bring old passwords back.
    pub(crate) keeping: Option<Keeping>,
    /// As whom it logs in to its primary, as far as an admin has asked; empty where it has none to log in to.
    pub(crate) replicates_as: String,
    /// The other servers that this one knows, as far as an admin has asked.
    pub(crate) peers: Peers,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Session")
    }
}

/// A connection on which nothing was sent but what TLS needed.
pub(crate) struct Channel {
    stream: Box<dyn Stream>,
    /// What was received and not read yet.
    received: Vec<u8>,
    /// The most that is received for one answer, in bytes.
    longest: usize,
}

impl Redis {
    pub(crate) async fn connect(
        &self,
        login: &Login,
        transport: Transport,
        cx: &Invocation,
    ) -> Result<Channel> {
        let weak = self.transport.allow_weak_authentication;
        if transport == Transport::Plaintext && !weak {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "without TLS the password would be sent in cleartext; let the server have a \
                 tls-port, or allow it by ALLOW_WEAK_AUTHENTICATION of the function",
            ));
        }
        let server = (login.host.as_str(), login.port);
        Ok(Channel::new(open(server, transport, &self.tls, cx).await?))
    }
}

impl Channel {
    pub(crate) fn new(stream: Box<dyn Stream>) -> Self {
        Self { stream, received: Vec::new(), longest: LONGEST_EARLY }
    }

    /// One command and its answer.
    pub(crate) async fn ask(&mut self, words: &[&str]) -> Result<Reply> {
        let lost = |cause: std::io::Error| {
            let what = "the connection to the server broke";
            Error::new(ErrorKind::Unreachable, what).caused_by(cause.kind())
        };
        self.stream.write_all(&command(words)).await.map_err(lost)?;
        self.stream.flush().await.map_err(lost)?;
        loop {
            if let Some((reply, length)) = parse(&self.received).map_err(|_| not_redis())? {
                self.received.drain(..length);
                return Ok(reply);
            }
            if self.received.len() > self.longest {
                return Err(not_redis());
            }
            let read = self.stream.read_buf(&mut self.received).await.map_err(lost)?;
            if read == 0 {
                let what = "the server closed the connection";
                return Err(Error::new(ErrorKind::Unreachable, what));
            }
        }
    }

    /// Asks whether anybody is asked for a password here, and then with the password. So it is sent
    /// only to what speaks Redis's protocol, and a login proves something.
    pub(crate) async fn log_in(
        mut self,
        login: &Login,
        cx: &Invocation,
    ) -> Result<Attempt<Session>> {
        let greeting = within(cx, "a PING", connect_time(cx), self.ask(&["PING"])).await?;
        let open = match greeting.map_err(|error| error.while_doing("before the login"))? {
            Reply::Refused(refusal) if refusal.code == "NOAUTH" => false,
            // The default user may be open to all, and not be allowed this.
            Reply::Refused(refusal) if refusal.code == "NOPERM" => true,
            Reply::Refused(refusal) => return Err(errors::of_greeting(&refusal)),
            Reply::Text(_) => true,
            _ => return Err(not_redis()),
        };
        if open && login.username == "default" {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the user \"default\" has no password (nopass), so a login as it proves nothing; \
                 give it one, or name another user in the secret",
            ));
        }
        let words = ["AUTH", &login.username, login.password.expose_secret()];
        match self.ask(&words).await? {
            Reply::Text(ok) if ok == "OK" => {
                self.longest = 2 * LONGEST;
                Ok(Attempt::Accepted(Session {
                    channel: self,
                    keeping: None,
                    peers: Peers::default(),
                    replicates_as: String::new(),
                }))
            }
            Reply::Refused(refusal) => Ok(Attempt::Refused(errors::of_login(&refusal)?)),
            _ => Err(not_redis()),
        }
    }
}

fn not_redis() -> Error {
    Error::new(
        ErrorKind::Unreachable,
        "the other side does not speak Redis's protocol; correct \"host\" and \"port\", or set \
         \"ssl\" to true if it is a port for TLS",
    )
}

impl Session {
    /// The sessions of a user on this server, by their numbers. Source: Redis documentation, "CLIENT LIST",
    /// "CLIENT ID". A user may run neither unless its rules say so.
    pub(crate) async fn seen(&mut self, user: &str, cx: &Invocation) -> Result<Seen> {
        let what = "a look at the sessions";
        let of = |failure: Failure| failure.of(what);
        let own = self.run(what, &["CLIENT", "ID"], cx).await.map_err(of)?;
        let list = self.run(what, &["CLIENT", "LIST"], cx).await.map_err(of)?;
        let own = match own {
            Reply::Number(own) => Some(own.unsigned_abs()),
            _ => None,
        };
        let all = sessions_of(list.text().unwrap_or_default(), user);
        // One that does not list itself lists others wrongly.
        Ok(Seen {
            sessions: own.filter(|own| all.contains(own)).map(|own| (own, all)),
            ..Seen::default()
        })
    }

    /// Runs one command. `what` names it in errors.
    pub(crate) async fn run(
        &mut self,
        what: &str,
        words: &[&str],
        cx: &Invocation,
    ) -> Result<Reply, Failure> {
        match driver::answer(cx, what, self.channel.ask(words)).await? {
            Reply::Refused(refusal) => Err(Failure::Refused(refusal)),
            reply => Ok(reply),
        }
    }
}

/// The numbers of a user's sessions in the answer to CLIENT LIST: a line each, of `name=value` between blanks.
fn sessions_of(list: &str, user: &str) -> BTreeSet<u64> {
    let session = |line: &str| {
        let field = |name: &str| line.split(' ').find_map(|one| one.strip_prefix(name));
        (field("user=")? == user).then(|| field("id=")?.parse().ok()).flatten()
    };
    list.lines().filter_map(session).take(Seen::MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_known_by_the_whole_name_of_their_user() {
        let list = "id=3 addr=127.0.0.1:1 name=user=app user=app cmd=ping\nid=4 user=app_b\nuser=app\n\
                    id=x user=app\nid=6 laddr= user=app\n";
        // A client chooses its name, in which no blank can be.
        let named = "id=7 name=user=app user=other\n";
        assert_eq!(sessions_of(list, "app"), BTreeSet::from([3, 6]));
        assert_eq!(sessions_of(named, "app"), BTreeSet::new());
    }
}
