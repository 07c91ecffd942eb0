//! What would keep a rotation from succeeding, and what an operator should know.

use std::time::Duration;

use super::wait::deleting;
use super::{ManagedPasswords, ManagedUser, ManagedUsers, UserState, UserStatus, objections};
use crate::invocation::Invocation;
use crate::rotator::{Finding, InspectContext};
use crate::users::{Attempt, common};

/// A change fits into this, mostly (see `wait.rs`).
const USUAL: Duration = Duration::from_secs(300);

impl<S: ManagedUsers> ManagedPasswords<S> {
    /// Everything that is found. Whether the role may change the user cannot be asked: the API has no dry run.
    pub(super) async fn findings(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Vec<Finding> {
        let user = match self.current(subject.current.secret(), subject.description) {
            Ok(user) => user,
            Err(error) => return vec![Finding::Fails(error)],
        };
        let settings = [self.recorded(&user).err(), self.password(&subject.description.tags).err()];
        let mut findings: Vec<Finding> =
            settings.into_iter().flatten().map(Finding::Fails).collect();
        let left = cx.deadline().remaining();
        if left < USUAL {
            findings.push(Finding::Warns(format!(
                "the function has {} s left, and a change takes minutes; raise its timeout",
                left.as_secs()
            )));
        }
        match self.service.describe(&user, cx).await {
            Ok(found) => findings.extend(of_found(&user, &found)),
            Err(error) => findings.push(Finding::Fails(error)),
        }
        findings.push(match &user.login {
            None => Finding::Warns(
                "the secret names no \"host\" or no \"password\", so testSecret looks at the user's status \
                 only; name a host where the user logs in, and testSecret does so too"
                    .to_owned(),
            ),
            Some(login) => match self.service.log_in(login, cx).await {
                Ok(Attempt::Accepted(())) => return findings,
                Ok(Attempt::Refused(why)) => common::current_refused(why),
                Err(error) => Finding::Fails(error),
            },
        });
        findings
    }
}

fn of_found(user: &ManagedUser, found: &UserState) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        objections(user, found).into_iter().map(Finding::Fails).collect();
    match found.status {
        UserStatus::Active => {}
        UserStatus::Changing => {
            findings.push(Finding::Warns("the user is being changed at the moment".to_owned()));
        }
        UserStatus::Deleting => findings.push(Finding::Fails(deleting(user))),
    }
    if found.groups == 0 {
        findings.push(Finding::Warns(
            "the user is in no user group or access control list, so no server knows it".to_owned(),
        ));
    }
    findings
}
