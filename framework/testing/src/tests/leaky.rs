//! Rotators that are right but say a credential somewhere. The kit must hear each of them.

use async_trait::async_trait;
use fourstep::{
    Applied, CreateContext, Error, ErrorKind, Fence, Finding, InspectContext, Invocation,
    RetireContext, Rotator, Secret, SetContext, Verdict,
};

use super::{assert_caught, assert_names, assert_refuted};
use crate::models::OneUser;
use crate::{Overlap, Remote, Testbed, Wire, conformance, printed};

/// Where it says one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fixture {
    Nowhere,
    /// The error of another account.
    Check,
    /// A line of the log, at the lowest level, in hexadecimal.
    ProposeLog,
    /// A warning of createSecret.
    ProposeWarning,
    /// What is logged when a proposal is given up.
    Discard,
    /// The reason of a setSecret that succeeded.
    ApplyReason,
    /// The error of setSecret when no stored credential works.
    ApplyError,
    /// The reason of a rejection.
    Verdict,
    /// The error of testSecret's comparison.
    Compare,
    /// A line of the log of finishSecret, as a list of bytes.
    Retire,
    /// A warning of preflight, which a working secret gets.
    Preflight,
    /// What stands in the way of a secret that does not work.
    PreflightFailure,
    /// A line of the plan.
    Plan,
    /// A panic of a verb.
    VerifyPanic,
    /// A panic of a step, in Rust's form for debugging.
    ApplyPanic,
    /// Standard output.
    Print,
    /// Standard error, in a line that has no end, of a step that is never asked by itself.
    PrintError,
}

const ALL: [Fixture; 14] = [
    Fixture::Check,
    Fixture::ProposeLog,
    Fixture::ProposeWarning,
    Fixture::Discard,
    Fixture::ApplyReason,
    Fixture::ApplyError,
    Fixture::Verdict,
    Fixture::Compare,
    Fixture::Retire,
    Fixture::Preflight,
    Fixture::PreflightFailure,
    Fixture::Plan,
    Fixture::VerifyPanic,
    Fixture::ApplyPanic,
];

/// A rotator that says one at this place, and the first password.
struct Leaky(Fixture, &'static str);

const LONG: &str = "first-password";

struct LeakyUser(Fixture, OneUser);

struct LeakyRotator(Fixture, Box<dyn Rotator>);

#[async_trait]
impl Testbed for Leaky {
    fn overlap(&self) -> Overlap {
        Overlap::None
    }

    async fn fresh(&self, wire: &Wire) -> Box<dyn Remote> {
        Box::new(LeakyUser(self.0, OneUser::new(wire, "app", self.1)))
    }
}

#[async_trait]
impl Remote for LeakyUser {
    fn rotator(&self) -> Box<dyn Rotator> {
        Box::new(LeakyRotator(self.0, self.1.rotator()))
    }

    fn secret(&self) -> String {
        self.1.secret()
    }

    async fn accepts(&self, secret: &Secret) -> bool {
        self.1.accepts(secret).await
    }

    fn hour_passes(&self) {
        self.1.hour_passes();
    }
}

impl LeakyRotator {
    fn at(&self, place: Fixture) -> bool {
        self.0 == place
    }
}

fn password(secret: &Secret) -> String {
    secret.document().unwrap().required("password").unwrap().to_owned()
}

#[async_trait]
impl Rotator for LeakyRotator {
    fn check(&self, versions: &SetContext<'_>) -> Result<(), Error> {
        let checked = self.1.check(versions);
        match self.at(Fixture::Check) {
            true => checked.map_err(|error| {
                error.while_doing(format!("compared {}", password(versions.pending().secret())))
            }),
            false => checked,
        }
    }

    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret, Error> {
        let proposed = self.1.propose(known, cx).await?;
        let password = password(&proposed);
        if self.at(Fixture::ProposeLog) {
            let hidden: String = password.bytes().map(|byte| format!("{byte:02X}")).collect();
            tracing::trace!(hidden, "made");
        }
        if self.at(Fixture::ProposeWarning) {
            cx.warn(format!("made {password}"));
        }
        Ok(proposed)
    }

    async fn discard(
        &self,
        proposed: &Secret,
        known: &CreateContext<'_>,
        cx: &Invocation,
    ) -> Result<(), Error> {
        if self.at(Fixture::Discard) {
            tracing::info!("gives up {:?}", password(proposed));
        }
        self.1.discard(proposed, known, cx).await
    }

    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Applied, Error> {
        let pending = password(versions.pending().secret());
        assert!(!self.at(Fixture::ApplyPanic), "cannot set {:?}", pending.as_bytes());
        match self.1.apply(versions, fence, cx).await {
            Ok(Applied::Changed(why)) if self.at(Fixture::ApplyReason) => {
                Ok(Applied::Changed(format!("{why} to {pending}")))
            }
            Err(error) if self.at(Fixture::ApplyError) && error.kind() == ErrorKind::Rejected => {
                Err(error.while_doing(format!("tried {pending}")))
            }
            applied => applied,
        }
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict, Error> {
        assert!(!self.at(Fixture::VerifyPanic), "cannot use {}", password(secret));
        if self.at(Fixture::Print) {
            println!("tries {}", password(secret));
        }
        Ok(match self.1.verify(secret, cx).await? {
            Verdict::Rejected(why) if self.at(Fixture::Verdict) => {
                Verdict::Rejected(format!("{why}: {}", password(secret)))
            }
            verdict => verdict,
        })
    }

    async fn compare(&self, versions: &SetContext<'_>, _: &Invocation) -> Result<(), Error> {
        if self.at(Fixture::Compare) {
            let current = password(versions.current().secret());
            return Err(Error::new(ErrorKind::Mismatch, format!("not as {current}")));
        }
        Ok(())
    }

    async fn retire(&self, keep: &RetireContext<'_>, cx: &Invocation) -> Result<(), Error> {
        if self.at(Fixture::Retire) {
            let kept = keep.labelled().await?;
            let kept: Vec<_> = kept.iter().map(|one| password(one.secret())).collect();
            tracing::debug!(bytes = ?kept.concat().as_bytes(), "retired");
        }
        if self.at(Fixture::PrintError) {
            let promoted = keep.labelled().await?.into_iter().next();
            eprint!("promoted {:?}", promoted.map(|one| password(one.secret())));
        }
        self.1.retire(keep, cx).await
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>, Error> {
        let current = password(subject.current.secret());
        let mut findings = self.1.preflight(subject, cx).await?;
        if self.at(Fixture::Preflight) {
            findings.push(Finding::Warns(format!("{current} is old")));
        }
        if self.at(Fixture::PreflightFailure) {
            findings = findings
                .into_iter()
                .map(|finding| match finding {
                    Finding::Fails(error) => {
                        Finding::Fails(error.while_doing(format!("asked with {current}")))
                    }
                    warning => warning,
                })
                .collect();
        }
        Ok(findings)
    }

    async fn plan(
        &self,
        subject: &InspectContext<'_>,
        _: &Invocation,
    ) -> Result<Vec<String>, Error> {
        let current = password(subject.current.secret());
        let place = if self.at(Fixture::Plan) { current } else { "a password".to_owned() };
        Ok(vec![format!("changes {place}")])
    }
}

/// Else each of the others might be found for something that is wrong with all.
#[tokio::test]
async fn a_rotator_that_says_nothing_is_safe() {
    conformance(&Leaky(Fixture::Nowhere, LONG)).await.assert_safe();
}

#[tokio::test]
async fn a_credential_that_is_said_anywhere_is_heard() {
    for place in ALL {
        let report = conformance(&Leaky(place, LONG)).await;
        let heard = report.defects().iter().any(|what| what.to_string().contains("is said"));
        assert!(heard, "{place:?}\n{report}");
    }
}

/// Also where what it says is no secret: an operator is told nothing by a function that panicked.
#[tokio::test]
async fn a_rotator_that_panics_is_caught() {
    for place in [Fixture::VerifyPanic, Fixture::ApplyPanic] {
        assert_refuted(&Leaky(place, LONG), "the rotator panics").await;
    }
    assert_caught(&Leaky(Fixture::ApplyPanic, LONG), "the rotator panics");
}

#[tokio::test]
async fn a_rotator_that_prints_nothing_is_safe() {
    printed(&Leaky(Fixture::Nowhere, LONG)).await.assert_safe();
}

#[tokio::test]
async fn a_credential_on_standard_output_is_heard() {
    let heard = "a secret value is said, in plain text";
    assert_names(&printed(&Leaky(Fixture::Print, LONG)).await, heard);
}

#[tokio::test]
async fn a_credential_on_standard_error_is_heard() {
    let heard = "a secret value is said, in plain text";
    assert_names(&printed(&Leaky(Fixture::PrintError, LONG)).await, heard);
}

#[tokio::test]
async fn a_second_rotator_in_one_test_is_no_pass() {
    printed(&Leaky(Fixture::Nowhere, LONG)).await.assert_safe();
    let report = printed(&Leaky(Fixture::Print, LONG)).await;
    let defects: Vec<String> = report.defects().iter().map(ToString::to_string).collect();
    assert!(defects[0].contains("a test calls `printed` once"), "{defects:?}");
}

/// Which test to start anew is known by the thread only.
#[test]
fn what_cannot_be_heard_is_no_pass() {
    let asked = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(printed(&Leaky(Fixture::Nowhere, LONG)))
    };
    let report = std::thread::spawn(asked).join().unwrap();
    let defects: Vec<String> = report.defects().iter().map(ToString::to_string).collect();
    assert!(defects[0].contains("in the thread of a test"), "{defects:?}");
}

/// A model that begins with a short password would turn the search off without a word.
#[tokio::test]
async fn a_credential_that_is_too_short_to_be_looked_for_is_no_pass() {
    let short = "a credential has 5 characters, too few to be told from chance in what is said: \
                 give the remote one of 8 or more";
    assert_refuted(&Leaky(Fixture::Nowhere, "first"), short).await;
}
