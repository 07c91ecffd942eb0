//! The verbs one by one.

use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::rotator::{Finding, Known, Subject, Verdict, Versions};
use crate::secret::{Current, Document, Pending, Secret};
use crate::store::{Calls, SecretDescription};
use crate::testing::promises::same_credential;
use crate::testing::report::What;
use crate::testing::wire::Fate;
use crate::testing::world::{Checked, World, version};
use crate::turn::{Deadline, Turn};

/// How long a verb may take.
const TIME: Duration = Duration::from_secs(60);

/// More calls than a verb makes.
const MOST_CALLS: u64 = 50;

/// The right credential is accepted, a wrong one rejected, and asking changes nothing.
pub(super) async fn verify(world: &mut World) -> Checked {
    let secret = initial(world);
    let wrong = altered(&secret, world.remote.credential());
    for _ in 0..2 {
        match asked(world, &secret).await {
            Ok(Verdict::Accepted) => {}
            Ok(Verdict::Rejected(_)) => return finds(world, "verify rejects the current secret"),
            Err(error) => return fails(world, "verify", &error),
        }
        match wrong.as_ref().map(|wrong| asked(world, wrong)) {
            None => {}
            Some(verdict) => match verdict.await {
                Ok(Verdict::Rejected(_)) => {}
                Ok(Verdict::Accepted) => return finds(world, "verify accepts a wrong credential"),
                Err(error) => return fails(world, "verify of a wrong credential", &error),
            },
        }
    }
    if !world.remote.accepts(&secret).await {
        return finds(world, "verify changes what logs in");
    }
    Ok(())
}

/// A remote that does not answer, or whose answer is lost, is neither accepting nor rejecting.
pub(super) async fn verify_without_answer(world: &mut World) -> Checked {
    let secret = initial(world);
    if let Some(nowhere) = world.remote.out_of_reach() {
        let verdict = asked(world, &Secret::decode(&nowhere.into())).await;
        silent(world, verdict)?;
    }
    for fate in [Fate::Refuse, Fate::LoseAnswer] {
        for at in 1..=MOST_CALLS {
            world.wire.line().fail_at(at, fate);
            let verdict = asked(world, &secret).await;
            // What was not reached is left over: the verb makes no more calls.
            if !world.wire.line().failed() {
                break;
            }
            silent(world, verdict)?;
        }
    }
    Ok(())
}

fn silent(world: &World, verdict: Result<Verdict, Error>) -> Checked {
    match verdict {
        Err(error) if error.kind() != ErrorKind::Rejected => Ok(()),
        // An answer that is lost after the verdict was heard changes nothing.
        Ok(Verdict::Accepted) => finds(world, "verify accepts what it could not ask"),
        Ok(Verdict::Rejected(_)) | Err(_) => finds(world, "a lost connection is read as Rejected"),
    }
}

/// The credential changes, everything else stays, no two proposals are the same, and what is given
/// up leaves nothing behind.
pub(super) async fn propose(world: &mut World) -> Checked {
    let current = initial(world);
    let fields = world.remote.credential();
    let before = world.remote.credentials().await;
    let mut proposed: Vec<Secret> = vec![current.clone()];
    for number in 1..=2 {
        let next = match proposal(world, number).await {
            Ok(next) => next,
            Err((verb, error)) => return fails(world, verb, &error),
        };
        if proposed.iter().any(|one| same_credential(one, &next, fields)) {
            return finds(world, "propose makes the same credential twice");
        }
        if let (Ok(before), Ok(after)) = (current.document(), next.document())
            && let Some(field) = before.difference(after, fields)
        {
            return finds(world, &format!("propose changes the field {field:?}"));
        }
        if current.document().is_ok() && next.document().is_err() {
            return finds(world, "propose makes something else of a document");
        }
        if world.remote.credentials().await > before {
            return finds(world, "discard leaves a credential behind");
        }
        proposed.push(next);
    }
    if !world.remote.accepts(&current).await {
        return finds(world, "propose stops the current credential");
    }
    Ok(())
}

/// A proposal that is given up at once, as where another run's value was stored: at a limit there is
/// no room for two.
async fn proposal(world: &World, number: u32) -> Result<Secret, (&'static str, Error)> {
    let turn = Turn::new(Deadline::after(TIME));
    let calls = Calls::new(world.memory(), &world.secret, &turn);
    let looks = |error| ("a look at the secret before propose", error);
    let description: SecretDescription = calls.describe().await.map_err(looks)?;
    let current: Current = calls.current().await.map_err(looks)?;
    let token = version(number);
    let known =
        Known { calls: &calls, current: &current, token: &token, description: &description };
    let rotator = world.remote.rotator();
    let proposed = world.heard(rotator.propose(&known, &turn)).await;
    let proposed = proposed.map_err(|error| ("propose", error))?;
    let discarded = world.heard(rotator.discard(&proposed, &known, &turn)).await;
    discarded.map_err(|error| ("discard", error))?;
    Ok(proposed)
}

/// A pending secret of another host or user would be applied to somebody else's account.
pub(super) async fn another_account(world: &mut World) -> Checked {
    let secret = initial(world);
    let (Ok(document), rotator) = (secret.document(), world.remote.rotator()) else {
        return Ok(());
    };
    let fields = world.remote.credential();
    let turn = Turn::new(Deadline::after(TIME));
    let calls = Calls::new(world.memory(), &world.secret, &turn);
    let description = SecretDescription::default();
    for field in ["host", "username"] {
        if fields.contains(&field) || document.field(field).is_none() {
            continue;
        }
        let other: Document = document.with(field, "somebody-elses");
        let pending = Pending::new(version(1), with_new_proof(&other, fields));
        let current = Current::new(version(0), secret.clone());
        let versions = Versions { calls: &calls, description: &description, current, pending };
        match rotator.check(&versions) {
            Err(error) if error.kind() == ErrorKind::Mismatch => {}
            _ => {
                return finds(world, &format!("a pending secret with another {field} is accepted"));
            }
        }
    }
    Ok(())
}

/// It finds nothing wrong with a remote in order, and changes nothing.
pub(super) async fn preflight(world: &mut World) -> Checked {
    let secret = initial(world);
    let before = world.remote.credentials().await;
    let turn = Turn::new(Deadline::after(TIME));
    let current = Current::new(version(0), secret.clone());
    let rotator = world.remote.rotator();
    let calls = Calls::new(world.memory(), &world.secret, &turn);
    let description = match calls.describe().await {
        Ok(description) => description,
        Err(error) => return fails(world, "a look at the secret before preflight", &error),
    };
    let subject = Subject { calls: &calls, current: &current, description: &description };
    match world.heard(rotator.preflight(&subject, &turn)).await {
        Err(error) => return fails(world, "preflight", &error),
        Ok(findings) => {
            for finding in findings {
                match finding {
                    Finding::Fails(error) => return fails(world, "preflight finds that", &error),
                    Finding::Warns(warning) => world.wire.line().note(warning),
                }
            }
        }
    }
    let after = world.remote.credentials().await;
    if before != after || !world.remote.accepts(&secret).await {
        return finds(world, "preflight changes what logs in");
    }
    Ok(())
}

/// Asks the rotator about one secret.
async fn asked(world: &World, secret: &Secret) -> Result<Verdict, Error> {
    let rotator = world.remote.rotator();
    let turn = Turn::new(Deadline::after(TIME));
    let verdict = world.heard(rotator.verify(secret, &turn)).await;
    world.wire.line().transcript.extend(turn.tally().warnings);
    world.wire.line().note(match &verdict {
        Ok(Verdict::Accepted) => "verify: accepted".to_owned(),
        Ok(Verdict::Rejected(why)) => format!("verify: rejected: {why}"),
        Err(error) => format!("verify: {}: {error}", error.kind()),
    });
    verdict
}

/// The secret that works at a fresh remote.
pub(super) fn initial(world: &World) -> Secret {
    Secret::decode(&world.remote.secret().into())
}

/// The same secret with a wrong proof. None if there is no field to alter.
fn altered(secret: &Secret, fields: &[&str]) -> Option<Secret> {
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

pub(super) fn finds(world: &World, what: &str) -> Checked {
    Err(world.wrong(What::Check(what.to_owned())))
}

fn fails(world: &World, verb: &str, error: &Error) -> Checked {
    finds(world, &format!("{verb} fails: {}: {error}", error.kind()))
}
