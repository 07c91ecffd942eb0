//! What the admin finds out about a pair of users, and does to it.

use std::collections::BTreeSet;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::VersionId;
use crate::rotator::{Fence, Finding};
use crate::users::admin::Admin;
use crate::users::driver::{OWN_PASSWORD, lacks_rights};
use crate::users::pair::unproven;
use crate::users::proxy_secrets::discarding;
use crate::users::{
    Accounts, Alternates, Attempt, Change, Driver, Install, LoggedIn, Login, Ownership, Pair, Proof,
};

/// The way out where a user may not be the other half.
fn another(user: &str) -> String {
    format!("choose another in USER_PAIRS, as {user}=OTHER")
}

/// Refuses users that the admin lacks rights to change: setSecret would.
fn may_change(accounts: &Accounts, users: [&str; 2]) -> Result<()> {
    let accounts = users.iter().filter_map(|user| accounts.get(*user));
    let lacks: BTreeSet<_> = accounts.flat_map(|account| &account.lacks).collect();
    if lacks.is_empty() {
        return Ok(());
    }
    Err(lacks_rights(lacks.into_iter().map(String::as_str)))
}

/// A pair of users, as the admin sees it.
pub(super) struct PairAdmin<'a, S: Alternates> {
    pub(super) database: &'a Driver<S>,
    pub(super) pair: Pair<'a>,
    pub(super) admin: Admin,
    /// The admin's, for everything that the step does.
    pub(super) session: LoggedIn<'a, S::Session>,
    pub(super) refuse_open_sessions: bool,
}

/// The user whose turn comes.
pub(super) struct Next {
    pub(super) user: String,
    /// Everything that speaks against it.
    objections: Vec<Error>,
    /// What speaks against it unless a recorded password of it logs in.
    pub(super) unconfirmed: Option<Error>,
    /// How [`Install`] says that one does.
    proof: Option<Proof>,
}

impl Next {
    /// # Errors
    /// The first of the objections.
    pub(super) fn unopposed(&self) -> Result<()> {
        self.objections.first().map_or(Ok(()), |objection| Err(objection.clone()))
    }
}

impl<'a, S: Alternates> PairAdmin<'a, S> {
    pub(super) async fn close(self) {
        self.database.close(self.session).await;
    }

    /// Refuses a change that would be undone afterwards.
    pub(super) async fn outlasts(&mut self) -> Result<()> {
        let asked = self.database.outlasts(&mut self.session).await;
        asked.map_err(|error| self.admin.explain(error))
    }

    /// Refuses to have the admin itself as a user of the pair.
    fn not_admin(&self, user: &str, partner: &str) -> Result<()> {
        match self.admin.is(user) {
            false => Ok(()),
            true => Err(self.admin.itself(&another(partner))),
        }
    }

    async fn accounts(&mut self, users: &[&str]) -> Result<Accounts> {
        let (session, secret) = (&mut self.session, self.pair.secret());
        let found = self.database.accounts(session, users, secret).await;
        found.map_err(|error| self.admin.explain(error))
    }

    /// The user that comes after this one, and everything that speaks against it.
    pub(super) async fn next(&mut self, user: &str) -> Result<Next> {
        let candidates = self.pair.candidates(user);
        let names: Vec<&str> = candidates.iter().map(String::as_str).collect();
        let mut accounts = self.accounts(&names).await?;
        self.pair.ownership(&accounts, user, user).map_err(|protected| {
            protected.caused_by(format!("{OWN_PASSWORD}, or correct \"username\""))
        })?;
        self.pair.uses_password(&accounts, user)?;
        let next = self.pair.other(&accounts, user)?;
        if next == user {
            return Err(unproven(user).caused_by(format!(
                "its mark names itself as its other half; name another in USER_PAIRS, as \
                 {user}=OTHER"
            )));
        }
        if !candidates.contains(&next) && !accounts.contains_key(&next) {
            // A mark names it, which was not known before.
            accounts = self.accounts(&[user, &next]).await?;
        }
        let ownership = self.pair.ownership(&accounts, &next, user);
        let not_ours = || self.pair.not_ours(&accounts, &next, user);
        let (ours, unconfirmed) = match ownership {
            // Where the user in use is gone, so is the mark: setSecret asks for other proof.
            Ok(Ownership::Unproven) if accounts.contains_key(user) => (Err(not_ours()), None),
            Ok(Ownership::Anothers) => (Err(not_ours()), None),
            Ok(Ownership::Claimed) => (Ok(()), Some(not_ours())),
            Ok(_) => (Ok(()), None),
            Err(protected) => (Err(protected.caused_by(another(user))), None),
        };
        let proof = unconfirmed.as_ref().map(|_| Proof::Older);
        let password = self.pair.uses_password(&accounts, &next);
        let name = self.database.server().check_username(&next);
        let name = name.map_err(|error| {
            error.caused_by(format!("name a shorter one in USER_PAIRS, as {user}=OTHER"))
        });
        // Rights on what is not ours are not asked for.
        let lacks = may_change(&accounts, [user, if ours.is_ok() { &next } else { user }]);
        let checks = [self.not_admin(&next, user), name, password, ours, lacks];
        let objections = checks.into_iter().filter_map(Result::err).collect();
        Ok(Next { user: next, objections, unconfirmed, proof })
    }

    /// What is known of the two users of a secret, behind which pending must be the other half of the one in
    /// use. createSecret asked that; what somebody wrote under AWSPENDING by hand was never there.
    async fn halves(
        &mut self,
        current: &str,
        (pending, token): (&str, &VersionId),
    ) -> Result<Accounts> {
        let candidates = self.pair.candidates(current);
        let names = candidates.iter().map(String::as_str).chain([pending]).collect::<Vec<_>>();
        let accounts = self.accounts(&names).await?;
        let other = self.pair.other(&accounts, current)?;
        if other == pending {
            return Ok(accounts);
        }
        let what = format!(
            "AWSPENDING names user {pending:?}, but the other half of user {current:?} is {other:?}"
        );
        let changed = "USER_PAIRS may have been changed since AWSPENDING was made";
        let discard = discarding(self.pair.secret(), token);
        Err(Error::new(ErrorKind::Mismatch, what).caused_by(format!("{changed}; {discard}")))
    }

    /// Whose the pending user is.
    pub(super) async fn ownership(
        &mut self,
        pending: (&str, &VersionId),
        current: &str,
    ) -> Result<Ownership> {
        let accounts = self.halves(current, pending).await?;
        self.pair.ownership(&accounts, pending.0, current)
    }

    /// AWSCURRENT does not log in, but `other`, a user of the pair, does with what is recorded: a
    /// fail-over, a restored snapshot or a late promotion lost the change. The recorded password
    /// is set on its account again. Whether it could be.
    pub(super) async fn restore_current(
        &mut self,
        current: &Login,
        pending: (&str, &VersionId),
        other: &str,
        fence: &dyn Fence,
    ) -> Result<bool> {
        let user = current.username.as_str();
        let accounts = self.halves(user, pending).await?;
        let account = accounts.get(user);
        let (pending, _) = pending;
        let refused = match self.pair.ownership(&accounts, user, pending)? {
            Ownership::Anothers => true,
            // Another user's password proves the pair, and not that this user is its other half.
            Ownership::Unproven | Ownership::Claimed => user != other,
            Ownership::Absent | Ownership::Ours | Ownership::Adopted => false,
        };
        if refused {
            return Err(self.pair.not_ours(&accounts, user, pending));
        }
        // Its own rights count. One that is gone, or half-made by an earlier run, has none to
        // count: it gets those of the other half.
        let usable = account.is_some_and(|account| account.usable);
        let source = if usable { user } else { other };
        match self.install(current, source, None, fence).await? {
            Change::Made => {
                self.session.cx.warn(format!(
                    "AWSCURRENT did not log in; its recorded password was set again for user {user:?}"
                ));
                Ok(true)
            }
            // As where passwords may not be used again. The pending one makes up for it.
            Change::Refused(why) => {
                self.session.cx.warn(format!(
                    "AWSCURRENT does not log in, and its recorded password cannot be set again: {why}"
                ));
                Ok(false)
            }
        }
    }

    /// Gives the target what the source has, then the target's password.
    pub(super) async fn install(
        &mut self,
        target: &Login,
        source: &str,
        proof: Option<Proof>,
        fence: &dyn Fence,
    ) -> Result<Change> {
        self.not_admin(&target.username, source)?;
        let install = self.of(&target.username, source, proof);
        let (session, password) = (&mut self.session, &target.password);
        let change = self.database.install(session, &install, password, fence).await;
        change.map_err(|error| self.admin.explain(error))
    }

    fn of<'b>(&self, target: &'b str, source: &'b str, proof: Option<Proof>) -> Install<'b>
    where
        'a: 'b,
    {
        let Self { pair, refuse_open_sessions, .. } = *self;
        Install { pair, target, source, proof, refuse_open_sessions }
    }

    /// Whether a user has this password already, after the server refused to set it: where
    /// passwords may not be used again, another container may have set this very one. A user that
    /// is not let in yet has none.
    pub(super) async fn has(&mut self, login: &Login) -> Result<bool> {
        let accounts = self.accounts(&[&login.username]).await?;
        if !accounts.get(&login.username).is_some_and(|account| account.usable) {
            return Ok(false);
        }
        let attempt = self.database.log_in(login, self.session.cx).await?;
        Ok(matches!(attempt, Attempt::Accepted(_)))
    }

    /// Everything that would keep the next rotation from installing the other user.
    pub(super) async fn preflight(
        &mut self,
        user: &str,
        next: Next,
        confirmed: Result<()>,
    ) -> Result<Vec<Finding>> {
        let Next { user: next, objections, proof, .. } = next;
        let objections = objections.into_iter().chain(confirmed.err());
        let mut findings: Vec<_> = objections.map(Finding::Fails).collect();
        let install = self.of(&next, user, proof);
        let found = self.database.preflight_install(&mut self.session, &install).await;
        let found = found.map_err(|error| self.admin.explain(error))?;
        for finding in found {
            // The database may object to the same thing.
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        Ok(findings)
    }

    /// What the next rotation would do.
    pub(super) async fn plan(&mut self, user: &str) -> Result<Vec<String>> {
        let next = self.next(user).await?;
        next.unopposed()?;
        let install = self.of(&next.user, user, next.proof);
        let plan = self.database.plan_install(&mut self.session, &install).await;
        plan.map_err(|error| self.admin.explain(error))
    }
}
