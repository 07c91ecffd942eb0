//! What one user of a pair lacks, and the statements that give it.

use secrecy::SecretString;

use super::database::{Defect, Model};
use crate::error::{Error, ErrorKind};
use crate::rotator::Fence;
use crate::testing::models::{Account, Accounts, Grant, Mark, Session, SharedServer};
use crate::turn::Turn;
use crate::users::{Administered, Change, Install, Login, Standing};

/// What is to be done in one database, or in all.
#[derive(Default)]
struct Plan {
    create: bool,
    mark: bool,
    grant: Vec<Grant>,
    revoke: Vec<Grant>,
}

/// Making one user as another is.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) model: &'a Model,
    pub(super) admin: &'a Login,
    pub(super) install: &'a Install<'a>,
    pub(super) password: &'a SecretString,
    pub(super) fence: &'a dyn Fence,
    pub(super) turn: &'a Turn,
}

impl Work<'_> {
    fn has(&self, defect: Defect) -> bool {
        self.model.has(defect)
    }

    fn plan(&self, accounts: &Accounts, database: Option<&str>) -> Result<Plan, Error> {
        let Install { target: user, source, pair, .. } = *self.install;
        let users = [user, source];
        let seen = self.model.seen(accounts, &users, &self.admin.username, pair.secret());
        let standing = self.install.judge(&seen)?;
        if user == source {
            return Ok(Plan::default());
        }
        let [first, ..] = SharedServer::DATABASES;
        if standing == Standing::Absent && database.is_some_and(|database| database != first) {
            // A fail-over lost it, and with it what it was given elsewhere.
            return Err(Error::new(ErrorKind::Conflict, format!("user {user:?} is gone; retry")));
        }
        let none = Default::default();
        let wanted = accounts.get(source).map_or(&none, |account| &account.rights.grants);
        let here = |grant: &&Grant| database.is_none_or(|database| grant.database == database);
        let held = accounts.get(user).map_or(&none, |account| &account.rights.grants);
        let mut plan = Plan {
            create: standing == Standing::Absent,
            mark: standing == Standing::Adopted,
            grant: wanted.difference(held).filter(here).cloned().collect(),
            revoke: held.difference(wanted).filter(here).cloned().collect(),
        };
        if self.has(Defect::RevokeAll) {
            plan.revoke = held.iter().filter(here).cloned().collect();
            plan.grant = wanted.iter().filter(here).cloned().collect();
        }
        Ok(plan)
    }

    /// Each database in a transaction of its own, then the password in one.
    pub(super) async fn in_transactions(&self) -> Result<Change, Error> {
        if self.has(Defect::PasswordFirst) {
            self.password_in_transaction(true).await?;
        }
        for database in SharedServer::DATABASES {
            self.reconcile(database).await?;
        }
        match self.has(Defect::PasswordFirst) {
            true => Ok(Change::Made),
            false => self.password_in_transaction(false).await,
        }
    }

    async fn reconcile(&self, database: &str) -> Result<(), Error> {
        let mut session = self.model.log_in_as_admin(self.admin, self.turn).await?.session;
        let name = format!("compare the rights in {database}");
        let plan = session.ask(&name, |one| self.plan(one, Some(database))).await??;
        if plan.is_empty() {
            return Ok(());
        }
        self.enter(&mut session, database).await?;
        // Whoever held the lock may have done it.
        let plan = session.ask(&name, |one| self.plan(one, Some(database))).await??;
        self.model.pass(self.fence).await?;
        self.carry_out(&mut session, plan).await?;
        Ok(session.commit().await?)
    }

    async fn password_in_transaction(&self, make: bool) -> Result<Change, Error> {
        let mut session = self.model.log_in_as_admin(self.admin, self.turn).await?.session;
        let [first, ..] = SharedServer::DATABASES;
        self.enter(&mut session, first).await?;
        self.model.pass(self.fence).await?;
        if make {
            let plan = Plan { create: true, ..Plan::default() };
            self.carry_out(&mut session, plan).await?;
        }
        let change = self.set_password(&mut session).await?;
        session.commit().await?;
        Ok(change)
    }

    async fn enter(&self, session: &mut Session, database: &str) -> Result<(), Error> {
        self.model.limit(session).await?;
        session.begin().await?;
        // An advisory lock is of one database.
        Ok(session.lock(&format!("{database}/{}", self.install.target)).await?)
    }

    /// One statement after the other, the one that lets in last.
    pub(super) async fn in_statements(&self) -> Result<Change, Error> {
        let mut session = self.model.log_in_as_admin(self.admin, self.turn).await?.session;
        self.model.limit(&session).await?;
        session.lock(self.install.target).await?;
        let plan = session.ask("compare the rights", |one| self.plan(one, None)).await??;
        self.model.pass(self.fence).await?;
        if self.has(Defect::PasswordFirst) {
            let create = Plan { create: plan.create, ..Plan::default() };
            self.carry_out(&mut session, create).await?;
            self.set_password(&mut session).await?;
            self.carry_out(&mut session, Plan { create: false, ..plan }).await?;
            return Ok(Change::Made);
        }
        self.carry_out(&mut session, plan).await?;
        self.set_password(&mut session).await
    }

    async fn carry_out(&self, session: &mut Session, plan: Plan) -> Result<(), Error> {
        let Install { target: user, source, pair, .. } = *self.install;
        let mark = pair.mark(source);
        let mark = Mark { partner: mark.partner, secret: mark.secret };
        let mark = (!self.has(Defect::NoMark)).then_some(mark);
        if plan.create {
            let (name, user, mark) =
                (format!("CREATE USER {user}, marked"), user.to_owned(), mark.clone());
            let change = session.change(&name, move |accounts| {
                let account = accounts.entry(user).or_default();
                // Whoever finds it half-made must see that it is.
                (account.rights.mark, account.rights.locked) = (mark, true);
            });
            change.await?;
        }
        if plan.mark {
            self.alter(session, "mark", move |account| account.rights.mark = mark).await?;
        }
        let (mut first, mut then) = (statements(plan.grant, true), statements(plan.revoke, false));
        if self.has(Defect::RevokeAll) {
            std::mem::swap(&mut first, &mut then);
        }
        for (name, grant, give) in first.into_iter().chain(then) {
            let change = self.alter(session, &name, move |account| match give {
                true => drop(account.rights.grants.insert(grant)),
                false => drop(account.rights.grants.remove(&grant)),
            });
            change.await?;
        }
        Ok(())
    }

    /// What lets the user in: its password, and its being unlocked.
    async fn set_password(&self, session: &mut Session) -> Result<Change, Error> {
        self.model.set_password(session, self.install.target, self.password).await
    }

    async fn alter(
        &self,
        session: &mut Session,
        what: &str,
        change: impl FnOnce(&mut Account) + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let user = self.install.target.to_owned();
        let name = format!("{what} {user}");
        let change = session.change(&name, move |accounts| {
            if let Some(account) = accounts.get_mut(&user) {
                change(account);
            }
        });
        Ok(change.await?)
    }
}

impl Plan {
    fn is_empty(&self) -> bool {
        !self.create && !self.mark && self.grant.is_empty() && self.revoke.is_empty()
    }
}

fn statements(grants: Vec<Grant>, give: bool) -> Vec<(String, Grant, bool)> {
    let verb = if give { "GRANT" } else { "REVOKE" };
    let named = |grant: Grant| {
        (format!("{verb} {:?} in {} for", grant.privilege, grant.database), grant, give)
    };
    grants.into_iter().map(named).collect()
}
