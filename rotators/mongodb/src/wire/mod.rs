//! The way to the server: a stream, TLS, the member of a replica set that can be written to, the login.
//!
//! This is a client of its own: the official driver refuses servers before MongoDB 4.4, keeps threads
//! beside the step, and does not say whether a password was asked for (docs/decisions.md).

mod login;
mod message;
pub(crate) mod scram;

use bson::raw::{RawDocument, RawDocumentBuf};
use bson::rawdoc;
use fourstep::net::{Transport, connect_time, open, within};
use fourstep::users::Login;
use fourstep::users::driver::Refusal;
use fourstep::users::scram::Hash;
use fourstep::{Error, ErrorKind, Invocation, Result};

use crate::Mongodb;
use crate::errors::ServerError;
use crate::session::{database, texts};

pub(crate) use login::log_in;
pub(crate) use message::{Channel, not_mongodb};

/// The longest `host:port` that is followed.
const LONGEST_ADDRESS: usize = 260;

/// A connection to a server that can be written to, on which nobody is logged in yet.
pub(crate) struct Wire {
    pub(crate) channel: Channel,
    pub(crate) hello: Hello,
    pub(crate) transport: Transport,
}

impl Mongodb {
    /// Connects to the secret's server or, where that is another member of its replica set, to the
    /// primary that it names: nothing can be changed elsewhere, and what was changed is seen there
    /// first.
    pub(crate) async fn connect(
        &self,
        login: &Login,
        transport: Transport,
        cx: &Invocation,
    ) -> Result<Wire> {
        let wire = self.reach((&login.host, login.port), login, transport, cx).await?;
        if wire.hello.writable {
            return Ok(wire);
        }
        let Some((host, port)) = &wire.hello.primary else { return Err(no_primary(login)) };
        let primary = self.reach((host, *port), login, transport, cx).await.map_err(|error| {
            error.while_doing(format!("{} is not the primary, which is {host:?}", login.server()))
        })?;
        // Its word is taken once: members that name each other lead nowhere.
        if primary.hello.writable { Ok(primary) } else { Err(no_primary(login)) }
    }

    async fn reach(
        &self,
        (host, port): (&str, u16),
        login: &Login,
        transport: Transport,
        cx: &Invocation,
    ) -> Result<Wire> {
        let mut channel = Channel::new(open((host, port), transport, &self.tls, cx).await?);
        let question = question(login);
        let hello = within(cx, "the first question", connect_time(cx), channel.exchange(&question));
        let hello = hello.await?.map_err(|error| match transport {
            Transport::Tls => error,
            Transport::Plaintext => error.caused_by(
                "a server that demands TLS closes a connection without; then set the secret's field \
                 \"ssl\" to true",
            ),
        })?;
        let hello = Hello::read(&hello)?;
        Ok(Wire { channel, hello, transport })
    }
}

/// The old name of `hello`, which every version knows. Servers from 4.0 on say how this user's password
/// can be proven.
fn question(login: &Login) -> RawDocumentBuf {
    let user = format!("{}.{}", database(login), login.username);
    rawdoc! { "isMaster": 1, "helloOk": true, "saslSupportedMechs": user, "$db": "admin" }
}

fn no_primary(login: &Login) -> Error {
    let what =
        format!("{} is not the primary of its replica set, and knows of none", login.server());
    Error::new(ErrorKind::Unreachable, what)
        .caused_by("nothing was changed; an election may be under way: retry, or correct \"host\"")
}

/// What a server says of itself before anybody has logged in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    /// It is a server by itself, a primary, or a mongos.
    writable: bool,
    primary: Option<(String, u16)>,
    pub(crate) router: bool,
    /// Absent of a server before 4.0, and of a user that does not exist.
    pub(crate) mechanisms: Option<Vec<String>>,
}

impl Hello {
    /// # Errors
    /// [`ErrorKind::Unreachable`] of what is no answer of such a server.
    pub(crate) fn read(answer: &RawDocument) -> Result<Self> {
        if let Some(refusal) = ServerError::of(answer) {
            return Err(refusal.of_statement("the first question"));
        }
        let flag = |name| answer.get_bool(name).ok();
        let writable = flag("isWritablePrimary").or_else(|| flag("ismaster"));
        let writable = writable.ok_or_else(not_mongodb)?;
        let primary = answer.get_str("primary").ok().and_then(address);
        let mechanisms = answer.get_array("saslSupportedMechs").ok().map(texts);
        let router = answer.get_str("msg").is_ok_and(|message| message == "isdbgrid");
        Ok(Self { writable, primary, router, mechanisms })
    }

    /// The strongest way to prove a password that the server offers for the user.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where it offers none of those that are known here.
    fn hash(&self) -> Result<Hash> {
        let Some(offered) = &self.mechanisms else { return Ok(Hash::Sha1) };
        let offers = |known: &Hash| offered.iter().any(|name| name == known.mechanism());
        [Hash::Sha256, Hash::Sha1].into_iter().find(offers).ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "the server offers neither SCRAM-SHA-256 nor SCRAM-SHA-1 for this user, so that it \
                 does not log in by a password",
            )
        })
    }
}

/// `host:port`, where an IPv6 address stands in brackets.
fn address(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':').filter(|_| text.len() <= LONGEST_ADDRESS)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some((host.to_owned(), port.parse().ok()?)).filter(|(host, _)| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(answer: RawDocumentBuf) -> Hello {
        Hello::read(&answer).unwrap()
    }

    #[test]
    fn parity_04_the_stronger_mechanism_is_taken() {
        let offered = |names: &[&str]| {
            let mut answer = rawdoc! { "ok": 1.0, "ismaster": true };
            let mut array = bson::raw::RawArrayBuf::new();
            names.iter().for_each(|name| array.push(*name));
            answer.append(bson::raw::cstr!("saslSupportedMechs"), array);
            hello(answer).hash()
        };
        assert_eq!(offered(&["SCRAM-SHA-1", "SCRAM-SHA-256"]).unwrap(), Hash::Sha256);
        assert_eq!(offered(&["SCRAM-SHA-1"]).unwrap(), Hash::Sha1);
        for none in [&["MONGODB-X509"][..], &[]] {
            assert_eq!(offered(none).unwrap_err().kind(), ErrorKind::Unsupported);
        }
        // MongoDB 3.6.
        let old = hello(rawdoc! { "ok": 1.0, "ismaster": true, "maxWireVersion": 6 });
        assert_eq!(old.hash().unwrap(), Hash::Sha1);
    }

    #[test]
    fn parity_07_the_primary_is_known_by_what_a_member_says() {
        let secondary =
            hello(rawdoc! { "ok": 1.0, "ismaster": false, "primary": "b.example:27018" });
        assert!(!secondary.writable);
        assert_eq!(secondary.primary, Some(("b.example".to_owned(), 27018)));
        assert!(hello(rawdoc! { "ok": 1, "isWritablePrimary": true }).writable);
        assert_eq!(address("[::1]:27017"), Some(("::1".to_owned(), 27017)));
        for strange in ["b.example", ":27017", "b:x", "b:70000", &format!("{:x<300}:1", "")] {
            assert_eq!(address(strange), None, "{strange}");
        }
        for strange in [rawdoc! { "ok": 1 }, rawdoc! { "ok": 0, "code": 13 }, rawdoc! {}] {
            assert!(Hello::read(&strange).is_err());
        }
    }
}
