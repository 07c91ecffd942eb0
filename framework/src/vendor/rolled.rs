//! A credential that the vendor makes anew in its place, while the one in use works on: two slots
//! of which one is in use, or one value whose predecessor works on for a time.
//!
//! The new value is read, and not taken from the answer that made it: a lost answer loses nothing.

mod proof;

use std::time::Duration;

use async_trait::async_trait;

use super::plan::fails;
use super::{Caller, Roller, admin, check, control, heeds_keys, in_use, pauses, wait};
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::rotator::{
    Applied, CreateContext, Fence, Finding, InspectContext, PromoteContext, Rotator, SecretReader,
    SetContext, Verdict,
};
use crate::secret::Secret;
use crate::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};

/// The longest that a value is waited for once setSecret saw it working.
const TEST_TIME: Duration = Duration::from_secs(5);

/// How many versions are asked about at most: some vendors lock whoever shows wrong keys.
const MOST_ASKED: usize = 6;

/// Rotates the credential of any [`Roller`].
///
/// No vendor compares what it replaces. A container that stood still between the fence and its
/// request may replace the value of a newer rotation; the next rotation repairs that, by the
/// version whose value works.
#[derive(Debug)]
pub struct RolledKey<V> {
    vendor: V,
}

impl<V> RolledKey<V> {
    /// Rotates this vendor's credential.
    pub fn new(vendor: V) -> Self {
        Self { vendor }
    }
}

impl<V: Roller> RolledKey<V> {
    /// The slot whose value is made anew: the one that is not in use, where there are two.
    fn idle(&self, own: &Secret) -> Result<String> {
        let slot = self.vendor.slot(own)?;
        match self.vendor.slots() {
            [] => Ok(slot),
            slots => slots.iter().find(|one| **one != slot).cloned().ok_or_else(|| {
                Error::new(ErrorKind::Malformed, "the vendor is said to have one slot")
            }),
        }
    }

    async fn ask(&self, secret: &Secret, most: Duration, cx: &Invocation) -> Result<Verdict> {
        let mut pauses = pauses(self.vendor.propagation().min(most));
        loop {
            match self.vendor.verify(secret, cx).await? {
                Verdict::Rejected(_) if wait(&mut pauses, cx).await => {}
                verdict => return Ok(verdict),
            }
        }
    }

    /// Refuses to replace a value that a version holds for whoever labelled it.
    async fn free(&self, known: &CreateContext<'_>, standing: &Secret) -> Result<()> {
        let usual = [AWSCURRENT, AWSPENDING, AWSPREVIOUS];
        let labels = &known.description.labels;
        let others = labels.values().flatten().any(|label| !usual.contains(&label.as_str()));
        if !others {
            return Ok(());
        }
        for version in known.stored().await? {
            let on = labels.get(version.version()).into_iter().flatten();
            let label = on.into_iter().find(|label| !usual.contains(&label.as_str()));
            if let Some(label) = label
                && self.same_value(version.secret(), standing)
            {
                let what = format!("the slot to be made anew holds the value of {label:?}");
                return Err(Error::new(ErrorKind::Conflict, what)
                    .caused_by("take that label away, then rotate again; nothing was changed"));
            }
        }
        Ok(())
    }

    fn same_value(&self, one: &Secret, other: &Secret) -> bool {
        match (one.document(), other.document()) {
            (Ok(a), Ok(b)) => self.vendor.fields().iter().all(|it| a.field(it) == b.field(it)),
            _ => one == other,
        }
    }

    /// What stands against a value that was recorded: it works, and is the one that is shown.
    async fn unfit(
        &self,
        pending: &Secret,
        secrets: &SecretReader<'_>,
        most: Duration,
        cx: &Invocation,
    ) -> Result<Option<Error>> {
        let admin = admin(self.vendor.admin(pending), secrets).await?;
        let caller = Caller { own: pending, admin: admin.as_ref() };
        let verdict = self.ask(pending, most, cx).await?;
        let slot = self.vendor.slot(pending)?;
        if !self.stands(pending, &caller, cx).await? {
            let what = format!("AWSPENDING's value is not the one in {}", place(&slot));
            let error = Error::new(ErrorKind::Conflict, what);
            return Ok(Some(error.caused_by("somebody made it anew since it was recorded")));
        }
        match verdict {
            Verdict::Accepted => Ok(None),
            Verdict::Rejected(why) => {
                let what = format!("the vendor refuses AWSPENDING's key in {}", place(&slot));
                Err(Error::new(ErrorKind::Rejected, what).caused_by(why))
            }
        }
    }
}

/// A slot, for messages.
fn place(slot: &str) -> String {
    match slot {
        "" => "the vendor's one place".to_owned(),
        slot => format!("the vendor's slot {slot:?}"),
    }
}

#[async_trait]
impl<V: Roller> Rotator for RolledKey<V> {
    fn check(&self, versions: &SetContext<'_>) -> Result<()> {
        check(self.vendor.fields(), versions)
    }

    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret> {
        let current = known.current.secret();
        self.vendor.slot(current).map_err(|error| error.while_doing("AWSCURRENT"))?;
        let admin = admin(self.vendor.admin(current), &known.other_secrets()).await?;
        heeds_keys(self.vendor.negative_control(current, cx).await)?;
        let own = self.working(known, admin.as_ref(), cx).await?;
        let caller = Caller { own: &own, admin: admin.as_ref() };
        let slot = self.idle(&own)?;
        let before = self.vendor.shown(current, &slot, &caller, cx).await?;
        // An earlier run's answer was lost, or a person made it: what replaced the value in use is
        // there already, and another one would end what is left of its time.
        let slots = !self.vendor.slots().is_empty();
        if !slots && !self.same_value(&before, &own) {
            self.tried(&before, Duration::MAX, cx).await?;
            cx.warn("the vendor shows another value than AWSCURRENT's, and that is taken over");
            return Ok(before);
        }
        self.free(known, &before).await?;
        known.fence().pass().await?;
        self.vendor.roll(&slot, &caller, cx).await?;
        let mut pauses = pauses(self.vendor.propagation());
        loop {
            let after = self.vendor.shown(current, &slot, &caller, cx).await?;
            if !self.same_value(&after, &before) {
                self.works_on(&own, cx).await;
                // Not tried here: one value that stood here before was AWSCURRENT's, so this place is
                // its own, and a new value that is let in late would be recorded nowhere. setSecret waits.
                return Ok(after);
            }
            if !wait(&mut pauses, cx).await {
                let what = format!("the vendor shows the old value in {}", place(&slot));
                return Err(Error::new(ErrorKind::Unsupported, what).caused_by(
                    "it says that it made a new one; look at where the specification reads it",
                ));
            }
        }
    }

    /// A value works from the moment it is made. Whether it is still there is asked, because a
    /// pending value cannot be replaced: one that is gone makes way for another rotation's.
    async fn apply(
        &self,
        versions: &SetContext<'_>,
        _fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Applied> {
        let pending = versions.pending().secret();
        match self.unfit(pending, &versions.other_secrets(), Duration::MAX, cx).await? {
            Some(why) => Ok(Applied::Refused(why)),
            None => Ok(Applied::Already("the pending value works since the vendor made it".into())),
        }
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict> {
        self.ask(secret, TEST_TIME, cx).await
    }

    async fn confirm(&self, versions: &PromoteContext<'_>, cx: &Invocation) -> Result<()> {
        let kept = "AWSCURRENT stays where it is";
        let secrets = versions.other_secrets();
        match self.unfit(versions.pending().secret(), &secrets, TEST_TIME, cx).await {
            Ok(None) => Ok(()),
            Ok(Some(error)) | Err(error) => Err(error.while_doing(AWSPENDING).caused_by(kept)),
        }
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>> {
        let current = subject.current.secret();
        let slot = self.vendor.slot(current)?;
        let mut findings = Vec::new();
        findings.extend(control(self.vendor.negative_control(current, cx).await));
        let verdict = self.ask(current, TEST_TIME, cx).await?;
        findings.extend(in_use(verdict, self.vendor.unheeded(current, cx)).await);
        let admin = admin(self.vendor.admin(current), &subject.other_secrets()).await?;
        let caller = Caller { own: current, admin: admin.as_ref() };
        match self.vendor.shown(current, &slot, &caller, cx).await {
            Ok(shown) if shown == *current => {}
            Ok(shown) if self.vendor.slots().is_empty() => {
                findings.push(self.replaced(&shown, cx).await);
            }
            Ok(_) => findings.push(Finding::Fails(self.misplaced(&slot))),
            Err(error) => findings.push(Finding::Fails(error)),
        }
        findings.push(Finding::Warns(
            "this vendor is not told which value is replaced, so a container that stood still can \
             replace that of a newer rotation; the next rotation repairs that"
                .to_owned(),
        ));
        Ok(findings)
    }

    fn untried(&self) -> Option<&'static str> {
        Some(match self.vendor.slots() {
            [] => "making a value anew, and whether the one that it replaces works on",
            _ => "making a value anew",
        })
    }

    async fn plan(&self, subject: &InspectContext<'_>, cx: &Invocation) -> Result<Vec<String>> {
        let current = subject.current.secret();
        let asking = self.vendor.admin(current)?;
        let admin = admin(Ok(asking.clone()), &subject.other_secrets()).await?;
        if self.vendor.slots().is_empty() {
            let caller = Caller { own: current, admin: admin.as_ref() };
            let shown = self.vendor.shown(current, "", &caller, cx).await?;
            if !self.same_value(&shown, current) {
                let taken = "createSecret takes over the value that the vendor shows, which is not \
                             AWSCURRENT's, and has none made";
                return match self.tried(&shown, TEST_TIME, cx).await {
                    Ok(()) => Ok(vec![taken.to_owned()]),
                    Err(error) if error.kind() == ErrorKind::Mismatch => {
                        Ok(vec![fails("createSecret", &error)])
                    }
                    Err(error) => Err(error),
                };
            }
        }
        let who = asking.map(|secret| format!(", asked by the admin of secret {secret}"));
        let who = who.unwrap_or_default();
        let slot = self.idle(current)?;
        let works = match self.vendor.slots() {
            [] => "AWSCURRENT's works on for the vendor's time".to_owned(),
            _ => format!("AWSCURRENT's is in another; what {slot:?} holds stops working then"),
        };
        let first = format!("createSecret has {} made anew{who}: {works}", place(&slot));
        let mut lines = vec![first];
        if let Verdict::Rejected(why) = self.vendor.verify(current, cx).await? {
            lines.push(format!(
                "the slot is another one if an older version's key works: AWSCURRENT's is \
                 refused, {why}"
            ));
        }
        Ok(lines)
    }
}
