//! One invocation of the function: how long it may take, and what it has done so far.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::error::{Error, ErrorKind, Result};

/// Kept back from every time limit, so that the function itself reports before Lambda kills it.
const REPORTING_TIME: Duration = Duration::from_millis(500);

/// The least time that must be left to begin a change: the statement itself, and the report of
/// how it ended. Below it nothing is begun.
pub const CHANGE_TIME: Duration = Duration::from_secs(4);

/// What is kept back from the limit of a whole step: less, so that the error of the very call that
/// ran out of time, which says what may have happened, gets out before the step is cut off.
const LAST_REPORTING_TIME: Duration = Duration::from_millis(250);

/// The moment by which this invocation must have answered.
///
/// Wall-clock time on purpose: a container that was frozen and thawed must see that its time is
/// over, and a monotonic clock may stand still while it is frozen.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(SystemTime);

impl Deadline {
    /// The moment at which the runtime will stop the function.
    pub fn at(moment: SystemTime) -> Self {
        Self(moment)
    }

    /// A deadline that far from now.
    pub fn after(duration: Duration) -> Self {
        Self(SystemTime::now() + duration)
    }

    /// The moment itself.
    pub fn moment(&self) -> SystemTime {
        self.0
    }

    /// Time left for work, less what is kept for reporting. Zero once it is over.
    pub fn remaining(&self) -> Duration {
        self.0.duration_since(SystemTime::now()).unwrap_or_default().saturating_sub(REPORTING_TIME)
    }

    /// Waits for a whole step a little longer than anything in it may take.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfTime`].
    pub async fn bound_step<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        let left = self.0.duration_since(SystemTime::now()).unwrap_or_default();
        let limit = left.saturating_sub(LAST_REPORTING_TIME);
        tokio::time::timeout(limit, work).await.map_err(|_| {
            Error::new(ErrorKind::OutOfTime, "the step did not end in time; retry")
                .caused_by(format!("gave up after {:.1} s", limit.as_secs_f64()))
        })
    }

    /// Waits for `work` no longer than the time left, nor than `most`.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfTime`], saying what was under way.
    pub async fn bound<T>(
        &self,
        what: &str,
        most: Duration,
        work: impl Future<Output = T>,
    ) -> Result<T> {
        let limit = self.remaining().min(most);
        tokio::time::timeout(limit, work).await.map_err(|_| {
            let limit = limit.as_secs_f64();
            Error::new(ErrorKind::OutOfTime, format!("no answer to {what}")).caused_by(format!(
                "gave up after {limit:.1} s, because the function's time is used up"
            ))
        })
    }
}

/// Days between two rotations where a secret does not say: the console's own proposal.
const USUAL_DAYS: u32 = 30;

/// How long an invocation may take, and a count of what it did: for the log line, the metrics and
/// the tests' assertions.
#[derive(Debug)]
pub struct Invocation {
    deadline: Deadline,
    stats: Mutex<InvocationStats>,
    hurried: AtomicBool,
    days: AtomicU32,
    seen: Mutex<Option<Seen>>,
}

/// What an invocation did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvocationStats {
    /// Calls to Secrets Manager and other AWS services, by operation.
    pub calls: BTreeMap<&'static str, u32>,
    /// Connections opened to the target.
    pub connections: u32,
    /// Logins that the target refused.
    pub rejected_logins: u32,
    /// What an operator should know although the step went on.
    pub warnings: Vec<String>,
    /// How many sessions the login has open whose password this replaces, where two users take turns
    /// and the admin sees them: clients that have not read the secret since the last rotation.
    pub sessions_of_replaced: Option<u64>,
}

/// What a login that was let in tells of itself beside that, for an inspection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The user, or the id of a vendor's key. Not a secret.
    pub user: String,
    /// The server's numbers of this very session and of all that the user has open; no more than
    /// [`Seen::MOST`] are asked for. `None` where the server does not tell.
    pub sessions: Option<(u64, BTreeSet<u64>)>,
    /// In how many seconds the login ends by itself, where it does; less than 0 if that is past.
    pub ends_in: Option<i64>,
}

impl Seen {
    /// The most sessions of a user that are counted.
    pub const MOST: usize = 10_000;
}

impl Invocation {
    /// An invocation that ends at `deadline`, with nothing done yet.
    pub fn new(deadline: Deadline) -> Self {
        let days = AtomicU32::new(USUAL_DAYS);
        let hurried = AtomicBool::default();
        Self { deadline, stats: Mutex::default(), hurried, days, seen: Mutex::default() }
    }

    /// One login of an inspection, which ends as this invocation does and is counted by itself.
    pub(crate) fn aside(&self) -> Self {
        let aside = Self::new(self.deadline);
        aside.hurry();
        aside
    }

    /// Counts what was done aside as done here.
    pub(crate) fn join(&self, aside: Self) -> Option<Seen> {
        let stats = aside.stats();
        let mut all = self.lock();
        for (operation, count) in stats.calls {
            *all.calls.entry(operation).or_default() += count;
        }
        all.connections += stats.connections;
        all.rejected_logins += stats.rejected_logins;
        drop(all);
        stats.warnings.into_iter().for_each(|warning| self.warn(warning));
        aside.seen.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a login that was let in tells of itself, for an inspection.
    pub fn note_seen(&self, seen: Seen) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
    }

    /// Notes how many sessions the login has open whose password is about to be replaced.
    pub fn note_sessions_of_replaced(&self, open: u64) {
        self.lock().sessions_of_replaced = Some(open);
    }

    /// Notes how often the secret is rotated, where that is known.
    pub(crate) fn rotates_every(&self, days: Option<u32>) {
        self.days.store(days.unwrap_or(USUAL_DAYS).max(1), Ordering::Relaxed);
    }

    /// How many days may pass until the next rotation: what ends before that, a preflight warns of.
    pub fn days_to_next_rotation(&self) -> u32 {
        self.days.load(Ordering::Relaxed)
    }

    /// From now on no vendor is waited for: each credential is tried once, because an inspection shows
    /// the present state only.
    pub(crate) fn hurry(&self) {
        self.hurried.store(true, Ordering::Relaxed);
    }

    /// Whether a target that learns late may be waited for: an inspection shows the present state only.
    pub fn waits(&self) -> bool {
        !self.hurried.load(Ordering::Relaxed)
    }

    /// Refuses to begin an irreversible change when less than [`CHANGE_TIME`] is left.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfTime`]; nothing may be changed then.
    pub fn enough_for_a_change(&self) -> Result<()> {
        let left = self.deadline.remaining();
        if left >= CHANGE_TIME {
            return Ok(());
        }
        Err(Error::new(ErrorKind::OutOfTime, "did not begin the change").caused_by(format!(
            "{:.1} s are left and a change needs {} s; raise the function's timeout",
            left.as_secs_f64(),
            CHANGE_TIME.as_secs(),
        )))
    }

    /// The time that is left for a change, and how much of it may go into waiting for its locks.
    ///
    /// # Errors
    /// As [`enough_for_a_change`](Self::enough_for_a_change).
    pub fn time_for_a_change(&self) -> Result<[Duration; 2]> {
        self.enough_for_a_change()?;
        let left = self.deadline.remaining();
        Ok([left, left.saturating_sub(CHANGE_TIME)])
    }

    /// When this invocation must have ended.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// What was done so far.
    pub fn stats(&self) -> InvocationStats {
        self.lock().clone()
    }

    /// Counts a call to Secrets Manager or another AWS service.
    pub fn count_call(&self, operation: &'static str) {
        *self.lock().calls.entry(operation).or_default() += 1;
    }

    /// Counts a connection opened to the target.
    pub fn count_connection(&self) {
        self.lock().connections += 1;
    }

    /// Counts a login that the target refused.
    pub fn count_rejected_login(&self) {
        self.lock().rejected_logins += 1;
    }

    /// Notes something that an operator should know although the step goes on.
    /// The text must not hold a secret value. Of one that is longer than 4,000 bytes the beginning is
    /// kept, and of more than 30 the first: a log line has a limit (CloudWatch's is 256 KB).
    pub fn warn(&self, warning: impl Into<String>) {
        let warning = shortened(warning.into(), LONGEST_WARNING);
        let mut stats = self.lock();
        match stats.warnings.len() {
            _ if stats.warnings.contains(&warning) => {}
            MOST_WARNINGS => stats.warnings.push("and more, which are left out".to_owned()),
            ..MOST_WARNINGS => stats.warnings.push(warning),
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, InvocationStats> {
        // A tally is never left half-written, so a poisoned one is as good as any.
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The most warnings of one invocation.
const MOST_WARNINGS: usize = 30;

/// The longest of them, in bytes.
const LONGEST_WARNING: usize = 4_000;

/// A text of at most so many bytes, and how many are left out.
pub(crate) fn shortened(mut text: String, most: usize) -> String {
    let length = text.len();
    if length > most {
        text.truncate(text.floor_char_boundary(most));
        let left_out = length - text.len();
        text.push_str(&format!("... and {left_out} bytes more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_deadline_in_the_past_leaves_nothing() {
        let deadline = Deadline::at(SystemTime::now() - Duration::from_secs(9));
        assert_eq!(deadline.remaining(), Duration::ZERO);
        let late = deadline.bound("DescribeSecret", Duration::MAX, std::future::pending::<()>());
        let error = late.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfTime);
        assert!(error.to_string().starts_with("no answer to DescribeSecret"), "{error}");
    }

    #[test]
    fn a_warning_is_noted_once() {
        let cx = Invocation::new(Deadline::after(Duration::from_secs(1)));
        cx.warn("ssl is unreadable");
        cx.warn("ssl is unreadable");
        assert_eq!(cx.stats().warnings, ["ssl is unreadable"]);
    }

    #[test]
    fn warnings_are_bounded_in_number_and_length() {
        let cx = Invocation::new(Deadline::after(Duration::from_secs(1)));
        for number in 0..1_000 {
            cx.warn(format!("{number}: {}", "\u{e9}".repeat(5_000)));
        }
        let warnings = cx.stats().warnings;
        assert_eq!(warnings.len(), MOST_WARNINGS + 1);
        assert!(warnings.iter().map(String::len).sum::<usize>() < 130_000);
        assert!(warnings[0].ends_with("bytes more") && warnings[30].starts_with("and more"));
    }
}
