//! What is known of one invocation: the calls it made so far, and what is to become of the next.

use std::sync::{Mutex, MutexGuard, PoisonError};

use fourstep::Step;
use tokio::sync::watch;

use super::points::{Call, Disturbance, Kind, Point, When};
use crate::function::KillSwitch;

/// Watches one invocation of one step. Both proxies ask it about every call.
pub(super) struct Watch {
    step: Step,
    armed: Option<(Point, Disturbance)>,
    switch: KillSwitch,
    over: watch::Sender<bool>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    calls: Vec<Call>,
    reached: bool,
    killing: bool,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is served.
    Served,
    /// It is disturbed, on this side of its effect.
    Disturbed(When, Disturbance),
}

impl Watch {
    /// A watch over an invocation that `switch` kills. It is disturbed where it is armed, if it is.
    pub(super) fn new(step: Step, armed: Option<(Point, Disturbance)>, switch: KillSwitch) -> Self {
        Self { step, armed, switch, over: watch::channel(false).0, seen: Mutex::default() }
    }

    /// Counts a call that has arrived, and decides what becomes of it.
    ///
    /// A fault lasts as long as the process and meets the same operation each time it is repeated:
    /// the SDK would hide one that is over when it tries again.
    pub(super) fn arrived(&self, kind: Kind) -> Fate {
        let mut seen = self.seen();
        let number = 1 + seen.calls.iter().filter(|call| call.kind == kind).count();
        let call = Call { step: self.step, kind, number };
        seen.calls.push(call.clone());
        let Some((point, disturbance)) = &self.armed else { return Fate::Served };
        if seen.killing {
            // It was under way when its process was killed.
            return Fate::Disturbed(When::Before, Disturbance::Kill);
        }
        let repeated = seen.reached && call.kind == point.call.kind && call.kind != Kind::Turn;
        let lasts = *disturbance != Disturbance::Kill;
        if call != point.call && !(repeated && lasts) {
            return Fate::Served;
        }
        seen.reached = true;
        Fate::Disturbed(point.when, *disturbance)
    }

    /// Kills the process; it is dead when this returns.
    pub(super) async fn kill(&self) {
        self.seen().killing = true;
        self.switch.pull().await;
    }

    /// The invocation is over: whatever waits for that goes on.
    pub(super) fn end(&self) {
        self.over.send_replace(true);
    }

    /// Waits until the invocation is over.
    pub(super) async fn ended(&self) {
        // The sender lives as long as this.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    /// The calls so far, in the order in which they arrived.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.seen().calls.clone()
    }

    /// Whether the armed point was reached.
    pub(super) fn reached(&self) -> bool {
        self.seen().reached
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // It is never left half-written, so a poisoned lock is as good as any.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::points::numbered;
    use super::*;
    use crate::function::kill_switch;

    fn armed(kind: &Kind, number: usize, disturbance: Disturbance) -> Watch {
        let call = Call { step: Step::Set, kind: kind.clone(), number };
        let point = numbered(vec![call]).remove(0);
        Watch::new(Step::Set, Some((point, disturbance)), kill_switch().0)
    }

    #[test]
    fn a_fault_meets_every_repetition_of_its_call_and_no_other() {
        let describe = Kind::Store("DescribeSecret".to_owned());
        let watch = armed(&describe, 2, Disturbance::Throttling);
        let throttled = Fate::Disturbed(When::Before, Disturbance::Throttling);
        for expected in [Fate::Served, throttled, throttled] {
            assert_eq!(watch.arrived(describe.clone()), expected);
        }
        assert_eq!(watch.arrived(Kind::Turn), Fate::Served);
        assert!(watch.reached());
        assert_eq!(watch.calls().len(), 4);
    }

    #[tokio::test]
    async fn nothing_of_a_killed_process_is_served() {
        let watch = armed(&Kind::Turn, 1, Disturbance::Kill);
        let killed = Fate::Disturbed(When::Before, Disturbance::Kill);
        assert_eq!(watch.arrived(Kind::Turn), killed);
        assert_eq!(watch.arrived(Kind::Turn), Fate::Served, "it is not dead yet");
        watch.kill().await;
        assert_eq!(watch.arrived(Kind::Turn), killed);
    }
}
