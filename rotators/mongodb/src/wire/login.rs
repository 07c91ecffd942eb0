//! The login: one exchange by SCRAM, after which each side has shown that it knows the password.

use bson::raw::{RawBson, RawDocument, RawDocumentBuf};
use bson::spec::BinarySubtype;
use bson::{Binary, rawdoc};
use fourstep::users::scram::{Hash, unproven};
use fourstep::users::{Attempt, Login};
use fourstep::{Error, ErrorKind, Result};

use super::{Wire, not_mongodb, scram};
use crate::errors::{self, ServerError};
use crate::session::{Failure, Session, database, flag};

/// Logs in to the user's authentication database.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if the server does not show that it knows the password.
pub(crate) async fn log_in(mut wire: Wire, login: &Login) -> Result<Attempt<Session>> {
    match converse(&mut wire, login).await {
        Ok(()) => Ok(Attempt::Accepted(Session::open(wire, login))),
        Err(failure) => failure
            .while_doing("during the login")
            .decided(|refusal| errors::of_login(refusal, database(login)).map(Attempt::Refused)),
    }
}

async fn converse(wire: &mut Wire, login: &Login) -> Result<(), Failure> {
    let hash = wire.hello.hash()?;
    match prove(hash, wire, login).await {
        // Of a user that does not exist a server from 4.0 on names no mechanism, so that the oldest was
        // taken. Where that is switched off, only the other tells that the user is not there.
        Err(Failure::Refused(ServerError { code: 2 | 334 }))
            if wire.hello.mechanisms.is_none() && hash != Hash::Sha256 =>
        {
            prove(Hash::Sha256, wire, login).await
        }
        proven => proven,
    }
}

async fn prove(hash: Hash, wire: &mut Wire, login: &Login) -> Result<(), Failure> {
    let scram = scram::begin(hash, login)?;
    let begin = rawdoc! {
        "saslStart": 1,
        "mechanism": hash.mechanism(),
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
    let (answer, expected) = scram.answer(payload(&challenge)?, &scram::password(hash, login)?)?;
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

fn payload(answer: &RawDocument) -> Result<&[u8]> {
    let payload = answer.get_binary("payload").map(|payload| payload.bytes);
    payload.map_err(|_| {
        Error::new(ErrorKind::Unsupported, "the server's challenge is none that SCRAM knows")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Channel, Hello};
    use fourstep::net::Transport;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    /// The next message of the client: its number, and the document. None where it has closed.
    async fn hear(client: &mut DuplexStream) -> Option<(i32, RawDocumentBuf)> {
        let length = client.read_i32_le().await.ok()?;
        let number = client.read_i32_le().await.unwrap();
        let mut rest = vec![0; usize::try_from(length).unwrap() - 8];
        client.read_exact(&mut rest).await.unwrap();
        Some((number, RawDocumentBuf::from_bytes(rest.split_off(13)).unwrap()))
    }

    async fn say(client: &mut DuplexStream, number: i32, document: &RawDocument) {
        let length = i32::try_from(document.as_bytes().len() + 21).unwrap();
        for field in [length, 1, number, 2013, 0] {
            client.write_i32_le(field).await.unwrap();
        }
        client.write_u8(0).await.unwrap();
        client.write_all(document.as_bytes()).await.unwrap();
    }

    /// A server that takes every password, and has `last` to prove that it knows this one; and what it
    /// was told after that.
    async fn impostor(mut client: DuplexStream, last: &str) -> Option<(i32, RawDocumentBuf)> {
        let said = |payload: String| {
            let payload = binary(payload);
            rawdoc! { "ok": 1.0, "conversationId": 1, "done": false, "payload": payload }
        };
        let (number, first) = hear(&mut client).await.unwrap();
        let first = String::from_utf8(payload(&first).unwrap().to_vec()).unwrap();
        let nonce = first.split_once("r=").unwrap().1;
        let challenge = format!("r={nonce}more,s=c2FsdA==,i=4096");
        say(&mut client, number, &said(challenge)).await;
        let (number, _) = hear(&mut client).await.unwrap();
        say(&mut client, number, &said(last.to_owned())).await;
        hear(&mut client).await
    }

    #[tokio::test]
    async fn parity_05_a_server_that_does_not_know_the_password_is_told_no_more() {
        for last in ["v=AAAA", "v=", "e=other-error", ""] {
            for known in [None, Some(vec!["SCRAM-SHA-256".to_owned()])] {
                let (ours, theirs) = tokio::io::duplex(4096);
                let channel = Channel::new(Box::new(ours));
                let hello =
                    Hello { writable: true, primary: None, router: false, mechanisms: known };
                let wire = Wire { channel, hello, transport: Transport::Tls };
                let login = Login::new("db.example", 27017, "user", "pencil");
                let (attempt, told) = tokio::join!(log_in(wire, &login), impostor(theirs, last));
                let error = attempt.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unsupported);
                assert!(error.to_string().contains("it may be an impostor"), "{error}");
                assert!(told.is_none(), "{told:?}");
            }
        }
    }
}
