//! What is to be done to make a user's accounts what another's are: checked, and put in order.

use std::collections::BTreeSet;

use fourstep::users::Install;
use fourstep::{Invocation, Result};

use crate::alternate::compose::{lone, plugin};
use crate::alternate::copy::plan::{self, Step};
use crate::alternate::copy::read::{self, Account, User};
use crate::alternate::copy::rights::{Object, Right, Rights};
use crate::alternate::copy::whose::marker_role;
use crate::alternate::quoting::{AccountName, quote_literal};
use crate::alternate::settings::Settings;
use crate::server::Flavour;
use crate::session::Session;
use crate::wire::Plugin;

/// What is done, in this order.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    pub(crate) steps: Vec<Step>,
    /// The accounts that get the password then, in one statement.
    pub(crate) finish: Vec<(AccountName, Plugin)>,
}

/// Both users as they are.
pub(crate) struct Users {
    pub(crate) source: User,
    pub(crate) target: User,
}

impl Users {
    pub(crate) async fn read(
        session: &mut Session,
        [source, target]: [&str; 2],
        cx: &Invocation,
    ) -> Result<Self> {
        let read = read::read(session, source, cx).await?;
        let other = match source == target {
            true => read.clone(),
            false => read::read(session, target, cx).await?,
        };
        Ok(Self { source: read, target: other })
    }

    /// Leaves out rights on tables and columns that were dropped, which the server keeps and gives
    /// to nobody. Returns what is left out.
    pub(crate) async fn drop_stale(
        &mut self,
        session: &mut Session,
        cx: &Invocation,
    ) -> Result<BTreeSet<String>> {
        let table = |right: &Right| match right {
            Right::Held { on: Object::Table(schema, table), .. } => {
                Some((schema.clone(), table.clone()))
            }
            _ => None,
        };
        let mut tables = BTreeSet::new();
        for (host, source) in &self.source {
            let none = Rights::new();
            let held = self.target.get(host).map_or(&none, |target| &target.rights);
            tables.extend(source.rights.symmetric_difference(held).filter_map(table));
        }
        let columns = read::columns(session, &tables, cx).await?;
        let mut stale = BTreeSet::new();
        let is_there = |of: &(String, String), column: &Option<String>| {
            let there = columns.get(of);
            there.is_some_and(|all| column.as_ref().is_none_or(|column| all.contains(column)))
        };
        for account in self.source.values_mut().chain(self.target.values_mut()) {
            account.rights.retain(|right| {
                let Right::Held { on, column, .. } = right else { return true };
                let Some(of) = table(right).filter(|of| tables.contains(of)) else { return true };
                let keep = is_there(&of, column);
                if !keep {
                    stale.insert(on.sql());
                }
                keep
            });
        }
        Ok(stale)
    }

    /// What has to be done, before anything is known of the admin's rights. `mark_for` is its account,
    /// where the target has no mark of its making yet.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for accounts of which there cannot be two alike.
    pub(crate) fn compose(&self, install: &Install<'_>, mark_for: Option<&str>) -> Result<Copied> {
        let Install { source, target, .. } = *install;
        let mut composed = Copied::default();
        if source == target {
            // Only the password, and nothing for what somebody locked.
            for (host, account) in self.target.iter().filter(|(_, one)| !one.settings.locked) {
                let name = AccountName::new(target, host);
                composed.finish.push((name.clone(), plugin(&name, &account.settings)?));
            }
            return Ok(composed);
        }
        let mark = install.pair.mark(source);
        if let Some(host) = self.target.keys().find(|host| !self.source.contains_key(*host)) {
            return Err(lone(&AccountName::new(target, host), &AccountName::new(source, host)));
        }
        if let Some(admin) = mark_for {
            let role = quote_literal(&marker_role(target, &mark));
            // In the place of one that somebody else made. Whoever runs the plan by hand makes it for
            // the admin.
            let mark = format!("CREATE OR REPLACE ROLE {role} WITH ADMIN {admin}");
            composed.steps.push(Step::of_users(mark));
        }
        let (mut give, mut take) = (Vec::new(), Vec::new());
        for (host, wanted) in &self.source {
            let name = AccountName::new(target, host);
            let plugin = plugin(&AccountName::new(source, host), &wanted.settings)?;
            let found = match self.target.get(host) {
                Some(found) => found.clone(),
                None => {
                    composed.steps.push(Step::of_users(create(&name, &wanted.settings)));
                    made(wanted)
                }
            };
            let difference = plan::difference(wanted, &found, &name);
            give.extend(difference.give);
            take.extend(difference.take);
            match wanted.settings.locked {
                false => composed.finish.push((name, plugin)),
                true if found.settings.locked => {}
                true => {
                    take.push(Step::of_users(format!("ALTER USER {} ACCOUNT LOCK", name.sql())));
                }
            }
        }
        composed.steps.extend(give);
        composed.steps.extend(take);
        Ok(composed)
    }
}

/// An account right after [`create`].
fn made(wanted: &Account) -> Account {
    let mut settings = wanted.settings.clone();
    settings.locked = true;
    Account { rights: Rights::new(), default_roles: BTreeSet::new(), settings }
}

/// Nobody can log in as what this makes: it is locked, and has no password that anybody knows. A
/// plain CREATE USER means an empty password, which password policies refuse.
pub(crate) fn create(name: &AccountName, settings: &Settings) -> String {
    let clauses = settings.clauses(Flavour::Mariadb);
    format!("CREATE USER {} IDENTIFIED VIA unix_socket {clauses} ACCOUNT LOCK", name.sql())
}
