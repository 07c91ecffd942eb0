//! What recorded passwords prove about the two users of a pair.

use super::Alternating;
use super::pair_admin::Next;
use crate::error::Result;
use crate::invocation::Invocation;
use crate::rotator::{Recorded, SetContext};
use crate::users::login_attempts::{LoginAttempts, Older};
use crate::users::{Alternates, Login, Ownership, Proof};

impl<S: Alternates> Alternating<S> {
    /// The user of the pair whose recorded password logs in, where AWSCURRENT's does not. Pending
    /// may log in here, if an earlier run set it and something was lost since.
    pub(super) async fn other_proof(
        &self,
        tries: &mut LoginAttempts<'_, S>,
        versions: &SetContext<'_>,
        (current, pending): (&Login, &Login),
    ) -> Result<Option<String>> {
        let users = [current.username.as_str(), pending.username.as_str()];
        let recorded = versions.recorded();
        let mut open = tries.older_in(Older::Previous, &recorded, current, &users).await?;
        if open.is_none() {
            open = tries.open("AWSPENDING", pending).await?;
        }
        if open.is_none() {
            open = tries.older_in(Older::Others, &recorded, current, &users).await?;
        }
        Ok(open.map(|open| open.at.login.username))
    }

    /// Which recorded password of the pending user logs in, where nothing else proves that it is
    /// ours. Who only claims it needs no more than an older one.
    pub(super) async fn proof(
        &self,
        tries: &mut LoginAttempts<'_, S>,
        versions: &SetContext<'_>,
        (current, pending): (&Login, &Login),
        ownership: Ownership,
    ) -> Result<Option<Proof>> {
        if !matches!(ownership, Ownership::Unproven | Ownership::Claimed) {
            return Ok(None);
        }
        if tries.open("AWSPENDING", pending).await?.is_some() {
            return Ok(Some(Proof::Pending));
        }
        if ownership == Ownership::Unproven {
            return Ok(None);
        }
        let older = tries.older_of(&versions.recorded(), current, &pending.username).await?;
        Ok(older.map(|_| Proof::Older))
    }

    /// Refuses the next user if it only claims to be ours and no recorded password of it logs in.
    pub(super) async fn confirmed(
        &self,
        next: &Next,
        recorded: &Recorded<'_>,
        current: &Login,
        cx: &Invocation,
    ) -> Result<()> {
        let Some(unconfirmed) = &next.unconfirmed else { return Ok(()) };
        let mut tries = LoginAttempts::new(&*self.database, cx);
        match tries.older_of(recorded, current, &next.user).await? {
            Some(_) => Ok(()),
            None => Err(unconfirmed.clone()),
        }
    }
}
