//! A vendor that makes keys, as its specification says.

use std::time::Duration;

use async_trait::async_trait;
use fourstep::vendor::{Caller, Issued, Issuer, Label, ListedKey, Terms};
use fourstep::{Error, ErrorKind, Secret, SecretId, Turn, Verdict};
use serde_json::Value;

use crate::admin::Admin;
use crate::answer::{self, Reading, strange};
use crate::client::{Client, values};
use crate::pages::Way;
use crate::spec::{Issue, List};
use crate::verify::verify;

/// The most pages of keys that are read.
const MOST_PAGES: usize = 50;

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
    /// One key of a page.
    fn listed(&self, item: &Value) -> Result<ListedKey, Error> {
        let list = &self.list;
        let label = match &list.label {
            // A key that people made may have no name.
            Some(pointer) => item.pointer(pointer).and_then(Value::as_str).map(str::to_owned),
            None => None,
        };
        let age = match &list.created {
            Some(pointer) => Some(answer::age(item, pointer, list.created_as)?),
            None => None,
        };
        Ok(ListedKey { id: answer::text(item, &list.id)?.to_owned(), label, age })
    }
}

#[async_trait]
impl Issuer for ApiIssuer {
    fn terms(&self) -> &Terms {
        &self.terms
    }

    fn admin(&self, secret: &Secret) -> Result<Option<SecretId>, Error> {
        self.admin.of(secret)
    }

    fn fields(&self) -> &[String] {
        &self.fields
    }

    fn id(&self, secret: &Secret) -> Result<String, Error> {
        let shape = &self.client.document.secret;
        let document = secret.document()?;
        document.required(&shape.key)?;
        Ok(document.required(&shape.id)?.to_owned())
    }

    async fn issue(
        &self,
        base: &Secret,
        label: &Label,
        caller: &Caller<'_>,
        turn: &Turn,
    ) -> Result<Issued, Error> {
        let parts = self.issue.parts();
        let label = label.to_string();
        let placed = values(caller.own, caller.admin);
        let placed = crate::spec::Values { label: Some(&label), ..placed };
        let answer = self.client.call("issue", &parts, &self.issue.full, &placed, turn).await?;
        if self.issue.full.contains(&answer.status) {
            return Ok(Issued::Full);
        }
        let made = || -> Result<Secret, Error> {
            let reading = Reading::of(&answer)?;
            let (shape, at) = (&self.client.document.secret, &self.issue.answer);
            let mut next = base.document()?.with(&shape.key, reading.text(&at.key)?);
            next = next.with(&shape.id, reading.text(&at.id)?);
            for (field, pointer) in &at.fields {
                next = next.with(field, reading.text(pointer)?);
            }
            Ok(next.into())
        };
        made().map(Issued::Key).map_err(|error| {
            let lost = format!("a key may have been made that nobody knows, labelled {label}");
            error.while_doing(self.client.told("issue", &parts)).caused_by(lost)
        })
    }

    async fn list(&self, caller: &Caller<'_>, turn: &Turn) -> Result<Vec<ListedKey>, Error> {
        let placed = values(caller.own, caller.admin);
        let base = self.client.address(self.list.base_url.as_deref())?;
        let mut way = Way::first(self.list.parts(), self.list.pages.as_ref(), &base.path);
        let mut keys = Vec::new();
        for _ in 0..MOST_PAGES {
            let parts = way.parts();
            let answer = self.client.call("list", &parts, &[], &placed, turn).await?;
            let reading = Reading::of(&answer)?;
            let items = reading.0.pointer(&self.list.items).and_then(Value::as_array);
            let items = items.ok_or_else(|| {
                strange(format!("list: {:?} in the answer is no list", self.list.items))
            })?;
            for item in items {
                let key = self.listed(item).map_err(|error| error.while_doing("list"))?;
                keys.push(key);
            }
            match way.next(&reading, items.len(), keys.len())? {
                Some(next) => way = next,
                None => return Ok(keys),
            }
        }
        Err(Error::new(ErrorKind::Unsupported, "list: the pages of keys do not end")
            .caused_by(format!("{MOST_PAGES} were read; nothing was changed")))
    }

    async fn verify(&self, secret: &Secret, turn: &Turn) -> Result<Verdict, Error> {
        verify(&self.client, secret, turn).await
    }

    async fn revoke(&self, id: &str, caller: &Caller<'_>, turn: &Turn) -> Result<(), Error> {
        let placed = values(caller.own, caller.admin);
        let placed = crate::spec::Values { id: Some(id), ..placed };
        for revoke in &self.client.document.revoke {
            self.client.call("revoke", &revoke.parts(), &revoke.gone, &placed, turn).await?;
        }
        Ok(())
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
