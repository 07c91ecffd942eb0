//! The login: one exchange by SCRAM, after which each side has shown that it knows the password.

use bson::raw::{RawBson, RawDocument, RawDocumentBuf};
use bson::spec::BinarySubtype;
use bson::{Binary, rawdoc};
use fourstep::users::{Attempt, Login};
use fourstep::{Error, ErrorKind};

use super::scram::{Mechanism, Scram, unproven};
use super::{Wire, not_mongodb};
use crate::errors::{self, ServerError};
use crate::session::{Failure, Session, database, flag};

/// Logs in to the user's authentication database.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if the server does not show that it knows the password.
pub(crate) async fn log_in(mut wire: Wire, login: &Login) -> Result<Attempt<Session>, Error> {
    match converse(&mut wire, login).await {
        Ok(()) => Ok(Attempt::Accepted(Session::open(wire, login))),
        Err(Failure::Refused(refusal)) => {
            errors::of_login(&refusal, database(login)).map(Attempt::Refused)
        }
        Err(Failure::Lost(error) | Failure::Late(error)) => {
            Err(error.while_doing("during the login"))
        }
    }
}

async fn converse(wire: &mut Wire, login: &Login) -> Result<(), Failure> {
    let mechanism = wire.hello.mechanism()?;
    match prove(mechanism, wire, login).await {
        // Of a user that does not exist a server from 4.0 on names no mechanism, so that the oldest was
        // taken. Where that is switched off, only the other tells that the user is not there.
        Err(Failure::Refused(ServerError { code: 2 | 334 }))
            if wire.hello.mechanisms.is_none() && mechanism != Mechanism::Sha256 =>
        {
            prove(Mechanism::Sha256, wire, login).await
        }
        proven => proven,
    }
}

async fn prove(mechanism: Mechanism, wire: &mut Wire, login: &Login) -> Result<(), Failure> {
    let scram = Scram::new(mechanism, login)?;
    let begin = rawdoc! {
        "saslStart": 1,
        "mechanism": mechanism.name(),
        "payload": binary(scram.first()),
        "options": { "skipEmptyExchange": true },
        "$db": database(login),
    };
    let challenge = ask(wire, &begin).await?;
    let id = challenge.get("conversationId").ok().flatten().ok_or_else(not_mongodb)?;
    let conversation: RawBson = id.into();
    let next = |answer: String| {
        rawdoc! {
            "saslContinue": 1,
            "conversationId": conversation.clone(),
            "payload": binary(answer),
            "$db": database(login),
        }
    };
    let (answer, expected) = scram.answer(payload(&challenge)?)?;
    let mut last = ask(wire, &next(answer)).await?;
    // Before anything else is said: this may not be the server.
    expected.check(payload(&last)?)?;
    // A server before 4.4 wants an empty message in between.
    if !flag(&last, "done") {
        last = ask(wire, &next(String::new())).await?;
    }
    if flag(&last, "done") { Ok(()) } else { Err(unproven().into()) }
}

async fn ask(wire: &mut Wire, command: &RawDocument) -> Result<RawDocumentBuf, Failure> {
    let answer = wire.channel.exchange(command).await?;
    ServerError::of(&answer).map_or(Ok(answer), |refusal| Err(Failure::Refused(refusal)))
}

fn binary(text: String) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: text.into_bytes() }
}

fn payload(answer: &RawDocument) -> Result<&[u8], Error> {
    let payload = answer.get_binary("payload").map(|payload| payload.bytes);
    payload.map_err(|_| {
        Error::new(ErrorKind::Unsupported, "the server's challenge is none that SCRAM knows")
    })
}
