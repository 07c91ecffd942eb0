//! The line between a process under test and everything outside it: whatever a process does to the
//! world is a call over the wire, and each call is a place where it may be stopped.

use std::collections::BTreeSet;
use std::future::{pending, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use fourstep::Secret;

use super::enumerator::Choices;

/// The way from the process under test to its remote.
///
/// A modelled remote does everything through [`call`](Self::call): the kit stops the process
/// before it, after it, or loses the answer. Clones are the same wire.
///
/// ```
/// use fourstep_testing::Wire;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let wire = Wire::default();
/// assert_eq!(wire.call("add a user", || 1 + 1).await, Ok(2));
/// # });
/// ```
#[derive(Clone, Default)]
pub struct Wire(Arc<Mutex<Line>>);

/// The connection was lost: the call may or may not have taken effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallOutcome {
    /// It is served as it should be.
    Proceed,
    /// The process ends before the call.
    KillBefore,
    /// The process ends after the call took effect.
    KillAfter,
    /// The call fails without effect: reset at a remote, throttled at the store.
    Refuse,
    /// The call takes effect and its answer is lost.
    LoseAnswer,
    /// The call takes effect, its answer is lost, and the client library repeats it.
    Repeat,
    /// A read is answered from so many writes ago.
    Stale(usize),
    /// The store takes the process's credentials no more: at this call alone, after which it has others.
    Expired,
    /// The same, and at each of its calls from this one on.
    ExpiredForGood,
}

impl CallOutcome {
    pub(super) const REMOTE: &[Self] =
        &[Self::KillBefore, Self::KillAfter, Self::Refuse, Self::LoseAnswer];
    pub(super) const WRITE: &[Self] =
        &[Self::KillBefore, Self::KillAfter, Self::Refuse, Self::LoseAnswer, Self::Repeat];
    // A read has no effect to lose: refused and lost are the same.
    pub(super) const READ: &[Self] = &[Self::KillBefore, Self::KillAfter, Self::Refuse];
    pub(super) const EXPIRED: &[Self] = &[Self::Expired, Self::ExpiredForGood];
    pub(super) const STALE: &[Self] = &[Self::Stale(1), Self::Stale(2), Self::Stale(3)];
}

/// What a call is, as far as faults are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Remote,
    Read,
    Write,
}

/// Which faults a run may meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Menu {
    #[default]
    None,
    /// Crashes, refusals and lost answers.
    Crashes,
    /// Reads from the past.
    StaleReads,
    /// Credentials for the store that end: those of an assumed role. The next process has new ones.
    Expiry,
}

/// Why a process stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It has made the calls it was allowed to make.
    Suspended,
    /// It is dead.
    Killed,
    /// It waits for something that another process holds.
    Blocked,
}

#[derive(Default)]
pub(super) struct Line {
    pub(super) enumerator: Choices,
    pub(super) menu: Menu,
    /// How many faults this run may still meet.
    pub(super) faults: u32,
    /// What happened, in order.
    pub(super) transcript: Vec<String>,
    /// Calls made in this run.
    pub(super) calls: u64,
    /// Whether what is dropped now vanishes: nobody hears that its connections are closed.
    pub(super) vanishing: bool,
    /// Whether anything may have changed since the promises were looked at last.
    pub(super) touched: bool,
    /// What was proposed and given up, so that no version holds it.
    pub(super) given_up: Vec<Secret>,
    /// What this run could not look at.
    pub(super) gaps: BTreeSet<&'static str>,
    /// Whether it could look at nothing.
    pub(super) idle: bool,
    /// Whether a verb panicked that was asked by itself.
    pub(super) panics: bool,
    /// DescribeSecret calls of the process that runs.
    pub(super) describes: u32,
    /// Whether credentials of the process that runs were refused as ended, and whether all its others are.
    pub(super) expired: bool,
    for_good: bool,
    /// Which remote call fails, and how.
    planned: Option<(u64, CallOutcome)>,
    /// Why the running process stands still.
    pub(super) stop: Option<Stop>,
    /// Whether calls are subject to the kit. Outside a run the wire just connects.
    driven: bool,
    credit: u64,
    process: &'static str,
    patient: bool,
}

impl Line {
    /// Lets a process make so many calls.
    pub(super) fn run(&mut self, process: &'static str, credit: u64, patient: bool) {
        (self.process, self.credit, self.stop) = (process, credit, None);
        (self.patient, self.driven) = (patient, true);
    }

    /// What is called next is called by a new process, which has credentials of its own.
    pub(super) fn renew(&mut self) {
        (self.describes, self.expired, self.for_good) = (0, false, false);
    }

    /// What is called now is called by no process: the wire just connects.
    pub(super) fn release(&mut self) {
        (self.driven, self.stop) = (false, None);
    }

    pub(super) fn note(&mut self, what: impl Into<String>) {
        self.transcript.push(what.into());
    }

    /// Says what cannot be looked at, because the testbed does not offer it.
    pub(super) fn gap(&mut self, what: &'static str) {
        self.gaps.insert(what);
    }

    /// The same where nothing is left to look at in this run.
    pub(super) fn skip(&mut self, what: &'static str) {
        self.gap(what);
        self.idle = true;
    }

    /// Lets that remote call, counted from 1 and from now, fail like this.
    pub(super) fn fail_at(&mut self, call: u64, fate: CallOutcome) {
        self.planned = Some((call, fate));
    }

    /// Whether the planned failure came about. It is planned no longer then or now.
    pub(super) fn failed(&mut self) -> bool {
        self.planned.take().is_none()
    }

    /// The planned failure, if this is its call.
    fn planned(&mut self, kind: Kind) -> Option<CallOutcome> {
        let (calls, fate) = self.planned.as_mut().filter(|_| kind == Kind::Remote)?;
        *calls -= 1;
        let fate = (*calls == 0).then_some(*fate);
        self.planned = self.planned.filter(|_| fate.is_none());
        fate
    }

    /// Forgets the run that ended. False if there is no other.
    pub(super) fn next_run(&mut self) -> bool {
        let mut enumerator = std::mem::take(&mut self.enumerator);
        let another = enumerator.next();
        *self = Self { enumerator, ..Self::default() };
        another
    }

    fn decide(&mut self, kind: Kind) -> CallOutcome {
        let fates = match (self.menu, kind) {
            (_, Kind::Read | Kind::Write) if self.for_good => return CallOutcome::Expired,
            _ if self.faults == 0 => return CallOutcome::Proceed,
            (Menu::Crashes, Kind::Remote) => CallOutcome::REMOTE,
            (Menu::Crashes, Kind::Write) => CallOutcome::WRITE,
            (Menu::Crashes, Kind::Read) => CallOutcome::READ,
            (Menu::StaleReads, Kind::Read) => CallOutcome::STALE,
            (Menu::Expiry, Kind::Read | Kind::Write) => CallOutcome::EXPIRED,
            (Menu::StaleReads | Menu::Expiry | Menu::None, _) => return CallOutcome::Proceed,
        };
        match self.enumerator.pick(fates.len() + 1).checked_sub(1).and_then(|at| fates.get(at)) {
            None => CallOutcome::Proceed,
            Some(&fate) => {
                self.faults -= 1;
                fate
            }
        }
    }
}

impl Wire {
    pub(super) fn line(&self) -> MutexGuard<'_, Line> {
        // A panic elsewhere leaves nothing half-written here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call to the remote: `effect` is what the remote does, all at once.
    ///
    /// # Errors
    /// [`Lost`] if the answer does not arrive; `effect` may have run.
    pub async fn call<T>(&self, name: &str, effect: impl FnOnce() -> T) -> Result<T, Lost> {
        match self.gate(name, Kind::Remote).await {
            CallOutcome::Refuse => Err(Lost),
            CallOutcome::LoseAnswer => {
                effect();
                Err(Lost)
            }
            CallOutcome::KillAfter => {
                effect();
                self.die().await
            }
            _ => Ok(effect()),
        }
    }

    /// One call that waits at the remote, as for a lock: `effect` is tried until it has an answer.
    ///
    /// # Errors
    /// [`Lost`], as for [`call`](Self::call).
    pub async fn wait<T>(
        &self,
        name: &str,
        mut effect: impl FnMut() -> Option<T>,
    ) -> Result<T, Lost> {
        let fate = self.gate(name, Kind::Remote).await;
        if fate == CallOutcome::Refuse {
            return Err(Lost);
        }
        let answer = poll_fn(|_| match effect() {
            Some(answer) => Poll::Ready(answer),
            None => {
                let mut line = self.line();
                if !line.patient {
                    line.stop.get_or_insert(Stop::Blocked);
                }
                Poll::Pending
            }
        });
        let answer = answer.await;
        match fate {
            CallOutcome::LoseAnswer => Err(Lost),
            CallOutcome::KillAfter => self.die().await,
            _ => Ok(answer),
        }
    }

    /// Stands before a call until the process may make it, and says what is to become of it.
    pub(super) async fn gate(&self, name: &str, kind: Kind) -> CallOutcome {
        poll_fn(|_| {
            let mut line = self.line();
            if !line.driven {
                return Poll::Ready(line.planned(kind).unwrap_or(CallOutcome::Proceed));
            }
            if line.stop.is_some() {
                return Poll::Pending;
            }
            if line.credit == 0 {
                line.stop = Some(Stop::Suspended);
                return Poll::Pending;
            }
            line.credit -= 1;
            line.calls += 1;
            line.touched |= kind != Kind::Read;
            line.describes += u32::from(name == "DescribeSecret");
            let fate = line.planned(kind).unwrap_or_else(|| line.decide(kind));
            line.for_good |= fate == CallOutcome::ExpiredForGood;
            line.expired |= line.for_good || fate == CallOutcome::Expired;
            let process = line.process;
            line.note(match fate {
                CallOutcome::Proceed => format!("{process}: {name}"),
                fault => format!("{process}: {name} <- {fault:?}"),
            });
            if fate == CallOutcome::KillBefore {
                line.stop = Some(Stop::Killed);
                return Poll::Pending;
            }
            Poll::Ready(fate)
        })
        .await
    }

    /// Ends the process that is running.
    pub(super) async fn die<T>(&self) -> T {
        self.line().stop = Some(Stop::Killed);
        pending().await
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Wire")
    }
}
