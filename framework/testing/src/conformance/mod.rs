//! What any rotator must do, asked verb by verb and rotation by rotation.

mod hostile;
pub(super) mod leaks;
mod locked_out;
mod rotations;
mod verbs;

pub(super) use leaks::Log;
pub(super) use verbs::altered;

use super::remote::Testbed;
use super::report::{Report, Section, What};
use super::simulation::{Checked, Simulation};
use super::wire::Wire;

/// Asks whether a rotator keeps the contract of its verbs, at a model or at the real thing.
///
/// Every check has a remote of its own, from [`Testbed::fresh`](super::Testbed::fresh), and is a
/// section of the report. What a check needs and its testbed does not offer is *not proven*: the
/// report says so, and so does [`Report::assert_safe`].
///
/// - verify accepts the current secret, rejects a wrong one, and calls a remote that cannot be
///   asked an error;
/// - propose changes the credential and nothing else, and never twice to the same; discard leaves
///   nothing of it behind;
/// - a pending secret that names another host or user is refused;
/// - rotations, each step once and twice, by one process and by many: what must log in does after
///   every call, exactly the kept credentials work afterwards, nothing is changed without passing
///   the fence, no login fails;
/// - preflight, plan and verify change nothing;
/// - where no stored credential works, nothing is changed and no rotation succeeds; setSecret says
///   [`Rejected`](fourstep::ErrorKind::Rejected), if nothing else is wrong;
/// - hostile names and values survive;
/// - no value of a secret is in anything that was said, and nothing panics.
///
/// What is printed is heard by [`printed`](super::printed) only.
///
/// ```
/// use fourstep_testing::{conformance, models::SinglePassword};
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let report = conformance(&SinglePassword).await;
/// report.assert_safe();
/// # });
/// ```
pub async fn conformance(testbed: &dyn Testbed) -> Report {
    let mut report = Report::default();
    for check in Check::ALL {
        report.add(check.make(testbed).await);
    }
    report
}

/// One thing that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    VerifyTellsRightFromWrong,
    VerifyCannotAsk,
    Propose,
    AnotherAccount,
    Preflight,
    Rotations,
    StepsTwice,
    OneProcess,
    Errors,
    LockedOut,
    HostileValues,
    HostileNames,
}

impl Check {
    const ALL: [Self; 12] = [
        Self::VerifyTellsRightFromWrong,
        Self::VerifyCannotAsk,
        Self::Propose,
        Self::AnotherAccount,
        Self::Preflight,
        Self::Rotations,
        Self::StepsTwice,
        Self::OneProcess,
        Self::Errors,
        Self::LockedOut,
        Self::HostileValues,
        Self::HostileNames,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::VerifyTellsRightFromWrong => "verify tells right from wrong",
            Self::VerifyCannotAsk => "verify calls silence an error",
            Self::Propose => "propose changes the credential only",
            Self::AnotherAccount => "another account is refused",
            Self::Preflight => "preflight changes nothing",
            Self::Rotations => "three rotations",
            Self::StepsTwice => "three rotations, every step twice",
            Self::OneProcess => "three rotations by one process",
            Self::Errors => "setSecret fails at every call",
            Self::LockedOut => "no stored credential works",
            Self::HostileValues => "hostile values survive",
            Self::HostileNames => "hostile names and passwords",
        }
    }

    async fn make(self, testbed: &dyn Testbed) -> Section {
        let mut section = Section::new(self.name());
        if self == Self::HostileNames {
            hostile::names(testbed, &mut section).await;
            return section;
        }
        let wire = Wire::default();
        let (remote, overlap) = (testbed.fresh(&wire).await, testbed.overlap());
        let simulation = match self {
            Self::LockedOut => Simulation::locked_out(remote, overlap, &wire).await,
            _ => Simulation::listening(remote, overlap, &wire).await,
        };
        match simulation {
            Ok(mut simulation) => {
                let asked = self.ask(&mut simulation).await;
                // Whatever failed may have said too much about it.
                let searched = leaks::search(&mut simulation);
                let panics = wire.line().panics;
                section.count(&wire, asked);
                section.violations.extend(panics.then(|| simulation.wrong(What::Panics)));
                section.violations.extend(searched.err());
            }
            Err(violation) => section.count(&wire, Err(violation)),
        }
        section
    }

    async fn ask(self, simulation: &mut Simulation) -> Checked {
        match self {
            Self::VerifyTellsRightFromWrong => verbs::verify(simulation).await,
            Self::VerifyCannotAsk => verbs::verify_without_answer(simulation).await,
            Self::Propose => verbs::propose(simulation).await,
            Self::AnotherAccount => verbs::another_account(simulation).await,
            Self::Preflight => verbs::preflight(simulation).await,
            Self::Rotations => rotations::in_a_row(simulation, 3, 1).await,
            Self::StepsTwice => rotations::in_a_row(simulation, 3, 2).await,
            Self::OneProcess => rotations::by_one_process(simulation).await,
            Self::Errors => rotations::failing(simulation).await,
            Self::LockedOut => locked_out::steps(simulation).await,
            Self::HostileValues => hostile::values(simulation).await,
            // It needs remotes of its own.
            Self::HostileNames => Ok(()),
        }
    }
}
