//! The points at which a function can be disturbed: the moments before and after each call it
//! makes, numbered so that a number means the same point in the next run.

use std::fmt;

use fourstep::Step;

/// What a call is, as far as it can be told without knowing the target's protocol.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A request to Secrets Manager: its operation, and what of the secret it names.
    Store(String),
    /// What the client says on a connection to the target after the server last spoke.
    Turn,
}

/// One call of a step. The number counts the calls of this kind in the step: three reads that are
/// sent together arrive in any order, but each of them is the first of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) step: Step,
    pub(super) kind: Kind,
    pub(super) number: usize,
}

impl Call {
    /// Whether it leaves everything as it is. Only such calls are ever sent together.
    fn only_reads(&self) -> bool {
        let Kind::Store(name) = &self.kind else { return false };
        ["Describe", "Get", "List"].iter().any(|verb| name.starts_with(verb))
    }
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Store(name) => write!(formatter, "store {name} #{}", self.number),
            Kind::Turn => write!(formatter, "target turn {}", self.number),
        }
    }
}

/// On which side of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Nobody has heard of the request.
    Before,
    /// It took effect, and the answer is not heard.
    After,
}

impl When {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// What is done to a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    /// Its process is killed.
    Kill,
    /// Secrets Manager refuses the call because there are too many.
    Throttling,
    /// Secrets Manager answers that it failed.
    ServerError,
    /// The call takes effect, but no answer comes.
    Slow,
    /// The connection is reset.
    Reset,
}

impl Disturbance {
    /// Those that leave the process alive.
    pub const FAULTS: [Self; 4] = [Self::Throttling, Self::ServerError, Self::Slow, Self::Reset];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Throttling => "throttling",
            Self::ServerError => "server-error",
            Self::Slow => "slow",
            Self::Reset => "reset",
        }
    }

    /// Whether it can happen there. A request that was throttled has no effect, a slow answer
    /// belongs to a request that has, and a database's errors are its protocol's.
    pub(super) fn applies(self, point: &Point) -> bool {
        let store = point.call.kind != Kind::Turn;
        match self {
            Self::Kill | Self::Reset => true,
            Self::Throttling => store && point.when == When::Before,
            Self::ServerError => store,
            Self::Slow => point.when == When::After,
        }
    }
}

/// Where a function is disturbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Point {
    /// Counted from 1 over the whole rotation.
    pub(super) number: usize,
    pub(super) call: Call,
    pub(super) when: When,
}

/// The points around these calls, which are in the order in which they arrived.
pub(super) fn numbered(mut calls: Vec<Call>) -> Vec<Point> {
    // Reads that were sent together arrive in any order: sorted, they have the same numbers in
    // every run.
    let together =
        |one: &Call, next: &Call| one.step == next.step && one.only_reads() && next.only_reads();
    for reads in calls.chunk_by_mut(together) {
        reads.sort_by(|one, next| (one.number, &one.kind).cmp(&(next.number, &next.kind)));
    }
    let sides =
        calls.into_iter().flat_map(|call| [(call.clone(), When::Before), (call, When::After)]);
    let numbers = 1..;
    numbers.zip(sides).map(|(number, (call, when))| Point { number, call, when }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(step: Step, name: &str) -> Call {
        let kind = if name.is_empty() { Kind::Turn } else { Kind::Store(name.to_owned()) };
        Call { step, kind, number: 1 }
    }

    #[test]
    fn reads_that_arrive_in_another_order_have_the_same_numbers() {
        let orders = [
            ["GetSecretValue AWSPENDING", "DescribeSecret", "GetSecretValue AWSCURRENT"],
            ["GetSecretValue AWSCURRENT", "GetSecretValue AWSPENDING", "DescribeSecret"],
        ];
        let [first, second] = orders.map(|order| {
            let mut calls: Vec<Call> = order.iter().map(|name| call(Step::Set, name)).collect();
            calls.push(call(Step::Set, ""));
            calls.push(Call { number: 2, ..call(Step::Set, "DescribeSecret") });
            calls.push(call(Step::Test, "DescribeSecret"));
            numbered(calls)
        });
        assert_eq!(first, second);
        let names: Vec<String> = first
            .iter()
            .filter(|point| point.when == When::After)
            .map(|point| format!("{} {} {}", point.number, point.call.step, point.call))
            .collect();
        assert_eq!(
            names,
            [
                "2 setSecret store DescribeSecret #1",
                "4 setSecret store GetSecretValue AWSCURRENT #1",
                "6 setSecret store GetSecretValue AWSPENDING #1",
                "8 setSecret target turn 1",
                "10 setSecret store DescribeSecret #2",
                "12 testSecret store DescribeSecret #1",
            ]
        );
    }

    #[test]
    fn what_has_no_meaning_at_a_point_does_not_apply() {
        let points = numbered(vec![call(Step::Set, "PutSecretValue"), call(Step::Set, "")]);
        let applies = |disturbance: Disturbance| {
            let applies = points.iter().filter(|point| disturbance.applies(point));
            applies.map(|point| point.number).collect::<Vec<_>>()
        };
        assert_eq!(applies(Disturbance::Kill), [1, 2, 3, 4]);
        assert_eq!(applies(Disturbance::Throttling), [1]);
        assert_eq!(applies(Disturbance::ServerError), [1, 2]);
        assert_eq!(applies(Disturbance::Slow), [2, 4]);
        assert_eq!(applies(Disturbance::Reset), [1, 2, 3, 4]);
    }
}
