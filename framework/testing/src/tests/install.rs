//! The modelled server's pairs of users: what one of them lacks, and the statements that give it.

use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use fourstep::users::{
    self, Accounts, Assessment, Install, LoggedIn, Login, OpenSessions, Ownership, Part, Step,
    driver,
};
use fourstep::{Error, ErrorKind, Invocation, SecretString};

use super::database::{Commit, Defect, Intervention, Model};
use crate::models::{self, Grant, Mark, Prepared, Session, SharedServer};

/// The longest name, in bytes, as in PostgreSQL.
const LONGEST_NAME: usize = 63;

impl Model {
    /// All that makes the target as the source is: in each database what belongs there, as far as
    /// transactions are of one.
    fn parts(
        &self,
        admin: &Login,
        install: &Install<'_>,
        standing: Option<Ownership>,
        accounts: &models::Accounts,
    ) -> Vec<Part> {
        let mark = self.mark_steps(install, standing);
        if self.commit != Commit::PerDatabase {
            let steps = mark.into_iter().chain(self.rights(install, accounts, None)).collect();
            return vec![Part { login: admin.clone(), steps }];
        }
        // Accounts and marks are of the whole server, and come first.
        let [first, others @ ..] = SharedServer::DATABASES;
        let steps = mark.into_iter().chain(self.rights(install, accounts, Some(first))).collect();
        let mut parts = vec![Part { login: admin.clone(), steps }];
        parts.extend(others.into_iter().filter_map(|database| {
            let steps = self.rights(install, accounts, Some(database));
            let login = admin.with_database(database);
            (!steps.is_empty()).then_some(Part { login, steps })
        }));
        parts
    }

    /// The user itself, and what says whose it is.
    fn mark_steps(&self, install: &Install<'_>, standing: Option<Ownership>) -> Option<Step> {
        let Install { target: user, source, pair, .. } = *install;
        let mark = pair.mark(source);
        let mark = Mark { partner: mark.partner, secret: mark.secret };
        let mark = (!self.has(Defect::NoMark)).then_some(mark);
        match standing {
            Some(Ownership::Absent) => {
                let name = user.to_owned();
                Some(self.step(format!("CREATE USER {user}, marked"), move |accounts| {
                    let rights = &mut accounts.entry(name.clone()).or_default().rights;
                    // Whoever finds it half-made must see that it is.
                    (rights.mark, rights.locked) = (mark.clone(), true);
                }))
            }
            Some(Ownership::Adopted) => {
                Some(self.alter("mark", user, move |one| one.rights.mark = mark.clone()))
            }
            _ => None,
        }
    }

    fn rights(
        &self,
        install: &Install<'_>,
        accounts: &models::Accounts,
        database: Option<&str>,
    ) -> Vec<Step> {
        let Install { target: user, source, .. } = *install;
        if user == source {
            return Vec::new();
        }
        let grants = |user| accounts.get(user).map(|account| account.rights.grants.clone());
        let (wanted, held) = (grants(source).unwrap_or_default(), grants(user).unwrap_or_default());
        let here = |grant: &&Grant| database.is_none_or(|database| grant.database == database);
        let give = |grant: &Grant| self.grant(user, grant, true);
        let take = |grant: &Grant| self.grant(user, grant, false);
        if self.has(Defect::RevokeAll) {
            let taken = held.iter().filter(here).map(take);
            return taken.chain(wanted.iter().filter(here).map(give)).collect();
        }
        let given = wanted.difference(&held).filter(here).map(give);
        given.chain(held.difference(&wanted).filter(here).map(take)).collect()
    }

    fn grant(&self, user: &str, grant: &Grant, give: bool) -> Step {
        let verb = if give { "GRANT" } else { "REVOKE" };
        let what = format!("{verb} {:?} in {} for", grant.privilege, grant.database);
        let grant = grant.clone();
        self.alter(&what, user, move |account| {
            match give {
                true => account.rights.grants.insert(grant.clone()),
                false => account.rights.grants.remove(&grant),
            };
        })
    }

    fn alter(
        &self,
        what: &str,
        user: &str,
        change: impl Fn(&mut models::Account) + Send + Sync + 'static,
    ) -> Step {
        let name = user.to_owned();
        self.step(format!("{what} {user}"), move |accounts| {
            accounts.get_mut(&name).into_iter().for_each(&change);
        })
    }

    /// A statement, with what it does when it is run.
    fn step(
        &self,
        text: String,
        intervention: impl Fn(&mut models::Accounts) + Send + Sync + 'static,
    ) -> Step {
        let mut deeds = self.deeds.lock().unwrap_or_else(PoisonError::into_inner);
        deeds.insert(text.clone(), Arc::new(intervention));
        Step::new(text)
    }

    fn intervention(&self, statement: &str) -> Result<Intervention, Error> {
        let deeds = self.deeds.lock().unwrap_or_else(PoisonError::into_inner);
        deeds.get(statement).cloned().ok_or_else(|| Error::new(ErrorKind::Internal, statement))
    }
}

#[async_trait]
impl users::Alternates for Model {
    type Found = ();

    fn transactions(&self, _: &Login) -> bool {
        self.commit == Commit::PerDatabase
    }

    fn check_username(&self, username: &str) -> Result<(), Error> {
        if username.len() <= LONGEST_NAME {
            return Ok(());
        }
        let what = format!("the name of user {username:?} is longer than {LONGEST_NAME} bytes");
        Err(Error::new(ErrorKind::Unsupported, what).caused_by("name another in USER_PAIRS"))
    }

    async fn accounts(
        &self,
        admin: &mut LoggedIn<'_, Session>,
        usernames: &[&str],
        secret: &str,
    ) -> Result<Accounts, Error> {
        let seen = |accounts: &_| self.seen(accounts, usernames, &admin.login.username, secret);
        Ok(admin.session.ask("whose are the users?", seen).await?)
    }

    /// As of the last question.
    async fn open_sessions(
        &self,
        _admin: &mut LoggedIn<'_, Session>,
        user: &str,
    ) -> Result<OpenSessions, Error> {
        Ok(OpenSessions::Count(self.server.sessions(user).try_into().unwrap_or(u64::MAX)))
    }

    async fn assess(
        &self,
        admin: &mut LoggedIn<'_, Session>,
        install: &Install<'_>,
        _: &Accounts,
        standing: Option<Ownership>,
    ) -> Result<Assessment<()>, Error> {
        let compared = |accounts: &_| self.parts(&admin.login, install, standing, accounts);
        let parts = admin.session.ask("compare the rights", compared).await?;
        Ok(Assessment { parts, ..Assessment::default() })
    }

    async fn run(&self, at: &mut LoggedIn<'_, Session>, statement: &str) -> Result<(), Error> {
        let intervention = self.intervention(statement)?;
        Ok(at.session.change(statement, move |accounts| intervention(accounts)).await?)
    }

    async fn prepare_install(
        &self,
        _admin: &mut LoggedIn<'_, Session>,
        install: &Install<'_>,
        (): (),
        password: &SecretString,
    ) -> Result<Prepared, Error> {
        Ok(Prepared { user: install.target.to_owned(), password: password.clone() })
    }

    async fn differences(
        &self,
        admin: &Login,
        pending: &Login,
        one: &str,
        cx: &Invocation,
    ) -> Result<Vec<String>, Error> {
        let session = driver::open_admin(self, admin, cx).await?.session;
        let other = pending.username.as_str();
        let differ = session.ask("compare the rights", |accounts| {
            let grants = |user| accounts.get(user).map(|account| &account.rights.grants);
            match (grants(one), grants(other)) {
                (Some(one), Some(other)) => one.symmetric_difference(other).cloned().collect(),
                _ => Vec::new(),
            }
        });
        let differ = differ.await?.into_iter();
        Ok(differ.map(|grant| format!("{:?} in {}", grant.privilege, grant.database)).collect())
    }
}
