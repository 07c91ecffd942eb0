//! The reference rotator for a vendor's key whose value the caller sets: one value works at a time.
//!
//! An update names the value it replaces, so the vendor refuses a run that comes late. Where a
//! vendor cannot be told, nothing stops one: see [`Defect::Overwrites`].

use async_trait::async_trait;
use fourstep::{
    Applied, CreateContext, Error, ErrorKind, ExposeSecret, Fence, Finding, InspectContext,
    Invocation, PasswordPolicy, Rotator, Secret, SecretString, SetContext, Verdict,
};

use super::vendor_issuer::key;
use crate::models::{IssuedKey, Vendor};

/// One safeguard left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    /// Does not look for what a cancelled rotation left.
    ForgetsTheCancelled,
    /// Does not ask whether pending works already.
    NeverAsksPending,
    /// Updates without naming the value it replaces.
    Overwrites,
}

pub(super) struct Updater {
    pub(super) vendor: Vendor,
    pub(super) defect: Option<Defect>,
}

impl Updater {
    /// Sets pending's value if `old` is the one that works.
    async fn update(
        &self,
        old: &IssuedKey,
        pending: &IssuedKey,
        fence: &dyn Fence,
    ) -> Result<bool, Error> {
        fence.pass().await?;
        let using = Some(&old.value).filter(|_| self.defect != Some(Defect::Overwrites));
        Ok(self.vendor.update(&pending.id, using, &pending.value).await?)
    }
}

#[async_trait]
impl Rotator for Updater {
    fn check(&self, versions: &SetContext<'_>) -> Result<(), Error> {
        let (current, pending) = (versions.current(), versions.pending());
        let (current, pending) = (current.secret().document()?, pending.secret().document()?);
        match current.difference(pending, &["key"]) {
            None => Ok(()),
            Some(field) => Err(Error::new(
                ErrorKind::Mismatch,
                format!("AWSPENDING differs from AWSCURRENT in {field:?} too"),
            )),
        }
    }

    async fn propose(&self, known: &CreateContext<'_>, _: &Invocation) -> Result<Secret, Error> {
        let base = known.current.secret();
        key(base)?;
        let value: SecretString = PasswordPolicy::default().generate()?;
        Ok(base.document()?.with("key", value.expose_secret()).into())
    }

    /// Current first, because it works in every healthy rotation, then pending, then what was
    /// current before, then what cancelled rotations left.
    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        _: &Invocation,
    ) -> Result<Applied, Error> {
        let current = key(versions.current().secret())?;
        let pending = key(versions.pending().secret())?;
        let changed = |through: &str| Ok(Applied::Changed(format!("set the value with {through}")));
        if self.update(&current, &pending, fence).await? {
            return changed("AWSCURRENT");
        }
        if self.defect != Some(Defect::NeverAsksPending)
            && self.vendor.verify(&pending.id, &pending.value).await?
        {
            return Ok(Applied::Already("the key has the pending value already".to_owned()));
        }
        let mut older: Vec<_> = versions.previous().await?.into_iter().collect();
        if self.defect != Some(Defect::ForgetsTheCancelled) {
            older.extend(versions.others().await?);
        }
        for version in older {
            let Ok(old) = key(version.secret()) else { continue };
            if old.id == current.id && self.update(&old, &pending, fence).await? {
                return changed(&format!("version {}", version.version()));
            }
        }
        Err(Error::new(ErrorKind::Rejected, "cannot set the value of the key")
            .caused_by("no version's value is the one that works; nothing was changed"))
    }

    async fn verify(&self, secret: &Secret, _: &Invocation) -> Result<Verdict, Error> {
        let key = key(secret)?;
        Ok(match self.vendor.verify(&key.id, &key.value).await? {
            true => Verdict::Accepted,
            false => Verdict::Rejected("the vendor does not know the value".to_owned()),
        })
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>, Error> {
        let current = subject.current;
        Ok(match self.verify(current.secret(), cx).await? {
            Verdict::Accepted => Vec::new(),
            Verdict::Rejected(why) => vec![Finding::Fails(Error::new(ErrorKind::Rejected, why))],
        })
    }
}
