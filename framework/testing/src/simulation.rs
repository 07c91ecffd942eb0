//! One run: a secret, its remote, the service that delivers steps, and what must hold meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use fourstep::{Error, Outcome, RotationEvent, Secret, SecretId, SecretValue, Step, VersionId};
use fourstep_local::{MemoryStore, NewRotation, NewSecret, PendingLabel};

use super::conformance::{Log, altered};
use super::process::{Process, Progress, WiredStore};
use super::remote::{Function, Overlap, Remote, Testbed};
use super::report::{Violation, What};
use super::wire::{Stop, Wire};

const FUNCTION_ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:kit";

/// The ARN of the secret that is rotated, for rotators that must be told of it.
pub const SECRET_ARN: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:kit-AbCdEf";

/// Longer than any rotation: a run that gets there goes round in circles.
const MOST_CALLS: u64 = 5_000;

/// How a process ended, as the service sees it.
pub(super) enum End {
    Answered(Result<Outcome, Error>),
    Killed,
}

/// How a process stands after one more call.
pub(super) enum Standstill {
    /// Before the next call.
    Ready,
    /// Before something that another process holds.
    Blocked,
    Ended(End),
}

/// Something that happens beside the rotation, once, at any moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intervention {
    /// Somebody cancels the rotation and removes AWSPENDING.
    Cancel,
    /// Somebody stores AWSCURRENT's value again with a note added.
    Edit,
    /// Somebody moves AWSCURRENT back to the version before.
    RollBack,
    /// The remote loses what was done since the last rotation ended.
    Forget,
    /// Somebody changes what belongs to the account besides its credential.
    Administer,
}

/// What must log in at every moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Promise {
    /// None of the secret's, for none ever did; the remote is as it was.
    Untouched,
    /// Some stored version: whoever cancels a rotation takes the label off what it applied.
    Stored,
    /// Some version with a label.
    Labelled,
    /// AWSCURRENT itself.
    Current,
}

pub(super) struct Simulation {
    pub(super) wire: Wire,
    pub(super) remote: Box<dyn Remote>,
    pub(super) overlap: Overlap,
    store: Arc<WiredStore>,
    pub(super) secret: SecretId,
    /// How many rotations began.
    pub(super) rotations: u32,
    pub(super) promise: Promise,
    /// The number of the first rotation that began after the promise was weakened: what was under
    /// way then need not restore it.
    pub(super) healed_by: Option<u32>,
    /// Whether anything happened that a token need not survive.
    pub(super) disturbed: bool,
    /// What may still happen beside the rotation.
    pub(super) intervention: Option<Intervention>,
    /// A container that stands still somewhere and may wake up at any moment.
    pub(super) frozen: Option<Process>,
    /// Whether one woke up after this rotation began.
    pub(super) late: bool,
    /// Whether it woke up and only waits for what another process holds.
    awake: bool,
    /// One process for every step, as a warm container.
    pub(super) warm: Option<Arc<dyn Function>>,
    pub(super) left: PendingLabel,
    pub(super) values: BTreeMap<VersionId, Secret>,
    /// What was logged, where that is searched.
    pub(super) log: Option<Log>,
    /// Logins that the target refused in the last step that ended.
    pub(super) refused: u32,
}

pub(super) type Checked<T = ()> = Result<T, Violation>;

impl Simulation {
    /// A secret and a fresh remote.
    pub(super) async fn new(testbed: &dyn Testbed, wire: &Wire) -> Checked<Self> {
        Self::at(testbed.fresh(wire).await, testbed.overlap(), wire).await
    }

    /// A world in which everything that is logged is written down.
    pub(super) async fn listening(
        remote: Box<dyn Remote>,
        overlap: Overlap,
        wire: &Wire,
    ) -> Checked<Self> {
        let mut simulation = Self::at(remote, overlap, wire).await?;
        simulation.log = Some(Log::default());
        Ok(simulation)
    }

    /// The same with a secret that does not work: somebody changed the credential at the remote.
    pub(super) async fn locked_out(
        remote: Box<dyn Remote>,
        overlap: Overlap,
        wire: &Wire,
    ) -> Checked<Self> {
        let right = Secret::decode(&remote.secret().into());
        let mut simulation = match altered(&right, remote.credential()) {
            Some(wrong) => Self::holding(remote, overlap, wire, wrong.encode())?,
            None => return Err(Violation::of_kit(wire, &"the secret cannot be altered")),
        };
        (simulation.promise, simulation.log) = (Promise::Untouched, Some(Log::default()));
        simulation.check().await?;
        Ok(simulation)
    }

    async fn at(remote: Box<dyn Remote>, overlap: Overlap, wire: &Wire) -> Checked<Self> {
        let value = SecretValue::from(remote.secret().as_str());
        let mut simulation = Self::holding(remote, overlap, wire, value)?;
        simulation.check().await?;
        Ok(simulation)
    }

    fn holding(
        remote: Box<dyn Remote>,
        overlap: Overlap,
        wire: &Wire,
        value: SecretValue,
    ) -> Checked<Self> {
        let (store, value) = (Arc::new(MemoryStore::new()), Some(value));
        let token = Some(version(0));
        let arn = Some(SECRET_ARN.to_owned());
        let new = NewSecret { value, token, arn, ..NewSecret::default() };
        let secret = store.create("kit", new).map_err(|error| Violation::of_kit(wire, &error))?;
        let secret =
            SecretId::parse(&secret.arn).map_err(|error| Violation::of_kit(wire, &error))?;
        for (name, value) in remote.other_secrets() {
            let new = NewSecret { value: Some(value.as_str().into()), ..NewSecret::default() };
            store.create(name, new).map_err(|error| Violation::of_kit(wire, &error))?;
        }
        remote.placed(&store);
        Ok(Self {
            store: Arc::new(WiredStore::new(store, wire.clone())),
            wire: wire.clone(),
            remote,
            overlap,
            secret,
            rotations: 0,
            promise: full_promise(overlap),
            healed_by: None,
            disturbed: false,
            intervention: None,
            frozen: None,
            late: false,
            awake: false,
            warm: None,
            left: PendingLabel::Removed,
            values: BTreeMap::new(),
            log: None,
            refused: 0,
        })
    }

    pub(super) fn memory(&self) -> &MemoryStore {
        &self.store.store
    }

    pub(super) fn wrong(&self, what: What) -> Violation {
        Violation::new(what, &self.wire)
    }

    pub(super) fn kit<T>(&self, result: Result<T, fourstep::store::StoreError>) -> Checked<T> {
        result.map_err(|error| Violation::of_kit(&self.wire, &error))
    }

    /// RotateSecret, as a schedule or a person calls it. Where a container that came late left
    /// AWSPENDING on a dead version, somebody has to take it off first.
    pub(super) fn begin(&mut self) -> Checked<VersionId> {
        if self.disturbed {
            self.clear()?;
        }
        if self.remote.overtakes() {
            self.end_the_frozen();
        }
        self.late = false;
        self.rotations += 1;
        let token = version(self.rotations);
        self.wire.line().note(format!("RotateSecret {token}"));
        self.kit(self.memory().rotate(&self.secret, &NewRotation::now(&token, FUNCTION_ARN)))?;
        Ok(token)
    }

    /// A container that stands still longer than AWS lets any invocation live goes without a word.
    pub(super) fn end_the_frozen(&mut self) {
        if self.frozen.is_some() {
            self.wire.line().note("B is ended");
            self.wire.line().vanishing = true;
            self.frozen = None;
            self.wire.line().vanishing = false;
        }
    }

    /// A new process that is to do this step, before its first call.
    pub(super) fn process(&self, name: &'static str, step: Step, token: &VersionId) -> Process {
        self.wire.line().note(format!("{name} begins {step} {token}"));
        let function = match &self.warm {
            Some(function) => Arc::clone(function),
            None => Arc::from(self.remote.function()),
        };
        let event = RotationEvent {
            step,
            secret: self.secret.clone(),
            token: token.clone(),
            rotation_token: None,
        };
        self.wire.line().renew();
        let hears = self.log.as_ref().map(Log::dispatch);
        Process::new(name, Arc::clone(&self.store), function, event, hears)
    }

    /// Runs a process to its end, call by call, and checks after each that what must hold does.
    /// Between two calls anything may happen that is still to happen.
    pub(super) async fn run(&mut self, mut process: Process) -> Checked<End> {
        // Between two steps, too.
        self.meanwhile().await?;
        loop {
            match self.advance(&mut process, true).await? {
                Standstill::Ended(end) => return Ok(end),
                Standstill::Ready | Standstill::Blocked => self.meanwhile().await?,
            }
        }
    }

    /// Lets a process make one call. A `patient` one that is blocked waits until the remote ends
    /// what blocks it, or its own time is over.
    pub(super) async fn advance(
        &mut self,
        process: &mut Process,
        patient: bool,
    ) -> Checked<Standstill> {
        let wire = self.wire.clone();
        let mut progress = process.advance(&wire, 1, false).await;
        if matches!(progress, Progress::Stopped(Stop::Blocked)) && patient {
            self.remote.hour_passes();
            progress = process.advance(&wire, 0, true).await;
        }
        if std::mem::take(&mut self.wire.line().touched) {
            self.check().await?;
        }
        if self.wire.line().calls > MOST_CALLS {
            return Err(self.wrong(What::Endless));
        }
        Ok(match progress {
            Progress::Stopped(Stop::Suspended) => Standstill::Ready,
            Progress::Stopped(Stop::Blocked) => Standstill::Blocked,
            Progress::Stopped(Stop::Killed) => Standstill::Ended(End::Killed),
            Progress::Panicked(said) => {
                self.wire.line().note(format!("the rotator panics: {said}"));
                return Err(self.wrong(What::Panics));
            }
            Progress::Ended(result) => {
                let stats = process.cx.stats();
                self.refused = stats.rejected_logins;
                self.wire.line().transcript.extend(stats.warnings);
                self.wire.line().note(match &result {
                    Ok(Outcome { effect, why }) => {
                        format!("{}: {}: {why}", process.name, effect.name())
                    }
                    Err(error) => format!("{}: {}: {error}", process.name, error.kind()),
                });
                self.check_cause(result.as_ref().err())?;
                Standstill::Ended(End::Answered(result))
            }
        })
    }

    /// What happens between two calls of a process, if it is to happen now.
    async fn meanwhile(&mut self) -> Checked {
        if let Some(intervention) = self.intervention
            && self.wire.line().enumerator.yes()
        {
            self.intervention = None;
            self.perform(intervention).await?;
        }
        if self.frozen.is_some() && (self.awake || self.wire.line().enumerator.yes()) {
            self.wake().await?;
        }
        Ok(())
    }

    /// The frozen container wakes up and goes on, to its end or to what another process holds.
    pub(super) async fn wake(&mut self) -> Checked {
        let Some(mut frozen) = self.frozen.take() else { return Ok(()) };
        self.late = true;
        if self.remote.applies_late() {
            // What it may set is a stored credential, until the next rotation.
            self.disturbed = true;
            self.healed_by = Some(self.rotations + 1);
            self.promise = Promise::Stored;
        }
        if !std::mem::take(&mut self.awake) {
            self.wire.line().note(format!("{} wakes up", frozen.name));
        }
        loop {
            match self.advance(&mut frozen, false).await? {
                Standstill::Ready => {}
                Standstill::Ended(_) => return Ok(()),
                Standstill::Blocked => {
                    // The remote lets it go on as soon as it can: there is nothing to choose.
                    (self.frozen, self.awake) = (Some(frozen), true);
                    return Ok(());
                }
            }
        }
    }
}

pub(super) fn full_promise(overlap: Overlap) -> Promise {
    match overlap {
        Overlap::None => Promise::Labelled,
        Overlap::Full => Promise::Current,
    }
}

/// Ids that are the same in every run, so that a transcript can be compared with another.
pub(super) fn version(number: u32) -> VersionId {
    VersionId::from_store(format!("v{number}-{}", "0".repeat(32)))
}
