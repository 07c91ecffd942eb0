//! Makes the requests of a specification: values placed where they belong, credentials shown,
//! too many requests waited for.

mod build;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use fourstep::net::TlsSettings;
use fourstep::{Error, ErrorKind, ExposeSecret, Invocation, Result, Secret, SecretString};
use serde_json::Value;

use crate::address::Address;
use crate::answer::{self, Reading};
use crate::exchange::{Answer, exchange};
use crate::hosts;
use crate::items::Items;
use crate::spec::{Caller, ClientCredentials, Document, Parts, Presentation, Template, Values};
use build::{Draft, expected};

/// How often a request is made while the vendor says that there were too many.
const MOST_TRIES: u32 = 3;

/// The wait where the vendor does not say how long.
const USUAL_WAIT: Duration = Duration::from_secs(1);

/// How many seconds a token lives where the vendor does not say.
const USUAL_TOKEN: u64 = 60;

/// What makes the requests of one specification.
pub(crate) struct Client {
    pub(crate) document: Document,
    tls: TlsSettings,
    /// When the last request was made, for the vendor's rate.
    last: Mutex<Option<Instant>>,
    /// The tokens that this step was given. They are for its own requests: whether a credential
    /// works is asked anew.
    tokens: Mutex<Vec<Token>>,
}

/// A token, and the step and the request that it was given for.
struct Token {
    step: SystemTime,
    request: Draft,
    until: Instant,
    value: SecretString,
}

/// How a request ended.
pub(crate) enum Sent {
    /// The vendor answered it.
    Answered(Answer),
    /// The vendor refused the credential before: it gave no token for it.
    Refused,
}

impl Client {
    pub(crate) fn new(document: Document, tls: TlsSettings) -> Self {
        Self { document, tls, last: Mutex::default(), tokens: Mutex::default() }
    }

    /// The vendor's name for the key that a secret holds, whether or not the key is there.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the field; also if the id gives the key away.
    pub(crate) fn id(&self, secret: &Secret) -> Result<String> {
        let (document, field) = (secret.document()?, &self.document.secret.id);
        let id = match document.field(field) {
            Some(Value::Number(number)) => number.to_string(),
            _ => document.required(field)?.to_owned(),
        };
        self.shown(id, secret)
    }

    /// An id, once it is known to be no key: it stands in logs and in errors.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], without what it is.
    pub(crate) fn shown(&self, id: String, secret: &Secret) -> Result<String> {
        let shape = &self.document.secret;
        let Ok(key) = secret.document().and_then(|document| document.required(&shape.key)) else {
            return Ok(id);
        };
        // Some keys hold their id, as key_begins and key_ends say, and a number may stand in any key
        // by chance: otherwise an id is no larger part of it.
        let part = !shape.holds_id() && id.len() > key.len() / 2 && key.contains(&id);
        if part || id.contains(key) {
            let what =
                format!("a key's id ({:?}) is the key, or holds one, or most of one", shape.id);
            return Err(Error::new(ErrorKind::Malformed, what).caused_by(
                "ids stand in logs; look at the secret's fields and at what the specification \
                 says about the id",
            ));
        }
        Ok(id)
    }

    /// Makes a request and expects one of the statuses in its `ok`, or one of `others`.
    ///
    /// # Errors
    /// Whatever stopped it, naming the request and never a value. A refused credential is
    /// [`ErrorKind::Rejected`].
    pub(crate) async fn call(
        &self,
        name: &str,
        parts: &Parts<'_>,
        others: &[u16],
        values: &Values<'_>,
        cx: &Invocation,
    ) -> Result<Answer> {
        let sent = self.send(name, parts, values, cx).await?;
        self.expected(name, sent, parts, others)
    }

    /// The same for a list, whose items are read as they come.
    ///
    /// # Errors
    /// As for [`call`](Self::call), and those of reading items.
    pub(crate) async fn page(
        &self,
        parts: &Parts<'_>,
        items: &mut Items<'_>,
        values: &Values<'_>,
        cx: &Invocation,
    ) -> Result<Answer> {
        let sent = self.attempt(parts, Some(items), values, cx).await;
        let sent = sent.map_err(|error| error.while_doing(self.told("list", parts)))?;
        self.expected("list", sent, parts, &[])
    }

    /// Refuses what is not expected.
    ///
    /// # Errors
    /// As for [`call`](Self::call).
    pub(crate) fn expected(
        &self,
        name: &str,
        sent: Sent,
        parts: &Parts<'_>,
        others: &[u16],
    ) -> Result<Answer> {
        match sent {
            Sent::Answered(answer) => {
                let told = self.told(name, parts);
                if self.refuses(parts, answer.status) && !others.contains(&answer.status) {
                    return Err(Error::new(ErrorKind::Rejected, told).caused_by(format!(
                        "the vendor refused the credential, with status {}",
                        answer.status
                    )));
                }
                answer::expect(&answer, parts, others).map_err(|error| error.while_doing(told))?;
                Ok(answer)
            }
            Sent::Refused => Err(Error::new(ErrorKind::Rejected, self.told(name, parts))
                .caused_by("the token endpoint refused the credential")),
        }
    }

    /// Whether a status is about the credential, as `[verify]` says, and cannot be about an admin.
    fn refuses(&self, parts: &Parts<'_>, status: u16) -> bool {
        let own = parts.by == Caller::Credential && !parts.is_admins();
        own && self.document.verify.rejected.contains(&status)
    }

    /// Makes a request, whatever the answer.
    ///
    /// # Errors
    /// Whatever stopped it before there was an answer.
    pub(crate) async fn send(
        &self,
        name: &str,
        parts: &Parts<'_>,
        values: &Values<'_>,
        cx: &Invocation,
    ) -> Result<Sent> {
        let told = || self.told(name, parts);
        let sent = self.attempt(parts, None, values, cx).await;
        sent.map_err(|error| error.while_doing(told()))
    }

    /// Whether a request can be made of these values and show its credential, which is not sent.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the field; [`ErrorKind::Unsupported`], naming what is not as
    /// the specification says.
    pub(crate) fn made_ready(
        &self,
        name: &str,
        parts: &Parts<'_>,
        values: &Values<'_>,
    ) -> Result<()> {
        let made = || {
            let mut draft = Draft::of(&self.address(parts.base_url, values)?, parts, values)?;
            expected(parts, values)?;
            match self.presentation(parts) {
                None => Ok(()),
                Some(Presentation::ClientCredentials(client)) => {
                    let address = self.address(client.base_url.as_deref(), values)?;
                    Draft::of_token(&address, client, values).map(drop)
                }
                Some(other) => draft.present(other, values),
            }
        };
        made().map_err(|error: Error| error.while_doing(self.told(name, parts)))
    }

    /// What is said of a request: its template, in which no value stands.
    pub(crate) fn told(&self, name: &str, parts: &Parts<'_>) -> String {
        let url = parts.base_url.unwrap_or(&self.document.base_url);
        format!("{name} ({} {}{})", parts.method, url.trim_end_matches('/'), parts.template)
    }

    /// How the caller of a request is shown.
    fn presentation(&self, parts: &Parts<'_>) -> Option<&Presentation> {
        match parts.by {
            Caller::Credential => Some(&self.document.credential),
            Caller::Admin => self.document.admin.as_ref(),
            Caller::Nobody => None,
        }
    }

    async fn attempt(
        &self,
        parts: &Parts<'_>,
        items: Option<&mut Items<'_>>,
        values: &Values<'_>,
        cx: &Invocation,
    ) -> Result<Sent> {
        let address = self.address(parts.base_url, values)?;
        let mut draft = Draft::of(&address, parts, values)?;
        let expected = expected(parts, values)?;
        match self.presentation(parts) {
            None => {}
            Some(Presentation::ClientCredentials(client)) => {
                match self.token(client, values, parts, cx).await? {
                    Some(token) => draft.bearer(token.expose_secret())?,
                    None => return Ok(Sent::Refused),
                }
            }
            Some(other) => draft.present(other, values)?,
        }
        let answer = self.repeat(&address, &draft, items, parts.fenced, cx).await?;
        Ok(Sent::Answered(Answer { expected, ..answer }))
    }

    /// Asks for a token; `None` if the vendor refuses the credential.
    async fn token(
        &self,
        client: &ClientCredentials,
        values: &Values<'_>,
        parts: &Parts<'_>,
        cx: &Invocation,
    ) -> Result<Option<SecretString>> {
        let address = self.address(client.base_url.as_deref(), values)?;
        let draft = Draft::of_token(&address, client, values)?;
        if !parts.proves
            && let Some(known) = self.known_token(&draft, cx)
        {
            return Ok(Some(known));
        }
        let asked = async {
            let answer = self.repeat(&address, &draft, None, parts.fenced, cx).await?;
            if client.rejected.contains(&answer.status) {
                return Ok(None);
            }
            answer::status(&answer, &[200])?;
            let reading = Reading::of(&answer)?;
            let value = SecretString::from(reading.text("/access_token")?);
            let lives = reading.0.pointer("/expires_in").and_then(Value::as_u64);
            Ok(Some((value, Duration::from_secs(lives.unwrap_or(USUAL_TOKEN).min(3600)))))
        };
        let token: Result<Option<(SecretString, Duration)>> = asked.await;
        let token = token.map_err(|error| error.while_doing("cannot get a token"))?;
        let Some((value, lives)) = token else { return Ok(None) };
        // Half its life: what is asked with it takes its time as well.
        let (step, until) = (cx.deadline().moment(), Instant::now() + lives / 2);
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|token| token.step == step && token.request != draft);
        tokens.push(Token { step, request: draft, until, value: value.clone() });
        Ok(Some(value))
    }

    /// The token that the same request was given in this step.
    fn known_token(&self, draft: &Draft, cx: &Invocation) -> Option<SecretString> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|token| token.step == cx.deadline().moment());
        let known = tokens.iter().find(|token| token.request == *draft)?;
        (known.until > Instant::now()).then(|| known.value.clone())
    }

    /// Sends until the vendor says anything but that there were too many requests. Behind the fence
    /// once only: what the fence saw may have changed until the next time.
    async fn repeat(
        &self,
        address: &Address,
        draft: &Draft,
        mut items: Option<&mut Items<'_>>,
        fenced: bool,
        cx: &Invocation,
    ) -> Result<Answer> {
        let most = if fenced { 1 } else { MOST_TRIES };
        for tries in 1.. {
            self.keep_to_the_rate().await;
            let answer =
                exchange(address, &self.tls, draft.request()?, items.as_deref_mut(), cx).await?;
            if answer.status != 429 {
                return Ok(answer);
            }
            let wait = answer.retry_after.unwrap_or(USUAL_WAIT);
            let needed = wait.saturating_add(fourstep::CHANGE_TIME);
            if tries >= most || cx.deadline().remaining() <= needed {
                return Err(Error::new(ErrorKind::Throttled, "the vendor takes no more requests")
                    .caused_by(format!(
                        "status 429, and {} s to wait; retry later",
                        wait.as_secs()
                    )));
            }
            tokio::time::sleep(wait).await;
        }
        Err(Error::new(ErrorKind::Internal, "requests were counted wrong"))
    }

    /// Waits until the vendor's rate allows another request of this process.
    async fn keep_to_the_rate(&self) {
        let Some(rate) = self.document.terms.requests_per_second else { return };
        let between = Duration::from_secs(1) / rate.max(1);
        let now = Instant::now();
        let due = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let due = last.map_or(now, |last| (last + between).max(now));
            *last = Some(due);
            due
        };
        tokio::time::sleep(due - now).await;
    }

    pub(crate) fn address(&self, url: Option<&str>, values: &Values<'_>) -> Result<Address> {
        hosts::address(url.unwrap_or(&self.document.base_url), &self.document, values)
    }
}

/// Reads a template that was checked with its specification.
pub(crate) fn template(text: &str) -> Result<Template> {
    Template::read(text).map_err(|what| Error::new(ErrorKind::Malformed, what))
}

/// The values that a caller has.
pub(crate) fn values<'a>(secret: &'a Secret, admin: Option<&'a Secret>) -> Values<'a> {
    Values { admin, ..Values::of(secret) }
}
