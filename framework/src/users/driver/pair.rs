//! A change of a pair: everything that makes the target as its source is, then its password.

use std::time::Duration;

use secrecy::SecretString;

use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::rotator::{Fence, Finding};
use crate::users::driver::assessment::still_open;
use crate::users::driver::{
    Alternates, Assessment, Driver, End, OpenSessions, PASSWORD_UNKNOWN, Part, Step, close,
    is_made, named, open_admin,
};
use crate::users::{Accounts, Change, Install, LoggedIn, Ownership};

/// What is not known where the answer to the commit of a part is lost.
const PAIR_UNKNOWN: End = End::Commit { unknown: "the pair may or may not have been made" };

/// While less is left, nothing is begun that does not count: anybody may have laid very much of it.
const TIME_TO_SPARE: Duration = Duration::from_secs(12);

/// One change of one user.
struct Job<'a, S> {
    driver: &'a Driver<S>,
    install: &'a Install<'a>,
}

impl<S: Alternates> Job<'_, S> {
    fn locks(&self) -> [String; 1] {
        // Named after the user alone: it may have no account yet.
        [self.install.target.to_owned()]
    }

    /// What is known of the two users now.
    async fn accounts(&self, admin: &mut LoggedIn<'_, S::Session>) -> Result<Accounts> {
        let Install { pair, target, source, .. } = *self.install;
        let server = &self.driver.server;
        server.accounts(admin, &[target, source], pair.secret()).await
    }

    /// What is run, and all that speaks against it.
    async fn assess(&self, admin: &mut LoggedIn<'_, S::Session>) -> Result<Assessment<S::Found>> {
        let Install { target, source, refuse_open_sessions, .. } = *self.install;
        let accounts = self.accounts(admin).await?;
        let judged = self.install.authorize(&accounts);
        let ownership = judged.as_ref().ok().copied();
        let server = &self.driver.server;
        let mut found = server.assess(admin, self.install, &accounts, ownership).await?;
        found.objections.splice(0..0, judged.err());
        found.warnings.extend(self.install.pair.contradicted(&accounts, target, source));
        if target != source {
            let open = server.open_sessions(admin, target).await?;
            if let OpenSessions::Count(open) = open {
                admin.cx.note_sessions_of_replaced(open);
            }
            found.note_sessions(target, open, refuse_open_sessions);
        }
        Ok(found)
    }

    /// Everything but the password.
    async fn level(
        &self,
        admin: &mut LoggedIn<'_, S::Session>,
        fence: &dyn Fence,
    ) -> Result<S::Found> {
        let made = async {
            self.driver.begin(admin, &self.locks()).await?;
            let found = self.assess(admin).await?;
            found.warnings.iter().for_each(|warning| admin.cx.warn(warning));
            if let Some(objection) = found.first_objection() {
                return Err(objection);
            }
            if let Some(part) = found.parts.first() {
                self.run(admin, &part.steps, false, fence).await?;
            }
            Ok(found)
        }
        .await;
        let found = self.driver.end(admin, made, (PAIR_UNKNOWN, |_: &_| true)).await?;
        for part in found.parts.iter().skip(1) {
            match self.elsewhere(part, fence, admin.cx).await {
                Err(error) if part.is_spare() => admin.cx.warn(left_as_it_is(part, &error)),
                ended => ended?,
            }
        }
        Ok(found.found)
    }

    /// One part in another session: the user may have changed since the first was looked at.
    async fn elsewhere(&self, part: &Part, fence: &dyn Fence, cx: &Invocation) -> Result<()> {
        time_for(part, cx)?;
        let server = &self.driver.server;
        let mut admin = open_admin(server, &part.login, cx).await?;
        let made = async {
            self.driver.begin(&mut admin, &self.locks()).await?;
            self.present(&mut admin).await?;
            self.run(&mut admin, &part.steps, part.is_spare(), fence).await
        }
        .await;
        let ended = self.driver.end(&mut admin, made, (PAIR_UNKNOWN, |&()| true)).await;
        close(server, admin).await;
        ended
    }

    /// Runs these statements behind the fence. Whether sessions are open is asked again just before
    /// the first that waits for there to be none: what is opened later has all that the source has. What is
    /// given up as a `whole` fails at the first that fails.
    async fn run(
        &self,
        admin: &mut LoggedIn<'_, S::Session>,
        steps: &[Step],
        whole: bool,
        fence: &dyn Fence,
    ) -> Result<()> {
        if steps.is_empty() {
            return Ok(());
        }
        let server = &self.driver.server;
        fence.pass().await?;
        let mut alone = None;
        for step in steps {
            if step.waits && alone.is_none() {
                let open = server.open_sessions(admin, self.install.target).await?;
                alone = Some(matches!(open, OpenSessions::Count(0) | OpenSessions::Untold));
            }
            if step.waits && alone == Some(false) {
                continue;
            }
            admin.cx.enough_for_a_change()?;
            match step.spare && !whole {
                true => server.run_spare(admin, &step.text).await?,
                false => server.run(admin, &step.text).await?,
            }
        }
        Ok(())
    }

    /// Whose the target is, by what is found behind its lock.
    async fn present(&self, admin: &mut LoggedIn<'_, S::Session>) -> Result<()> {
        let accounts = self.accounts(admin).await?;
        match self.install.authorize(&accounts)? {
            // A fail-over lost it.
            Ownership::Absent => {
                let what = format!("user {:?} is gone; retry", self.install.target);
                Err(Error::new(ErrorKind::Conflict, what))
            }
            _ => Ok(()),
        }
    }

    /// The password, and with it what lets the user in: it comes last.
    async fn let_in(
        &self,
        admin: &mut LoggedIn<'_, S::Session>,
        prepared: &S::Prepared,
        fence: &dyn Fence,
    ) -> Result<Change> {
        let Install { target, source, refuse_open_sessions, .. } = *self.install;
        let server = &self.driver.server;
        let made = async {
            self.driver.begin(admin, &server.locks(prepared)).await?;
            self.present(admin).await?;
            if target != source && refuse_open_sessions {
                let open = server.open_sessions(admin, target).await?;
                still_open(target, open).map_or(Ok(()), Err)?;
            }
            fence.pass().await?;
            server.set(admin, prepared, fence).await
        }
        .await;
        self.driver.end(admin, made, (PASSWORD_UNKNOWN, is_made)).await
    }

    /// Runs everything and rolls it back, but what locks what applications use; what that meets.
    async fn rehearse(
        &self,
        admin: &mut LoggedIn<'_, S::Session>,
        parts: &[Part],
    ) -> Result<Vec<Finding>> {
        let server = &self.driver.server;
        let mut findings = Vec::new();
        for part in parts.iter().filter(|part| !part.steps.is_empty()) {
            let played = if let Err(error) = time_for(part, admin.cx) {
                Err(error)
            } else if part.login.dbname == admin.login.dbname {
                self.play(admin, part).await
            } else {
                match open_admin(server, &part.login, admin.cx).await {
                    Ok(mut elsewhere) => {
                        let played = self.play(&mut elsewhere, part).await;
                        close(server, elsewhere).await;
                        played
                    }
                    Err(error) => Err(error),
                }
            };
            findings.extend(played.err().map(|error| match part.is_spare() {
                true => Finding::Warns(left_as_it_is(part, &error)),
                false => Finding::of_rehearsal(error),
            }));
        }
        Ok(findings)
    }

    async fn play(&self, admin: &mut LoggedIn<'_, S::Session>, part: &Part) -> Result<()> {
        let server = &self.driver.server;
        let played = async {
            server.begin(admin, &[]).await?;
            for step in part.steps.iter().filter(|step| !step.locks) {
                match step.spare {
                    true => server.run_spare(admin, &step.text).await?,
                    false => server.run(admin, &step.text).await?,
                }
            }
            Ok(())
        }
        .await;
        self.driver.abandon(admin).await;
        played
    }
}

/// What is warned about where a part that does not count could not be run.
fn left_as_it_is(part: &Part, error: &Error) -> String {
    let database = part.login.dbname.as_deref().unwrap_or_default();
    format!("database {database:?} is left as it is, where nothing counts for the pair: {error}")
}

/// Refuses to begin what does not count while that could use up the time of what does.
fn time_for(part: &Part, cx: &Invocation) -> Result<()> {
    match part.is_spare() && cx.deadline().remaining() < TIME_TO_SPARE {
        true => Err(Error::new(ErrorKind::OutOfTime, "there is no time for what does not count")),
        false => Ok(()),
    }
}

impl<S: Alternates> Driver<S> {
    /// What the server knows of these users, and of every user whose mark names this secret.
    pub(crate) async fn accounts(
        &self,
        admin: &mut LoggedIn<'_, S::Session>,
        usernames: &[&str],
        secret: &str,
    ) -> Result<Accounts> {
        let found = async {
            self.begin(admin, &[]).await?;
            self.server.accounts(admin, usernames, secret).await
        }
        .await;
        self.abandon(admin).await;
        found
    }

    /// Makes the target as the source is, then gives it its password and lets it in: whoever can
    /// log in can also work. Behind the lock [`Install::authorize`] is asked about what is found there,
    /// then `fence`; only then anything is changed. Every part may run twice.
    ///
    /// # Errors
    /// With any error the target cannot log in with `password` unless it is as the source is.
    pub(crate) async fn install(
        &self,
        admin: &mut LoggedIn<'_, S::Session>,
        install: &Install<'_>,
        password: &SecretString,
        fence: &dyn Fence,
    ) -> Result<Change> {
        let job = Job { driver: self, install };
        let outcome = async {
            self.server.check_username(install.target)?;
            self.outlasts(admin).await?;
            let found = job.level(admin, fence).await?;
            let server = &self.server;
            let prepared = server.prepare_install(admin, install, found, password).await?;
            job.let_in(admin, &prepared, fence).await
        }
        .await;
        let server = admin.login.server();
        named(outcome, &format!("cannot install user {:?} on {server}", install.target))
    }

    /// Finds everything that would make [`install`](Self::install) fail.
    pub(crate) async fn preflight_install(
        &self,
        admin: &mut LoggedIn<'_, S::Session>,
        install: &Install<'_>,
    ) -> Result<Vec<Finding>> {
        let job = Job { driver: self, install };
        let outlook = self.server.outlook(admin).await?;
        let assessed = async {
            self.begin(admin, &[]).await?;
            // Last: what a remark fails at may end the transaction.
            let found = job.assess(admin).await?;
            let remarks = self.remarks(admin, install.target, Some(install.source)).await;
            Ok::<_, Error>((remarks, found))
        }
        .await;
        self.abandon(admin).await;
        let (mut findings, found) = assessed?;
        findings.extend(outlook);
        findings.extend(found.findings());
        if self.server.transactions(&admin.login) && found.first_objection().is_none() {
            findings.extend(job.rehearse(admin, &found.parts).await?);
        }
        Ok(findings)
    }

    /// The statements of [`install`](Self::install), without the password's, and what an operator
    /// should run before it.
    pub(crate) async fn plan_install(
        &self,
        admin: &mut LoggedIn<'_, S::Session>,
        install: &Install<'_>,
    ) -> Result<Vec<String>> {
        let job = Job { driver: self, install };
        let assessed = async {
            self.begin(admin, &[]).await?;
            job.assess(admin).await
        }
        .await;
        self.abandon(admin).await;
        let transactions = self.server.transactions(&admin.login);
        Ok(assessed?.lines(install.target, transactions, S::COMMENT))
    }
}
