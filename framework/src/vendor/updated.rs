//! A credential whose value the caller sets: one value works at a time.

use async_trait::async_trait;

use super::{Caller, Update, Updater, admin, check, control, heeds_keys, in_use, spread, wait};
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::rotator::{
    Applied, CreateContext, Fence, Finding, Form, InspectContext, PromoteContext, Rotator,
    SetContext, Verdict,
};
use crate::secret::Secret;
use crate::store::SecretDescription;

/// Rotates the credential of any [`Updater`].
///
/// The old value dies when setSecret sets the new one. Where the vendor is not told which value is
/// replaced, a container that stood still may set an old one after a newer rotation is done:
/// [`preflight`](Rotator::preflight) says so.
#[derive(Debug)]
pub struct UpdatedKey<V> {
    vendor: V,
}

impl<V> UpdatedKey<V> {
    /// Rotates this vendor's credential.
    pub fn new(vendor: V) -> Self {
        Self { vendor }
    }
}

/// What is said of a refused value that may work yet; what gives it up follows.
pub(super) const KEPT: &str =
    "it may have been set by an earlier run, so it is kept and tried again; if it stays refused";

/// `older`'s credential in `current`'s document: that is where the account is now. None of another place, where
/// it would be shown to a stranger.
pub(super) fn moved<V: Updater>(vendor: &V, older: &Secret, current: &Secret) -> Option<Secret> {
    if !vendor.same_place(older, current) {
        return None;
    }
    let Ok(mut document) = current.document().cloned() else {
        return older.document().is_err().then(|| older.clone());
    };
    let older = older.document().ok()?;
    for field in vendor.fields() {
        document = document.with(field, older.required(field).ok()?);
    }
    Some(document.into())
}

/// Asks about a secret in a step that shows no other: once at the least.
pub(super) async fn ask<V: Updater>(
    vendor: &V,
    secret: &Secret,
    cx: &Invocation,
) -> Result<Verdict> {
    asked(vendor, secret, &mut vendor.attempts().max(1), cx).await
}

/// Asks about a secret until it is let in or the vendor should have learnt of it. `left` is how many
/// logins more may be refused: some vendors lock an account for them. The last answer.
pub(super) async fn asked<V: Updater>(
    vendor: &V,
    secret: &Secret,
    left: &mut usize,
    cx: &Invocation,
) -> Result<Verdict> {
    if *left == 0 {
        return Ok(Verdict::Rejected("no more logins may be refused in this step".to_owned()));
    }
    let verdict = vendor.verify(secret, cx).await?;
    *left -= usize::from(verdict != Verdict::Accepted);
    again(vendor, secret, verdict, left, cx).await
}

/// The same after that answer: a pause comes before each question.
async fn again<V: Updater>(
    vendor: &V,
    secret: &Secret,
    mut verdict: Verdict,
    left: &mut usize,
    cx: &Invocation,
) -> Result<Verdict> {
    let mut pauses = spread(vendor.propagation(), left.saturating_add(1));
    while verdict != Verdict::Accepted && wait(&mut pauses, cx).await {
        verdict = vendor.verify(secret, cx).await?;
        *left = left.saturating_sub(usize::from(verdict != Verdict::Accepted));
    }
    Ok(verdict)
}

/// A value that somebody set over meanwhile is not promoted.
pub(super) async fn still_works<V: Updater>(
    vendor: &V,
    versions: &PromoteContext<'_>,
    cx: &Invocation,
) -> Result<()> {
    match ask(vendor, versions.pending().secret(), cx).await? {
        Verdict::Accepted => Ok(()),
        Verdict::Rejected(why) => {
            let what = "the vendor refuses AWSPENDING, which worked in testSecret";
            Err(Error::new(ErrorKind::Rejected, what).caused_by(why))
        }
    }
}

/// One attempt to replace one value by pending's.
struct Change<'a, V> {
    vendor: &'a V,
    admin: Option<&'a Secret>,
    pending: &'a Secret,
    fence: &'a dyn Fence,
    cx: &'a Invocation,
}

impl<V: Updater> Change<'_, V> {
    /// Sets pending's value if `old` is the one that works.
    async fn through(&self, old: &Secret) -> Result<Update> {
        // The vendor does not compare, so we do: an account is not taken over without proof.
        if !self.vendor.compares()
            && let Verdict::Rejected(_) = self.vendor.verify(old, self.cx).await?
        {
            return Ok(Update::Stale);
        }
        let caller = Caller { own: old, admin: self.admin };
        let kept = self.vendor.kept(self.pending, &caller, self.cx).await?;
        self.fence.pass().await?;
        self.vendor.update(old, self.pending, &kept, &caller, self.cx).await
    }

    /// The vendor refused the value. Only if the one that worked still does was nothing applied; where
    /// the vendor's parts learn late, that proves nothing, and neither does a refusal of a value
    /// that an earlier run set.
    async fn refused(&self, why: Error, old: &Secret) -> Result<Applied> {
        if self.vendor.verify(self.pending, self.cx).await? == Verdict::Accepted {
            return Ok(Applied::Already("the pending value works already".into()));
        }
        if !self.vendor.propagation().is_zero() {
            let off = "take AWSPENDING off this version and rotate again";
            return Err(why.caused_by(KEPT).caused_by(off));
        }
        match self.vendor.verify(old, self.cx).await? {
            Verdict::Accepted => Ok(Applied::Refused(why)),
            Verdict::Rejected(_) => {
                Err(why.caused_by("and the value that worked does not any more; retry"))
            }
        }
    }
}

#[async_trait]
impl<V: Updater> Rotator for UpdatedKey<V> {
    fn check(&self, versions: &SetContext<'_>) -> Result<()> {
        check(self.vendor.fields(), versions)
    }

    fn form(&self, _: &Secret, _: &SecretDescription) -> Option<(&'static str, Form)> {
        Some(("updated value", Form::OnePassword))
    }

    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret> {
        let current = known.current.secret();
        let proposed = self.vendor.propose(current)?;
        heeds_keys(self.vendor.negative_control(current, cx).await)?;
        Ok(proposed)
    }

    /// Current first, because it works in every healthy rotation, then pending, then what was
    /// current before, then what cancelled rotations left; pending is waited for last.
    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Applied> {
        let (current, pending) = (versions.current().secret(), versions.pending().secret());
        let admin = admin(self.vendor.admin(current), &versions.other_secrets()).await?;
        let change = Change { vendor: &self.vendor, admin: admin.as_ref(), pending, fence, cx };
        match change.through(current).await? {
            Update::Made => return Ok(Applied::Changed("set the value with AWSCURRENT".into())),
            Update::Refused(why) => return change.refused(why, current).await,
            Update::Stale => {}
        }
        let refused = self.vendor.verify(pending, cx).await?;
        if refused == Verdict::Accepted {
            return Ok(Applied::Already("the pending value works already".into()));
        }
        let mut older: Vec<_> = versions.previous().await?.into_iter().collect();
        older.extend(versions.others().await?);
        let mut tried = vec![current.clone(), pending.clone()];
        for version in older {
            let Some(old) = moved(&self.vendor, version.secret(), current) else { continue };
            if tried.contains(&old) || tried.len() >= self.vendor.attempts() {
                continue;
            }
            match change.through(&old).await? {
                Update::Made => {
                    let how = format!("set the value with version {}", version.version());
                    return Ok(Applied::Changed(how));
                }
                Update::Refused(why) => return change.refused(why, &old).await,
                Update::Stale => tried.push(old),
            }
        }
        let mut left = self.vendor.attempts().saturating_sub(tried.len());
        if again(&self.vendor, pending, refused, &mut left, cx).await? == Verdict::Accepted {
            return Ok(Applied::Already("the pending value works already".into()));
        }
        Err(Error::new(ErrorKind::Rejected, "cannot set the new value").caused_by(format!(
            "the values of {} versions were tried and refused; nothing was changed",
            tried.len()
        )))
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict> {
        ask(&self.vendor, secret, cx).await
    }

    async fn confirm(&self, versions: &PromoteContext<'_>, cx: &Invocation) -> Result<()> {
        still_works(&self.vendor, versions, cx).await
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let current = subject.current.secret();
        findings.extend(control(self.vendor.negative_control(current, cx).await));
        self.vendor.propose(current)?;
        admin(self.vendor.admin(current), &subject.other_secrets()).await?;
        let verdict = self.vendor.verify(current, cx).await?;
        findings.extend(in_use(verdict, self.vendor.unheeded(current, cx)).await);
        if !self.vendor.compares() {
            findings.push(Finding::Warns(
                "this vendor is not told which value is replaced, so a container that stood still \
                 can undo a newer rotation; the next rotation repairs that"
                    .to_owned(),
            ));
        }
        Ok(findings)
    }

    fn untried(&self) -> Option<&'static str> {
        Some("setting a value")
    }

    async fn plan(&self, subject: &InspectContext<'_>, cx: &Invocation) -> Result<Vec<String>> {
        super::plan::of_update(&self.vendor, subject, cx).await
    }
}
