//! The four steps. The only code that orders effects: everything else is asked by it.

use futures_util::join;

use crate::announce::{Announce, Promoted};
use crate::error::{Error, ErrorKind, Result};
use crate::event::RotationEvent;
use crate::ids::{SecretId, VersionId};
use crate::invocation::Invocation;
use crate::outcome::{Outcome, done, nothing};
use crate::replicas::{self, all_in_sync};
use crate::rotator::{
    Applied, CreateContext, Finding, InspectContext, PromoteContext, RetireContext, Rotator,
    SecretReader, SetContext, Verdict,
};
use crate::secret::{Current, Pending, Secret};
use crate::shell::discard_command;
use crate::staging::{Decision, decide};
use crate::step::Step;
use crate::store::{AWSCURRENT, SecretClient, SecretDescription, SecretStore, StoreErrorCode};

const ALREADY: &str = "this version is AWSCURRENT already";

/// Drives a rotator through the steps over a store.
///
/// It holds no state between steps, which may run twice, late, or side by side.
pub struct Engine<'a> {
    store: &'a dyn SecretStore,
    rotator: &'a dyn Rotator,
    replicas: bool,
    bus: Option<&'a dyn Announce>,
}

impl<'a> Engine<'a> {
    /// An engine over this store and rotator.
    pub fn new(store: &'a dyn SecretStore, rotator: &'a dyn Rotator) -> Self {
        Self { store, rotator, replicas: false, bus: None }
    }

    /// Whether finishSecret waits, within its deadline, until every replica of the secret in another Region
    /// has what the primary has. By default it does not.
    #[must_use]
    pub fn waiting_for_replicas(self, replicas: bool) -> Self {
        Self { replicas, ..self }
    }

    /// Where finishSecret tells that AWSCURRENT has moved. By default nowhere.
    #[must_use]
    pub fn announcing(self, bus: Option<&'a dyn Announce>) -> Self {
        Self { bus, ..self }
    }

    /// Does one step.
    ///
    /// # Errors
    /// Whatever stopped it, naming the step. Every step may be repeated after any error.
    pub async fn step(&self, event: &RotationEvent, cx: &Invocation) -> Result<Outcome> {
        let calls = SecretClient::new(self.store, &event.secret, cx);
        let work = Work { calls: &calls, rotator: self.rotator, event, cx, engine: self };
        match event.step {
            Step::Create => work.create().await,
            Step::Set => work.set().await,
            Step::Test => work.test().await,
            Step::Finish => work.finish().await,
        }
        .map_err(|error| error.at(event.step))
    }

    /// The store's calls about one secret, for [`crate::inspect`].
    pub(crate) fn calls(&self, secret: &'a SecretId, cx: &'a Invocation) -> SecretClient<'a> {
        SecretClient::new(self.store, secret, cx)
    }

    pub(crate) fn rotator(&self) -> &'a dyn Rotator {
        self.rotator
    }

    pub(crate) fn waits_for_replicas(&self) -> bool {
        self.replicas
    }
}

struct Work<'a> {
    calls: &'a SecretClient<'a>,
    rotator: &'a dyn Rotator,
    event: &'a RotationEvent,
    cx: &'a Invocation,
    engine: &'a Engine<'a>,
}

impl Work<'_> {
    /// Proposes the next secret and records it. Only *not found* is taken to mean that nothing
    /// was recorded yet: any other failure to read it ends the step.
    async fn create(&self) -> Result<Outcome> {
        let token = &self.event.token;
        let (description, current, pending) =
            join!(self.calls.describe(), self.calls.current(), self.calls.pending(token));
        let description = description?;
        if decide(&description, token)? == Decision::AlreadyCurrent {
            return Ok(nothing(ALREADY));
        }
        if pending?.is_some() {
            return Ok(nothing("a value is stored under this token already; it is kept"));
        }
        let current = fresh(&description, current?)?;
        // What this rotation is about to replace may be what a replica still answers with.
        if self.engine.replicas {
            all_in_sync(&description)?;
        }
        let known = CreateContext::new(self.calls, &current, token, &description);
        let proposed = self.rotator.propose(&known, self.cx).await?;
        let rotation_token = self.event.rotation_token.as_ref();
        let put = self.calls.put_pending(token, &proposed, rotation_token).await;
        if let Err(error) = &put
            && error.kind() == ErrorKind::Malformed
        {
            // It is too long, so it was not sent.
            self.discard(&proposed, &known).await;
        }
        match put? {
            Ok(()) => Ok(done("stored the proposed secret as AWSPENDING")),
            Err(error) if error.code == StoreErrorCode::AlreadyExists => {
                match self.calls.version(token).await? {
                    Some(stored) => self.outrun(stored.secret(), &proposed, &known).await,
                    None => Err(error.during("PutSecretValue")),
                }
            }
            Err(error) => {
                // Nothing is stored, and nothing ever will be: what was minted is known only here.
                if error.code.had_no_effect() && matches!(self.calls.version(token).await, Ok(None))
                {
                    self.discard(&proposed, &known).await;
                }
                Err(error.during("PutSecretValue"))
            }
        }
    }

    async fn discard(&self, proposed: &Secret, known: &CreateContext<'_>) {
        if let Err(error) = self.rotator.discard(proposed, known, self.cx).await {
            self.cx.warn(format!("what this run proposed was not discarded: {error}"));
        }
    }

    /// Another run's value is stored. Read by version id, it is found whatever became of its
    /// label; and a stored value does not change, so the proposal can never be recorded.
    async fn outrun(
        &self,
        stored: &Secret,
        proposed: &Secret,
        known: &CreateContext<'_>,
    ) -> Result<Outcome> {
        if stored != proposed {
            self.discard(proposed, known).await;
        }
        Ok(nothing("another run stored a value under this token; it is kept"))
    }

    /// Makes the recorded secret work at the target.
    async fn set(&self) -> Result<Outcome> {
        let token = &self.event.token;
        let (description, current, pending) =
            join!(self.calls.describe(), self.calls.current(), self.calls.pending_stored(token));
        let description = description?;
        if decide(&description, token)? == Decision::AlreadyCurrent {
            return Ok(nothing(ALREADY));
        }
        let current = fresh(&description, current?)?;
        let pending = pending.map_err(|error| self.clearing(error))?;
        let versions = SetContext::new(self.calls, &description, current, pending);
        self.rotator.check(&versions).map_err(|error| self.clearing(error))?;
        let fence = versions.fence();
        self.cx.enough_for_a_change()?;
        Ok(match self.rotator.apply(&versions, &fence, self.cx).await? {
            Applied::Changed(how) => done(how),
            Applied::Already(how) => nothing(how),
            Applied::Refused(why) => return Err(self.abandoned(why).await),
        })
    }

    /// Takes AWSPENDING off a value that the target refuses: the next rotation proposes another.
    async fn abandoned(&self, why: Error) -> Error {
        let RotationEvent { secret, token, .. } = self.event;
        let what = "the target refuses the proposed secret, and nothing was applied";
        let off = "AWSPENDING was taken off this version";
        let set = "change the setting, if one is named, then ";
        let fix = if why.kind() == ErrorKind::Conflict { "" } else { set };
        let why = why.while_doing(what);
        match self.calls.remove_pending(token).await {
            Ok(()) => why.caused_by(format!("{off}; {fix}rotate again")),
            Err(error) => why.caused_by(format!(
                "{fix}discard this version with `{}`, then rotate again; that \
                 could not be done here: {error}",
                discard_command(secret, token)
            )),
        }
    }

    /// Proves that the pending secret works. A pending secret that equals the current one is the
    /// call made when a schedule is set without rotating: there a real rotation is rehearsed too.
    async fn test(&self) -> Result<Outcome> {
        let token = &self.event.token;
        let (description, current, pending) =
            join!(self.calls.describe(), self.calls.current(), self.calls.pending_stored(token));
        let description = description?;
        if decide(&description, token)? == Decision::AlreadyCurrent {
            return Ok(nothing(ALREADY));
        }
        let pending = pending.map_err(|error| self.clearing(error))?;
        let rehearsal = current.as_ref().is_ok_and(|current| current.secret() == pending.secret());
        let (others, secret) = (SecretReader::new(self.calls), pending.secret());
        let verdict = self.rotator.verify_everywhere(secret, &others, self.cx).await;
        let verdict = verdict.map_err(|error| match rehearsal {
            // What is wrong with a copy is wrong with AWSCURRENT: discarding it would not help.
            true => error,
            false => self.clearing(error),
        });
        if let Verdict::Rejected(why) = verdict? {
            return Err(Error::new(ErrorKind::Rejected, "the pending secret does not log in")
                .caused_by(why));
        }
        let current = current?;
        if rehearsal {
            return self.rehearse(&current, &description).await;
        }
        let versions = SetContext::new(self.calls, &description, current, pending);
        self.rotator.compare(&versions, self.cx).await?;
        Ok(done("the pending secret logs in"))
    }

    /// Finds out whether a real rotation would succeed. Fails only on what would fail one, and
    /// with all of it.
    async fn rehearse(
        &self,
        current: &Current,
        description: &SecretDescription,
    ) -> Result<Outcome> {
        let subject = InspectContext::new(self.calls, current, description);
        let mut obstacles = Vec::new();
        let found = self.rotator.preflight(&subject, self.cx).await?;
        let replicas = replicas::findings_of_test(description, self.engine.replicas);
        for finding in replicas.into_iter().chain(found) {
            match finding {
                Finding::Fails(error) => obstacles.push(error),
                Finding::Warns(warning) => self.cx.warn(warning),
            }
        }
        let mut obstacles = obstacles.into_iter();
        let Some(first) = obstacles.next() else {
            return Ok(done("the current secret logs in and a rotation would succeed"));
        };
        let first = first.while_doing("a real rotation would fail");
        Err(obstacles
            .fold(first, |all, next| all.caused_by(format!("and then {}: {next}", next.kind()))))
    }

    /// Promotes the pending version, never one without a value, with one call, then retires what is
    /// no longer kept: where replicas are waited for, once they have it. A stored value does not change, so
    /// it is read while the labels are.
    async fn finish(&self) -> Result<Outcome> {
        let token = &self.event.token;
        let (description, pending) = join!(self.calls.describe(), self.calls.promotable(token));
        let description = description?;
        let (outcome, description) = match decide(&description, token)? {
            Decision::AlreadyCurrent => (nothing(ALREADY), description),
            Decision::Proceed => self.promote(description, pending).await?,
        };
        if self.engine.replicas && !description.replicas.is_empty() {
            self.calls.until_replicated().await?;
        }
        let keep = RetireContext::new(self.calls, description, token);
        self.rotator.retire(&keep, self.cx).await?;
        Ok(outcome)
    }

    /// Moves AWSCURRENT, and says which labels are where now: reading them may show them as they were.
    async fn promote(
        &self,
        description: SecretDescription,
        read: Result<Option<Pending>>,
    ) -> Result<(Outcome, SecretDescription)> {
        let token = &self.event.token;
        let pending = self.calls.to_promote(token, read).await;
        let pending = pending.map_err(|error| self.clearing(error))?;
        let from = description.holder(AWSCURRENT).ok_or_else(no_current)?;
        let versions = PromoteContext::new(self.calls, &description, &pending, from);
        self.rotator.confirm(&versions, self.cx).await.map_err(|error| self.clearing(error))?;
        let (how, read) = match self.calls.move_current(token, from).await? {
            Ok(()) => ("moved AWSCURRENT to this version", None),
            // The answer to an earlier attempt may have been lost, the SDK's own retry included.
            Err(error) if error.code == StoreErrorCode::InvalidParameter => {
                let description = self.calls.describe().await?;
                if !description.has(token, AWSCURRENT) {
                    let what = "AWSCURRENT was not moved to this version";
                    return Err(Error::new(ErrorKind::Conflict, what).caused_by(error));
                }
                ("AWSCURRENT was moved to this version by an earlier attempt", Some(description))
            }
            Err(error) => {
                // The SDK asks again by itself, so it may be the first of two requests that moved it.
                let unsure = !error.code.had_no_effect();
                let error = error.during("UpdateSecretVersionStage");
                let found = "AWSCURRENT may have been moved, and a retry finds out";
                return Err(if unsure { error.caused_by(found) } else { error });
            }
        };
        if let Some(bus) = self.engine.bus {
            let (secret, description) = (pending.secret(), &description);
            let promoted = Promoted { description, version: token, secret, replaced: from };
            promoted.tell(bus, self.rotator, self.calls, self.cx).await;
        }
        Ok((done(how), read.unwrap_or_else(|| description.promoted(token))))
    }

    /// Adds the way out to an error about a pending version that no retry can apply.
    fn clearing(&self, error: Error) -> Error {
        if !matches!(error.kind(), ErrorKind::Mismatch | ErrorKind::Malformed) {
            return error;
        }
        let RotationEvent { secret, token, .. } = self.event;
        error.caused_by(format!(
            "if AWSCURRENT is right and logs in, discard this version with `{}`, then rotate again",
            discard_command(secret, token)
        ))
    }
}

/// The current secret, if DescribeSecret calls it so: a stale base would revert an operator's edit.
fn fresh(description: &SecretDescription, current: Current) -> Result<Current> {
    let holder: &VersionId = description.holder(AWSCURRENT).ok_or_else(no_current)?;
    if holder == current.version() {
        return Ok(current);
    }
    Err(Error::new(ErrorKind::Conflict, "AWSCURRENT was read from a version that is not current")
        .caused_by("the labels are moving; nothing was changed, retry"))
}

fn no_current() -> Error {
    Error::new(
        ErrorKind::NotFound,
        "no version is labelled AWSCURRENT; store the working credential first",
    )
}
