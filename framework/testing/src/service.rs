//! The service: it delivers steps, repeats what failed, and ends what succeeded. And the operator
//! who clears up after a rotation that does not.

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{Step, VersionId};

use super::report::What;
use super::simulation::{Checked, End, Simulation, full_promise, version};

/// How often the service delivers a rotation before the kit says that it does not converge.
pub(super) const TRIES: u32 = 4;

impl Simulation {
    /// Delivers one step to a process of its own.
    pub(super) async fn deliver(&mut self, step: Step, token: &VersionId) -> Checked<End> {
        let process = self.process("A", step, token);
        self.run(process).await
    }

    /// Delivers the four steps, from the first again after a failure, as the service does. False
    /// if no try succeeded.
    pub(super) async fn rotate(&mut self, token: &VersionId, times: u32) -> Checked<bool> {
        for _ in 0..TRIES {
            if self.try_rotation(token, times).await? {
                return Ok(true);
            }
            // The service waits longer and longer: longer than AWS lets any invocation live.
            self.end_the_frozen();
            self.remote.hour_passes();
        }
        Ok(false)
    }

    pub(super) async fn try_rotation(&mut self, token: &VersionId, times: u32) -> Checked<bool> {
        for step in Step::ALL {
            for _ in 0..times {
                match self.deliver(step, token).await? {
                    End::Answered(Ok(_)) => {}
                    _ => return Ok(false),
                }
            }
        }
        Ok(true)
    }

    /// Plays one whole rotation that must converge, and looks at what it left.
    pub(super) async fn whole(&mut self, times: u32) -> Checked<VersionId> {
        let token = self.begin()?;
        self.conclude(&token, times).await
    }

    /// Plays a rotation to its end. Where somebody interfered, this token may fail for ever, and
    /// the next one must not.
    pub(super) async fn conclude(&mut self, token: &VersionId, times: u32) -> Checked<VersionId> {
        if self.rotate(token, times).await? {
            self.done(token).await?;
            return Ok(token.clone());
        }
        if !self.disturbed && !self.overtaken(token)? {
            return Err(self.wrong(What::NeverConverges));
        }
        self.clear()?;
        let token = self.begin()?;
        if !self.rotate(&token, times).await? {
            return Err(self.wrong(What::NextNeverConverges));
        }
        self.done(&token).await?;
        Ok(token)
    }

    /// Whether the rotator gave up a value that another container replaced.
    fn overtaken(&self, token: &VersionId) -> Checked<bool> {
        let held = [AWSPENDING, AWSCURRENT].map(|label| self.holder(label));
        let [pending, current] = held;
        let gone = pending?.as_ref() != Some(token) && current?.as_ref() != Some(token);
        Ok(gone && self.remote.overtakes())
    }

    /// What the service does after finishSecret; then what must be true now.
    pub(super) async fn done(&mut self, token: &VersionId) -> Checked {
        let holder = self.holder(AWSCURRENT)?;
        if holder.as_ref() != Some(token) {
            // A rotation that somebody overtook ends without being current; nothing is owed to it.
            return match self.disturbed {
                true => Ok(()),
                false => Err(self.wrong(What::NotPromoted)),
            };
        }
        let finished = self.memory().finish_rotation(&self.secret, token, self.left);
        self.kit(finished)?;
        if self.healed_by.is_some_and(|least| (1..least).any(|number| version(number) == *token)) {
            return Ok(());
        }
        self.healed_by = None;
        self.promise = full_promise(self.overlap);
        self.check().await?;
        self.kept().await
    }

    /// Removes AWSPENDING from a version that does not finish, as the error tells an operator to.
    pub(super) fn clear(&mut self) -> Checked {
        let (pending, current) = (self.holder(AWSPENDING)?, self.holder(AWSCURRENT)?);
        if let Some(pending) = pending.filter(|pending| current.as_ref() != Some(pending)) {
            self.wire.line().note(format!("somebody takes AWSPENDING off {pending}"));
            let removed =
                self.memory().update_stage(&self.secret, AWSPENDING, None, Some(&pending));
            self.kit(removed)?;
        }
        Ok(())
    }
}
