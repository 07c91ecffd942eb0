//! What an author tells the kit about a rotator and its remote.

use std::sync::Arc;

use async_trait::async_trait;
use fourstep::store::SecretStore;
use fourstep::{Engine, Error, Invocation, Outcome, RotationEvent, Rotator, Secret};
use fourstep_local::MemoryStore;

use super::{Effort, Wire};

/// How many credentials work at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// One: the old credential stops working when the new one begins to. In between, some labelled
    /// version works.
    None,
    /// The current one works at every moment, and the one before it until the next rotation.
    Full,
}

/// Where remotes come from: a modelled server, a double, or a real one.
#[async_trait]
pub trait Testbed: Send + Sync {
    /// How many credentials work at once there.
    fn overlap(&self) -> Overlap;

    /// How often the turn changes at most where two containers race. Few changes find most of
    /// what there is to find, and all of them are too many where a step makes many calls.
    fn turns(&self, effort: Effort) -> u32 {
        match effort {
            Effort::Short => 3,
            Effort::Full => 5,
            Effort::Long => u32::MAX,
        }
    }

    /// A remote in its first state, or an account of its own on a real one. Nothing that is done
    /// to one remote may be seen at another. What a model does for the process under test goes
    /// over `wire`, so that the kit can stop the process there; a real remote has no use for it.
    async fn fresh(&self, wire: &Wire) -> Box<dyn Remote>;

    /// The same with a user of this name and password, which are hostile. None if there is no such
    /// thing as a name there, or if this one is not legal.
    async fn named(&self, _wire: &Wire, _user: &str, _password: &str) -> Option<Box<dyn Remote>> {
        None
    }
}

/// One remote, one account at it, and the rotator for it.
#[async_trait]
pub trait Remote: Send + Sync {
    /// The rotator as a new process would make it. Called for every step: what a rotator remembers
    /// from one step to the next is lost.
    fn rotator(&self) -> Box<dyn Rotator>;

    /// The secret value that works at a fresh remote.
    fn secret(&self) -> String;

    /// Other secrets that the rotator reads, such as an admin's: their names and values. They stand
    /// in the same store.
    fn other_secrets(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// The store in which all these stand, for a remote that reads secrets itself, as a proxy does.
    fn placed(&self, _store: &Arc<MemoryStore>) {}

    /// Whether this secret works now, asked by other means than the rotator's own.
    async fn accepts(&self, secret: &Secret) -> bool;

    /// The fields a rotation may change. The last one is what proves the others: it alone is
    /// altered to make a wrong credential.
    fn credential(&self) -> &'static [&'static str] {
        &["password"]
    }

    /// The secret with its host and port changed, so that nobody answers there. None if that
    /// cannot be said in the secret.
    fn out_of_reach(&self) -> Option<String> {
        None
    }

    /// How many credentials of this account work now, those included that no secret names. None
    /// where that cannot be known, or where one may be left over for good reason.
    async fn credentials(&self) -> Option<usize> {
        None
    }

    /// What is wrong at the remote besides credentials: a user without its rights, an account
    /// touched that is somebody else's.
    fn complaint(&self) -> Option<String> {
        None
    }

    /// What is wrong at the remote once a rotation has ended that nobody interfered with since it
    /// began: for what may be under way before.
    fn unsettled(&self) -> Option<String> {
        None
    }

    /// Somebody changes what belongs to the account in use besides its credential, such as its
    /// rights: a rotation carries it over. False if there is nothing of the kind.
    fn administer(&self, _current: &Secret) -> bool {
        false
    }

    /// What a person stores in AWSCURRENT's place, where that may be more than a note: another host, say.
    fn edited(&self, _current: &Secret) -> Option<String> {
        None
    }

    /// Whether a credential that is applied takes the place of the one that a cancelled rotation
    /// applied, as with two users or two passwords, and not with keys that are added. Where it
    /// does, a cancelled rotation that a container promotes late leaves an AWSCURRENT that does
    /// not work, which no rotator can prevent: moving the label does not ask for AWSPENDING.
    fn replaces(&self) -> bool {
        false
    }

    /// Whether the target has neither locks nor a change that compares, so that a statement takes effect
    /// however late it comes. There a container that stands still between the fence and its statement,
    /// until another rotation has ended, puts an older stored credential in the place of the newer one.
    /// No rotator can prevent that, and the next rotation must repair it.
    fn applies_late(&self) -> bool {
        false
    }

    /// Whether a credential begins to work by itself, some time after it was made, as at a vendor
    /// that is eventually consistent. Then nobody takes it for a change that setSecret made without
    /// asking for its labels again.
    fn propagates(&self) -> bool {
        false
    }

    /// Whether what was proposed may be dead before it is applied, as where two containers have a
    /// vendor make a value anew in one place. Then the rotator takes AWSPENDING off it, this rotation
    /// fails for ever, and the next one must not; and rotations are further apart than AWS lets any
    /// invocation live, since a container of the last one could replace what the next one makes.
    fn overtakes(&self) -> bool {
        false
    }

    /// Whether credentials that were replaced work on for a time that the remote ends by itself.
    fn lingers(&self) -> bool {
        false
    }

    /// An hour goes by at the remote: it ends what its own time limits end.
    fn hour_passes(&self) {}

    /// The remote loses everything since the last [`remember`](Self::remember), as after a
    /// fail-over or a restored snapshot. False if it cannot.
    fn forget(&self) -> bool {
        false
    }

    /// The state that [`forget`](Self::forget) goes back to.
    fn remember(&self) {}

    /// The function as a new process would make it: Fourstep's engine over the rotator.
    fn function(&self) -> Box<dyn Function> {
        Box::new(Driven(self.rotator()))
    }
}

/// What handles one step of a rotation, from the event to the outcome.
///
/// It is the engine over a rotator. The kit's own tests put broken ones in its place.
#[async_trait]
pub trait Function: Send + Sync {
    /// Does one step.
    ///
    /// # Errors
    /// Whatever stopped it. The service repeats the rotation from createSecret on.
    async fn step(
        &self,
        store: &dyn SecretStore,
        event: &RotationEvent,
        cx: &Invocation,
    ) -> Result<Outcome, Error>;
}

struct Driven(Box<dyn Rotator>);

#[async_trait]
impl Function for Driven {
    async fn step(
        &self,
        store: &dyn SecretStore,
        event: &RotationEvent,
        cx: &Invocation,
    ) -> Result<Outcome, Error> {
        Engine::new(store, &*self.0).step(event, cx).await
    }
}
