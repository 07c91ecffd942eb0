//! The framework's own rotators of vendor keys, over the model of a vendor.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use fourstep::vendor::{
    Caller, Issued, IssuedKeys, Issuer, Label, ListedKey, Ownership, Terms, Update, Updater,
};
use fourstep::{
    Error, ErrorKind, ExposeSecret, Invocation, PasswordPolicy, Secret, SecretId, Verdict,
};

use super::vendor_issuer::key;
use crate::models::{IssuedKey, Vendor};

/// How an issuer is told about its vendor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    pub(super) ownership: Ownership,
    /// The limit, where the rotator is told; else it learns of it when it is reached.
    pub(super) cap: Option<usize>,
    /// Whether the vendor says how old a key is.
    pub(super) ages: bool,
    pub(super) grace: Duration,
    /// Whether keys are made, listed and revoked by an admin, whose secret is [`ADMIN`].
    pub(super) admin: bool,
}

/// The admin's secret: its name and its value.
pub(super) const ADMIN: (&str, &str) = ("admin", r#"{"token":"an admin's own token"}"#);

pub(super) struct Keys {
    vendor: Vendor,
    manner: Manner,
    terms: Terms,
    fields: Vec<String>,
}

impl Keys {
    pub(super) fn rotator(vendor: Vendor, manner: Manner) -> IssuedKeys<Self> {
        IssuedKeys::by_clock(Self::new(vendor, manner), Self::clock)
    }

    pub(super) fn new(vendor: Vendor, manner: Manner) -> Self {
        let Manner { ownership, cap, grace, .. } = manner;
        let propagation = Duration::from_secs(2);
        let terms = Terms { ownership, cap, propagation, grace };
        let fields = ["key_id", "key"].map(str::to_owned).to_vec();
        Self { vendor, manner, terms, fields }
    }

    pub(super) fn clock(&self) -> SystemTime {
        self.vendor.clock()
    }

    /// Refuses whoever may not make, list and revoke keys: an admin may, or whoever has a key.
    fn lets_act(&self, caller: &Caller<'_>) -> Result<(), Error> {
        let own = key(caller.own)?;
        let (works, shown) = match self.manner.admin {
            true => (
                caller
                    .admin
                    .is_some_and(|admin| admin.expose().is_ok_and(|admin| admin == ADMIN.1)),
                "the admin's",
            ),
            false => (self.vendor.accepts(&own.id, own.value.expose_secret()), &*own.id),
        };
        match works {
            true => Ok(()),
            false => {
                let what = format!("the vendor does not know the key that was shown, {shown}");
                Err(Error::new(ErrorKind::Rejected, what))
            }
        }
    }
}

fn verdict(works: bool) -> Verdict {
    match works {
        true => Verdict::Accepted,
        false => Verdict::Rejected("the vendor does not know the key".to_owned()),
    }
}

#[async_trait]
impl Issuer for Keys {
    fn terms(&self) -> &Terms {
        &self.terms
    }

    fn fields(&self) -> &[String] {
        &self.fields
    }

    fn admin(&self, _: &Secret) -> Result<Option<SecretId>, Error> {
        self.manner.admin.then(|| SecretId::parse(ADMIN.0)).transpose()
    }

    fn id(&self, secret: &Secret) -> Result<String, Error> {
        Ok(key(secret)?.id)
    }

    async fn issue(
        &self,
        base: &Secret,
        label: &Label,
        caller: &Caller<'_>,
        _: &Invocation,
    ) -> Result<Issued, Error> {
        // Whoever stood still may show a key that was revoked meanwhile.
        let let_in = || self.lets_act(caller).is_ok();
        let issued = self.vendor.issue_while(let_in, Some(&label.to_string())).await?;
        self.lets_act(caller)?;
        let Some(issued) = issued else {
            return Ok(Issued::Full);
        };
        let IssuedKey { id, value } = issued;
        let next = base.document()?.with("key_id", &id).with("key", value.expose_secret());
        Ok(Issued::Key(next.into()))
    }

    async fn list(
        &self,
        each: &mut (dyn FnMut(ListedKey) + Send),
        caller: &Caller<'_>,
        _: &Invocation,
    ) -> Result<(), Error> {
        self.lets_act(caller)?;
        for key in self.vendor.list().await? {
            let created = Some(self.vendor.clock() - key.age).filter(|_| self.manner.ages);
            each(ListedKey { id: key.id, label: key.label, created, expires: None });
        }
        Ok(())
    }

    async fn verify(&self, secret: &Secret, _: &Invocation) -> Result<Verdict, Error> {
        let key = key(secret)?;
        Ok(verdict(self.vendor.verify(&key.id, &key.value).await?))
    }

    /// The model lets in nothing but a key with its own id.
    async fn belongs(
        &self,
        _: &Secret,
        _: &Caller<'_>,
        _: &Invocation,
    ) -> Result<Option<bool>, Error> {
        Ok(Some(true))
    }

    async fn revoke(&self, id: &str, caller: &Caller<'_>, _: &Invocation) -> Result<(), Error> {
        self.lets_act(caller)?;
        Ok(self.vendor.revoke(id).await?)
    }
}

pub(super) struct Value {
    vendor: Vendor,
    compares: bool,
    fields: Vec<String>,
}

impl Value {
    pub(super) fn new(vendor: Vendor, compares: bool) -> Self {
        Self { vendor, compares, fields: vec!["key".to_owned()] }
    }
}

#[async_trait]
impl Updater for Value {
    fn fields(&self) -> &[String] {
        &self.fields
    }

    fn compares(&self) -> bool {
        self.compares
    }

    fn propose(&self, base: &Secret) -> Result<Secret, Error> {
        key(base)?;
        let value = PasswordPolicy::default().generate()?;
        Ok(base.document()?.with("key", value.expose_secret()).into())
    }

    async fn update(
        &self,
        using: &Secret,
        to: &Secret,
        _: &serde_json::Value,
        _: &Caller<'_>,
        _: &Invocation,
    ) -> Result<Update, Error> {
        let (using, to) = (key(using)?.value, key(to)?);
        let using = Some(&using).filter(|_| self.compares);
        Ok(match self.vendor.update(&to.id, using, &to.value).await? {
            true => Update::Made,
            false => Update::Stale,
        })
    }

    async fn verify(&self, secret: &Secret, _: &Invocation) -> Result<Verdict, Error> {
        let key = key(secret)?;
        Ok(verdict(self.vendor.verify(&key.id, &key.value).await?))
    }
}
