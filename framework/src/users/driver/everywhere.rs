//! A change at every server that has the user: what is added is added at all of them before anything is
//! taken away at one, and nothing is sent to any before it is known that nothing speaks against it at any.

use futures_util::future::join_all;
use secrecy::SecretString;

use super::places::{AT_ONCE, Place};
use super::{Driver, MOST_LISTED, PASSWORD_UNKNOWN, PasswordSets, is_made, listed};
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::rotator::{Fence, Finding, Verdict};
use crate::users::{Attempt, Change, Login};

/// What is added.
#[derive(Clone, Copy)]
pub(crate) struct Addition<'a> {
    /// Sent wherever it is, so that each server keeps it: one that has it in its memory may not have written it.
    pub(crate) new: &'a SecretString,
    /// Added where it is missing and other servers have it: those came back with what they had kept.
    pub(crate) known: Option<&'a SecretString>,
}

/// At how many servers something was added, and how many of them lacked it.
pub(crate) struct Added {
    pub(crate) servers: usize,
    pub(crate) lacked: usize,
}

impl<S: PasswordSets> Driver<S> {
    /// The first of these servers whose user has none of these passwords.
    pub(crate) async fn stranger(
        &self,
        places: &mut [Place<'_, S::Session>],
        passwords: &[SecretString],
    ) -> Result<Option<Login>> {
        let mut strange = vec![true; places.len()];
        for password in passwords {
            if !strange.contains(&true) {
                break;
            }
            let lacking = self.lack(places, password).await?;
            strange.iter_mut().zip(lacking).for_each(|(strange, lacks)| *strange &= lacks);
        }
        let mut all = places.iter().zip(strange);
        Ok(all.find(|(_, strange)| *strange).map(|(place, _)| place.user.clone()))
    }

    /// Adds a password, behind all that speaks against it anywhere, and `fence`.
    ///
    /// # Errors
    /// Something may have been added at some servers, and harms nobody there.
    pub(crate) async fn add_everywhere(
        &self,
        places: &mut [Place<'_, S::Session>],
        what: Addition<'_>,
        fence: &dyn Fence,
    ) -> Result<Added> {
        let mut lacking = vec![false; places.len()];
        if let Some(known) = what.known.filter(|_| places.len() > 1) {
            lacking = self.lack(places, known).await?;
            // Where nobody has it, somebody took it away on purpose.
            if lacking.iter().all(|lacks| *lacks) {
                lacking.fill(false);
            }
        }
        let missing = self.lack(places, what.new).await?;
        let lacked = missing.into_iter().filter(|lacks| *lacks).count();
        let mut changes = Vec::new();
        for (place, lacks) in places.iter_mut().zip(lacking) {
            let known = what.known.filter(|_| lacks);
            changes.push((
                place,
                [what.new].into_iter().chain(known).collect::<Vec<_>>(),
                Vec::new(),
            ));
        }
        for some in changes.chunks_mut(AT_ONCE) {
            let ready = some
                .iter_mut()
                .map(async |(place, passwords, ready)| self.ready(place, passwords, ready).await);
            join_all(ready).await.into_iter().collect::<Result<()>>()?;
        }
        for some in changes.chunks_mut(AT_ONCE) {
            fence.pass().await?;
            let made = some.iter_mut().map(async |(place, _, ready)| {
                let what = format!("cannot set the password of {}", place.user.account());
                self.make(place, ready, fence).await.map_err(|error| error.while_doing(what))
            });
            join_all(made).await.into_iter().collect::<Result<()>>()?;
        }
        Ok(Added { servers: changes.len(), lacked })
    }

    /// Takes these passwords away from `user`, whose own one stays, behind `fence`. Where no server has
    /// that, nothing is taken away, with a warning; where some have it, the others are given it first.
    pub(crate) async fn remove_everywhere(
        &self,
        places: &mut [Place<'_, S::Session>],
        passwords: &[SecretString],
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<()> {
        let mut removals = self.removals(places, passwords).await?;
        if removals.iter().all(Option::is_none) {
            let account = places.first().map(|place| place.user.account()).unwrap_or_default();
            cx.warn(format!(
                "{account} does not have the promoted password, so none was taken away; the server may \
                 have been restored to an older state",
            ));
            return Ok(());
        }
        if removals.iter().any(Option::is_none)
            && let Some(new) = places.first().map(|place| place.user.password.clone())
        {
            let what = Addition { new: &new, known: None };
            self.add_everywhere(places, what, fence).await?;
            removals = self.removals(places, passwords).await?;
        }
        let removals: Option<Vec<_>> = removals.into_iter().collect();
        let Some(removals) = removals else {
            let what = "the promoted password was taken away by somebody else meanwhile; retry";
            return Err(Error::new(ErrorKind::Conflict, what));
        };
        let mut changes: Vec<_> =
            places.iter_mut().zip(removals.into_iter().map(|one| vec![one])).collect();
        for some in changes.chunks_mut(AT_ONCE) {
            let begun = some.iter_mut().map(async |(place, ready)| {
                let locks = ready.first().map(|one| self.server.locks(one)).unwrap_or_default();
                self.begin(&mut place.admin, &locks).await
            });
            join_all(begun).await.into_iter().collect::<Result<()>>()?;
            fence.pass().await?;
            let made = some.iter_mut().map(async |(place, ready)| {
                let what = format!("cannot take old passwords away from {}", place.user.account());
                self.make(place, ready, fence).await.map_err(|error| error.while_doing(what))
            });
            join_all(made).await.into_iter().collect::<Result<()>>()?;
        }
        Ok(())
    }

    /// Finds everything that would make [`add_everywhere`](Self::add_everywhere) fail, and the servers
    /// that lack the user's present password.
    pub(crate) async fn preflight_everywhere(
        &self,
        places: &mut [Place<'_, S::Session>],
    ) -> Result<Vec<Finding>> {
        let several = places.len() > 1;
        let mut findings = Vec::new();
        for some in places.chunks_mut(AT_ONCE) {
            let found = some.iter_mut().map(async |place| {
                let (user, server) = (place.user.clone(), place.user.server());
                let mut found = self.preflight_reset(&mut place.admin, &user).await?;
                let fails = found.iter().any(Finding::fails);
                if several && !fails && !self.server.has(&mut place.admin, &user).await? {
                    let what = "AWSCURRENT does not log in there, which a rotation repairs where it does \
                                elsewhere: the server may have come back with users of before";
                    found.push(Finding::Warns(what.to_owned()));
                }
                Ok::<_, Error>(found.into_iter().map(move |one| at(&server, one, several)))
            });
            for found in join_all(found).await {
                findings.extend(found?);
            }
        }
        Ok(findings)
    }

    /// What a rotation would do at each server, of which the user's present password is AWSCURRENT's.
    pub(crate) async fn plan_everywhere(
        &self,
        places: &mut [Place<'_, S::Session>],
    ) -> Result<Vec<String>> {
        let Some(current) = places.first().map(|place| place.user.password.clone()) else {
            return Ok(Vec::new());
        };
        let lacking = self.lack(places, &current).await?;
        let lines = places.iter().zip(lacking).flat_map(|(place, lacks)| {
            let (server, user) = (place.user.server(), &place.user.username);
            let known =
                format!("{server}: adds AWSCURRENT's password, which user {user:?} lacks there");
            let new = format!("{server}: adds a new password to user {user:?}");
            lacks.then_some(known).into_iter().chain([new])
        });
        Ok(lines.collect())
    }

    /// Whether each of these logs in.
    pub(crate) async fn verify_everywhere(
        &self,
        users: &[Login],
        cx: &Invocation,
    ) -> Result<Verdict> {
        let mut refused = Vec::new();
        for some in users.chunks(AT_ONCE) {
            let asked = some.iter().map(|user| self.log_in(user, cx));
            for (user, attempt) in some.iter().zip(join_all(asked).await) {
                match attempt? {
                    Attempt::Accepted(at) => self.server.usable(&at.session)?,
                    Attempt::Refused(why) => {
                        refused.push(format!("{}: {why}", user.account()));
                    }
                }
            }
        }
        match refused.is_empty() {
            true => Ok(Verdict::Accepted),
            false => {
                let refused = refused.iter().map(String::as_str);
                Ok(Verdict::Rejected(listed(refused, MOST_LISTED, "; ")))
            }
        }
    }

    /// Which of these servers lack this password.
    async fn lack(
        &self,
        places: &mut [Place<'_, S::Session>],
        password: &SecretString,
    ) -> Result<Vec<bool>> {
        let mut lacking = Vec::new();
        for some in places.chunks_mut(AT_ONCE) {
            let asked = some.iter_mut().map(async |place| {
                let user = place.user.with_password(password);
                let has = self.server.has(&mut place.admin, &user).await;
                has.map_err(|error| error.while_doing(place.user.account()))
            });
            for has in join_all(asked).await {
                lacking.push(!has?);
            }
        }
        Ok(lacking)
    }

    async fn removals(
        &self,
        places: &mut [Place<'_, S::Session>],
        passwords: &[SecretString],
    ) -> Result<Vec<Option<S::Prepared>>> {
        let mut removals = Vec::new();
        for some in places.chunks_mut(AT_ONCE) {
            let asked = some.iter_mut().map(async |Place { admin, user }| {
                let prepared = self.server.prepare_removal(admin, user, passwords).await;
                let what = || format!("cannot take old passwords away from {}", user.account());
                prepared.map_err(|error| error.while_doing(what()))
            });
            for prepared in join_all(asked).await {
                removals.push(prepared?);
            }
        }
        Ok(removals)
    }

    /// Makes these passwords ready to be added, and asks what speaks against that.
    async fn ready(
        &self,
        place: &mut Place<'_, S::Session>,
        passwords: &[&SecretString],
        ready: &mut Vec<S::Prepared>,
    ) -> Result<()> {
        let Place { admin, user } = place;
        let asked = async {
            let mut locks = Vec::new();
            for password in passwords {
                let user = user.with_password(password);
                let prepared = self.server.prepare_reset(admin, &user).await?;
                locks = self.server.locks(&prepared);
                ready.push(prepared);
            }
            self.begin(admin, &locks).await?;
            let objections = self.server.objections(admin, &user.username).await?;
            objections.into_iter().next().map_or(Ok(()), Err)
        };
        let what = || format!("cannot set the password of {}", user.account());
        asked.await.map_err(|error| error.while_doing(what()))
    }

    /// Sends what was made ready and begun.
    async fn make(
        &self,
        place: &mut Place<'_, S::Session>,
        ready: &[S::Prepared],
        fence: &dyn Fence,
    ) -> Result<()> {
        let admin = &mut place.admin;
        let made = async {
            for one in ready {
                match self.server.set(admin, one, fence).await? {
                    Change::Made => {}
                    refused => return Ok(refused),
                }
            }
            Ok(Change::Made)
        }
        .await;
        match self.end(admin, made, (PASSWORD_UNKNOWN, is_made)).await? {
            Change::Made => Ok(()),
            Change::Refused(why) => Err(why),
        }
    }
}

/// A finding with the server that it is about, where there are several.
fn at(server: &str, finding: Finding, several: bool) -> Finding {
    match finding {
        finding if !several => finding,
        Finding::Fails(error) => Finding::Fails(error.while_doing(server)),
        Finding::Warns(text) => Finding::Warns(format!("{server}: {text}")),
    }
}
