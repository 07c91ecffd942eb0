//! A vendor that makes keys, as its specification says.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use fourstep::vendor::{Caller, Issued, Issuer, Label, ListedKey, Ownership, Terms};
use fourstep::{Error, ErrorKind, Invocation, Result, Secret, SecretId, Verdict};
use serde_json::Value;

use crate::admin::Admin;
use crate::answer::{self, Reading, strange};
use crate::client::{Client, Sent, template, values};
use crate::exchange::Answer;
use crate::hosts;
use crate::items::Items;
use crate::pages::Way;
use crate::spec::{Issue, List, Parts, Values};
use crate::verify::{negative_control, unheeded, verify};

/// The most pages of keys that are read.
const MOST_PAGES: usize = 1_000;

/// The longest id: some keys are kept in memory.
const LONGEST_ID: usize = 2_048;

/// How long a label is.
const LABEL: usize = 47;

/// A vendor that makes keys.
pub(crate) struct ApiIssuer {
    pub(crate) client: Client,
    pub(crate) issue: Issue,
    pub(crate) list: List,
    pub(crate) terms: Terms,
    pub(crate) fields: Vec<String>,
    pub(crate) admin: Admin,
}

impl ApiIssuer {
    /// One key of a page; none if it is dead.
    fn listed(&self, item: &Value, own: &Secret) -> Result<Option<ListedKey>> {
        let list = &self.list;
        if list.only.iter().any(|(pointer, value)| item.pointer(pointer) != Some(value)) {
            return Ok(None);
        }
        let label = match &list.label {
            // A key that people made may have no name, and what they wrote is not kept.
            Some(pointer) => {
                let name = item.pointer(pointer).and_then(Value::as_str);
                name.filter(|name| Label::read(name).is_some()).map(str::to_owned)
            }
            None => None,
        };
        let read = || -> Result<ListedKey> {
            let created = match &list.created {
                Some(pointer) => answer::moment(item, pointer, list.created_as, "created_as")
                    .map_err(|error| error.caused_by(self.without("created")))?,
                None => None,
            };
            let expires = match &list.expires {
                Some(pointer) => answer::moment(item, pointer, list.expires_as, "expires_as")
                    .map_err(|error| error.caused_by(self.without("expires")))?,
                None => None,
            };
            // Some vendors write 0 for never.
            let expires = expires.filter(|moment| *moment > SystemTime::UNIX_EPOCH);
            let id = answer::text(item, &list.id)?;
            if id.len() > LONGEST_ID {
                return Err(strange(format!("{:?} in an item is too long for an id", list.id)));
            }
            Ok(ListedKey { id: self.client.shown(id.to_owned(), own)?, label, created, expires })
        };
        read().map(Some).map_err(|error| error.while_doing("list"))
    }

    /// What becomes of a specification that leaves a moment out.
    fn without(&self, name: &str) -> &'static str {
        match (name, self.terms.ownership) {
            ("created", Ownership::Labels) => {
                "created may be left out: the moment in the label counts then"
            }
            ("created", _) => "without labels nothing else tells older keys from newer ones",
            _ => "expires may be left out: preflight then warns of no key that ends",
        }
    }

    /// Whether an answer to `[issue]` says that there is no room for another key.
    fn says_full(&self, answer: &Answer) -> bool {
        let Issue { full, full_when, .. } = &self.issue;
        let told = |reading: Reading| {
            full_when.iter().all(|(pointer, value)| reading.0.pointer(pointer) == Some(value))
        };
        full.contains(&answer.status)
            || (!full_when.is_empty()
                && (400..500).contains(&answer.status)
                && Reading::of(answer).is_ok_and(told))
    }

    /// What the vendor says of the key that a secret names, where the specification asks.
    async fn describe(
        &self,
        secret: &Secret,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<Option<Reading>> {
        let Some(describe) = &self.client.document.describe else { return Ok(None) };
        let id = self.client.id(secret)?;
        let placed = Values { id: Some(&id), ..values(caller.own, caller.admin) };
        let answer = self.client.call("describe", &describe.parts(), &[], &placed, cx).await?;
        Reading::of(&answer).map(Some).map_err(|error| error.while_doing("describe"))
    }
}

#[async_trait]
impl Issuer for ApiIssuer {
    fn terms(&self) -> &Terms {
        &self.terms
    }

    fn admin(&self, secret: &Secret) -> Result<Option<SecretId>> {
        self.admin.of(secret)
    }

    fn fields(&self) -> &[String] {
        &self.fields
    }

    fn id(&self, secret: &Secret) -> Result<String> {
        self.client.id(secret)
    }

    fn id_field(&self) -> Option<&str> {
        Some(&self.client.document.secret.id)
    }

    fn same_place(&self, version: &Secret, own: &Secret) -> bool {
        hosts::alike(&self.client.document, version, own)
    }

    async fn issue(
        &self,
        base: &Secret,
        label: &Label,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<Issued> {
        base.document()?.required(&self.client.document.secret.key)?;
        let parts = self.issue.parts();
        let label = label.to_string();
        let placed = values(caller.own, caller.admin);
        // What the vendor says of the key that works decides what the new one may do. That is the
        // caller's, and may not be AWSCURRENT's: whoever may write that could name any key in it.
        let described = self.describe(caller.own, caller, cx).await?;
        let described = described.as_ref().map(|reading| &reading.0);
        let placed = Values { label: Some(&label), described, ..placed };
        let sent = self.client.send("issue", &parts, &placed, cx).await?;
        if let Sent::Answered(answer) = &sent
            && self.says_full(answer)
        {
            return Ok(Issued::Full);
        }
        let lost = || format!("a key may have been made that nobody knows, labelled {label}");
        let taken = matches!(&sent, Sent::Answered(answer) if parts.ok.contains(&answer.status));
        let answer = self.client.expected("issue", sent, &parts, &[]);
        let answer = answer.map_err(|error| if taken { error.caused_by(lost()) } else { error })?;
        let made = || -> Result<Secret> {
            let reading = Reading::of(&answer)?;
            let (shape, at) = (&self.client.document.secret, &self.issue.answer);
            let mut next = base.document()?.with(&shape.key, reading.text(&at.key)?);
            next = next.with(&shape.id, reading.text(&at.id)?);
            for (field, pointer) in &at.fields {
                next = next.with(field, reading.text(pointer)?);
            }
            let next = Secret::from(next);
            self.client.id(&next)?;
            Ok(next)
        };
        made()
            .map(Issued::Key)
            .map_err(|error| error.while_doing(self.client.told("issue", &parts)).caused_by(lost()))
    }

    async fn list(
        &self,
        each: &mut (dyn FnMut(ListedKey) + Send),
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<()> {
        let placed = values(caller.own, caller.admin);
        let base = self.client.address(self.list.base_url.as_deref(), &placed)?;
        let mut way = Way::first(self.list.parts(), self.list.pages.as_ref(), &base);
        let mut seen = 0;
        for _ in 0..MOST_PAGES {
            let parts = way.parts();
            let mut one = |item: Value| {
                if let Some(key) = self.listed(&item, caller.own)? {
                    each(key);
                }
                Ok(())
            };
            let mut items = Items::new(&self.list.items, &mut one);
            let answer = self.client.page(&parts, &mut items, &placed, cx).await?;
            let (lists, count) = (items.lists, items.count);
            let reading = Reading::of(&answer)?;
            if lists == 0 {
                let what = format!("list: {:?} in the answer is no list", self.list.items);
                return Err(strange(what));
            }
            seen += count;
            match way.next(&reading, answer.next.as_deref(), count, seen)? {
                Some(next) => way = next,
                None => return Ok(()),
            }
        }
        Err(Error::new(ErrorKind::Unsupported, "list: the pages of keys do not end")
            .caused_by(format!("{MOST_PAGES} were read; nothing was changed")))
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict> {
        verify(&self.client, secret, cx).await
    }

    fn tells_ends(&self) -> bool {
        self.list.expires.is_some()
    }

    async fn negative_control(&self, secret: &Secret, cx: &Invocation) -> Result<Option<Verdict>> {
        negative_control(&self.client, secret, cx).await
    }

    async fn unheeded(&self, secret: &Secret, cx: &Invocation) -> Option<String> {
        unheeded(&self.client, secret, cx).await
    }

    async fn may_issue(&self, caller: &Caller<'_>, cx: &Invocation) -> Result<()> {
        let described = self.describe(caller.own, caller, cx).await?;
        let described = described.as_ref().map(|reading| &reading.0);
        let label = "x".repeat(LABEL);
        let placed = values(caller.own, caller.admin);
        let placed = Values { label: Some(&label), described, ..placed };
        self.client.made_ready("issue", &self.issue.parts(), &placed)
    }

    async fn may_revoke(&self, caller: &Caller<'_>, cx: &Invocation) -> Result<()> {
        for revoke in &self.client.document.revoke {
            let Some(probe) = &revoke.probe else { continue };
            let placed = Values { id: Some(probe), ..values(caller.own, caller.admin) };
            let sent = self.client.send("revoke", &revoke.parts(), &placed, cx).await?;
            let ended = self.client.expected("revoke", sent, &revoke.parts(), &revoke.gone);
            // Whatever else is said of no key says nothing of one.
            if let Err(error) = ended
                && [ErrorKind::Forbidden, ErrorKind::Rejected].contains(&error.kind())
            {
                return Err(error);
            }
        }
        Ok(())
    }

    async fn belongs(
        &self,
        secret: &Secret,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<Option<bool>> {
        let document = &self.client.document;
        let key = || secret.document()?.required(&document.secret.key);
        if document.secret.holds_id() {
            let (key, id) = (key()?, self.client.id(secret)?);
            let placed = Values { id: Some(&id), ..Values::of(secret) };
            let part = |text: &Option<String>| {
                let read =
                    text.as_deref().map(|text| template(text)?.render(&placed, str::to_owned));
                read.transpose()
            };
            let (begins, ends) =
                (part(&document.secret.key_begins)?, part(&document.secret.key_ends)?);
            let holds = begins.is_none_or(|begins| key.starts_with(&begins))
                && ends.is_none_or(|ends| key.ends_with(&ends));
            return Ok(Some(holds));
        }
        let shown = document.describe.as_ref().and_then(|describe| describe.key.as_ref());
        let Some(pointer) = shown else {
            return Ok((document.verify.id.is_some() || document.shows_id()).then_some(true));
        };
        let Some(reading) = self.describe(secret, caller, cx).await? else { return Ok(None) };
        let told = reading.text(pointer).map_err(|error| error.while_doing("describe"))?;
        Ok(Some(told == key()?))
    }

    async fn revoke(&self, id: &str, caller: &Caller<'_>, cx: &Invocation) -> Result<()> {
        let placed = values(caller.own, caller.admin);
        let placed = Values { id: Some(id), ..placed };
        let Some((last, before)) = self.client.document.revoke.split_last() else { return Ok(()) };
        for revoke in before {
            let parts = Parts { fenced: true, ..revoke.parts() };
            match self.client.send("revoke", &parts, &placed, cx).await? {
                // A key that is switched off already may be refused here, and can be deleted: what
                // the last request is told counts.
                Sent::Answered(answer) if (400..500).contains(&answer.status) => {}
                sent => self.client.expected("revoke", sent, &parts, &revoke.gone).map(drop)?,
            }
        }
        let parts = Parts { fenced: true, ..last.parts() };
        self.client.call("revoke", &parts, &last.gone, &placed, cx).await.map(drop)
    }
}

/// What a specification says about its vendor.
pub(crate) fn terms(terms: &crate::spec::Terms) -> Terms {
    Terms {
        ownership: terms.ownership.into(),
        cap: terms.keys,
        propagation: Duration::from_secs(terms.propagation_seconds),
        grace: Duration::from_secs(terms.grace_seconds),
    }
}
