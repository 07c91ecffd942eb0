//! The verbs one by one.

use std::time::Duration;

use fourstep::store::{SecretClient, SecretDescription};
use fourstep::{
    CreateContext, Current, Deadline, Document, Error, ErrorKind, Finding, InspectContext,
    Invocation, Pending, Secret, SetContext, Verdict, VersionId,
};

use super::locked_out;
use crate::promises::same_credential;
use crate::report::What;
use crate::simulation::{Checked, Simulation, version};
use crate::wire::CallOutcome;

/// How long a verb may take.
const TIME: Duration = Duration::from_secs(60);

/// More calls than a verb makes.
pub(super) const MOST_CALLS: u64 = 50;

/// The right credential is accepted, a wrong one rejected, and asking changes nothing.
pub(super) async fn verify(simulation: &mut Simulation) -> Checked {
    let secret = initial(simulation);
    let wrong = altered(&secret, simulation.remote.credential());
    for _ in 0..2 {
        match asked(simulation, &secret).await {
            Ok(Verdict::Accepted) => {}
            Ok(Verdict::Rejected(_)) => {
                return finds(simulation, "verify rejects the current secret");
            }
            Err(error) => return fails(simulation, "verify", &error),
        }
        match wrong.as_ref().map(|wrong| asked(simulation, wrong)) {
            None => {}
            Some(verdict) => match verdict.await {
                Ok(Verdict::Rejected(_)) => {}
                Ok(Verdict::Accepted) => {
                    return finds(simulation, "verify accepts a wrong credential");
                }
                Err(error) => return fails(simulation, "verify of a wrong credential", &error),
            },
        }
    }
    if !simulation.remote.accepts(&secret).await {
        return finds(simulation, "verify changes what logs in");
    }
    Ok(())
}

/// A remote that does not answer, or whose answer is lost, is neither accepting nor rejecting.
pub(super) async fn verify_without_answer(simulation: &mut Simulation) -> Checked {
    let secret = initial(simulation);
    let mut unanswered = false;
    if let Some(nowhere) = simulation.remote.out_of_reach() {
        let verdict = asked(simulation, &Secret::decode(&nowhere.into())).await;
        silent(simulation, verdict)?;
        unanswered = true;
    }
    for fate in [CallOutcome::Refuse, CallOutcome::LoseAnswer] {
        for at in 1..=MOST_CALLS {
            simulation.wire.line().fail_at(at, fate);
            let verdict = asked(simulation, &secret).await;
            // What was not reached is left over: the verb makes no more calls.
            if !simulation.wire.line().failed() {
                break;
            }
            silent(simulation, verdict)?;
            unanswered = true;
        }
    }
    if !unanswered {
        simulation
            .wire
            .line()
            .skip("neither is there an address out of reach, nor a call on the wire");
    }
    Ok(())
}

fn silent(simulation: &Simulation, verdict: Result<Verdict, Error>) -> Checked {
    match verdict {
        Err(error) if error.kind() != ErrorKind::Rejected => Ok(()),
        // An answer that is lost after the verdict was heard changes nothing.
        Ok(Verdict::Accepted) => finds(simulation, "verify accepts what it could not ask"),
        Ok(Verdict::Rejected(_)) | Err(_) => {
            finds(simulation, "a lost connection is read as Rejected")
        }
    }
}

/// The credential changes, everything else stays, no two proposals are the same, and what is given
/// up leaves nothing behind.
pub(super) async fn propose(simulation: &mut Simulation) -> Checked {
    let current = initial(simulation);
    let fields = simulation.remote.credential();
    let before = simulation.remote.credentials().await;
    let mut proposed: Vec<Secret> = vec![current.clone()];
    for _ in 1..=2 {
        simulation.clear()?;
        let token = simulation.begin()?;
        let next = match proposal(simulation, &token).await {
            Ok(next) => next,
            Err((verb, error)) => return fails(simulation, verb, &error),
        };
        // What replaced a value that works on is there until it is recorded.
        let known = if simulation.remote.lingers() { 1 } else { proposed.len() };
        if proposed.iter().take(known).any(|one| same_credential(one, &next, fields)) {
            return finds(simulation, "propose makes the same credential twice");
        }
        if let (Ok(before), Ok(after)) = (current.document(), next.document())
            && let Some(field) = before.difference(after, fields)
        {
            return finds(simulation, &format!("propose changes the field {field:?}"));
        }
        if current.document().is_ok() && next.document().is_err() {
            return finds(simulation, "propose makes something else of a document");
        }
        if simulation.remote.credentials().await > before {
            return finds(simulation, "discard leaves a credential behind");
        }
        proposed.push(next);
    }
    if !simulation.remote.accepts(&current).await {
        return finds(simulation, "propose stops the current credential");
    }
    Ok(())
}

/// A proposal that is given up at once, as where another run's value was stored: at a limit there is
/// no room for two.
async fn proposal(
    simulation: &Simulation,
    token: &VersionId,
) -> Result<Secret, (&'static str, Error)> {
    let cx = Invocation::new(Deadline::after(TIME));
    let calls = SecretClient::new(simulation.memory(), &simulation.secret, &cx);
    let looks = |error| ("a look at the secret before propose", error);
    let description: SecretDescription = calls.describe().await.map_err(looks)?;
    let current: Current = calls.current().await.map_err(looks)?;
    let known = CreateContext::new(&calls, &current, token, &description);
    let rotator = simulation.remote.rotator();
    let proposed = simulation.heard(rotator.propose(&known, &cx)).await;
    let proposed = proposed.map_err(|error| ("propose", error))?;
    simulation.wire.line().given_up.push(proposed.clone());
    let discarded = simulation.heard(rotator.discard(&proposed, &known, &cx)).await;
    discarded.map_err(|error| ("discard", error))?;
    Ok(proposed)
}

/// A pending secret of another host or user would be applied to somebody else's account.
pub(super) async fn another_account(simulation: &mut Simulation) -> Checked {
    let secret = initial(simulation);
    let (Ok(document), rotator) = (secret.document(), simulation.remote.rotator()) else {
        simulation.wire.line().skip("the secret has no fields");
        return Ok(());
    };
    let (fields, mut named) = (simulation.remote.credential(), false);
    let cx = Invocation::new(Deadline::after(TIME));
    let calls = SecretClient::new(simulation.memory(), &simulation.secret, &cx);
    let description = SecretDescription::default();
    for field in ["host", "username"] {
        if fields.contains(&field) || document.field(field).is_none() {
            continue;
        }
        let other: Document = document.with(field, "somebody-elses");
        let pending = Pending::new(version(1), with_new_proof(&other, fields));
        let current = Current::new(version(0), secret.clone());
        let versions = SetContext::new(&calls, &description, current, pending);
        named = true;
        match simulation.heard(async { rotator.check(&versions) }).await {
            Err(error) if error.kind() == ErrorKind::Mismatch => {
                simulation.wire.line().note(format!("check: {error}"));
            }
            _ => {
                return finds(
                    simulation,
                    &format!("a pending secret with another {field} is accepted"),
                );
            }
        }
    }
    if !named {
        simulation.wire.line().skip("the secret names neither a host nor a username");
    }
    Ok(())
}

/// It finds nothing wrong with a remote in order, and changes nothing.
pub(super) async fn preflight(simulation: &mut Simulation) -> Checked {
    let secret = initial(simulation);
    let before = simulation.remote.credentials().await;
    let cx = Invocation::new(Deadline::after(TIME));
    let current = Current::new(version(0), secret.clone());
    let rotator = simulation.remote.rotator();
    let calls = SecretClient::new(simulation.memory(), &simulation.secret, &cx);
    let description = match calls.describe().await {
        Ok(description) => description,
        Err(error) => return fails(simulation, "a look at the secret before preflight", &error),
    };
    let subject = InspectContext::new(&calls, &current, &description);
    match simulation.heard(rotator.preflight(&subject, &cx)).await {
        Err(error) => return fails(simulation, "preflight", &error),
        Ok(findings) => {
            for finding in findings {
                match finding {
                    Finding::Fails(error) => {
                        return fails(simulation, "preflight finds that", &error);
                    }
                    Finding::Warns(warning) => simulation.wire.line().note(warning),
                }
            }
        }
    }
    locked_out::questions(simulation).await;
    let after = simulation.remote.credentials().await;
    if before != after || !simulation.remote.accepts(&secret).await {
        return finds(simulation, "preflight changes what logs in");
    }
    Ok(())
}

/// Asks the rotator about one secret.
async fn asked(simulation: &Simulation, secret: &Secret) -> Result<Verdict, Error> {
    let rotator = simulation.remote.rotator();
    let cx = Invocation::new(Deadline::after(TIME));
    let verdict = simulation.heard(rotator.verify(secret, &cx)).await;
    simulation.wire.line().transcript.extend(cx.stats().warnings);
    simulation.wire.line().note(match &verdict {
        Ok(Verdict::Accepted) => "verify: accepted".to_owned(),
        Ok(Verdict::Rejected(why)) => format!("verify: rejected: {why}"),
        Err(error) => format!("verify: {}: {error}", error.kind()),
    });
    verdict
}

/// The secret that works at a fresh remote.
pub(super) fn initial(simulation: &Simulation) -> Secret {
    Secret::decode(&simulation.remote.secret().into())
}

/// The same secret with a wrong proof. None if there is no field to alter.
pub(crate) fn altered(secret: &Secret, fields: &[&str]) -> Option<Secret> {
    match secret.document() {
        Ok(document) => Some(with_new_proof(document, fields)),
        Err(_) => match secret.bytes() {
            Ok(bytes) => Some(Secret::of_bytes([bytes, b"-wrong"].concat())),
            Err(_) => Some(Secret::decode(&format!("{}-wrong", secret.expose().ok()?).into())),
        },
    }
}

fn with_new_proof(document: &Document, fields: &[&str]) -> Secret {
    let Some(field) = fields.last() else { return document.clone().into() };
    let proof = document.optional(field).ok().flatten().unwrap_or_default();
    document.with(field, &format!("{proof}-wrong")).into()
}

pub(super) fn finds(simulation: &Simulation, what: &str) -> Checked {
    Err(simulation.wrong(What::Check(what.to_owned())))
}

fn fails(simulation: &Simulation, verb: &str, error: &Error) -> Checked {
    finds(simulation, &format!("{verb} fails: {}: {error}", error.kind()))
}
