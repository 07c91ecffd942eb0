//! What must hold at every moment, and what must be true when a rotation is done.

use fourstep::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, Select, StoreErrorCode};
use fourstep::{Error, Secret, VersionId};
use fourstep_local::{NewValue, ReadValue};

use super::remote::Overlap;
use super::report::{Violation, What};
use super::simulation::{Checked, Intervention, Promise, Simulation, version};

impl Simulation {
    /// Some version that was promised to log in does; nothing else at the remote is wrong.
    pub(super) async fn check(&mut self) -> Checked {
        if let Some(complaint) = self.remote.complaint() {
            return Err(self.wrong(What::Complaint(complaint)));
        }
        let (candidates, broken) = match self.promise {
            Promise::Current => (self.holder(AWSCURRENT)?.into_iter().collect(), What::CurrentDead),
            Promise::Labelled => (self.with_labels()?, What::LabelledDead),
            Promise::Stored => (self.stored()?, What::StoredDead),
            Promise::Untouched => {
                let own = Secret::decode(&self.remote.secret().into());
                let untouched = self.remote.accepts(&own).await;
                return if untouched { Ok(()) } else { Err(self.wrong(What::Touched)) };
            }
        };
        for version in candidates {
            if self.accepts(Some(&version)).await? {
                return Ok(());
            }
        }
        Err(self.wrong(broken))
    }

    /// Whoever is refused because the credentials for the store ended says that, so that a retry is
    /// waited for and nobody looks for a permission that is missing.
    pub(super) fn check_cause(&self, error: Option<&Error>) -> Checked {
        let expected = StoreErrorCode::Expired;
        let named = |error: &Error| {
            error.kind() == expected.kind() && error.to_string().contains(expected.name())
        };
        let unnamed = self.wire.line().expired && error.is_some_and(|error| !named(error));
        if unnamed { Err(self.wrong(What::Unnamed)) } else { Ok(()) }
    }

    /// Exactly the kept credentials work.
    pub(super) async fn kept(&mut self) -> Checked {
        let (current, previous) = (self.holder(AWSCURRENT)?, self.holder(AWSPREVIOUS)?);
        if !self.accepts(current.as_ref()).await? {
            return Err(self.wrong(What::CurrentDead));
        }
        let full = self.overlap == Overlap::Full;
        let dead = full && previous.is_some() && !self.accepts(previous.as_ref()).await?;
        if dead && !self.disturbed {
            return Err(self.wrong(What::PreviousDead));
        }
        let mut kept = vec![current];
        kept.extend(full.then_some(previous));
        let mut secrets = Vec::new();
        for version in kept.into_iter().flatten() {
            secrets.extend(self.value(&version)?);
        }
        // A container that stands still may be about to revoke what is left over. One that came
        // late to a cancelled rotation left something newer, which is for the next rotation.
        let late = self.late && self.disturbed;
        if self.frozen.is_some() || late || self.remote.lingers() {
            return Ok(());
        }
        let fields = self.remote.credential();
        // Where AWSPREVIOUS was moved to a dead version, another one works in its stead.
        let others = if dead { Vec::new() } else { self.stored()? };
        for version in others {
            let Some(secret) = self.value(&version)? else { continue };
            let kept = secrets.iter().any(|one| same_credential(one, &secret, fields));
            if !kept && self.remote.accepts(&secret).await {
                return Err(self.wrong(What::OldAlive));
            }
        }
        let credentials = self.remote.credentials().await;
        if credentials.is_none() {
            self.wire.line().gap("the remote does not say how many credentials work");
        }
        match (credentials, self.remote.unsettled()) {
            (Some(number), _) if number > secrets.len() => Err(self.wrong(What::LeftOver)),
            (_, Some(what)) => Err(self.wrong(What::Complaint(what))),
            _ => Ok(()),
        }
    }

    pub(super) async fn accepts(&mut self, version: Option<&VersionId>) -> Checked<bool> {
        let Some(version) = version else { return Ok(false) };
        match self.value(version)? {
            Some(secret) => Ok(self.remote.accepts(&secret).await),
            None => Ok(false),
        }
    }

    /// One version's value. A stored version does not change, so each is decoded once.
    pub(super) fn value(&mut self, version: &VersionId) -> Checked<Option<Secret>> {
        if let Some(secret) = self.values.get(version) {
            return Ok(Some(secret.clone()));
        }
        let value = match self.memory().get(&self.secret, Select::Version(version)) {
            Ok(ReadValue { value, .. }) => value,
            Err(error) if error.code == StoreErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(Violation::of_kit(&self.wire, &error)),
        };
        let secret = Secret::of_value(&value);
        self.values.insert(version.clone(), secret.clone());
        Ok(Some(secret))
    }

    fn with_labels(&self) -> Checked<Vec<VersionId>> {
        let detail = self.kit(self.memory().describe(&self.secret))?;
        Ok(detail.labels.into_keys().collect())
    }

    pub(super) fn stored(&self) -> Checked<Vec<VersionId>> {
        let listed = self.kit(self.memory().list(&self.secret, true))?;
        Ok(listed.versions.into_iter().map(|version| version.version).collect())
    }

    /// Does what an operator, or fate, does beside the rotation.
    pub(super) async fn perform(&mut self, intervention: Intervention) -> Checked {
        if intervention == Intervention::Administer {
            return self.administer().map(drop);
        }
        self.disturbed = true;
        self.healed_by = Some(self.rotations + 1);
        let weaker = match intervention {
            Intervention::Cancel | Intervention::Edit | Intervention::Forget => Promise::Stored,
            // Whoever moves labels under a running rotation takes over its promise.
            Intervention::RollBack if self.under_way()? => Promise::Stored,
            Intervention::RollBack | Intervention::Administer => self.promise,
        };
        if self.overlap == Overlap::None
            || matches!(intervention, Intervention::Forget | Intervention::RollBack)
        {
            self.promise = self.promise.min(weaker);
        }
        self.wire.line().touched = true;
        match intervention {
            Intervention::Cancel => self.clear(),
            Intervention::Edit => self.edit(),
            Intervention::RollBack => self.roll_back().await,
            Intervention::Forget => {
                if self.remote.forget() {
                    self.wire.line().note("the remote forgets what was done since");
                }
                Ok(())
            }
            Intervention::Administer => Ok(()),
        }
    }

    /// Somebody changes what belongs to the account in use. No promise is weaker for it; but what
    /// is done between testSecret and the promotion is carried over by the next rotation only.
    pub(super) fn administer(&mut self) -> Checked<bool> {
        let Some(current) = self.holder(AWSCURRENT)? else { return Ok(false) };
        let Some(secret) = self.value(&current)? else { return Ok(false) };
        if !self.remote.administer(&secret) {
            return Ok(false);
        }
        self.wire.line().note(format!("somebody changes what belongs to the account of {current}"));
        self.healed_by = Some(self.rotations + 1);
        Ok(true)
    }

    /// Somebody stores AWSCURRENT again as the remote says, or with a note added, or, if it is no document,
    /// as it is.
    fn edit(&mut self) -> Checked {
        let Some(current) = self.holder(AWSCURRENT)? else { return Ok(()) };
        let Some(secret) = self.value(&current)? else { return Ok(()) };
        let edited = match (self.remote.edited(&secret), secret.document()) {
            (Some(text), _) => Secret::decode(&text.as_str().into()),
            (None, Ok(document)) => Secret::from(document.with("note", "edited")),
            (None, Err(_)) => secret,
        };
        let token = version(1_000);
        self.wire.line().note(format!("somebody stores an edited copy of {current} as {token}"));
        let new = NewValue::current(&token, edited.encode());
        let put = self.memory().put(&self.secret, new);
        self.kit(put.map(drop))
    }

    /// Somebody moves AWSCURRENT back to the version before, having seen that it logs in where two
    /// credentials work.
    async fn roll_back(&mut self) -> Checked {
        let (Some(current), Some(previous)) = (self.holder(AWSCURRENT)?, self.holder(AWSPREVIOUS)?)
        else {
            return Ok(());
        };
        if self.overlap == Overlap::Full && !self.accepts(Some(&previous)).await? {
            return Ok(());
        }
        self.wire.line().note(format!("somebody moves AWSCURRENT from {current} to {previous}"));
        let moved =
            self.memory().update_stage(&self.secret, AWSCURRENT, Some(&previous), Some(&current));
        self.kit(moved.map(drop))
    }

    /// Whether a rotation was begun and did not end.
    fn under_way(&self) -> Checked<bool> {
        let (pending, current) = (self.holder(AWSPENDING)?, self.holder(AWSCURRENT)?);
        Ok(pending.is_some() && pending != current)
    }

    /// The version that carries a label.
    pub(super) fn holder(&self, label: &str) -> Checked<Option<VersionId>> {
        let detail = self.kit(self.memory().describe(&self.secret))?;
        let labels = detail.labels.into_iter();
        let mut holders = labels.filter(|(_, on)| on.iter().any(|one| one == label));
        Ok(holders.next().map(|(version, _)| version))
    }
}

/// Whether two secrets hold the same credential. Texts are compared whole.
pub(super) fn same_credential(one: &Secret, other: &Secret, fields: &[&str]) -> bool {
    match (one.document(), other.document()) {
        (Ok(one), Ok(other)) => fields.iter().all(|field| one.field(field) == other.field(field)),
        _ => one == other,
    }
}
