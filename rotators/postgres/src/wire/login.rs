//! The login: answers what the server asks, as far as the transport allows, and makes sure that it
//! did ask.

use fourstep::users::scram::{Hash, Scram, unproven};
use fourstep::users::{Attempt, Login};
use fourstep::{Error, ErrorKind, ExposeSecret, Result, hex, random_bytes};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::message::frontend;
use ring::digest;

use super::Wire;
use super::message::{Exchange, Message, not_postgres, startup};
use crate::errors::{self, Moment, ServerError};
use crate::session::{Failure, Kind};
use crate::{redshift, verifier};

/// Logs in, and returns what the server said from AuthenticationOk to ReadyForQuery, for the
/// driver to hear.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if the server let the user in without a password, or asks for one in
/// a way that the transport does not allow; then nothing of the password was sent.
pub(crate) async fn log_in(wire: &mut Wire, login: &Login) -> Result<Attempt<LoggedIn>> {
    let mut conversation = Conversation {
        exchange: Exchange::new(&mut wire.stream),
        login,
        weak_authentication: wire.weak_authentication,
        method: None,
        salt: None,
        moment: Moment::Before,
    };
    match conversation.run().await {
        Ok(greeting) => Ok(Attempt::Accepted(greeting)),
        Err(Failure::Lost(error)) => Err(error),
        Err(Failure::Refused(mut refusal)) => {
            let told = conversation.method == Some(Method::Cleartext);
            refusal.message.redact(&login.password, told);
            let sorted = match Kind::of(login) {
                Kind::Postgres => errors::of_login(&refusal, conversation.moment),
                Kind::Redshift => redshift::of_login(&refusal, conversation.moment),
            };
            sorted.map(Attempt::Refused)
        }
    }
}

/// The most rounds of SCRAM that a server may ask for, which has 4096 unless `scram_iterations` says
/// more: nothing interrupts them, and a hostile one must not keep the function busy past its deadline.
const MOST_ROUNDS: u32 = 200_000;

/// How a server checked the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Cleartext,
    Md5,
    ScramSha256,
    /// By a digest of the password, as Amazon Redshift does.
    Digest,
}

/// A login that succeeded.
#[derive(Debug)]
pub(crate) struct LoggedIn {
    /// How the server checked the password.
    pub(crate) method: Method,
    /// The salt of the verifier by which it did, if it did so by SCRAM.
    pub(crate) salt: Option<String>,
    /// The number of the server's process, as it says itself.
    pub(crate) process: Option<i32>,
    /// What it said from AuthenticationOk to ReadyForQuery.
    pub(crate) messages: Vec<u8>,
}

struct Conversation<'a> {
    exchange: Exchange<'a>,
    login: &'a Login,
    weak_authentication: bool,
    /// How the server asked for the password, once it got an answer.
    method: Option<Method>,
    salt: Option<String>,
    moment: Moment,
}

impl Conversation<'_> {
    async fn run(&mut self) -> Result<LoggedIn, Failure> {
        self.exchange.send(|bytes| startup(self.login, bytes)).await?;
        let (accepted, method) = loop {
            let asked = self.hear().await?;
            match (Request::parse(&asked)?, self.method) {
                (Request::Ok, Some(method)) => break (asked, method),
                (Request::Ok, None) => return Err(Failure::Lost(unchecked())),
                (request, None) => self.answer(request).await?,
                // A second question is no protocol that PostgreSQL speaks, and would let a server
                // bargain down from the first.
                (_, Some(_)) => return Err(Failure::Lost(not_postgres())),
            }
        };
        self.moment = Moment::LetIn;
        let mut process = None;
        let mut messages = Vec::new();
        accepted.append_to(&mut messages);
        loop {
            let message = self.hear().await?;
            match message.kind {
                b'S' => message.append_to(&mut messages),
                b'K' => {
                    process = message.body.first_chunk().map(|number| i32::from_be_bytes(*number));
                    message.append_to(&mut messages);
                }
                // Its one byte says that no transaction is open.
                b'Z' if message.body == b"I" => {
                    message.append_to(&mut messages);
                    return Ok(LoggedIn { method, salt: self.salt.take(), process, messages });
                }
                _ => return Err(Failure::Lost(not_postgres())),
            }
        }
    }

    fn answered(&mut self, method: Method) {
        self.method = Some(method);
        self.moment = Moment::Answered;
    }

    /// The next message that is neither a notice nor an error.
    async fn hear(&mut self) -> Result<Message, Failure> {
        loop {
            let message = self.exchange.receive().await?;
            match message.kind {
                b'E' => return Err(Failure::Refused(ServerError::parse(&message.body))),
                b'N' => {}
                _ => return Ok(message),
            }
        }
    }

    async fn answer(&mut self, request: Request<'_>) -> Result<(), Failure> {
        let password = self.login.password.expose_secret().as_bytes();
        match request {
            Request::Digest(_) if Kind::of(self.login) != Kind::Redshift => {
                return Err(Failure::Lost(redshift::unexpected()));
            }
            Request::Sasl(_) if Kind::of(self.login) == Kind::Redshift => {
                return Err(Failure::Lost(redshift::not_redshift()));
            }
            Request::Cleartext | Request::Md5(_) | Request::Digest(_)
                if !self.weak_authentication =>
            {
                return Err(Failure::Lost(too_weak(&request)));
            }
            Request::Cleartext => {
                // Before it is sent: a server that was half told may repeat it too.
                self.answered(Method::Cleartext);
                self.exchange.send(|bytes| frontend::password_message(password, bytes)).await?;
            }
            Request::Md5(salt) => {
                let hash = md5_hash(self.login.username.as_bytes(), password, salt);
                let hash = hash.as_bytes();
                self.exchange.send(|bytes| frontend::password_message(hash, bytes)).await?;
                self.answered(Method::Md5);
            }
            Request::Digest(challenge) => return self.answer_digest(challenge).await,
            Request::Sasl(mechanisms) => return self.answer_scram(mechanisms).await,
            Request::Ok | Request::Continue(_) | Request::Final(_) => {
                return Err(Failure::Lost(not_postgres()));
            }
            Request::Other(code) => {
                return Err(Failure::Lost(unsupported(&format!(
                    "the server asks for authentication method {code} (GSSAPI, SSPI or the like, as of \
                     members of rds_ad), which does not check a password; stop rotating this user, or \
                     take it out of rds_ad and of each role that is a member of that"
                ))));
            }
        }
        Ok(())
    }

    /// Amazon Redshift's digest. Source: redshift_connector, AWS's driver, `AUTH_REQ_DIGEST`.
    async fn answer_digest(&mut self, challenge: &[u8]) -> Result<(), Failure> {
        let (salt, nonce) = redshift::read_challenge(challenge)?;
        let kept = verifier::salted_digest(&self.login.password, salt);
        let own_nonce = hex(&random_bytes::<16>()?);
        let mut answer = digest::Context::new(&digest::SHA256);
        [kept.as_ref(), nonce, own_nonce.as_bytes()].iter().for_each(|part| answer.update(part));
        let mut body = Vec::new();
        for part in [answer.finish().as_ref(), own_nonce.as_bytes()] {
            body.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            body.extend(part);
        }
        // It has the kind of a message of COPY.
        let write =
            |bytes: &mut _| frontend::CopyData::new(&body[..]).map(|data| data.write(bytes));
        self.exchange.send(write).await?;
        self.answered(Method::Digest);
        Ok(())
    }

    /// SCRAM-SHA-256, which proves the password to the server and the server's knowledge of it to us,
    /// and shows it to nobody on the way.
    async fn answer_scram(&mut self, mechanisms: &[u8]) -> Result<(), Failure> {
        let mechanism = Hash::Sha256.mechanism();
        if !mechanisms.split(|&byte| byte == 0).any(|name| name == mechanism.as_bytes()) {
            return Err(Failure::Lost(unsupported(
                "the server asks for a SASL mechanism other than SCRAM-SHA-256",
            )));
        }
        // Without channel binding: the certificate has been verified already, or there is none. The name
        // is the one of the startup message.
        let scram = Scram::begin(Hash::Sha256, "", 1..=MOST_ROUNDS)?;
        let scram = scram.with_setting("scram_iterations");
        let first = scram.first();
        let first =
            |bytes: &mut _| frontend::sasl_initial_response(mechanism, first.as_bytes(), bytes);
        self.exchange.send(first).await?;

        let challenge = self.hear().await?;
        let Request::Continue(challenge) = Request::parse(&challenge)? else {
            return Err(Failure::Lost(not_postgres()));
        };
        let mut parts = challenge.split(|&byte| byte == b',');
        let salt = parts.find_map(|part| part.strip_prefix(b"s="));
        self.salt = salt.map(|salt| String::from_utf8_lossy(salt).into_owned());
        let password = verifier::prepared(&self.login.password);
        let (answer, expected) = scram.answer(challenge, password.as_bytes())?;
        self.exchange.send(|bytes| frontend::sasl_response(answer.as_bytes(), bytes)).await?;
        self.answered(Method::ScramSha256);

        let outcome = self.hear().await?;
        let Request::Final(outcome) = Request::parse(&outcome)? else {
            return Err(Failure::Lost(unproven()));
        };
        Ok(expected.check(outcome)?)
    }
}

/// What an Authentication message asks.
#[derive(Debug, PartialEq, Eq)]
enum Request<'a> {
    Ok,
    Cleartext,
    Md5([u8; 4]),
    /// The mechanisms offered, separated by NUL.
    Sasl(&'a [u8]),
    Continue(&'a [u8]),
    Final(&'a [u8]),
    /// The challenge of Amazon Redshift's digest.
    Digest(&'a [u8]),
    Other(u32),
}

impl<'a> Request<'a> {
    fn parse(message: &'a Message) -> Result<Self> {
        if message.kind != b'R' {
            return Err(not_postgres());
        }
        let (code, rest) = message.body.split_first_chunk().ok_or_else(not_postgres)?;
        Ok(match u32::from_be_bytes(*code) {
            0 => Self::Ok,
            3 => Self::Cleartext,
            5 => Self::Md5(rest.try_into().map_err(|_| not_postgres())?),
            10 => Self::Sasl(rest),
            11 => Self::Continue(rest),
            12 => Self::Final(rest),
            13 => Self::Digest(rest),
            code => Self::Other(code),
        })
    }
}

fn unsupported(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, what)
}

fn unchecked() -> Error {
    unsupported(
        "the server let the user in without checking the password (pg_hba.conf says trust, cert \
         or peer), so a login proves nothing; make it scram-sha-256",
    )
}

fn too_weak(request: &Request<'_>) -> Error {
    let what = match request {
        Request::Cleartext => "in cleartext",
        Request::Digest(_) => "as a digest",
        _ => "as an MD5 hash",
    };
    unsupported(&format!(
        "the server asks for the password {what} on a connection without TLS, and it was not \
         sent; use TLS or scram-sha-256, or set ALLOW_WEAK_AUTHENTICATION"
    ))
}
